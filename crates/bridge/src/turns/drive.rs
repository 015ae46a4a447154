//! Carries one turn from its place in the queue to its last event.

use std::{sync::Arc, time::Duration};

use creel_domain::{TurnEvent, TurnId};
use creel_protocol::{TurnRequest, limits};
use tokio::{sync::mpsc, time::Instant};

use super::log::{TurnLog, escaped};
use crate::runtime::{Assignment, Runtime, failure};

/// Pieces of text that arrive within this time become one event, so that a long answer fits its bound.
const TEXT_PAUSE: Duration = Duration::from_millis(25);
/// The same, once a turn has many events.
const LONG_TEXT_PAUSE: Duration = Duration::from_millis(200);
const MANY_EVENTS: usize = limits::TURN_EVENTS / 4;
const TEXT_PIECE_BYTES: usize = 16 * 1024;
/// What a runtime may take to end a turn that was cancelled.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) async fn drive(
    id: TurnId,
    request: TurnRequest,
    runtime: &Arc<dyn Runtime>,
    log: &TurnLog,
    session: Arc<tokio::sync::Mutex<()>>,
) {
    let waited = tokio::select! {
        () = log.cancel.cancelled() => None,
        place = session.lock() => Some(place),
    };
    let last = match waited {
        None => TurnEvent::Cancelled,
        Some(_place) => run(id, request, runtime, log).await,
    };
    let last = match last {
        TurnEvent::Done { text } if escaped(&text) > limits::ANSWER_BYTES => {
            failure::too_long("The turn was ended because its answer was longer than 4 MiB.")
        }
        other => other,
    };
    // The last event is never refused.
    let _ = log.push(last);
}

async fn run(id: TurnId, request: TurnRequest, runtime: &Arc<dyn Runtime>, log: &TurnLog) -> TurnEvent {
    let (events, mut told) = mpsc::channel(64);
    let runtime_cancel = log.cancel.child_token();
    let mut turn = runtime.turn(Assignment {
        id,
        request,
        events,
        cancel: runtime_cancel.clone(),
    });
    let mut text = Text::default();
    let mut give_up: Option<Instant> = None;
    let mut broken: Option<&'static str> = None;
    let last = loop {
        let flush = text.due;
        let pushed = tokio::select! {
            biased;
            Some(event) = told.recv() => text.take(event, log),
            () = at(flush), if flush.is_some() => text.flush(log),
            () = log.cancel.cancelled(), if give_up.is_none() => {
                give_up = Some(Instant::now() + CANCEL_TIMEOUT);
                Ok(())
            }
            () = at(give_up), if give_up.is_some() => break TurnEvent::Cancelled,
            last = &mut turn => break last,
        };
        if let (Err(bound), None) = (pushed, broken) {
            broken = Some(bound);
            runtime_cancel.cancel();
            give_up = Some(Instant::now() + CANCEL_TIMEOUT);
        }
    };
    drop(turn);
    while let Ok(event) = told.try_recv() {
        let _ = text.take(event, log);
    }
    let _ = text.flush(log);
    match broken {
        Some(bound) => failure::too_long(format!("The turn was ended because {bound}.")),
        None => last,
    }
}

async fn at(when: Option<Instant>) {
    match when {
        Some(when) => tokio::time::sleep_until(when).await,
        None => std::future::pending().await,
    }
}

/// Text on its way into the log.
#[derive(Default)]
struct Text {
    pending: String,
    due: Option<Instant>,
    last_flush: Option<Instant>,
    events: usize,
}

impl Text {
    fn take(&mut self, event: TurnEvent, log: &TurnLog) -> Result<(), &'static str> {
        match event {
            TurnEvent::Text { delta } => {
                self.pending.push_str(&delta);
                let pause = if self.events > MANY_EVENTS {
                    LONG_TEXT_PAUSE
                } else {
                    TEXT_PAUSE
                };
                // The first piece after a silence goes at once.
                let due = self.last_flush.map_or_else(Instant::now, |last| last + pause);
                if self.pending.len() >= TEXT_PIECE_BYTES || due <= Instant::now() {
                    return self.flush(log);
                }
                self.due = Some(due);
                Ok(())
            }
            event if event.is_last() => Ok(()),
            event => {
                self.flush(log)?;
                self.events += 1;
                log.push(event)
            }
        }
    }

    fn flush(&mut self, log: &TurnLog) -> Result<(), &'static str> {
        self.due = None;
        if self.pending.is_empty() {
            return Ok(());
        }
        self.last_flush = Some(Instant::now());
        self.events += 1;
        log.push(TurnEvent::Text {
            delta: std::mem::take(&mut self.pending),
        })
    }
}
