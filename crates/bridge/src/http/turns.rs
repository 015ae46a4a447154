//! `/v1/turns/{turn}`: started, joined, or read again; each reader gets numbered events.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Json,
    body::Body,
    extract::{Path, Query, State, rejection::JsonRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use bytes::Bytes;
use creel_domain::TurnId;
use creel_protocol::{
    TurnRequest, limits,
    sse::{KEEP_ALIVE, SseEvent},
};
use futures_util::stream;
use serde::Deserialize;

use super::Server;
use crate::{refusal::Refusal, turns::TurnLog};

const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(15);

#[derive(Deserialize)]
pub(super) struct After {
    #[serde(default)]
    after: u64,
}

pub(super) async fn start(
    State(server): State<Server>,
    Path(turn): Path<TurnId>,
    Query(query): Query<After>,
    headers: HeaderMap,
    request: Result<Json<TurnRequest>, JsonRejection>,
) -> Result<Response, Refusal> {
    let Json(request) = request.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Refusal::new("too_large", "the message is longer than 256 KiB"),
        _ => Refusal::invalid(rejection.body_text()),
    })?;
    if request.message.len() > limits::MESSAGE_BYTES {
        return Err(Refusal::new("too_large", "the message is longer than 256 KiB"));
    }
    let last_id = headers
        .get("last-event-id")
        .and_then(|value| value.to_str().ok()?.parse().ok());
    let after = last_id.unwrap_or(query.after);
    let log = server.turns.start(turn, request, after)?;
    let from = after.max(log.base());
    let mut response = Response::new(Body::from_stream(events(log, from)));
    let stream = HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, stream);
    Ok(response)
}

fn events(log: Arc<TurnLog>, after: u64) -> impl futures_util::Stream<Item = Result<Bytes, Infallible>> {
    stream::unfold((log, after), |(log, after)| async move {
        match tokio::time::timeout(KEEP_ALIVE_EVERY, log.next(after)).await {
            Err(_) => Some((Ok(Bytes::from_static(KEEP_ALIVE.as_bytes())), (log, after))),
            Ok(None) => None,
            Ok(Some(numbered)) => {
                let event = SseEvent {
                    id: Some(numbered.number.to_string()),
                    name: Some(numbered.event.name().to_owned()),
                    data: serde_json::to_string(&numbered.event).unwrap_or_default(),
                };
                Some((Ok(Bytes::from(event.encode())), (log, numbered.number)))
            }
        }
    })
}

pub(super) async fn cancel(State(server): State<Server>, Path(turn): Path<TurnId>) -> StatusCode {
    server.turns.cancel(turn);
    StatusCode::NO_CONTENT
}
