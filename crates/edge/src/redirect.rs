//! Plain HTTP, where TLS is served: everything is answered with the address over TLS, and nothing else.

use std::{net::IpAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use creel_protocol::edge::ChallengeAsked;
use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::TcpListener,
    sync::Semaphore,
    time::{Instant, sleep},
};

use crate::{Edge, asked, body::Reply, names::For, refusal::Refusal};

/// They are short.
const CONNECTIONS: usize = 1024;
const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// Below which an authority looks for its proof.
const CHALLENGE: &str = "/.well-known/acme-challenge/";
const TOKEN_CHARS: usize = 256;

pub(crate) async fn serve(edge: Arc<Edge>, listener: TcpListener) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = edge.shutdown.begun() => return,
        };
        let Ok((stream, peer)) = accepted else {
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let edge = Arc::clone(&edge);
        tokio::spawn(async move {
            let _place = place;
            let answer = service_fn(|request: Request<Incoming>| {
                let edge = &edge;
                async move { std::io::Result::Ok(elsewhere(edge, peer.ip(), &request).await) }
            });
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new())
                .header_read_timeout(HEAD_WITHIN)
                .keep_alive(false);
            let _ = http.serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}

/// What an authority looks for under a name (RFC 8555, 8.3).
async fn proof(edge: &Edge, peer: IpAddr, name: &str, token: &str) -> Response<Reply> {
    if let Err(refusal) = edge.domains.may_ask(peer, Instant::now()) {
        return refusal.answer(true);
    }
    let asked = ChallengeAsked {
        name: name.to_ascii_lowercase(),
        token: token.chars().take(TOKEN_CHARS).collect(),
    };
    match edge.leases.challenge(&asked).await {
        Ok(Some(proof)) => {
            let mut response = Response::new(Reply::whole(Bytes::from(proof)));
            let kind = HeaderValue::from_static("application/octet-stream");
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
            response
        }
        Ok(None) => Refusal::nobody().answer(true),
        Err(_) => Refusal::control_away().answer(true),
    }
}

/// Only to names that are served here: nobody is sent on to somebody else by us.
async fn elsewhere(edge: &Edge, peer: IpAddr, request: &Request<Incoming>) -> Response<Reply> {
    let authority = match asked::authority(request) {
        Ok(authority) => authority,
        Err(refusal) => return refusal.answer(true),
    };
    if let Some(token) = request
        .uri()
        .path()
        .strip_prefix(CHALLENGE)
        .filter(|_| edge.certificates.is_some())
    {
        return proof(edge, peer, authority.host(), token).await;
    }
    let served = match edge.names.read(&authority, request.uri().path()) {
        For::Unknown => Ok(false),
        For::Domain(name) => edge.domains.serves(&name, peer).await,
        For::Platform | For::Agent(_) | For::AgentByPath(_) | For::Nobody => Ok(true),
    };
    match served {
        Ok(true) => {}
        Ok(false) => return Refusal::unknown_host(&edge.names.own_url).answer(true),
        Err(refusal) => return refusal.answer(true),
    }
    let port = edge
        .names
        .own_url
        .rsplit_once(':')
        .and_then(|(_, port)| port.parse::<u16>().ok())
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let to = format!("https://{}{port}{path}", authority.host());
    let mut response = Response::new(Reply::whole(Bytes::new()));
    // The method and what is sent with it stay the same.
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    if let Ok(to) = HeaderValue::from_str(&to) {
        response.headers_mut().insert(header::LOCATION, to);
    }
    response
}
