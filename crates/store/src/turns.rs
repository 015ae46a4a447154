//! Turns, and the sessions and messages that they make up.

use creel_daemon::mint;
use creel_domain::{AgentId, OrgId, SessionName, ToolRecord, Turn, TurnFailure, TurnId, TurnStatus};
use jiff::Timestamp;
use rusqlite::{Row, params};
use serde_json::json;

use crate::{
    Error, Org, Platform,
    events::append,
    rows::{all, count, first, id, maybe_time, micros, parsed, time},
};

const COLUMNS: &str = "id, org_id, agent_id, session, message, status, text, tools, failure_code, \
                       failure_message, created_at, finished_at";

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

fn stored(row: &Row<'_>) -> Result<StoredTurn, Error> {
    let text: String = row.get("text")?;
    let finished_at =
        || maybe_time(row, "finished_at")?.ok_or_else(|| Error::Corrupt("a turn without its end".into()));
    let status = match row.get::<_, String>("status")?.as_str() {
        "running" => TurnStatus::Running,
        "done" => TurnStatus::Done {
            text: text.clone(),
            finished_at: finished_at()?,
        },
        "cancelled" => TurnStatus::Cancelled {
            finished_at: finished_at()?,
        },
        "failed" => TurnStatus::Failed {
            failure: TurnFailure {
                code: row.get::<_, Option<String>>("failure_code")?.unwrap_or_default(),
                message: row
                    .get::<_, Option<String>>("failure_message")?
                    .unwrap_or_default(),
            },
            finished_at: finished_at()?,
        },
        other => return Err(Error::Corrupt(format!("turn status `{other}`"))),
    };
    Ok(StoredTurn {
        org: id(row, "org_id")?,
        turn: Turn {
            id: id(row, "id")?,
            agent: id(row, "agent_id")?,
            session: parsed(row, "session")?,
            message: row.get("message")?,
            status,
            created_at: time(row, "created_at")?,
        },
        tools: serde_json::from_str(&row.get::<_, String>("tools")?)?,
        text,
    })
}

impl Org {
    /// Accepts a message: from here on it is answered, or its failure is shown.
    pub async fn begin_turn(
        &self,
        agent: AgentId,
        session: SessionName,
        message: String,
    ) -> Result<Turn, Error> {
        let clock = &self.store.clock;
        let (org, now) = (self.id, clock.now());
        let turn = Turn {
            id: mint::<TurnId>(&**clock),
            agent,
            session,
            message,
            status: TurnStatus::Running,
            created_at: now,
        };
        let turn = self
            .store
            .database
            .write(move |tx| {
                let (org_bytes, agent_bytes) = (org.uuid().into_bytes(), turn.agent.uuid().into_bytes());
                let there = first(
                    tx,
                    "SELECT 1 FROM agents WHERE org_id = $1 AND id = $2",
                    params![org_bytes, agent_bytes],
                    |_| Ok(()),
                )?;
                there.ok_or(Error::NotFound("agent"))?;
                tx.execute(
                    "INSERT INTO turns (id, org_id, agent_id, session, message, status, created_at)
                     VALUES ($1, $2, $3, $4, $5, 'running', $6)",
                    params![
                        turn.id.uuid().into_bytes(),
                        org_bytes,
                        agent_bytes,
                        turn.session.as_str(),
                        turn.message,
                        micros(now)
                    ],
                )?;
                let data = json!({ "agent": turn.agent, "session": turn.session });
                append(tx, org, "turn.started", &turn.id.to_string(), &data, now)?;
                Ok(turn)
            })
            .await?;
        self.store.tell();
        Ok(turn)
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
        let ended = self
            .store
            .database
            .write(move |tx| {
                let agent = first(
                    tx,
                    "UPDATE turns SET status = $1, text = $2, tools = $3, failure_code = $4, failure_message = $5,
                     finished_at = $6 WHERE org_id = $7 AND id = $8 AND status = 'running' RETURNING agent_id",
                    params![
                        word,
                        text,
                        serde_json::to_string(&tools)?,
                        failure.as_ref().map(|failure| &failure.code),
                        failure.as_ref().map(|failure| &failure.message),
                        micros(at),
                        org.uuid().into_bytes(),
                        turn.uuid().into_bytes()
                    ],
                    |row| id::<AgentId>(row, "agent_id"),
                )?;
                let Some(agent) = agent else { return Ok(false) };
                let data = json!({ "agent": agent, "status": word, "failure": failure });
                append(tx, org, "turn.finished", &turn.to_string(), &data, at)?;
                Ok(true)
            })
            .await?;
        self.store.tell();
        Ok(ended)
    }

    pub async fn turn(&self, agent: AgentId, turn: TurnId) -> Result<StoredTurn, Error> {
        let org = self.id.uuid().into_bytes();
        self.store
            .database
            .read(move |db| {
                let sql =
                    format!("SELECT {COLUMNS} FROM turns WHERE org_id = $1 AND agent_id = $2 AND id = $3");
                let key = params![org, agent.uuid().into_bytes(), turn.uuid().into_bytes()];
                first(db, &sql, key, stored)?.ok_or(Error::NotFound("turn"))
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
        let org = self.id.uuid().into_bytes();
        let before = before.map_or([0xff; 16], |before| before.uuid().into_bytes());
        self.store
            .database
            .read(move |db| {
                let sql = format!(
                    "SELECT {COLUMNS} FROM turns WHERE org_id = $1 AND agent_id = $2 AND session = $3 AND id < $4
                     ORDER BY id DESC LIMIT $5"
                );
                all(db, &sql, params![org, agent.uuid().into_bytes(), session.as_str(), before, limit], stored)
            })
            .await
    }

    /// The agent's sessions, the latest used first; at most 1000.
    pub async fn sessions(&self, agent: AgentId) -> Result<Vec<SessionRow>, Error> {
        let org = self.id.uuid().into_bytes();
        self.store
            .database
            .read(move |db| {
                all(
                    db,
                    "SELECT session, COUNT(*) AS turns, MAX(created_at) AS last_at FROM turns
                     WHERE org_id = $1 AND agent_id = $2 GROUP BY session ORDER BY last_at DESC LIMIT 1000",
                    params![org, agent.uuid().into_bytes()],
                    |row| {
                        Ok(SessionRow {
                            session: parsed(row, "session")?,
                            turns: count(row, "turns")?,
                            last_at: time(row, "last_at")?,
                        })
                    },
                )
            })
            .await
    }
}

impl Platform {
    /// Turns that were accepted and have not ended, oldest first.
    pub async fn running_turns(&self) -> Result<Vec<StoredTurn>, Error> {
        self.store
            .database
            .read(|db| {
                all(
                    db,
                    &format!("SELECT {COLUMNS} FROM turns WHERE status = 'running' ORDER BY id"),
                    [],
                    stored,
                )
            })
            .await
    }
}
