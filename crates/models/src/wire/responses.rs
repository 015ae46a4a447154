//! OpenAI's responses.

use bytes::BytesMut;
use creel_domain::CallId;
use serde_json::{Map, Value, json};

use super::{chat::read_tool, list, number, put_event, text_field, text_of};
use crate::{
    Failure, Usage,
    conversation::{
        Answer, Choice, Event, Part, Prompt, Said, Side, Stop, Told, object, picture, untranslatable,
    },
};

pub(super) fn read(fields: &Map<String, Value>) -> Result<Prompt, Failure> {
    let mut prompt = Prompt {
        max_output: fields.get("max_output_tokens").and_then(Value::as_u64),
        temperature: number(fields, "temperature"),
        top_p: number(fields, "top_p"),
        ..Prompt::default()
    };
    if let Some(instructions) = fields.get("instructions").filter(|text| !text.is_null()) {
        prompt.system.push(text_of(instructions)?);
    }
    if let Some(text) = fields.get("text")
        && !matches!(text["format"]["type"].as_str(), None | Some("text"))
    {
        return Err(untranslatable("`text.format`"));
    }
    match fields.get("input") {
        Some(Value::String(text)) => prompt.push(Side::User, Part::Text(text.clone())),
        _ => {
            for item in list(fields, "input")? {
                read_item(&mut prompt, item)?;
            }
        }
    }
    for tool in list(fields, "tools")? {
        if tool["type"] != "function" {
            return Err(untranslatable(&format!("a tool of type {}", tool["type"])));
        }
        prompt.tools.push(read_tool(tool)?);
    }
    prompt.choice = match fields.get("tool_choice") {
        Some(Value::String(word)) if word == "none" => Choice::None,
        Some(Value::String(word)) if word == "required" => Choice::Any,
        Some(choice @ Value::Object(_)) => Choice::This(text_field(choice, "name")?),
        _ => Choice::Auto,
    };
    Ok(prompt)
}

fn read_item(prompt: &mut Prompt, item: &Value) -> Result<(), Failure> {
    match item["type"].as_str() {
        None | Some("message") => read_message(prompt, item)?,
        Some("function_call") => {
            let call = Part::Call {
                id: text_field(item, "call_id")?,
                name: text_field(item, "name")?,
                arguments: object(item["arguments"].as_str().unwrap_or_default()),
            };
            prompt.push(Side::Model, call);
        }
        Some("function_call_output") => {
            let result = Part::Result {
                id: text_field(item, "call_id")?,
                text: text_of(&item["output"])?,
                failed: false,
            };
            prompt.push(Side::User, result);
        }
        // Only the model that thought it can use it.
        Some("reasoning") => {}
        Some(kind) => return Err(untranslatable(&format!("an item of type {kind}"))),
    }
    Ok(())
}

fn read_message(prompt: &mut Prompt, item: &Value) -> Result<(), Failure> {
    let content = &item["content"];
    let side = match item["role"].as_str() {
        Some("system" | "developer") => {
            prompt.system.push(text_of(content)?);
            return Ok(());
        }
        Some("user") => Side::User,
        Some("assistant") => Side::Model,
        _ => return Err(untranslatable(&format!("a message of role {}", item["role"]))),
    };
    let Value::Array(parts) = content else {
        prompt.push(side, Part::Text(text_of(content)?));
        return Ok(());
    };
    for part in parts {
        let other = || untranslatable(&format!("a part of type {}", part["type"]));
        let part = match part["type"].as_str() {
            Some("input_text" | "output_text" | "text") => Part::Text(text_field(part, "text")?),
            Some("refusal") => Part::Text(text_field(part, "refusal")?),
            Some("input_image") => part["image_url"].as_str().and_then(picture).ok_or_else(other)?,
            _ => return Err(other()),
        };
        prompt.push(side, part);
    }
    Ok(())
}

/// Follows an answer that is passed on as it is: only its end matters.
#[derive(Default)]
pub(crate) struct Reader {}

impl Reader {
    #[expect(clippy::unused_self, reason = "one shape for all readers")]
    pub(super) fn see(&mut self, event: &Value, told: &mut Vec<Told>) {
        match event["type"].as_str() {
            Some("response.completed" | "response.incomplete") => {
                if let Some(usage) = Usage::of_responses(&event["response"]["usage"]) {
                    told.push(Told::Usage(usage));
                }
                told.push(Told::End);
            }
            Some("response.failed") => {
                if let Some(usage) = Usage::of_responses(&event["response"]["usage"]) {
                    told.push(Told::Usage(usage));
                }
                let said = event["response"]["error"]["message"].as_str().unwrap_or_default();
                told.push(Told::Failed(said.chars().take(1000).collect()));
            }
            Some("error") => {
                let said = event["message"].as_str().or(event["error"]["message"].as_str());
                told.push(Told::Failed(
                    said.unwrap_or_default().chars().take(1000).collect(),
                ));
            }
            _ => {}
        }
    }
}

/// Writes an answer: each item is begun, told and repeated whole, and all of them once more at the end.
pub(crate) struct Writer {
    id: String,
    model: String,
    created: i64,
    sent: u64,
    answer: Answer,
    done: Vec<Value>,
}

fn usage_json(usage: Option<Usage>) -> Value {
    usage.map_or(Value::Null, |usage| {
        json!({
            "input_tokens": usage.input,
            "input_tokens_details": {"cached_tokens": usage.cached_input, "cache_write_tokens": usage.cache_write},
            "output_tokens": usage.output,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": usage.input + usage.output,
        })
    })
}

fn part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

impl Writer {
    pub(super) fn new(call: CallId, model: String, created: i64) -> Self {
        Self {
            id: call.to_string(),
            model,
            created,
            sent: 0,
            answer: Answer::default(),
            done: Vec::new(),
        }
    }

    fn response(&self, status: &str, output: &[Value], details: Value, usage: Value) -> Value {
        json!({
            "id": format!("resp_{}", self.id), "object": "response", "created_at": self.created,
            "status": status, "model": self.model, "output": output, "usage": usage,
            "error": null, "incomplete_details": details, "instructions": null, "metadata": {},
            "parallel_tool_calls": true, "temperature": null, "top_p": null, "tool_choice": "auto", "tools": [],
        })
    }

    fn last(&self, stop: Stop, output: &[Value], usage: Option<Usage>) -> Value {
        let (status, details) = match stop {
            Stop::Done | Stop::Calls => ("completed", Value::Null),
            Stop::Length => ("incomplete", json!({"reason": "max_output_tokens"})),
            Stop::Filtered => ("incomplete", json!({"reason": "content_filter"})),
        };
        self.response(status, output, details, usage_json(usage))
    }

    fn item(&self, index: usize, said: &Said, status: &str, full: bool) -> Value {
        match said {
            Said::Text(text) => {
                let content = if full { json!([part(text)]) } else { json!([]) };
                json!({"type": "message", "id": format!("msg_{}_{index}", self.id), "status": status,
                    "role": "assistant", "content": content})
            }
            Said::Call { id, name, arguments } => {
                let arguments = if full { arguments.as_str() } else { "" };
                json!({"type": "function_call", "id": format!("fc_{}_{index}", self.id), "status": status,
                    "call_id": id, "name": name, "arguments": arguments})
            }
        }
    }

    fn put(&mut self, out: &mut BytesMut, name: &str, mut data: Value) {
        data["type"] = json!(name);
        data["sequence_number"] = json!(self.sent);
        self.sent += 1;
        put_event(out, name, &data);
    }

    pub(super) fn begin(&mut self, out: &mut BytesMut) {
        for name in ["response.created", "response.in_progress"] {
            let response = self.response("in_progress", &[], Value::Null, Value::Null);
            self.put(out, name, json!({ "response": response }));
        }
    }

    pub(super) fn event(&mut self, event: Event, out: &mut BytesMut) {
        let begun = self.answer.said.len();
        let text_goes_on = matches!(self.answer.said.last(), Some(Said::Text(_)));
        match &event {
            Event::Text(_) if text_goes_on => {}
            Event::Text(_) | Event::Call { .. } => self.finish_item(out),
            Event::Arguments(_) => {}
        }
        self.answer.add(event.clone());
        let index = self.answer.said.len().saturating_sub(1);
        let Some(said) = self.answer.said.last() else {
            return;
        };
        let item = self.item(index, said, "in_progress", false);
        let id = item["id"].clone();
        if self.answer.said.len() > begun {
            self.put(
                out,
                "response.output_item.added",
                json!({"output_index": index, "item": item}),
            );
            if matches!(event, Event::Text(_)) {
                let data =
                    json!({"item_id": id, "output_index": index, "content_index": 0, "part": part("")});
                self.put(out, "response.content_part.added", data);
            }
        }
        match event {
            Event::Text(delta) => {
                let data = json!({"item_id": id, "output_index": index, "content_index": 0, "delta": delta,
                    "logprobs": []});
                self.put(out, "response.output_text.delta", data);
            }
            Event::Arguments(delta) => {
                let data = json!({"item_id": id, "output_index": index, "delta": delta});
                self.put(out, "response.function_call_arguments.delta", data);
            }
            Event::Call { .. } => {}
        }
    }

    /// Ends the item that is open, if one is.
    fn finish_item(&mut self, out: &mut BytesMut) {
        let index = self.done.len();
        let Some(said) = self.answer.said.get(index) else {
            return;
        };
        let item = self.item(index, said, "completed", true);
        let id = item["id"].clone();
        match said.clone() {
            Said::Text(text) => {
                let data = json!({"item_id": id, "output_index": index, "content_index": 0, "text": text,
                    "logprobs": []});
                self.put(out, "response.output_text.done", data);
                let data =
                    json!({"item_id": id, "output_index": index, "content_index": 0, "part": part(&text)});
                self.put(out, "response.content_part.done", data);
            }
            Said::Call { name, arguments, .. } => {
                let data =
                    json!({"item_id": id, "output_index": index, "name": name, "arguments": arguments});
                self.put(out, "response.function_call_arguments.done", data);
            }
        }
        self.put(
            out,
            "response.output_item.done",
            json!({"output_index": index, "item": item}),
        );
        self.done.push(item);
    }

    pub(super) fn end(&mut self, stop: Stop, usage: Option<Usage>, out: &mut BytesMut) {
        self.finish_item(out);
        let response = self.last(stop, &self.done, usage);
        let name = format!("response.{}", response["status"].as_str().unwrap_or("completed"));
        self.put(out, &name, json!({ "response": response }));
    }

    pub(super) fn whole(&self, answer: &Answer) -> Value {
        let items = answer.said.iter().enumerate();
        let output: Vec<Value> = items
            .map(|(index, said)| self.item(index, said, "completed", true))
            .collect();
        self.last(answer.stop, &output, answer.usage)
    }
}
