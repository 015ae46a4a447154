//! OpenAI's chat completions.

use bytes::BytesMut;
use creel_domain::CallId;
use serde_json::{Map, Value, json};

use super::{Garbled, error_of, list, number, put_data, text_field, text_of, texts};
use crate::{
    Failure, Usage,
    conversation::{
        Answer, Choice, Event, Part, Prompt, Said, Side, Stop, Told, Tool, object, picture, untranslatable,
    },
};

pub(super) fn read(fields: &Map<String, Value>) -> Result<Prompt, Failure> {
    let mut prompt = Prompt {
        max_output: ["max_completion_tokens", "max_tokens"]
            .iter()
            .find_map(|name| fields.get(*name)?.as_u64()),
        temperature: number(fields, "temperature"),
        top_p: number(fields, "top_p"),
        stop: texts(fields.get("stop")),
        ..Prompt::default()
    };
    if fields
        .get("n")
        .is_some_and(|n| n.as_u64() != Some(1) && !n.is_null())
    {
        return Err(untranslatable("`n` other than 1"));
    }
    if let Some(format) = fields.get("response_format").filter(|format| !format.is_null())
        && format["type"] != "text"
    {
        return Err(untranslatable("`response_format`"));
    }
    for message in list(fields, "messages")? {
        read_message(&mut prompt, message)?;
    }
    for tool in list(fields, "tools")? {
        if tool["type"] != "function" {
            return Err(untranslatable(&format!("a tool of type {}", tool["type"])));
        }
        prompt.tools.push(read_tool(&tool["function"])?);
    }
    prompt.choice = match fields.get("tool_choice") {
        Some(Value::String(word)) if word == "none" => Choice::None,
        Some(Value::String(word)) if word == "required" => Choice::Any,
        Some(choice @ Value::Object(_)) => Choice::This(text_field(&choice["function"], "name")?),
        _ => Choice::Auto,
    };
    Ok(prompt)
}

/// `name`, `description` and `parameters`, as responses has them too.
pub(super) fn read_tool(tool: &Value) -> Result<Tool, Failure> {
    Ok(Tool {
        name: text_field(tool, "name")?,
        description: tool["description"].as_str().map(str::to_owned),
        parameters: match &tool["parameters"] {
            Value::Null => json!({"type": "object", "properties": {}}),
            schema => schema.clone(),
        },
    })
}

fn read_message(prompt: &mut Prompt, message: &Value) -> Result<(), Failure> {
    let content = &message["content"];
    match message["role"].as_str() {
        Some("system" | "developer") => prompt.system.push(text_of(content)?),
        Some("user") => match content {
            Value::Array(parts) => {
                for part in parts {
                    prompt.push(Side::User, read_part(part)?);
                }
            }
            text => prompt.push(Side::User, Part::Text(text_of(text)?)),
        },
        Some("assistant") => {
            prompt.push(Side::Model, Part::Text(text_of(content)?));
            for call in message["tool_calls"].as_array().unwrap_or(&Vec::new()) {
                let function = &call["function"];
                let call = Part::Call {
                    id: text_field(call, "id")?,
                    name: text_field(function, "name")?,
                    arguments: object(function["arguments"].as_str().unwrap_or_default()),
                };
                prompt.push(Side::Model, call);
            }
        }
        Some("tool") => {
            let result = Part::Result {
                id: text_field(message, "tool_call_id")?,
                text: text_of(content)?,
                failed: false,
            };
            prompt.push(Side::User, result);
        }
        _ => return Err(untranslatable(&format!("a message of role {}", message["role"]))),
    }
    Ok(())
}

fn read_part(part: &Value) -> Result<Part, Failure> {
    let other = || untranslatable(&format!("a part of type {}", part["type"]));
    match part["type"].as_str() {
        Some("text") => Ok(Part::Text(text_field(part, "text")?)),
        Some("image_url") => part["image_url"]["url"]
            .as_str()
            .and_then(picture)
            .ok_or_else(other),
        _ => Err(other()),
    }
}

pub(super) fn ask(prompt: &Prompt, model: &str, max_output: &str) -> Value {
    let mut messages = Vec::new();
    if !prompt.system.is_empty() {
        messages.push(json!({"role": "system", "content": prompt.system.join("\n\n")}));
    }
    for message in &prompt.messages {
        match message.side {
            Side::User => ask_user(&message.parts, &mut messages),
            Side::Model => messages.push(ask_model(&message.parts)),
        }
    }
    let mut body = json!({
        "model": model,
        "messages": messages,
        "stream": true,
        "stream_options": {"include_usage": true},
    });
    if !prompt.tools.is_empty() {
        let tools = prompt.tools.iter().map(|tool| {
            json!({"type": "function", "function": {
                "name": tool.name, "description": tool.description, "parameters": tool.parameters}})
        });
        body["tools"] = tools.collect();
        body["tool_choice"] = match &prompt.choice {
            Choice::Auto => json!("auto"),
            Choice::None => json!("none"),
            Choice::Any => json!("required"),
            Choice::This(name) => json!({"type": "function", "function": {"name": name}}),
        };
    }
    if let Some(most) = prompt.max_output {
        body[max_output] = json!(most);
    }
    if let Some(temperature) = &prompt.temperature {
        body["temperature"] = json!(temperature);
    }
    if let Some(top_p) = &prompt.top_p {
        body["top_p"] = json!(top_p);
    }
    if !prompt.stop.is_empty() {
        body["stop"] = json!(prompt.stop);
    }
    body
}

/// Results are messages of their own and come first: they must follow the calls.
fn ask_user(parts: &[Part], messages: &mut Vec<Value>) {
    for part in parts {
        if let Part::Result { id, text, failed } = part {
            let text = if *failed {
                format!("Error: {text}")
            } else {
                text.clone()
            };
            messages.push(json!({"role": "tool", "tool_call_id": id, "content": text}));
        }
    }
    let said: Vec<Value> = parts
        .iter()
        .filter_map(|part| match part {
            Part::Text(text) => Some(json!({"type": "text", "text": text})),
            Part::Picture { media_type, data } => Some(json!({"type": "image_url", "image_url":
                {"url": format!("data:{media_type};base64,{data}")}})),
            Part::Call { .. } | Part::Result { .. } => None,
        })
        .collect();
    match said.as_slice() {
        [] => {}
        // Plain text where it can be: not every server takes a list.
        [one] if one["type"] == "text" => messages.push(json!({"role": "user", "content": one["text"]})),
        _ => messages.push(json!({"role": "user", "content": said})),
    }
}

fn ask_model(parts: &[Part]) -> Value {
    let (mut text, mut calls) = (String::new(), Vec::new());
    for part in parts {
        match part {
            Part::Text(more) => text.push_str(more),
            Part::Call { id, name, arguments } => calls.push(json!({"id": id, "type": "function",
                "function": {"name": name, "arguments": arguments.to_string()}})),
            Part::Picture { .. } | Part::Result { .. } => {}
        }
    }
    let content = if text.is_empty() { Value::Null } else { json!(text) };
    let mut message = json!({"role": "assistant", "content": content});
    if !calls.is_empty() {
        message["tool_calls"] = json!(calls);
    }
    message
}

/// Follows the chunks of an answer.
#[derive(Default)]
pub(crate) struct Reader {
    /// Calls begun so far; only the last of them may go on.
    calls: u64,
    pub(super) stopped: bool,
}

impl Reader {
    pub(super) fn see(&mut self, chunk: &Value, told: &mut Vec<Told>) -> Result<(), Garbled> {
        if let Some(error) = error_of(chunk) {
            told.push(Told::Failed(error));
            return Ok(());
        }
        let choice = &chunk["choices"][0];
        let delta = &choice["delta"];
        for name in ["content", "refusal"] {
            if let Some(text) = delta[name].as_str().filter(|text| !text.is_empty()) {
                told.push(Told::Event(Event::Text(text.to_owned())));
            }
        }
        for call in delta["tool_calls"].as_array().unwrap_or(&Vec::new()) {
            self.see_call(call, told)?;
        }
        if let Some(reason) = choice["finish_reason"].as_str() {
            self.stopped = true;
            told.push(Told::Stop(match reason {
                "length" => Stop::Length,
                "tool_calls" | "function_call" => Stop::Calls,
                "content_filter" => Stop::Filtered,
                _ => Stop::Done,
            }));
        }
        if let Some(usage) = Usage::of_chat(&chunk["usage"]) {
            told.push(Told::Usage(usage));
        }
        Ok(())
    }

    fn see_call(&mut self, call: &Value, told: &mut Vec<Told>) -> Result<(), Garbled> {
        let function = &call["function"];
        // Some servers leave the index out and send each call whole.
        let begins = match call["index"].as_u64() {
            Some(index) => index >= self.calls,
            None => function["name"].as_str().is_some_and(|name| !name.is_empty()),
        };
        if begins {
            let name = function["name"].as_str().ok_or(Garbled)?;
            let id = call["id"].as_str().filter(|id| !id.is_empty());
            self.calls += 1;
            told.push(Told::Event(Event::Call {
                id: id.map_or_else(super::gemini::new_call, str::to_owned),
                name: name.to_owned(),
            }));
        } else if call["index"].as_u64().is_some_and(|index| index + 1 < self.calls) {
            // The call before the last goes on: no one does that, and no format of ours could say it.
            return Err(Garbled);
        }
        let more = match &function["arguments"] {
            Value::String(text) => text.clone(),
            whole @ Value::Object(_) => whole.to_string(),
            _ => String::new(),
        };
        if !more.is_empty() {
            told.push(Told::Event(Event::Arguments(more)));
        }
        Ok(())
    }
}

/// Writes chunks.
pub(crate) struct Writer {
    id: String,
    model: String,
    usage_wanted: bool,
    created: i64,
    calls: u64,
}

fn usage_json(usage: Option<Usage>) -> Value {
    usage.map_or(Value::Null, |usage| {
        json!({
            "prompt_tokens": usage.input,
            "completion_tokens": usage.output,
            "total_tokens": usage.input + usage.output,
            "prompt_tokens_details": {"cached_tokens": usage.cached_input},
        })
    })
}

fn reason(stop: Stop) -> &'static str {
    match stop {
        Stop::Done => "stop",
        Stop::Length => "length",
        Stop::Calls => "tool_calls",
        Stop::Filtered => "content_filter",
    }
}

impl Writer {
    pub(super) fn new(call: CallId, model: String, usage_wanted: bool, created: i64) -> Self {
        Self {
            id: format!("chatcmpl-{call}"),
            model,
            usage_wanted,
            created,
            calls: 0,
        }
    }

    fn put(&self, out: &mut BytesMut, choices: Value, usage: Value) {
        let mut chunk = json!({"id": self.id, "object": "chat.completion.chunk", "created": self.created,
            "model": self.model, "choices": choices});
        if self.usage_wanted {
            chunk["usage"] = usage;
        }
        put_data(out, &chunk);
    }

    fn put_delta(&self, out: &mut BytesMut, delta: Value, finish_reason: Value) {
        let choices = json!([{"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": null}]);
        self.put(out, choices, Value::Null);
    }

    pub(super) fn begin(&mut self, out: &mut BytesMut) {
        self.put_delta(out, json!({"role": "assistant", "content": ""}), Value::Null);
    }

    pub(super) fn event(&mut self, event: Event, out: &mut BytesMut) {
        let delta = match event {
            Event::Text(text) => json!({ "content": text }),
            Event::Call { id, name } => {
                self.calls += 1;
                json!({"tool_calls": [{"index": self.calls - 1, "id": id, "type": "function",
                    "function": {"name": name, "arguments": ""}}]})
            }
            Event::Arguments(more) => json!({"tool_calls": [{"index": self.calls.saturating_sub(1),
                "function": {"arguments": more}}]}),
        };
        self.put_delta(out, delta, Value::Null);
    }

    pub(super) fn end(&mut self, stop: Stop, usage: Option<Usage>, out: &mut BytesMut) {
        self.put_delta(out, json!({}), json!(reason(stop)));
        if self.usage_wanted && usage.is_some() {
            self.put(out, json!([]), usage_json(usage));
        }
        out.extend_from_slice(&super::DONE);
    }

    pub(super) fn whole(&self, answer: &Answer) -> Value {
        let text = answer.text();
        let calls: Vec<Value> = answer
            .said
            .iter()
            .filter_map(|said| match said {
                Said::Text(_) => None,
                Said::Call { id, name, arguments } => Some(json!({"id": id, "type": "function",
                    "function": {"name": name, "arguments": arguments}})),
            })
            .collect();
        let content = if text.is_empty() && !calls.is_empty() {
            Value::Null
        } else {
            json!(text)
        };
        let mut message = json!({"role": "assistant", "content": content, "refusal": null});
        if !calls.is_empty() {
            message["tool_calls"] = json!(calls);
        }
        let mut whole = json!({"id": self.id, "object": "chat.completion", "created": self.created,
            "model": self.model, "choices": [{"index": 0, "message": message, "logprobs": null,
            "finish_reason": reason(answer.stop)}]});
        if answer.usage.is_some() {
            whole["usage"] = usage_json(answer.usage);
        }
        whole
    }
}
