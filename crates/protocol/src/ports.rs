//! A way from outside to a loopback port inside a sandbox: one connection of `bridge.sock` that becomes a connection
//! of that port, byte for byte.

use std::{path::Path, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use crate::BridgeError;
use crate::bridge_http::{connect, refusal};
#[cfg(doc)]
use crate::limits;

/// What both sides call it in `Upgrade`.
pub const PORT_UPGRADE: &str = "creel-port";
/// From the connection to the bridge's word that the port is connected, too.
const WITHIN: Duration = Duration::from_secs(10);
const REFUSAL_BYTES: usize = 16 * 1024;

/// Connects to `127.0.0.1:port` inside, or `[::1]:port` where only that is listened on. `inbound` is the directory of
/// the bridge's socket. Refused with `not_found` when nothing listens there, with `busy` when
/// [`limits::PORT_CONNECTIONS`] are open.
pub async fn connect_port(inbound: &Path, port: u16) -> Result<UnixStream, BridgeError> {
    tokio::time::timeout(WITHIN, connected(inbound, port))
        .await
        .unwrap_or_else(|_| {
            Err(BridgeError::Unreachable(format!(
                "port {port} took no connection within {} seconds",
                WITHIN.as_secs()
            )))
        })
}

async fn connected(inbound: &Path, port: u16) -> Result<UnixStream, BridgeError> {
    let lost = |error: hyper::Error| BridgeError::Unreachable(error.to_string());
    let stream = connect(inbound).await?;
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(16 * 1024)
        .max_headers(16)
        .handshake::<_, Empty<Bytes>>(TokioIo::new(stream))
        .await
        .map_err(lost)?;
    let request = Request::get(format!("/v1/ports/{port}"))
        .header(header::HOST, "bridge")
        .header(header::CONNECTION, "upgrade")
        .header(header::UPGRADE, PORT_UPGRADE)
        .body(Empty::new())
        .map_err(|error| BridgeError::Unreachable(error.to_string()))?;
    let mut connection = std::pin::pin!(connection.without_shutdown());
    let exchange = async {
        let answer = sender.send_request(request).await.map_err(lost)?;
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(());
        }
        let status = answer.status();
        let body = Limited::new(answer.into_body(), REFUSAL_BYTES).collect().await;
        let body = body
            .map_err(|_| BridgeError::Garbage("a refusal without an end".to_owned()))?
            .to_bytes();
        Err(refusal(status, &body))
    };
    let mut exchange = std::pin::pin!(exchange);
    let mut parts = None;
    loop {
        tokio::select! {
            answer = &mut exchange => break answer?,
            ended = &mut connection, if parts.is_none() => parts = Some(ended.map_err(lost)?),
        }
    }
    // What comes now is not HTTP: the socket itself is taken back.
    let parts = match parts {
        Some(parts) => parts,
        None => connection.await.map_err(lost)?,
    };
    if !parts.read_buf.is_empty() {
        return Err(BridgeError::Garbage(
            "it spoke before it was spoken to".to_owned(),
        ));
    }
    Ok(parts.io.into_inner())
}

/// Whether a port may be reached from outside at all: not those on which the bridge offers the way out.
pub fn is_public_port(port: u16) -> bool {
    port != 0 && port != crate::inside::MODELS_PORT && port != crate::inside::EGRESS_PORT
}
