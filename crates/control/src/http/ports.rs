//! Ports of agents that are reached from outside, links to them, and the way of a signed-in browser there.

use std::sync::Arc;

use axum::{
    Json as Answered, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use creel_api::{CreateShareLink, NewShareLink, Port, PortList, Problem, PublishPort, ShareLinkList};
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    agents::insert,
    auth::{Caller, MaybeCaller},
    extract::{Json, Path, Query},
    failure::Answer,
};
use crate::{Control, edge, operations::ports};

pub(super) fn routes() -> OpenApiRouter<Arc<Control>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(publish, unpublish))
        .routes(routes!(links, share))
        .routes(routes!(unshare))
}

/// For browsers.
pub(super) fn pages() -> Router<Arc<Control>> {
    Router::new().route("/sign-in/page", get(let_in))
}

/// Ports that are reached from outside, the runtime's own page first.
#[utoipa::path(get, path = "/v1/agents/{agent}/ports", tag = "ports", params(("agent" = String, Path)),
    responses((status = 200, body = PortList), (status = "default", body = Problem)))]
async fn list(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path(agent): Path<String>,
) -> Answer<Answered<PortList>> {
    let items = ports::list(&control, &caller, &agent).await?;
    Ok(Answered(PortList { items }))
}

/// Publishes a port of the sandbox, or changes how it is published.
#[utoipa::path(put, path = "/v1/agents/{agent}/ports/{port}", tag = "ports",
    params(("agent" = String, Path), ("port" = u16, Path)), request_body = PublishPort,
    responses((status = 200, body = Port), (status = "default", body = Problem)))]
async fn publish(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path((agent, port)): Path<(String, u16)>,
    body: Json<PublishPort>,
) -> Answer<Answered<Port>> {
    Ok(Answered(
        ports::publish(&control, &caller, &agent, port, body.value).await?,
    ))
}

/// Nobody reaches the port from outside any more. Its share links are gone.
#[utoipa::path(delete, path = "/v1/agents/{agent}/ports/{port}", tag = "ports",
    params(("agent" = String, Path), ("port" = u16, Path)),
    responses((status = 204), (status = "default", body = Problem)))]
async fn unpublish(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path((agent, port)): Path<(String, u16)>,
) -> Answer<StatusCode> {
    ports::unpublish(&control, &caller, &agent, port).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Links that open private ports of the agent, without their secrets.
#[utoipa::path(get, path = "/v1/agents/{agent}/share-links", tag = "ports", params(("agent" = String, Path)),
    responses((status = 200, body = ShareLinkList), (status = "default", body = Problem)))]
async fn links(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path(agent): Path<String>,
) -> Answer<Answered<ShareLinkList>> {
    let items = ports::links(&control, &caller, &agent).await?;
    Ok(Answered(ShareLinkList { items }))
}

/// Makes a link that opens a published port to whoever has it. It is shown this once.
#[utoipa::path(post, path = "/v1/agents/{agent}/share-links", tag = "ports", params(("agent" = String, Path)),
    request_body = CreateShareLink,
    responses((status = 201, body = NewShareLink), (status = "default", body = Problem)))]
async fn share(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path(agent): Path<String>,
    body: Json<CreateShareLink>,
) -> Answer<(StatusCode, Answered<NewShareLink>)> {
    let link = ports::share(&control, &caller, &agent, body.value).await?;
    Ok((StatusCode::CREATED, Answered(link)))
}

/// Ends a share link; who came with it is out within seconds.
#[utoipa::path(delete, path = "/v1/agents/{agent}/share-links/{link}", tag = "ports",
    params(("agent" = String, Path), ("link" = String, Path)),
    responses((status = 204), (status = "default", body = Problem)))]
async fn unshare(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path((agent, link)): Path<(String, String)>,
) -> Answer<StatusCode> {
    ports::unshare(&control, &caller, &agent, &link).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct To {
    to: String,
}

/// `GET /sign-in/page?to=…`: sends a browser on to an agent's page, as whoever is signed in in it. Who is not is asked to
/// sign in first.
async fn let_in(
    MaybeCaller(caller): MaybeCaller,
    State(control): State<Arc<Control>>,
    Query(to): Query<To>,
) -> Answer<Response> {
    let there = match caller {
        Some(caller) => edge::let_in(&control, &caller, &to.to).await?,
        None => format!("/#to={}", encoded(&to.to)),
    };
    let mut response = (StatusCode::SEE_OTHER, [(header::LOCATION, there)]).into_response();
    insert(&mut response, header::REFERRER_POLICY, "no-referrer");
    Ok(response)
}

fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    text.bytes()
        .map(|byte| match plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}
