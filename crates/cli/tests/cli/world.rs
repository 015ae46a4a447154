//! A server at the API's border that answers as a test says, and the real binary beside it.

use std::{
    collections::HashMap,
    io::Write as _,
    net::SocketAddr,
    path::Path,
    process::{Command, Output, Stdio},
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{
        State,
        ws::{Message, WebSocketUpgrade},
    },
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::Response,
    routing::get,
};
use creel_protocol::ExecFrame;
use futures_util::StreamExt as _;
use tempfile::TempDir;

/// At the end of a body: it never comes to its end.
pub(crate) const HANGS: &str = "\0hangs";

/// What a route answers: status, content type, body. Several answers are given in turn, the last for ever.
type Answers = Vec<(u16, &'static str, String)>;

#[derive(Default)]
struct Script {
    answers: HashMap<String, Answers>,
    location: Option<String>,
    /// `METHOD /path?query` with the body, in order.
    seen: Vec<String>,
    tokens: Vec<String>,
    last_event_ids: Vec<String>,
}

pub(crate) struct World {
    script: Arc<Mutex<Script>>,
    address: SocketAddr,
    pub(crate) home: TempDir,
    _runtime: tokio::runtime::Runtime,
}

impl World {
    pub(crate) fn new() -> Self {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let script = Arc::new(Mutex::new(Script::default()));
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .expect("a listener");
        let address = listener.local_addr().expect("an address");
        let app = Router::new()
            .route("/v1/agents/scout/exec", get(exec))
            .fallback(answer)
            .with_state(Arc::clone(&script));
        runtime.spawn(async move { axum::serve(listener, app).await });
        Self {
            script,
            address,
            home: TempDir::new().expect("a home"),
            _runtime: runtime,
        }
    }

    /// `route` is `METHOD /path`, without the query.
    pub(crate) fn json(&self, route: &str, status: u16, body: &impl serde::Serialize) -> &Self {
        self.raw(
            route,
            status,
            "application/json",
            serde_json::to_string(body).expect("JSON"),
        )
    }

    pub(crate) fn raw(
        &self,
        route: &str,
        status: u16,
        content_type: &'static str,
        body: impl Into<String>,
    ) -> &Self {
        let mut script = self.script.lock().expect("the script");
        script
            .answers
            .entry(route.to_owned())
            .or_default()
            .push((status, content_type, body.into()));
        drop(script);
        self
    }

    /// `Location` of every answer.
    pub(crate) fn location(&self, location: &str) -> &Self {
        self.script.lock().expect("the script").location = Some(location.to_owned());
        self
    }

    pub(crate) fn seen(&self) -> Vec<String> {
        self.script.lock().expect("the script").seen.clone()
    }

    pub(crate) fn tokens(&self) -> Vec<String> {
        self.script.lock().expect("the script").tokens.clone()
    }

    pub(crate) fn last_event_ids(&self) -> Vec<String> {
        self.script.lock().expect("the script").last_event_ids.clone()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = creel(self.home.path());
        command
            .args(args)
            .env("CREEL_URL", self.url())
            .env("CREEL_TOKEN", "secret-token");
        command
    }

    /// Runs the binary and shows all of what came of it.
    pub(crate) fn run(&self, args: &[&str]) -> String {
        self.show(
            &self
                .command(args)
                .stdin(Stdio::null())
                .output()
                .expect("creel runs"),
        )
    }

    pub(crate) fn run_with_stdin(&self, args: &[&str], stdin: &str) -> String {
        let mut command = self.command(args);
        let command = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("creel runs");
        let mut pipe = child.stdin.take().expect("its standard input");
        pipe.write_all(stdin.as_bytes()).expect("written");
        drop(pipe);
        self.show(&child.wait_with_output().expect("creel ends"))
    }

    fn show(&self, output: &Output) -> String {
        show(output).replace(&self.address.to_string(), "HOST:PORT")
    }
}

/// The binary in a world of its own: no settings, no colour, no terminal.
pub(crate) fn creel(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_creel"));
    command
        .env_clear()
        .env("HOME", home)
        .env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

/// Exit status, then what was printed where.
pub(crate) fn show(output: &Output) -> String {
    let mut text = format!(
        "exit {}\n",
        output
            .status
            .code()
            .map_or("by signal".to_owned(), |code| code.to_string())
    );
    for (name, bytes) in [("out", &output.stdout), ("err", &output.stderr)] {
        for line in String::from_utf8_lossy(bytes).lines() {
            text.push_str(&format!("{name}: {line}\n"));
        }
    }
    text
}

async fn answer(
    State(script): State<Arc<Mutex<Script>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let text = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    let mut script = script.lock().expect("the script");
    let body = String::from_utf8_lossy(&body);
    script
        .seen
        .push(format!("{method} {uri} {body}").trim().to_owned());
    script.tokens.extend(text("authorization"));
    script.last_event_ids.extend(text("last-event-id"));
    let route = format!("{method} {}", uri.path());
    let location = script.location.clone();
    let answers = script.answers.entry(route.clone()).or_default();
    let (status, content_type, body) = match answers.len() {
        0 => (500, "text/plain", format!("the test has no answer for {route}")),
        1 => answers[0].clone(),
        _ => answers.remove(0),
    };
    let body = match body.strip_suffix(HANGS) {
        Some(start) => {
            let start = futures_util::stream::iter([Ok::<_, std::io::Error>(Bytes::from(start.to_owned()))]);
            Body::from_stream(start.chain(futures_util::stream::pending()))
        }
        None => Body::from(body),
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, content_type.parse().expect("a header"));
    if let Some(location) = location {
        response
            .headers_mut()
            .insert(header::LOCATION, location.parse().expect("a header"));
    }
    response
}

/// Plays a command that gives back its standard input and ends with status 7, or dies of a signal.
async fn exec(State(script): State<Arc<Mutex<Script>>>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async move |mut socket| {
        while let Some(Ok(message)) = socket.recv().await {
            let frame = match message {
                Message::Text(request) => {
                    script.lock().expect("the script").seen.push(request.to_string());
                    continue;
                }
                Message::Binary(bytes) => ExecFrame::decode(&bytes).expect("a frame"),
                _ => continue,
            };
            let answer = match frame {
                ExecFrame::Stdin(bytes) => ExecFrame::Stdout(bytes),
                ExecFrame::StdinEnd => ExecFrame::Exit(7),
                ExecFrame::Signal(signal) => ExecFrame::Exit(128 + signal),
                other => ExecFrame::Failed(format!("unexpected {other:?}")),
            };
            if socket.send(Message::Binary(answer.encode())).await.is_err() {
                return;
            }
        }
    })
}
