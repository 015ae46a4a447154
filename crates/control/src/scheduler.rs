//! The clock's own messages: schedules whose time has come become turns, and runtimes that want to be awake for jobs of
//! their own are let do them.
//!
//! ```text
//! sleeps until the earliest time ─▶ what is due ─▶ planned ─▶ one transaction: next time, turns, history ─▶ turns go on
//!        ▲      ▲ nudge                                         │ another control was faster: nothing
//!        └──────┴───────────────────────────────────────────────┘
//! ```
//!
//! Nothing is remembered here. A control that dies after the transaction leaves turns that the next one takes up; one that
//! dies before it leaves times that are planned again. The sleep is bounded, so that a clock that jumps is noticed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use creel_domain::plan_schedule;
use creel_store::{DueSchedule, RuntimeWake};
use futures_util::{StreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};

use crate::{Control, http::failure::Answer};

/// Schedules read, and acted upon, at a time.
const BATCH: u32 = 256;
const AT_ONCE: usize = 32;
/// The longest sleep.
const LONGEST: Duration = Duration::from_secs(10);
/// The shortest, and the one after something failed.
const SHORTEST: Duration = Duration::from_millis(10);
const AGAIN: Duration = Duration::from_secs(1);
/// Before its runtime's time an agent is let go on: so long, or longer where it must be started first.
const LEAD: SignedDuration = SignedDuration::from_secs(2);
const LEAD_FROM_DISK: SignedDuration = SignedDuration::from_secs(30);
/// The conversation in which a runtime's own jobs are told.
const OWN_JOBS: &str = "own-jobs";

/// Runs until the end begins.
pub(crate) async fn run(control: Arc<Control>) {
    loop {
        let wait = round(&control).await.unwrap_or_else(|failure| {
            tracing::warn!(
                reason = failure.detail(),
                "schedules could not be read; trying again"
            );
            AGAIN
        });
        tokio::select! {
            () = control.schedules_nudge.notified() => {}
            () = tokio::time::sleep(wait) => {}
            () = control.shutdown.begun() => return,
        }
    }
}

/// Acts upon all that is due; how long until something may be.
async fn round(control: &Arc<Control>) -> Answer<Duration> {
    let now = control.clock.now();
    let failed = AtomicBool::new(false);
    fire_due(control, now, &failed).await?;
    let wake = wake_due(control, now, &failed).await?;
    if failed.load(Ordering::Relaxed) {
        return Ok(AGAIN);
    }
    let next = control.store.platform().next_schedule_at().await?;
    let earliest = next.into_iter().chain(wake).min();
    let wait =
        earliest.map(|at| Duration::try_from(at.duration_since(control.clock.now())).unwrap_or_default());
    Ok(wait.map_or(LONGEST, |wait| wait.clamp(SHORTEST, LONGEST)))
}

async fn fire_due(control: &Arc<Control>, now: Timestamp, failed: &AtomicBool) -> Answer<()> {
    let mut after = None;
    loop {
        let due = control.store.platform().due_schedules(now, after, BATCH).await?;
        let full = due.len() == BATCH as usize;
        // One that fails again and again stays behind, and holds nobody up.
        after = due.last().map(|last| (last.next_at, last.id));
        stream::iter(due)
            .for_each_concurrent(AT_ONCE, async |due| fire(control, due, now, failed).await)
            .await;
        if !full {
            return Ok(());
        }
    }
}

async fn fire(control: &Arc<Control>, due: DueSchedule, now: Timestamp, failed: &AtomicBool) {
    let (org, schedule) = (due.org, due.id);
    let plan = plan_schedule(&due.when, due.anchor_at, due.next_at, due.missed, now);
    match control.store.org(org).fire_schedule(due, plan).await {
        Ok(turns) => {
            for turn in turns.into_iter().flatten() {
                tracing::debug!(%schedule, turn = %turn.id, "a schedule's time has come");
                control.turns.take(control, org, turn);
            }
        }
        Err(error) => {
            failed.store(true, Ordering::Relaxed);
            tracing::warn!(%schedule, %error, "a schedule could not be acted upon; trying again");
        }
    }
}

/// Lets runtimes do what they want to be awake for now; when the next one wants to.
async fn wake_due(control: &Arc<Control>, now: Timestamp, failed: &AtomicBool) -> Answer<Option<Timestamp>> {
    let platform = control.store.platform();
    let lead = |wake: &RuntimeWake| match wake.from_disk {
        true => LEAD_FROM_DISK,
        false => LEAD,
    };
    let begin_at = |wake: &RuntimeWake| wake.at.saturating_sub(lead(wake)).unwrap_or(Timestamp::MIN);
    let by = now.saturating_add(LEAD_FROM_DISK).unwrap_or(Timestamp::MAX);
    let soon = platform.runtime_wakes(by, BATCH).await?;
    let (due, later): (Vec<_>, Vec<_>) = soon.into_iter().partition(|wake| begin_at(wake) <= now);
    stream::iter(due)
        .for_each_concurrent(AT_ONCE, async |wake| begin_own_jobs(control, wake, failed).await)
        .await;
    if let Some(earliest) = later.iter().map(begin_at).min() {
        return Ok(Some(earliest));
    }
    let next = platform.next_runtime_wake().await?;
    Ok(next.map(|at| at.saturating_sub(LEAD_FROM_DISK).unwrap_or(Timestamp::MIN)))
}

async fn begin_own_jobs(control: &Arc<Control>, wake: RuntimeWake, failed: &AtomicBool) {
    let Ok(session) = OWN_JOBS.parse() else { return };
    let message = format!("Jobs that the runtime has planned itself, due at {}.", wake.at);
    match control
        .store
        .org(wake.org)
        .begin_own_jobs(wake, session, message)
        .await
    {
        Ok(turn) => {
            if let Some(turn) = turn {
                control.turns.take(control, wake.org, turn);
            }
        }
        Err(error) => {
            failed.store(true, Ordering::Relaxed);
            tracing::warn!(agent = %wake.agent, %error, "a runtime could not be let do its jobs; trying again");
        }
    }
}
