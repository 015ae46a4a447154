//! Signing in at somebody else's: beginning, coming back, and linking an identity while signed in.

mod begin;
mod finish;
pub(crate) mod link;

use creel_api::ErrorCode;
use creel_store::{NewIdentity, StoredSsoProvider};

pub(crate) use begin::{Begun, begin, choices};
pub(crate) use finish::{Landing, Query, finish};

use crate::{
    http::failure::{Answer, Failure},
    sso::Error,
};

/// The longest path that somebody is taken back to, in bytes.
const RETURN_TO_BYTES: usize = 512;

/// A path of ours and nothing else: whoever follows it stays here. Browsers read `\` as `/`, and leave control
/// characters out.
fn ours(path: &str) -> bool {
    let plain = |byte: u8| (0x21..0x7f).contains(&byte) && byte != b'\\';
    path.len() <= RETURN_TO_BYTES
        && path.starts_with('/')
        && !path.starts_with("//")
        && path.bytes().all(plain)
}

fn not_allowed(sentence: impl Into<String>) -> Failure {
    Failure::new(ErrorCode::SsoNotAllowed, sentence)
}

/// In words for whoever sits before the browser; the log has the provider's.
fn failed(provider: &StoredSsoProvider, error: &Error) -> Failure {
    tracing::warn!(%error, provider = %provider.name, "a sign-in at a provider failed");
    let label = &provider.label;
    if error.is_out_of_reach() {
        return Failure::new(
            ErrorCode::SsoUnreachable,
            format!(
                "{label} cannot be asked at the moment. Try again in a little while, or sign in another way."
            ),
        );
    }
    Failure::new(
        ErrorCode::SsoNotBelieved,
        format!(
            "What {label} answered is not believed. Begin again; if it stays so, tell whoever runs this Creel."
        ),
    )
}

/// Refuses whose address is not in an allowed domain.
fn check_domain(provider: &StoredSsoProvider, identity: &NewIdentity) -> Answer<()> {
    let domains = &provider.email_domains;
    let label = &provider.label;
    if domains.is_empty() {
        return Ok(());
    }
    match &identity.email {
        Some(email) if domains.iter().any(|domain| domain == email.domain()) => Ok(()),
        Some(_) => Err(not_allowed(format!(
            "Your address at {label} is in no domain that is let in here: use an account of your organization."
        ))),
        None => Err(not_allowed(format!(
            "{label} does not say that your e-mail address is verified: verify it there first."
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_taken_elsewhere() {
        for path in [
            "/",
            "/device?code=BCDF",
            "/#account",
            "/a//b",
            "/%2F%2Felsewhere.test",
        ] {
            assert!(ours(path), "{path}");
        }
        let long = format!("/{}", "a".repeat(RETURN_TO_BYTES));
        for path in [
            "",
            "elsewhere.test",
            "https://elsewhere.test/",
            "//elsewhere.test/",
            "/\\elsewhere.test/",
            "\\\\elsewhere.test",
            "/\t/elsewhere.test",
            "/a\r\nset-cookie: x=y",
            "/ü",
            "/ /elsewhere.test",
            "javascript:alert(1)",
            &long,
        ] {
            assert!(!ours(path), "{path}");
        }
    }
}
