//! What control may ask, on `bridge.sock`. Each handler decodes, asks one thing, encodes.

mod exec;
mod files;
mod ports;
mod turns;

use std::{convert::Infallible, sync::Arc, time::Instant};

use axum::{
    Json, Router,
    body::Body,
    extract::{DefaultBodyLimit, Path, Query, Request, State},
    http::StatusCode,
    middleware::{self, Next},
    response::Response,
    routing::{get, post, put},
};
use bytes::Bytes;
use creel_domain::{BridgeHealth, SessionName};
use creel_protocol::{HistoryEntry, SessionSummary, limits};
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{
    files::Volume, logs::Logs, paths::Paths, processes::Processes, refusal::Refusal, runtime::Runtime,
    specification::Specification, turns::Turns,
};

/// A turn's message, as JSON with escapes.
const REQUEST_BYTES: usize = limits::MESSAGE_BYTES * 6 + 1024;

#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) specification: Arc<Specification>,
    pub(crate) turns: Turns,
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) processes: Processes,
    pub(crate) logs: Logs,
    pub(crate) volume: Volume,
    pub(crate) paths: Paths,
    pub(crate) shutdown: CancellationToken,
    pub(crate) started: Instant,
    pub(crate) execs: Arc<Semaphore>,
    pub(crate) ports: Arc<Semaphore>,
}

impl Server {
    pub(crate) fn routes(self) -> Router {
        Router::new()
            .route("/v1/health", get(health))
            .route("/v1/turns/{turn}", put(turns::start).delete(turns::cancel))
            .route("/v1/sessions", get(sessions))
            .route("/v1/sessions/{session}/messages", get(history))
            .route("/v1/exec", get(exec::exec))
            .route("/v1/files", get(files::list).delete(files::remove))
            .route("/v1/files/content", get(files::read).put(files::write))
            .route("/v1/files/mkdir", post(files::mkdir))
            .route("/v1/files/move", post(files::rename))
            .route("/v1/ports/{port}", get(ports::connect))
            .route("/v1/logs", get(logs))
            .route("/v1/shutdown", post(shutdown))
            .fallback(async || Refusal::new("not_found", "there is nothing at this address"))
            .layer(DefaultBodyLimit::max(REQUEST_BYTES))
            .layer(middleware::from_fn_with_state(self.clone(), as_specified))
            .with_state(self)
    }
}

/// Whatever is asked finds the agent as it is specified by now.
async fn as_specified(State(server): State<Server>, request: Request, next: Next) -> Response {
    server.specification.follow();
    next.run(request).await
}

async fn health(State(server): State<Server>) -> Json<BridgeHealth> {
    Json(BridgeHealth {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_ms: u64::try_from(server.started.elapsed().as_millis()).unwrap_or(u64::MAX),
        runtime: server.runtime.health().await,
        turns: u32::try_from(server.turns.running()).unwrap_or(u32::MAX),
    })
}

async fn sessions(State(server): State<Server>) -> Result<Json<Vec<SessionSummary>>, Refusal> {
    server.runtime.sessions().await.map(Json)
}

#[derive(Deserialize)]
struct HistoryQuery {
    #[serde(default = "all")]
    limit: usize,
}

fn all() -> usize {
    limits::HISTORY_ENTRIES
}

async fn history(
    State(server): State<Server>,
    Path(session): Path<SessionName>,
    Query(query): Query<HistoryQuery>,
) -> Result<Json<Vec<HistoryEntry>>, Refusal> {
    server
        .runtime
        .history(session, query.limit.min(limits::HISTORY_ENTRIES))
        .await
        .map(Json)
}

#[derive(Deserialize)]
struct LogsQuery {
    #[serde(default = "hundred")]
    tail: usize,
    #[serde(default)]
    follow: bool,
}

fn hundred() -> usize {
    100
}

async fn logs(State(server): State<Server>, Query(query): Query<LogsQuery>) -> Response {
    let text = |lines: Vec<creel_protocol::LogLine>| {
        let lines = lines.iter().filter_map(|line| serde_json::to_string(line).ok());
        Bytes::from(lines.map(|line| line + "\n").collect::<String>())
    };
    let (lines, next) = server.logs.tail(query.tail);
    let first = text(lines);
    if !query.follow {
        return Response::new(Body::from(first));
    }
    let following = futures_util::stream::unfold((Some(first), next), move |(first, next)| {
        let logs = server.logs.clone();
        async move {
            if let Some(first) = first {
                return Some((Ok::<_, Infallible>(first), (None, next)));
            }
            // An empty line now and then shows that we are still here.
            let quiet = std::time::Duration::from_secs(15);
            match tokio::time::timeout(quiet, logs.after(next)).await {
                Ok((lines, next)) => Some((Ok(text(lines)), (None, next))),
                Err(_) => Some((Ok(Bytes::from_static(b"\n")), (None, next))),
            }
        }
    });
    Response::new(Body::from_stream(following))
}

async fn shutdown(State(server): State<Server>) -> StatusCode {
    server.shutdown.cancel();
    StatusCode::NO_CONTENT
}
