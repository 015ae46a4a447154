//! What every model API says in its own words: a prompt, and what is told of the answer.
//!
//! Translation reads one format into these types and writes another from them. What they cannot hold is
//! refused by name when it is read, or dropped where nothing is lost by it (thoughts, hints, ids).

use serde_json::{Number, Value};

use crate::{Failure, Usage};

/// A conversation so far, and what may be done next.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Prompt {
    pub(crate) system: Vec<String>,
    /// Sides alternate: what one side says in a row is one message.
    pub(crate) messages: Vec<Message>,
    pub(crate) tools: Vec<Tool>,
    pub(crate) choice: Choice,
    pub(crate) max_output: Option<u64>,
    pub(crate) temperature: Option<Number>,
    pub(crate) top_p: Option<Number>,
    pub(crate) stop: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    User,
    Model,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Message {
    pub(crate) side: Side,
    pub(crate) parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Part {
    Text(String),
    /// A picture as base64.
    Picture {
        media_type: String,
        data: String,
    },
    Call {
        id: String,
        name: String,
        /// An object.
        arguments: Value,
    },
    Result {
        id: String,
        text: String,
        failed: bool,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tool {
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    /// JSON schema of the arguments.
    pub(crate) parameters: Value,
}

/// Whether the model may, must or must not use a tool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Choice {
    #[default]
    Auto,
    None,
    Any,
    This(String),
}

impl Prompt {
    pub(crate) fn push(&mut self, side: Side, part: Part) {
        if matches!(&part, Part::Text(text) if text.is_empty()) {
            return;
        }
        match self.messages.last_mut() {
            Some(last) if last.side == side => last.parts.push(part),
            _ => self.messages.push(Message {
                side,
                parts: vec![part],
            }),
        }
    }

    /// The name of the tool that a result belongs to.
    pub(crate) fn called(&self, call: &str) -> Option<&str> {
        self.messages
            .iter()
            .flat_map(|message| &message.parts)
            .find_map(|part| match part {
                Part::Call { id, name, .. } if id == call => Some(name.as_str()),
                _ => None,
            })
    }
}

/// More of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    Text(String),
    /// A tool call begins.
    Call {
        id: String,
        name: String,
    },
    /// More of the JSON text of the arguments of the call that began last.
    Arguments(String),
}

/// What one event of a provider's stream tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    Event(Event),
    Stop(Stop),
    /// The final count.
    Usage(Usage),
    /// Nothing follows.
    End,
    /// The provider gave up, in its words.
    Failed(String),
}

/// Why the model stopped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Stop {
    #[default]
    Done,
    Length,
    Calls,
    Filtered,
}

/// A whole answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) said: Vec<Said>,
    pub(crate) stop: Stop,
    pub(crate) usage: Option<Usage>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    Text(String),
    Call {
        id: String,
        name: String,
        arguments: String,
    },
}

impl Answer {
    pub(crate) fn add(&mut self, event: Event) {
        match (event, self.said.last_mut()) {
            (Event::Text(more), Some(Said::Text(text))) => text.push_str(&more),
            (Event::Text(text), _) => self.said.push(Said::Text(text)),
            (Event::Call { id, name }, _) => self.said.push(Said::Call {
                id,
                name,
                arguments: String::new(),
            }),
            (Event::Arguments(more), Some(Said::Call { arguments, .. })) => arguments.push_str(&more),
            // No reader tells of arguments before their call.
            (Event::Arguments(_), _) => {}
        }
    }

    pub(crate) fn text(&self) -> String {
        let texts = self.said.iter().filter_map(|said| match said {
            Said::Text(text) => Some(text.as_str()),
            Said::Call { .. } => None,
        });
        texts.collect()
    }
}

/// Arguments as an object; a model's broken JSON becomes an empty one.
pub(crate) fn object(text: &str) -> Value {
    serde_json::from_str(text)
        .ok()
        .filter(Value::is_object)
        .unwrap_or_else(|| Value::Object(serde_json::Map::new()))
}

/// `data:image/png;base64,…`
pub(crate) fn picture(url: &str) -> Option<Part> {
    let (media_type, data) = url.strip_prefix("data:")?.split_once(";base64,")?;
    media_type.starts_with("image/").then(|| Part::Picture {
        media_type: media_type.to_owned(),
        data: data.to_owned(),
    })
}

/// A refusal of something that cannot be said in the provider's format.
pub(crate) fn untranslatable(what: &str) -> Failure {
    let what: String = what.chars().take(80).collect();
    Failure::invalid(format!(
        "{what} cannot be translated for this agent's provider: leave it out, or use a provider that speaks this API"
    ))
}
