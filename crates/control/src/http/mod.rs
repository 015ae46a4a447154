//! The public API and the dashboard, as one router.
//!
//! Each file is one noun; a handler decodes, calls one operation, encodes. What is wrong leaves as a
//! [`failure::Failure`] and becomes a problem in one place.

mod access_tokens;
mod agents;
mod audit;
pub(crate) mod auth;
mod behind_edge;
mod chat;
pub(crate) mod cookie;
mod cursor;
mod dashboard;
mod devices;
mod domains;
mod events;
mod exec;
mod extract;
pub(crate) mod failure;
mod files;
mod health;
pub(crate) mod idempotency;
mod linger;
mod logs;
mod me;
mod members;
pub(crate) mod needs;
mod operators;
mod orgs;
pub(crate) mod origin;
mod passkeys;
mod people;
mod platform;
mod platform_keys;
mod ports;
mod providers;
mod revoked;
mod schedules;
mod secrets;
mod sign_in;
mod sign_in_page;
mod sse;
mod sso;
mod sso_cookie;
mod tokens;
mod usage;
pub(crate) mod visitor;
mod watch;
mod web;

use std::sync::Arc;

use axum::{
    Router,
    http::{HeaderValue, header},
    middleware::{self, Next},
    response::Response,
    routing::get,
};
use utoipa::{
    OpenApi,
    openapi::security::{
        ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
    },
};
use utoipa_axum::router::OpenApiRouter;

use crate::Control;
use failure::Failure;

#[derive(OpenApi)]
#[openapi(
    info(title = "Creel", description = "An agent cloud: every agent gets an isolated computer of its own.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")),
    security(("token" = []), ("session" = [])),
)]
struct Document;

fn api() -> OpenApiRouter<Arc<Control>> {
    OpenApiRouter::with_openapi(Document::openapi())
        .merge(agents::routes())
        .merge(chat::routes())
        .merge(schedules::routes())
        .merge(exec::routes())
        .merge(files::routes())
        .merge(logs::routes())
        .merge(ports::routes())
        .merge(domains::routes())
        .merge(usage::routes())
        .merge(events::routes())
        .merge(providers::routes())
        .merge(secrets::routes())
        .merge(members::routes())
        .merge(tokens::routes())
        .merge(devices::routes())
        .merge(access_tokens::routes())
        .merge(audit::routes())
        .merge(orgs::routes())
        .merge(operators::routes())
        .merge(platform::routes())
        .merge(platform_keys::routes())
        .merge(sign_in::routes())
        .merge(people::routes())
        .merge(me::routes())
        .merge(sso::routes())
        .merge(passkeys::routes())
}

/// The API's own description, committed as `openapi/public.json`.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut document = api().into_openapi();
    name_operations(&mut document);
    tell_needs(&mut document);
    let schemes = document.components.get_or_insert_default();
    schemes.add_security_scheme(
        "token",
        SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build()),
    );
    schemes.add_security_scheme(
        "session",
        SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new(cookie::NAME))),
    );
    document
}

/// `agents_list` rather than one of many `list`s: clients are generated from these names.
fn name_operations(document: &mut utoipa::openapi::OpenApi) {
    for path in document.paths.paths.values_mut() {
        let operations = [
            &mut path.get,
            &mut path.put,
            &mut path.post,
            &mut path.delete,
            &mut path.patch,
        ];
        for operation in operations.into_iter().flatten() {
            let tag = operation.tags.as_ref().and_then(|tags| tags.first().cloned());
            if let (Some(tag), Some(name)) = (tag, &mut operation.operation_id)
                && tag != *name
            {
                *name = format!("{tag}_{name}");
            }
        }
    }
}

/// Each operation says which scope it needs.
fn tell_needs(document: &mut utoipa::openapi::OpenApi) {
    for (method, path, need) in needs::TABLE {
        let Some(item) = document.paths.paths.get_mut(*path) else {
            continue;
        };
        let operation = match *method {
            "GET" => &mut item.get,
            "PUT" => &mut item.put,
            "POST" => &mut item.post,
            "DELETE" => &mut item.delete,
            _ => &mut item.patch,
        };
        if let (needs::Need::Scope(scope), Some(operation)) = (need, operation) {
            let with = |scheme: &str| SecurityRequirement::new(scheme, [scope.as_str()]);
            operation.security = Some(vec![with("token"), with("session")]);
        }
    }
}

pub(crate) fn router(control: Arc<Control>) -> Router {
    let (api, _) = api().split_for_parts();
    api.route("/sign-in", get(sign_in::use_link))
        .merge(sso::pages())
        .merge(ports::pages())
        .merge(health::routes())
        .merge(web::routes())
        .merge(dashboard::routes())
        .fallback(async || Failure::not_found("There is nothing at this address."))
        .layer(middleware::from_fn_with_state(Arc::clone(&control), cookie::keep))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&control),
            revoked::watch,
        ))
        .with_state(Arc::clone(&control))
        .layer(middleware::from_fn_with_state(control, watch::watch))
        .layer(middleware::from_fn(failure::finish))
        .layer(middleware::from_fn(plain))
        .layer(middleware::from_fn(linger::linger))
        .layer(middleware::from_fn(behind_edge::behind_edge))
}

/// Holds for every answer: it is what it says it is.
async fn plain(request: axum::extract::Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_description_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../openapi/public.json");
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        let current = openapi().to_pretty_json().expect("JSON");
        let names: Vec<_> = current
            .lines()
            .filter(|line| line.contains("operationId"))
            .collect();
        let different: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(
            names.len(),
            different.len(),
            "operations need names of their own: {names:#?}"
        );
        assert!(
            committed.trim_end() == current,
            "openapi/public.json is not what the handlers say: run `cargo xtask openapi` and look at the difference"
        );
    }
}
