//! Secrets of the org and of its agents. No answer holds a value.

use std::sync::Arc;

use axum::{Json as Answered, extract::State, http::StatusCode};
use creel_api::{OwnKey, Problem, SecretEntry, SecretList, SecretRotation, SetOwnKey, SetSecret};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    auth::Caller,
    extract::{Json, Path, Query},
    failure::Answer,
};
use crate::{Control, operations::secrets};

pub(super) fn routes() -> OpenApiRouter<Arc<Control>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(rotation, rotate))
        .routes(routes!(own_key, set_own_key, remove_own_key))
        .routes(routes!(set, remove))
        .routes(routes!(list_of_agent))
        .routes(routes!(set_of_agent, remove_of_agent))
}

/// The whole org's secrets, without their values.
#[utoipa::path(get, path = "/v1/secrets", tag = "secrets",
    responses((status = 200, body = SecretList), (status = "default", body = Problem)))]
async fn list(caller: Caller, State(control): State<Arc<Control>>) -> Answer<Answered<SecretList>> {
    let items = secrets::list(&control, caller.org, None).await?;
    Ok(Answered(SecretList { items }))
}

/// Sets a secret of the whole org, new or anew. Its value is never shown again.
#[utoipa::path(put, path = "/v1/secrets/{secret}", tag = "secrets", params(("secret" = String, Path)),
    request_body = SetSecret,
    responses((status = 200, body = SecretEntry), (status = "default", body = Problem)))]
async fn set(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path(name): Path<String>,
    body: Json<SetSecret>,
) -> Answer<Answered<SecretEntry>> {
    Ok(Answered(
        secrets::set(&control, &caller, None, &name, body.value).await?,
    ))
}

/// Removes a secret of the whole org.
#[utoipa::path(delete, path = "/v1/secrets/{secret}", tag = "secrets", params(("secret" = String, Path)),
    responses((status = 204), (status = "default", body = Problem)))]
async fn remove(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path(name): Path<String>,
) -> Answer<StatusCode> {
    secrets::remove(&control, &caller, None, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// An agent's own secrets, without their values.
#[utoipa::path(get, path = "/v1/agents/{agent}/secrets", tag = "secrets", params(("agent" = String, Path)),
    responses((status = 200, body = SecretList), (status = "default", body = Problem)))]
async fn list_of_agent(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path(agent): Path<String>,
) -> Answer<Answered<SecretList>> {
    let items = secrets::list(&control, caller.org, Some(&agent)).await?;
    Ok(Answered(SecretList { items }))
}

/// Sets a secret of one agent. It comes before the org's of the same name, and goes with the agent.
#[utoipa::path(put, path = "/v1/agents/{agent}/secrets/{secret}", tag = "secrets",
    params(("agent" = String, Path), ("secret" = String, Path)), request_body = SetSecret,
    responses((status = 200, body = SecretEntry), (status = "default", body = Problem)))]
async fn set_of_agent(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path((agent, name)): Path<(String, String)>,
    body: Json<SetSecret>,
) -> Answer<Answered<SecretEntry>> {
    let set = secrets::set(&control, &caller, Some(&agent), &name, body.value);
    Ok(Answered(set.await?))
}

/// Removes a secret of one agent.
#[utoipa::path(delete, path = "/v1/agents/{agent}/secrets/{secret}", tag = "secrets",
    params(("agent" = String, Path), ("secret" = String, Path)),
    responses((status = 204), (status = "default", body = Problem)))]
async fn remove_of_agent(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path((agent, name)): Path<(String, String)>,
) -> Answer<StatusCode> {
    secrets::remove(&control, &caller, Some(&agent), &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How far the exchange of the org's key is.
#[utoipa::path(get, path = "/v1/secrets/rotate", tag = "secrets",
    responses((status = 200, body = SecretRotation), (status = "default", body = Problem)))]
async fn rotation(caller: Caller, State(control): State<Arc<Control>>) -> Answer<Answered<SecretRotation>> {
    Ok(Answered(secrets::rotation(&control, caller.org).await?))
}

/// Makes a new key for the org; in the background everything is sealed with it, then the old one is destroyed. An
/// exchange that is under way is joined.
#[utoipa::path(post, path = "/v1/secrets/rotate", tag = "secrets",
    responses((status = 202, body = SecretRotation), (status = "default", body = Problem)))]
async fn rotate(
    caller: Caller,
    State(control): State<Arc<Control>>,
) -> Answer<(StatusCode, Answered<SecretRotation>)> {
    let rotation = secrets::rotate(&control, &caller).await?;
    Ok((StatusCode::ACCEPTED, Answered(rotation)))
}

/// The org's own key, and whether it can be used now. For its owners.
#[utoipa::path(get, path = "/v1/secrets/key", tag = "secrets",
    responses((status = 200, body = OwnKey), (status = "default", body = Problem)))]
async fn own_key(caller: Caller, State(control): State<Arc<Control>>) -> Answer<Answered<OwnKey>> {
    Ok(Answered(secrets::own_key(&control, &caller).await?))
}

/// Names a key in the org's own Vault. From then on nothing that the org keeps here opens without it. For its owners.
#[utoipa::path(put, path = "/v1/secrets/key", tag = "secrets", request_body = SetOwnKey,
    responses((status = 200, body = OwnKey), (status = "default", body = Problem)))]
async fn set_own_key(
    caller: Caller,
    State(control): State<Arc<Control>>,
    body: Json<SetOwnKey>,
) -> Answer<Answered<OwnKey>> {
    Ok(Answered(
        secrets::set_own_key(&control, &caller, body.value).await?,
    ))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Removal {
    /// Also when the key cannot be used any more: every secret and every provider's key that it closes is given up.
    #[serde(default)]
    destroy: bool,
}

/// The org has no key of its own from then on. Needs it once more, unless what it closes is given up. For its owners.
#[utoipa::path(delete, path = "/v1/secrets/key", tag = "secrets", params(Removal),
    responses((status = 204), (status = "default", body = Problem)))]
async fn remove_own_key(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Query(removal): Query<Removal>,
) -> Answer<StatusCode> {
    secrets::remove_own_key(&control, &caller, removal.destroy).await?;
    Ok(StatusCode::NO_CONTENT)
}
