//! `/v1/devices`: a device asks for a code, a person approves it, the device fetches its token.

use std::{convert::Infallible, sync::Arc};

use axum::{
    Json as Answered,
    extract::{FromRequestParts, State},
    http::{StatusCode, request::Parts},
};
use creel_api::{
    ApproveDevice, AskForDevice, DeviceAuthorization, DeviceCode, DeviceList, DeviceRequest, DeviceToken,
    Problem, UserCode,
};
use creel_domain::DeviceId;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    auth::Caller,
    extract::{Json, Path},
    failure::Answer,
    origin::{Guest, Origin},
    visitor::Visitor,
};
use crate::{
    Control,
    operations::devices::{self, Asker},
};

pub(super) fn routes() -> OpenApiRouter<Arc<Control>> {
    OpenApiRouter::new()
        .routes(routes!(authorize))
        .routes(routes!(token))
        .routes(routes!(inspect))
        .routes(routes!(approve))
        .routes(routes!(deny))
        .routes(routes!(list))
        .routes(routes!(remove))
}

impl<S: Sync> FromRequestParts<S> for Asker {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(Origin::of(parts).address))
    }
}

/// Asks for two codes: one for the device to keep, one to show to a person, who enters it at
/// `verification_uri` or with `creel device approve`. Both are good for 15 minutes.
#[utoipa::path(post, path = "/v1/devices/authorize", tag = "devices", request_body = AskForDevice, security(()),
    responses((status = 200, body = DeviceAuthorization), (status = "default", body = Problem)))]
async fn authorize(
    _: Visitor,
    State(control): State<Arc<Control>>,
    asker: Asker,
    body: Json<AskForDevice>,
) -> Answer<Answered<DeviceAuthorization>> {
    let asked = devices::ask(&control, asker, body.value).await?;
    Ok(Answered(asked))
}

/// The device's token, once and when it was approved. Until then 400 with `authorization_pending` or `slow_down`;
/// in the end perhaps `access_denied` or `expired_token`.
#[utoipa::path(post, path = "/v1/devices/token", tag = "devices", request_body = DeviceCode, security(()),
    responses((status = 200, body = DeviceToken), (status = "default", body = Problem)))]
async fn token(
    _: Visitor,
    Guest(guest): Guest,
    State(control): State<Arc<Control>>,
    body: Json<DeviceCode>,
) -> Answer<Answered<DeviceToken>> {
    let token = devices::poll(&control, guest, &body.value.device_code).await?;
    Ok(Answered(token))
}

/// What it is that shows this code, and from where it asks.
#[utoipa::path(post, path = "/v1/devices/inspect", tag = "devices", request_body = UserCode,
    responses((status = 200, body = DeviceRequest), (status = "default", body = Problem)))]
async fn inspect(
    caller: Caller,
    State(control): State<Arc<Control>>,
    body: Json<UserCode>,
) -> Answer<Answered<DeviceRequest>> {
    let request = devices::inspect(&control, &caller, &body.value.user_code).await?;
    Ok(Answered(request))
}

/// Lets the device that shows this code in: it speaks for the caller from then on, with no more than the caller
/// has.
#[utoipa::path(post, path = "/v1/devices/approve", tag = "devices", request_body = ApproveDevice,
    responses((status = 200, body = DeviceRequest), (status = "default", body = Problem)))]
async fn approve(
    caller: Caller,
    State(control): State<Arc<Control>>,
    body: Json<ApproveDevice>,
) -> Answer<Answered<DeviceRequest>> {
    let request = devices::approve(&control, &caller, body.value).await?;
    Ok(Answered(request))
}

/// Turns the device that shows this code away.
#[utoipa::path(post, path = "/v1/devices/deny", tag = "devices", request_body = UserCode,
    responses((status = 204), (status = "default", body = Problem)))]
async fn deny(
    caller: Caller,
    State(control): State<Arc<Control>>,
    body: Json<UserCode>,
) -> Answer<StatusCode> {
    devices::deny(&control, &caller, &body.value.user_code).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The caller's devices in this org; for an admin, everybody's.
#[utoipa::path(get, path = "/v1/devices", tag = "devices",
    responses((status = 200, body = DeviceList), (status = "default", body = Problem)))]
async fn list(caller: Caller, State(control): State<Arc<Control>>) -> Answer<Answered<DeviceList>> {
    let items = devices::list(&control, &caller).await?;
    Ok(Answered(DeviceList { items }))
}

/// Removes a device: its token is good no more, and what it has open ends within seconds.
#[utoipa::path(delete, path = "/v1/devices/{device}", tag = "devices", params(("device" = DeviceId, Path)),
    responses((status = 204), (status = "default", body = Problem)))]
async fn remove(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path(device): Path<DeviceId>,
) -> Answer<StatusCode> {
    devices::remove(&control, &caller, device).await?;
    Ok(StatusCode::NO_CONTENT)
}
