//! What the fake does with a request: read from the user's words, or taken from the test's own list.

use serde_json::{Value, json};

use super::Format;

/// One answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Plan {
    /// Says it, a word at a time with this many milliseconds between.
    Say(String, u64),
    /// Uses a tool.
    Use { name: String, arguments: Value },
    /// Uses two tools at once.
    UseBoth([(String, Value); 2]),
    /// Answers this HTTP status with an error.
    Status(u16),
    /// Answers this HTTP status and asks to wait so many seconds.
    RetryAfter(u16, u64),
    /// Sends half an event and ends the answer.
    Half,
    /// Sends half an event and breaks the connection.
    Break,
    /// Begins an answer and never goes on.
    Hang,
    /// Never begins.
    Mute,
    /// Sends an event that is no JSON.
    Garbage,
    /// Sends an error in the middle of a stream.
    Error,
    /// Sends an event of so many bytes.
    Big(usize),
    /// Says it and leaves out both usage and the last mark.
    Bare(String),
}

/// A conversation as far as the fake needs it.
pub(super) struct Seen {
    pub(super) streamed: bool,
    last_role: String,
    last_text: String,
    tools: Vec<String>,
}

fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts
            .iter()
            .filter_map(|part| part["text"].as_str())
            .collect::<Vec<_>>()
            .join("\n"),
        _ => String::new(),
    }
}

/// `tool` or `user`, and the text, of each thing said, in order.
fn said(format: Format, body: &Value) -> Vec<(String, String)> {
    let none = Vec::new();
    let list = |name: &str| body[name].as_array().unwrap_or(&none).clone();
    match format {
        Format::Chat => list("messages")
            .iter()
            .map(|message| {
                let role = message["role"].as_str().unwrap_or_default();
                (role.to_owned(), text_of(&message["content"]))
            })
            .collect(),
        Format::Responses => match &body["input"] {
            Value::String(text) => vec![("user".to_owned(), text.clone())],
            _ => list("input")
                .iter()
                .map(|item| match item["type"].as_str() {
                    Some("function_call_output") => ("tool".to_owned(), text_of(&item["output"])),
                    _ => {
                        let role = item["role"].as_str().unwrap_or_default();
                        (role.to_owned(), text_of(&item["content"]))
                    }
                })
                .collect(),
        },
        Format::Messages => list("messages")
            .iter()
            .flat_map(|message| {
                let role = message["role"].as_str().unwrap_or_default().to_owned();
                match &message["content"] {
                    Value::Array(blocks) => blocks
                        .iter()
                        .map(|block| match block["type"].as_str() {
                            Some("tool_result") => ("tool".to_owned(), text_of(&block["content"])),
                            _ => (
                                role.clone(),
                                block["text"].as_str().unwrap_or_default().to_owned(),
                            ),
                        })
                        .collect(),
                    text => vec![(role, text_of(text))],
                }
            })
            .collect(),
        Format::Gemini => list("contents")
            .iter()
            .flat_map(|content| {
                let role = content["role"].as_str().unwrap_or_default().to_owned();
                let parts = content["parts"].as_array().cloned().unwrap_or_default();
                parts.into_iter().map(move |part| {
                    let response = &part["functionResponse"]["response"];
                    match response["result"].as_str().or(response["error"].as_str()) {
                        Some(result) => ("tool".to_owned(), result.to_owned()),
                        None => (role.clone(), part["text"].as_str().unwrap_or_default().to_owned()),
                    }
                })
            })
            .collect(),
    }
}

fn tools(format: Format, body: &Value) -> Vec<String> {
    let none = Vec::new();
    let list = |value: &Value| value.as_array().unwrap_or(&none).clone();
    let declared = match format {
        Format::Gemini => list(&body["tools"][0]["functionDeclarations"]),
        _ => list(&body["tools"]),
    };
    declared
        .iter()
        .filter_map(|tool| tool["function"]["name"].as_str().or(tool["name"].as_str()))
        .map(str::to_owned)
        .collect()
}

impl Seen {
    pub(super) fn of(format: Format, path: &str, body: &Value) -> Self {
        let (last_role, last_text) = said(format, body)
            .into_iter()
            .rev()
            .find(|(role, text)| !(role == "user" && text.contains("OPENCLAW_INTERNAL_CONTEXT")))
            .unwrap_or_default();
        Self {
            streamed: body["stream"] == true || path.ends_with(":streamGenerateContent"),
            last_role,
            last_text,
            tools: tools(format, body),
        }
    }

    fn tool(&self, names: &[&str]) -> String {
        let found = self.tools.iter().find(|name| names.contains(&name.as_str()));
        found.map_or_else(|| names[0].to_owned(), String::clone)
    }

    /// What the user asked the fake to do.
    pub(super) fn plan(&self) -> Plan {
        let text = &self.last_text;
        if self.last_role == "tool" {
            return Plan::Say(format!("The tool gave: {text}"), 0);
        }
        let after = |word: &str| {
            text.split_once(word)
                .map(|(_, rest)| rest.lines().next().unwrap_or_default().trim())
        };
        if let Some(command) = after("@exec ") {
            return Plan::Use {
                name: self.tool(&["exec", "shell"]),
                arguments: json!({ "command": command }),
            };
        }
        if let Some((path, content)) = after("@write ").and_then(|rest| rest.split_once(' ')) {
            return Plan::Use {
                name: self.tool(&["write"]),
                arguments: json!({ "path": path, "content": content }),
            };
        }
        if let Some((name, arguments)) = after("@tool ").and_then(|rest| rest.split_once(' ')) {
            return Plan::Use {
                name: name.to_owned(),
                arguments: serde_json::from_str(arguments).unwrap_or_default(),
            };
        }
        if let Some(status) = after("@status ").and_then(|rest| rest.parse().ok()) {
            return Plan::Status(status);
        }
        if let Some(count) = after("@slow ").and_then(|rest| rest.parse().ok()) {
            let words: String = (0..count).map(|number: u32| format!("w{number} ")).collect();
            return Plan::Say(words, 50);
        }
        for (word, plan) in [
            ("@half", Plan::Half),
            ("@break", Plan::Break),
            ("@hang", Plan::Hang),
            ("@mute", Plan::Mute),
            ("@garbage", Plan::Garbage),
            ("@error", Plan::Error),
        ] {
            if text.contains(word) {
                return plan;
            }
        }
        Plan::Say(format!("You said: {text}"), 0)
    }
}
