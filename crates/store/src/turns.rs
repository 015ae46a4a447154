//! Turns, and the sessions and messages that they make up.
//!
//! What a turn says while it runs is not kept here: the bridge has it and tells it again to whoever asks.
//! Here is what was asked, and in the end what came of it.

use creel_domain::{
    Act, AgentId, OrgId, ScheduleId, SessionName, ToolRecord, Turn, TurnFailure, TurnId, TurnStatus,
};
use jiff::Timestamp;
use serde_json::json;

use crate::{
    Error, Org, Platform, agents,
    audit::record,
    events::append,
    idempotency::made,
    rows::{Row, Value, values},
    tx::Tx,
};

/// Sessions of one agent that are listed; the longest unused are left out.
const LISTED_SESSIONS: u32 = 1000;

const COLUMNS: &str = "id, org_id, agent_id, session, message, status, text, tools, failure_code, \
                       failure_message, created_at, finished_at, own_jobs";

#[derive(Debug, Clone, PartialEq)]
pub struct StoredTurn {
    pub org: OrgId,
    pub turn: Turn,
    pub tools: Vec<ToolRecord>,
    /// What there was of the answer when the turn ended without one; the answer itself otherwise.
    pub text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    pub session: SessionName,
    pub turns: u64,
    pub last_at: Timestamp,
}

impl TryFrom<Row> for StoredTurn {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let text = row.text("text")?.to_owned();
        let status = match row.text("status")? {
            "running" => TurnStatus::Running,
            "done" => TurnStatus::Done {
                text: text.clone(),
                finished_at: row.time("finished_at")?,
            },
            "cancelled" => TurnStatus::Cancelled {
                finished_at: row.time("finished_at")?,
            },
            "failed" => TurnStatus::Failed {
                failure: TurnFailure {
                    code: row.text("failure_code")?.to_owned(),
                    message: row.text("failure_message")?.to_owned(),
                },
                finished_at: row.time("finished_at")?,
            },
            other => return Err(Error::Corrupt(format!("turn status `{other}`"))),
        };
        Ok(Self {
            org: row.id("org_id")?,
            turn: Turn {
                id: row.id("id")?,
                agent: row.id("agent_id")?,
                session: row.parsed("session")?,
                message: row.text("message")?.to_owned(),
                own_jobs: row.int("own_jobs")? != 0,
                status,
                created_at: row.time("created_at")?,
            },
            tools: row.json("tools")?,
            text,
        })
    }
}

/// How a turn stands, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnWord {
    Running,
    Done,
    Failed,
    Cancelled,
}

impl TurnWord {
    fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

async fn list(tx: &mut Tx, sql: &str, values: &[Value]) -> Result<Vec<StoredTurn>, Error> {
    let rows = tx.rows(sql, values).await?;
    rows.into_iter().map(StoredTurn::try_from).collect()
}

/// Writes a turn down, and that it has begun; of a schedule, if that is what asked.
pub(crate) async fn begin(
    tx: &mut Tx,
    org: OrgId,
    turn: &Turn,
    schedule: Option<ScheduleId>,
) -> Result<(), Error> {
    tx.run(
        "INSERT INTO turns (id, org_id, agent_id, session, message, status, created_at, own_jobs)
             VALUES ($1, $2, $3, $4, $5, 'running', $6, $7)",
        values![
            turn.id,
            org,
            turn.agent,
            &turn.session,
            turn.message.as_str(),
            turn.created_at,
            i64::from(turn.own_jobs),
        ],
    )
    .await?;
    let mut data = json!({ "agent": turn.agent, "session": turn.session });
    if let Some(schedule) = schedule {
        data["schedule"] = json!(schedule);
    }
    append(
        tx,
        org,
        "turn.started",
        &turn.id.to_string(),
        &data,
        turn.created_at,
    )
    .await
}

impl Org {
    /// Accepts a message: from here on it is answered, or its failure is shown.
    pub async fn begin_turn(
        &self,
        agent: AgentId,
        session: SessionName,
        message: String,
    ) -> Result<Turn, Error> {
        let (org, key, now) = (self.id, self.key.clone(), self.store.now());
        let turn = Turn {
            id: self.store.mint::<TurnId>(),
            agent,
            session,
            message,
            own_jobs: false,
            status: TurnStatus::Running,
            created_at: now,
        };
        self.write(move |tx| {
            Box::pin(async move {
                agents::find_kept(tx, org, agent).await?;
                made(tx, org, key.as_deref(), &turn.id.to_string()).await?;
                begin(tx, org, &turn, None).await?;
                Ok(turn)
            })
        })
        .await
    }

    /// Ends a running turn. `text` is what there is of an answer. False when it had ended before.
    pub async fn finish_turn(
        &self,
        turn: TurnId,
        status: TurnStatus,
        text: String,
        tools: Vec<ToolRecord>,
    ) -> Result<bool, Error> {
        let org = self.id;
        let (word, text, failure, at) = match status {
            TurnStatus::Running => return Ok(false),
            TurnStatus::Done { text, finished_at } => ("done", text, None, finished_at),
            TurnStatus::Cancelled { finished_at } => ("cancelled", text, None, finished_at),
            TurnStatus::Failed { failure, finished_at } => ("failed", text, Some(failure), finished_at),
        };
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "UPDATE turns SET status = $1, text = $2, tools = $3, failure_code = $4,
                               failure_message = $5, finished_at = $6
                               WHERE org_id = $7 AND id = $8 AND status = 'running' RETURNING agent_id";
                let values = values![
                    word,
                    text,
                    serde_json::to_string(&tools)?,
                    failure.as_ref().map(|failure| failure.code.as_str()),
                    failure.as_ref().map(|failure| failure.message.as_str()),
                    at,
                    org,
                    turn,
                ];
                let Some(row) = tx.row(sql, values).await? else {
                    return Ok(false);
                };
                let agent: AgentId = row.id("agent_id")?;
                let data = json!({ "agent": agent, "status": word, "failure": failure });
                append(tx, org, "turn.finished", &turn.to_string(), &data, at).await?;
                Ok(true)
            })
        })
        .await
    }

    pub async fn turn(&self, agent: AgentId, turn: TurnId) -> Result<StoredTurn, Error> {
        let org = self.id;
        self.read(move |tx| {
            Box::pin(async move {
                let sql =
                    format!("SELECT {COLUMNS} FROM turns WHERE org_id = $1 AND agent_id = $2 AND id = $3");
                let row = tx.row(&sql, values![org, agent, turn]).await?;
                row.ok_or(Error::NotFound("turn"))?.try_into()
            })
        })
        .await
    }

    /// Turns of a session, newest first; `before` is the last one of the page before.
    pub async fn turns(
        &self,
        agent: AgentId,
        session: SessionName,
        before: Option<TurnId>,
        limit: u32,
    ) -> Result<Vec<StoredTurn>, Error> {
        let org = self.id;
        let before = before.map_or(uuid::Uuid::max(), TurnId::uuid);
        self.read(move |tx| {
            Box::pin(async move {
                let sql = format!(
                    "SELECT {COLUMNS} FROM turns WHERE org_id = $1 AND agent_id = $2 AND session = $3
                         AND id < $4 ORDER BY id DESC LIMIT $5"
                );
                list(tx, &sql, values![org, agent, &session, before, limit]).await
            })
        })
        .await
    }

    /// Takes a turn that came to nothing off the list of those; in its conversation it stays. One that was dropped before
    /// is no error. Whether it had come to nothing.
    pub async fn drop_turn(&self, agent: AgentId, turn: TurnId) -> Result<bool, Error> {
        let (org, now) = (self.id, self.store.now());
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "UPDATE turns SET dropped_at = COALESCE(dropped_at, $1)
                           WHERE org_id = $2 AND agent_id = $3 AND id = $4 AND status IN ('failed', 'cancelled')";
                if tx.run(sql, values![now, org, agent, turn]).await? == 0 {
                    return Ok(false);
                }
                record(tx, org, Act::new("turn.drop").on("turn", turn).with("agent", agent)).await?;
                Ok(true)
            })
        })
        .await
    }

    /// Turns of all the org's agents, or of one, that are under way or ended so; newest first. Those that were dropped
    /// are not among them.
    pub async fn turns_in(
        &self,
        state: TurnWord,
        agent: Option<AgentId>,
        before: Option<TurnId>,
        limit: u32,
    ) -> Result<Vec<StoredTurn>, Error> {
        let org = self.id;
        let before = before.map_or(uuid::Uuid::max(), TurnId::uuid);
        self.read(move |tx| {
            Box::pin(async move {
                let whose = if agent.is_some() { "AND agent_id = $5" } else { "" };
                let sql = format!(
                    "SELECT {COLUMNS} FROM turns WHERE org_id = $1 AND status = $2 AND id < $3 {whose}
                         AND dropped_at IS NULL ORDER BY id DESC LIMIT $4"
                );
                let mut values = values![org, state.as_str(), before, limit].to_vec();
                values.extend(agent.map(Value::from));
                list(tx, &sql, &values).await
            })
        })
        .await
    }

    /// The agent's sessions, the latest used first; at most 1000.
    pub async fn sessions(&self, agent: AgentId) -> Result<Vec<SessionRow>, Error> {
        let org = self.id;
        self.read(move |tx| {
            Box::pin(async move {
                let sql = "SELECT session, COUNT(*) AS turns, MAX(created_at) AS last_at FROM turns
                               WHERE org_id = $1 AND agent_id = $2 GROUP BY session
                               ORDER BY last_at DESC, session LIMIT $3";
                let rows = tx.rows(sql, values![org, agent, LISTED_SESSIONS]).await?;
                rows.into_iter()
                    .map(|row| {
                        Ok(SessionRow {
                            session: row.parsed("session")?,
                            turns: row.count("turns")?,
                            last_at: row.time("last_at")?,
                        })
                    })
                    .collect()
            })
        })
        .await
    }
}

impl Platform {
    /// Turns that were accepted and have not ended, oldest first.
    pub async fn running_turns(&self) -> Result<Vec<StoredTurn>, Error> {
        self.read(|tx| {
            Box::pin(async move {
                let sql = format!("SELECT {COLUMNS} FROM turns WHERE status = 'running' ORDER BY id");
                list(tx, &sql, values![]).await
            })
        })
        .await
    }
}
