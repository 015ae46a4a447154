//! A provider of models in the test's own process: the wire formats of OpenAI (chat completions and responses),
//! Anthropic and Gemini, streamed and whole, steered by what the user says.
//!
//! | the user's message contains | it |
//! |---|---|
//! | `@exec COMMAND` | calls the tool that runs commands |
//! | `@write PATH TEXT` | calls the tool that writes files |
//! | `@tool NAME {JSON}` | calls this tool |
//! | `@status NNN` | answers that HTTP status |
//! | `@half`, `@break` | ends, or breaks the connection, in the middle of an event |
//! | `@slow N` | sends N words, one each 50 ms |
//! | `@hang` | begins an answer and never goes on |
//! | `@mute` | never begins |
//! | `@garbage`, `@error` | sends an event that is no JSON, or that is an error |
//! | anything else | says it back |
//!
//! After a tool's result it says what the tool gave. What OpenClaw adds for its own use is passed over. A
//! test may also put answers in a list ([`FakeProvider::next`]); they come before all words.

mod formats;
mod plan;

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use serde_json::{Value, json};

use formats::{Format, Piece, Said, Writer};
pub use plan::Plan;
use plan::Seen;

/// What one call reports, unless told otherwise: input, of which cached, and output tokens.
pub const REPORTED: (u64, u64, u64) = (1234, 1000, 20);

/// What one call reports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reported {
    /// With what was cached.
    pub input: u64,
    pub cached: u64,
    pub output: u64,
}

impl Reported {
    const fn usual() -> Self {
        Self {
            input: REPORTED.0,
            cached: REPORTED.1,
            output: REPORTED.2,
        }
    }
}

/// One request as it came.
#[derive(Debug, Clone)]
pub struct Heard {
    pub path: String,
    pub query: String,
    pub authorization: Option<String>,
    pub headers: BTreeMap<String, String>,
    pub body: Value,
}

/// Listens on a loopback port until it is dropped.
pub struct FakeProvider {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    server: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    heard: Vec<Heard>,
    next: VecDeque<Plan>,
    usage: Option<Reported>,
    reported: Reported,
    left: usize,
}

type Handle = Arc<Mutex<Shared>>;

fn lock(shared: &Handle) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for FakeProvider {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl FakeProvider {
    pub async fn start() -> std::io::Result<Self> {
        let shared = Handle::default();
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let routes = Router::new()
            .fallback(answer)
            .layer(DefaultBodyLimit::max(64 << 20))
            .with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move {
            // Ends when the task is aborted.
            let _ = axum::serve(listener, routes).await;
        });
        Ok(Self {
            address,
            shared,
            server,
        })
    }

    /// The address for OpenAI's and Anthropic's formats.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The address without a path; the usual one of each kind is added to it.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every call so far.
    pub fn heard(&self) -> Vec<Heard> {
        lock(&self.shared).heard.clone()
    }

    /// Answers the next call that has no answer yet in this way, whatever the user says.
    pub fn next(&self, plan: Plan) {
        lock(&self.shared).next.push_back(plan);
    }

    /// What calls report from now on.
    pub fn report(&self, usage: Reported) {
        lock(&self.shared).usage = Some(usage);
    }

    /// The sum of all that was reported so far.
    pub fn reported(&self) -> Reported {
        lock(&self.shared).reported
    }

    /// How often a caller hung up before the end of its answer.
    pub fn left(&self) -> usize {
        lock(&self.shared).left
    }
}

async fn answer(
    State(shared): State<Handle>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = uri.path();
    if method == Method::GET && path.ends_with("/models") {
        return models(&headers);
    }
    let (Some(format), Method::POST) = (Format::of(path), method) else {
        return (
            StatusCode::NOT_FOUND,
            axum::Json(json!({"error": {"message": "no such path"}})),
        )
            .into_response();
    };
    let Ok(body) = serde_json::from_slice::<Value>(&body) else {
        return (
            StatusCode::BAD_REQUEST,
            axum::Json(json!({"error": {"message": "no JSON"}})),
        )
            .into_response();
    };
    let seen = Seen::of(format, path, &body);
    let (plan, number, usage) = {
        let mut shared = lock(&shared);
        shared.heard.push(heard(&uri, &headers, &body));
        let plan = shared.next.pop_front().unwrap_or_else(|| seen.plan());
        (
            plan,
            shared.heard.len(),
            shared.usage.unwrap_or(Reported::usual()),
        )
    };
    let writer = Writer {
        format,
        number,
        model: body["model"].as_str().unwrap_or("m1").to_owned(),
        usage_wanted: body["stream_options"]["include_usage"] == true,
        usage,
    };
    respond(shared, &writer, plan, seen.streamed).await
}

fn heard(uri: &Uri, headers: &HeaderMap, body: &Value) -> Heard {
    let headers: BTreeMap<_, _> = headers
        .iter()
        .map(|(name, value)| {
            (
                name.to_string(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        })
        .collect();
    Heard {
        path: uri.path().to_owned(),
        query: uri.query().unwrap_or_default().to_owned(),
        authorization: headers.get("authorization").cloned(),
        headers,
        body: body.clone(),
    }
}

fn models(headers: &HeaderMap) -> Response {
    let refused = ["authorization", "x-api-key", "x-goog-api-key"]
        .iter()
        .filter_map(|name| headers.get(*name)?.to_str().ok())
        .any(|value| value.ends_with("bad-key"));
    if refused {
        let error = json!({"error": {"message": "the key is bad", "code": "invalid_api_key"}});
        return (StatusCode::UNAUTHORIZED, axum::Json(error)).into_response();
    }
    axum::Json(json!({"object": "list", "data": [{"id": "m1", "object": "model"}]})).into_response()
}

async fn respond(shared: Handle, writer: &Writer, plan: Plan, streamed: bool) -> Response {
    let words = |text: &str| Said {
        words: text.split_inclusive(' ').map(str::to_owned).collect(),
        calls: Vec::new(),
    };
    let raw = |text: String| Piece { text, reports: false };
    let mut pieces = writer.begin();
    let (mut gap, mut then) = (Duration::ZERO, Then::End);
    let said = match plan {
        Plan::Status(status) => return refusal(writer, status, None),
        Plan::RetryAfter(status, seconds) => return refusal(writer, status, Some(seconds)),
        Plan::Mute => {
            let _left = Left::new(shared);
            return std::future::pending().await;
        }
        Plan::Say(text, millis) => {
            gap = Duration::from_millis(millis);
            words(&text)
        }
        Plan::Use { name, arguments } => Said {
            words: Vec::new(),
            calls: vec![(name, arguments)],
        },
        Plan::UseBoth(calls) => Said {
            words: Vec::new(),
            calls: calls.to_vec(),
        },
        Plan::Bare(text) => {
            pieces = writer.stream(&words(&text));
            pieces.retain(|piece| !piece.reports && !piece.text.contains("[DONE]"));
            return send(shared, writer.usage, pieces, gap, then);
        }
        broken => {
            match broken {
                Plan::Half => pieces.push(raw("data: {\"choices\":[{\"delta\":{\"cont".to_owned())),
                Plan::Break => {
                    pieces.push(raw("data: {\"choices\":[{\"delta\":{\"cont".to_owned()));
                    then = Then::Break;
                }
                Plan::Hang => then = Then::Hang,
                Plan::Garbage => pieces.push(raw("data: {\"what\": is this}\n\n".to_owned())),
                Plan::Big(bytes) => pieces.push(raw(format!("data: {}\n\n", "x".repeat(bytes)))),
                _ => pieces.push(writer.error_event()),
            }
            return send(shared, writer.usage, pieces, gap, then);
        }
    };
    if !streamed {
        count(&shared, writer.usage);
        return axum::Json(writer.whole(&said)).into_response();
    }
    send(shared, writer.usage, writer.stream(&said), gap, then)
}

fn refusal(writer: &Writer, status: u16, wait: Option<u64>) -> Response {
    let code = StatusCode::from_u16(status).unwrap_or(StatusCode::IM_A_TEAPOT);
    let mut response = (code, axum::Json(writer.error(status))).into_response();
    if let Some(seconds) = wait {
        response.headers_mut().insert("retry-after", seconds.into());
    }
    response
}

fn count(shared: &Handle, usage: Reported) {
    let reported = &mut lock(shared).reported;
    reported.input += usage.input;
    reported.cached += usage.cached;
    reported.output += usage.output;
}

/// What comes after the last piece.
#[derive(Clone, Copy)]
enum Then {
    End,
    Break,
    Hang,
}

/// Notes when it is dropped before its end.
struct Left {
    shared: Handle,
    ended: bool,
}

impl Left {
    fn new(shared: Handle) -> Self {
        Self { shared, ended: false }
    }

    fn end(&mut self) {
        self.ended = true;
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        if !self.ended {
            lock(&self.shared).left += 1;
        }
    }
}

fn send(shared: Handle, usage: Reported, pieces: Vec<Piece>, gap: Duration, then: Then) -> Response {
    let state = (pieces.into_iter(), Left::new(shared), true);
    let events = stream::unfold(state, move |(mut pieces, mut left, first)| async move {
        if let Some(piece) = pieces.next() {
            if !first {
                tokio::time::sleep(gap).await;
            }
            if piece.reports {
                count(&left.shared, usage);
            }
            return Some((Ok(piece.text), (pieces, left, false)));
        }
        match then {
            Then::End => {
                left.end();
                None
            }
            Then::Break if !left.ended => {
                left.end();
                // Lets what was sent go out before the connection is cut.
                tokio::time::sleep(Duration::from_millis(20)).await;
                Some((Err(std::io::Error::other("as you asked")), (pieces, left, false)))
            }
            Then::Break => None,
            Then::Hang => std::future::pending().await,
        }
    });
    ([("content-type", "text/event-stream")], Body::from_stream(events)).into_response()
}
