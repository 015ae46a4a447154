//! The events of a turn, read from a bridge that may lie: numbers count up by one, sizes are bounded,
//! the last event ends the stream and a stream without one is broken off.

use std::{collections::VecDeque, str::FromStr as _};

use creel_domain::TurnEvent;
use futures_util::{StreamExt as _, stream};

use super::call::{Reply, clean};
use crate::{
    BridgeError, ByteStream, EventStream, NumberedEvent, limits,
    sse::{SseEvent, SseParser},
};

/// Room for the longest answer with its escapes: the bridge keeps the escaped text below twice the answer.
const EVENT_BYTES: usize = 2 * limits::ANSWER_BYTES + 64 * 1024;
const TOOL_NAME_CHARS: usize = 128;

struct Reader {
    bytes: ByteStream,
    parser: SseParser,
    ready: VecDeque<SseEvent>,
    check: Check,
    over: bool,
}

pub(super) fn events(reply: Reply, after: u64) -> EventStream {
    let reader = Reader {
        bytes: reply.stream(),
        parser: SseParser::new(EVENT_BYTES),
        ready: VecDeque::new(),
        check: Check {
            number: after,
            text_bytes: 0,
        },
        over: false,
    };
    stream::unfold(reader, |mut reader| async move {
        if reader.over {
            return None;
        }
        let next = reader.next().await;
        reader.over = next.as_ref().map_or(true, |event| event.event.is_last());
        Some((next, reader))
    })
    .boxed()
}

impl Reader {
    async fn next(&mut self) -> Result<NumberedEvent, BridgeError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return self.check.accept(&event);
            }
            match self.bytes.next().await {
                Some(Ok(bytes)) => {
                    let events = self.parser.push(&bytes);
                    self.ready
                        .extend(events.map_err(|error| BridgeError::Garbage(error.to_string()))?);
                }
                Some(Err(error)) => return Err(BridgeError::Unreachable(error.to_string())),
                None => {
                    return Err(BridgeError::Unreachable(
                        "it broke off in the middle of the turn".to_owned(),
                    ));
                }
            }
        }
    }
}

/// What has been seen of the turn so far.
pub(super) struct Check {
    number: u64,
    text_bytes: usize,
}

impl Check {
    pub(super) fn accept(&mut self, event: &SseEvent) -> Result<NumberedEvent, BridgeError> {
        let garbage = |what: &str| Err(BridgeError::Garbage(what.to_owned()));
        let number = event.id.as_deref().map(u64::from_str);
        let Some(Ok(number)) = number else {
            return garbage("an event of a turn without a number");
        };
        if Some(number) != self.number.checked_add(1) || number > limits::TURN_EVENTS as u64 {
            return garbage("the events of a turn are not in order, or too many");
        }
        self.number = number;
        let mut event: TurnEvent = match serde_json::from_str(&event.data) {
            Ok(event) => event,
            Err(error) => return Err(BridgeError::Garbage(error.to_string())),
        };
        match &mut event {
            TurnEvent::Text { delta } => {
                self.text_bytes = self.text_bytes.saturating_add(delta.len());
            }
            TurnEvent::Done { text } if text.len() > limits::ANSWER_BYTES => {
                return garbage("an answer longer than 4 MiB");
            }
            TurnEvent::ToolStarted {
                tool_id,
                name,
                arguments,
            } => {
                *tool_id = clean(tool_id, TOOL_NAME_CHARS);
                *name = clean(name, TOOL_NAME_CHARS);
                cut(arguments, limits::TOOL_TEXT_BYTES);
            }
            TurnEvent::ToolFinished { tool_id, output, .. } => {
                *tool_id = clean(tool_id, TOOL_NAME_CHARS);
                cut(output, limits::TOOL_TEXT_BYTES);
            }
            TurnEvent::Failed(failure) => {
                failure.code = clean(&failure.code, 64);
                failure.message = clean(&failure.message, 500);
            }
            _ => {}
        }
        if self.text_bytes > limits::ANSWER_BYTES {
            return garbage("more than 4 MiB of text in one turn");
        }
        Ok(NumberedEvent { number, event })
    }
}

fn cut(text: &mut String, bytes: usize) {
    if text.len() > bytes {
        text.truncate(text.floor_char_boundary(bytes));
    }
}
