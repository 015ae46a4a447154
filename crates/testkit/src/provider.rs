//! A provider of models in the test's own process: OpenAI's wire format, steered by what the user says.
//!
//! | the user's message contains | it |
//! |---|---|
//! | `@exec COMMAND` | calls the tool that runs commands |
//! | `@write PATH TEXT` | calls the tool that writes files |
//! | `@status NNN` | answers that HTTP status |
//! | `@half` | hangs up in the middle of an event |
//! | `@slow N` | sends N words, one each 50 ms |
//! | `@hang` | begins an answer and never goes on |
//! | anything else | says it back |
//!
//! What OpenClaw adds for its own use is passed over.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures_util::stream;
use serde_json::{Value, json};

/// What one call reports: input, of which cached, and output tokens.
pub const REPORTED: (u64, u64, u64) = (1234, 1000, 20);

/// One request as it came.
#[derive(Debug, Clone)]
pub struct Heard {
    pub authorization: Option<String>,
    pub body: Value,
}

/// Listens on a loopback port until it is dropped.
pub struct FakeProvider {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<Heard>>>,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for FakeProvider {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl FakeProvider {
    pub async fn start() -> std::io::Result<Self> {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let routes = Router::new()
            .route("/v1/chat/completions", post(chat))
            .route("/v1/models", get(models))
            .with_state(Arc::clone(&heard));
        let server = tokio::spawn(async move {
            // Ends when the task is aborted.
            let _ = axum::serve(listener, routes).await;
        });
        Ok(Self {
            address,
            heard,
            server,
        })
    }

    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Every chat request so far.
    pub fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn models(headers: HeaderMap) -> Response {
    match headers.get("authorization").and_then(|value| value.to_str().ok()) {
        Some("Bearer bad-key") => StatusCode::UNAUTHORIZED.into_response(),
        _ => axum::Json(json!({"object": "list", "data": [{"id": "m1", "object": "model"}]})).into_response(),
    }
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

enum Plan {
    Say(Vec<String>, Duration),
    Use(Value),
    Status(u16),
    Half,
    Hang,
}

fn plan(body: &Value) -> Plan {
    let none = Vec::new();
    let mut messages = body["messages"]
        .as_array()
        .unwrap_or(&none)
        .iter()
        .rev()
        .map(|message| {
            (
                message["role"].as_str().unwrap_or_default(),
                text_of(&message["content"]),
            )
        })
        .filter(|(role, text)| !(*role == "user" && text.contains("OPENCLAW_INTERNAL_CONTEXT")));
    let (role, text) = messages.next().unwrap_or_default();
    let words = |text: String| text.split_inclusive(' ').map(str::to_owned).collect::<Vec<_>>();
    if role == "tool" {
        return Plan::Say(words(format!("The tool gave: {text}")), Duration::ZERO);
    }
    let after = |word: &str| {
        text.split_once(word)
            .map(|(_, rest)| rest.lines().next().unwrap_or_default().trim())
    };
    let tool = |names: &[&str]| {
        let tools = body["tools"].as_array().unwrap_or(&none);
        let found = tools.iter().filter_map(|tool| tool["function"]["name"].as_str());
        found
            .into_iter()
            .find(|name| names.contains(name))
            .unwrap_or(names[0])
            .to_owned()
    };
    let call = |name: String, arguments: Value| {
        Plan::Use(json!({"index": 0, "id": "call_1", "type": "function",
            "function": {"name": name, "arguments": arguments.to_string()}}))
    };
    if let Some(command) = after("@exec ") {
        return call(tool(&["exec", "shell"]), json!({ "command": command }));
    }
    if let Some((path, content)) = after("@write ").and_then(|rest| rest.split_once(' ')) {
        return call(tool(&["write"]), json!({ "path": path, "content": content }));
    }
    if let Some(status) = after("@status ").and_then(|rest| rest.parse().ok()) {
        return Plan::Status(status);
    }
    if let Some(count) = after("@slow ").and_then(|rest| rest.parse().ok()) {
        let words = (0..count).map(|number: u32| format!("w{number} ")).collect();
        return Plan::Say(words, Duration::from_millis(50));
    }
    if text.contains("@half") {
        return Plan::Half;
    }
    if text.contains("@hang") {
        return Plan::Hang;
    }
    Plan::Say(words(format!("You said: {text}")), Duration::ZERO)
}

async fn chat(State(heard): State<Arc<Mutex<Vec<Heard>>>>, headers: HeaderMap, body: Bytes) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let authorization = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    heard.lock().unwrap_or_else(PoisonError::into_inner).push(Heard {
        authorization,
        body: body.clone(),
    });
    let chunk = |delta: Value, finish: Value| {
        let chunk = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1,
            "model": body["model"], "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
        format!("data: {chunk}\n\n")
    };
    let (input, cached, output) = REPORTED;
    let usage = json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output,
        "prompt_tokens_details": {"cached_tokens": cached}});
    let begin = chunk(json!({"role": "assistant", "content": ""}), Value::Null);
    let (mut events, gap, finish) = match plan(&body) {
        Plan::Status(status) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::IM_A_TEAPOT);
            return (
                status,
                axum::Json(json!({"error": {"message": "as you asked", "code": "fake"}})),
            )
                .into_response();
        }
        Plan::Half => {
            let pieces = vec![begin, "data: {\"choices\":[{\"delta\":{\"cont".to_owned()];
            return sse(pieces, Duration::ZERO, false);
        }
        Plan::Hang => return sse(vec![begin], Duration::ZERO, true),
        Plan::Use(call) => {
            let delta = json!({ "tool_calls": [call] });
            (
                vec![begin, chunk(delta, Value::Null)],
                Duration::ZERO,
                "tool_calls",
            )
        }
        Plan::Say(words, gap) => {
            let mut events = vec![begin];
            events.extend(
                words
                    .into_iter()
                    .map(|word| chunk(json!({ "content": word }), Value::Null)),
            );
            (events, gap, "stop")
        }
    };
    events.push(chunk(json!({}), json!(finish)));
    if body["stream_options"]["include_usage"] == true {
        let last = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1,
            "model": body["model"], "choices": [], "usage": usage});
        events.push(format!("data: {last}\n\n"));
    }
    events.push("data: [DONE]\n\n".to_owned());
    sse(events, gap, false)
}

fn sse(events: Vec<String>, gap: Duration, hang: bool) -> Response {
    let events = stream::unfold(
        (events.into_iter(), 0_u32),
        move |(mut events, sent)| async move {
            match events.next() {
                Some(event) => {
                    if sent > 0 {
                        tokio::time::sleep(gap).await;
                    }
                    Some((Ok::<_, Infallible>(event), (events, sent + 1)))
                }
                None if hang => std::future::pending().await,
                None => None,
            }
        },
    );
    ([("content-type", "text/event-stream")], Body::from_stream(events)).into_response()
}
