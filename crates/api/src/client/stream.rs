//! A stream of server-sent events that comes back by itself after its connection is lost.

use std::{collections::VecDeque, time::Duration};

use futures_util::{Stream, future::BoxFuture, stream};
use reqwest::Response;

use super::{
    Error,
    sse::{SseEvent, SseParser},
};

/// A connection that is silent for so long is taken for dead: the server says something every 15 seconds.
const SILENCE: Duration = Duration::from_secs(60);
/// Waits between attempts to come back: the first, doubled up to the last.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LAST_WAIT: Duration = Duration::from_secs(5);
/// Attempts in a row without a single event in between: about two minutes.
const ATTEMPTS: u32 = 28;

/// Connects after the event with the given number.
pub(super) type Connect = Box<dyn Fn(u64) -> BoxFuture<'static, Result<Response, Error>> + Send + Sync>;

struct State {
    url: String,
    connect: Connect,
    /// The first answer must hold; after that a passing failure is retried.
    response: Option<Response>,
    parser: SseParser,
    ready: VecDeque<SseEvent>,
    last_id: u64,
    failures: u32,
    finished: bool,
}

/// Events after `last_id`, each with its number, until `is_last` says so or nothing helps any more.
pub(super) fn resuming(
    url: String,
    first: Option<Response>,
    last_id: u64,
    connect: Connect,
    is_last: fn(&str) -> bool,
) -> impl Stream<Item = Result<SseEvent, Error>> + Send {
    let state = State {
        url,
        connect,
        response: first,
        parser: SseParser::default(),
        ready: VecDeque::new(),
        last_id,
        failures: 0,
        finished: false,
    };
    stream::unfold(state, move |mut state| async move {
        if state.finished {
            return None;
        }
        match state.next().await {
            Ok(event) => {
                state.finished = is_last(&event.data);
                Some((Ok(event), state))
            }
            Err(error) => {
                state.finished = true;
                Some((Err(error), state))
            }
        }
    })
}

impl State {
    async fn next(&mut self) -> Result<SseEvent, Error> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                // What was seen before the connection broke is not given twice.
                match event.id {
                    Some(id) if id <= self.last_id => continue,
                    Some(id) => self.last_id = id,
                    None => {}
                }
                self.failures = 0;
                return Ok(event);
            }
            let Err(error) = self.fill().await else { continue };
            self.response = None;
            self.parser = SseParser::default();
            self.failures += 1;
            if !error.is_passing() || self.failures > ATTEMPTS {
                return Err(error);
            }
            tokio::time::sleep(wait_before(self.failures)).await;
        }
    }

    /// Reads some more, connecting first where there is no connection.
    async fn fill(&mut self) -> Result<(), Error> {
        let response = match &mut self.response {
            Some(response) => response,
            none => none.insert((self.connect)(self.last_id).await?),
        };
        let ended = || Error::StreamEnded {
            url: self.url.clone(),
        };
        let chunk = tokio::time::timeout(SILENCE, response.chunk())
            .await
            .map_err(|_| ended())?
            .map_err(|source| Error::transport(&self.url, source))?
            .ok_or_else(ended)?;
        let mut events = Vec::new();
        let parsed = self.parser.push(&chunk, &mut events);
        self.ready.extend(events);
        parsed.map_err(|_| ended())
    }
}

fn wait_before(attempt: u32) -> Duration {
    FIRST_WAIT
        .saturating_mul(1 << attempt.saturating_sub(1).min(16))
        .min(LAST_WAIT)
}
