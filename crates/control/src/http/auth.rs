//! Who is asking: an API token in a header, or a session of the web page in a cookie.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderValue, Method, header, request::Parts},
};
use creel_api::ErrorCode;
use creel_domain::{OrgId, UserId};

use super::failure::{Answer, Failure};
use crate::{Control, operations::sign_in};

/// The cookie of the web page.
pub(crate) const COOKIE: &str = "creel_session";
/// No secret of ours is longer.
const SECRET_BYTES: usize = 256;

/// The user behind a request. A handler that takes one cannot be reached without.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) org: OrgId,
    pub(crate) org_name: String,
    pub(crate) user: UserId,
    pub(crate) user_name: String,
}

impl FromRequestParts<Arc<Control>> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, control: &Arc<Control>) -> Result<Self, Failure> {
        if let Some(value) = parts.headers.get(header::AUTHORIZATION) {
            let token =
                bearer(value).ok_or_else(|| unknown("The header `Authorization` must be `Bearer TOKEN`."))?;
            return sign_in::by_token(control, token)
                .await?
                .ok_or_else(|| unknown("The token is not valid: it was mistyped or revoked."));
        }
        let Some(secret) = session_cookie(&parts.headers) else {
            return Err(unknown(
                "Send an API token as `Authorization: Bearer TOKEN`, or sign in with a link from `creel sign-in`.",
            ));
        };
        let caller = sign_in::by_session(control, secret)
            .await?
            .ok_or_else(|| unknown("The session has ended: sign in with a new link from `creel sign-in`."))?;
        let upgrades = parts.headers.contains_key(header::UPGRADE);
        if (changes(&parts.method) || upgrades) && !same_origin(&parts.headers) {
            return Err(Failure::new(
                ErrorCode::Forbidden,
                "Another site's page may not use your session: open Creel's own page, or send an API token.",
            ));
        }
        Ok(caller)
    }
}

fn unknown(detail: &str) -> Failure {
    Failure::new(ErrorCode::Unauthenticated, detail)
}

fn bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    let good = scheme.eq_ignore_ascii_case("bearer") && (1..=SECRET_BYTES).contains(&token.len());
    good.then_some(token)
}

/// The session's secret, wherever among the cookies it stands.
pub(crate) fn session_cookie(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, value)| *name == COOKIE && (1..=SECRET_BYTES).contains(&value.len()))
        .map(|(_, value)| value)
}

fn changes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Browsers say where a request comes from; one that says nothing is refused.
fn same_origin(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return site == "same-origin";
    }
    let origin = text("origin").and_then(|origin| origin.split_once("://"));
    match (origin, text("host")) {
        (Some((_, origin)), Some(host)) => origin == host,
        _ => false,
    }
}

/// Refuses a change from another site, for handlers that need no user.
pub(crate) fn check_origin(headers: &HeaderMap) -> Answer<()> {
    if same_origin(headers) {
        Ok(())
    } else {
        Err(Failure::new(
            ErrorCode::Forbidden,
            "Another site's page may not do this.",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    header::HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    #[test]
    fn only_our_own_page_may_change_things_with_a_cookie() {
        for (good, pairs) in [
            (true, &[("sec-fetch-site", "same-origin")][..]),
            (false, &[("sec-fetch-site", "same-site")]),
            (
                false,
                &[
                    ("sec-fetch-site", "cross-site"),
                    ("origin", "http://a"),
                    ("host", "a"),
                ],
            ),
            (
                true,
                &[("origin", "http://127.0.0.1:7300"), ("host", "127.0.0.1:7300")],
            ),
            (
                false,
                &[("origin", "http://127.0.0.1:8000"), ("host", "127.0.0.1:7300")],
            ),
            (false, &[("origin", "null"), ("host", "127.0.0.1:7300")]),
            (false, &[("host", "127.0.0.1:7300")]),
        ] {
            assert_eq!(same_origin(&headers(pairs)), good, "{pairs:?}");
        }
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let found = headers(&[("cookie", "a=b; creel_session=secret; c=d")]);
        assert_eq!(session_cookie(&found), Some("secret"));
        assert_eq!(
            session_cookie(&headers(&[("cookie", "not_creel_session=x")])),
            None
        );
    }
}
