//! The formats, a file each: reading a request, asking a provider, reading its stream, answering.

mod chat;
mod gemini;
mod messages;
mod responses;

use bytes::{Bytes, BytesMut};
use creel_domain::{CallId, ProviderKind};
use serde_json::{Map, Value};

use crate::{
    Api, Failure, Usage,
    conversation::{Answer, Event, Prompt, Stop, Told},
};

/// Reads a sandbox's request.
pub(crate) fn read(api: Api, fields: &Map<String, Value>) -> Result<Prompt, Failure> {
    let prompt = match api {
        Api::ChatCompletions => chat::read(fields),
        Api::Responses => responses::read(fields),
        Api::Messages => messages::read(fields),
    }?;
    if prompt.messages.is_empty() {
        return Err(Failure::invalid("the conversation has no message"));
    }
    Ok(prompt)
}

/// What a provider is sent for a prompt; the answer is always streamed.
pub(crate) fn ask(kind: ProviderKind, prompt: &Prompt, model: &str) -> Value {
    match kind {
        ProviderKind::Anthropic => messages::ask(prompt, model),
        ProviderKind::Gemini => gemini::ask(prompt, model),
        ProviderKind::Openai => chat::ask(prompt, model, "max_completion_tokens"),
        // Many of them know only the older name.
        ProviderKind::OpenaiCompatible | ProviderKind::Demo => chat::ask(prompt, model, "max_tokens"),
    }
}

/// Follows a provider's stream.
pub(crate) enum Reader {
    Chat(chat::Reader),
    Responses(responses::Reader),
    Messages(messages::Reader),
    Gemini(gemini::Reader),
}

/// An event that makes no sense.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Garbled;

impl Reader {
    /// For a provider's own answer to an API.
    pub(crate) fn of(api: Api) -> Self {
        match api {
            Api::ChatCompletions => Self::Chat(chat::Reader::default()),
            Api::Responses => Self::Responses(responses::Reader::default()),
            Api::Messages => Self::Messages(messages::Reader::default()),
        }
    }

    /// For the answer to [`ask`].
    pub(crate) fn of_kind(kind: ProviderKind) -> Self {
        match kind {
            ProviderKind::Anthropic => Self::Messages(messages::Reader::default()),
            ProviderKind::Gemini => Self::Gemini(gemini::Reader::default()),
            ProviderKind::Openai | ProviderKind::OpenaiCompatible | ProviderKind::Demo => {
                Self::Chat(chat::Reader::default())
            }
        }
    }

    pub(crate) fn see(&mut self, data: &str) -> Result<Vec<Told>, Garbled> {
        if data.trim() == "[DONE]" {
            return Ok(vec![Told::End]);
        }
        let event: Value = serde_json::from_str(data).map_err(|_| Garbled)?;
        let mut told = Vec::new();
        match self {
            Self::Chat(reader) => reader.see(&event, &mut told)?,
            Self::Responses(reader) => reader.see(&event, &mut told),
            Self::Messages(reader) => reader.see(&event, &mut told),
            Self::Gemini(reader) => reader.see(&event, &mut told),
        }
        Ok(told)
    }

    /// Whether a stream that ends here has said all that matters.
    pub(crate) fn is_whole(&self) -> bool {
        match self {
            Self::Chat(reader) => reader.stopped,
            Self::Gemini(reader) => reader.stopped,
            // These say themselves when they end.
            Self::Responses(_) | Self::Messages(_) => false,
        }
    }
}

/// An error in a provider's words, from any of their shapes.
pub(crate) fn error_of(value: &Value) -> Option<String> {
    let holder = if value.is_array() { &value[0] } else { value };
    let error = holder.get("error").filter(|error| !error.is_null())?;
    let said = error["message"].as_str().or(error.as_str()).unwrap_or_default();
    Some(said.chars().take(1000).collect())
}

/// Writes an answer for a sandbox.
pub(crate) enum Writer {
    Chat(chat::Writer),
    Responses(responses::Writer),
    Messages(messages::Writer),
}

impl Writer {
    /// `model` is the name that the sandbox asked for; `usage_wanted` matters to chat completions alone.
    pub(crate) fn new(api: Api, call: CallId, model: String, usage_wanted: bool, now: i64) -> Self {
        match api {
            Api::ChatCompletions => Self::Chat(chat::Writer::new(call, model, usage_wanted, now)),
            Api::Responses => Self::Responses(responses::Writer::new(call, model, now)),
            Api::Messages => Self::Messages(messages::Writer::new(call, model)),
        }
    }

    /// What comes before anything is said.
    pub(crate) fn begin(&mut self, out: &mut BytesMut) {
        match self {
            Self::Chat(writer) => writer.begin(out),
            Self::Responses(writer) => writer.begin(out),
            Self::Messages(writer) => writer.begin(out),
        }
    }

    pub(crate) fn event(&mut self, event: Event, out: &mut BytesMut) {
        match self {
            Self::Chat(writer) => writer.event(event, out),
            Self::Responses(writer) => writer.event(event, out),
            Self::Messages(writer) => writer.event(event, out),
        }
    }

    pub(crate) fn end(&mut self, stop: Stop, usage: Option<Usage>, out: &mut BytesMut) {
        match self {
            Self::Chat(writer) => writer.end(stop, usage, out),
            Self::Responses(writer) => writer.end(stop, usage, out),
            Self::Messages(writer) => writer.end(stop, usage, out),
        }
    }

    /// An answer that is not streamed.
    pub(crate) fn whole(&self, answer: &Answer) -> Value {
        match self {
            Self::Chat(writer) => writer.whole(answer),
            Self::Responses(writer) => writer.whole(answer),
            Self::Messages(writer) => writer.whole(answer),
        }
    }
}

/// The event that ends a chat completions stream.
pub(crate) const DONE: Bytes = Bytes::from_static(b"data: [DONE]\n\n");

/// Appends an event without a name.
fn put_data(out: &mut BytesMut, data: &Value) {
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(data.to_string().as_bytes());
    out.extend_from_slice(b"\n\n");
}

/// Appends an event that is named after its `type`.
fn put_event(out: &mut BytesMut, name: &str, data: &Value) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\n");
    put_data(out, data);
}

/// Text given as such or as a list of parts with `text`; parts of another kind are refused.
fn text_of(content: &Value) -> Result<String, Failure> {
    match content {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text.clone()),
        Value::Array(parts) => {
            let texts = parts.iter().map(|part| {
                part["text"].as_str().ok_or_else(|| {
                    crate::conversation::untranslatable(&format!("a part of type {}", part["type"]))
                })
            });
            Ok(texts.collect::<Result<Vec<_>, _>>()?.join("\n"))
        }
        _ => Err(Failure::invalid("`content` must be text or a list of parts")),
    }
}

fn list<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<&'a [Value], Failure> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(items)) => Ok(items),
        Some(_) => Err(Failure::invalid(format!("`{name}` must be a list"))),
    }
}

fn text_field(value: &Value, name: &str) -> Result<String, Failure> {
    let text = value[name].as_str();
    text.map(str::to_owned)
        .ok_or_else(|| Failure::invalid(format!("`{name}` must be given as text")))
}

fn number(fields: &Map<String, Value>, name: &str) -> Option<serde_json::Number> {
    fields.get(name).and_then(Value::as_number).cloned()
}

/// `stop` as one text or several.
fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(items)) => items
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    }
}
