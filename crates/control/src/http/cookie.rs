//! The cookie of a browser's session: its name, its attributes, and a place for whoever wants to set it.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, HeaderValue, header, request::Parts},
    middleware::Next,
    response::Response,
};
use creel_domain::BrowserSessionAge;

use super::failure::Failure;
use crate::{Control, PublicUrl};

/// Over plain HTTP, which never leaves the host.
pub(crate) const NAME: &str = "creel_session";
/// A browser takes it from us alone: over TLS, for all paths, and for no neighbouring domain.
const HOST_NAME: &str = "__Host-creel_session";
/// No secret of ours is longer.
const SECRET_BYTES: usize = 256;

/// Whether what we set must never cross a network in the clear.
pub(super) fn is_secure(url: &PublicUrl, headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    url.is_https()
        || text("x-forwarded-proto").is_some_and(|proto| proto.trim().eq_ignore_ascii_case("https"))
        || text("origin").is_some_and(|origin| origin.starts_with("https://"))
}

/// The secret in a cookie of ours, wherever among the others it stands.
pub(super) fn named<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(found, value)| *found == name && (1..=SECRET_BYTES).contains(&value.len()))
        .map(|(_, value)| value)
}

/// The session's secret, wherever among the cookies it stands. Where all of us is behind TLS, a cookie that a
/// neighbouring domain could have set is not looked at.
pub(crate) fn secret<'h>(url: &PublicUrl, headers: &'h HeaderMap) -> Option<&'h str> {
    named(headers, HOST_NAME).or_else(|| named(headers, NAME).filter(|_| !url.is_https()))
}

enum Change {
    Set(String),
    Clear,
}

/// Where a request leaves word that its answer is to set the cookie.
#[derive(Clone, Default)]
pub(crate) struct SessionCookie(Arc<Mutex<Option<Change>>>);

impl SessionCookie {
    /// The browser's new secret.
    pub(crate) fn set(&self, secret: String) {
        self.put(Change::Set(secret));
    }

    /// The browser is to forget it.
    pub(crate) fn clear(&self) {
        self.put(Change::Clear);
    }

    fn put(&self, change: Change) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(change);
    }
}

impl<S: Sync> FromRequestParts<S> for SessionCookie {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

/// Gives each request its place, and puts what is left there into the answer.
pub(crate) async fn keep(State(control): State<Arc<Control>>, mut request: Request, next: Next) -> Response {
    let secure = is_secure(&control.public_url, request.headers());
    let cookie = SessionCookie::default();
    request.extensions_mut().insert(cookie.clone());
    let mut response = next.run(request).await;
    let change = cookie.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(change) = change {
        for cookie in written(secure, &change) {
            if let Ok(value) = HeaderValue::from_str(&cookie) {
                response.headers_mut().append(header::SET_COOKIE, value);
            }
        }
    }
    response
}

fn written(secure: bool, change: &Change) -> Vec<String> {
    const ATTRIBUTES: &str = "Path=/; HttpOnly; SameSite=Lax";
    match (secure, change) {
        (true, Change::Set(secret)) => {
            let seconds = BrowserSessionAge::LASTS.as_secs();
            vec![format!(
                "{HOST_NAME}={secret}; Max-Age={seconds}; {ATTRIBUTES}; Secure"
            )]
        }
        (false, Change::Set(secret)) => {
            let seconds = BrowserSessionAge::LASTS.as_secs();
            vec![format!("{NAME}={secret}; Max-Age={seconds}; {ATTRIBUTES}")]
        }
        (_, Change::Clear) => vec![
            format!("{NAME}=; Max-Age=0; {ATTRIBUTES}"),
            format!("{HOST_NAME}=; Max-Age=0; {ATTRIBUTES}; Secure"),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (
                header::HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        };
        pairs.iter().map(pair).collect()
    }

    fn url(text: &str) -> PublicUrl {
        text.parse().expect("an address")
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let plain = url("http://127.0.0.1:7300");
        let found = headers(&[("cookie", "a=b; creel_session=secret; c=d")]);
        assert_eq!(secret(&plain, &found), Some("secret"));
        let other = headers(&[("cookie", "not_creel_session=x")]);
        assert_eq!(secret(&plain, &other), None);
        let both = headers(&[("cookie", "creel_session=planted; __Host-creel_session=ours")]);
        assert_eq!(secret(&plain, &both), Some("ours"));
    }

    #[test]
    fn behind_tls_a_cookie_of_a_neighbour_is_not_looked_at() {
        let planted = headers(&[("cookie", "creel_session=planted")]);
        assert_eq!(secret(&url("https://creel.example.com"), &planted), None);
    }

    #[test]
    fn what_came_by_tls_is_sent_by_tls_alone() {
        let plain = url("http://127.0.0.1:7300");
        for (secure, url, pairs) in [
            (false, &plain, &[][..]),
            (false, &plain, &[("origin", "http://127.0.0.1:7300")]),
            (true, &plain, &[("x-forwarded-proto", "https")]),
            (true, &plain, &[("origin", "https://creel.example.com")]),
            (true, &url("https://creel.example.com"), &[]),
        ] {
            let found = is_secure(url, &headers(pairs));
            assert_eq!(found, secure, "{pairs:?}");
            let set = written(found, &Change::Set("s".to_owned())).concat();
            assert!(set.contains("HttpOnly") && set.contains("SameSite=Lax") && set.contains("Path=/"));
            assert_eq!(set.contains("; Secure"), secure, "{set}");
            assert_eq!(set.starts_with("__Host-"), secure, "{set}");
        }
    }
}
