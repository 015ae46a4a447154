//! What a browser says of a ceremony: which it was, for which challenge, on which page. The authenticator signs
//! its hash.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;

use crate::{Error, RelyingParty};

/// A browser writes some 150 bytes, and may add what is yet to be thought of.
const MAX_BYTES: usize = 4096;
/// What a challenge has to have.
pub const CHALLENGE_BYTES: usize = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ceremony {
    Create,
    Get,
}

impl Ceremony {
    fn as_str(self) -> &'static str {
        match self {
            Self::Create => "webauthn.create",
            Self::Get => "webauthn.get",
        }
    }
}

/// Client data that is well formed. Nothing in it is believed before its ceremony is verified.
#[derive(Debug, Clone)]
pub struct ClientData<'b> {
    bytes: &'b [u8],
    said: Said,
    challenge: [u8; CHALLENGE_BYTES],
}

/// Fields that we do not know are for the future.
#[derive(Debug, Clone, Deserialize)]
struct Said {
    r#type: String,
    challenge: String,
    origin: String,
    #[serde(default, rename = "crossOrigin")]
    cross_origin: bool,
    #[serde(default, rename = "topOrigin")]
    top_origin: Option<String>,
}

impl<'b> ClientData<'b> {
    pub fn parse(bytes: &'b [u8]) -> Result<Self, Error> {
        if bytes.len() > MAX_BYTES {
            return Err(Error::ClientData);
        }
        let said: Said = serde_json::from_slice(bytes).map_err(|_| Error::ClientData)?;
        let challenge = URL_SAFE_NO_PAD.decode(&said.challenge).ok();
        let challenge = challenge.and_then(|challenge| challenge.try_into().ok());
        Ok(Self {
            bytes,
            said,
            challenge: challenge.ok_or(Error::ClientData)?,
        })
    }

    /// The one that the ceremony was for, by what the browser says. Whoever verifies looks whether it is theirs.
    pub fn challenge(&self) -> &[u8; CHALLENGE_BYTES] {
        &self.challenge
    }

    pub(crate) fn bytes(&self) -> &'b [u8] {
        self.bytes
    }

    pub(crate) fn check(&self, ceremony: Ceremony, relying_party: &RelyingParty) -> Result<(), Error> {
        if self.said.r#type != ceremony.as_str() {
            return Err(Error::Ceremony);
        }
        // A page that frames ours could show anything around what is consented to.
        if self.said.cross_origin || self.said.top_origin.is_some() {
            return Err(Error::CrossOrigin);
        }
        if self.said.origin != relying_party.origin() {
            return Err(Error::Origin);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHALLENGE: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    fn check(json: &str) -> Result<(), Error> {
        let relying_party = RelyingParty::at(true, "example.com", None).expect("a name");
        ClientData::parse(json.as_bytes())?.check(Ceremony::Get, &relying_party)
    }

    #[test]
    fn only_our_own_page_and_the_ceremony_that_was_asked_for() {
        let good = |extra: &str| {
            format!(
                r#"{{"type":"webauthn.get","challenge":"{CHALLENGE}","origin":"https://example.com"{extra}}}"#
            )
        };
        for (result, json) in [
            (Ok(()), good("")),
            (Ok(()), good(r#","crossOrigin":false"#)),
            (Ok(()), good(r#","new":{"a":[1]}"#)),
            (Err(Error::CrossOrigin), good(r#","crossOrigin":true"#)),
            (
                Err(Error::CrossOrigin),
                good(r#","topOrigin":"https://example.com""#),
            ),
            (Err(Error::Ceremony), good("").replace(".get", ".create")),
            (
                Err(Error::Ceremony),
                good("").replace("webauthn.get", "payment.get"),
            ),
            (Err(Error::Origin), good("").replace("https:", "http:")),
            (Err(Error::Origin), good("").replace("e.com", "e.com:8443")),
            (Err(Error::Origin), good("").replace("//", "//sub.")),
            (Err(Error::Origin), good("").replace(r#"e.com"}"#, r#"e.com/"}"#)),
            (Err(Error::Origin), good("").replace(".com", ".com.evil.example")),
            (Err(Error::ClientData), good(r#","type":"webauthn.get""#)),
            (Err(Error::ClientData), good("").replace("AAA\"", "AA\"")),
            (Err(Error::ClientData), good("").replace("AAA\"", "AAA=\"")),
            (
                Err(Error::ClientData),
                good(&format!(r#","pad":"{}""#, "x".repeat(MAX_BYTES))),
            ),
            (Err(Error::ClientData), "[]".to_owned()),
            (Err(Error::ClientData), String::new()),
            (Err(Error::ClientData), "[".repeat(4000)),
        ] {
            assert_eq!(check(&json), result, "{json}");
        }
    }
}
