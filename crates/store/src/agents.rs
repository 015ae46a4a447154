//! Agents: a change, the generation it raises and the event that tells of it are one transaction.

use creel_domain::{Act, Agent, AgentId, AgentSpec, Depth, Generation, Intent, Name, OrgId, SandboxId};
use serde_json::json;

use crate::{
    Error, Org, Platform,
    audit::record,
    events::append,
    hosts,
    idempotency::made,
    ports,
    rows::{Row, values},
    spares,
    tx::Tx,
};

/// Agents in one org.
pub const MAX_AGENTS: u64 = 1000;
/// Turns removed in one transaction: nobody else waits long for a long history to go.
const FORGET_BATCH: u32 = 500;

const COLUMNS: &str =
    "id, org_id, name, spec, intent, generation, incarnation, sandbox_id, created_at, changed_at, depth,
     asleep_since, revision, runtime_wake_at, held_until";

#[derive(Debug, Clone)]
pub struct NewAgent {
    pub name: Name,
    pub spec: AgentSpec,
}

/// As what the agent must still be, for a change to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unchanged {
    /// As its owner has seen it.
    Revision(Generation),
    /// In every respect.
    Generation(Generation),
}

/// What changes; the rest stays.
#[derive(Debug, Clone, Default)]
pub struct AgentChange {
    pub spec: Option<AgentSpec>,
    pub intent: Option<Intent>,
    /// Make the sandbox anew though nothing else changed.
    pub renew: bool,
}

struct AgentRow(Agent);

impl TryFrom<Row> for AgentRow {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        Ok(Self(Agent {
            id: row.id("id")?,
            org: row.id("org_id")?,
            name: row.parsed("name")?,
            spec: row.json("spec")?,
            intent: match row.text("intent")? {
                "run" => Intent::Run,
                "sleep" => Intent::Sleep,
                "stop" => Intent::Stop,
                "delete" => Intent::Delete,
                other => return Err(Error::Corrupt(format!("intent `{other}`"))),
            },
            generation: Generation(row.count("generation")?),
            incarnation: row.count("incarnation")?,
            sandbox: row.id("sandbox_id")?,
            created_at: row.time("created_at")?,
            changed_at: row.time("changed_at")?,
            depth: row.parsed("depth")?,
            asleep_since: row.maybe_time("asleep_since")?,
            revision: Generation(row.count("revision")?),
            runtime_wake_at: row.maybe_time("runtime_wake_at")?,
            held_until: row.maybe_time("held_until")?,
        }))
    }
}

fn intent_text(intent: Intent) -> &'static str {
    match intent {
        Intent::Run => "run",
        Intent::Sleep => "sleep",
        Intent::Stop => "stop",
        Intent::Delete => "delete",
    }
}

pub(crate) async fn find(tx: &mut Tx, org: OrgId, agent: AgentId) -> Result<Agent, Error> {
    let sql = format!("SELECT {COLUMNS} FROM agents WHERE org_id = $1 AND id = $2");
    let row = tx.row(&sql, values![org, agent]).await?;
    Ok(AgentRow::try_from(row.ok_or(Error::NotFound("agent"))?)?.0)
}

/// The same, for what is only done to an agent that is not being deleted.
pub(crate) async fn find_kept(tx: &mut Tx, org: OrgId, agent: AgentId) -> Result<Agent, Error> {
    let found = find(tx, org, agent).await?;
    match found.intent {
        Intent::Delete => Err(Error::Deleting),
        Intent::Run | Intent::Sleep | Intent::Stop => Ok(found),
    }
}

async fn list(tx: &mut Tx, sql: &str, values: &[crate::rows::Value]) -> Result<Vec<Agent>, Error> {
    let rows = tx.rows(sql, values).await?;
    rows.into_iter()
        .map(|row| AgentRow::try_from(row).map(|row| row.0))
        .collect()
}

async fn insert(tx: &mut Tx, agent: &Agent) -> Result<(), Error> {
    let sql = "SELECT COUNT(*) AS there FROM agents WHERE org_id = $1";
    let there = tx.row(sql, values![agent.org]).await?;
    if there.map_or(Ok(0), |row| row.count("there"))? >= MAX_AGENTS {
        return Err(Error::LimitReached {
            what: "agents",
            most: MAX_AGENTS,
        });
    }
    let sql = format!(
        "INSERT INTO agents ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)"
    );
    let values = values![
        agent.id,
        agent.org,
        &agent.name,
        serde_json::to_string(&agent.spec)?,
        intent_text(agent.intent),
        agent.generation,
        agent.incarnation,
        agent.sandbox,
        agent.created_at,
        agent.changed_at,
        agent.depth.as_str(),
        agent.asleep_since,
        agent.revision,
        agent.runtime_wake_at,
        agent.held_until,
    ];
    tx.run(&sql, values).await.map_err(|error| {
        if error.is_duplicate() {
            Error::NameTaken(agent.name.clone())
        } else if error.is_dangling() {
            Error::NotFound("org")
        } else {
            error
        }
    })?;
    Ok(())
}

/// What the agent becomes; none when nothing changes.
fn changed(before: &Agent, change: AgentChange, now: jiff::Timestamp) -> Result<Option<Agent>, Error> {
    if before.intent == Intent::Delete {
        return match change.intent {
            Some(Intent::Delete) => Ok(None),
            _ => Err(Error::Deleting),
        };
    }
    let mut agent = before.clone();
    agent.spec = change.spec.unwrap_or(agent.spec);
    agent.intent = change.intent.unwrap_or(agent.intent);
    // Making it anew is the reconciler's doing: the owner's patience goes on counting.
    if (&agent.spec, agent.intent) != (&before.spec, before.intent) {
        agent.changed_at = now;
        agent.revision = agent.revision.next();
    }
    if agent.intent != before.intent {
        agent.depth = agent.spec.rest.when_told();
        agent.asleep_since = (agent.intent == Intent::Sleep).then_some(now);
        agent.held_until = agent.held_until.filter(|_| agent.intent == Intent::Run);
    }
    if change.renew {
        agent.incarnation = agent.incarnation.saturating_add(1);
    }
    if agent == *before {
        return Ok(None);
    }
    agent.generation = agent.generation.next();
    Ok(Some(agent))
}

/// What a change is called, and which parts it concerns.
fn told(before: &Agent, after: &Agent) -> Act {
    let action = match (before.intent, after.intent) {
        (_, Intent::Delete) => "agent.delete",
        (Intent::Run | Intent::Sleep, Intent::Stop) => "agent.stop",
        (Intent::Run | Intent::Stop, Intent::Sleep) => "agent.sleep",
        (Intent::Stop | Intent::Sleep, Intent::Run) => "agent.start",
        _ if before.spec != after.spec => "agent.change",
        _ => "agent.restart",
    };
    let mut act = Act::new(action).on("agent", after.id).named(&after.name);
    let (old, new) = (&before.spec, &after.spec);
    if old.model != new.model {
        act = act.with("model", &new.model);
    }
    let changed = [
        ("limits", old.limits != new.limits),
        ("files", old.files != new.files),
        ("rest", old.rest != new.rest),
    ];
    for (part, _) in changed.into_iter().filter(|(_, changed)| *changed) {
        act = act.with(part, "changed");
    }
    act.with("revision", after.revision.0)
}

/// Writes down what changes of an agent; the one that was read, or nothing.
async fn update(tx: &mut Tx, before: &Agent, after: &Agent) -> Result<(), Error> {
    // The old generation again: on an engine with several writers, the second one loses.
    let sql = "UPDATE agents SET spec = $1, intent = $2, generation = $3, incarnation = $4, changed_at = $5,
                   depth = $6, asleep_since = $7, revision = $8,
                   held_until = CASE WHEN $2 = 'run' THEN held_until ELSE NULL END
               WHERE org_id = $9 AND id = $10 AND generation = $11";
    let values = values![
        serde_json::to_string(&after.spec)?,
        intent_text(after.intent),
        after.generation,
        after.incarnation,
        after.changed_at,
        after.depth.as_str(),
        after.asleep_since,
        after.revision,
        after.org,
        after.id,
        before.generation,
    ];
    match tx.run(sql, values).await? {
        0 => Err(Error::RevisionMismatch {
            current: before.revision,
        }),
        _ => Ok(()),
    }
}

impl Org {
    pub async fn create_agent(&self, new: NewAgent) -> Result<Agent, Error> {
        let (key, now) = (self.key.clone(), self.store.now());
        let mut agent = Agent {
            id: self.store.mint(),
            org: self.id,
            name: new.name,
            spec: new.spec,
            intent: Intent::Run,
            generation: Generation(1),
            incarnation: 1,
            sandbox: self.store.mint::<SandboxId>(),
            created_at: now,
            changed_at: now,
            depth: Depth::Frozen,
            asleep_since: None,
            revision: Generation(1),
            runtime_wake_at: None,
            held_until: None,
        };
        self.write(move |tx| {
            Box::pin(async move {
                if let Some(spare) = spares::claim(tx, agent.spec.runtime, agent.spec.limits).await? {
                    agent.sandbox = spare.sandbox;
                    agent.generation = spare.generation.next();
                }
                insert(tx, &agent).await?;
                hosts::label(tx, agent.org, agent.id, &agent.name, now).await?;
                let subject = agent.id.to_string();
                made(tx, agent.org, key.as_deref(), &subject).await?;
                let data = json!({ "name": agent.name, "runtime": agent.spec.runtime });
                append(tx, agent.org, "agent.created", &subject, &data, now).await?;
                let act = Act::new("agent.create").on("agent", agent.id).named(&agent.name);
                let act = act.with("runtime", agent.spec.runtime.as_str());
                record(tx, agent.org, act.with("model", &agent.spec.model)).await?;
                Ok(agent)
            })
        })
        .await
    }

    pub async fn agent(&self, agent: AgentId) -> Result<Agent, Error> {
        let org = self.id;
        self.read(move |tx| Box::pin(find(tx, org, agent))).await
    }

    pub async fn agent_by_name(&self, name: Name) -> Result<Agent, Error> {
        let org = self.id;
        self.read(move |tx| {
            Box::pin(async move {
                let sql = format!("SELECT {COLUMNS} FROM agents WHERE org_id = $1 AND name = $2");
                let row = tx.row(&sql, values![org, &name]).await?;
                Ok(AgentRow::try_from(row.ok_or(Error::NotFound("agent"))?)?.0)
            })
        })
        .await
    }

    /// Newest first; `before` is the last one of the page before.
    pub async fn agents(&self, before: Option<AgentId>, limit: u32) -> Result<Vec<Agent>, Error> {
        let org = self.id;
        let before = before.map_or(uuid::Uuid::max(), AgentId::uuid);
        self.read(move |tx| {
            Box::pin(async move {
                let sql = format!(
                    "SELECT {COLUMNS} FROM agents WHERE org_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3"
                );
                list(tx, &sql, values![org, before, limit]).await
            })
        })
        .await
    }

    /// Applies a change if the agent is still as `expected` (whatever it is when none is given). A change
    /// that changes nothing leaves the generation alone. An agent being deleted takes no other change.
    pub async fn change_agent(
        &self,
        agent: AgentId,
        expected: Option<Unchanged>,
        change: AgentChange,
    ) -> Result<Agent, Error> {
        let (org, now) = (self.id, self.store.now());
        self.write(move |tx| {
            Box::pin(async move {
                let before = find(tx, org, agent).await?;
                let current = before.revision;
                let holds = match expected {
                    None => true,
                    Some(Unchanged::Revision(revision)) => revision == before.revision,
                    Some(Unchanged::Generation(generation)) => generation == before.generation,
                };
                if !holds {
                    return Err(Error::RevisionMismatch { current });
                }
                let Some(agent) = changed(&before, change, now)? else {
                    return Ok(before);
                };
                update(tx, &before, &agent).await?;
                if agent.intent == Intent::Delete {
                    // There is no way back, and its sandbox may take its time to go.
                    let sql = "DELETE FROM secrets WHERE org_id = $1 AND agent_id = $2";
                    tx.run(sql, values![org, agent.id]).await?;
                    let sql = "DELETE FROM schedules WHERE org_id = $1 AND agent_id = $2";
                    tx.run(sql, values![org, agent.id]).await?;
                }
                let data = json!({ "name": agent.name, "intent": agent.intent, "revision": agent.revision });
                append(tx, org, "agent.changed", &agent.id.to_string(), &data, now).await?;
                record(tx, org, told(&before, &agent)).await?;
                Ok(agent)
            })
        })
        .await
    }

    /// Puts an agent to rest, or deeper, that is still as it was seen and has no turn under way. None: it is otherwise.
    pub async fn put_to_rest(
        &self,
        agent: AgentId,
        seen: Generation,
        depth: Depth,
    ) -> Result<Option<Agent>, Error> {
        let (org, now) = (self.id, self.store.now());
        self.write(move |tx| {
            Box::pin(async move {
                let before = find(tx, org, agent).await?;
                let sleeps = before.intent == Intent::Sleep;
                if before.generation != seen || !(sleeps || before.intent == Intent::Run) {
                    return Ok(None);
                }
                if sleeps && before.depth >= depth {
                    return Ok(None);
                }
                if !sleeps && before.held_until.is_some_and(|until| until > now) {
                    return Ok(None);
                }
                let sql = "SELECT 1 AS there FROM turns WHERE org_id = $1 AND agent_id = $2 AND status = 'running' LIMIT 1";
                if tx.row(sql, values![org, agent]).await?.is_some() {
                    return Ok(None);
                }
                let after = Agent {
                    intent: Intent::Sleep,
                    depth,
                    asleep_since: before.asleep_since.or(Some(now)),
                    held_until: None,
                    generation: before.generation.next(),
                    ..before.clone()
                };
                update(tx, &before, &after).await?;
                Ok(Some(after))
            })
        })
        .await
    }

    /// Wakes an agent that sleeps. One that does not is left as it is.
    pub async fn wake_agent(&self, agent: AgentId) -> Result<Agent, Error> {
        let (org, now) = (self.id, self.store.now());
        self.write(move |tx| {
            Box::pin(async move {
                let before = find(tx, org, agent).await?;
                if before.intent != Intent::Sleep {
                    return Ok(before);
                }
                let after = Agent {
                    intent: Intent::Run,
                    asleep_since: None,
                    generation: before.generation.next(),
                    // Whoever waits for it begins to be patient now.
                    changed_at: now,
                    ..before.clone()
                };
                update(tx, &before, &after).await?;
                Ok(after)
            })
        })
        .await
    }

    /// Keeps an agent awake until then, whatever was said before; none: no longer. Whether anybody needs it is as it was.
    pub async fn hold_agent(&self, agent: AgentId, until: Option<jiff::Timestamp>) -> Result<Agent, Error> {
        let (org, now) = (self.id, self.store.now());
        self.write(move |tx| {
            Box::pin(async move {
                let before = find_kept(tx, org, agent).await?;
                let sql = "UPDATE agents SET held_until = $1 WHERE org_id = $2 AND id = $3";
                tx.run(sql, values![until, org, agent]).await?;
                let data = json!({ "name": before.name, "held_until": until });
                append(tx, org, "agent.held", &agent.to_string(), &data, now).await?;
                let act = match until {
                    Some(until) => Act::new("agent.hold").with("until", until),
                    None => Act::new("agent.release"),
                };
                record(tx, org, act.on("agent", agent).named(&before.name)).await?;
                Ok(Agent {
                    held_until: until,
                    ..before
                })
            })
        })
        .await
    }

    /// Removes an agent that is being deleted and whose sandbox is gone, with its turns and decisions.
    /// Calls stay: they were paid for. One that is not there is not an error, and a crash in between
    /// leaves an agent that is forgotten the next time.
    pub async fn forget_agent(&self, agent: AgentId) -> Result<(), Error> {
        while self.forget_some(agent).await? {}
        Ok(())
    }

    /// Removes a part of an agent's history, or at last the agent. Whether there is more to do.
    async fn forget_some(&self, agent: AgentId) -> Result<bool, Error> {
        let (org, now) = (self.id, self.store.now());
        self.write(move |tx| {
            Box::pin(async move {
                match find(tx, org, agent).await {
                    Ok(found) if found.intent == Intent::Delete => {}
                    Ok(_) | Err(Error::NotFound(_)) => return Ok(false),
                    Err(error) => return Err(error),
                }
                let sql =
                    "DELETE FROM turns WHERE org_id = $1 AND agent_id = $2 AND id IN (SELECT id FROM turns
                               WHERE org_id = $1 AND agent_id = $2 LIMIT $3)";
                if tx.run(sql, values![org, agent, FORGET_BATCH]).await? > 0 {
                    return Ok(true);
                }
                let sql = "DELETE FROM schedule_runs WHERE org_id = $1 AND agent_id = $2 AND id IN (
                               SELECT id FROM schedule_runs WHERE org_id = $1 AND agent_id = $2 LIMIT $3)";
                if tx.run(sql, values![org, agent, FORGET_BATCH]).await? > 0 {
                    return Ok(true);
                }
                let key = values![org, agent];
                tx.run("DELETE FROM schedules WHERE org_id = $1 AND agent_id = $2", key)
                    .await?;
                tx.run("DELETE FROM secrets WHERE org_id = $1 AND agent_id = $2", key)
                    .await?;
                tx.run(
                    "DELETE FROM egress_decisions WHERE org_id = $1 AND agent_id = $2",
                    key,
                )
                .await?;
                ports::forget(tx, org, agent).await?;
                tx.run("DELETE FROM agents WHERE org_id = $1 AND id = $2", key)
                    .await?;
                append(tx, org, "agent.deleted", &agent.to_string(), &json!({}), now).await?;
                record(tx, org, Act::new("agent.forget").on("agent", agent)).await?;
                Ok(false)
            })
        })
        .await
    }
}

impl Platform {
    /// Every agent of every org.
    pub async fn all_agents(&self) -> Result<Vec<Agent>, Error> {
        self.read(|tx| {
            Box::pin(async move {
                let sql = format!("SELECT {COLUMNS} FROM agents ORDER BY id");
                list(tx, &sql, values![]).await
            })
        })
        .await
    }
}
