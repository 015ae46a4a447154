//! One lease: from the knock to the moment when the edge lets go, or may not stay.

use std::{sync::Arc, time::Duration};

use creel_api::ErrorCode;
use creel_domain::{
    Agent, AgentState, BridgeHealth, Depth, Generation, Intent, Observed, RuntimeState, SandboxId,
    SandboxState,
};
use creel_protocol::edge::{ALIVE_EVERY, Knock, LeaseEvent, Place, Waking};
use tokio::{
    sync::mpsc::Sender,
    time::{Instant, sleep, sleep_until},
};

use super::{
    refused,
    right::{self, Right, Way},
};
use crate::{
    Control, Who,
    http::failure::{Answer, Failure},
    operations,
};

/// For an agent to become ready. As long as a turn waits.
const READY_WITHIN: Duration = Duration::from_secs(120);
/// How soon a lease ends at the latest whose right is gone, while the store answers.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long a store that does not answer is taken for one that would say yes.
const TRUST: Duration = Duration::from_secs(60);
/// After a failure that may pass.
const RETRY_AFTER_S: u32 = 2;

type Events = Sender<LeaseEvent>;

/// Answers a knock, and keeps the agent awake until `events` is closed or the lease is over.
pub(super) async fn keep(control: Arc<Control>, knock: Knock, events: Events) {
    let last = tokio::select! {
        last = held(&control, &knock, &events) => last,
        () = events.closed() => return,
        () = control.shutdown.begun() => return,
    };
    let _ = events.send(last).await;
}

async fn held(control: &Arc<Control>, knock: &Knock, events: &Events) -> LeaseEvent {
    let way = match right::way(control, knock).await {
        Ok(way) => way,
        Err(failure) => return LeaseEvent::Refused(refused(&failure, again(&failure))),
    };
    let _needed = control.activity.begin(way.agent.id);
    let page = way.agent.spec.runtime.page() == Some(way.port);
    let (sandbox, woken) = match arrive(control, &way.agent, page, events).await {
        Ok(agent) => (agent.sandbox, agent.generation),
        Err(failure) => return LeaseEvent::Refused(refused(&failure, again(&failure))),
    };
    // What they begin there is theirs to have models for.
    let _visit = match &way.right {
        Right::Member { .. } if page => Some(control.visits.begin(way.agent.id)),
        _ => None,
    };
    let place = Place {
        agent: way.agent.id,
        name: way.agent.name.to_string(),
        sandbox,
        port: way.port,
        user: way.user(),
        private: !matches!(way.right, Right::Public),
        runtime: page,
    };
    if events.send(LeaseEvent::Ready(place)).await.is_err() {
        return LeaseEvent::Alive;
    }
    LeaseEvent::Ended {
        why: lost(control, knock, &way, woken, events).await,
    }
}

/// What passes by itself is worth another try.
fn again(failure: &Failure) -> Option<u32> {
    match failure.code() {
        ErrorCode::AgentNotReady
        | ErrorCode::AgentUnreachable
        | ErrorCode::SupervisorUnreachable
        | ErrorCode::RateLimited
        | ErrorCode::Busy
        | ErrorCode::Internal => Some(RETRY_AFTER_S),
        _ => None,
    }
}

/// Waits until the agent can be come to: its bridge answers and, for its own page, its runtime does.
async fn arrive(control: &Arc<Control>, agent: &Agent, page: bool, events: &Events) -> Answer<Agent> {
    let who = Who::from(agent);
    let deadline = Instant::now() + READY_WITHIN;
    let mut changes = control.sightings.subscribe();
    let mut said = String::new();
    loop {
        changes.borrow_and_update();
        let mut agent = operations::agents::fresh(control, who)
            .await?
            .ok_or_else(|| Failure::not_found("The agent was deleted."))?;
        if agent.intent == Intent::Sleep {
            control.check_wanted(&agent)?;
            tell(&mut said, &agent, "it is waking up", events).await;
            if let Some(state) = control.awake(&mut agent).await?
                && (!page || state == RuntimeState::Ready)
            {
                return Ok(agent);
            }
        }
        control.check_wanted(&agent)?;
        let sighting = control.sightings.get(agent.sandbox);
        let current = sighting
            .sandbox
            .seen()
            .is_some_and(|report| report.generation >= agent.generation);
        let ready = match &sighting.health {
            Observed::Seen {
                value: BridgeHealth { runtime, .. },
                ..
            } => !page || runtime.state == RuntimeState::Ready,
            _ => false,
        };
        if current && ready {
            return Ok(agent);
        }
        match control.state(&agent) {
            AgentState::Faulted {
                reason,
                retry_at: None,
                ..
            } => {
                return Err(Failure::new(
                    ErrorCode::AgentFailed,
                    format!("The agent does not come up: {reason}."),
                ));
            }
            AgentState::Starting { waiting, .. } => {
                tell(&mut said, &agent, &waiting.to_string(), events).await;
            }
            state => tell(&mut said, &agent, state.as_str(), events).await,
        }
        tokio::select! {
            _ = changes.changed() => {}
            // A row may change that no sandbox tells of.
            () = sleep(ALIVE_EVERY) => { let _ = events.send(LeaseEvent::Alive).await; }
            () = sleep_until(deadline) => return Err(control.not_ready(&agent)),
        }
    }
}

/// Says what is waited for, each thing once.
async fn tell(said: &mut String, agent: &Agent, why: &str, events: &Events) {
    if said != why {
        why.clone_into(said);
        let waking = Waking {
            name: agent.name.to_string(),
            why: why.to_owned(),
        };
        let _ = events.send(LeaseEvent::Waking(waking)).await;
    }
}

/// Returns, with the reason, when the agent is there no more or the right is gone.
async fn lost(
    control: &Arc<Control>,
    knock: &Knock,
    way: &Way,
    woken: Generation,
    events: &Events,
) -> String {
    let (mut sure, mut spoke) = (Instant::now(), Instant::now());
    let mut changes = control.sightings.subscribe();
    let mut rested = false;
    loop {
        let look = sleep(LOOK_EVERY);
        tokio::select! {
            () = look => {}
            turned = turned(control, (way.agent.sandbox, woken), &mut changes, rested) => match turned {
                Turned::Gone => return "the agent's sandbox was stopped".to_owned(),
                Turned::Rests(rests) => {
                    rested = rests;
                    if rests && events.send(LeaseEvent::Rests).await.is_err() {
                        return String::new();
                    }
                }
            }
        }
        if spoke.elapsed() >= ALIVE_EVERY {
            spoke = Instant::now();
            if events.send(LeaseEvent::Alive).await.is_err() {
                return String::new();
            }
        }
        match way.holds(control, &knock.face).await {
            Ok(()) => sure = Instant::now(),
            Err(failure) if failure.code() == ErrorCode::Internal && sure.elapsed() < TRUST => {}
            Err(failure) => return failure.detail().to_owned(),
        }
    }
}

/// What became of a sandbox that was there.
enum Turned {
    Gone,
    /// Whether it is held still.
    Rests(bool),
}

/// Returns when the sandbox is known not to run, or rests where it did not before, or the other way round. One that is
/// not known of may run. `woken` is the generation in which it was awake.
async fn turned(
    control: &Arc<Control>,
    (sandbox, woken): (SandboxId, Generation),
    changes: &mut tokio::sync::watch::Receiver<()>,
    rested: bool,
) -> Turned {
    loop {
        changes.borrow_and_update();
        let sighting = control.sightings.get(sandbox);
        let rests = match &sighting.sandbox {
            // One that was just woken may be known as asleep for a moment; held still, it is there all the same.
            Observed::Seen { value, .. } => match value.state {
                SandboxState::Running { .. } => false,
                SandboxState::Asleep { depth, .. } if depth != Depth::OnDisk => value.generation > woken,
                _ => return Turned::Gone,
            },
            Observed::Absent => return Turned::Gone,
            Observed::Unknown => rested,
        };
        if rests != rested {
            return Turned::Rests(rests);
        }
        if changes.changed().await.is_err() {
            return Turned::Gone;
        }
    }
}
