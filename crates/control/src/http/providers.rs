//! Where model calls go.

use std::sync::Arc;

use axum::{
    Json as Answered,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use creel_api::{AddProvider, Problem, Provider, ProviderList, ProviderTest};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    auth::Caller,
    extract::{Json, Path},
    failure::Answer,
    idempotency,
};
use crate::{Control, operations::providers};

pub(super) fn routes() -> OpenApiRouter<Arc<Control>> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(remove))
        .routes(routes!(test))
}

/// The org's providers, and the built-in `demo`. Keys are never shown.
#[utoipa::path(get, path = "/v1/providers", tag = "providers",
    responses((status = 200, body = ProviderList), (status = "default", body = Problem)))]
async fn list(caller: Caller, State(control): State<Arc<Control>>) -> Answer<Answered<ProviderList>> {
    let items = providers::list(&control, caller.org).await?;
    Ok(Answered(ProviderList { items }))
}

/// Adds a provider. Its models are then `NAME/MODEL`.
#[utoipa::path(post, path = "/v1/providers", tag = "providers", request_body = AddProvider,
    params(("Idempotency-Key" = Option<String>, Header)),
    responses((status = 201, body = Provider), (status = "default", body = Problem)))]
async fn add(
    caller: Caller,
    State(control): State<Arc<Control>>,
    headers: HeaderMap,
    body: Json<AddProvider>,
) -> Answer<(StatusCode, Answered<Provider>)> {
    let key = idempotency::key(&headers, "POST /v1/providers", &body.bytes)?;
    let provider = providers::add(&control, &caller, body.value, key).await?;
    Ok((StatusCode::CREATED, Answered(provider)))
}

/// Removes a provider and its key. One that an agent's model names is refused.
#[utoipa::path(delete, path = "/v1/providers/{name}", tag = "providers", params(("name" = String, Path)),
    responses((status = 204), (status = "default", body = Problem)))]
async fn remove(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path(name): Path<String>,
) -> Answer<StatusCode> {
    providers::remove(&control, &caller, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes a small real call to a provider: does it answer, is the key good?
#[utoipa::path(post, path = "/v1/providers/{name}/test", tag = "providers", params(("name" = String, Path)),
    responses((status = 200, body = ProviderTest), (status = "default", body = Problem)))]
async fn test(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path(name): Path<String>,
) -> Answer<Answered<ProviderTest>> {
    Ok(Answered(providers::test(&control, &caller, &name).await?))
}
