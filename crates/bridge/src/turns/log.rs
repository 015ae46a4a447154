//! The events of one turn, numbered, kept within bounds, read by any number of readers.

use std::sync::{Mutex, PoisonError};

use creel_domain::TurnEvent;
use creel_protocol::{NumberedEvent, limits};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// All events of one turn together, in bytes of text.
const TURN_BYTES: usize = 3 * limits::ANSWER_BYTES;

pub(crate) struct TurnLog {
    pub(crate) digest: u64,
    pub(crate) cancel: CancellationToken,
    /// The number before the first event of ours.
    base: u64,
    events: Mutex<Events>,
    /// How many there are.
    count: watch::Sender<usize>,
}

#[derive(Default)]
struct Events {
    list: Vec<TurnEvent>,
    bytes: usize,
    text_bytes: usize,
}

impl TurnLog {
    pub(super) fn new(digest: u64, base: u64) -> Self {
        Self {
            digest,
            cancel: CancellationToken::new(),
            base,
            events: Mutex::default(),
            count: watch::Sender::new(0),
        }
    }

    pub(crate) fn base(&self) -> u64 {
        self.base
    }

    pub(super) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// Adds an event. Says which bound it would break, and leaves it out then. The last event always
    /// has its place.
    pub(super) fn push(&self, mut event: TurnEvent) -> Result<(), &'static str> {
        cut_tool_text(&mut event);
        let (text, bytes) = weigh(&event);
        let count = {
            let mut events = self.lock();
            if !event.is_last() {
                if self.base + events.list.len() as u64 + 1 >= limits::TURN_EVENTS as u64 {
                    return Err("it had more than 16384 events");
                }
                if events.text_bytes + text > limits::ANSWER_BYTES {
                    return Err("its answer was longer than 4 MiB");
                }
                if events.bytes + bytes > TURN_BYTES {
                    return Err("its tools said more than 12 MiB");
                }
            }
            events.text_bytes += text;
            events.bytes += bytes;
            events.list.push(event);
            events.list.len()
        };
        self.count.send_replace(count);
        Ok(())
    }

    /// Waits for the event after number `after`; none after the last.
    pub(crate) async fn next(&self, after: u64) -> Option<NumberedEvent> {
        let index = usize::try_from(after.saturating_sub(self.base)).ok()?;
        let mut count = self.count.subscribe();
        if self.ended_before(index) {
            return None;
        }
        count.wait_for(|count| *count > index).await.ok()?;
        let event = self.lock().list.get(index).cloned()?;
        Some(NumberedEvent {
            number: self.base + index as u64 + 1,
            event,
        })
    }

    /// Whether there is nothing at this place and never will be.
    fn ended_before(&self, index: usize) -> bool {
        let events = self.lock();
        index >= events.list.len() && events.list.last().is_some_and(TurnEvent::is_last)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Events> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes of answer text, and bytes in memory.
fn weigh(event: &TurnEvent) -> (usize, usize) {
    const EACH: usize = 64;
    match event {
        TurnEvent::Text { delta } => (escaped(delta), EACH + delta.len()),
        TurnEvent::ToolStarted { name, arguments, .. } => (0, EACH + name.len() + arguments.len()),
        TurnEvent::ToolFinished { output, .. } => (0, EACH + output.len()),
        TurnEvent::Done { text } => (0, EACH + text.len()),
        _ => (0, EACH),
    }
}

/// Length of a text, a control character counted by half its escape: a JSON string of a text that weighs
/// N is at most 2 N long, which is what readers make room for.
pub(super) fn escaped(text: &str) -> usize {
    let control = text
        .bytes()
        .filter(|byte| *byte < 0x20 && !matches!(byte, b'\n' | b'\r' | b'\t'))
        .count();
    text.len() + 2 * control
}

fn cut_tool_text(event: &mut TurnEvent) {
    let text = match event {
        TurnEvent::ToolStarted { arguments, .. } => arguments,
        TurnEvent::ToolFinished { output, .. } => output,
        _ => return,
    };
    if text.len() > limits::TOOL_TEXT_BYTES {
        text.truncate(text.floor_char_boundary(limits::TOOL_TEXT_BYTES));
    }
}
