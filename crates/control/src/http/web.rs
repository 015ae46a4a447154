//! The small page at `/`: a few embedded files that ask nobody else for anything.

use axum::{
    Router,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
    routing::get,
};

/// Only our own files and our own API; no frames, no inline code, no forms to elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route(
            "/",
            get(async || file("text/html; charset=utf-8", include_str!("../web/index.html"))),
        )
        .route(
            "/web/style.css",
            get(async || file("text/css; charset=utf-8", include_str!("../web/style.css"))),
        )
        .route(
            "/web/ask.js",
            get(async || file("text/javascript; charset=utf-8", include_str!("../web/ask.js"))),
        )
        .route(
            "/web/enter.js",
            get(async || file("text/javascript; charset=utf-8", include_str!("../web/enter.js"))),
        )
        .route(
            "/web/account.js",
            get(async || {
                file(
                    "text/javascript; charset=utf-8",
                    include_str!("../web/account.js"),
                )
            }),
        )
        .route(
            "/web/passkeys.js",
            get(async || {
                file(
                    "text/javascript; charset=utf-8",
                    include_str!("../web/passkeys.js"),
                )
            }),
        )
        .route(
            "/web/my-passkeys.js",
            get(async || {
                file(
                    "text/javascript; charset=utf-8",
                    include_str!("../web/my-passkeys.js"),
                )
            }),
        )
        .route(
            "/web/app.js",
            get(async || file("text/javascript; charset=utf-8", include_str!("../web/app.js"))),
        )
}

pub(super) fn file(kind: &'static str, text: impl IntoResponse) -> Response {
    let mut response = text.into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
        // A new version must not meet the old one's files.
        (header::CACHE_CONTROL, "no-cache"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
