//! Domains of agents' owners that lead to their agents.

use std::sync::Arc;

use axum::{Json as Answered, extract::State, http::StatusCode};
use creel_api::{Domain, DomainList, Problem, PutDomain};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    auth::Caller,
    extract::{Json, Path},
    failure::Answer,
};
use crate::{Control, operations::domains};

pub(super) fn routes() -> OpenApiRouter<Arc<Control>> {
    OpenApiRouter::new()
        .routes(routes!(all))
        .routes(routes!(list))
        .routes(routes!(show, put, remove))
        .routes(routes!(verify))
}

/// Domains of all agents, by name.
#[utoipa::path(get, path = "/v1/domains", tag = "domains",
    responses((status = 200, body = DomainList), (status = "default", body = Problem)))]
async fn all(caller: Caller, State(control): State<Arc<Control>>) -> Answer<Answered<DomainList>> {
    let items = domains::list(&control, &caller, None).await?;
    Ok(Answered(DomainList { items }))
}

/// Domains that lead to the agent or are to, by name.
#[utoipa::path(get, path = "/v1/agents/{agent}/domains", tag = "domains",
    params(("agent" = String, Path)),
    responses((status = 200, body = DomainList), (status = "default", body = Problem)))]
async fn list(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path(agent): Path<String>,
) -> Answer<Answered<DomainList>> {
    let items = domains::list(&control, &caller, Some(&agent)).await?;
    Ok(Answered(DomainList { items }))
}

/// One domain: how it stands, what the last check saw, and what is to be set in DNS.
#[utoipa::path(get, path = "/v1/agents/{agent}/domains/{domain}", tag = "domains",
    params(("agent" = String, Path), ("domain" = String, Path)),
    responses((status = 200, body = Domain), (status = "default", body = Problem)))]
async fn show(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path((agent, domain)): Path<(String, String)>,
) -> Answer<Answered<Domain>> {
    Ok(Answered(domains::get(&control, &caller, &agent, &domain).await?))
}

/// Claims a domain for the agent, or changes which port one leads to. It leads there once the TXT record of the answer is
/// found in DNS, which is looked for from now on.
#[utoipa::path(put, path = "/v1/agents/{agent}/domains/{domain}", tag = "domains",
    params(("agent" = String, Path), ("domain" = String, Path)), request_body = PutDomain,
    responses((status = 200, body = Domain), (status = "default", body = Problem)))]
async fn put(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path((agent, domain)): Path<(String, String)>,
    body: Json<PutDomain>,
) -> Answer<Answered<Domain>> {
    Ok(Answered(
        domains::put(&control, &caller, &agent, &domain, body.value).await?,
    ))
}

/// The domain leads nowhere any more, and its TXT record is worth nothing.
#[utoipa::path(delete, path = "/v1/agents/{agent}/domains/{domain}", tag = "domains",
    params(("agent" = String, Path), ("domain" = String, Path)),
    responses((status = 204), (status = "default", body = Problem)))]
async fn remove(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path((agent, domain)): Path<(String, String)>,
) -> Answer<StatusCode> {
    domains::remove(&control, &caller, &agent, &domain).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Looks for the TXT record now, also of a domain that was given up. The answer says what was seen.
#[utoipa::path(post, path = "/v1/agents/{agent}/domains/{domain}/verify", tag = "domains",
    params(("agent" = String, Path), ("domain" = String, Path)),
    responses((status = 200, body = Domain), (status = "default", body = Problem)))]
async fn verify(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path((agent, domain)): Path<(String, String)>,
) -> Answer<Answered<Domain>> {
    Ok(Answered(
        domains::verify(&control, &caller, &agent, &domain).await?,
    ))
}
