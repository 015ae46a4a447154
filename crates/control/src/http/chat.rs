//! Talking to an agent: turns as streams or as their end, and the sessions they belong to.

use std::sync::Arc;

use axum::{
    Json as Answered,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use creel_api::{ChatRequest, MessageList, Problem, SessionList, Turn};
use creel_domain::{SessionName, TurnEvent, TurnId};
use futures_util::{Stream, StreamExt};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    agents::{insert, limit},
    auth::Caller,
    cursor,
    extract::{Json, Path, Query, accepts, last_event_id},
    failure::{Answer, Failure},
    sse,
};
use crate::{Control, operations::turns};

const LIST: u8 = 2;
const EVENTS: &str = "text/event-stream";

pub(super) fn routes() -> OpenApiRouter<Arc<Control>> {
    OpenApiRouter::new()
        .routes(routes!(chat))
        .routes(routes!(turn, cancel))
        .routes(routes!(sessions))
        .routes(routes!(messages))
}

/// Says something to an agent. With `Accept: text/event-stream` the answer is what happens, as it happens;
/// otherwise the finished turn. `Location` is the turn's own address. Hanging up does not stop it.
#[utoipa::path(post, path = "/v1/agents/{agent}/chat", tag = "chat", request_body = ChatRequest,
    params(("agent" = String, Path)),
    responses((status = 200, content((Turn = "application/json"), (TurnEvent = "text/event-stream"))),
        (status = "default", body = Problem)))]
async fn chat(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path(agent): Path<String>,
    headers: HeaderMap,
    body: Json<ChatRequest>,
) -> Answer<Response> {
    let agent = control.agent(caller.org, &agent).await?;
    let request = body.value;
    let (turn, log) = turns::begin(&control, &agent, request.session, request.message).await?;
    let mut response = if accepts(&headers, EVENTS) {
        stream(log.read(0))
    } else {
        log.finished().await;
        Answered(turns::get(&control, &agent, turn).await?).into_response()
    };
    insert(
        &mut response,
        header::LOCATION,
        &format!("/v1/agents/{}/turns/{turn}", agent.id),
    );
    Ok(response)
}

/// A turn; with `Accept: text/event-stream` what happened in it after `Last-Event-ID`, and what still does.
///
/// A second `started` in a stream says that the runtime had to begin anew: what came before is void.
#[utoipa::path(get, path = "/v1/agents/{agent}/turns/{turn}", tag = "chat",
    params(("agent" = String, Path), ("turn" = TurnId, Path), ("Last-Event-ID" = Option<u64>, Header)),
    responses((status = 200, content((Turn = "application/json"), (TurnEvent = "text/event-stream"))),
        (status = "default", body = Problem)))]
async fn turn(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path((agent, turn)): Path<(String, TurnId)>,
    headers: HeaderMap,
) -> Answer<Response> {
    let agent = control.agent(caller.org, &agent).await?;
    if accepts(&headers, EVENTS) {
        let after = last_event_id(&headers).unwrap_or(0);
        return Ok(match turns::log(&control, &agent, turn).await? {
            turns::Log::Live(log) => stream(log.read(after)),
            turns::Log::Past(events) => stream(futures_util::stream::iter(turns::retold(events, after))),
        });
    }
    Ok(Answered(turns::get(&control, &agent, turn).await?).into_response())
}

fn stream(events: impl Stream<Item = (u64, Arc<TurnEvent>)> + Send + 'static) -> Response {
    sse::respond(events.map(|(number, event)| sse::Sent {
        id: Some(number),
        name: event.name(),
        data: (*event).clone(),
    }))
}

/// Stops a turn. One that has ended is left as it is.
#[utoipa::path(delete, path = "/v1/agents/{agent}/turns/{turn}", tag = "chat",
    params(("agent" = String, Path), ("turn" = TurnId, Path)),
    responses((status = 202), (status = "default", body = Problem)))]
async fn cancel(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path((agent, turn)): Path<(String, TurnId)>,
) -> Answer<StatusCode> {
    let agent = control.agent(caller.org, &agent).await?;
    turns::cancel(&control, &caller, &agent, turn).await?;
    Ok(StatusCode::ACCEPTED)
}

/// The conversations with an agent, the latest first.
#[utoipa::path(get, path = "/v1/agents/{agent}/sessions", tag = "chat", params(("agent" = String, Path)),
    responses((status = 200, body = SessionList), (status = "default", body = Problem)))]
async fn sessions(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path(agent): Path<String>,
) -> Answer<Answered<SessionList>> {
    let agent = control.agent(caller.org, &agent).await?;
    let items = turns::sessions(&control, &agent).await?;
    Ok(Answered(SessionList { items }))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Page {
    /// Turns in the answer, 1 to 200, each with both its messages; 50 when absent.
    limit: Option<u32>,
    /// Where the page after this one began.
    cursor: Option<String>,
}

/// What was said in a session. The first page holds the newest, each page is oldest first.
#[utoipa::path(get, path = "/v1/agents/{agent}/sessions/{session}/messages", tag = "chat",
    params(("agent" = String, Path), ("session" = SessionName, Path), Page),
    responses((status = 200, body = MessageList), (status = "default", body = Problem)))]
async fn messages(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path((agent, session)): Path<(String, String)>,
    Query(page): Query<Page>,
) -> Answer<Answered<MessageList>> {
    let agent = control.agent(caller.org, &agent).await?;
    let session: SessionName = session
        .parse()
        .map_err(|error| Failure::invalid(super::failure::sentence(&format!("{error}"))))?;
    let limit = limit(page.limit)?;
    let before = page.cursor.map(|text| cursor::decode(LIST, &text)).transpose()?;
    let before = before.map(|position| TurnId::from_uuid(uuid::Uuid::from_u128(position)));
    let (items, more) = turns::messages(&control, &agent, session, before, limit).await?;
    let next_cursor = items
        .first()
        .filter(|_| more)
        .map(|first| cursor::encode(LIST, first.turn.uuid().as_u128()));
    Ok(Answered(MessageList { items, next_cursor }))
}
