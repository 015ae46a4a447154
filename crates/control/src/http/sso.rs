//! Sign-in providers: `/v1/sso` for operators, `/sign-in/with/…` and `/sign-in/callback/…` for browsers,
//! `/v1/me/identities` for whoever is signed in.

use std::sync::Arc;

use axum::{
    Json as Answered, Router,
    extract::State,
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use creel_api::{
    AddSsoProvider, BeginSso, ErrorCode, LinkIdentity, LinkedIdentityList, Problem, Proof, SsoBegun,
    SsoProvider, SsoProviderList, SsoTest,
};
use creel_domain::IdentityId;
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    agents::insert,
    auth::Caller,
    cookie::SessionCookie,
    extract::{Json, Path, Query},
    failure::{Answer, Failure},
    sso_cookie,
    visitor::{Returning, Visitor},
};
use crate::{
    Control,
    operations::{
        people::sso::{self as people, Begun, link},
        sso,
    },
};

pub(super) fn routes() -> OpenApiRouter<Arc<Control>> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(remove))
        .routes(routes!(test))
        .routes(routes!(begin))
        .routes(routes!(identities, link_identity))
        .routes(routes!(unlink))
}

/// What browsers open by themselves.
pub(super) fn pages() -> Router<Arc<Control>> {
    Router::new()
        .route("/sign-in/with/{name}", get(go))
        .route("/sign-in/callback/{name}", get(come_back))
}

/// Where people may show who they are besides here. Client secrets are never shown.
#[utoipa::path(get, path = "/v1/sso", tag = "sso",
    responses((status = 200, body = SsoProviderList), (status = "default", body = Problem)))]
async fn list(_caller: Caller, State(control): State<Arc<Control>>) -> Answer<Answered<SsoProviderList>> {
    let items = sso::list(&control).await?;
    Ok(Answered(SsoProviderList { items }))
}

/// Adds a sign-in provider, if it can be reached and says what is needed.
#[utoipa::path(post, path = "/v1/sso", tag = "sso", request_body = AddSsoProvider,
    responses((status = 201, body = SsoProvider), (status = "default", body = Problem)))]
async fn add(
    caller: Caller,
    State(control): State<Arc<Control>>,
    body: Json<AddSsoProvider>,
) -> Answer<(StatusCode, Answered<SsoProvider>)> {
    let provider = sso::add(&control, &caller, body.value).await?;
    Ok((StatusCode::CREATED, Answered(provider)))
}

/// Removes a sign-in provider: from now on nobody comes in by it. Sessions go on, identities stay.
#[utoipa::path(delete, path = "/v1/sso/{name}", tag = "sso", params(("name" = String, Path)),
    responses((status = 204), (status = "default", body = Problem)))]
async fn remove(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path(name): Path<String>,
) -> Answer<StatusCode> {
    sso::remove(&control, &caller, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Asks a sign-in provider for its description now.
#[utoipa::path(post, path = "/v1/sso/{name}/test", tag = "sso", params(("name" = String, Path)),
    responses((status = 200, body = SsoTest), (status = "default", body = Problem)))]
async fn test(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path(name): Path<String>,
) -> Answer<Answered<SsoTest>> {
    Ok(Answered(sso::test(&control, &caller, &name).await?))
}

/// Begins a sign-in: the answer says where the browser goes, and sets the cookie that it has to bring back.
#[utoipa::path(post, path = "/v1/sign-in/with/{name}", tag = "people", params(("name" = String, Path)),
    request_body = BeginSso, operation_id = "sign_in_with", security(()),
    responses((status = 200, body = SsoBegun), (status = "default", body = Problem)))]
async fn begin(
    visitor: Visitor,
    State(control): State<Arc<Control>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Json<BeginSso>,
) -> Answer<Response> {
    let browser = sso_cookie::secret(&control.public_url, &headers);
    let BeginSso {
        invitation,
        return_to,
    } = &body.value;
    let (invitation, return_to) = (invitation.as_ref(), return_to.as_deref());
    let begun = people::begin(&control, &visitor, &name, browser, invitation, return_to, None).await?;
    Ok(told(&control, &headers, begun))
}

/// Who the caller is elsewhere.
#[utoipa::path(get, path = "/v1/me/identities", tag = "me",
    responses((status = 200, body = LinkedIdentityList), (status = "default", body = Problem)))]
async fn identities(
    caller: Caller,
    State(control): State<Arc<Control>>,
) -> Answer<Answered<LinkedIdentityList>> {
    let items = link::list(&control, &caller).await?;
    Ok(Answered(LinkedIdentityList { items }))
}

/// Begins to link an identity: the answer says where the browser goes. It is linked when it comes back.
#[utoipa::path(post, path = "/v1/me/identities", tag = "me", request_body = LinkIdentity,
    responses((status = 200, body = SsoBegun), (status = "default", body = Problem)))]
async fn link_identity(
    caller: Caller,
    visitor: Visitor,
    State(control): State<Arc<Control>>,
    headers: HeaderMap,
    body: Json<LinkIdentity>,
) -> Answer<Response> {
    let browser = sso_cookie::secret(&control.public_url, &headers);
    let begun = link::ask(&control, &caller, &visitor, browser, body.value).await?;
    Ok(told(&control, &headers, begun))
}

/// Unlinks an identity, unless it is the last way in.
#[utoipa::path(post, path = "/v1/me/identities/{identity}/unlink", tag = "me", request_body = Proof,
    params(("identity" = IdentityId, Path)),
    responses((status = 204), (status = "default", body = Problem)))]
async fn unlink(
    caller: Caller,
    cookie: SessionCookie,
    State(control): State<Arc<Control>>,
    Path(identity): Path<IdentityId>,
    body: Json<Proof>,
) -> Answer<StatusCode> {
    if let Some(secret) = link::unlink(&control, &caller, identity, body.value).await? {
        cookie.set(secret);
    }
    Ok(StatusCode::NO_CONTENT)
}

fn told(control: &Control, headers: &HeaderMap, begun: Begun) -> Response {
    let mut response = Answered(SsoBegun { url: begun.url }).into_response();
    let url = &control.public_url;
    sso_cookie::set(url, headers, response.headers_mut(), &begun.browser);
    response
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Go {
    return_to: Option<String>,
}

fn only_get(method: &Method) -> Answer<()> {
    if method == Method::GET {
        return Ok(());
    }
    Err(Failure::new(
        ErrorCode::MethodNotAllowed,
        "A browser opens this address; it takes GET alone.",
    ))
}

fn redirect(to: &str) -> Response {
    let mut response = (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response();
    insert(&mut response, header::REFERRER_POLICY, "no-referrer");
    insert(&mut response, header::CACHE_CONTROL, "no-store");
    response
}

/// `GET /sign-in/with/{name}`: the browser goes to a provider.
async fn go(
    Returning(visitor): Returning,
    State(control): State<Arc<Control>>,
    Path(name): Path<String>,
    method: Method,
    headers: HeaderMap,
    Query(query): Query<Go>,
) -> Answer<Response> {
    only_get(&method)?;
    let url = &control.public_url;
    let browser = sso_cookie::secret(url, &headers);
    let return_to = query.return_to.as_deref();
    let begun = people::begin(&control, &visitor, &name, browser, None, return_to, None).await?;
    let mut response = redirect(&begun.url);
    sso_cookie::set(url, &headers, response.headers_mut(), &begun.browser);
    Ok(response)
}

/// `GET /sign-in/callback/{name}`: it comes back.
async fn come_back(
    Returning(visitor): Returning,
    State(control): State<Arc<Control>>,
    cookie: SessionCookie,
    Path(name): Path<String>,
    method: Method,
    headers: HeaderMap,
    Query(query): Query<people::Query>,
) -> Answer<Response> {
    only_get(&method)?;
    let browser = sso_cookie::secret(&control.public_url, &headers).map(str::to_owned);
    let landing = people::finish(&control, &visitor, &name, browser.as_deref(), &query).await?;
    if let Some(secret) = landing.session {
        cookie.set(secret);
    }
    Ok(redirect(&landing.path))
}
