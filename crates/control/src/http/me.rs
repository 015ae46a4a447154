//! What people keep about themselves: `/v1/me`, `/v1/browser-sessions`, `/v1/sign-out-everywhere`.

use std::sync::Arc;

use axum::{Json as Answered, extract::State, http::StatusCode};
use creel_api::{
    BrowserSessionList, ConfirmTotp, Me, Problem, Proof, RecoveryCodes, SetEmail, SetPassword,
    SignOutEverywhere, SwitchOrg, TotpEnrolment,
};
use creel_domain::BrowserSessionId;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    auth::Caller,
    cookie::SessionCookie,
    extract::{Json, Path},
    failure::Answer,
};
use crate::{
    Control,
    operations::people::{me, sessions, totp},
};

pub(super) fn routes() -> OpenApiRouter<Arc<Control>> {
    OpenApiRouter::new()
        .routes(routes!(show))
        .routes(routes!(set_email))
        .routes(routes!(set_password))
        .routes(routes!(switch_org))
        .routes(routes!(enrol))
        .routes(routes!(confirm))
        .routes(routes!(disable))
        .routes(routes!(list))
        .routes(routes!(end))
        .routes(routes!(sign_out_everywhere))
}

/// The caller as a person: address, ways to sign in, orgs.
#[utoipa::path(get, path = "/v1/me", tag = "me",
    responses((status = 200, body = Me), (status = "default", body = Problem)))]
async fn show(caller: Caller, State(control): State<Arc<Control>>) -> Answer<Answered<Me>> {
    Ok(Answered(me::show(&control, &caller).await?))
}

/// Sends a mail to the address; it becomes the caller's once they show its code. An operator's counts at once,
/// not yet as verified.
#[utoipa::path(put, path = "/v1/me/email", tag = "me", request_body = SetEmail,
    responses((status = 202), (status = "default", body = Problem)))]
async fn set_email(
    caller: Caller,
    State(control): State<Arc<Control>>,
    body: Json<SetEmail>,
) -> Answer<StatusCode> {
    me::set_email(&control, &caller, body.value).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Sets a password. Every other session of the caller ends.
#[utoipa::path(put, path = "/v1/me/password", tag = "me", request_body = SetPassword,
    responses((status = 204), (status = "default", body = Problem)))]
async fn set_password(
    caller: Caller,
    cookie: SessionCookie,
    State(control): State<Arc<Control>>,
    body: Json<SetPassword>,
) -> Answer<StatusCode> {
    if let Some(secret) = me::set_password(&control, &caller, body.value).await? {
        cookie.set(secret);
    }
    Ok(StatusCode::NO_CONTENT)
}

/// The caller's session goes on in another of their orgs.
#[utoipa::path(post, path = "/v1/me/org", tag = "me", request_body = SwitchOrg,
    responses((status = 204), (status = "default", body = Problem)))]
async fn switch_org(
    caller: Caller,
    cookie: SessionCookie,
    State(control): State<Arc<Control>>,
    body: Json<SwitchOrg>,
) -> Answer<StatusCode> {
    cookie.set(sessions::switch_org(&control, &caller, body.value.org).await?);
    Ok(StatusCode::NO_CONTENT)
}

/// Begins to enrol an app for time-based codes. It counts once it is confirmed.
#[utoipa::path(post, path = "/v1/me/totp", tag = "me", request_body = Proof,
    responses((status = 201, body = TotpEnrolment), (status = "default", body = Problem)))]
async fn enrol(
    caller: Caller,
    State(control): State<Arc<Control>>,
    body: Json<Proof>,
) -> Answer<(StatusCode, Answered<TotpEnrolment>)> {
    let enrolment = totp::enrol(&control, &caller, body.value).await?;
    Ok((StatusCode::CREATED, Answered(enrolment)))
}

/// Confirms the app with one of its codes: from now on sign-in asks for one. The answer holds recovery codes,
/// which are not shown again.
#[utoipa::path(post, path = "/v1/me/totp/confirm", tag = "me", request_body = ConfirmTotp,
    responses((status = 200, body = RecoveryCodes), (status = "default", body = Problem)))]
async fn confirm(
    caller: Caller,
    cookie: SessionCookie,
    State(control): State<Arc<Control>>,
    body: Json<ConfirmTotp>,
) -> Answer<Answered<RecoveryCodes>> {
    let (codes, secret) = totp::confirm(&control, &caller, body.value).await?;
    if let Some(secret) = secret {
        cookie.set(secret);
    }
    Ok(Answered(codes))
}

/// Sign-in asks for no second factor any more.
#[utoipa::path(post, path = "/v1/me/totp/disable", tag = "me", request_body = Proof,
    responses((status = 204), (status = "default", body = Problem)))]
async fn disable(
    caller: Caller,
    cookie: SessionCookie,
    State(control): State<Arc<Control>>,
    body: Json<Proof>,
) -> Answer<StatusCode> {
    if let Some(secret) = totp::disable(&control, &caller, body.value).await? {
        cookie.set(secret);
    }
    Ok(StatusCode::NO_CONTENT)
}

/// The browsers in which the caller is signed in, in whichever org.
#[utoipa::path(get, path = "/v1/browser-sessions", tag = "me",
    responses((status = 200, body = BrowserSessionList), (status = "default", body = Problem)))]
async fn list(caller: Caller, State(control): State<Arc<Control>>) -> Answer<Answered<BrowserSessionList>> {
    let items = sessions::list(&control, &caller).await?;
    Ok(Answered(BrowserSessionList { items }))
}

/// Ends one of the caller's sessions at once.
#[utoipa::path(delete, path = "/v1/browser-sessions/{browser_session}", tag = "me",
    params(("browser_session" = BrowserSessionId, Path)),
    responses((status = 204), (status = "default", body = Problem)))]
async fn end(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path(session): Path<BrowserSessionId>,
) -> Answer<StatusCode> {
    sessions::end(&control, &caller, session).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends all of the caller's sessions at once and, if asked, revokes all of their tokens.
#[utoipa::path(post, path = "/v1/sign-out-everywhere", tag = "me", request_body = SignOutEverywhere,
    responses((status = 204), (status = "default", body = Problem)))]
async fn sign_out_everywhere(
    caller: Caller,
    cookie: SessionCookie,
    State(control): State<Arc<Control>>,
    body: Json<SignOutEverywhere>,
) -> Answer<StatusCode> {
    sessions::end_all(&control, &caller, &body.value).await?;
    if caller.session.is_some() {
        cookie.clear();
    }
    Ok(StatusCode::NO_CONTENT)
}
