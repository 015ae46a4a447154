//! One model call over the uplink: OpenAI's chat completions, streamed.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use bytes::Bytes;
use creel_domain::TurnEvent;
use creel_protocol::{limits, sse::SseParser};
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::UnixStream;

use crate::runtime::Assignment;

/// Control ends calls sooner by its own waits; this is for a control that is gone.
const SILENCE: Duration = Duration::from_secs(180);
const EVENT_BYTES: usize = 1 << 20;
const ERROR_BYTES: usize = 64 * 1024;
/// Tool calls in one answer, and the arguments of one.
const CALLS: usize = 32;
const ARGUMENT_BYTES: usize = 1 << 20;
/// Before a call that failed in passing is made again: control that starts anew is back by then.
const PAUSES: [Duration; 3] = [
    Duration::from_millis(500),
    Duration::from_secs(2),
    Duration::from_secs(5),
];

pub(super) struct Model {
    uplink: PathBuf,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct ToolCall {
    pub(super) id: String,
    pub(super) name: String,
    /// JSON text.
    pub(super) arguments: String,
}

#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) text: String,
    pub(super) calls: Vec<ToolCall>,
}

impl Said {
    /// As the next call has to repeat it.
    pub(super) fn message(&self) -> Value {
        let mut message = json!({"role": "assistant", "content": self.text});
        if !self.calls.is_empty() {
            let call = |call: &ToolCall| {
                json!({"id": call.id, "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments}})
            };
            message["tool_calls"] = self.calls.iter().map(call).collect();
        }
        message
    }
}

/// The answer as far as it has come.
#[derive(Default)]
struct Growing {
    text: String,
    calls: BTreeMap<u64, ToolCall>,
    finished: bool,
}

impl Growing {
    /// Takes one event; the piece of text in it, if any.
    fn take(&mut self, data: &str) -> Result<Option<String>, String> {
        if data == "[DONE]" {
            self.finished = true;
            return Ok(None);
        }
        let Ok(event) = serde_json::from_str::<Value>(data) else {
            return Err("The model's answer makes no sense.".to_owned());
        };
        if let Some(message) = event["error"]["message"].as_str() {
            return Err(format!(
                "The model failed: {}",
                message.chars().take(500).collect::<String>()
            ));
        }
        let choice = &event["choices"][0];
        self.finished |= choice["finish_reason"].is_string();
        let delta = &choice["delta"];
        for part in delta["tool_calls"].as_array().into_iter().flatten() {
            let index = part["index"].as_u64().unwrap_or(self.calls.len() as u64);
            if !self.calls.contains_key(&index) && self.calls.len() >= CALLS {
                return Err(format!("The model asked for more than {CALLS} tools at once."));
            }
            let call = self.calls.entry(index).or_default();
            if let Some(id) = part["id"].as_str().filter(|id| !id.is_empty()) {
                call.id = id.chars().take(128).collect();
            }
            if let Some(name) = part["function"]["name"].as_str().filter(|name| !name.is_empty()) {
                call.name = name.chars().take(128).collect();
            }
            if let Some(arguments) = part["function"]["arguments"].as_str() {
                call.arguments.push_str(arguments);
            }
            if call.arguments.len() > ARGUMENT_BYTES {
                return Err("The model's tool arguments are longer than 1 MiB.".to_owned());
            }
        }
        let piece = delta["content"].as_str().filter(|piece| !piece.is_empty());
        if let Some(piece) = piece {
            self.text.push_str(piece);
            if self.text.len() > limits::ANSWER_BYTES {
                return Err("The model's answer is longer than 4 MiB.".to_owned());
            }
        }
        Ok(piece.map(str::to_owned))
    }

    fn whole(self) -> Said {
        let calls = self.calls.into_iter().map(|(index, mut call)| {
            if call.id.is_empty() {
                call.id = format!("call_{index}");
            }
            call
        });
        Said {
            text: self.text,
            calls: calls.collect(),
        }
    }
}

/// Why a call came to nothing, as a sentence for people.
enum Trouble {
    /// The same call may fare better in a moment.
    Passing(String),
    Lasting(String),
}

impl From<String> for Trouble {
    fn from(sentence: String) -> Self {
        Self::Lasting(sentence)
    }
}

impl Model {
    pub(super) fn new(uplink: PathBuf) -> Self {
        Self { uplink }
    }

    /// Asks, and tells the turn's reader the text as it comes. An error is a sentence for people.
    ///
    /// A call that breaks off is made again, a few times; its answer then begins a new paragraph.
    pub(super) async fn ask(
        &self,
        messages: &[Value],
        tools: &Value,
        turn: &Assignment,
    ) -> Result<Said, String> {
        let mut told = false;
        let mut pauses = PAUSES.into_iter();
        loop {
            match self.attempt(messages, tools, turn, &mut told).await {
                Ok(said) => return Ok(said),
                Err(Trouble::Lasting(sentence)) => return Err(sentence),
                Err(Trouble::Passing(sentence)) => match pauses.next() {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => return Err(sentence),
                },
            }
        }
    }

    /// One call. `told` says whether an earlier attempt told some text, and then whether this one did.
    async fn attempt(
        &self,
        messages: &[Value],
        tools: &Value,
        turn: &Assignment,
        told: &mut bool,
    ) -> Result<Said, Trouble> {
        let unreachable =
            |_| Trouble::Passing("The model cannot be reached: the platform does not answer.".to_owned());
        let broke_off = || Trouble::Passing("The model's answer broke off.".to_owned());
        let mut gap = *told;
        let stream = UnixStream::connect(&self.uplink).await.map_err(unreachable)?;
        let (mut sender, connection) = http1::handshake::<_, Full<Bytes>>(TokioIo::new(stream))
            .await
            .map_err(|_| unreachable(std::io::Error::other("")))?;
        // Ends with the connection; dropped with the call, which hangs up.
        let driver = AbortOnDrop(tokio::spawn(async move {
            let _ = connection.await;
        }));
        let body = json!({"model": "default", "stream": true, "stream_options": {"include_usage": true},
            "messages": messages, "tools": tools});
        let request = Request::post("/v1/chat/completions")
            .header(header::HOST, "models")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::from(body.to_string()))
            .map_err(|error| error.to_string())?;
        let silent = |_| Trouble::Lasting("The model was silent for too long.".to_owned());
        let answer = tokio::time::timeout(SILENCE, sender.send_request(request))
            .await
            .map_err(silent)?
            .map_err(|_| unreachable(std::io::Error::other("")))?;
        let status = answer.status();
        let mut body = answer.into_body();
        let mut parser = SseParser::new(EVENT_BYTES);
        let (mut growing, mut error) = (Growing::default(), Vec::new());
        while let Some(frame) = tokio::time::timeout(SILENCE, body.frame())
            .await
            .map_err(silent)?
        {
            let frame = frame.map_err(|_| broke_off())?;
            let Some(data) = frame.data_ref() else { continue };
            if status != StatusCode::OK {
                error.extend_from_slice(&data[..data.len().min(ERROR_BYTES.saturating_sub(error.len()))]);
                continue;
            }
            for event in parser.push(data).map_err(|error| error.to_string())? {
                if let Some(mut delta) = growing.take(&event.data)? {
                    *told = true;
                    if std::mem::take(&mut gap) {
                        delta.insert_str(0, "\n\n");
                    }
                    turn.tell(TurnEvent::Text { delta }).await;
                }
            }
        }
        drop(driver);
        if status != StatusCode::OK {
            let said: Value = serde_json::from_slice(&error).unwrap_or_default();
            let said = said["error"]["message"].as_str().unwrap_or("it gave no reason");
            return Err(Trouble::Lasting(format!(
                "The model refused: {}",
                said.chars().take(500).collect::<String>()
            )));
        }
        if !growing.finished {
            return Err(broke_off());
        }
        Ok(growing.whole())
    }
}

struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_tool_call_comes_in_pieces() {
        let mut growing = Growing::default();
        for event in [
            json!({"choices": [{"delta": {"content": "Let me "}}]}),
            json!({"choices": [{"delta": {"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "shell", "arguments": ""}}]}}]}),
            json!({"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": "{\"command\":"}}]}}]}),
            json!({"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": "\"ls\"}"}}]}, "finish_reason": "tool_calls"}]}),
            json!({"choices": [], "usage": {"prompt_tokens": 1}}),
        ] {
            growing.take(&event.to_string()).expect("good");
        }
        assert!(growing.finished);
        let said = growing.whole();
        let call = ToolCall {
            id: "c1".into(),
            name: "shell".into(),
            arguments: "{\"command\":\"ls\"}".into(),
        };
        assert_eq!((said.text.as_str(), said.calls), ("Let me ", vec![call]));
    }

    proptest! {
        #[test]
        fn no_event_panics(data in ".{0,200}") {
            let _ = Growing::default().take(&data);
        }
    }
}
