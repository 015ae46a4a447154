//! The [`Supervisor`] contract over its socket: what both sides agree on, and the side that asks.
//!
//! | | |
//! |---|---|
//! | `PUT /v1/sandboxes/{sandbox}/target` | body [`PutTarget`] |
//! | `POST /v1/sandboxes/{sandbox}/wake` | whether it has processes |
//! | `GET /v1/sandboxes/{sandbox}/memory` | [`SandboxMemory`] |
//! | `GET /v1/sandboxes` | list of [`SandboxReport`] |
//! | `GET /v1/watch` | one [`SandboxReport`] a line; an empty line every [`BEAT`] when there is none |
//! | `GET /v1/images`, `POST`/`DELETE /v1/images/{image}` | list of [`ImageStatus`]; build, remove |
//! | `GET /v1/host` | [`HostReport`] |
//!
//! A refusal is a status with a [`SupervisorError`] as JSON.

use std::{path::PathBuf, time::Duration};

use bytes::{Buf as _, Bytes, BytesMut};
use creel_domain::{Generation, ImageName, SandboxId, SandboxReport, Target};
use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream};
use http::{Method, Request, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::{net::UnixStream, time::timeout};

use crate::{HostReport, ImageStatus, ReportStream, SandboxMemory, Supervisor, SupervisorError};

/// A request: a specification with its three files, each letter escaped.
pub const MAX_REQUEST_BYTES: usize = 2 * 1024 * 1024;
/// An answer: a report of each of some thousand sandboxes.
pub const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;
/// One line of a watch.
pub const MAX_LINE_BYTES: usize = 64 * 1024;
/// From asking to the whole answer; a target is written to disk meanwhile.
pub const ANSWER_DEADLINE: Duration = Duration::from_secs(30);
/// How often a watch with nothing to say says so.
pub const BEAT: Duration = Duration::from_secs(10);
/// A watch that is silent for so long is dead.
pub const SILENCE: Duration = Duration::from_secs(35);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PutTarget {
    pub generation: Generation,
    pub target: Target,
}

/// The supervisor behind a socket. Connects for each call; there is no state to lose.
#[derive(Debug, Clone)]
pub struct SupervisorClient {
    socket: PathBuf,
}

impl SupervisorClient {
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self {
            socket: socket.into(),
        }
    }

    async fn send(
        &self,
        method: Method,
        path: String,
        body: Vec<u8>,
    ) -> Result<http::Response<Incoming>, SupervisorError> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| {
            unreachable(format!(
                "cannot connect to {}: {error}; is `creel up` running?",
                self.socket.display()
            ))
        })?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(unreachable)?;
        // Ends with its request, or when the answer's body is dropped.
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "supervisor")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(unreachable)?;
        let answer = sender.send_request(request).await.map_err(unreachable)?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let text = collect(answer).await?;
        Err(
            serde_json::from_slice(&text).unwrap_or_else(|_| SupervisorError::Failed {
                reason: format!(
                    "it answered {status}: {}",
                    String::from_utf8_lossy(&text[..text.len().min(200)]).trim()
                ),
            }),
        )
    }

    /// A whole exchange within its deadline.
    fn ask(
        &self,
        method: Method,
        path: String,
        body: Result<Vec<u8>, serde_json::Error>,
    ) -> BoxFuture<'_, Result<Bytes, SupervisorError>> {
        async move {
            let body = body.map_err(|error| SupervisorError::Invalid {
                reason: error.to_string(),
            })?;
            let exchange = async { collect(self.send(method, path, body).await?).await };
            timeout(ANSWER_DEADLINE, exchange).await.unwrap_or_else(|_| {
                Err(unreachable(format!(
                    "no answer within {} s",
                    ANSWER_DEADLINE.as_secs()
                )))
            })
        }
        .boxed()
    }

    fn get<T: DeserializeOwned + Send + 'static>(
        &self,
        path: &str,
    ) -> BoxFuture<'_, Result<T, SupervisorError>> {
        let answer = self.ask(Method::GET, path.to_owned(), Ok(Vec::new()));
        async move { serde_json::from_slice(&answer.await?).map_err(unreachable) }.boxed()
    }
}

impl Supervisor for SupervisorClient {
    fn put_target(
        &self,
        sandbox: SandboxId,
        generation: Generation,
        target: Target,
    ) -> BoxFuture<'_, Result<(), SupervisorError>> {
        let body = serde_json::to_vec(&PutTarget { generation, target });
        let answer = self.ask(Method::PUT, format!("/v1/sandboxes/{sandbox}/target"), body);
        answer.map(|answer| answer.map(drop)).boxed()
    }

    fn wake(&self, sandbox: SandboxId) -> BoxFuture<'_, Result<bool, SupervisorError>> {
        let answer = self.ask(
            Method::POST,
            format!("/v1/sandboxes/{sandbox}/wake"),
            Ok(Vec::new()),
        );
        async move { serde_json::from_slice(&answer.await?).map_err(unreachable) }.boxed()
    }

    fn memory(&self, sandbox: SandboxId) -> BoxFuture<'_, Result<SandboxMemory, SupervisorError>> {
        self.get(&format!("/v1/sandboxes/{sandbox}/memory"))
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<SandboxReport>, SupervisorError>> {
        self.get("/v1/sandboxes")
    }

    fn watch(&self) -> BoxFuture<'_, Result<ReportStream, SupervisorError>> {
        async move {
            let answer = timeout(
                ANSWER_DEADLINE,
                self.send(Method::GET, "/v1/watch".to_owned(), Vec::new()),
            )
            .await
            .map_err(unreachable)??;
            Ok(lines(answer.into_body()))
        }
        .boxed()
    }

    fn images(&self) -> BoxFuture<'_, Result<Vec<ImageStatus>, SupervisorError>> {
        self.get("/v1/images")
    }

    fn build_image(&self, image: ImageName) -> BoxFuture<'_, Result<(), SupervisorError>> {
        let answer = self.ask(Method::POST, format!("/v1/images/{image}"), Ok(Vec::new()));
        answer.map(|answer| answer.map(drop)).boxed()
    }

    fn remove_image(&self, image: ImageName) -> BoxFuture<'_, Result<(), SupervisorError>> {
        let answer = self.ask(Method::DELETE, format!("/v1/images/{image}"), Ok(Vec::new()));
        answer.map(|answer| answer.map(drop)).boxed()
    }

    fn host(&self) -> BoxFuture<'_, Result<HostReport, SupervisorError>> {
        self.get("/v1/host")
    }
}

/// Reports line by line, until the connection ends, is silent for too long, or says something else.
fn lines(body: Incoming) -> ReportStream {
    stream::unfold((body, BytesMut::new()), |(mut body, mut buffer)| async move {
        loop {
            if let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
                let line = buffer.split_to(end);
                buffer.advance(1);
                if line.is_empty() {
                    continue;
                }
                let report = serde_json::from_slice(&line).ok()?;
                return Some((report, (body, buffer)));
            }
            if buffer.len() > MAX_LINE_BYTES {
                return None;
            }
            let frame = timeout(SILENCE, body.frame()).await.ok()??.ok()?;
            buffer.extend_from_slice(frame.data_ref()?);
        }
    })
    .boxed()
}

async fn collect(answer: http::Response<Incoming>) -> Result<Bytes, SupervisorError> {
    let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await;
    Ok(body.map_err(unreachable)?.to_bytes())
}

fn unreachable(reason: impl ToString) -> SupervisorError {
    SupervisorError::Unreachable {
        reason: reason.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::UnixListener,
    };

    use super::*;

    /// A supervisor that says exactly this, whatever it is asked, and hangs up.
    fn says(text: &'static [u8]) -> (tempfile::TempDir, SupervisorClient) {
        let directory = tempfile::tempdir().expect("a directory");
        let socket = directory.path().join("s");
        let listener = UnixListener::bind(&socket).expect("bound");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = [0; 4096];
                let _ = stream.read(&mut head).await;
                let _ = stream.write_all(text).await;
            }
        });
        (directory, SupervisorClient::new(socket))
    }

    #[tokio::test]
    async fn nobody_there_is_said_with_what_to_do() {
        let client = SupervisorClient::new("/nowhere/supervisor.sock");
        let error = client.host().await.expect_err("nobody there");
        assert!(error.to_string().contains("is `creel up` running?"), "{error}");
    }

    #[tokio::test]
    async fn nonsense_is_an_error_and_not_a_panic() {
        for text in [
            &b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nxyz"[..],
            b"HTTP/1.1 200 OK\r\ncontent-length: 30\r\n\r\n[",
            b"garbage",
            b"",
            b"HTTP/1.1 500 Oops\r\ncontent-length: 4\r\n\r\noops",
        ] {
            let (_directory, client) = says(text);
            let error = client.list().await.expect_err("no list");
            assert!(
                matches!(
                    error,
                    SupervisorError::Unreachable { .. } | SupervisorError::Failed { .. }
                ),
                "{error:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_watch_ends_at_half_a_line_or_nonsense() {
        for text in [
            &b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n\n\nabc\r\n"[..],
            b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n{}\n{}",
            b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        ] {
            let (_directory, client) = says(text);
            let watch = client.watch().await.expect("a head");
            assert_eq!(watch.count().await, 0);
        }
    }
}
