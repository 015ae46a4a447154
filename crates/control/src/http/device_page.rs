//! The page at `/device`: whoever is signed in sees which device asks, and lets it in or not.

use axum::{Router, routing::get};

use super::web::file;

pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route(
            "/device",
            get(async || file("text/html; charset=utf-8", include_str!("../web/device.html"))),
        )
        .route(
            "/web/device.js",
            get(async || file("text/javascript; charset=utf-8", include_str!("../web/device.js"))),
        )
}
