//! Talking to an agent: turns as streams or as their end, and the sessions they belong to.

use std::sync::Arc;

use axum::{
    Json as Answered,
    extract::State,
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use creel_api::{ChatRequest, MessageList, Problem, SessionList, Turn, TurnList, TurnState};
use creel_domain::{Agent, SessionName, TurnEvent, TurnId};
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
    idempotency, sse,
};
use crate::{Control, operations::turns};

const LIST: u8 = 2;
const TURNS: u8 = 9;
const EVENTS: &str = "text/event-stream";
const PREFER: HeaderName = HeaderName::from_static("prefer");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
const RESPOND_ASYNC: &str = "respond-async";

pub(super) fn routes() -> OpenApiRouter<Arc<Control>> {
    OpenApiRouter::new()
        .routes(routes!(chat))
        .routes(routes!(turn, cancel))
        .routes(routes!(list))
        .routes(routes!(retry))
        .routes(routes!(drop_failed))
        .routes(routes!(sessions))
        .routes(routes!(messages))
}

/// Says something to an agent. With `Accept: text/event-stream` the answer is what happens, as it happens; with
/// `Prefer: respond-async` the turn as it begins, at once; otherwise the finished turn. `Location` is the turn's own
/// address. Hanging up does not stop it. A message sent again under its `Idempotency-Key` is the same turn.
#[utoipa::path(post, path = "/v1/agents/{agent}/chat", tag = "chat", request_body = ChatRequest,
    params(("agent" = String, Path), ("Idempotency-Key" = Option<String>, Header), ("Prefer" = Option<String>, Header)),
    responses((status = 200, content((Turn = "application/json"), (TurnEvent = "text/event-stream"))),
        (status = 202, body = Turn), (status = "default", body = Problem)))]
async fn chat(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path(agent): Path<String>,
    headers: HeaderMap,
    body: Json<ChatRequest>,
) -> Answer<Response> {
    let agent = control.agent(caller.org, &agent).await?;
    let key = idempotency::key(&headers, &format!("POST chat {}", agent.id), &body.bytes)?;
    let request = body.value;
    let turn = turns::begin(&control, &agent, request.session, request.message, key).await?;
    let mut response = if accepts(&headers, EVENTS) {
        told(&control, &agent, turn, 0).await?
    } else if prefers_async(&headers) {
        let mut begun = Answered(turns::get(&control, &agent, turn).await?).into_response();
        *begun.status_mut() = StatusCode::ACCEPTED;
        insert(&mut begun, PREFERENCE_APPLIED, RESPOND_ASYNC);
        begun
    } else {
        if let turns::Log::Live(log) = turns::log(&control, &agent, turn).await? {
            log.finished().await;
        }
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
        return told(&control, &agent, turn, after).await;
    }
    Ok(Answered(turns::get(&control, &agent, turn).await?).into_response())
}

/// What happened in a turn after event number `after`, and what still does.
async fn told(control: &Control, agent: &Agent, turn: TurnId, after: u64) -> Answer<Response> {
    Ok(match turns::log(control, agent, turn).await? {
        turns::Log::Live(log) => stream(log.read(after)),
        turns::Log::Past(events) => stream(futures_util::stream::iter(turns::retold(events, after))),
    })
}

/// Whether the caller does not wait for the end (RFC 7240).
fn prefers_async(headers: &HeaderMap) -> bool {
    headers
        .get_all(PREFER)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|preference| preference.trim().eq_ignore_ascii_case(RESPOND_ASYNC))
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

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Which {
    /// How they stand: `running` are those not answered yet, `failed` those that came to nothing.
    state: TurnState,
    /// Only this agent's, by id or by name.
    agent: Option<String>,
    /// Turns in the answer, 1 to 200; 50 when absent.
    limit: Option<u32>,
    /// Where the page before ended.
    cursor: Option<String>,
}

/// Messages of the org by how they stand, newest first: its inbox, and what came to nothing.
#[utoipa::path(get, path = "/v1/turns", tag = "chat", params(Which),
    responses((status = 200, body = TurnList), (status = "default", body = Problem)))]
async fn list(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Query(which): Query<Which>,
) -> Answer<Answered<TurnList>> {
    let agent = match which.agent {
        Some(agent) => Some(control.agent(caller.org, &agent).await?.id),
        None => None,
    };
    let limit = limit(which.limit)?;
    let before = which
        .cursor
        .map(|text| cursor::decode(TURNS, &text))
        .transpose()?;
    let before = before.map(|position| TurnId::from_uuid(uuid::Uuid::from_u128(position)));
    let (items, more) = turns::list(&control, caller.org, which.state, agent, before, limit).await?;
    let next_cursor = items
        .last()
        .filter(|_| more)
        .map(|last| cursor::encode(TURNS, last.id.uuid().as_u128()));
    Ok(Answered(TurnList { items, next_cursor }))
}

/// Says once more what failed or was stopped: a new turn in the same session, which is answered as it begins.
#[utoipa::path(post, path = "/v1/agents/{agent}/turns/{turn}/retry", tag = "chat",
    params(("agent" = String, Path), ("turn" = TurnId, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 202, body = Turn), (status = "default", body = Problem)))]
async fn retry(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path((agent, turn)): Path<(String, TurnId)>,
    headers: HeaderMap,
) -> Answer<Response> {
    let agent = control.agent(caller.org, &agent).await?;
    let key = idempotency::key(&headers, &format!("POST retry {turn}"), &[])?;
    let turn = turns::retry(&control, &agent, turn, key).await?;
    let begun = Answered(turns::get(&control, &agent, turn).await?);
    let mut response = (StatusCode::ACCEPTED, begun).into_response();
    let location = format!("/v1/agents/{}/turns/{turn}", agent.id);
    insert(&mut response, header::LOCATION, &location);
    Ok(response)
}

/// Takes a turn that failed or was stopped off the list of those. In its conversation it stays.
#[utoipa::path(post, path = "/v1/agents/{agent}/turns/{turn}/drop", tag = "chat",
    params(("agent" = String, Path), ("turn" = TurnId, Path)),
    responses((status = 204), (status = "default", body = Problem)))]
async fn drop_failed(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path((agent, turn)): Path<(String, TurnId)>,
) -> Answer<StatusCode> {
    let agent = control.agent(caller.org, &agent).await?;
    turns::drop_failed(&control, &caller, &agent, turn).await?;
    Ok(StatusCode::NO_CONTENT)
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
