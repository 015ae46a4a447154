//! The cookie by which a browser is known again that comes back from a sign-in provider.

use axum::http::{HeaderMap, HeaderValue, header};
use creel_store::SSO_ATTEMPT_FOR;

use super::cookie::{is_secure, named};
use crate::PublicUrl;

/// Over plain HTTP, which never leaves the host.
const NAME: &str = "creel_sso";
/// A browser takes it from us alone.
const HOST_NAME: &str = "__Host-creel_sso";

pub(super) fn secret<'h>(url: &PublicUrl, headers: &'h HeaderMap) -> Option<&'h str> {
    named(headers, HOST_NAME).or_else(|| named(headers, NAME).filter(|_| !url.is_https()))
}

/// Strict would not come along when the provider sends the browser back.
pub(super) fn set(url: &PublicUrl, asked: &HeaderMap, answer: &mut HeaderMap, secret: &str) {
    let (name, secure) = match is_secure(url, asked) {
        true => (HOST_NAME, "; Secure"),
        false => (NAME, ""),
    };
    let seconds = SSO_ATTEMPT_FOR.as_secs();
    let text = format!("{name}={secret}; Max-Age={seconds}; Path=/; HttpOnly; SameSite=Lax{secure}");
    if let Ok(value) = HeaderValue::from_str(&text) {
        answer.append(header::SET_COOKIE, value);
    }
}
