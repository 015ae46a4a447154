//! Every request comes from the edge, over a socket of ours: who is at its other end stands in a header, which the edge
//! sets and nobody else can.

use std::net::SocketAddr;

use axum::{extract::Request, http::HeaderName, middleware::Next, response::Response};
use creel_daemon::Peer;

/// `203.0.113.7:52311`.
const PEER: HeaderName = HeaderName::from_static(creel_protocol::edge::PEER_HEADER);

pub(super) async fn behind_edge(mut request: Request, next: Next) -> Response {
    let said = request.headers_mut().remove(PEER);
    if let Some(Peer::Unix { .. }) = request.extensions().get::<Peer>()
        && let Some(address) = said.as_ref().and_then(|said| said.to_str().ok())
        && let Ok(address) = address.parse::<SocketAddr>()
    {
        request.extensions_mut().insert(Peer::Tcp(address));
    }
    next.run(request).await
}
