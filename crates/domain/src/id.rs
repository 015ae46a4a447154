//! Typed ids: `agt_` and 26 characters of base32, a UUID version 7 underneath.
//!
//! The text form has one fixed length per type, so no id is ever a prefix of another (one OCI runtime
//! looks sandboxes up by prefix), sorts by creation time, and has no letter that reads like a digit.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

/// Crockford's alphabet: no i, l, o, u.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const DIGITS: usize = 26;

/// The text is not an id of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {article} id: it should be `{prefix}_` and {DIGITS} letters or digits")]
pub struct BadId {
    text: String,
    article: &'static str,
    prefix: &'static str,
}

fn encode(value: u128) -> [u8; DIGITS] {
    let mut out = [b'0'; DIGITS];
    let mut rest = value;
    for slot in out.iter_mut().rev() {
        *slot = ALPHABET[(rest & 31) as usize];
        rest >>= 5;
    }
    out
}

fn decode(text: &str) -> Option<u128> {
    if text.len() != DIGITS {
        return None;
    }
    let mut value: u128 = 0;
    for (position, byte) in text.bytes().enumerate() {
        let digit = ALPHABET.iter().position(|&letter| letter == byte)? as u128;
        // 26 digits carry 130 bits: the first may only use three of its five.
        if position == 0 && digit > 7 {
            return None;
        }
        value = (value << 5) | digit;
    }
    Some(value)
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal, $article:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// What the text form begins with, without the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// Wraps a UUID; new ones are version 7, minted by the caller who owns the clock.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID underneath, as the database stores it.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let digits = encode(self.0.as_u128());
                f.write_str(concat!($prefix, "_"))?;
                f.write_str(std::str::from_utf8(&digits).unwrap_or_default())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                text.strip_prefix(concat!($prefix, "_"))
                    .and_then(decode)
                    .map(|value| Self(Uuid::from_u128(value)))
                    .ok_or_else(|| BadId {
                        text: text.chars().take(64).collect(),
                        article: $article,
                        prefix: $prefix,
                    })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .pattern(Some(concat!("^", $prefix, "_[0-9a-z]{26}$")))
                    .into()
            }
        }

        impl utoipa::ToSchema for $name {}
    )*};
}

ids! {
    /// A tenant.
    OrgId = "org", "an org";
    /// A person.
    UserId = "usr", "a user";
    /// Somebody else who says who people are.
    SsoProviderId = "sso", "a sign-in provider";
    /// What an org owns: a specification and what is wanted of it.
    AgentId = "agt", "an agent";
    /// The isolated place where one agent runs.
    SandboxId = "sbx", "a sandbox";
    /// One exchange: a message and all that came of it.
    TurnId = "trn", "a turn";
    /// One schedule of an agent.
    ScheduleId = "sch", "a schedule";
    /// One time of a schedule, and what came of it.
    RunId = "run", "a run";
    /// One message of a session.
    MessageId = "msg", "a message";
    /// One model call.
    CallId = "call", "a call";
    /// One entry of the event log.
    EventId = "evt", "an event";
    /// One API token (its name in lists, not its secret).
    TokenId = "tok", "a token";
    /// One device that was let in.
    DeviceId = "dev", "a device";
    /// Who a user is elsewhere.
    IdentityId = "idn", "an identity";
    /// One passkey of a user.
    PasskeyId = "psk", "a passkey";
    /// One invitation into an org.
    InvitationId = "inv", "an invitation";
    /// One sign-in of one browser.
    BrowserSessionId = "bse", "a browser session";
    /// One mail that waits to be sent.
    MailId = "mail", "a mail";
    /// One link that opens a port to whoever has it.
    ShareLinkId = "shl", "a share link";
    /// One configured model provider.
    ProviderId = "prv", "a provider";
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_id_survives_its_text_form(value: u128) {
            let id = AgentId::from_uuid(Uuid::from_u128(value));
            let text = id.to_string();
            prop_assert_eq!(text.len(), 30);
            prop_assert_eq!(text.parse::<AgentId>(), Ok(id));
        }

        #[test]
        fn text_order_is_id_order(a: u128, b: u128) {
            let (x, y) = (AgentId::from_uuid(Uuid::from_u128(a)), AgentId::from_uuid(Uuid::from_u128(b)));
            prop_assert_eq!(x.cmp(&y), x.to_string().cmp(&y.to_string()));
        }

        #[test]
        fn no_text_panics(text in ".{0,80}") {
            let _ = text.parse::<SandboxId>();
            let _ = format!("sbx_{text}").parse::<SandboxId>();
        }
    }

    #[test]
    fn an_id_of_another_kind_is_refused() {
        let agent = AgentId::from_uuid(Uuid::from_u128(7)).to_string();
        let error = agent.parse::<SandboxId>().expect_err("a sandbox id was expected");
        assert_eq!(
            error.to_string(),
            "`agt_00000000000000000000000007` is not a sandbox id: it should be `sbx_` and 26 letters or digits"
        );
        assert!(
            "agt_8zzzzzzzzzzzzzzzzzzzzzzzzz".parse::<AgentId>().is_err(),
            "more than 128 bits"
        );
    }
}
