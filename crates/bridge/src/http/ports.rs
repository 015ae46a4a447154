//! `/v1/ports/{port}`: a connection that becomes one of a loopback port.

use std::net::{Ipv4Addr, Ipv6Addr};

use axum::{
    body::Body,
    extract::{Path, Request, State},
    http::{StatusCode, header},
    response::Response,
};
use creel_protocol::{PORT_UPGRADE, is_public_port, limits, tunnel};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::Server;
use crate::refusal::Refusal;

const BUFFER_BYTES: usize = 16 * 1024;

pub(super) async fn connect(
    State(server): State<Server>,
    Path(port): Path<u16>,
    mut request: Request,
) -> Result<Response, Refusal> {
    let asked = request.headers().get(header::UPGRADE);
    if asked.is_none_or(|asked| asked != PORT_UPGRADE) {
        return Err(Refusal::invalid(format!(
            "a port is connected with `Upgrade: {PORT_UPGRADE}`"
        )));
    }
    if !is_public_port(port) {
        return Err(Refusal::invalid(format!(
            "port {port} is not one of the agent's own"
        )));
    }
    let Ok(place) = server.ports.clone().try_acquire_owned() else {
        let most = limits::PORT_CONNECTIONS;
        return Err(Refusal::new(
            "busy",
            format!("{most} connections are open already"),
        ));
    };
    let inner = dial(port).await?;
    let outer = hyper::upgrade::on(&mut request);
    let visit = server.runtime.visited(port);
    tokio::spawn(async move {
        let _while_they_are_there = (place, visit);
        let Ok(outer) = outer.await else { return };
        tunnel(TokioIo::new(outer), inner, BUFFER_BYTES).await;
    });
    Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "upgrade")
        .header(header::UPGRADE, PORT_UPGRADE)
        .body(Body::empty())
        .map_err(|error| Refusal::failed(error.to_string()))
}

/// Programs that listen on `localhost` take one of the two.
async fn dial(port: u16) -> Result<TcpStream, Refusal> {
    let stream = match TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await {
        Ok(stream) => stream,
        Err(_) => TcpStream::connect((Ipv6Addr::LOCALHOST, port))
            .await
            .map_err(|_| Refusal::new("not_found", format!("nothing listens on port {port}")))?,
    };
    let _ = stream.set_nodelay(true);
    Ok(stream)
}
