//! `Idempotency-Key`: the same create sent twice makes one thing.

use aws_lc_rs::digest::{SHA256, digest};
use axum::http::HeaderMap;
use creel_api::IDEMPOTENCY_KEY;

use super::failure::{Answer, Failure};

/// The longest key, in characters.
const KEY_CHARS: usize = 128;

/// A key, and what it was used for.
pub(crate) struct Key {
    pub(crate) key: String,
    /// Of the route and the body.
    pub(crate) fingerprint: [u8; 32],
}

/// None: the request carries no key, and is simply done.
pub(crate) fn key(headers: &HeaderMap, route: &str, body: &[u8]) -> Answer<Option<Key>> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    let key = value.to_str().unwrap_or_default();
    let good = (1..=KEY_CHARS).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    if !good {
        return Err(Failure::invalid(format!(
            "`Idempotency-Key` must be 1 to {KEY_CHARS} visible ASCII characters."
        )));
    }
    let mut fingerprint = [0; 32];
    let whole = [route.as_bytes(), b"\n", body].concat();
    fingerprint.copy_from_slice(digest(&SHA256, &whole).as_ref());
    Ok(Some(Key {
        key: key.to_owned(),
        fingerprint,
    }))
}
