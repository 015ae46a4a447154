use std::time::Duration;

use creel_domain::{RuntimeHealth, TurnEvent};
use creel_protocol::{HistoryEntry, NumberedEvent, SessionSummary};
use futures_util::{FutureExt as _, future::BoxFuture};
use tokio::sync::Semaphore;

use super::*;
use crate::runtime::Assignment;

/// Does what the message says: `hold` waits for a permit, `flood` never stops, anything else is echoed.
struct Scripted {
    permits: Arc<Semaphore>,
}

impl Runtime for Scripted {
    fn turn(&self, turn: Assignment) -> BoxFuture<'static, TurnEvent> {
        let permits = Arc::clone(&self.permits);
        async move {
            turn.tell(TurnEvent::Started).await;
            let message = turn.request.message.clone();
            match message.as_str() {
                "hold" => tokio::select! {
                    () = turn.cancel.cancelled() => return TurnEvent::Cancelled,
                    permit = permits.acquire() => permit.expect("open").forget(),
                },
                "deaf" => std::future::pending().await,
                "flood" => {
                    while !turn.cancel.is_cancelled() {
                        let event = TurnEvent::ToolFinished {
                            tool_id: "1".into(),
                            ok: true,
                            output: "x".into(),
                        };
                        turn.tell(event).await;
                    }
                }
                "long" => {
                    while !turn.cancel.is_cancelled() {
                        turn.tell(TurnEvent::Text {
                            delta: "x".repeat(60_000),
                        })
                        .await;
                    }
                }
                "drip" => {
                    for _ in 0..100_000 {
                        turn.tell(TurnEvent::Text { delta: "ab ".into() }).await;
                    }
                }
                _ => {
                    turn.tell(TurnEvent::Text {
                        delta: message.clone(),
                    })
                    .await
                }
            }
            TurnEvent::Done { text: message }
        }
        .boxed()
    }

    fn sessions(&self) -> BoxFuture<'_, Result<Vec<SessionSummary>, Refusal>> {
        unreachable!("not asked here")
    }

    fn history(&self, _: SessionName, _: usize) -> BoxFuture<'_, Result<Vec<HistoryEntry>, Refusal>> {
        unreachable!("not asked here")
    }

    fn health(&self) -> BoxFuture<'_, RuntimeHealth> {
        unreachable!("not asked here")
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        unreachable!("not asked here")
    }
}

fn turns() -> (Turns, Arc<Semaphore>) {
    let permits = Arc::new(Semaphore::new(0));
    let turns = Turns::new(Arc::new(Scripted {
        permits: Arc::clone(&permits),
    }));
    (turns, permits)
}

fn id(number: u128) -> TurnId {
    format!("trn_{number:026}").parse().expect("an id")
}

fn request(session: &str, message: &str) -> TurnRequest {
    TurnRequest {
        own_jobs: false,
        session: session.parse().expect("a session"),
        message: message.to_owned(),
    }
}

async fn all(log: &TurnLog, mut after: u64) -> Vec<NumberedEvent> {
    let mut events = Vec::new();
    let read = async {
        while let Some(event) = log.next(after).await {
            after = event.number;
            events.push(event);
        }
    };
    tokio::time::timeout(Duration::from_secs(60), read)
        .await
        .expect("the turn ends");
    events
}

fn last(events: &[NumberedEvent]) -> &TurnEvent {
    &events.last().expect("at least one event").event
}

#[tokio::test]
async fn the_same_id_joins_and_replays() {
    let (turns, _) = turns();
    let first = turns.start(id(1), request("main", "hi"), 0).expect("started");
    let events = all(&first, 0).await;
    assert_eq!(
        events.iter().map(|event| event.number).collect::<Vec<_>>(),
        [1, 2, 3]
    );
    let again = turns.start(id(1), request("main", "hi"), 0).expect("joined");
    assert_eq!(all(&again, 1).await, events[1..]);
    let other = turns.start(id(1), request("main", "other"), 0);
    assert_eq!(other.err().map(|refusal| refusal.code), Some("conflict"));
}

#[tokio::test]
async fn a_turn_that_was_forgotten_goes_on_counting() {
    let (turns, _) = turns();
    let log = turns.start(id(1), request("main", "hi"), 7).expect("started");
    assert_eq!(all(&log, 7).await[0].number, 8);
}

#[tokio::test]
async fn one_session_one_turn_in_order() {
    let (turns, permits) = turns();
    let first = turns.start(id(1), request("main", "hold"), 0).expect("started");
    let second = turns.start(id(2), request("main", "hi"), 0).expect("queued");
    let elsewhere = turns.start(id(3), request("other", "hi"), 0).expect("started");
    assert!(
        last(&all(&elsewhere, 0).await).is_last(),
        "another session does not wait"
    );
    assert!(second.next(0).now_or_never().is_none(), "the second waits");
    permits.add_permits(1);
    all(&first, 0).await;
    assert_eq!(
        last(&all(&second, 0).await),
        &TurnEvent::Done { text: "hi".into() }
    );
}

#[tokio::test]
async fn too_many_are_refused_and_none_is_lost() {
    let (turns, permits) = turns();
    let mut logs = Vec::new();
    for number in 0..limits::TURNS as u128 {
        logs.push(
            turns
                .start(id(number), request("main", "hold"), 0)
                .expect("taken"),
        );
    }
    let refused = turns.start(id(99), request("x", "hi"), 0);
    assert_eq!(refused.err().map(|refusal| refusal.code), Some("busy"));
    permits.add_permits(limits::TURNS);
    for log in logs {
        assert_eq!(
            last(&all(&log, 0).await),
            &TurnEvent::Done { text: "hold".into() }
        );
    }
    let log = turns.start(id(99), request("x", "hi"), 0).expect("room again");
    all(&log, 0).await;
}

#[tokio::test]
async fn a_waiting_turn_and_a_running_one_can_be_cancelled() {
    let (turns, _) = turns();
    let running = turns.start(id(1), request("main", "hold"), 0).expect("started");
    let waiting = turns.start(id(2), request("main", "hold"), 0).expect("queued");
    for (number, log) in [(2, waiting), (1, running)] {
        assert!(turns.cancel(id(number)));
        assert_eq!(last(&all(&log, 0).await), &TurnEvent::Cancelled);
    }
    assert!(!turns.cancel(id(3)), "an unknown one is simply not there");
}

#[tokio::test(start_paused = true)]
async fn a_runtime_that_does_not_listen_is_left() {
    let (turns, _) = turns();
    let log = turns.start(id(1), request("main", "deaf"), 0).expect("started");
    log.next(0).await.expect("it has started");
    turns.cancel(id(1));
    assert_eq!(last(&all(&log, 0).await), &TurnEvent::Cancelled);
}

#[tokio::test]
async fn past_a_bound_the_turn_fails_and_says_so() {
    let (turns, _) = turns();
    for (number, message, reason) in [(1, "flood", "16384 events"), (2, "long", "4 MiB")] {
        let log = turns
            .start(id(number), request("main", message), 0)
            .expect("started");
        let events = all(&log, 0).await;
        assert!(events.len() <= limits::TURN_EVENTS);
        let TurnEvent::Failed(failure) = last(&events) else {
            panic!("{message}: {:?}", last(&events));
        };
        assert_eq!(failure.code, "turn_too_long");
        assert!(failure.message.contains(reason), "{}", failure.message);
    }
}

#[tokio::test]
async fn small_pieces_of_text_become_fewer_events() {
    let (turns, _) = turns();
    let log = turns.start(id(1), request("main", "drip"), 0).expect("started");
    let events = all(&log, 0).await;
    let text: usize = events
        .iter()
        .map(|event| match &event.event {
            TurnEvent::Text { delta } => delta.len(),
            _ => 0,
        })
        .sum();
    assert_eq!(text, 300_000, "nothing of it is lost");
    assert!(events.len() < 5000, "{}", events.len());
}

#[tokio::test]
async fn ended_turns_are_forgotten_in_time() {
    let (turns, _) = turns();
    for number in 0..RECENT_TURNS as u128 + 8 {
        let log = turns
            .start(id(number), request("main", "hi"), 0)
            .expect("started");
        all(&log, 0).await;
    }
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while turns.lock().logs.len() > RECENT_TURNS {
        assert!(
            tokio::time::Instant::now() < deadline,
            "{} are kept",
            turns.lock().logs.len()
        );
        tokio::task::yield_now().await;
    }
    assert_eq!(turns.running(), 0);
}
