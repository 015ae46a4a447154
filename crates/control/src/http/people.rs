//! Getting in: `/v1/sign-in`, `/v1/sign-up`, `/v1/password-resets`, `/v1/verify-email`.
//!
//! None of these says whether an address is known: what differs is said in a mail to it.

use std::sync::Arc;

use axum::{Json as Answered, extract::State, http::StatusCode};
use creel_api::{
    ConfirmReset, ConfirmSignUp, Problem, ResetPassword, SecondFactor, SignIn, SignInOptions, SignInResult,
    SignUp, SignedIn, VerifyEmail,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{cookie::SessionCookie, extract::Json, failure::Answer, visitor::Visitor};
use crate::{
    Control,
    operations::people::{enter, mailed, sign_up, sso},
};

pub(super) fn routes() -> OpenApiRouter<Arc<Control>> {
    OpenApiRouter::new()
        .routes(routes!(options, sign_in))
        .routes(routes!(second_factor))
        .routes(routes!(ask_to_sign_up))
        .routes(routes!(confirm_sign_up))
        .routes(routes!(ask_to_reset))
        .routes(routes!(confirm_reset))
        .routes(routes!(verify_email))
}

/// How one gets in here.
#[utoipa::path(get, path = "/v1/sign-in", tag = "people", security(()),
    responses((status = 200, body = SignInOptions), (status = "default", body = Problem)))]
async fn options(State(control): State<Arc<Control>>) -> Answer<Answered<SignInOptions>> {
    Ok(Answered(SignInOptions {
        sign_up: control.sign_up,
        passkeys_at: control
            .public_url
            .relying_party()
            .map(|here| here.origin().to_owned()),
        providers: sso::choices(&control).await?,
    }))
}

/// Signs in with address and password. A wrong password, an unknown address and too many attempts have one
/// and the same answer.
#[utoipa::path(post, path = "/v1/sign-in", tag = "people", request_body = SignIn, security(()),
    responses((status = 200, body = SignInResult), (status = "default", body = Problem)))]
async fn sign_in(
    visitor: Visitor,
    cookie: SessionCookie,
    State(control): State<Arc<Control>>,
    body: Json<SignIn>,
) -> Answer<Answered<SignInResult>> {
    let entered = enter::sign_in(&control, &visitor, body.value).await?;
    Ok(Answered(entered.answer(&cookie)))
}

/// The second step of a sign-in, where one is asked for.
#[utoipa::path(post, path = "/v1/sign-in/second-factor", tag = "people", request_body = SecondFactor, security(()),
    responses((status = 200, body = SignInResult), (status = "default", body = Problem)))]
async fn second_factor(
    visitor: Visitor,
    cookie: SessionCookie,
    State(control): State<Arc<Control>>,
    body: Json<SecondFactor>,
) -> Answer<Answered<SignInResult>> {
    let entered = enter::second_factor(&control, &visitor, body.value).await?;
    Ok(Answered(entered.answer(&cookie)))
}

/// Asks for a mail with a code to sign up with. The answer is the same for an address that has an account.
#[utoipa::path(post, path = "/v1/sign-up", tag = "people", request_body = SignUp, security(()),
    responses((status = 202), (status = "default", body = Problem)))]
async fn ask_to_sign_up(
    visitor: Visitor,
    State(control): State<Arc<Control>>,
    body: Json<SignUp>,
) -> Answer<StatusCode> {
    sign_up::ask(&control, &visitor, body.value).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Makes a user of whoever has the code of a mail, and signs them in.
#[utoipa::path(post, path = "/v1/sign-up/confirm", tag = "people", request_body = ConfirmSignUp, security(()),
    responses((status = 201, body = SignedIn), (status = "default", body = Problem)))]
async fn confirm_sign_up(
    visitor: Visitor,
    cookie: SessionCookie,
    State(control): State<Arc<Control>>,
    body: Json<ConfirmSignUp>,
) -> Answer<(StatusCode, Answered<SignedIn>)> {
    let (signed_in, secret) = sign_up::confirm(&control, &visitor, body.value).await?;
    cookie.set(secret);
    Ok((StatusCode::CREATED, Answered(signed_in)))
}

/// Asks for a mail with a code to choose a new password with. The answer is the same for an unknown address.
#[utoipa::path(post, path = "/v1/password-resets", tag = "people", request_body = ResetPassword, security(()),
    responses((status = 202), (status = "default", body = Problem)))]
async fn ask_to_reset(
    visitor: Visitor,
    State(control): State<Arc<Control>>,
    body: Json<ResetPassword>,
) -> Answer<StatusCode> {
    mailed::ask_to_reset(&control, &visitor, body.value.email).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Sets a new password for whoever has the code of a mail. Ends all of their sessions and what held up sign-in.
#[utoipa::path(post, path = "/v1/password-resets/confirm", tag = "people", request_body = ConfirmReset, security(()),
    responses((status = 204), (status = "default", body = Problem)))]
async fn confirm_reset(
    visitor: Visitor,
    State(control): State<Arc<Control>>,
    body: Json<ConfirmReset>,
) -> Answer<StatusCode> {
    mailed::reset(&control, &visitor, body.value).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Confirms an address with the code that was mailed to it.
#[utoipa::path(post, path = "/v1/verify-email", tag = "people", request_body = VerifyEmail, security(()),
    responses((status = 204), (status = "default", body = Problem)))]
async fn verify_email(
    visitor: Visitor,
    State(control): State<Arc<Control>>,
    body: Json<VerifyEmail>,
) -> Answer<StatusCode> {
    mailed::verify(&control, &visitor, body.value).await?;
    Ok(StatusCode::NO_CONTENT)
}
