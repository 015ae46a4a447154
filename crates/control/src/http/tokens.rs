//! `/v1/tokens`.

use std::sync::Arc;

use axum::{Json as Answered, extract::State, http::StatusCode};
use creel_api::{CreateToken, NewToken, Problem, TokenList};
use creel_domain::TokenId;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    auth::Caller,
    extract::{Json, Path},
    failure::Answer,
};
use crate::{Control, operations::tokens};

pub(super) fn routes() -> OpenApiRouter<Arc<Control>> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(revoke))
}

/// The caller's tokens in this org; for an admin, everybody's. Secrets are never shown again.
#[utoipa::path(get, path = "/v1/tokens", tag = "tokens",
    responses((status = 200, body = TokenList), (status = "default", body = Problem)))]
async fn list(caller: Caller, State(control): State<Arc<Control>>) -> Answer<Answered<TokenList>> {
    let items = tokens::list(&control, &caller).await?;
    Ok(Answered(TokenList { items }))
}

/// Makes a token that speaks for the caller, with no more than the caller has. The answer holds its secret,
/// which is not shown again.
#[utoipa::path(post, path = "/v1/tokens", tag = "tokens", request_body = CreateToken,
    responses((status = 201, body = NewToken), (status = "default", body = Problem)))]
async fn create(
    caller: Caller,
    State(control): State<Arc<Control>>,
    body: Json<CreateToken>,
) -> Answer<(StatusCode, Answered<NewToken>)> {
    let token = tokens::create(&control, &caller, body.value).await?;
    Ok((StatusCode::CREATED, Answered(token)))
}

/// Revokes a token at once.
#[utoipa::path(delete, path = "/v1/tokens/{token}", tag = "tokens", params(("token" = TokenId, Path)),
    responses((status = 204), (status = "default", body = Problem)))]
async fn revoke(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path(token): Path<TokenId>,
) -> Answer<StatusCode> {
    tokens::revoke(&control, &caller, token).await?;
    Ok(StatusCode::NO_CONTENT)
}
