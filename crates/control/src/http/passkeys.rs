//! Passkeys: `/v1/me/passkeys`, `/v1/sign-in/passkey`, `/v1/me/proof/passkey`.

use std::sync::Arc;

use axum::{Json as Answered, extract::State, http::StatusCode};
use creel_api::{
    AddPasskey, Passkey, PasskeyCreation, PasskeyList, PasskeyRequest, PasskeySignIn, Problem, Proof,
    ProveByPasskey, RenamePasskey, SignInResult,
};
use creel_domain::PasskeyId;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    auth::Caller,
    cookie::SessionCookie,
    extract::{Json, Path},
    failure::Answer,
    visitor::Visitor,
};
use crate::{
    Control,
    operations::people::{by_passkey, passkeys},
};

pub(super) fn routes() -> OpenApiRouter<Arc<Control>> {
    OpenApiRouter::new()
        .routes(routes!(list_passkeys))
        .routes(routes!(begin_passkey))
        .routes(routes!(finish_passkey))
        .routes(routes!(rename_passkey))
        .routes(routes!(remove_passkey))
        .routes(routes!(begin_passkey_sign_in))
        .routes(routes!(finish_passkey_sign_in))
        .routes(routes!(begin_passkey_proof))
        .routes(routes!(finish_passkey_proof))
}

/// The caller's passkeys, without their keys.
#[utoipa::path(get, path = "/v1/me/passkeys", tag = "me",
    responses((status = 200, body = PasskeyList), (status = "default", body = Problem)))]
async fn list_passkeys(caller: Caller, State(control): State<Arc<Control>>) -> Answer<Answered<PasskeyList>> {
    let items = passkeys::list(&control, &caller).await?;
    Ok(Answered(PasskeyList { items }))
}

/// Begins to add a passkey: what a browser is to make it with, within five minutes.
#[utoipa::path(post, path = "/v1/me/passkeys/begin", tag = "me", request_body = Proof,
    responses((status = 200, body = PasskeyCreation), (status = "default", body = Problem)))]
async fn begin_passkey(
    caller: Caller,
    State(control): State<Arc<Control>>,
    body: Json<Proof>,
) -> Answer<Answered<PasskeyCreation>> {
    let creation = passkeys::begin(&control, &caller, body.value).await?;
    Ok(Answered(creation))
}

/// Adds the passkey that a browser has made, and has a mail tell its user.
#[utoipa::path(post, path = "/v1/me/passkeys/finish", tag = "me", request_body = AddPasskey,
    responses((status = 201, body = Passkey), (status = "default", body = Problem)))]
async fn finish_passkey(
    caller: Caller,
    cookie: SessionCookie,
    State(control): State<Arc<Control>>,
    body: Json<AddPasskey>,
) -> Answer<(StatusCode, Answered<Passkey>)> {
    let (passkey, secret) = passkeys::finish(&control, &caller, body.value).await?;
    if let Some(secret) = secret {
        cookie.set(secret);
    }
    Ok((StatusCode::CREATED, Answered(passkey)))
}

/// Gives one of the caller's passkeys another name.
#[utoipa::path(patch, path = "/v1/me/passkeys/{passkey}", tag = "me", request_body = RenamePasskey,
    params(("passkey" = PasskeyId, Path)),
    responses((status = 200, body = Passkey), (status = "default", body = Problem)))]
async fn rename_passkey(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path(passkey): Path<PasskeyId>,
    body: Json<RenamePasskey>,
) -> Answer<Answered<Passkey>> {
    let passkey = passkeys::rename(&control, &caller, passkey, body.value).await?;
    Ok(Answered(passkey))
}

/// Removes one of the caller's passkeys, unless it is the last way in that they have. It ends no session.
#[utoipa::path(post, path = "/v1/me/passkeys/{passkey}/remove", tag = "me", request_body = Proof,
    params(("passkey" = PasskeyId, Path)),
    responses((status = 204), (status = "default", body = Problem)))]
async fn remove_passkey(
    caller: Caller,
    cookie: SessionCookie,
    State(control): State<Arc<Control>>,
    Path(passkey): Path<PasskeyId>,
    body: Json<Proof>,
) -> Answer<StatusCode> {
    if let Some(secret) = passkeys::remove(&control, &caller, passkey, body.value).await? {
        cookie.set(secret);
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Begins to sign in by a passkey: what a browser is to have signed, within five minutes. Nobody says who they are.
#[utoipa::path(post, path = "/v1/sign-in/passkey/begin", tag = "people", security(()),
    responses((status = 200, body = PasskeyRequest), (status = "default", body = Problem)))]
async fn begin_passkey_sign_in(
    visitor: Visitor,
    State(control): State<Arc<Control>>,
) -> Answer<Answered<PasskeyRequest>> {
    let request = by_passkey::begin_sign_in(&control, &visitor).await?;
    Ok(Answered(request))
}

/// Signs in with what a passkey has signed. No second factor is asked for: a passkey is two. Whatever is not good has
/// one and the same answer.
#[utoipa::path(post, path = "/v1/sign-in/passkey/finish", tag = "people", request_body = PasskeySignIn, security(()),
    responses((status = 200, body = SignInResult), (status = "default", body = Problem)))]
async fn finish_passkey_sign_in(
    visitor: Visitor,
    cookie: SessionCookie,
    State(control): State<Arc<Control>>,
    body: Json<PasskeySignIn>,
) -> Answer<Answered<SignInResult>> {
    let entered = by_passkey::finish_sign_in(&control, &visitor, body.value).await?;
    Ok(Answered(entered.answer(&cookie)))
}

/// Begins to show once more, by a passkey, that the session's user is there.
#[utoipa::path(post, path = "/v1/me/proof/passkey/begin", tag = "me",
    responses((status = 200, body = PasskeyRequest), (status = "default", body = Problem)))]
async fn begin_passkey_proof(
    caller: Caller,
    State(control): State<Arc<Control>>,
) -> Answer<Answered<PasskeyRequest>> {
    let request = by_passkey::begin_proof(&control, &caller).await?;
    Ok(Answered(request))
}

/// The session counts as one of just now, for changes that need it.
#[utoipa::path(post, path = "/v1/me/proof/passkey/finish", tag = "me", request_body = ProveByPasskey,
    responses((status = 204), (status = "default", body = Problem)))]
async fn finish_passkey_proof(
    caller: Caller,
    cookie: SessionCookie,
    State(control): State<Arc<Control>>,
    body: Json<ProveByPasskey>,
) -> Answer<StatusCode> {
    cookie.set(by_passkey::finish_proof(&control, &caller, body.value).await?);
    Ok(StatusCode::NO_CONTENT)
}
