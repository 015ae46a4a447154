//! One-time links that open the web page, and the end of a session.

use std::sync::Arc;

use axum::{
    Json as Answered,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use creel_api::{Problem, SignInLink};
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    agents::insert,
    auth::{Caller, check_origin},
    cookie::{self, SessionCookie},
    extract::Query,
    failure::Answer,
    origin::Guest,
};
use crate::{Control, operations::sign_in};

pub(super) fn routes() -> OpenApiRouter<Arc<Control>> {
    OpenApiRouter::new()
        .routes(routes!(link))
        .routes(routes!(sign_out))
}

/// Makes a link that opens the web page once, within 15 minutes.
#[utoipa::path(post, path = "/v1/sign-in-links", tag = "platform",
    responses((status = 201, body = SignInLink), (status = "default", body = Problem)))]
async fn link(
    caller: Caller,
    State(control): State<Arc<Control>>,
) -> Answer<(StatusCode, Answered<SignInLink>)> {
    let link = sign_in::make_link(&control, &caller).await?;
    Ok((StatusCode::CREATED, Answered(link)))
}

/// Ends the session of the web page. Without one there is nothing to do.
#[utoipa::path(post, path = "/v1/sign-out", tag = "platform", security(()),
    responses((status = 204), (status = "default", body = Problem)))]
async fn sign_out(
    Guest(actor): Guest,
    State(control): State<Arc<Control>>,
    cookie: SessionCookie,
    headers: HeaderMap,
) -> Answer<StatusCode> {
    if let Some(secret) = cookie::secret(&control.public_url, &headers) {
        check_origin(&headers)?;
        sign_in::end_session(&control, actor, secret).await?;
    }
    cookie.clear();
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Code {
    code: String,
}

/// `GET /sign-in?code=…`: uses a link up. Whatever comes of it, the browser lands on the page, which
/// says whether somebody is signed in; the code stays out of its history.
pub(super) async fn use_link(
    Guest(actor): Guest,
    State(control): State<Arc<Control>>,
    cookie: SessionCookie,
    headers: HeaderMap,
    Query(code): Query<Code>,
) -> Answer<Response> {
    let browser = headers.get(header::USER_AGENT);
    let browser = browser.and_then(|value| value.to_str().ok()).unwrap_or_default();
    if let Some(secret) = sign_in::use_link(&control, actor, &code.code, browser).await? {
        cookie.set(secret);
    }
    let mut response = (StatusCode::SEE_OTHER, [(header::LOCATION, "/")]).into_response();
    insert(&mut response, header::REFERRER_POLICY, "no-referrer");
    insert(&mut response, header::CACHE_CONTROL, "no-store");
    Ok(response)
}
