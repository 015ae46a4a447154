//! What the edge may ask: whether a request may come to an agent, and that the agent stays awake meanwhile.
//!
//! ```text
//! edge ─▶ lease ─▶ right: whose port, who comes? ─▶ rest: awake? ─▶ where it is, until the edge lets go
//!      ├▶ enter ─▶ a ticket or a share link becomes a browser's access
//!      └▶ name ─▶ is it an owner's domain that leads to an agent?
//! ```

mod enter;
mod lease;
mod right;
mod urls;

use std::sync::Arc;

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use creel_daemon::{Peer, ServeOptions};
use creel_protocol::edge::{
    CertificateAsked, ChallengeAnswer, ChallengeAsked, Enter, Knock, LeaseEvent, NameAnswer, NameAsked,
    QUESTION_BYTES, Refused,
};
use futures_util::StreamExt as _;
use tokio::net::UnixListener;
use tokio_stream::wrappers::ReceiverStream;

pub(crate) use enter::{address, let_in};
pub(crate) use right::published;
pub(crate) use urls::AgentUrls;
pub use urls::{BadAgentDomain, Names};

use crate::{Control, acme, http::failure::Failure};

/// Leases of all agents together, and questions beside them.
const CONNECTIONS: usize = 65_536;

pub(crate) async fn run(control: Arc<Control>, listener: UnixListener) {
    let shutdown = control.shutdown.clone();
    let options = ServeOptions {
        connections: CONNECTIONS,
        ..ServeOptions::default()
    };
    creel_daemon::serve(listener, routes(control), options, shutdown).await;
}

pub(crate) fn routes(control: Arc<Control>) -> Router {
    Router::new()
        .route("/v1/lease", post(lease))
        .route("/v1/enter", post(enter))
        .route("/v1/name", post(name))
        .route("/v1/certificate", post(certificate))
        .route("/v1/challenge", post(challenge))
        .layer(DefaultBodyLimit::max(QUESTION_BYTES))
        .layer(axum::middleware::from_fn(ours))
        .with_state(control)
}

/// The directory lets nobody else in; the kernel's word counts all the same.
async fn ours(request: axum::extract::Request, next: axum::middleware::Next) -> Response {
    let own = rustix::process::getuid().as_raw();
    match request.extensions().get::<Peer>() {
        Some(Peer::Unix { uid, .. }) if *uid == own || *uid == 0 => next.run(request).await,
        _ => StatusCode::FORBIDDEN.into_response(),
    }
}

async fn lease(State(control): State<Arc<Control>>, Json(knock): Json<Knock>) -> Response {
    let (events, lines) = tokio::sync::mpsc::channel(4);
    tokio::spawn(lease::keep(control, knock, events));
    let lines = ReceiverStream::new(lines).map(|event: LeaseEvent| {
        let line = serde_json::to_string(&event).map_err(std::io::Error::other)?;
        Ok::<_, std::io::Error>(Bytes::from(line + "\n"))
    });
    (
        [(header::CONTENT_TYPE, "application/x-ndjson")],
        Body::from_stream(lines),
    )
        .into_response()
}

async fn enter(State(control): State<Arc<Control>>, Json(enter): Json<Enter>) -> Response {
    match enter::enter(&control, enter).await {
        Ok(entered) => Json(entered).into_response(),
        Err(failure) => {
            let refused = refused(&failure, None);
            let status = StatusCode::from_u16(refused.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, Json(refused)).into_response()
        }
    }
}

async fn name(State(control): State<Arc<Control>>, Json(asked): Json<NameAsked>) -> Response {
    match control.store.platform().host(asked.name.as_str()).await {
        Ok(host) => Json(NameAnswer {
            served: host.is_some(),
        })
        .into_response(),
        Err(error) => {
            tracing::warn!(%error, "a name could not be looked up");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

async fn certificate(State(control): State<Arc<Control>>, Json(asked): Json<CertificateAsked>) -> Response {
    match acme::answer(&control, &asked).await {
        Ok(answer) => Json(answer).into_response(),
        Err(failure) => unsaid(&failure),
    }
}

async fn challenge(State(control): State<Arc<Control>>, Json(asked): Json<ChallengeAsked>) -> Response {
    match acme::challenge(&control, &asked.name, &asked.token).await {
        Ok(proof) => Json(ChallengeAnswer { proof }).into_response(),
        Err(failure) => unsaid(&failure),
    }
}

fn unsaid(failure: &Failure) -> Response {
    tracing::warn!(
        reason = failure.detail(),
        "what the edge asked could not be answered"
    );
    StatusCode::SERVICE_UNAVAILABLE.into_response()
}

/// A failure in the words of the contract.
fn refused(failure: &Failure, retry_after: Option<u32>) -> Refused {
    let code = failure.code();
    Refused {
        status: code.status(),
        code: code.as_str().to_owned(),
        title: code.title().to_owned(),
        detail: failure.detail().to_owned(),
        retry_after,
    }
}
