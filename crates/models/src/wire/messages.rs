//! Anthropic's messages.

use bytes::BytesMut;
use creel_domain::CallId;
use serde_json::{Map, Value, json};

use super::{error_of, list, number, put_event, text_field, text_of, texts};
use crate::{
    Failure, Usage,
    conversation::{
        Answer, Choice, Event, Message, Part, Prompt, Said, Side, Stop, Told, Tool, object, untranslatable,
    },
};

/// What a provider is asked for when the sandbox sets no bound: this format must have one.
const MAX_OUTPUT: u64 = 8192;

pub(super) fn read(fields: &Map<String, Value>) -> Result<Prompt, Failure> {
    let mut prompt = Prompt {
        max_output: fields.get("max_tokens").and_then(Value::as_u64),
        temperature: number(fields, "temperature"),
        top_p: number(fields, "top_p"),
        stop: texts(fields.get("stop_sequences")),
        ..Prompt::default()
    };
    match fields.get("system") {
        None | Some(Value::Null) => {}
        Some(system) => prompt.system.push(text_of(system)?),
    }
    for message in list(fields, "messages")? {
        let side = match message["role"].as_str() {
            Some("user") => Side::User,
            Some("assistant") => Side::Model,
            _ => return Err(untranslatable(&format!("a message of role {}", message["role"]))),
        };
        match &message["content"] {
            Value::Array(blocks) => {
                for block in blocks {
                    read_block(&mut prompt, side, block)?;
                }
            }
            text => prompt.push(side, Part::Text(text_of(text)?)),
        }
    }
    for tool in list(fields, "tools")? {
        if !matches!(tool["type"].as_str(), None | Some("custom")) {
            return Err(untranslatable(&format!("a tool of type {}", tool["type"])));
        }
        prompt.tools.push(Tool {
            name: text_field(tool, "name")?,
            description: tool["description"].as_str().map(str::to_owned),
            parameters: tool["input_schema"].clone(),
        });
    }
    let choice = fields.get("tool_choice").unwrap_or(&Value::Null);
    prompt.choice = match choice["type"].as_str() {
        Some("none") => Choice::None,
        Some("any") => Choice::Any,
        Some("tool") => Choice::This(text_field(choice, "name")?),
        _ => Choice::Auto,
    };
    Ok(prompt)
}

fn read_block(prompt: &mut Prompt, side: Side, block: &Value) -> Result<(), Failure> {
    let other = || untranslatable(&format!("a block of type {}", block["type"]));
    let part = match block["type"].as_str() {
        Some("text") => Part::Text(text_field(block, "text")?),
        Some("image") if block["source"]["type"] == "base64" => Part::Picture {
            media_type: text_field(&block["source"], "media_type")?,
            data: text_field(&block["source"], "data")?,
        },
        Some("tool_use") => Part::Call {
            id: text_field(block, "id")?,
            name: text_field(block, "name")?,
            arguments: block["input"].clone(),
        },
        Some("tool_result") => Part::Result {
            id: text_field(block, "tool_use_id")?,
            text: text_of(&block["content"])?,
            failed: block["is_error"] == true,
        },
        // Only the model that thought them can use them.
        Some("thinking" | "redacted_thinking") => return Ok(()),
        _ => return Err(other()),
    };
    prompt.push(side, part);
    Ok(())
}

pub(super) fn ask(prompt: &Prompt, model: &str) -> Value {
    let mut messages: Vec<Value> = prompt.messages.iter().map(ask_message).collect();
    let cached = json!({"type": "ephemeral"});
    // The next call of a turn begins with all of this one.
    if let Some(block) = messages
        .last_mut()
        .and_then(|message| message["content"].as_array_mut()?.last_mut())
    {
        block["cache_control"] = cached.clone();
    }
    let mut body = json!({
        "model": model,
        "messages": messages,
        "max_tokens": prompt.max_output.unwrap_or(MAX_OUTPUT),
        "stream": true,
    });
    let system = prompt.system.join("\n\n");
    if !system.is_empty() {
        body["system"] = json!([{"type": "text", "text": system, "cache_control": cached}]);
    }
    if !prompt.tools.is_empty() {
        let tools = prompt.tools.iter().map(|tool| {
            let mut declared = json!({"name": tool.name, "input_schema": tool.parameters});
            if let Some(description) = &tool.description {
                declared["description"] = json!(description);
            }
            declared
        });
        body["tools"] = tools.collect();
        body["tool_choice"] = match &prompt.choice {
            Choice::Auto => json!({"type": "auto"}),
            Choice::None => json!({"type": "none"}),
            Choice::Any => json!({"type": "any"}),
            Choice::This(name) => json!({"type": "tool", "name": name}),
        };
    }
    // Newer models take one of the two; this scale ends at 1, others at 2.
    if let Some(temperature) = prompt.temperature.as_ref().and_then(serde_json::Number::as_f64) {
        body["temperature"] = json!(temperature.clamp(0.0, 1.0));
    } else if let Some(top_p) = &prompt.top_p {
        body["top_p"] = json!(top_p);
    }
    if !prompt.stop.is_empty() {
        body["stop_sequences"] = json!(prompt.stop);
    }
    body
}

fn ask_message(message: &Message) -> Value {
    // Results must come before anything else that is said.
    let (results, others): (Vec<&Part>, Vec<&Part>) = message
        .parts
        .iter()
        .partition(|part| matches!(part, Part::Result { .. }));
    let blocks: Vec<Value> = results
        .into_iter()
        .chain(others)
        .map(|part| match part {
            Part::Text(text) => json!({"type": "text", "text": text}),
            Part::Picture { media_type, data } => json!({"type": "image", "source":
                {"type": "base64", "media_type": media_type, "data": data}}),
            Part::Call { id, name, arguments } => {
                json!({"type": "tool_use", "id": plain(id), "name": name, "input": arguments})
            }
            Part::Result { id, text, failed } => json!({"type": "tool_result", "tool_use_id": plain(id),
                "content": text, "is_error": failed}),
        })
        .collect();
    let role = match message.side {
        Side::User => "user",
        Side::Model => "assistant",
    };
    json!({"role": role, "content": blocks})
}

/// Ids of calls may have only these characters here.
fn plain(id: &str) -> String {
    id.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '-' {
                c
            } else {
                '_'
            }
        })
        .collect()
}

/// Follows an answer.
#[derive(Default)]
pub(crate) struct Reader {
    /// What was reported so far: the end adds to the beginning.
    usage: Map<String, Value>,
    /// The block that is told now is a call, and whether any of its arguments came.
    call: Option<bool>,
}

impl Reader {
    pub(super) fn see(&mut self, event: &Value, told: &mut Vec<Told>) {
        match event["type"].as_str() {
            Some("message_start") => self.count(&event["message"]["usage"]),
            Some("content_block_start") => {
                let block = &event["content_block"];
                self.call = None;
                match block["type"].as_str() {
                    Some("text") => text(&block["text"], told),
                    Some("tool_use") => {
                        self.call = Some(false);
                        told.push(Told::Event(Event::Call {
                            id: block["id"].as_str().unwrap_or_default().to_owned(),
                            name: block["name"].as_str().unwrap_or_default().to_owned(),
                        }));
                    }
                    _ => {}
                }
            }
            Some("content_block_delta") => {
                let delta = &event["delta"];
                match (delta["type"].as_str(), &mut self.call) {
                    (Some("text_delta"), _) => text(&delta["text"], told),
                    (Some("input_json_delta"), Some(any)) => {
                        if let Some(more) = delta["partial_json"].as_str().filter(|more| !more.is_empty()) {
                            *any = true;
                            told.push(Told::Event(Event::Arguments(more.to_owned())));
                        }
                    }
                    _ => {}
                }
            }
            // A call without arguments may come without any delta.
            Some("content_block_stop") if self.call == Some(false) => {
                self.call = None;
                told.push(Told::Event(Event::Arguments("{}".to_owned())));
            }
            Some("message_delta") => {
                if let Some(reason) = event["delta"]["stop_reason"].as_str() {
                    told.push(Told::Stop(match reason {
                        "max_tokens" | "model_context_window_exceeded" => Stop::Length,
                        "tool_use" => Stop::Calls,
                        "refusal" => Stop::Filtered,
                        _ => Stop::Done,
                    }));
                }
                self.count(&event["usage"]);
                if let Some(usage) = Usage::of_messages(&Value::Object(self.usage.clone())) {
                    told.push(Told::Usage(usage));
                }
            }
            Some("message_stop") => told.push(Told::End),
            Some("error") => told.push(Told::Failed(error_of(event).unwrap_or_default())),
            _ => {}
        }
    }

    fn count(&mut self, usage: &Value) {
        let counts = usage.as_object().into_iter().flatten();
        self.usage.extend(
            counts
                .filter(|(_, count)| !count.is_null())
                .map(|(name, count)| (name.clone(), count.clone())),
        );
    }
}

fn text(text: &Value, told: &mut Vec<Told>) {
    if let Some(text) = text.as_str().filter(|text| !text.is_empty()) {
        told.push(Told::Event(Event::Text(text.to_owned())));
    }
}

/// Writes an answer. Blocks follow one another; an open one is closed before the next begins.
pub(crate) struct Writer {
    id: String,
    model: String,
    blocks: u64,
    open: Option<Open>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Text,
    Call,
}

fn usage_json(usage: Option<Usage>) -> Value {
    // The format has no way to say that it is not known.
    let usage = usage.unwrap_or_default();
    json!({
        "input_tokens": usage.input - usage.cached_input - usage.cache_write,
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cached_input,
        "output_tokens": usage.output,
    })
}

fn reason(stop: Stop) -> &'static str {
    match stop {
        Stop::Done => "end_turn",
        Stop::Length => "max_tokens",
        Stop::Calls => "tool_use",
        Stop::Filtered => "refusal",
    }
}

impl Writer {
    pub(super) fn new(call: CallId, model: String) -> Self {
        Self {
            id: format!("msg_{call}"),
            model,
            blocks: 0,
            open: None,
        }
    }

    fn message(&self, content: Value, stop_reason: Value, usage: Value) -> Value {
        json!({"id": self.id, "type": "message", "role": "assistant", "model": self.model,
            "content": content, "stop_reason": stop_reason, "stop_sequence": null, "usage": usage})
    }

    pub(super) fn begin(&mut self, out: &mut BytesMut) {
        let message = self.message(json!([]), Value::Null, usage_json(None));
        put_event(
            out,
            "message_start",
            &json!({"type": "message_start", "message": message}),
        );
    }

    fn close(&mut self, out: &mut BytesMut) {
        if self.open.take().is_some() {
            let index = self.blocks - 1;
            put_event(
                out,
                "content_block_stop",
                &json!({"type": "content_block_stop", "index": index}),
            );
        }
    }

    fn open(&mut self, kind: Open, block: &Value, out: &mut BytesMut) {
        self.close(out);
        let start = json!({"type": "content_block_start", "index": self.blocks, "content_block": block});
        put_event(out, "content_block_start", &start);
        self.blocks += 1;
        self.open = Some(kind);
    }

    pub(super) fn event(&mut self, event: Event, out: &mut BytesMut) {
        let delta = match event {
            Event::Text(text) => {
                if self.open != Some(Open::Text) {
                    self.open(Open::Text, &json!({"type": "text", "text": ""}), out);
                }
                json!({"type": "text_delta", "text": text})
            }
            Event::Call { id, name } => {
                let block = json!({"type": "tool_use", "id": id, "name": name, "input": {}});
                return self.open(Open::Call, &block, out);
            }
            Event::Arguments(more) => json!({"type": "input_json_delta", "partial_json": more}),
        };
        let index = self.blocks.saturating_sub(1);
        let delta = json!({"type": "content_block_delta", "index": index, "delta": delta});
        put_event(out, "content_block_delta", &delta);
    }

    pub(super) fn end(&mut self, stop: Stop, usage: Option<Usage>, out: &mut BytesMut) {
        self.close(out);
        let delta = json!({"type": "message_delta", "usage": usage_json(usage),
            "delta": {"stop_reason": reason(stop), "stop_sequence": null}});
        put_event(out, "message_delta", &delta);
        put_event(out, "message_stop", &json!({"type": "message_stop"}));
    }

    pub(super) fn whole(&self, answer: &Answer) -> Value {
        let blocks = answer.said.iter().map(|said| match said {
            Said::Text(text) => json!({"type": "text", "text": text}),
            Said::Call { id, name, arguments } => {
                json!({"type": "tool_use", "id": id, "name": name, "input": object(arguments)})
            }
        });
        self.message(
            blocks.collect(),
            json!(reason(answer.stop)),
            usage_json(answer.usage),
        )
    }
}
