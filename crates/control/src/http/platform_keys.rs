//! For operators: providers for every org, and the master key.

use std::sync::Arc;

use axum::{Json as Answered, extract::State, http::StatusCode};
use creel_api::{AddProvider, MasterKey, Problem, Provider, ProviderList};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    auth::Caller,
    extract::{Json, Path},
    failure::Answer,
};
use crate::{Control, operations::platform_keys};

pub(super) fn routes() -> OpenApiRouter<Arc<Control>> {
    OpenApiRouter::new()
        .routes(routes!(platform_providers, add_platform_provider))
        .routes(routes!(remove_platform_provider))
        .routes(routes!(master_key))
        .routes(routes!(rotate_master_key))
}

/// The platform's providers. Keys are never shown.
#[utoipa::path(get, path = "/v1/platform/providers", tag = "platform",
    responses((status = 200, body = ProviderList), (status = "default", body = Problem)))]
async fn platform_providers(
    _caller: Caller,
    State(control): State<Arc<Control>>,
) -> Answer<Answered<ProviderList>> {
    let items = platform_keys::list(&control).await?;
    Ok(Answered(ProviderList { items }))
}

/// Adds a provider that every org may use, with the platform's key. An org's own of the same name comes first.
#[utoipa::path(post, path = "/v1/platform/providers", tag = "platform", request_body = AddProvider,
    responses((status = 201, body = Provider), (status = "default", body = Problem)))]
async fn add_platform_provider(
    caller: Caller,
    State(control): State<Arc<Control>>,
    body: Json<AddProvider>,
) -> Answer<(StatusCode, Answered<Provider>)> {
    let provider = platform_keys::add(&control, &caller, body.value).await?;
    Ok((StatusCode::CREATED, Answered(provider)))
}

/// Removes a provider of the platform and its key. Agents that use it say so at their next call.
#[utoipa::path(delete, path = "/v1/platform/providers/{name}", tag = "platform", params(("name" = String, Path)),
    responses((status = 204), (status = "default", body = Problem)))]
async fn remove_platform_provider(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path(name): Path<String>,
) -> Answer<StatusCode> {
    platform_keys::remove(&control, &caller, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Which master key wraps, and how far its last exchange is.
#[utoipa::path(get, path = "/v1/platform/master-key", tag = "platform",
    responses((status = 200, body = MasterKey), (status = "default", body = Problem)))]
async fn master_key(_caller: Caller, State(control): State<Arc<Control>>) -> Answer<Answered<MasterKey>> {
    Ok(Answered(platform_keys::master_key(&control).await?))
}

/// Exchanges the master key: of a file a new one is made; of a Vault its newest version is used. Everything is wrapped
/// anew in the background.
#[utoipa::path(post, path = "/v1/platform/master-key/rotate", tag = "platform",
    responses((status = 202, body = MasterKey), (status = "default", body = Problem)))]
async fn rotate_master_key(
    caller: Caller,
    State(control): State<Arc<Control>>,
) -> Answer<(StatusCode, Answered<MasterKey>)> {
    let begun = platform_keys::rotate_master_key(&control, &caller).await?;
    Ok((StatusCode::ACCEPTED, Answered(begun)))
}
