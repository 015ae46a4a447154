//! Schedules: made, changed, removed, said at once; and what came of them.

use std::sync::Arc;

use creel_api::{
    self as api, CreateSchedule, ErrorCode, PatchSchedule, PreviewSchedule, RunState, SchedulePreview,
    ScheduleRun,
};
use creel_domain::{Agent, Name, NotRun, RunId, ScheduleId, ScheduleSpec, SessionName, TurnStatus, When};
use creel_store::{NewSchedule, Org, RunOutcome, StoredRun, StoredSchedule};

use super::{
    agents::Revision,
    once::once,
    turns::{check_message, place},
};
use crate::{
    Control,
    http::{
        auth::Caller,
        failure::{Answer, Failure},
        idempotency::Key,
    },
};

/// Times to come that are shown of a schedule.
const SHOWN: usize = 3;
/// Times that a preview shows, and the most that it may.
const PREVIEWED: u32 = 5;
const MOST_PREVIEWED: u32 = 50;

pub(crate) fn shown(stored: StoredSchedule) -> api::Schedule {
    let schedule = stored.schedule;
    let spec = schedule.spec;
    let upcoming = std::iter::successors(schedule.next_at, |at| spec.when.next(schedule.anchor_at, *at));
    api::Schedule {
        id: schedule.id,
        agent: schedule.agent,
        name: schedule.name,
        upcoming: upcoming.take(SHOWN).collect(),
        when: spec.when,
        message: spec.message,
        session: spec.session,
        enabled: spec.enabled,
        missed: spec.missed,
        overlap: spec.overlap,
        last_run: stored.last_run.map(shown_run),
        revision: schedule.revision,
        created_at: schedule.created_at,
        changed_at: schedule.changed_at,
    }
}

pub(crate) fn shown_run(run: StoredRun) -> ScheduleRun {
    let mut shown = ScheduleRun {
        id: run.id,
        planned_at: run.planned_at,
        at: run.at,
        state: RunState::Running,
        turn: None,
        reason: None,
        detail: None,
        failure: None,
        finished_at: None,
    };
    match run.outcome {
        RunOutcome::NotRun(reason) => {
            shown.state = match reason {
                NotRun::Missed => RunState::Missed,
                _ => RunState::Skipped,
            };
            shown.detail = Some(reason.sentence().to_owned());
            shown.reason = Some(reason);
        }
        RunOutcome::Turn { turn, status } => {
            shown.turn = Some(turn);
            (shown.state, shown.finished_at, shown.failure) = match status {
                TurnStatus::Running => (RunState::Running, None, None),
                TurnStatus::Done { finished_at, .. } => (RunState::Done, Some(finished_at), None),
                TurnStatus::Cancelled { finished_at } => (RunState::Cancelled, Some(finished_at), None),
                TurnStatus::Failed { finished_at, failure } => {
                    (RunState::Failed, Some(finished_at), Some(failure))
                }
            };
        }
    }
    shown
}

/// A schedule of the agent, by its id or its name.
pub(crate) async fn find(control: &Control, agent: &Agent, text: &str) -> Answer<StoredSchedule> {
    let missing = || {
        let shown: String = text.chars().take(60).collect();
        let name = &agent.name;
        Failure::not_found(format!(
            "Agent `{name}` has no schedule `{shown}`: `creel schedule ls {name}` shows those that there are."
        ))
    };
    let org = control.store.org(agent.org);
    let found = if let Ok(id) = text.parse::<ScheduleId>() {
        org.schedule(agent.id, id).await
    } else if let Ok(name) = text.parse::<Name>() {
        org.schedule_by_name(agent.id, name).await
    } else {
        return Err(missing());
    };
    found.map_err(|error| match error {
        creel_store::Error::NotFound(_) => missing(),
        other => other.into(),
    })
}

pub(crate) async fn list(control: &Control, agent: &Agent) -> Answer<Vec<api::Schedule>> {
    let stored = control.store.org(agent.org).schedules(agent.id).await?;
    Ok(stored.into_iter().map(shown).collect())
}

fn check_when(control: &Control, when: &When) -> Answer<()> {
    when.check(control.clock.now())
        .map_err(|error| Failure::invalid(format!("{error}.")))
}

pub(crate) async fn create(
    control: &Arc<Control>,
    caller: &Caller,
    agent: &Agent,
    create: CreateSchedule,
    key: Option<Key>,
) -> Answer<StoredSchedule> {
    check_message(&create.message)?;
    let session = match create.session {
        Some(session) => session,
        None => create
            .name
            .as_str()
            .parse::<SessionName>()
            .map_err(Failure::internal)?,
    };
    let new = NewSchedule {
        name: create.name,
        spec: ScheduleSpec {
            when: create.when,
            message: create.message,
            session,
            enabled: create.enabled.unwrap_or(true),
            missed: create.missed.unwrap_or_default(),
            overlap: create.overlap.unwrap_or_default(),
        },
    };
    let (this, org, agent) = (Arc::clone(control), caller.org(control), agent.clone());
    let made = control
        .detached(async move {
            let id = agent.id;
            // What was made under the key before may have had its time since.
            let make = async |org: Org| {
                check_when(&this, &new.spec.when)?;
                Ok(org
                    .create_schedule(id, new)
                    .await
                    .map_err(|error| deleting(&agent, error))?
                    .schedule
                    .id)
            };
            let again = async |_, made: String| made.parse().map_err(Failure::internal);
            let made: ScheduleId = once(org.clone(), key, make, again).await?;
            Ok(org.schedule(id, made).await?)
        })
        .await?;
    control.schedules_nudge.notify_one();
    Ok(made)
}

fn deleting(agent: &Agent, error: creel_store::Error) -> Failure {
    match error {
        creel_store::Error::Deleting => Failure::new(
            ErrorCode::Conflict,
            format!("Agent `{}` is being deleted.", agent.name),
        ),
        other => other.into(),
    }
}

pub(crate) async fn patch(
    control: &Control,
    caller: &Caller,
    agent: &Agent,
    schedule: &str,
    revision: Revision,
    patch: PatchSchedule,
) -> Answer<StoredSchedule> {
    let found = find(control, agent, schedule).await?.schedule;
    let mismatch = |current: creel_domain::Generation| {
        Failure::new(
            ErrorCode::RevisionMismatch,
            format!(
                "The schedule was changed in the meantime: it is now at revision {}. Read it again, then repeat the \
                 change.",
                current.0
            ),
        )
    };
    match revision {
        Revision::Exactly(revision) if revision != found.revision => return Err(mismatch(found.revision)),
        Revision::Exactly(_) | Revision::Any => {}
    }
    let mut spec = found.spec.clone();
    if let Some(message) = patch.message {
        check_message(&message)?;
        spec.message = message;
    }
    if let Some(when) = patch.when.filter(|when| *when != spec.when) {
        check_when(control, &when)?;
        spec.when = when;
    }
    spec.session = patch.session.unwrap_or(spec.session);
    spec.missed = patch.missed.unwrap_or(spec.missed);
    spec.overlap = patch.overlap.unwrap_or(spec.overlap);
    spec.enabled = patch.enabled.unwrap_or(spec.enabled);
    let org = caller.org(control);
    // What is changed is what was read.
    let changed = org
        .change_schedule(agent.id, found.id, Some(found.revision), spec)
        .await;
    let changed = changed.map_err(|error| match error {
        creel_store::Error::RevisionMismatch { current } => mismatch(current),
        other => other.into(),
    })?;
    control.schedules_nudge.notify_one();
    Ok(changed)
}

pub(crate) async fn remove(control: &Control, caller: &Caller, agent: &Agent, schedule: &str) -> Answer<()> {
    let found = find(control, agent, schedule).await?.schedule;
    Ok(caller.org(control).remove_schedule(agent.id, found.id).await?)
}

/// Says it now, as a message that somebody sends.
pub(crate) async fn run(
    control: &Arc<Control>,
    caller: &Caller,
    agent: &Agent,
    schedule: &str,
    key: Option<Key>,
) -> Answer<ScheduleRun> {
    let found = find(control, agent, schedule).await?.schedule;
    let (this, org, agent) = (Arc::clone(control), caller.org(control), agent.clone());
    control
        .detached(async move {
            let make = async |org: Org| {
                this.check_wanted(&agent)?;
                let place = place(&this, &agent)?;
                let (run, turn) = org.run_schedule(agent.id, found.id).await?;
                this.turns.begin(&this, place, agent.org, turn);
                Ok(run.id)
            };
            let again = async |_, made: String| made.parse().map_err(Failure::internal);
            let run: RunId = once(org.clone(), key, make, again).await?;
            Ok(shown_run(org.schedule_run(run).await?))
        })
        .await
}

/// A page of runs, newest first, and whether there are older ones.
pub(crate) async fn runs(
    control: &Control,
    agent: &Agent,
    schedule: &str,
    before: Option<RunId>,
    limit: u32,
) -> Answer<(Vec<ScheduleRun>, bool)> {
    let found = find(control, agent, schedule).await?.schedule;
    let org = control.store.org(agent.org);
    let mut runs = org.schedule_runs(found.id, before, limit + 1).await?;
    let more = runs.len() > limit as usize;
    runs.truncate(limit as usize);
    Ok((runs.into_iter().map(shown_run).collect(), more))
}

/// The next times from now on.
pub(crate) fn preview(control: &Control, preview: &PreviewSchedule) -> Answer<SchedulePreview> {
    let count = match preview.count.unwrap_or(PREVIEWED) {
        count @ 1..=MOST_PREVIEWED => count as usize,
        _ => {
            return Err(Failure::invalid(format!(
                "`count` must be 1 to {MOST_PREVIEWED}."
            )));
        }
    };
    check_when(control, &preview.when)?;
    let now = control.clock.now();
    Ok(SchedulePreview {
        times: preview.when.upcoming(now, now, count),
    })
}
