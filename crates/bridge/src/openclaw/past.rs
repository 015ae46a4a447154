//! What OpenClaw remembers, in our words. Parsed loosely: its shapes are its own.

use creel_protocol::{HistoryEntry, SessionSummary, ToolUse};
use jiff::Timestamp;
use serde_json::Value;

use super::run::SESSION_PREFIX;

/// What OpenClaw adds for itself behind a person's words.
const INTERNAL: &str = "OPENCLAW_INTERNAL_CONTEXT";

/// Content is text, or parts of which some are text.
pub(super) fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts = parts
                .iter()
                .filter(|part| part["type"] == "text")
                .filter_map(|part| part["text"].as_str());
            texts.collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

fn at(message: &Value) -> Option<Timestamp> {
    Timestamp::from_millisecond(message["timestamp"].as_i64()?).ok()
}

fn tools_of(content: &Value) -> Vec<ToolUse> {
    let calls = content.as_array().into_iter().flatten();
    let calls =
        calls.filter(|part| matches!(part["type"].as_str(), Some("toolCall" | "tool_use" | "toolUse")));
    calls
        .map(|call| ToolUse {
            name: call["name"].as_str().unwrap_or_default().to_owned(),
            arguments: if call["arguments"].is_null() {
                call["input"].to_string()
            } else {
                call["arguments"].to_string()
            },
            output: None,
        })
        .collect()
}

pub(super) fn entries(history: &Value) -> Vec<HistoryEntry> {
    let mut entries: Vec<HistoryEntry> = Vec::new();
    for message in history["messages"].as_array().into_iter().flatten() {
        let content = &message["content"];
        let text = text_of(content);
        match message["role"].as_str() {
            Some("user") if !text.is_empty() && !text.contains(INTERNAL) => {
                entries.push(HistoryEntry::User {
                    text,
                    at: at(message),
                });
            }
            Some("assistant") => match entries.last_mut() {
                // One answer, told in parts around its tools.
                Some(HistoryEntry::Agent {
                    text: so_far, tools, ..
                }) => {
                    if !so_far.is_empty() && !text.is_empty() {
                        so_far.push_str("\n\n");
                    }
                    so_far.push_str(&text);
                    tools.extend(tools_of(content));
                }
                _ => entries.push(HistoryEntry::Agent {
                    text,
                    tools: tools_of(content),
                    at: at(message),
                }),
            },
            Some("toolResult" | "tool") => {
                if let Some(HistoryEntry::Agent { tools, .. }) = entries.last_mut()
                    && let Some(tool) = tools.iter_mut().find(|tool| tool.output.is_none())
                {
                    tool.output = Some(text);
                }
            }
            _ => {}
        }
    }
    entries
}

pub(super) fn sessions(list: &Value) -> Vec<SessionSummary> {
    let sessions = list["sessions"].as_array().into_iter().flatten();
    let summary = |session: &Value| {
        let name = session["key"]
            .as_str()?
            .strip_prefix(SESSION_PREFIX)?
            .parse()
            .ok()?;
        let updated_at = session["updatedAt"]
            .as_i64()
            .and_then(|millis| Timestamp::from_millisecond(millis).ok());
        Some(SessionSummary {
            session: name,
            messages: session["messageCount"].as_u64().unwrap_or(0),
            updated_at,
        })
    };
    sessions.filter_map(summary).take(1000).collect()
}
