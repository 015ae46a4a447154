//! One turn: sent with its id as OpenClaw's idempotency key, its events told in our words.

use creel_domain::{SessionName, TurnEvent};
use serde_json::{Value, json};

use super::{Shared, past::text_of};
use crate::runtime::{Assignment, failure};

pub(super) const SESSION_PREFIX: &str = "agent:main:";

pub(super) fn session_key(session: &SessionName) -> String {
    format!("{SESSION_PREFIX}{session}")
}

pub(super) async fn run(shared: &Shared, turn: &Assignment) -> TurnEvent {
    let link = tokio::select! {
        link = shared.ready() => link,
        () = turn.cancel.cancelled() => return TurnEvent::Cancelled,
    };
    let Some(link) = link else {
        return failure::not_ready("OpenClaw did not become ready within two minutes. Try again later.");
    };
    let session = session_key(&turn.request.session);
    let id = turn.id.uuid().to_string();
    let mut run = link.run(id.clone());
    turn.tell(TurnEvent::Started).await;
    let send = json!({"sessionKey": session, "message": turn.request.message, "idempotencyKey": id});
    if let Err(reason) = link.request("chat.send", send).await {
        return failure::model(format!("OpenClaw did not take the message: {reason}"));
    }
    let mut aborting = false;
    let mut heard = Heard::default();
    loop {
        let event = tokio::select! {
            event = run.events.recv() => event,
            () = turn.cancel.cancelled(), if !aborting => {
                aborting = true;
                let abort = json!({"sessionKey": session, "runId": id});
                if let Err(reason) = link.request("chat.abort", abort).await {
                    shared.logs.bridge(format!("a turn could not be aborted: {reason}"));
                }
                continue;
            }
        };
        let Some((event, payload)) = event else {
            return failure::crashed("OpenClaw ended in the middle of the turn. Send the message again.");
        };
        for told in heard.take(&event, &payload) {
            if told.is_last() {
                return if turn.cancel.is_cancelled() {
                    TurnEvent::Cancelled
                } else {
                    told
                };
            }
            turn.tell(told).await;
        }
    }
}

/// What has been told of the run.
#[derive(Default)]
struct Heard {
    text: String,
    /// A tool was used since the last piece of text.
    after_tool: bool,
}

impl Heard {
    fn take(&mut self, event: &str, payload: &Value) -> Vec<TurnEvent> {
        match (event, payload["state"].as_str().or(payload["stream"].as_str())) {
            ("chat", Some("delta")) => self.delta(payload),
            ("chat", Some("final")) => {
                let text = text_of(&payload["message"]["content"]);
                let text = if text.is_empty() {
                    std::mem::take(&mut self.text)
                } else {
                    text
                };
                vec![TurnEvent::Done { text }]
            }
            ("chat", Some("error")) => {
                let reason = payload["errorMessage"].as_str().unwrap_or("it gave no reason");
                vec![failure::model(format!(
                    "OpenClaw failed: {}",
                    reason.chars().take(500).collect::<String>()
                ))]
            }
            ("chat", Some("aborted")) => vec![failure::crashed(
                "OpenClaw gave the turn up. Send the message again.",
            )],
            ("agent", Some("tool")) => self.tool(&payload["data"]),
            _ => Vec::new(),
        }
    }

    fn delta(&mut self, payload: &Value) -> Vec<TurnEvent> {
        let Some(delta) = payload["deltaText"].as_str().filter(|delta| !delta.is_empty()) else {
            return Vec::new();
        };
        let gap = if std::mem::take(&mut self.after_tool) && !self.text.is_empty() {
            "\n\n"
        } else {
            ""
        };
        self.text.push_str(gap);
        self.text.push_str(delta);
        vec![TurnEvent::Text {
            delta: format!("{gap}{delta}"),
        }]
    }

    fn tool(&mut self, data: &Value) -> Vec<TurnEvent> {
        let tool_id = data["toolCallId"].as_str().unwrap_or_default().to_owned();
        match data["phase"].as_str() {
            Some("start") => vec![TurnEvent::ToolStarted {
                tool_id,
                name: data["name"].as_str().unwrap_or_default().to_owned(),
                arguments: data["args"].to_string(),
            }],
            Some("result") => {
                self.after_tool = true;
                let result = &data["result"];
                let text = text_of(&result["content"]);
                let output = if text.is_empty() { result.to_string() } else { text };
                vec![TurnEvent::ToolFinished {
                    tool_id,
                    ok: data["isError"] != true,
                    output,
                }]
            }
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_in_our_words() {
        let mut heard = Heard::default();
        let mut told = Vec::new();
        for (event, payload) in [
            (
                "agent",
                json!({"stream": "lifecycle", "data": {"phase": "start"}}),
            ),
            ("chat", json!({"state": "delta", "deltaText": "Let me look."})),
            (
                "agent",
                json!({"stream": "tool", "data": {"phase": "start", "name": "exec", "toolCallId": "c1", "args": {"command": "ls"}}}),
            ),
            (
                "agent",
                json!({"stream": "tool", "data": {"phase": "result", "toolCallId": "c1", "isError": false,
                "result": {"content": [{"type": "text", "text": "a.txt"}]}}}),
            ),
            ("chat", json!({"state": "delta", "deltaText": "One file."})),
            (
                "chat",
                json!({"state": "final", "message": {"content": [{"type": "text", "text": "One file."}]}}),
            ),
        ] {
            told.extend(heard.take(event, &payload));
        }
        assert_eq!(
            told,
            [
                TurnEvent::Text {
                    delta: "Let me look.".into()
                },
                TurnEvent::ToolStarted {
                    tool_id: "c1".into(),
                    name: "exec".into(),
                    arguments: "{\"command\":\"ls\"}".into()
                },
                TurnEvent::ToolFinished {
                    tool_id: "c1".into(),
                    ok: true,
                    output: "a.txt".into()
                },
                TurnEvent::Text {
                    delta: "\n\nOne file.".into()
                },
                TurnEvent::Done {
                    text: "One file.".into()
                },
            ]
        );
    }
}
