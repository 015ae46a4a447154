//! The dashboard: one page for all its addresses, and the files that it asks for, embedded and packed beforehand.

use axum::{
    Router,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};

use super::web;

struct File {
    path: &'static str,
    plain: &'static [u8],
    brotli: Option<&'static [u8]>,
    gzip: Option<&'static [u8]>,
}

/// Empty where the dashboard was not built.
const FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/dashboard.rs"));

/// The page's own addresses: each opens it by itself, so a link or a reload leads to the same place.
const PAGES: &[&str] = &[
    "/",
    "/new",
    "/account",
    "/device",
    "/agents",
    "/agents/{*rest}",
    "/org/{*rest}",
    "/operator/{*rest}",
];

const NOT_BUILT: &str = include_str!("../web/not-built.html");

pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let mut router = Router::new();
    for page in PAGES {
        router = router.route(page, get(page_itself));
    }
    for file in FILES.iter().filter(|file| file.path != "/index.html") {
        router = router.route(file.path, get(async |headers: HeaderMap| answer(file, &headers)));
    }
    router
}

async fn page_itself(headers: HeaderMap) -> Response {
    match FILES.iter().find(|file| file.path == "/index.html") {
        Some(page) => answer(page, &headers),
        None => {
            let mut response = web::file("text/html; charset=utf-8", NOT_BUILT);
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            response
        }
    }
}

fn answer(file: &'static File, headers: &HeaderMap) -> Response {
    let (encoding, bytes) = match (accepted(headers), file.brotli, file.gzip) {
        (Packed { brotli: true, .. }, Some(bytes), _) => (Some("br"), bytes),
        (Packed { gzip: true, .. }, _, Some(bytes)) => (Some("gzip"), bytes),
        _ => (None, file.plain),
    };
    let mut response = web::file(kind(file.path), bytes.into_response());
    let told = response.headers_mut();
    told.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Some(encoding) = encoding {
        told.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    // These have a hash of what is in them in their names.
    if file.path.starts_with("/assets/") {
        told.insert(
            header::CACHE_CONTROL,
            HeaderValue::from_static("public, max-age=31536000, immutable"),
        );
    }
    response
}

fn kind(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

/// How an answer may be packed.
#[derive(Debug, PartialEq, Eq)]
struct Packed {
    brotli: bool,
    gzip: bool,
}

fn accepted(headers: &HeaderMap) -> Packed {
    let named = |wanted: &str| {
        headers
            .get_all(header::ACCEPT_ENCODING)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|coding| {
                let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
                let refused = weight
                    .trim()
                    .strip_prefix("q=")
                    .is_some_and(|weight| weight.parse::<f32>().is_ok_and(|weight| weight <= 0.0));
                name.trim().eq_ignore_ascii_case(wanted) && !refused
            })
    };
    Packed {
        brotli: named("br"),
        gzip: named("gzip"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_accepted_is_read_with_its_weight() {
        for (given, brotli, gzip) in [
            ("gzip, deflate, br, zstd", true, true),
            ("br;q=0, gzip;q=0.5", false, true),
            ("GZIP", false, true),
            ("identity", false, false),
            ("brotli, x-gzip", false, false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(given));
            assert_eq!(accepted(&headers), Packed { brotli, gzip }, "{given}");
        }
    }

    #[test]
    fn what_is_packed_is_smaller_and_kept_for_long_only_under_a_name_of_its_own() {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("br"));
        for file in FILES {
            let response = answer(file, &headers);
            let kept = response.headers()[header::CACHE_CONTROL].to_str().expect("text");
            assert_eq!(
                kept.contains("immutable"),
                file.path.starts_with("/assets/"),
                "{}",
                file.path
            );
            assert_ne!(kind(file.path), "application/octet-stream", "{}", file.path);
            if let Some(packed) = file.brotli.filter(|_| file.plain.len() > 1024) {
                assert!(packed.len() < file.plain.len(), "{}", file.path);
            }
        }
    }
}
