//! Brings one turn to its end: through a start that takes its time, lost connections and a bridge that
//! says anything.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use creel_domain::{
    AgentState, Intent, OrgId, RuntimeState, SandboxId, Turn, TurnEvent, TurnFailure, TurnStatus,
};
use creel_protocol::{Bridge, BridgeError, EventStream, TurnRequest};
use futures_util::StreamExt;
use tokio::time::{Instant, sleep, timeout};

use super::{
    Live,
    relay::{Nonsense, Relay},
    sum_up,
};
use crate::{Control, Who, operations};

/// For an agent to become ready, each time it is waited for.
const READY_WITHIN: Duration = Duration::from_secs(120);
/// For a whole turn, from its first event to its last. Below what clients wait for an answer.
const TURN_WITHIN: Duration = Duration::from_secs(25 * 60);
/// Connections that failed in a row before the turn is given up.
const ATTEMPTS: u32 = 8;
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LAST_BACKOFF: Duration = Duration::from_secs(10);
/// A bridge that says nothing for so long is asked whether it lives.
const SILENCE: Duration = Duration::from_secs(30);
const HEALTH_WITHIN: Duration = Duration::from_secs(5);
/// So many unanswered questions in a row mean that it does not.
const UNANSWERED: u32 = 2;
/// For a bridge to end a turn that it is told to end.
const CANCEL_WITHIN: Duration = Duration::from_secs(10);
/// The store is tried again so often, until it takes the end of a turn.
const STORE_AGAIN: Duration = Duration::from_secs(1);

/// How a turn ended, and what goes into its row.
enum End {
    Done { text: String },
    Failed(TurnFailure),
    Cancelled,
}

pub(super) async fn conduct(control: &Arc<Control>, live: &Arc<Live>, org: OrgId, turn: Turn) {
    let mut relay = Relay::default();
    let who = Who {
        org,
        agent: turn.agent,
    };
    let told = tell(control, live, who, &turn, &mut relay);
    let end = tokio::select! {
        end = told => end,
        () = control.shutdown.begun() => return,
    };
    let (text, tools) = sum_up(relay.story());
    let finished_at = control.clock.now();
    let (status, event) = match end {
        End::Done { text } => (
            TurnStatus::Done {
                text: text.clone(),
                finished_at,
            },
            TurnEvent::Done { text },
        ),
        End::Failed(failure) => (
            TurnStatus::Failed {
                failure: failure.clone(),
                finished_at,
            },
            TurnEvent::Failed(failure),
        ),
        End::Cancelled => (TurnStatus::Cancelled { finished_at }, TurnEvent::Cancelled),
    };
    while let Err(failure) =
        operations::turns::finish(control, org, &turn, status.clone(), text.clone(), tools.clone()).await
    {
        tracing::error!(turn = %turn.id, code = failure.code().as_str(), "the end of a turn could not be stored; trying again");
        tokio::select! {
            () = sleep(STORE_AGAIN) => {}
            () = control.shutdown.begun() => return,
        }
    }
    live.log.push(Arc::new(event));
    control.turns.end(turn.id);
}

fn failed(code: &str, message: impl Into<String>) -> End {
    End::Failed(TurnFailure {
        code: code.to_owned(),
        message: message.into(),
    })
}

async fn tell(control: &Arc<Control>, live: &Live, who: Who, turn: &Turn, relay: &mut Relay) -> End {
    let _needed = control.activity.begin(turn.agent);
    if let Some(before) = &live.before {
        tokio::select! {
            () = before.cancelled() => {}
            () = live.cancel.cancelled() => return End::Cancelled,
        }
    }
    let mut deadline: Option<Instant> = None;
    let mut attempts = 0;
    let mut backoff = FIRST_BACKOFF;
    loop {
        let ready = tokio::select! {
            ready = ready(control, who) => ready,
            () = live.cancel.cancelled() => return End::Cancelled,
        };
        let sandbox = match ready {
            Ok(sandbox) => sandbox,
            Err(failure) => return End::Failed(failure),
        };
        let bridge = control.bridges.bridge(sandbox);
        let until = *deadline.get_or_insert_with(|| Instant::now() + TURN_WITHIN);
        live.handed.store(true, Ordering::Relaxed);
        let before = relay.story().len();
        let lost = match listen(live, turn, relay, &*bridge, until).await {
            Ok(end) => return end,
            Err(lost) => lost,
        };
        if relay.story().len() > before {
            (attempts, backoff) = (0, FIRST_BACKOFF);
        }
        attempts += 1;
        tracing::info!(turn = %turn.id, attempts, error = %lost, "the bridge was lost in the middle of a turn");
        if attempts >= ATTEMPTS {
            return match lost {
                BridgeError::Unreachable(_) => failed(
                    "agent_unreachable",
                    "The agent did not answer, however often it was asked. Try again later.",
                ),
                BridgeError::Garbage(_) | BridgeError::Refused { .. } => failed(
                    "agent_failed",
                    "The agent's sandbox gave answers that make no sense. Restart the agent and try again.",
                ),
            };
        }
        tokio::select! {
            () = sleep(backoff) => {}
            () = live.cancel.cancelled() => return End::Cancelled,
        }
        backoff = (backoff * 2).min(LAST_BACKOFF);
    }
}

/// Waits until the agent's runtime answers.
async fn ready(control: &Arc<Control>, who: Who) -> Result<SandboxId, TurnFailure> {
    let failure = |code: &str, message: String| TurnFailure {
        code: code.to_owned(),
        message,
    };
    let deadline = Instant::now() + READY_WITHIN;
    let mut changes = control.sightings.subscribe();
    loop {
        changes.borrow_and_update();
        let agent = operations::agents::fresh(control, who).await;
        let agent = match agent {
            Ok(Some(agent)) => agent,
            Ok(None) => return Err(failure("agent_not_running", "The agent was deleted.".to_owned())),
            Err(_) => {
                if Instant::now() >= deadline {
                    return Err(failure(
                        "internal",
                        "Something went wrong inside Creel. Try again.".to_owned(),
                    ));
                }
                sleep(STORE_AGAIN).await;
                continue;
            }
        };
        let mut agent = agent;
        match control.awake(&mut agent).await {
            Ok(Some(RuntimeState::Ready)) => return Ok(agent.sandbox),
            Ok(_) => {}
            Err(why) => tracing::debug!(agent = %agent.id, why = why.detail(), "it was not woken"),
        }
        if agent.intent != Intent::Run {
            let what = if agent.intent == Intent::Delete {
                "deleted"
            } else {
                "stopped"
            };
            let message = format!("The agent was {what} before it could answer.");
            return Err(failure("agent_not_running", message));
        }
        let why = match control.state(&agent) {
            AgentState::Running { .. } => return Ok(agent.sandbox),
            AgentState::Faulted {
                reason,
                retry_at: None,
                ..
            } => {
                return Err(failure(
                    "agent_not_ready",
                    format!("The agent does not come up: {reason}."),
                ));
            }
            AgentState::Faulted { reason, .. } => reason,
            AgentState::Starting { waiting, .. } => format!("it was still waiting: {waiting}"),
            other => format!("it was {}", other.as_str()),
        };
        tokio::select! {
            _ = changes.changed() => {}
            // Another process may have changed the row.
            () = sleep(STORE_AGAIN) => {}
            () = tokio::time::sleep_until(deadline) => {
                let seconds = READY_WITHIN.as_secs();
                let message = format!("The agent was not ready within {seconds} seconds: {why}. Try again when it runs.");
                return Err(failure("agent_not_ready", message));
            }
        }
    }
}

/// One connection: to the turn's end, or until it is lost.
async fn listen(
    live: &Live,
    turn: &Turn,
    relay: &mut Relay,
    bridge: &dyn Bridge,
    until: Instant,
) -> Result<End, BridgeError> {
    let request = TurnRequest {
        session: turn.session.clone(),
        message: turn.message.clone(),
        own_jobs: turn.own_jobs,
    };
    relay.reconnected();
    let connect = async {
        // Always from the start: what was heard before tells whether the bridge still has the turn.
        match timeout(SILENCE, bridge.turn(turn.id, request, 0)).await {
            Ok(stream) => stream,
            Err(_) => Err(BridgeError::Unreachable("it took too long to answer".to_owned())),
        }
    };
    let connected = tokio::select! {
        connected = connect => connected,
        () = live.cancel.cancelled() => return Ok(cancel(turn, bridge, None).await),
        () = tokio::time::sleep_until(until) => return Ok(too_long(turn, bridge).await),
    };
    let mut events = match connected {
        Ok(events) => events,
        Err(BridgeError::Refused { code, message }) => return refused(code, message),
        Err(lost) => return Err(lost),
    };
    let mut unanswered = 0;
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            () = live.cancel.cancelled() => return Ok(cancel(turn, bridge, Some(events)).await),
            () = tokio::time::sleep_until(until) => return Ok(too_long(turn, bridge).await),
            () = sleep(SILENCE) => {
                match timeout(HEALTH_WITHIN, bridge.health()).await {
                    Ok(Ok(_)) => unanswered = 0,
                    Ok(Err(_)) | Err(_) => unanswered += 1,
                }
                if unanswered >= UNANSWERED {
                    return Err(BridgeError::Unreachable("it fell silent".to_owned()));
                }
                continue;
            }
        };
        unanswered = 0;
        let heard = match event {
            Some(heard) => heard?,
            None => {
                return Err(BridgeError::Garbage(
                    "the stream ended before the turn".to_owned(),
                ));
            }
        };
        let news = match relay.take(heard) {
            Ok(news) => news,
            Err(nonsense @ Nonsense::Number { .. }) => {
                return Err(BridgeError::Garbage(nonsense.to_string()));
            }
            Err(nonsense @ (Nonsense::TooLong | Nonsense::TooMany)) => {
                let _ = timeout(HEALTH_WITHIN, bridge.cancel(turn.id)).await;
                return Ok(failed(
                    "turn_too_long",
                    format!("The turn was ended: {nonsense}."),
                ));
            }
            Err(nonsense @ Nonsense::TooOften) => {
                let _ = timeout(HEALTH_WITHIN, bridge.cancel(turn.id)).await;
                return Ok(failed("agent_failed", format!("The turn was ended: {nonsense}.")));
            }
        };
        for event in news {
            match &*event {
                TurnEvent::Done { text } => return Ok(End::Done { text: text.clone() }),
                TurnEvent::Failed(failure) => return Ok(End::Failed(failure.clone())),
                TurnEvent::Cancelled => return Ok(End::Cancelled),
                _ => live.log.push(event),
            }
        }
    }
}

fn refused(code: String, message: String) -> Result<End, BridgeError> {
    match code.as_str() {
        // It may be otherwise in a moment.
        "busy" | "not_ready" => Err(BridgeError::Unreachable(message)),
        _ => Ok(failed(
            "agent_failed",
            format!(
                "The agent did not take the message: {}",
                crate::http::failure::sentence(&message)
            ),
        )),
    }
}

async fn too_long(turn: &Turn, bridge: &dyn Bridge) -> End {
    // A bridge that does not hear it ends with its own bound.
    let _ = timeout(HEALTH_WITHIN, bridge.cancel(turn.id)).await;
    let minutes = TURN_WITHIN.as_secs() / 60;
    failed(
        "turn_too_long",
        format!("The turn was ended after {minutes} minutes."),
    )
}

/// Tells the bridge, and lets it finish: it may be done in this very moment.
async fn cancel(turn: &Turn, bridge: &dyn Bridge, events: Option<EventStream>) -> End {
    let ended = async {
        bridge.cancel(turn.id).await.ok()?;
        let mut events = events?;
        while let Some(Ok(heard)) = events.next().await {
            if let TurnEvent::Done { text } = heard.event {
                return Some(End::Done { text });
            }
            if heard.event.is_last() {
                break;
            }
        }
        None
    };
    timeout(CANCEL_WITHIN, ended)
        .await
        .ok()
        .flatten()
        .unwrap_or(End::Cancelled)
}
