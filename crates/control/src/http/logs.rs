//! What an agent's bridge and runtime wrote.

use std::{convert::Infallible, sync::Arc};

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use creel_api::{LogLine, Problem};
use creel_protocol::limits;
use futures_util::StreamExt;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    agents::insert,
    auth::Caller,
    extract::{Path, Query, accepts},
    failure::{Answer, Failure},
    sse,
};
use crate::Control;

const DEFAULT_TAIL: usize = 200;

pub(super) fn routes() -> OpenApiRouter<Arc<Control>> {
    OpenApiRouter::new().routes(routes!(logs))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Lines from the past, at most 10 000; 200 when absent.
    tail: Option<usize>,
    /// Whether to go on with new lines as they come.
    #[serde(default)]
    follow: bool,
}

/// The newest lines of an agent's log, oldest first: one JSON object a line, or a stream by `Accept`.
#[utoipa::path(get, path = "/v1/agents/{agent}/logs", tag = "logs", params(("agent" = String, Path), Which),
    responses((status = 200, content((LogLine = "application/x-ndjson"), (LogLine = "text/event-stream"))),
        (status = "default", body = Problem)))]
async fn logs(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path(agent): Path<String>,
    Query(which): Query<Which>,
    headers: HeaderMap,
) -> Answer<Response> {
    let tail = which.tail.unwrap_or(DEFAULT_TAIL);
    if tail > limits::LOG_LINES {
        return Err(Failure::invalid(format!(
            "`tail` must be at most {}.",
            limits::LOG_LINES
        )));
    }
    let agent = control.agent(caller.org, &agent).await?;
    let lines = control.bridge(&agent).await?.logs(tail, which.follow).await?;
    // A broken connection ends the answer; whoever follows asks again.
    let lines = lines
        .take_while(|line| std::future::ready(line.is_ok()))
        .filter_map(async |line| {
            line.ok().map(|line| LogLine {
                at: line.at,
                source: line.source,
                text: line.text,
            })
        });
    if accepts(&headers, "text/event-stream") {
        return Ok(sse::respond(lines.map(|data| sse::Sent {
            id: None,
            name: "log",
            data,
        })));
    }
    let lines = lines.map(|line| {
        let mut line = serde_json::to_vec(&line).unwrap_or_default();
        line.push(b'\n');
        Ok::<_, Infallible>(Bytes::from(line))
    });
    let mut response = Body::from_stream(lines).into_response();
    insert(&mut response, header::CONTENT_TYPE, "application/x-ndjson");
    Ok(response)
}
