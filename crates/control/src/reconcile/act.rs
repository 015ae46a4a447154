//! One look at one agent, and the next steps for it.

use std::{sync::Arc, time::Duration};

use creel_domain::{Agent, AgentState, BridgeHealth, Intent, Observed, SandboxId, Step, Target, next_steps};
use creel_protocol::SupervisorError;
use jiff::SignedDuration;
use tokio::time::timeout;

use super::{After, RESYNC};
use crate::{Control, Who, operations, rest, sightings::Refusal};

/// For a bridge to say how its runtime is.
const HEALTH_WITHIN: Duration = Duration::from_secs(5);
/// For the supervisor to take a target.
const TARGET_WITHIN: Duration = Duration::from_secs(10);
/// Rounds without news after which the supervisor is asked, should a report have been lost.
const ROUNDS_WITHOUT_NEWS: u32 = 8;
/// After the store failed.
const STORE_AGAIN: Duration = Duration::from_secs(1);
/// Before an agent is looked at again only because its time to rest comes.
const SHORTEST: Duration = Duration::from_millis(50);
/// The longest wait between two attempts to tell the supervisor what it refuses.
const LONGEST_RETRY: u32 = 30;

pub(super) async fn step(control: &Arc<Control>, who: Who, round: u32) -> After {
    let agent = match operations::agents::fresh(control, who).await {
        Ok(Some(agent)) => agent,
        Ok(None) => return After::Gone,
        Err(_) => return After::In(STORE_AGAIN),
    };
    control.add_owner(&agent);
    let deadlines = control.paced_deadlines(control.owned());
    let now = control.clock.now();
    let sighting = control.sightings.get(agent.sandbox);
    if let Some(refusal) = &sighting.refusal
        && refusal.retry_at > now
        && round > 0
    {
        return After::Soon;
    }
    let steps = next_steps(&sighting.situation(&agent), &deadlines, now);
    let waiting = steps.is_empty();
    for step in steps {
        tracing::debug!(agent = %agent.id, ?step, "next");
        match step {
            Step::Look => {
                if let Err(error) = control.looker.look(control).await {
                    tracing::debug!(agent = %agent.id, %error, "the supervisor could not be asked");
                }
            }
            Step::PutTarget => put_target(control, &agent).await,
            Step::CheckHealth => check_health(control, &agent).await,
            Step::Rebuild { reason } => rebuild(control, &agent, &reason).await,
            Step::Forget => {
                control.turns.cancel_all(agent.id);
                match operations::agents::forget(control, &agent).await {
                    Ok(()) => {
                        control.sightings.forget(agent.sandbox);
                        control.remove_owner(agent.sandbox);
                        control.activity.forget(agent.id);
                        return After::Gone;
                    }
                    Err(_) => return After::In(STORE_AGAIN),
                }
            }
        }
    }
    // That a sandbox is gone is never reported; one has to look.
    if waiting && (agent.intent == Intent::Delete || round >= ROUNDS_WITHOUT_NEWS) {
        let _ = control.looker.look(control).await;
    }
    let state = control.state(&agent);
    if control.sightings.get(agent.sandbox).sandbox != Observed::Unknown {
        control.told.tell(control, &agent, state.clone()).await;
    }
    let due = rest::settle(control, &agent, &state).await;
    match state {
        AgentState::Running { .. } => {
            let regular = Duration::try_from(deadlines.health_every).unwrap_or(RESYNC);
            After::In(due.map_or(regular, |due| due.clamp(SHORTEST, regular)))
        }
        AgentState::Stopped { .. } | AgentState::Asleep { .. } => {
            After::In(due.map_or(RESYNC, |due| due.clamp(SHORTEST, RESYNC)))
        }
        _ => After::Soon,
    }
}

async fn put_target(control: &Arc<Control>, agent: &Agent) {
    control.sightings.acting(agent.sandbox);
    let put = control
        .supervisor
        .put_target(agent.sandbox, agent.generation, agent.target());
    let put = timeout(TARGET_WITHIN, put).await.unwrap_or_else(|_| {
        Err(SupervisorError::Unreachable {
            reason: "it took too long to answer".to_owned(),
        })
    });
    match put {
        Ok(()) => {
            control
                .sightings
                .change(agent.sandbox, |sighting| sighting.refusal = None);
            let _ = control.looker.look(control).await;
        }
        Err(SupervisorError::Gone { .. }) if agent.target() == Target::Gone => {
            let _ = control.looker.look(control).await;
        }
        // Somebody newer has spoken: another control. The row says what is wanted now.
        Err(SupervisorError::Stale { .. }) => {
            let _ = control.looker.look(control).await;
        }
        Err(error) => {
            let now = control.clock.now();
            let before = control.sightings.get(agent.sandbox).refusal;
            let attempts = before.as_ref().map_or(0, |refusal| refusal.attempts) + 1;
            if before.is_none() {
                tracing::warn!(agent = %agent.id, %error, "the supervisor did not take the agent's target");
            }
            let wait = SignedDuration::from_secs(1_i64 << attempts.min(5).min(LONGEST_RETRY));
            control.sightings.change(agent.sandbox, |sighting| {
                sighting.refusal = Some(Refusal {
                    reason: error.to_string(),
                    attempts,
                    since: before.map_or(now, |refusal| refusal.since),
                    retry_at: now.saturating_add(wait).unwrap_or(jiff::Timestamp::MAX),
                });
            });
        }
    }
}

async fn check_health(control: &Arc<Control>, agent: &Agent) {
    let health = ask_health(control, agent.sandbox).await;
    if let Some(health) = &health {
        rest::own_jobs::heard(control, agent, health).await;
    }
    note_health(control, agent.sandbox, health);
}

/// How its bridge says that a sandbox's runtime is; none: it does not say.
pub(crate) async fn ask_health(control: &Control, sandbox: SandboxId) -> Option<BridgeHealth> {
    let bridge = control.bridges.bridge(sandbox);
    let mut health = timeout(HEALTH_WITHIN, bridge.health()).await.ok()?.ok()?;
    // It comes from the inside: people read it.
    let detail = health.runtime.detail.chars().filter(|c| !c.is_control());
    health.runtime.detail = detail.take(500).collect();
    Some(health)
}

/// Keeps what a bridge said, or that it said nothing.
pub(crate) fn note_health(control: &Control, sandbox: SandboxId, health: Option<BridgeHealth>) {
    let at = control.clock.now();
    control.sightings.change(sandbox, |sighting| match health {
        Some(value) => {
            sighting.failed_checks = 0;
            sighting.health = Observed::Seen { value, at };
        }
        None => sighting.failed_checks = sighting.failed_checks.saturating_add(1),
    });
}

async fn rebuild(control: &Arc<Control>, agent: &Agent, reason: &str) {
    tracing::warn!(agent = %agent.id, reason, "the sandbox is made anew");
    if operations::agents::rebuild(control, agent).await.is_ok() {
        let now = control.clock.now();
        control.sightings.change(agent.sandbox, |sighting| {
            sighting.rebuilt_at = Some(now);
            sighting.failed_checks = 0;
            sighting.health = Observed::Unknown;
        });
    }
}
