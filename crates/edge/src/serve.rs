//! Connections from the world: bounded in number and in patience, HTTP/1.1 or HTTP/2, in the clear or over TLS.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{Request, Response};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{Edge, body::Reply, certificates, pool::Pool};

/// Connections altogether; the next ones are closed at once.
pub(crate) const CONNECTIONS: usize = 16_384;
/// Connections of one address, or of one network of IPv6 addresses. This host and trusted proxies have no such bound.
pub(crate) const CONNECTIONS_OF_ONE: usize = 1024;
/// A request's head must be complete after so long; a connection that is kept open asks again within it.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
const HEAD_BYTES: usize = 64 * 1024;
const HEADERS: usize = 100;
/// Requests at the same time on one connection of HTTP/2.
const STREAMS: u32 = 128;
const PING_EVERY: Duration = Duration::from_secs(30);
/// What is under way at the end has so long.
const DRAIN: Duration = Duration::from_secs(5);
/// How HTTP/2 begins where nothing was agreed on before.
const PREFACE: &[u8] = b"PRI * HTTP/2.0";
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Who is connected, over all workers.
#[derive(Debug, Default)]
pub(crate) struct Guests {
    all: AtomicUsize,
    of: Mutex<HashMap<IpAddr, usize>>,
}

struct Guest {
    guests: Arc<Guests>,
    network: Option<IpAddr>,
}

impl Guests {
    fn admit(self: &Arc<Self>, address: IpAddr, trusted: bool) -> Option<Guest> {
        if self.all.fetch_add(1, Ordering::AcqRel) >= CONNECTIONS {
            self.all.fetch_sub(1, Ordering::AcqRel);
            return None;
        }
        let mut guest = Guest {
            guests: Arc::clone(self),
            network: None,
        };
        let address = address.to_canonical();
        if !trusted && !address.is_loopback() {
            let network = network(address);
            let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
            let there = of.entry(network).or_default();
            if *there >= CONNECTIONS_OF_ONE {
                return None;
            }
            *there += 1;
            guest.network = Some(network);
        }
        Some(guest)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.guests.all.fetch_sub(1, Ordering::AcqRel);
        if let Some(network) = self.network {
            let mut of = self.guests.of.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(there) = of.get_mut(&network) {
                *there -= 1;
                if *there == 0 {
                    of.remove(&network);
                }
            }
        }
    }
}

/// Whoever has one IPv6 address has 64 bits of them.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

/// Takes connections until the shutdown begins, then waits for what is under way.
pub(crate) async fn serve(edge: Arc<Edge>, pool: Arc<Pool>, listener: TcpListener) {
    let cut = CancellationToken::new();
    let open = tokio_util::task::TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = edge.shutdown.begun() => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                // Out of descriptors, mostly: give others time to close some.
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let trusted = edge.trusted.contains(peer.ip());
        let Some(guest) = edge.guests.admit(peer.ip(), trusted) else {
            continue;
        };
        // Small frames of a streamed answer must not wait for each other.
        let _ = stream.set_nodelay(true);
        let connection = connection(Arc::clone(&edge), Arc::clone(&pool), stream, peer);
        let cut = cut.clone();
        open.spawn(async move {
            let _guest = guest;
            tokio::select! {
                ended = connection => if let Err(error) = ended {
                    tracing::debug!(%peer, %error, "a connection ended badly");
                },
                () = cut.cancelled() => {}
            }
        });
    }
    drop(listener);
    open.close();
    if timeout(DRAIN, open.wait()).await.is_err() {
        tracing::info!("connections were still busy at the end of the drain");
        cut.cancel();
        open.wait().await;
    }
}

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

async fn connection(edge: Arc<Edge>, pool: Arc<Pool>, stream: TcpStream, peer: SocketAddr) -> Outcome {
    if edge.certificates.is_some() {
        return match certificates::accept(&edge, stream).await? {
            Some(stream) => {
                let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                spoken(edge, pool, stream, peer, true, http2).await
            }
            None => Ok(()),
        };
    }
    let Some(tls) = edge.tls.as_ref().map(crate::tls::Tls::acceptor) else {
        let http2 = timeout(HEAD_WITHIN, begins_http2(&stream)).await??;
        return spoken(edge, pool, stream, peer, false, http2).await;
    };
    let stream = timeout(HANDSHAKE_WITHIN, tls.accept(stream)).await??;
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    spoken(edge, pool, stream, peer, true, http2).await
}

/// Whether the first bytes are those of HTTP/2. Nothing is taken.
async fn begins_http2(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0; PREFACE.len()];
    loop {
        let there = stream.peek(&mut first).await?;
        let seen = first.get(..there).unwrap_or_default();
        if there == 0 || !PREFACE.starts_with(seen) {
            return Ok(false);
        }
        if there == PREFACE.len() {
            return Ok(true);
        }
        // Half a preface: the rest is on its way, or the time runs out.
        sleep(LOOK_AGAIN).await;
    }
}

async fn spoken<S>(
    edge: Arc<Edge>,
    pool: Arc<Pool>,
    stream: S,
    peer: SocketAddr,
    tls: bool,
    http2: bool,
) -> Outcome
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let shutdown = edge.shutdown.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let (edge, pool) = (Arc::clone(&edge), Arc::clone(&pool));
        async move { io::Result::Ok(edge.answer(&pool, peer, tls, request).await) }
    });
    if http2 {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(u32::try_from(HEAD_BYTES).unwrap_or(u32::MAX))
            .keep_alive_interval(PING_EVERY)
            .adaptive_window(true);
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        return until_the_end(connection, &shutdown, |it| it.graceful_shutdown()).await;
    }
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEADERS)
        // Who sends no more has left, for all that can be seen, and is not worked for. Tunnels know better.
        .half_close(false);
    let connection = builder
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    until_the_end(connection, &shutdown, |it| it.graceful_shutdown()).await
}

async fn until_the_end<C>(
    connection: C,
    shutdown: &creel_daemon::Shutdown,
    end: impl FnOnce(Pin<&mut C>),
) -> Outcome
where
    C: Future<Output = hyper::Result<()>>,
{
    tokio::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return Ok(ended?),
        () = shutdown.begun() => end(connection.as_mut()),
    }
    Ok(connection.await?)
}

/// What is answered, whoever it is for.
pub(crate) type Answer = Response<Reply>;
