//! `/v1/orgs`: for operators of the platform. Whatever they do to an org, the org is told.

use std::sync::Arc;

use axum::{Json as Answered, extract::State, http::StatusCode};
use creel_api::{Org, OrgList, Problem};
use creel_domain::OrgId;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    agents::limit,
    auth::Caller,
    cursor,
    extract::{Path, Query},
    failure::Answer,
};
use crate::{Control, operations::orgs};

/// Says which list a cursor belongs to.
const LIST: u8 = 8;

pub(super) fn routes() -> OpenApiRouter<Arc<Control>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(suspend))
        .routes(routes!(resume))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Page {
    /// Orgs in the answer, 1 to 200; 50 when absent.
    limit: Option<u32>,
    /// Where the page before ended.
    cursor: Option<String>,
}

/// All orgs of the platform, newest first.
#[utoipa::path(get, path = "/v1/orgs", tag = "orgs", params(Page),
    responses((status = 200, body = OrgList), (status = "default", body = Problem)))]
async fn list(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Query(page): Query<Page>,
) -> Answer<Answered<OrgList>> {
    let limit = limit(page.limit)?;
    let before = page.cursor.map(|text| cursor::decode(LIST, &text)).transpose()?;
    let before = before.map(|position| OrgId::from_uuid(uuid::Uuid::from_u128(position)));
    let (items, more) = orgs::list(&control, &caller, before, limit).await?;
    let next_cursor = items
        .last()
        .filter(|_| more)
        .map(|last| cursor::encode(LIST, last.id.uuid().as_u128()));
    Ok(Answered(OrgList { items, next_cursor }))
}

/// One org. It is told that an operator looked.
#[utoipa::path(get, path = "/v1/orgs/{org}", tag = "orgs", params(("org" = OrgId, Path)),
    responses((status = 200, body = Org), (status = "default", body = Problem)))]
async fn show(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path(org): Path<OrgId>,
) -> Answer<Answered<Org>> {
    Ok(Answered(orgs::show(&control, &caller, org).await?))
}

/// Stops an org's agents and refuses all that its members ask, until it is resumed.
#[utoipa::path(post, path = "/v1/orgs/{org}/suspend", tag = "orgs", params(("org" = OrgId, Path)),
    responses((status = 204), (status = "default", body = Problem)))]
async fn suspend(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path(org): Path<OrgId>,
) -> Answer<StatusCode> {
    orgs::suspend(&control, &caller, org).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends a suspension: what ran before runs again.
#[utoipa::path(post, path = "/v1/orgs/{org}/resume", tag = "orgs", params(("org" = OrgId, Path)),
    responses((status = 204), (status = "default", body = Problem)))]
async fn resume(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path(org): Path<OrgId>,
) -> Answer<StatusCode> {
    orgs::resume(&control, &caller, org).await?;
    Ok(StatusCode::NO_CONTENT)
}
