//! Wakes what sleeps, for whoever needs it: one wake for however many.

use std::{
    collections::HashMap,
    ops::Deref,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use creel_api::ErrorCode;
use creel_domain::{Agent, AgentId, BridgeHealth, Intent, Observed, RuntimeState};
use creel_protocol::Bridge;
use tokio::time::{Instant, sleep_until, timeout};

use super::Needed;
use crate::{
    Control,
    http::failure::{Answer, Failure},
};

/// A request for files, logs or a command waits so long for a sandbox that is starting.
const BRIDGE_WITHIN: Duration = Duration::from_secs(20);
/// For the supervisor to let a sandbox go on.
const THAW_WITHIN: Duration = Duration::from_secs(5);
/// For a bridge that just went on to say how its runtime is.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Wakes under way.
#[derive(Default)]
pub(crate) struct Wakes(Mutex<HashMap<AgentId, Arc<tokio::sync::Mutex<()>>>>);

/// The bridge of an agent, which does not fall asleep as long as this lives.
pub(crate) struct Reached {
    bridge: Arc<dyn Bridge>,
    pub(crate) needed: Needed,
}

impl Deref for Reached {
    type Target = dyn Bridge;

    fn deref(&self) -> &Self::Target {
        &*self.bridge
    }
}

impl Wakes {
    fn of(&self, agent: AgentId) -> Arc<tokio::sync::Mutex<()>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that nobody waits for any more.
        all.retain(|_, wake| Arc::strong_count(wake) > 1);
        Arc::clone(all.entry(agent).or_default())
    }
}

impl Control {
    /// The bridge of an agent whose sandbox runs; wakes one that sleeps, and waits a little for one that is
    /// starting. The runtime need not answer yet: files, logs and commands are of use when it does not.
    pub(crate) async fn bridge(&self, agent: &Agent) -> Answer<Reached> {
        let reached = |needed| Reached {
            bridge: self.bridges.bridge(agent.sandbox),
            needed,
        };
        let needed = self.activity.begin(agent.id);
        let mut agent = agent.clone();
        if self.awake(&mut agent).await?.is_some() {
            return Ok(reached(needed));
        }
        let deadline = Instant::now() + BRIDGE_WITHIN;
        let mut changes = self.sightings.subscribe();
        loop {
            changes.borrow_and_update();
            self.check_wanted(&agent)?;
            let sighting = self.sightings.get(agent.sandbox);
            let answers = matches!(
                &sighting.health,
                Observed::Seen {
                    value: BridgeHealth { .. },
                    ..
                }
            );
            let current = sighting
                .sandbox
                .seen()
                .is_some_and(|report| report.generation >= agent.generation);
            if current && answers {
                return Ok(reached(needed));
            }
            tokio::select! {
                _ = changes.changed() => {}
                () = sleep_until(deadline) => return Err(self.not_ready(&agent)),
            }
        }
    }

    /// Wakes an agent that sleeps, as somebody needs it who holds a [`Needed`]; `agent` is then as its row says. How its
    /// runtime is, where it went on at once; none: it did not sleep, or is on its way.
    pub(crate) async fn awake(&self, agent: &mut Agent) -> Answer<Option<RuntimeState>> {
        if agent.intent != Intent::Sleep {
            return Ok(None);
        }
        let wake = self.wakes.of(agent.id);
        let _one_at_a_time = wake.lock().await;
        let org = self.store.org(agent.org);
        *agent = org.agent(agent.id).await?;
        if agent.intent != Intent::Sleep {
            return Ok(None);
        }
        self.check_wanted(agent)?;
        // It goes on while the row is written: whether that comes to be or not, it stays awake for a while.
        let thawed = timeout(THAW_WITHIN, self.supervisor.wake(agent.sandbox));
        let (thawed, written) = tokio::join!(thawed, org.wake_agent(agent.id));
        *agent = written?;
        self.nudges.nudge((&*agent).into());
        if !matches!(thawed, Ok(Ok(true))) {
            return Ok(None);
        }
        let bridge = self.bridges.bridge(agent.sandbox);
        let health = timeout(ANSWER_WITHIN, bridge.health()).await;
        Ok(match health {
            Ok(Ok(health)) => Some(health.runtime.state),
            Ok(Err(_)) | Err(_) => None,
        })
    }

    /// Refuses what needs a running agent while its owner does not want it to run.
    pub(crate) fn check_wanted(&self, agent: &Agent) -> Answer<()> {
        let name = &agent.name;
        let detail = match agent.intent {
            Intent::Run => return Ok(()),
            Intent::Sleep if agent.spec.rest.autostart => return Ok(()),
            Intent::Sleep => format!(
                "Agent `{name}` is asleep, and only its owner wakes it. Start it with `creel agent start {name}`."
            ),
            Intent::Stop => format!("Agent `{name}` is stopped. Start it with `creel agent start {name}`."),
            Intent::Delete => format!("Agent `{name}` is being deleted."),
        };
        Err(Failure::new(ErrorCode::AgentNotRunning, detail))
    }
}
