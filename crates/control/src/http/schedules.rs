//! `/v1/agents/{agent}/schedules`: messages that an agent is sent by the clock, and what came of them.

use std::sync::Arc;

use axum::{
    Json as Answered,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use creel_api::{
    CreateSchedule, PatchSchedule, PreviewSchedule, Problem, Schedule, ScheduleList, SchedulePreview,
    ScheduleRun, ScheduleRunList,
};
use creel_domain::RunId;
use creel_store::StoredSchedule;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    agents::{if_match, insert, limit},
    auth::Caller,
    cursor,
    extract::{Json, Path, Query},
    failure::Answer,
    idempotency,
};
use crate::{Control, operations::schedules};

/// Says which list a cursor belongs to.
const RUNS: u8 = 10;

pub(super) fn routes() -> OpenApiRouter<Arc<Control>> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, patch, remove))
        .routes(routes!(run))
        .routes(routes!(runs))
        .routes(routes!(preview))
}

fn tagged(stored: StoredSchedule) -> Response {
    let tag = format!("\"{}\"", stored.schedule.revision.0);
    let mut response = Answered(schedules::shown(stored)).into_response();
    insert(&mut response, header::ETAG, &tag);
    response
}

/// Lists an agent's schedules, by name.
#[utoipa::path(get, path = "/v1/agents/{agent}/schedules", tag = "schedules", params(("agent" = String, Path)),
    responses((status = 200, body = ScheduleList), (status = "default", body = Problem)))]
async fn list(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path(agent): Path<String>,
) -> Answer<Answered<ScheduleList>> {
    let agent = control.agent(caller.org, &agent).await?;
    let items = schedules::list(&control, &agent).await?;
    Ok(Answered(ScheduleList { items }))
}

/// Makes a schedule. It runs whether the agent sleeps or not. `Idempotency-Key` makes this safe to send again.
#[utoipa::path(post, path = "/v1/agents/{agent}/schedules", tag = "schedules", request_body = CreateSchedule,
    params(("agent" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 201, body = Schedule), (status = "default", body = Problem)))]
async fn create(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path(agent): Path<String>,
    headers: HeaderMap,
    body: Json<CreateSchedule>,
) -> Answer<Response> {
    let agent = control.agent(caller.org, &agent).await?;
    let key = idempotency::key(&headers, &format!("POST schedules {}", agent.id), &body.bytes)?;
    let made = schedules::create(&control, &caller, &agent, body.value, key).await?;
    let location = format!("/v1/agents/{}/schedules/{}", agent.id, made.schedule.id);
    let mut response = (StatusCode::CREATED, tagged(made)).into_response();
    insert(&mut response, header::LOCATION, &location);
    Ok(response)
}

/// One schedule, by id or by name.
#[utoipa::path(get, path = "/v1/agents/{agent}/schedules/{schedule}", tag = "schedules",
    params(("agent" = String, Path), ("schedule" = String, Path)),
    responses((status = 200, body = Schedule), (status = "default", body = Problem)))]
async fn get(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path((agent, schedule)): Path<(String, String)>,
) -> Answer<Response> {
    let agent = control.agent(caller.org, &agent).await?;
    Ok(tagged(schedules::find(&control, &agent, &schedule).await?))
}

/// Changes a schedule, pauses it or resumes it. Times that were missed while it was paused are not made up for.
#[utoipa::path(patch, path = "/v1/agents/{agent}/schedules/{schedule}", tag = "schedules", request_body = PatchSchedule,
    params(("agent" = String, Path), ("schedule" = String, Path),
        ("If-Match" = String, Header, description = "The revision that is changed, or `*`")),
    responses((status = 200, body = Schedule), (status = "default", body = Problem)))]
async fn patch(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path((agent, schedule)): Path<(String, String)>,
    headers: HeaderMap,
    body: Json<PatchSchedule>,
) -> Answer<Response> {
    let revision = if_match(&headers)?;
    let agent = control.agent(caller.org, &agent).await?;
    let changed = schedules::patch(&control, &caller, &agent, &schedule, revision, body.value).await?;
    Ok(tagged(changed))
}

/// Removes a schedule with its history. A turn that it began goes on.
#[utoipa::path(delete, path = "/v1/agents/{agent}/schedules/{schedule}", tag = "schedules",
    params(("agent" = String, Path), ("schedule" = String, Path)),
    responses((status = 204), (status = "default", body = Problem)))]
async fn remove(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path((agent, schedule)): Path<(String, String)>,
) -> Answer<StatusCode> {
    let agent = control.agent(caller.org, &agent).await?;
    schedules::remove(&control, &caller, &agent, &schedule).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Says it now, whatever the clock says; also one that is paused. `Idempotency-Key` makes this safe to send again.
#[utoipa::path(post, path = "/v1/agents/{agent}/schedules/{schedule}/run", tag = "schedules",
    params(("agent" = String, Path), ("schedule" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 202, body = ScheduleRun), (status = "default", body = Problem)))]
async fn run(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path((agent, schedule)): Path<(String, String)>,
    headers: HeaderMap,
) -> Answer<(StatusCode, Answered<ScheduleRun>)> {
    let agent = control.agent(caller.org, &agent).await?;
    let key = idempotency::key(&headers, &format!("POST run {} {schedule}", agent.id), b"")?;
    let run = schedules::run(&control, &caller, &agent, &schedule, key).await?;
    Ok((StatusCode::ACCEPTED, Answered(run)))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Page {
    /// Runs in the answer, 1 to 200; 50 when absent.
    limit: Option<u32>,
    /// Where the page before ended.
    cursor: Option<String>,
}

/// What came of a schedule's times, newest first. The newest 200 are kept.
#[utoipa::path(get, path = "/v1/agents/{agent}/schedules/{schedule}/runs", tag = "schedules",
    params(("agent" = String, Path), ("schedule" = String, Path), Page),
    responses((status = 200, body = ScheduleRunList), (status = "default", body = Problem)))]
async fn runs(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path((agent, schedule)): Path<(String, String)>,
    Query(page): Query<Page>,
) -> Answer<Answered<ScheduleRunList>> {
    let limit = limit(page.limit)?;
    let agent = control.agent(caller.org, &agent).await?;
    let before = page.cursor.map(|text| cursor::decode(RUNS, &text)).transpose()?;
    let before = before.map(|position| RunId::from_uuid(uuid::Uuid::from_u128(position)));
    let (items, more) = schedules::runs(&control, &agent, &schedule, before, limit).await?;
    let next_cursor = items
        .last()
        .filter(|_| more)
        .map(|last| cursor::encode(RUNS, last.id.uuid().as_u128()));
    Ok(Answered(ScheduleRunList { items, next_cursor }))
}

/// The next times of a schedule that would be made now. Makes nothing.
#[utoipa::path(post, path = "/v1/schedules/preview", tag = "schedules", request_body = PreviewSchedule,
    responses((status = 200, body = SchedulePreview), (status = "default", body = Problem)))]
async fn preview(
    _: Caller,
    State(control): State<Arc<Control>>,
    body: Json<PreviewSchedule>,
) -> Answer<Answered<SchedulePreview>> {
    Ok(Answered(schedules::preview(&control, &body.value)?))
}
