//! The public entry: one listener for Creel's own API and for every agent's ports. Runs without root, links no store.
//!
//! ```text
//! connection ─▶ serve   bounded, HTTP/1.1 or HTTP/2, TLS
//! request    ─▶ asked   which host, what it shows, whose it is
//!               names ─▶ Creel itself ─▶ forward ─▶ control's socket
//!                     ├▶ an owner's name ─▶ domains (control: does it lead to an agent)
//!                     └▶ an agent ─▶ lease (control: may come, is awake) ─▶ forward ─▶ bridge ─▶ port
//! ```
//!
//! Bodies are passed on piece by piece in both directions; nothing is kept. What is slow at one end is slow at the
//! other.
#![forbid(unsafe_code)]

mod agent;
mod asked;
mod body;
mod certificates;
mod domains;
mod forward;
mod headers;
mod lease;
mod names;
mod pages;
mod pool;
mod redirect;
mod refusal;
mod serve;
mod tls;

use std::{io, net::SocketAddr, sync::Arc};

use creel_daemon::Shutdown;
use creel_protocol::{Layout, edge::PEER_HEADER};
use http::{HeaderName, HeaderValue, Request, header};
use hyper::body::Incoming;

pub use asked::TrustedProxies;
pub use names::Names;
pub use tls::{BadTls, TlsFiles};

use agent::Visit;
use asked::From;
use body::Reply;
use certificates::Certificates;
use domains::Domains;
use headers::About;
use lease::Leases;
use names::For;
use pool::{Place, Pool};
use refusal::Refusal;
use serve::{Answer, Guests};
use tls::Tls;

/// Browsers that have once come over TLS come over nothing else for so long.
const HSTS: &str = "max-age=31536000";

pub struct Options {
    pub layout: Layout,
    /// Bound by whoever could.
    pub listener: std::net::TcpListener,
    /// Answers everything with the address over TLS.
    pub redirect: Option<std::net::TcpListener>,
    pub names: Names,
    /// None: in the clear, which never leaves the host or ends at a proxy.
    pub tls: Option<TlsFiles>,
    /// TLS with the certificates that control got.
    pub acme: bool,
    pub trusted: TrustedProxies,
    pub shutdown: Shutdown,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Tls(#[from] BadTls),
    #[error("the edge could not start: {0}")]
    Io(#[from] io::Error),
}

/// What every worker shares.
#[derive(Debug)]
struct Edge {
    names: Names,
    trusted: TrustedProxies,
    tls: Option<Tls>,
    leases: Arc<Leases>,
    domains: Domains,
    /// None: TLS is not served, or with a certificate from files.
    certificates: Option<Certificates>,
    guests: Arc<Guests>,
    shutdown: Shutdown,
}

/// Serves until the shutdown begins and what was under way is done. One thread for each core: a request stays on the
/// one that took its connection.
pub async fn run(options: Options) -> Result<(), Error> {
    let leases = Leases::new(options.layout.edge_socket());
    let edge = Arc::new(Edge {
        names: options.names,
        trusted: options.trusted,
        tls: options.tls.map(Tls::new).transpose()?,
        domains: Domains::new(Arc::clone(&leases)),
        certificates: options.acme.then(|| Certificates::new(Arc::clone(&leases))),
        leases,
        guests: Arc::default(),
        shutdown: options.shutdown,
    });
    options.listener.set_nonblocking(true)?;
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let mut threads = Vec::new();
    for number in 0..workers {
        let (edge, listener) = (Arc::clone(&edge), options.listener.try_clone()?);
        let layout = options.layout.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let thread = std::thread::Builder::new().name(format!("edge-{number}"));
        threads.push(thread.spawn(move || {
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                serve::serve(edge, Pool::new(layout), listener).await;
                io::Result::Ok(())
            })
        })?);
    }
    // The workers' copies are the ones that count.
    drop(options.listener);
    if let Some(listener) = options.redirect {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        tokio::spawn(redirect::serve(Arc::clone(&edge), listener));
    }
    let fresh = async {
        match &edge.tls {
            Some(tls) => tls.keep_fresh().await,
            None => std::future::pending().await,
        }
    };
    let ended = tokio::task::spawn_blocking(move || {
        let ended: Vec<_> = threads.into_iter().map(std::thread::JoinHandle::join).collect();
        for one in ended {
            // Half an edge helps nobody.
            one.map_err(|_| io::Error::other("a worker ended in the middle of its work"))??;
        }
        io::Result::Ok(())
    });
    tokio::select! {
        ended = ended => Ok(ended.map_err(io::Error::other)??),
        () = fresh => Ok(()),
    }
}

impl Edge {
    async fn answer(
        &self,
        pool: &Arc<Pool>,
        peer: SocketAddr,
        tls: bool,
        request: Request<Incoming>,
    ) -> Answer {
        let html = asked::is_navigation(request.method(), request.headers());
        let mut answer = match self.sorted(pool, peer, tls, request).await {
            Ok(answer) => answer,
            Err(refusal) => refusal.answer(html),
        };
        if tls {
            let headers = answer.headers_mut();
            headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(HSTS));
        }
        answer
    }

    async fn sorted(
        &self,
        pool: &Arc<Pool>,
        peer: SocketAddr,
        tls: bool,
        request: Request<Incoming>,
    ) -> Result<Answer, Refusal> {
        asked::method(&request)?;
        let authority = asked::authority(&request)?;
        let from = From::of(peer, tls, request.headers(), &self.trusted);
        let visit = |face, by_path| Visit {
            face,
            by_path,
            from,
            host: authority.as_str().to_ascii_lowercase(),
        };
        match self.names.read(&authority, request.uri().path()) {
            For::Platform => self.to_control(pool, from, authority.as_str(), request).await,
            For::Agent(face) => Ok(agent::serve(self, pool, visit(face, false), request).await),
            For::AgentByPath(face) => Ok(agent::serve(self, pool, visit(face, true), request).await),
            For::Domain(name) => match self.domains.serves(&name, from.address).await? {
                true => Ok(agent::serve(self, pool, visit(name.into(), false), request).await),
                false => Err(Refusal::unknown_host(&self.names.own_url)),
            },
            For::Nobody => Err(Refusal::nobody()),
            For::Unknown => Err(Refusal::unknown_host(&self.names.own_url)),
        }
    }

    /// To Creel's own API and page.
    async fn to_control(
        &self,
        pool: &Arc<Pool>,
        from: From,
        host: &str,
        mut request: Request<Incoming>,
    ) -> Result<http::Response<Reply>, Refusal> {
        let upgrade = headers::upgrade(request.headers());
        let about = About {
            from,
            host,
            upgrade: upgrade.as_ref(),
        };
        headers::inward(request.headers_mut(), &about);
        let peer = SocketAddr::new(from.address, from.port).to_string();
        if let Ok(peer) = HeaderValue::from_str(&peer) {
            let name = HeaderName::from_static(PEER_HEADER);
            request.headers_mut().insert(name, peer);
        }
        let path = request.uri().path_and_query().cloned();
        *request.uri_mut() = path.map(Into::into).unwrap_or_default();
        forward::forward(pool, Place::Control, request, upgrade.is_some(), None).await
    }
}
