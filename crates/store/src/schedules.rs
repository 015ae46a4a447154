//! Schedules: what an agent is told by the clock. A change, its next planned time and the entry that tells of it are one
//! transaction.

use creel_domain::{Act, AgentId, Generation, Name, OrgId, Schedule, ScheduleId, ScheduleSpec};
use jiff::Timestamp;
use serde_json::json;

use crate::{
    Error, Org, agents,
    audit::record,
    events::append,
    idempotency::made,
    rows::{Row, values},
    runs::{self, StoredRun},
    tx::Tx,
};

/// Schedules of one agent.
pub const MAX_SCHEDULES: u64 = 100;

pub(crate) const COLUMNS: &str =
    "id, agent_id, name, rule, message, session, enabled, missed, overlap, anchor_at, next_at,
    revision, created_at, changed_at";

#[derive(Debug, Clone)]
pub struct NewSchedule {
    pub name: Name,
    pub spec: ScheduleSpec,
}

/// A schedule, and what came of it last.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredSchedule {
    pub schedule: Schedule,
    pub last_run: Option<StoredRun>,
}

struct ScheduleRow(Schedule);

impl TryFrom<&Row> for ScheduleRow {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        Ok(Self(Schedule {
            id: row.id("id")?,
            agent: row.id("agent_id")?,
            name: row.parsed("name")?,
            spec: ScheduleSpec {
                when: row.json("rule")?,
                message: row.text("message")?.to_owned(),
                session: row.parsed("session")?,
                enabled: row.int("enabled")? != 0,
                missed: row.parsed("missed")?,
                overlap: row.parsed("overlap")?,
            },
            anchor_at: row.time("anchor_at")?,
            next_at: row.maybe_time("next_at")?,
            revision: Generation(row.count("revision")?),
            created_at: row.time("created_at")?,
            changed_at: row.time("changed_at")?,
        }))
    }
}

pub(crate) async fn find(
    tx: &mut Tx,
    org: OrgId,
    agent: AgentId,
    schedule: ScheduleId,
) -> Result<Schedule, Error> {
    let sql = format!("SELECT {COLUMNS} FROM schedules WHERE org_id = $1 AND agent_id = $2 AND id = $3");
    let row = tx.row(&sql, values![org, agent, schedule]).await?;
    Ok(ScheduleRow::try_from(&row.ok_or(Error::NotFound("schedule"))?)?.0)
}

async fn stored(tx: &mut Tx, org: OrgId, schedule: Schedule) -> Result<StoredSchedule, Error> {
    let last_run = runs::newest(tx, org, schedule.id, None, 1).await?.pop();
    Ok(StoredSchedule { schedule, last_run })
}

fn taken(error: Error, name: &Name) -> Error {
    if error.is_duplicate() {
        Error::NameTaken(name.clone())
    } else {
        error
    }
}

/// An event and an entry in the trail: what is said stays out of both.
async fn told(
    tx: &mut Tx,
    org: OrgId,
    event: &str,
    act: Act,
    schedule: &Schedule,
    at: Timestamp,
) -> Result<(), Error> {
    let data = json!({ "agent": schedule.agent, "name": schedule.name, "next_at": schedule.next_at });
    append(tx, org, event, &schedule.id.to_string(), &data, at).await?;
    let act = act.on("schedule", schedule.id).named(&schedule.name);
    record(tx, org, act.with("agent", schedule.agent)).await
}

impl Org {
    /// Makes a schedule, whose first planned time is the next one from now. An agent that is being deleted takes none.
    pub async fn create_schedule(&self, agent: AgentId, new: NewSchedule) -> Result<StoredSchedule, Error> {
        let (org, key, now) = (self.id, self.key.clone(), self.store.now());
        let schedule = Schedule {
            id: self.store.mint(),
            agent,
            name: new.name,
            anchor_at: now,
            next_at: new.spec.next(now, now),
            spec: new.spec,
            revision: Generation(1),
            created_at: now,
            changed_at: now,
        };
        self.write(move |tx| {
            Box::pin(async move {
                agents::find_kept(tx, org, agent).await?;
                let sql = "SELECT COUNT(*) AS there FROM schedules WHERE org_id = $1 AND agent_id = $2";
                let there = tx.row(sql, values![org, agent]).await?;
                if there.map_or(Ok(0), |row| row.count("there"))? >= MAX_SCHEDULES {
                    return Err(Error::LimitReached {
                        what: "schedules of this agent",
                        most: MAX_SCHEDULES,
                    });
                }
                let sql = format!(
                    "INSERT INTO schedules (org_id, {COLUMNS})
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)"
                );
                let spec = &schedule.spec;
                let values = values![
                    org,
                    schedule.id,
                    agent,
                    &schedule.name,
                    serde_json::to_string(&spec.when)?,
                    spec.message.as_str(),
                    &spec.session,
                    i64::from(spec.enabled),
                    spec.missed.as_str(),
                    spec.overlap.as_str(),
                    schedule.anchor_at,
                    schedule.next_at,
                    schedule.revision,
                    now,
                    now,
                ];
                let inserted = tx.run(&sql, values).await;
                inserted.map_err(|error| taken(error, &schedule.name))?;
                made(tx, org, key.as_deref(), &schedule.id.to_string()).await?;
                let act = Act::new("schedule.create").with("when", &schedule.spec.when);
                told(tx, org, "schedule.created", act, &schedule, now).await?;
                Ok(StoredSchedule {
                    schedule,
                    last_run: None,
                })
            })
        })
        .await
    }

    pub async fn schedule(&self, agent: AgentId, schedule: ScheduleId) -> Result<StoredSchedule, Error> {
        let org = self.id;
        self.read(move |tx| {
            Box::pin(async move {
                let found = find(tx, org, agent, schedule).await?;
                stored(tx, org, found).await
            })
        })
        .await
    }

    pub async fn schedule_by_name(&self, agent: AgentId, name: Name) -> Result<StoredSchedule, Error> {
        let org = self.id;
        self.read(move |tx| {
            Box::pin(async move {
                let sql = format!(
                    "SELECT {COLUMNS} FROM schedules WHERE org_id = $1 AND agent_id = $2 AND name = $3"
                );
                let row = tx.row(&sql, values![org, agent, &name]).await?;
                let found = ScheduleRow::try_from(&row.ok_or(Error::NotFound("schedule"))?)?.0;
                stored(tx, org, found).await
            })
        })
        .await
    }

    /// All of an agent, by name.
    pub async fn schedules(&self, agent: AgentId) -> Result<Vec<StoredSchedule>, Error> {
        let org = self.id;
        self.read(move |tx| {
            Box::pin(async move {
                let sql = format!(
                    "SELECT {COLUMNS} FROM schedules WHERE org_id = $1 AND agent_id = $2 ORDER BY name LIMIT $3"
                );
                let rows = tx.rows(&sql, values![org, agent, MAX_SCHEDULES]).await?;
                let mut last = runs::last_of_each(tx, org, agent).await?;
                rows.iter()
                    .map(|row| {
                        let schedule = ScheduleRow::try_from(row)?.0;
                        let last_run = last.remove(&schedule.id);
                        Ok(StoredSchedule { schedule, last_run })
                    })
                    .collect()
            })
        })
        .await
    }

    /// Changes a schedule that is still at `expected`, whatever it is where none is given. What its times are counted from
    /// stays, unless they are others from now on; resumed, it goes on with the next one.
    pub async fn change_schedule(
        &self,
        agent: AgentId,
        schedule: ScheduleId,
        expected: Option<Generation>,
        spec: ScheduleSpec,
    ) -> Result<StoredSchedule, Error> {
        let (org, now) = (self.id, self.store.now());
        self.write(move |tx| {
            Box::pin(async move {
                let before = find(tx, org, agent, schedule).await?;
                if expected.is_some_and(|expected| expected != before.revision) {
                    return Err(Error::RevisionMismatch {
                        current: before.revision,
                    });
                }
                if spec == before.spec {
                    return stored(tx, org, before).await;
                }
                let mut after = Schedule {
                    spec,
                    revision: before.revision.next(),
                    changed_at: now,
                    ..before.clone()
                };
                if after.spec.when != before.spec.when {
                    after.anchor_at = now;
                }
                if (&after.spec.when, after.spec.enabled) != (&before.spec.when, before.spec.enabled) {
                    after.next_at = after.spec.next(after.anchor_at, now);
                }
                let spec = &after.spec;
                let sql =
                    "UPDATE schedules SET rule = $1, message = $2, session = $3, enabled = $4, missed = $5,
                               overlap = $6, anchor_at = $7, next_at = $8, revision = $9, changed_at = $10
                           WHERE org_id = $11 AND id = $12";
                let values = values![
                    serde_json::to_string(&spec.when)?,
                    spec.message.as_str(),
                    &spec.session,
                    i64::from(spec.enabled),
                    spec.missed.as_str(),
                    spec.overlap.as_str(),
                    after.anchor_at,
                    after.next_at,
                    after.revision,
                    now,
                    org,
                    schedule,
                ];
                tx.run(sql, values).await?;
                told(tx, org, "schedule.changed", changes(&before, &after), &after, now).await?;
                stored(tx, org, after).await
            })
        })
        .await
    }

    pub async fn remove_schedule(&self, agent: AgentId, schedule: ScheduleId) -> Result<(), Error> {
        let (org, now) = (self.id, self.store.now());
        self.write(move |tx| {
            Box::pin(async move {
                let found = find(tx, org, agent, schedule).await?;
                for sql in [
                    "DELETE FROM schedule_runs WHERE org_id = $1 AND schedule_id = $2",
                    "DELETE FROM schedules WHERE org_id = $1 AND id = $2",
                ] {
                    tx.run(sql, values![org, schedule]).await?;
                }
                told(
                    tx,
                    org,
                    "schedule.removed",
                    Act::new("schedule.remove"),
                    &found,
                    now,
                )
                .await
            })
        })
        .await
    }
}

/// What a change is called, and which parts it concerns.
fn changes(before: &Schedule, after: &Schedule) -> Act {
    let (old, new) = (&before.spec, &after.spec);
    let mut act = Act::new(match (old.enabled, new.enabled) {
        (true, false) => "schedule.pause",
        (false, true) => "schedule.resume",
        _ => "schedule.change",
    });
    if old.when != new.when {
        act = act.with("when", &new.when);
    }
    if old.message != new.message {
        act = act.with("message", "changed");
    }
    if old.session != new.session {
        act = act.with("session", &new.session);
    }
    if old.missed != new.missed {
        act = act.with("missed", new.missed);
    }
    if old.overlap != new.overlap {
        act = act.with("overlap", new.overlap);
    }
    act.with("revision", after.revision.0)
}
