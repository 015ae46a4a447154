//! Asks the supervisor what it sees: all at once, and as it changes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use creel_domain::SandboxReport;
use creel_protocol::SupervisorError;
use futures_util::StreamExt;
use tokio::{
    sync::Mutex,
    time::{Instant, sleep, sleep_until, timeout},
};

use crate::Control;

/// Whole looks are at least so far apart.
const APART: Duration = Duration::from_millis(10);
/// For the supervisor to answer.
const WITHIN: Duration = Duration::from_secs(10);
/// Before the stream of reports is opened again.
const FIRST_BACKOFF: Duration = Duration::from_millis(50);
const LAST_BACKOFF: Duration = Duration::from_secs(5);

/// Whole looks, one at a time; whoever wants one while another waits to begin shares that one.
#[derive(Default)]
pub(crate) struct Looker {
    /// Looks begun so far.
    begun: AtomicU64,
    last: Mutex<Last>,
}

#[derive(Default)]
struct Last {
    number: u64,
    ended: Option<Instant>,
    outcome: Option<Result<Vec<SandboxReport>, SupervisorError>>,
}

impl Looker {
    /// A look that begins after this call.
    pub(crate) async fn look(&self, control: &Control) -> Result<Vec<SandboxReport>, SupervisorError> {
        let wanted = self.begun.load(Ordering::SeqCst) + 1;
        let mut last = self.last.lock().await;
        if last.number >= wanted
            && let Some(outcome) = &last.outcome
        {
            return outcome.clone();
        }
        if let Some(ended) = last.ended {
            sleep_until(ended + APART).await;
        }
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let look = control.sightings.begin_look();
        let outcome = match timeout(WITHIN, control.supervisor.list()).await {
            Ok(outcome) => outcome,
            Err(_) => Err(SupervisorError::Unreachable {
                reason: "it took too long to answer".to_owned(),
            }),
        };
        match &outcome {
            Ok(reports) => control
                .sightings
                .end_look(look, reports.clone(), control.clock.now()),
            Err(_) => control.sightings.forget_all(),
        }
        *last = Last {
            number,
            ended: Some(Instant::now()),
            outcome: Some(outcome.clone()),
        };
        outcome
    }
}

/// Takes reports as they come, for ever. A lost stream is followed by a whole look: something may have
/// been missed.
pub(super) async fn watch(control: Arc<Control>) {
    let mut backoff = FIRST_BACKOFF;
    let began = Instant::now();
    loop {
        match timeout(WITHIN, control.supervisor.watch()).await {
            Ok(Ok(mut reports)) => {
                // What is gone is not in the stream.
                if control.looker.look(&control).await.is_ok() {
                    backoff = FIRST_BACKOFF;
                }
                while let Some(report) = reports.next().await {
                    let sandbox = report.sandbox;
                    control.sightings.report(report, control.clock.now());
                    match control.owner(sandbox) {
                        Some(agent) => control.nudges.nudge(agent),
                        None => control.spares.nudge(),
                    }
                }
                tracing::info!("the supervisor's reports ended; looking again");
            }
            // Both start at once, and either may be the first.
            Ok(Err(error)) if began.elapsed() < WITHIN => {
                tracing::debug!(%error, "the supervisor cannot be watched yet");
            }
            Ok(Err(error)) => tracing::warn!(%error, "the supervisor cannot be watched"),
            Err(_) => tracing::warn!("the supervisor does not answer"),
        }
        sleep(backoff).await;
        backoff = (backoff * 2).min(LAST_BACKOFF);
    }
}
