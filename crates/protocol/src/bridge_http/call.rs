//! One HTTP exchange with a bridge, on a connection of its own.

use std::{
    fmt::Write as _,
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, stream};
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Empty, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Body as _, Frame, Incoming};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::task::JoinHandle;

use super::socket;
use crate::{BridgeError, ByteStream};

/// For the head of an answer, and for an upload that makes no progress.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest silence in the body of an answer; streams say that they are alive every 15 seconds.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(45);
/// A whole answer that is not a stream.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
const REFUSAL_BYTES: usize = 16 * 1024;
const SENTENCE_CHARS: usize = 500;

/// The codes of the contract.
const CODES: [&str; 13] = [
    "not_found",
    "exists",
    "not_a_directory",
    "is_a_directory",
    "not_empty",
    "path_outside",
    "disk_full",
    "too_large",
    "busy",
    "not_ready",
    "invalid",
    "conflict",
    "failed",
];

type OutBody = UnsyncBoxBody<Bytes, io::Error>;

pub(super) struct Call<'a> {
    inbound: &'a Path,
    method: Method,
    target: String,
    json: bool,
    body: OutBody,
    sent: Arc<AtomicU64>,
}

impl<'a> Call<'a> {
    pub(super) fn new(inbound: &'a Path, method: Method, path: &str, query: &[(&str, &str)]) -> Self {
        let mut target = path.to_owned();
        for (position, (name, value)) in query.iter().enumerate() {
            target.push(if position == 0 { '?' } else { '&' });
            target.push_str(name);
            target.push('=');
            percent_encode(value, &mut target);
        }
        Self {
            inbound,
            method,
            target,
            json: false,
            body: Empty::new().map_err(|never| match never {}).boxed_unsync(),
            sent: Arc::default(),
        }
    }

    pub(super) fn with_json(mut self, body: Vec<u8>) -> Self {
        self.json = true;
        self.body = Full::new(Bytes::from(body))
            .map_err(|never| match never {})
            .boxed_unsync();
        self
    }

    pub(super) fn with_stream(mut self, content: ByteStream) -> Self {
        let sent = Arc::clone(&self.sent);
        let frames = content.map(move |piece| {
            sent.fetch_add(1, Ordering::Relaxed);
            piece.map(Frame::data)
        });
        self.body = BodyExt::boxed_unsync(StreamBody::new(frames));
        self
    }

    /// Sends it and waits for the head of the answer. A refusal is an error.
    pub(super) async fn send(self) -> Result<Reply, BridgeError> {
        let stream = socket::connect(self.inbound).await?;
        let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
            .max_buf_size(64 * 1024)
            .max_headers(32)
            .handshake::<_, OutBody>(TokioIo::new(stream))
            .await
            .map_err(unreachable)?;
        let connection = Connection(tokio::spawn(async move {
            // Whatever breaks it is seen by whoever reads the answer.
            let _ = connection.await;
        }));
        let mut request = Request::builder()
            .method(self.method)
            .uri(self.target)
            .header(header::HOST, "bridge");
        if self.json {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request
            .body(self.body)
            .map_err(|error| invalid(error.to_string()))?;
        let mut answer = std::pin::pin!(sender.send_request(request));
        let response = loop {
            let before = self.sent.load(Ordering::Relaxed);
            match tokio::time::timeout(HEAD_TIMEOUT, &mut answer).await {
                Ok(response) => break response.map_err(unreachable)?,
                Err(_) if self.sent.load(Ordering::Relaxed) > before => {}
                Err(_) => return Err(BridgeError::Unreachable("no answer within 30 seconds".to_owned())),
            }
        };
        let status = response.status();
        let reply = Reply {
            body: response.into_body(),
            _connection: connection,
        };
        if status.is_success() {
            return Ok(reply);
        }
        let body = reply.body(REFUSAL_BYTES).await?;
        Err(refusal(status, &body))
    }
}

/// An answer whose head said yes.
pub(super) struct Reply {
    body: Incoming,
    _connection: Connection,
}

impl Reply {
    /// What the head said about the length.
    pub(super) fn length(&self) -> Option<u64> {
        self.body.size_hint().exact()
    }

    pub(super) async fn body(mut self, bound: usize) -> Result<Bytes, BridgeError> {
        let read = async {
            let mut out = BytesMut::new();
            while let Some(frame) = self.body.frame().await {
                let frame = frame.map_err(unreachable)?;
                let Ok(data) = frame.into_data() else { continue };
                if out.len() + data.len() > bound {
                    return Err(BridgeError::Garbage(format!(
                        "an answer of more than {bound} bytes"
                    )));
                }
                out.extend_from_slice(&data);
            }
            Ok(out.freeze())
        };
        tokio::time::timeout(BODY_TIMEOUT, read)
            .await
            .unwrap_or_else(|_| {
                Err(BridgeError::Unreachable(
                    "it stopped in the middle of an answer".to_owned(),
                ))
            })
    }

    /// The body as it comes. Dropping the stream hangs up.
    pub(super) fn stream(self) -> ByteStream {
        stream::unfold(Some(self), |reply| async move {
            let mut reply = reply?;
            loop {
                return match tokio::time::timeout(SILENCE_TIMEOUT, reply.body.frame()).await {
                    Ok(None) => None,
                    Ok(Some(Ok(frame))) => match frame.into_data() {
                        Ok(data) => Some((Ok(data), Some(reply))),
                        Err(_) => continue,
                    },
                    Ok(Some(Err(error))) => Some((Err(io::Error::other(error)), None)),
                    Err(_) => Some((
                        Err(io::Error::new(
                            io::ErrorKind::TimedOut,
                            "the sandbox was silent for 45 seconds",
                        )),
                        None,
                    )),
                };
            }
        })
        .boxed()
    }
}

struct Connection(JoinHandle<()>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[derive(Deserialize)]
struct Refusal {
    code: String,
    message: String,
}

/// What a refusal means. The sentence is the sandbox's own: shortened, and without control characters.
pub(crate) fn refusal(status: StatusCode, body: &[u8]) -> BridgeError {
    let Ok(refusal) = serde_json::from_slice::<Refusal>(body) else {
        return BridgeError::Garbage(format!("status {status} without a reason"));
    };
    let code = CODES
        .into_iter()
        .find(|code| *code == refusal.code)
        .unwrap_or("failed");
    BridgeError::Refused {
        code: code.to_owned(),
        message: clean(&refusal.message, SENTENCE_CHARS),
    }
}

pub(super) fn clean(text: &str, chars: usize) -> String {
    text.chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .take(chars)
        .collect()
}

pub(super) fn unreachable(error: hyper::Error) -> BridgeError {
    if error.is_parse() || error.is_parse_too_large() {
        BridgeError::Garbage(error.to_string())
    } else {
        BridgeError::Unreachable(error.to_string())
    }
}

fn invalid(message: String) -> BridgeError {
    BridgeError::Refused {
        code: "invalid".to_owned(),
        message,
    }
}

fn percent_encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'/') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
}
