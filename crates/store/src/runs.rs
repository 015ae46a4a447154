//! What comes of planned times. A time is acted upon in one transaction: the schedule moves on to its next one, the turn
//! begins, the history says so. Of any number of controls one gets to do it, and a crash leaves all of it or nothing.

use std::collections::HashMap;

use creel_domain::{
    Act, Agent, AgentId, Generation, Intent, Missed, NotRun, OrgId, Overlap, Plan, RunId, Schedule,
    ScheduleId, Turn, TurnFailure, TurnId, TurnStatus, When,
};
use jiff::Timestamp;
use serde_json::json;

use crate::{
    Error, Org, Platform, agents,
    audit::record,
    events::append,
    idempotency::made,
    rows::{Row, values},
    schedules, turns,
    tx::Tx,
};

/// Runs kept of one schedule, the newest.
pub const KEPT_RUNS: u32 = 200;
/// Turns under way in one agent, past which no schedule adds one.
pub const MAX_WAITING_TURNS: u64 = 40;

/// A schedule whose time has come, as far as is needed to plan.
#[derive(Debug, Clone, PartialEq)]
pub struct DueSchedule {
    pub org: OrgId,
    pub agent: AgentId,
    pub id: ScheduleId,
    pub when: When,
    pub missed: Missed,
    pub anchor_at: Timestamp,
    pub next_at: Timestamp,
    pub revision: Generation,
}

/// One planned time, or one that somebody asked for, and what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredRun {
    pub id: RunId,
    /// None: somebody asked for it.
    pub planned_at: Option<Timestamp>,
    /// When it was acted upon.
    pub at: Timestamp,
    pub outcome: RunOutcome,
}

#[derive(Debug, Clone, PartialEq)]
pub enum RunOutcome {
    Turn { turn: TurnId, status: TurnStatus },
    NotRun(NotRun),
}

impl TryFrom<&Row> for DueSchedule {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            org: row.id("org_id")?,
            agent: row.id("agent_id")?,
            id: row.id("id")?,
            when: row.json("rule")?,
            missed: row.parsed("missed")?,
            anchor_at: row.time("anchor_at")?,
            next_at: row.time("next_at")?,
            revision: Generation(row.count("revision")?),
        })
    }
}

const RUNS: &str =
    "SELECT r.id, r.schedule_id, r.planned_at, r.at, r.turn_id, r.not_run, t.status, t.failure_code,
        t.failure_message, t.finished_at
    FROM schedule_runs r LEFT JOIN turns t ON t.id = r.turn_id AND t.org_id = r.org_id";

impl TryFrom<&Row> for StoredRun {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        let outcome = match (row.maybe_id("turn_id")?, row.maybe_text("not_run")?) {
            (Some(turn), _) => RunOutcome::Turn {
                turn,
                status: status(row)?,
            },
            (None, Some(_)) => RunOutcome::NotRun(row.parsed("not_run")?),
            (None, None) => return Err(Error::Corrupt("a run without an outcome".to_owned())),
        };
        Ok(Self {
            id: row.id("id")?,
            planned_at: row.maybe_time("planned_at")?,
            at: row.time("at")?,
            outcome,
        })
    }
}

/// How a run's turn stands, without its answer.
fn status(row: &Row) -> Result<TurnStatus, Error> {
    let finished_at = || row.time("finished_at");
    Ok(match row.text("status")? {
        "running" => TurnStatus::Running,
        "done" => TurnStatus::Done {
            text: String::new(),
            finished_at: finished_at()?,
        },
        "cancelled" => TurnStatus::Cancelled {
            finished_at: finished_at()?,
        },
        "failed" => TurnStatus::Failed {
            failure: TurnFailure {
                code: row.text("failure_code")?.to_owned(),
                message: row.text("failure_message")?.to_owned(),
            },
            finished_at: finished_at()?,
        },
        other => return Err(Error::Corrupt(format!("turn status `{other}`"))),
    })
}

/// Of one schedule, newest first.
pub(crate) async fn newest(
    tx: &mut Tx,
    org: OrgId,
    schedule: ScheduleId,
    before: Option<RunId>,
    limit: u32,
) -> Result<Vec<StoredRun>, Error> {
    let before = before.map_or(uuid::Uuid::max(), RunId::uuid);
    let sql = format!(
        "{RUNS} WHERE r.org_id = $1 AND r.schedule_id = $2 AND r.id < $3 ORDER BY r.id DESC LIMIT $4"
    );
    let rows = tx.rows(&sql, values![org, schedule, before, limit]).await?;
    rows.iter().map(StoredRun::try_from).collect()
}

/// The newest of each of an agent's schedules.
pub(crate) async fn last_of_each(
    tx: &mut Tx,
    org: OrgId,
    agent: AgentId,
) -> Result<HashMap<ScheduleId, StoredRun>, Error> {
    let sql = format!(
        "{RUNS} WHERE r.org_id = $1 AND r.agent_id = $2 AND NOT EXISTS (SELECT 1 FROM schedule_runs newer
             WHERE newer.org_id = r.org_id AND newer.schedule_id = r.schedule_id AND newer.id > r.id)"
    );
    let rows = tx.rows(&sql, values![org, agent]).await?;
    rows.iter()
        .map(|row| Ok((row.id("schedule_id")?, StoredRun::try_from(row)?)))
        .collect()
}

/// How many turns are under way in the agent, and of these of one schedule.
async fn under_way(tx: &mut Tx, org: OrgId, schedule: &Schedule) -> Result<(u64, u64), Error> {
    let count = |row: Option<Row>| row.map_or(Ok(0), |row| row.count("there"));
    let sql =
        "SELECT COUNT(*) AS there FROM turns WHERE org_id = $1 AND agent_id = $2 AND status = 'running'";
    let all = count(tx.row(sql, values![org, schedule.agent]).await?)?;
    if all == 0 {
        return Ok((0, 0));
    }
    let sql = "SELECT COUNT(*) AS there FROM schedule_runs r JOIN turns t ON t.id = r.turn_id AND t.org_id = r.org_id
               WHERE r.org_id = $1 AND r.schedule_id = $2 AND t.status = 'running'";
    Ok((all, count(tx.row(sql, values![org, schedule.id]).await?)?))
}

/// Why the agent is not to be told anything now.
async fn not_wanted(tx: &mut Tx, org: OrgId, agent: &Agent) -> Result<Option<NotRun>, Error> {
    let sql = "SELECT 1 AS there FROM orgs WHERE id = $1 AND suspended_at IS NOT NULL";
    if tx.row(sql, values![org]).await?.is_some() {
        return Ok(Some(NotRun::Suspended));
    }
    Ok(match agent.intent {
        Intent::Run => None,
        Intent::Sleep if agent.spec.rest.autostart => None,
        Intent::Sleep => Some(NotRun::Asleep),
        Intent::Stop | Intent::Delete => Some(NotRun::Stopped),
    })
}

/// Whether it is written down; not where this planned time was acted upon before.
async fn write_run(tx: &mut Tx, org: OrgId, schedule: &Schedule, run: &StoredRun) -> Result<bool, Error> {
    let (turn, reason) = match &run.outcome {
        RunOutcome::Turn { turn, .. } => (Some(*turn), None),
        RunOutcome::NotRun(reason) => (None, Some(reason.as_str())),
    };
    let sql =
        "INSERT INTO schedule_runs (id, org_id, agent_id, schedule_id, planned_at, at, turn_id, not_run)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING";
    let values = values![
        run.id,
        org,
        schedule.agent,
        schedule.id,
        run.planned_at,
        run.at,
        turn,
        reason
    ];
    Ok(tx.run(sql, values).await? > 0)
}

async fn prune(tx: &mut Tx, org: OrgId, schedule: ScheduleId) -> Result<(), Error> {
    let sql = "DELETE FROM schedule_runs WHERE org_id = $1 AND schedule_id = $2 AND id IN (
                   SELECT id FROM schedule_runs WHERE org_id = $1 AND schedule_id = $2
                   ORDER BY id DESC LIMIT 1000000 OFFSET $3)";
    tx.run(sql, values![org, schedule, KEPT_RUNS]).await?;
    Ok(())
}

impl Org {
    /// Acts upon a schedule as planned, if it still is as it was when it was planned. The turns that began, oldest first;
    /// none: another control was faster, or its owner has changed it.
    pub async fn fire_schedule(&self, due: DueSchedule, plan: Plan) -> Result<Option<Vec<Turn>>, Error> {
        let (org, now, store) = (self.id, self.store.now(), self.store.clone());
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "UPDATE schedules SET next_at = $1
                           WHERE org_id = $2 AND id = $3 AND next_at = $4 AND revision = $5";
                let values = values![plan.next_at, org, due.id, due.next_at, due.revision];
                if tx.run(sql, values).await? == 0 {
                    return Ok(None);
                }
                let schedule = schedules::find(tx, org, due.agent, due.id).await?;
                let agent = agents::find(tx, org, due.agent).await?;
                let unwanted = not_wanted(tx, org, &agent).await?;
                let (mut all, mut of_it) = under_way(tx, org, &schedule).await?;
                let missed = plan.missed.iter().map(|at| (*at, Some(NotRun::Missed)));
                let mut turns = Vec::new();
                for (planned_at, missed) in missed.chain(plan.due.iter().map(|at| (*at, None))) {
                    let overlaps = of_it > 0 && schedule.spec.overlap == Overlap::Skip && !plan.catching_up;
                    let not_run = missed
                        .or(unwanted)
                        .or(overlaps.then_some(NotRun::Overlap))
                        .or((all >= MAX_WAITING_TURNS).then_some(NotRun::Busy));
                    let turn = told(&store.mint(), &schedule, now);
                    let outcome = match not_run {
                        Some(reason) => RunOutcome::NotRun(reason),
                        None => RunOutcome::Turn {
                            turn: turn.id,
                            status: TurnStatus::Running,
                        },
                    };
                    let run = StoredRun {
                        id: store.mint(),
                        planned_at: Some(planned_at),
                        at: now,
                        outcome,
                    };
                    if !write_run(tx, org, &schedule, &run).await? {
                        continue;
                    }
                    if let Some(reason) = not_run {
                        let data = json!({ "agent": schedule.agent, "name": schedule.name, "planned_at": planned_at,
                                           "reason": reason });
                        append(tx, org, "schedule.skipped", &schedule.id.to_string(), &data, now).await?;
                        continue;
                    }
                    turns::begin(tx, org, &turn, Some(schedule.id)).await?;
                    (all, of_it) = (all + 1, of_it + 1);
                    turns.push(turn);
                }
                prune(tx, org, schedule.id).await?;
                Ok(Some(turns))
            })
        })
        .await
    }

    /// Tells the agent now, whatever the clock says. The schedule's times stay as they are.
    pub async fn run_schedule(
        &self,
        agent: AgentId,
        schedule: ScheduleId,
    ) -> Result<(StoredRun, Turn), Error> {
        let (org, key, now) = (self.id, self.key.clone(), self.store.now());
        let (turn, run) = (self.store.mint::<TurnId>(), self.store.mint::<RunId>());
        self.write(move |tx| {
            Box::pin(async move {
                let schedule = schedules::find(tx, org, agent, schedule).await?;
                let turn = told(&turn, &schedule, now);
                let run = StoredRun {
                    id: run,
                    planned_at: None,
                    at: now,
                    outcome: RunOutcome::Turn {
                        turn: turn.id,
                        status: TurnStatus::Running,
                    },
                };
                write_run(tx, org, &schedule, &run).await?;
                made(tx, org, key.as_deref(), &run.id.to_string()).await?;
                turns::begin(tx, org, &turn, Some(schedule.id)).await?;
                prune(tx, org, schedule.id).await?;
                let act = Act::new("schedule.run")
                    .on("schedule", schedule.id)
                    .named(&schedule.name);
                record(tx, org, act.with("agent", agent).with("turn", turn.id)).await?;
                Ok((run, turn))
            })
        })
        .await
    }

    /// Newest first; `before` is the last one of the page before.
    pub async fn schedule_runs(
        &self,
        schedule: ScheduleId,
        before: Option<RunId>,
        limit: u32,
    ) -> Result<Vec<StoredRun>, Error> {
        let org = self.id;
        self.read(move |tx| Box::pin(newest(tx, org, schedule, before, limit)))
            .await
    }

    pub async fn schedule_run(&self, run: RunId) -> Result<StoredRun, Error> {
        let org = self.id;
        self.read(move |tx| {
            Box::pin(async move {
                let sql = format!("{RUNS} WHERE r.org_id = $1 AND r.id = $2");
                let row = tx.row(&sql, values![org, run]).await?;
                StoredRun::try_from(&row.ok_or(Error::NotFound("run"))?)
            })
        })
        .await
    }
}

/// What the agent is told.
fn told(id: &TurnId, schedule: &Schedule, now: Timestamp) -> Turn {
    Turn {
        id: *id,
        agent: schedule.agent,
        session: schedule.spec.session.clone(),
        message: schedule.spec.message.clone(),
        own_jobs: false,
        status: TurnStatus::Running,
        created_at: now,
    }
}

impl Platform {
    /// Schedules whose time has come, of all orgs, those that wait longest first.
    /// `after` is the last one of the batch before.
    pub async fn due_schedules(
        &self,
        now: Timestamp,
        after: Option<(Timestamp, ScheduleId)>,
        limit: u32,
    ) -> Result<Vec<DueSchedule>, Error> {
        let (at, id) = after.map_or((i64::MIN, uuid::Uuid::nil()), |(at, id)| {
            (at.as_microsecond(), id.uuid())
        });
        self.read(move |tx| {
            Box::pin(async move {
                let sql =
                    "SELECT org_id, agent_id, id, rule, missed, anchor_at, next_at, revision FROM schedules
                           WHERE next_at IS NOT NULL AND next_at <= $1
                               AND (next_at, id) > ($2, $3)
                           ORDER BY next_at, id LIMIT $4";
                let rows = tx.rows(sql, values![now, at, id, limit]).await?;
                rows.iter().map(DueSchedule::try_from).collect()
            })
        })
        .await
    }

    /// The earliest planned time of all.
    pub async fn next_schedule_at(&self) -> Result<Option<Timestamp>, Error> {
        self.read(|tx| {
            Box::pin(async move {
                let sql = "SELECT MIN(next_at) AS next_at FROM schedules WHERE next_at IS NOT NULL";
                let row = tx.row(sql, values![]).await?;
                row.map_or(Ok(None), |row| row.maybe_time("next_at"))
            })
        })
        .await
    }
}
