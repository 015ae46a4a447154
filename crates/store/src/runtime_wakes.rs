//! When a runtime wants to be awake for jobs of its own, and the turns in which it is let do them.

use creel_domain::{AgentId, Intent, OrgId, SessionName, Turn, TurnId, TurnStatus};
use jiff::{SignedDuration, Timestamp};

use crate::{
    Error, Org, Platform, agents,
    rows::{Row, values},
    turns,
};

/// A runtime is let do its own jobs at most so often.
pub const RUNTIME_WAKES_APART: SignedDuration = SignedDuration::from_secs(60);

/// An agent whose runtime wants to be awake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuntimeWake {
    pub org: OrgId,
    pub agent: AgentId,
    pub at: Timestamp,
    /// Whether it must be started first, which takes its time.
    pub from_disk: bool,
}

impl TryFrom<&Row> for RuntimeWake {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            org: row.id("org_id")?,
            agent: row.id("id")?,
            at: row.time("runtime_wake_at")?,
            from_disk: row.text("intent")? == "sleep" && row.text("depth")? == "on_disk",
        })
    }
}

impl Org {
    /// Keeps when the agent's runtime next wants to be awake, as it says. Where it is doing its jobs at this moment, what it
    /// says of them is old news. Whether anything changed.
    pub async fn set_runtime_wake(&self, agent: AgentId, at: Option<Timestamp>) -> Result<bool, Error> {
        let org = self.id;
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "SELECT 1 AS there FROM turns
                           WHERE org_id = $1 AND agent_id = $2 AND status = 'running' AND own_jobs = 1 LIMIT 1";
                if tx.row(sql, values![org, agent]).await?.is_some() {
                    return Ok(false);
                }
                let sql = "SELECT runtime_wake_at, runtime_woken_at FROM agents WHERE org_id = $1 AND id = $2";
                let row = tx.row(sql, values![org, agent]).await?.ok_or(Error::NotFound("agent"))?;
                let woken = row.maybe_time("runtime_woken_at")?;
                let soonest = woken.and_then(|woken| woken.checked_add(RUNTIME_WAKES_APART).ok());
                let at = at.map(|at| soonest.map_or(at, |soonest| at.max(soonest)));
                if row.maybe_time("runtime_wake_at")? == at.map(crate::rows::stored_precision) {
                    return Ok(false);
                }
                let sql = "UPDATE agents SET runtime_wake_at = $1 WHERE org_id = $2 AND id = $3";
                tx.run(sql, values![at, org, agent]).await?;
                Ok(true)
            })
        })
        .await
    }

    /// Lets the agent's runtime do the jobs that it wanted to be awake for, in a turn that begins now. None: it is not
    /// wanted to run, or another control was faster.
    pub async fn begin_own_jobs(
        &self,
        wake: RuntimeWake,
        session: SessionName,
        message: String,
    ) -> Result<Option<Turn>, Error> {
        let (org, now) = (self.id, self.store.now());
        let turn = Turn {
            id: self.store.mint::<TurnId>(),
            agent: wake.agent,
            session,
            message,
            own_jobs: true,
            status: TurnStatus::Running,
            created_at: now,
        };
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "UPDATE agents SET runtime_wake_at = NULL, runtime_woken_at = $1
                           WHERE org_id = $2 AND id = $3 AND runtime_wake_at = $4";
                if tx.run(sql, values![now, org, wake.agent, wake.at]).await? == 0 {
                    return Ok(None);
                }
                let agent = agents::find(tx, org, wake.agent).await?;
                let wanted = match agent.intent {
                    Intent::Run => true,
                    Intent::Sleep => agent.spec.rest.autostart,
                    Intent::Stop | Intent::Delete => false,
                };
                if !wanted {
                    return Ok(None);
                }
                turns::begin(tx, org, &turn, None).await?;
                Ok(Some(turn))
            })
        })
        .await
    }
}

impl Platform {
    /// Agents whose runtime wants to be awake by then, the earliest first.
    pub async fn runtime_wakes(&self, by: Timestamp, limit: u32) -> Result<Vec<RuntimeWake>, Error> {
        self.read(move |tx| {
            Box::pin(async move {
                let sql = "SELECT org_id, id, runtime_wake_at, intent, depth FROM agents
                           WHERE runtime_wake_at IS NOT NULL AND runtime_wake_at <= $1
                           ORDER BY runtime_wake_at, id LIMIT $2";
                let rows = tx.rows(sql, values![by, limit]).await?;
                rows.iter().map(RuntimeWake::try_from).collect()
            })
        })
        .await
    }

    /// When the first of them all wants to.
    pub async fn next_runtime_wake(&self) -> Result<Option<Timestamp>, Error> {
        self.read(|tx| {
            Box::pin(async move {
                let sql =
                    "SELECT MIN(runtime_wake_at) AS wake_at FROM agents WHERE runtime_wake_at IS NOT NULL";
                let row = tx.row(sql, values![]).await?;
                row.map_or(Ok(None), |row| row.maybe_time("wake_at"))
            })
        })
        .await
    }
}
