//! Jobs that a runtime plans itself: when it wants to be awake for one is known before it is put to rest.

use std::{sync::Arc, time::Duration};

use creel_domain::{Agent, BridgeHealth, Runtime};
use jiff::SignedDuration;
use tokio::time::timeout;

use crate::Control;

/// For a bridge to say when, before its agent rests. One that does not answer rests all the same.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// An agent whose runtime wants to be awake within so long is not put to rest before that.
const SOON: SignedDuration = SignedDuration::from_secs(30);

/// Keeps what a bridge says of its runtime's own jobs, if that is news.
pub(crate) async fn heard(control: &Control, agent: &Agent, health: &BridgeHealth) {
    let Some(jobs) = health.runtime.own_jobs else {
        return;
    };
    // The loop of ours plans nothing.
    if agent.spec.runtime != Runtime::Openclaw || jobs.next_at == agent.runtime_wake_at {
        return;
    }
    match control
        .store
        .org(agent.org)
        .set_runtime_wake(agent.id, jobs.next_at)
        .await
    {
        Ok(true) => control.schedules_nudge.notify_one(),
        Ok(false) => {}
        Err(error) => {
            tracing::warn!(agent = %agent.id, %error, "when a runtime wants to be awake could not be kept");
        }
    }
}

/// Asks once more before the agent rests. How long that has to wait, as a job of its own is about to begin.
pub(crate) async fn before_rest(control: &Arc<Control>, agent: &Agent) -> Option<Duration> {
    if agent.spec.runtime != Runtime::Openclaw {
        return None;
    }
    let bridge = control.bridges.bridge(agent.sandbox);
    let Ok(Ok(health)) = timeout(ANSWER_WITHIN, bridge.health()).await else {
        return None;
    };
    heard(control, agent, &health).await;
    let next = health.runtime.own_jobs?.next_at?;
    let wait = next.duration_since(control.clock.now());
    // One whose time is over has had its chance.
    (!wait.is_negative() && wait <= SOON).then(|| Duration::try_from(wait).unwrap_or_default())
}
