//! `/v1/agents`: made, listed, read, changed, started anew, deleted.

use std::sync::Arc;

use axum::{
    Json as Answered,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use creel_api::{
    Agent, AgentList, AgentMemory, CreateAgent, DEFAULT_PAGE, ErrorCode, HoldAgent, MAX_PAGE, PatchAgent,
    Problem,
};
use creel_domain::AgentId;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    auth::Caller,
    cursor,
    extract::{Json, Path, Query},
    failure::{Answer, Failure},
    idempotency,
};
use crate::{
    Control,
    operations::agents::{self, Revision},
};

/// Says which list a cursor belongs to.
const LIST: u8 = 1;

pub(super) fn routes() -> OpenApiRouter<Arc<Control>> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, patch, delete))
        .routes(routes!(memory))
        .routes(routes!(hold, release))
        .routes(routes!(restart))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Page {
    /// Agents in the answer, 1 to 200; 50 when absent.
    limit: Option<u32>,
    /// Where the page before ended.
    cursor: Option<String>,
}

/// A page size within bounds.
pub(super) fn limit(asked: Option<u32>) -> Answer<u32> {
    match asked.unwrap_or(DEFAULT_PAGE) {
        limit @ 1..=MAX_PAGE => Ok(limit),
        _ => Err(Failure::invalid(format!("`limit` must be 1 to {MAX_PAGE}."))),
    }
}

/// Lists the org's agents, newest first.
#[utoipa::path(get, path = "/v1/agents", tag = "agents", params(Page),
    responses((status = 200, body = AgentList), (status = "default", body = Problem)))]
async fn list(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Query(page): Query<Page>,
) -> Answer<Answered<AgentList>> {
    let limit = limit(page.limit)?;
    let before = page.cursor.map(|text| cursor::decode(LIST, &text)).transpose()?;
    let before = before.map(|position| AgentId::from_uuid(uuid::Uuid::from_u128(position)));
    let (found, more) = agents::list(&control, caller.org, before, limit).await?;
    let next_cursor = found
        .last()
        .filter(|_| more)
        .map(|last| cursor::encode(LIST, last.id.uuid().as_u128()));
    let items = found.iter().map(|agent| agents::shown(&control, agent)).collect();
    Ok(Answered(AgentList { items, next_cursor }))
}

/// Makes an agent and starts it. `Idempotency-Key` makes this safe to send again.
#[utoipa::path(post, path = "/v1/agents", tag = "agents", request_body = CreateAgent,
    params(("Idempotency-Key" = Option<String>, Header)),
    responses((status = 201, body = Agent), (status = "default", body = Problem)))]
async fn create(
    caller: Caller,
    State(control): State<Arc<Control>>,
    headers: HeaderMap,
    body: Json<CreateAgent>,
) -> Answer<Response> {
    let key = idempotency::key(&headers, "POST /v1/agents", &body.bytes)?;
    let agent = agents::create(&control, &caller, body.value, key).await?;
    let location = format!("/v1/agents/{}", agent.id);
    let mut response = (StatusCode::CREATED, tagged(&control, &agent)).into_response();
    insert(&mut response, header::LOCATION, &location);
    Ok(response)
}

/// One agent, by id or by name.
#[utoipa::path(get, path = "/v1/agents/{agent}", tag = "agents", params(("agent" = String, Path)),
    responses((status = 200, body = Agent), (status = "default", body = Problem)))]
async fn get(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path(agent): Path<String>,
) -> Answer<Response> {
    let agent = control.agent(caller.org, &agent).await?;
    Ok(tagged(&control, &agent))
}

/// What an agent has in memory and in swap. Looking wakes nobody.
#[utoipa::path(get, path = "/v1/agents/{agent}/memory", tag = "agents", params(("agent" = String, Path)),
    responses((status = 200, body = AgentMemory), (status = "default", body = Problem)))]
async fn memory(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path(agent): Path<String>,
) -> Answer<Answered<AgentMemory>> {
    let agent = control.agent(caller.org, &agent).await?;
    let memory = control.supervisor.memory(agent.sandbox).await?;
    Ok(Answered(AgentMemory {
        resident_bytes: memory.resident_bytes,
        swapped_bytes: memory.swapped_bytes,
    }))
}

/// Keeps an agent awake for so long, whoever else needs it, and wakes it if it sleeps. Its owner may put it to sleep all
/// the same, which ends the hold.
#[utoipa::path(put, path = "/v1/agents/{agent}/hold", tag = "agents", request_body = HoldAgent,
    params(("agent" = String, Path)),
    responses((status = 200, body = Agent), (status = "default", body = Problem)))]
async fn hold(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path(agent): Path<String>,
    body: Json<HoldAgent>,
) -> Answer<Response> {
    let agent = agents::hold(&control, &caller, &agent, body.value).await?;
    Ok(tagged(&control, &agent))
}

/// Keeps an agent awake no longer. One that nobody keeps awake is left as it is.
#[utoipa::path(delete, path = "/v1/agents/{agent}/hold", tag = "agents", params(("agent" = String, Path)),
    responses((status = 200, body = Agent), (status = "default", body = Problem)))]
async fn release(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path(agent): Path<String>,
) -> Answer<Response> {
    let agent = agents::release(&control, &caller, &agent).await?;
    Ok(tagged(&control, &agent))
}

/// Changes an agent. What runs is made anew where the change needs it.
#[utoipa::path(patch, path = "/v1/agents/{agent}", tag = "agents", request_body = PatchAgent,
    params(("agent" = String, Path), ("If-Match" = String, Header, description = "The revision that is changed, or `*`")),
    responses((status = 200, body = Agent), (status = "default", body = Problem)))]
async fn patch(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path(agent): Path<String>,
    headers: HeaderMap,
    body: Json<PatchAgent>,
) -> Answer<Response> {
    let revision = if_match(&headers)?;
    let agent = agents::patch(&control, &caller, &agent, revision, body.value).await?;
    Ok(tagged(&control, &agent))
}

/// Deletes an agent with all that it has. Legal from every state; goes on after the answer.
#[utoipa::path(delete, path = "/v1/agents/{agent}", tag = "agents", params(("agent" = String, Path)),
    responses((status = 202), (status = "default", body = Problem)))]
async fn delete(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path(agent): Path<String>,
) -> Answer<StatusCode> {
    agents::delete(&control, &caller, &agent).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Makes the sandbox anew; the volume is kept.
#[utoipa::path(post, path = "/v1/agents/{agent}/restart", tag = "agents", params(("agent" = String, Path)),
    responses((status = 202), (status = "default", body = Problem)))]
async fn restart(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path(agent): Path<String>,
) -> Answer<StatusCode> {
    agents::restart(&control, &caller, &agent).await?;
    Ok(StatusCode::ACCEPTED)
}

fn tagged(control: &Control, agent: &creel_domain::Agent) -> Response {
    let mut response = Answered(agents::shown(control, agent)).into_response();
    insert(&mut response, header::ETAG, &format!("\"{}\"", agent.revision.0));
    response
}

pub(super) fn insert(response: &mut Response, name: header::HeaderName, value: &str) {
    // Ids and numbers are always good header values.
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

pub(super) fn if_match(headers: &HeaderMap) -> Answer<Revision> {
    let Some(value) = headers.get(header::IF_MATCH) else {
        return Err(Failure::new(
            ErrorCode::RevisionRequired,
            "Say which revision you change: send its `ETag` as `If-Match`, or `*` for any.",
        ));
    };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(Revision::Any);
    }
    let number = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    match number.and_then(|number| number.parse().ok()) {
        Some(number) => Ok(Revision::Exactly(creel_domain::Generation(number))),
        None => Err(Failure::invalid(
            "`If-Match` must be an `ETag`, such as `\"3\"`, or `*`.",
        )),
    }
}
