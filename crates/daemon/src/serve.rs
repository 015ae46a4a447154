//! HTTP/1.1 on a listener: bounded connections, slow senders cut off, a drain with a deadline.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use http::{Request, Response};
use hyper::{body, server::conn::http1, service::Service};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    sync::Semaphore,
};
use tokio_util::sync::CancellationToken;

use crate::Shutdown;

/// Who is at the other end; an extension of each request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    Tcp(SocketAddr),
    /// The kernel's word on who connected.
    Unix {
        uid: u32,
        gid: u32,
        pid: Option<i32>,
    },
}

#[derive(Debug, Clone, Copy)]
pub struct ServeOptions {
    /// Further connections wait in the kernel's backlog.
    pub connections: usize,
    /// A request's head must be complete after so long.
    pub head: Duration,
    /// Connections still busy so long after the end has begun are cut.
    pub drain: Duration,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            connections: 4096,
            head: Duration::from_secs(15),
            drain: Duration::from_secs(5),
        }
    }
}

/// Something that connections come from.
pub trait Incoming: Send + 'static {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, Peer)>> + Send;
}

impl Incoming for TcpListener {
    type Stream = tokio::net::TcpStream;

    async fn accept(&self) -> io::Result<(Self::Stream, Peer)> {
        let (stream, address) = TcpListener::accept(self).await?;
        // Small frames of a streamed answer must not wait for each other.
        stream.set_nodelay(true)?;
        Ok((stream, Peer::Tcp(address)))
    }
}

impl Incoming for UnixListener {
    type Stream = tokio::net::UnixStream;

    async fn accept(&self) -> io::Result<(Self::Stream, Peer)> {
        let (stream, _) = UnixListener::accept(self).await?;
        let peer = stream.peer_cred()?;
        Ok((
            stream,
            Peer::Unix {
                uid: peer.uid(),
                gid: peer.gid(),
                pid: peer.pid(),
            },
        ))
    }
}

/// Serves until the end has begun and what was under way is done, or the drain's deadline is over.
pub async fn serve<L, S, B>(listener: L, service: S, options: ServeOptions, shutdown: Shutdown)
where
    L: Incoming,
    S: tower::Service<Request<body::Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send + Sync,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let places = Arc::new(Semaphore::new(options.connections));
    let cut = CancellationToken::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(options.head)
        .max_headers(100);
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            accepted = accepted => accepted,
            () = shutdown.begun() => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                // Out of descriptors, mostly: give others time to close some.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let inner = TowerToHyperService::new(service.clone());
        let with_peer = hyper::service::service_fn(move |mut request: Request<body::Incoming>| {
            request.extensions_mut().insert(peer);
            inner.call(request)
        });
        let connection = http
            .serve_connection(TokioIo::new(stream), with_peer)
            .with_upgrades();
        let (shutdown, cut) = (shutdown.clone(), cut.clone());
        tokio::spawn(async move {
            let _place = place;
            tokio::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = shutdown.begun() => {
                    connection.as_mut().graceful_shutdown();
                    tokio::select! { ended = connection => ended, () = cut.cancelled() => Ok(()) }
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended badly");
            }
        });
    }
    drop(listener);
    let all = u32::try_from(options.connections).unwrap_or(u32::MAX);
    if tokio::time::timeout(options.drain, places.acquire_many(all))
        .await
        .is_err()
    {
        tracing::info!("connections were still busy at the end of the drain");
        cut.cancel();
    }
}

#[cfg(test)]
mod tests {
    use axum::{Extension, Router, routing::get};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    async fn answer(request: &[u8], options: ServeOptions) -> String {
        let listener = crate::bind_tcp(([127, 0, 0, 1], 0).into())
            .await
            .expect("a free port");
        let address = listener.local_addr().expect("bound");
        let peer = |Extension(peer): Extension<Peer>| async move { format!("{peer:?}") };
        let shutdown = Shutdown::new();
        let server = tokio::spawn(serve(
            listener,
            Router::new().route("/", get(peer)),
            options,
            shutdown.clone(),
        ));
        let mut stream = tokio::net::TcpStream::connect(address).await.expect("connected");
        stream.write_all(request).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        shutdown.begin();
        server.await.expect("ends");
        answer
    }

    #[tokio::test]
    async fn handlers_learn_who_is_there() {
        let request = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        let answer = answer(request, ServeOptions::default()).await;
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.contains("Tcp(127.0.0.1:"),
            "{answer}"
        );
    }

    #[tokio::test]
    async fn half_a_head_is_not_waited_for() {
        let options = ServeOptions {
            head: Duration::from_millis(50),
            ..ServeOptions::default()
        };
        let answer = answer(b"GET / HTTP/1.1\r\nhos", options).await;
        assert!(!answer.contains("200"), "{answer}");
    }
}
