//! The bridge over its socket. Everything on the other side of it belongs to the agent, so nothing is
//! believed: the socket is opened without following links, every answer has a bound in size and time,
//! numbers must count up, and a code that is not in the contract becomes `failed`.

mod call;
mod exec;
mod socket;
mod turn;

use std::{path::PathBuf, sync::Arc};

use creel_domain::{BridgeHealth, SandboxId, SessionName, TurnId};
use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream};
use http::Method;
use serde::de::DeserializeOwned;

use self::call::{Call, Reply};
pub(crate) use self::{call::refusal, socket::connect};
use crate::{
    Bridge, BridgeError, Bridges, ByteStream, EventStream, ExecRequest, ExecSession, FileEntry, HistoryEntry,
    Layout, LogLine, LogStream, ReadFile, SessionSummary, TurnRequest, limits,
};

/// Bounds on what a bridge may answer, in bytes.
mod bounds {
    pub(super) const HEALTH: usize = 16 * 1024;
    pub(super) const SESSIONS: usize = 1 << 20;
    pub(super) const HISTORY: usize = 16 << 20;
    pub(super) const LISTING: usize = 8 << 20;
    pub(super) const NOTHING: usize = 4096;
    pub(super) const HEALTH_DETAIL_CHARS: usize = 500;
}

/// Bridges of the sandboxes on this host.
#[derive(Debug, Clone)]
pub struct LocalBridges {
    layout: Layout,
}

impl LocalBridges {
    pub fn new(layout: Layout) -> Self {
        Self { layout }
    }
}

impl Bridges for LocalBridges {
    fn bridge(&self, sandbox: SandboxId) -> Arc<dyn Bridge> {
        Arc::new(BridgeClient::new(self.layout.inbound(sandbox)))
    }
}

/// The bridge that listens on `bridge.sock` in one directory.
#[derive(Debug, Clone)]
pub struct BridgeClient {
    inbound: PathBuf,
}

impl BridgeClient {
    pub fn new(inbound: impl Into<PathBuf>) -> Self {
        Self {
            inbound: inbound.into(),
        }
    }

    fn call(&self, method: Method, path: &str, query: &[(&str, &str)]) -> Call<'_> {
        Call::new(&self.inbound, method, path, query)
    }

    /// Ends the runtime, then the sandbox.
    pub async fn shutdown(&self) -> Result<(), BridgeError> {
        self.call(Method::POST, "/v1/shutdown", &[]).done().await
    }
}

impl Call<'_> {
    async fn done(self) -> Result<(), BridgeError> {
        self.send().await?.body(bounds::NOTHING).await.map(drop)
    }

    async fn json<T: DeserializeOwned>(self, bound: usize) -> Result<T, BridgeError> {
        let body = self.send().await?.body(bound).await?;
        serde_json::from_slice(&body).map_err(|error| BridgeError::Garbage(error.to_string()))
    }
}

impl Bridge for BridgeClient {
    fn health(&self) -> BoxFuture<'_, Result<BridgeHealth, BridgeError>> {
        async move {
            let mut health: BridgeHealth = self
                .call(Method::GET, "/v1/health", &[])
                .json(bounds::HEALTH)
                .await?;
            health.version = call::clean(&health.version, 64);
            health.runtime.detail = call::clean(&health.runtime.detail, bounds::HEALTH_DETAIL_CHARS);
            Ok(health)
        }
        .boxed()
    }

    fn turn(
        &self,
        turn: TurnId,
        request: TurnRequest,
        after: u64,
    ) -> BoxFuture<'_, Result<EventStream, BridgeError>> {
        async move {
            if request.message.len() > limits::MESSAGE_BYTES {
                return Err(BridgeError::Refused {
                    code: "too_large".to_owned(),
                    message: format!("a message may have at most {} bytes", limits::MESSAGE_BYTES),
                });
            }
            let body =
                serde_json::to_vec(&request).map_err(|error| BridgeError::Garbage(error.to_string()))?;
            let reply = self
                .call(
                    Method::PUT,
                    &format!("/v1/turns/{turn}"),
                    &[("after", &after.to_string())],
                )
                .with_json(body)
                .send()
                .await?;
            Ok(turn::events(reply, after))
        }
        .boxed()
    }

    fn cancel(&self, turn: TurnId) -> BoxFuture<'_, Result<(), BridgeError>> {
        async move {
            self.call(Method::DELETE, &format!("/v1/turns/{turn}"), &[])
                .done()
                .await
        }
        .boxed()
    }

    fn sessions(&self) -> BoxFuture<'_, Result<Vec<SessionSummary>, BridgeError>> {
        self.call(Method::GET, "/v1/sessions", &[])
            .json(bounds::SESSIONS)
            .boxed()
    }

    fn history(
        &self,
        session: SessionName,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<HistoryEntry>, BridgeError>> {
        async move {
            let limit = limit.min(limits::HISTORY_ENTRIES);
            let path = format!("/v1/sessions/{session}/messages");
            let mut entries: Vec<HistoryEntry> = self
                .call(Method::GET, &path, &[("limit", &limit.to_string())])
                .json(bounds::HISTORY)
                .await?;
            entries.drain(..entries.len().saturating_sub(limit));
            Ok(entries)
        }
        .boxed()
    }

    fn exec(&self, request: ExecRequest) -> BoxFuture<'_, Result<ExecSession, BridgeError>> {
        exec::start(&self.inbound, request).boxed()
    }

    fn list(&self, path: String) -> BoxFuture<'_, Result<Vec<FileEntry>, BridgeError>> {
        async move {
            let mut entries: Vec<FileEntry> = self
                .call(Method::GET, "/v1/files", &[("path", &path)])
                .json(bounds::LISTING)
                .await?;
            entries.truncate(limits::DIRECTORY_ENTRIES);
            Ok(entries)
        }
        .boxed()
    }

    fn read(&self, path: String) -> BoxFuture<'_, Result<ReadFile, BridgeError>> {
        async move {
            let reply = self
                .call(Method::GET, "/v1/files/content", &[("path", &path)])
                .send()
                .await?;
            let bytes = reply
                .length()
                .ok_or_else(|| BridgeError::Garbage("a file without a length".to_owned()))?;
            Ok(ReadFile {
                bytes,
                content: reply.stream(),
            })
        }
        .boxed()
    }

    fn write(&self, path: String, content: ByteStream) -> BoxFuture<'_, Result<(), BridgeError>> {
        async move {
            self.call(Method::PUT, "/v1/files/content", &[("path", &path)])
                .with_stream(content)
                .done()
                .await
        }
        .boxed()
    }

    fn mkdir(&self, path: String) -> BoxFuture<'_, Result<(), BridgeError>> {
        async move {
            self.call(Method::POST, "/v1/files/mkdir", &[("path", &path)])
                .done()
                .await
        }
        .boxed()
    }

    fn rename(&self, from: String, to: String) -> BoxFuture<'_, Result<(), BridgeError>> {
        async move {
            self.call(Method::POST, "/v1/files/move", &[("from", &from), ("to", &to)])
                .done()
                .await
        }
        .boxed()
    }

    fn remove(&self, path: String, recursive: bool) -> BoxFuture<'_, Result<(), BridgeError>> {
        async move {
            let recursive = recursive.to_string();
            self.call(
                Method::DELETE,
                "/v1/files",
                &[("path", &path), ("recursive", &recursive)],
            )
            .done()
            .await
        }
        .boxed()
    }

    fn logs(&self, tail: usize, follow: bool) -> BoxFuture<'_, Result<LogStream, BridgeError>> {
        async move {
            let tail = tail.min(limits::LOG_LINES).to_string();
            let reply = self
                .call(
                    Method::GET,
                    "/v1/logs",
                    &[("tail", &tail), ("follow", &follow.to_string())],
                )
                .send()
                .await?;
            Ok(log_lines(reply))
        }
        .boxed()
    }
}

/// JSON lines; an empty line only says that the other side is still there.
fn log_lines(reply: Reply) -> LogStream {
    // A line of text may be written with escapes.
    let bound = limits::LOG_LINE_BYTES * 6 + 256;
    let state = (reply.stream(), Vec::<u8>::new(), false);
    stream::unfold(state, move |(mut bytes, mut rest, over)| async move {
        if over {
            return None;
        }
        loop {
            if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                if line.len() == 1 {
                    continue;
                }
                return match serde_json::from_slice::<LogLine>(&line) {
                    Ok(line) => Some((Ok(bounded(line)), (bytes, rest, false))),
                    Err(error) => Some((Err(BridgeError::Garbage(error.to_string())), (bytes, rest, true))),
                };
            }
            if rest.len() > bound {
                let error = BridgeError::Garbage(format!("a log line of more than {bound} bytes"));
                return Some((Err(error), (bytes, rest, true)));
            }
            match bytes.next().await {
                Some(Ok(more)) => rest.extend_from_slice(&more),
                Some(Err(error)) => {
                    let error = BridgeError::Unreachable(error.to_string());
                    return Some((Err(error), (bytes, rest, true)));
                }
                None => return None,
            }
        }
    })
    .boxed()
}

fn bounded(line: LogLine) -> LogLine {
    LogLine {
        source: call::clean(&line.source, 32),
        ..line
    }
}
