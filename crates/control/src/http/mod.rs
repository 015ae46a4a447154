//! The public API and the small web page, as one router.
//!
//! Each file is one noun; a handler decodes, calls one operation, encodes. What is wrong leaves as a
//! [`failure::Failure`] and becomes a problem in one place.

mod agents;
pub(crate) mod auth;
mod chat;
mod cursor;
mod events;
mod exec;
mod extract;
pub(crate) mod failure;
mod files;
mod health;
pub(crate) mod idempotency;
mod logs;
mod platform;
mod providers;
mod sign_in;
mod sse;
mod usage;
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
    openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
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
        .merge(exec::routes())
        .merge(files::routes())
        .merge(logs::routes())
        .merge(usage::routes())
        .merge(events::routes())
        .merge(providers::routes())
        .merge(platform::routes())
        .merge(sign_in::routes())
}

/// The API's own description, committed as `openapi/public.json`.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut document = api().into_openapi();
    name_operations(&mut document);
    let schemes = document.components.get_or_insert_default();
    schemes.add_security_scheme(
        "token",
        SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build()),
    );
    schemes.add_security_scheme(
        "session",
        SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new(auth::COOKIE))),
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

pub(crate) fn router(control: Arc<Control>) -> Router {
    let (api, _) = api().split_for_parts();
    api.route("/sign-in", get(sign_in::use_link))
        .merge(health::routes())
        .merge(web::routes())
        .fallback(async || Failure::not_found("There is nothing at this address."))
        .with_state(control)
        .layer(middleware::from_fn(failure::finish))
        .layer(middleware::from_fn(plain))
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
