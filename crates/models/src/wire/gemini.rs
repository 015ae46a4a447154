//! Gemini's `streamGenerateContent`. Providers speak it, sandboxes do not.

use serde_json::{Value, json};

use super::error_of;
use crate::{
    Usage,
    conversation::{Choice, Event, Message, Part, Prompt, Side, Stop, Told},
};

/// Newer models refuse a call in the history that lacks the signature they gave with it. No other format
/// has a place for signatures; this value is the documented way to say so.
const NO_SIGNATURE: &str = "skip_thought_signature_validator";

/// An id for a call that came without one. Letters and digits only: some runtimes drop the rest.
pub(super) fn new_call() -> String {
    format!("call{}", uuid::Uuid::new_v4().simple())
}

pub(super) fn ask(prompt: &Prompt, model: &str) -> Value {
    let contents: Vec<Value> = prompt
        .messages
        .iter()
        .flat_map(|message| contents(prompt, message, model))
        .collect();
    let mut body = json!({ "contents": contents });
    if !prompt.system.is_empty() {
        body["systemInstruction"] = json!({"parts": [{"text": prompt.system.join("\n\n")}]});
    }
    if !prompt.tools.is_empty() {
        let tools: Vec<Value> = prompt
            .tools
            .iter()
            .map(|tool| {
                let mut declared = json!({"name": tool.name, "parametersJsonSchema": tool.parameters});
                if let Some(description) = &tool.description {
                    declared["description"] = json!(description);
                }
                declared
            })
            .collect();
        body["tools"] = json!([{ "functionDeclarations": tools }]);
        body["toolConfig"] = json!({"functionCallingConfig": match &prompt.choice {
            Choice::Auto => json!({"mode": "AUTO"}),
            Choice::None => json!({"mode": "NONE"}),
            Choice::Any => json!({"mode": "ANY"}),
            Choice::This(name) => json!({"mode": "ANY", "allowedFunctionNames": [name]}),
        }});
    }
    let mut settings = json!({});
    if let Some(most) = prompt.max_output {
        settings["maxOutputTokens"] = json!(most);
    }
    if let Some(temperature) = &prompt.temperature {
        settings["temperature"] = json!(temperature);
    }
    if let Some(top_p) = &prompt.top_p {
        settings["topP"] = json!(top_p);
    }
    if !prompt.stop.is_empty() {
        settings["stopSequences"] = json!(prompt.stop);
    }
    if settings.as_object().is_some_and(|settings| !settings.is_empty()) {
        body["generationConfig"] = settings;
    }
    body
}

/// Results go into a turn of their own, before what the user says: exactly they must follow the calls.
fn contents(prompt: &Prompt, message: &Message, model: &str) -> Vec<Value> {
    let (mut results, mut parts, mut calls) = (Vec::new(), Vec::new(), 0);
    for part in &message.parts {
        match part {
            Part::Text(text) => parts.push(json!({ "text": text })),
            Part::Picture { media_type, data } => {
                parts.push(json!({"inlineData": {"mimeType": media_type, "data": data}}));
            }
            Part::Call { name, arguments, .. } => {
                let mut part = json!({"functionCall": {"name": name, "args": arguments}});
                // Of calls side by side only the first has one.
                if calls == 0 && model.contains("gemini-3") {
                    part["thoughtSignature"] = json!(NO_SIGNATURE);
                }
                calls += 1;
                parts.push(part);
            }
            Part::Result { id, text, failed } => {
                let name = prompt.called(id).unwrap_or("unknown");
                let key = if *failed { "error" } else { "result" };
                results.push(json!({"functionResponse": {"name": name, "response": {key: text}}}));
            }
        }
    }
    let role = match message.side {
        Side::User => "user",
        Side::Model => "model",
    };
    [results, parts]
        .into_iter()
        .filter(|parts| !parts.is_empty())
        .map(|parts| json!({"role": role, "parts": parts}))
        .collect()
}

/// Follows an answer. Each event is a whole response with the next piece in it; nothing marks the last one.
#[derive(Default)]
pub(crate) struct Reader {
    called: bool,
    pub(super) stopped: bool,
}

impl Reader {
    pub(super) fn see(&mut self, event: &Value, told: &mut Vec<Told>) {
        if let Some(error) = error_of(event) {
            told.push(Told::Failed(error));
            return;
        }
        let candidate = &event["candidates"][0];
        for part in candidate["content"]["parts"].as_array().unwrap_or(&Vec::new()) {
            if part["thought"] == true {
                continue;
            }
            if let Some(text) = part["text"].as_str().filter(|text| !text.is_empty()) {
                told.push(Told::Event(Event::Text(text.to_owned())));
            }
            if let Some(name) = part["functionCall"]["name"].as_str() {
                let call = &part["functionCall"];
                self.called = true;
                let id = call["id"].as_str().filter(|id| !id.is_empty());
                told.push(Told::Event(Event::Call {
                    id: id.map_or_else(new_call, str::to_owned),
                    name: name.to_owned(),
                }));
                let arguments = call.get("args").map_or_else(|| "{}".to_owned(), Value::to_string);
                told.push(Told::Event(Event::Arguments(arguments)));
            }
        }
        let blocked = event["promptFeedback"]["blockReason"].is_string();
        let reason = candidate["finishReason"].as_str();
        if let Some(stop) = reason
            .map(|reason| self.stop(reason))
            .or(blocked.then_some(Stop::Filtered))
        {
            self.stopped = true;
            told.push(Told::Stop(stop));
        }
        // Until the last piece the numbers grow.
        if self.stopped
            && let Some(usage) = Usage::of_gemini(&event["usageMetadata"])
        {
            told.push(Told::Usage(usage));
        }
    }

    fn stop(&self, reason: &str) -> Stop {
        match reason {
            "MAX_TOKENS" => Stop::Length,
            "SAFETY" | "RECITATION" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" => Stop::Filtered,
            _ if self.called => Stop::Calls,
            _ => Stop::Done,
        }
    }
}
