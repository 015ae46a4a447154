//! One request handed on and its answer back, whatever its size and however long it takes.

use std::sync::Arc;

use creel_protocol::tunnel;
use http::{Request, Response, StatusCode};
use hyper::{body::Incoming, upgrade::OnUpgrade};
use hyper_util::rt::TokioIo;

use crate::{
    body::{Passing, Reply, Upload},
    headers,
    lease::Held,
    pool::{Lent, Place, Pool},
    refusal::Refusal,
};

const BUFFER_BYTES: usize = 16 * 1024;

/// Sends a request, whose headers are as they should be, to a place. `held` is let go of when the answer has ended.
pub(crate) async fn forward(
    pool: &Arc<Pool>,
    place: Place,
    mut request: Request<Incoming>,
    upgrades: bool,
    held: Option<Held>,
) -> Result<Response<Reply>, Refusal> {
    let client = upgrades.then(|| hyper::upgrade::on(&mut request));
    *request.version_mut() = http::Version::HTTP_11;
    let sent = pool.send(place, request.map(Upload::new), upgrades);
    let (mut answer, lent) = match &held {
        None => sent.await?,
        // Who may no longer come hears that, rather than waiting for an answer.
        Some(held) => tokio::select! {
            sent = sent => sent?,
            () = held.over() => return Err(Refusal::not_ready().after(1)),
        },
    };
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        let Some(client) = client else {
            // Nobody asked for that.
            return Err(Refusal::unreachable());
        };
        let protocol = headers::upgrade(answer.headers()).ok_or_else(Refusal::unreachable)?;
        headers::outward(answer.headers_mut(), Some(&protocol));
        let server = hyper::upgrade::on(&mut answer);
        tokio::spawn(passed_on(client, server, held));
        return Ok(answer.map(|_| Reply::whole(bytes::Bytes::new())));
    }
    headers::outward(answer.headers_mut(), None);
    Ok(answer.map(|body| passing(body, lent, held)))
}

fn passing(body: Incoming, lent: Lent, held: Option<Held>) -> Reply {
    use http_body::Body as _;
    if body.is_end_stream() {
        lent.give_back();
        return Reply::whole(bytes::Bytes::new());
    }
    Reply::Passing(Box::new(Passing {
        body,
        lent: Some(lent),
        held,
    }))
}

/// Bytes both ways until both are done, or whoever came may no longer.
async fn passed_on(client: OnUpgrade, server: OnUpgrade, held: Option<Held>) {
    let (Ok(client), Ok(server)) = tokio::join!(client, server) else {
        return;
    };
    let copied = tunnel(TokioIo::new(client), TokioIo::new(server), BUFFER_BYTES);
    match &held {
        None => copied.await,
        Some(held) => tokio::select! {
            () = copied => {}
            () = held.over() => {}
        },
    }
}
