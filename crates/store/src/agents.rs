//! Agents: a change, the generation it raises and the event that tells of it are one transaction.

use creel_daemon::mint;
use creel_domain::{Agent, AgentId, AgentSpec, Generation, Intent, Name, OrgId, SandboxId};
use rusqlite::{Connection, Row, params};
use serde_json::json;

use crate::{
    Error, Org, Platform,
    error::is_duplicate,
    events::append,
    rows::{all, count, first, id, micros, parsed, time},
};

/// Agents in one org.
pub const MAX_AGENTS: u64 = 1000;

const COLUMNS: &str =
    "id, org_id, name, spec, intent, generation, incarnation, sandbox_id, created_at, changed_at";

#[derive(Debug, Clone)]
pub struct NewAgent {
    pub name: Name,
    pub spec: AgentSpec,
}

/// What an owner changes; the rest stays.
#[derive(Debug, Clone, Default)]
pub struct AgentChange {
    pub spec: Option<AgentSpec>,
    pub intent: Option<Intent>,
    /// Make the sandbox anew though nothing else changed.
    pub renew: bool,
}

fn agent(row: &Row<'_>) -> Result<Agent, Error> {
    Ok(Agent {
        id: id(row, "id")?,
        org: id(row, "org_id")?,
        name: parsed(row, "name")?,
        spec: serde_json::from_str(&row.get::<_, String>("spec")?)?,
        intent: intent(&row.get::<_, String>("intent")?)?,
        generation: Generation(count(row, "generation")?),
        incarnation: count(row, "incarnation")?,
        sandbox: id(row, "sandbox_id")?,
        created_at: time(row, "created_at")?,
        changed_at: time(row, "changed_at")?,
    })
}

fn intent(text: &str) -> Result<Intent, Error> {
    serde_json::from_value(json!(text)).map_err(Error::from)
}

fn intent_text(intent: Intent) -> &'static str {
    match intent {
        Intent::Run => "run",
        Intent::Stop => "stop",
        Intent::Delete => "delete",
    }
}

fn find(db: &Connection, org: OrgId, agent_id: AgentId) -> Result<Agent, Error> {
    let sql = format!("SELECT {COLUMNS} FROM agents WHERE org_id = $1 AND id = $2");
    first(
        db,
        &sql,
        params![org.uuid().into_bytes(), agent_id.uuid().into_bytes()],
        agent,
    )?
    .ok_or(Error::NotFound("agent"))
}

impl Org {
    pub async fn create_agent(&self, new: NewAgent) -> Result<Agent, Error> {
        let clock = &self.store.clock;
        let now = clock.now();
        let agent = Agent {
            id: mint(&**clock),
            org: self.id,
            name: new.name,
            spec: new.spec,
            intent: Intent::Run,
            generation: Generation(1),
            incarnation: 1,
            sandbox: mint::<SandboxId>(&**clock),
            created_at: now,
            changed_at: now,
        };
        let made = self
            .store
            .database
            .write(move |tx| {
                let org = agent.org.uuid().into_bytes();
                let there: i64 = tx.query_row(
                    "SELECT COUNT(*) FROM agents WHERE org_id = $1",
                    params![org],
                    |row| row.get(0),
                )?;
                if there.unsigned_abs() >= MAX_AGENTS {
                    return Err(Error::LimitReached {
                        what: "agents",
                        most: MAX_AGENTS,
                    });
                }
                let inserted = tx.execute(
                    &format!(
                        "INSERT INTO agents ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
                    ),
                    params![
                        agent.id.uuid().into_bytes(),
                        org,
                        agent.name.as_str(),
                        serde_json::to_string(&agent.spec)?,
                        intent_text(agent.intent),
                        1_i64,
                        1_i64,
                        agent.sandbox.uuid().into_bytes(),
                        micros(now),
                        micros(now)
                    ],
                );
                match inserted {
                    Err(error) if is_duplicate(&error) => return Err(Error::NameTaken(agent.name)),
                    other => other?,
                };
                let data = json!({ "name": agent.name, "runtime": agent.spec.runtime });
                append(tx, agent.org, "agent.created", &agent.id.to_string(), &data, now)?;
                Ok(agent)
            })
            .await?;
        self.store.tell();
        Ok(made)
    }

    pub async fn agent(&self, agent_id: AgentId) -> Result<Agent, Error> {
        let org = self.id;
        self.store.database.read(move |db| find(db, org, agent_id)).await
    }

    pub async fn agent_by_name(&self, name: Name) -> Result<Agent, Error> {
        let org = self.id.uuid().into_bytes();
        self.store
            .database
            .read(move |db| {
                let sql = format!("SELECT {COLUMNS} FROM agents WHERE org_id = $1 AND name = $2");
                first(db, &sql, params![org, name.as_str()], agent)?.ok_or(Error::NotFound("agent"))
            })
            .await
    }

    /// Newest first; `before` is the last one of the page before.
    pub async fn agents(&self, before: Option<AgentId>, limit: u32) -> Result<Vec<Agent>, Error> {
        let org = self.id.uuid().into_bytes();
        let before = before.map_or([0xff; 16], |before| before.uuid().into_bytes());
        self.store
            .database
            .read(move |db| {
                let sql = format!(
                    "SELECT {COLUMNS} FROM agents WHERE org_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3"
                );
                all(db, &sql, params![org, before, limit], agent)
            })
            .await
    }

    /// Applies a change if the agent is still at `expected` (any revision when none is given). A change
    /// that changes nothing leaves the generation alone. An agent being deleted takes no other change.
    pub async fn change_agent(
        &self,
        agent_id: AgentId,
        expected: Option<Generation>,
        change: AgentChange,
    ) -> Result<Agent, Error> {
        let (org, now) = (self.id, self.store.clock.now());
        let changed = self
            .store
            .database
            .write(move |tx| {
                let mut agent = find(tx, org, agent_id)?;
                if expected.is_some_and(|expected| expected != agent.generation) {
                    return Err(Error::RevisionMismatch { current: agent.generation });
                }
                let before = agent.clone();
                if agent.intent == Intent::Delete {
                    return if change.intent == Some(Intent::Delete) { Ok(agent) } else { Err(Error::Deleting) };
                }
                if let Some(spec) = change.spec {
                    agent.spec = spec;
                }
                if let Some(intent) = change.intent {
                    agent.intent = intent;
                }
                if change.renew {
                    agent.incarnation += 1;
                }
                if agent == before {
                    return Ok(agent);
                }
                // Making it anew is the reconciler's doing: the owner's patience goes on counting.
                if (&agent.spec, agent.intent) != (&before.spec, before.intent) {
                    agent.changed_at = now;
                }
                agent.generation = agent.generation.next();
                tx.execute(
                    "UPDATE agents SET spec = $1, intent = $2, generation = $3, incarnation = $4, changed_at = $5
                     WHERE org_id = $6 AND id = $7",
                    params![
                        serde_json::to_string(&agent.spec)?,
                        intent_text(agent.intent),
                        i64::try_from(agent.generation.0).unwrap_or(i64::MAX),
                        i64::try_from(agent.incarnation).unwrap_or(i64::MAX),
                        micros(agent.changed_at),
                        org.uuid().into_bytes(),
                        agent.id.uuid().into_bytes()
                    ],
                )?;
                let data = json!({ "name": agent.name, "intent": agent.intent, "revision": agent.generation });
                append(tx, org, "agent.changed", &agent.id.to_string(), &data, now)?;
                Ok(agent)
            })
            .await?;
        self.store.tell();
        Ok(changed)
    }

    /// Removes an agent that is being deleted and whose sandbox is gone, with its turns and decisions.
    /// Calls stay: they were paid for. One that is not there is not an error.
    pub async fn forget_agent(&self, agent_id: AgentId) -> Result<(), Error> {
        let (org, now) = (self.id, self.store.clock.now());
        self.store
            .database
            .write(move |tx| {
                let key = params![org.uuid().into_bytes(), agent_id.uuid().into_bytes()];
                let sql = "DELETE FROM agents WHERE org_id = $1 AND id = $2 AND intent = 'delete'";
                if tx.execute(sql, key)? == 0 {
                    return Ok(());
                }
                tx.execute("DELETE FROM turns WHERE org_id = $1 AND agent_id = $2", key)?;
                tx.execute(
                    "DELETE FROM egress_decisions WHERE org_id = $1 AND agent_id = $2",
                    key,
                )?;
                append(tx, org, "agent.deleted", &agent_id.to_string(), &json!({}), now)
            })
            .await?;
        self.store.tell();
        Ok(())
    }
}

impl Platform {
    /// Every agent of every org.
    pub async fn all_agents(&self) -> Result<Vec<Agent>, Error> {
        self.store
            .database
            .read(|db| {
                all(
                    db,
                    &format!("SELECT {COLUMNS} FROM agents ORDER BY id"),
                    [],
                    agent,
                )
            })
            .await
    }
}
