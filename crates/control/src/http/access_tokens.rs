//! `/v1/access-tokens`, and the keys with which others check what it gives out.

use std::sync::Arc;

use axum::{
    Json as Answered,
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use creel_api::{AccessToken, CreateAccessToken, Problem};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{auth::Caller, extract::Json, failure::Answer};
use crate::{Control, operations::access_tokens};

/// Whoever keeps the keys asks again after this: a key is published a day before it signs.
const CACHE: &str = "public, max-age=300, stale-if-error=86400";

pub(super) fn routes() -> OpenApiRouter<Arc<Control>> {
    OpenApiRouter::new().routes(routes!(create)).routes(routes!(keys))
}

/// Exchanges an API token or a session for a JWT that is good for ten minutes and may do no more, or less if asked.
/// A JWT cannot be exchanged for another.
#[utoipa::path(post, path = "/v1/access-tokens", tag = "access_tokens", request_body = CreateAccessToken,
    responses((status = 200, body = AccessToken), (status = "default", body = Problem)))]
async fn create(
    caller: Caller,
    State(control): State<Arc<Control>>,
    body: Json<CreateAccessToken>,
) -> Answer<Answered<AccessToken>> {
    let token = access_tokens::create(&control, &caller, body.value.scopes).await?;
    Ok(Answered(token))
}

/// The public keys that sign access tokens, as RFC 7517 has them. Needs no token.
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "access_tokens", operation_id = "keys", security(()),
    responses((status = 200, content_type = "application/json", body = Object), (status = "default", body = Problem)))]
async fn keys(State(control): State<Arc<Control>>) -> Answer<Response> {
    let keys = control.signing.published(&control).await?;
    let mut response = Answered(keys).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(CACHE));
    Ok(response)
}
