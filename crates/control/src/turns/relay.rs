//! Makes one story of what a bridge tells, even when it has to begin again.
//!
//! After each lost connection the bridge is asked from the start. A bridge that still has the turn tells the
//! same again: what was heard before is skipped. One that was restarted tells something else sooner or
//! later: from there readers get a new `started`, which means that what came before it is void, and the new
//! story. Nothing is believed: numbers must count up, sizes are bounded, tool texts cut.

use std::sync::Arc;

use creel_domain::{TurnEvent, TurnFailure};
use creel_protocol::{NumberedEvent, limits};

/// All text of one turn that is kept for readers, tools included, in bytes.
pub(crate) const TURN_BYTES: usize = 16 * 1024 * 1024;
/// How often a story may begin anew before the turn is given up.
const RETELLINGS: u32 = 8;
/// A failure's code and sentence, in bytes.
const CODE_BYTES: usize = 64;
const SENTENCE_BYTES: usize = 2000;

/// Why a bridge's story cannot go on.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Nonsense {
    /// Worth another connection.
    #[error("event {given} came where {expected} was due")]
    Number { given: u64, expected: u64 },
    /// The turn is over.
    #[error("the answer is longer than {} MiB", limits::ANSWER_BYTES >> 20)]
    TooLong,
    #[error("there are more than {} events in the turn", limits::TURN_EVENTS)]
    TooMany,
    #[error("it began anew {RETELLINGS} times")]
    TooOften,
}

#[derive(Default)]
pub(crate) struct Relay {
    /// The present story.
    story: Vec<Arc<TurnEvent>>,
    /// How much of it this connection has confirmed.
    confirmed: usize,
    answer_bytes: usize,
    /// Of all stories.
    total_bytes: usize,
    total_events: usize,
    retellings: u32,
}

impl Relay {
    /// A new connection tells from the start.
    pub(crate) fn reconnected(&mut self) {
        self.confirmed = 0;
    }

    /// Takes one event and returns what readers are to be told.
    pub(crate) fn take(&mut self, heard: NumberedEvent) -> Result<Vec<Arc<TurnEvent>>, Nonsense> {
        let expected = self.confirmed as u64 + 1;
        if heard.number != expected {
            return Err(Nonsense::Number {
                given: heard.number,
                expected,
            });
        }
        let event = cut(heard.event);
        if self
            .story
            .get(self.confirmed)
            .is_some_and(|known| **known == event)
        {
            self.confirmed += 1;
            return Ok(Vec::new());
        }
        let mut news = Vec::new();
        if self.confirmed < self.story.len() {
            self.retellings += 1;
            if self.retellings > RETELLINGS {
                return Err(Nonsense::TooOften);
            }
            self.story.truncate(self.confirmed);
            self.answer_bytes = self.story.iter().map(|event| answer_bytes(event)).sum();
            let begins = self.story.first().map_or(&event, |first| first);
            if !matches!(begins, TurnEvent::Started) {
                news.push(Arc::new(TurnEvent::Started));
            }
            news.extend(self.story.iter().cloned());
        }
        news.push(Arc::new(event));
        let event = Arc::clone(&news[news.len() - 1]);
        self.answer_bytes += answer_bytes(&event);
        self.total_bytes += bytes(&event);
        self.total_events += news.len();
        if self.answer_bytes > limits::ANSWER_BYTES || self.total_bytes > TURN_BYTES {
            return Err(Nonsense::TooLong);
        }
        if self.total_events > limits::TURN_EVENTS {
            return Err(Nonsense::TooMany);
        }
        self.story.push(event);
        self.confirmed += 1;
        Ok(news)
    }

    /// The present story, whole.
    pub(crate) fn story(&self) -> &[Arc<TurnEvent>] {
        &self.story
    }
}

/// Pieces of the answer; the whole at the end repeats them, and is measured by itself in [`bytes`].
fn answer_bytes(event: &TurnEvent) -> usize {
    match event {
        TurnEvent::Text { delta } => delta.len(),
        _ => 0,
    }
}

fn bytes(event: &TurnEvent) -> usize {
    match event {
        TurnEvent::Text { delta: text } | TurnEvent::Done { text } => text.len(),
        TurnEvent::ToolStarted {
            tool_id,
            name,
            arguments,
        } => tool_id.len() + name.len() + arguments.len(),
        TurnEvent::ToolFinished { tool_id, output, .. } => tool_id.len() + output.len(),
        TurnEvent::Started | TurnEvent::Failed(_) | TurnEvent::Cancelled => 0,
    }
}

fn cut(event: TurnEvent) -> TurnEvent {
    match event {
        TurnEvent::ToolStarted {
            tool_id,
            name,
            arguments,
        } => TurnEvent::ToolStarted {
            tool_id: shorten(tool_id, 256),
            name: shorten(name, 256),
            arguments: shorten(arguments, limits::TOOL_TEXT_BYTES),
        },
        TurnEvent::ToolFinished { tool_id, ok, output } => TurnEvent::ToolFinished {
            tool_id: shorten(tool_id, 256),
            ok,
            output: shorten(output, limits::TOOL_TEXT_BYTES),
        },
        TurnEvent::Failed(failure) => TurnEvent::Failed(TurnFailure {
            code: code(failure.code),
            message: shorten(failure.message, SENTENCE_BYTES),
        }),
        other => other,
    }
}

/// Codes are words of ours; what is none becomes one.
fn code(code: String) -> String {
    let good = (1..=CODE_BYTES).contains(&code.len())
        && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if good { code } else { "agent_failed".to_owned() }
}

fn shorten(mut text: String, most: usize) -> String {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(delta: &str) -> TurnEvent {
        TurnEvent::Text {
            delta: delta.to_owned(),
        }
    }

    fn tell(relay: &mut Relay, events: &[TurnEvent]) -> Vec<TurnEvent> {
        relay.reconnected();
        let mut told = Vec::new();
        for (index, event) in events.iter().enumerate() {
            let number = index as u64 + 1;
            let event = event.clone();
            let news = relay.take(NumberedEvent { number, event }).expect("a good event");
            told.extend(news.into_iter().map(|event| (*event).clone()));
        }
        told
    }

    #[test]
    fn the_same_story_told_again_is_heard_once() {
        let mut relay = Relay::default();
        let story = [TurnEvent::Started, text("Hel"), text("lo")];
        assert_eq!(tell(&mut relay, &story[..2]), story[..2]);
        assert_eq!(tell(&mut relay, &story), story[2..]);
    }

    #[test]
    fn another_story_begins_anew() {
        let mut relay = Relay::default();
        tell(&mut relay, &[TurnEvent::Started, text("Hel"), text("lo")]);
        let anew = [TurnEvent::Started, text("Hel"), text("p")];
        assert_eq!(tell(&mut relay, &anew), anew);
        assert_eq!(relay.story().len(), 3);
    }

    #[test]
    fn numbers_must_count_up() {
        let heard = |number| NumberedEvent {
            number,
            event: TurnEvent::Started,
        };
        let mut relay = Relay::default();
        assert_eq!(
            relay.take(heard(2)),
            Err(Nonsense::Number {
                given: 2,
                expected: 1
            })
        );
        assert!(relay.take(heard(1)).is_ok());
    }

    #[test]
    fn what_a_hostile_bridge_says_is_cut() {
        let mut relay = Relay::default();
        let told = tell(
            &mut relay,
            &[
                TurnEvent::ToolFinished {
                    tool_id: "1".to_owned(),
                    ok: true,
                    output: "ä".repeat(limits::TOOL_TEXT_BYTES),
                },
                TurnEvent::Failed(TurnFailure {
                    code: "<script>".to_owned(),
                    message: "x".repeat(10_000),
                }),
            ],
        );
        let [TurnEvent::ToolFinished { output, .. }, TurnEvent::Failed(failure)] = &told[..] else {
            panic!("two events were expected: {told:?}");
        };
        assert_eq!(output.len(), limits::TOOL_TEXT_BYTES);
        assert_eq!(
            (failure.code.as_str(), failure.message.len()),
            ("agent_failed", SENTENCE_BYTES)
        );
    }

    #[test]
    fn an_endless_answer_ends() {
        let mut relay = Relay::default();
        let piece = "x".repeat(1 << 20);
        let outcome = (1..).find_map(|number| {
            let event = text(&piece);
            relay.take(NumberedEvent { number, event }).err()
        });
        assert_eq!(outcome, Some(Nonsense::TooLong));
    }

    proptest! {
        /// Wherever connections break and bridges forget, the last story that readers hear is the last
        /// one that was told.
        #[test]
        fn readers_end_with_the_story_that_was_told_last(
            tellings in prop::collection::vec(prop::collection::vec("[ab]", 0..6), 1..6)
        ) {
            let mut relay = Relay::default();
            let mut heard: Vec<TurnEvent> = Vec::new();
            for telling in &tellings {
                let mut story = vec![TurnEvent::Started];
                story.extend(telling.iter().map(|delta| text(delta)));
                for event in tell(&mut relay, &story) {
                    if event == TurnEvent::Started {
                        heard.clear();
                    }
                    heard.push(event);
                }
                prop_assert!(heard.starts_with(&story), "{heard:?} {story:?}");
            }
        }
    }
}
