//! Puts to rest what nobody needs, and deeper what has slept for long.

use std::{sync::Arc, time::Duration};

use creel_domain::{Agent, AgentState, Depth, Intent};
use jiff::SignedDuration;

use crate::Control;

/// Whoever only keeps an agent awake for what may come lets go of it so soon after it was told to sleep. Who still needs
/// it then, wakes it.
const LET_GO_WITHIN: Duration = Duration::from_millis(300);

/// Does what an agent's rest asks for now. How long until it may ask for something, where that is known.
pub(crate) async fn settle(control: &Arc<Control>, agent: &Agent, state: &AgentState) -> Option<Duration> {
    match agent.intent {
        Intent::Run if matches!(state, AgentState::Running { .. }) => settle_awake(control, agent).await,
        Intent::Sleep if control.activity.is_needed(agent.id) => {
            let slept = agent
                .asleep_since
                .map(|since| control.clock.now().duration_since(since));
            let slept = slept.and_then(|slept| Duration::try_from(slept).ok());
            if let Some(wait) = slept.and_then(|slept| LET_GO_WITHIN.checked_sub(slept))
                && !wait.is_zero()
            {
                return Some(wait);
            }
            // Whoever needs it has woken it, and could not write that down.
            if agent.spec.rest.autostart
                && let Err(error) = control.store.org(agent.org).wake_agent(agent.id).await
            {
                tracing::warn!(agent = %agent.id, %error, "that an agent is awake could not be written down");
            }
            control.nudges.nudge(agent.into());
            None
        }
        Intent::Sleep => settle_asleep(control, agent).await,
        Intent::Run | Intent::Stop | Intent::Delete => None,
    }
}

async fn settle_awake(control: &Arc<Control>, agent: &Agent) -> Option<Duration> {
    let held = agent
        .held_until
        .map(|until| until.duration_since(control.clock.now()));
    if let Some(held) = held.filter(SignedDuration::is_positive) {
        return Duration::try_from(held).ok();
    }
    let idle = control.activity.idle(agent.id)?;
    let rest = &agent.spec.rest;
    match rest.after_idle(SignedDuration::try_from(idle).unwrap_or(SignedDuration::MAX)) {
        Some(depth) => {
            if let Some(wait) = super::own_jobs::before_rest(control, agent).await {
                return Some(wait);
            }
            put_to_rest(control, agent, depth).await;
            None
        }
        None => match rest.autostop {
            creel_domain::Autostop::Off => None,
            _ => Some(Duration::from_secs(rest.idle_s.into()).saturating_sub(idle)),
        },
    }
}

async fn settle_asleep(control: &Arc<Control>, agent: &Agent) -> Option<Duration> {
    let since = agent.asleep_since?;
    let slept = control.clock.now().duration_since(since);
    let depth = agent.spec.rest.after_sleep(agent.depth, slept);
    if depth > agent.depth {
        put_to_rest(control, agent, depth).await;
        return None;
    }
    let deeper = agent.spec.rest.until_deeper(agent.depth, slept)?;
    Duration::try_from(deeper).ok()
}

async fn put_to_rest(control: &Arc<Control>, agent: &Agent, depth: Depth) {
    let org = control.store.org(agent.org);
    match org.put_to_rest(agent.id, agent.generation, depth).await {
        // Somebody may have come between our look and the row.
        Ok(Some(_)) if control.activity.is_needed(agent.id) => {
            if let Err(error) = org.wake_agent(agent.id).await {
                tracing::warn!(agent = %agent.id, %error, "an agent that is needed could not be woken");
            }
        }
        Ok(_) => {}
        Err(error) => tracing::debug!(agent = %agent.id, %error, "an agent could not be put to rest"),
    }
    control.nudges.nudge(agent.into());
}
