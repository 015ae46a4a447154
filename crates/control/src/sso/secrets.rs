//! What only the browser that began a sign-in can bring back.
//!
//! The browser keeps one secret in a cookie; state is new for each sign-in. All else is made of the two, so that
//! neither the database nor the provider has enough to finish a sign-in that somebody else began.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::operations::sign_in::hash;

/// Of one sign-in.
pub(crate) struct Secrets {
    /// Of the browser's secret, as the database keeps it.
    pub(crate) browser: [u8; 32],
    /// Comes back in the ID token.
    pub(crate) nonce: String,
    /// Shows that who brings the code began the sign-in (RFC 7636).
    pub(super) verifier: String,
}

impl Secrets {
    pub(crate) fn of(browser: &str, state: &str) -> Self {
        let made = |what: &str| URL_SAFE_NO_PAD.encode(hash(&format!("{what}\n{browser}\n{state}")));
        Self {
            browser: hash(&format!("sign-in browser\n{browser}")),
            nonce: made("sign-in nonce"),
            verifier: made("sign-in verifier"),
        }
    }

    pub(super) fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(hash(&self.verifier))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sign_in_and_each_browser_has_its_own() {
        let of = |browser: &str, state: &str| {
            let secrets = Secrets::of(browser, state);
            (secrets.nonce, secrets.verifier)
        };
        assert_eq!(of("b", "s"), of("b", "s"));
        let all = [of("b", "s"), of("c", "s"), of("b", "t")];
        let mut each: Vec<_> = all
            .into_iter()
            .flat_map(|(nonce, verifier)| [nonce, verifier])
            .collect();
        each.sort();
        each.dedup();
        assert_eq!(each.len(), 6);
        assert!(
            each.iter().all(|text| text.len() == 43),
            "as long as RFC 7636 wants"
        );
    }
}
