//! Names that people give to agents and providers; also safe as host name labels.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// 1 to 40 of a-z, 0-9 and `-`, beginning and ending with a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, pattern = "^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$", example = "scout")]
pub struct Name(String);

/// The text cannot be a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a name: use 1 to 40 of a-z, 0-9 and `-`, beginning and ending with a letter or digit")]
pub struct BadName(String);

impl Name {
    /// The longest name, in characters.
    pub const MAX_CHARS: usize = 40;

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Of the provider that is built in.
    pub(crate) fn demo() -> Self {
        Self("demo".to_owned())
    }

    /// Of a sandbox that no agent has yet.
    pub(crate) fn spare() -> Self {
        Self("spare".to_owned())
    }
}

impl FromStr for Name {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let bytes = text.as_bytes();
        let ends_well = bytes.first().is_some_and(|b| plain(*b)) && bytes.last().is_some_and(|b| plain(*b));
        let good =
            text.len() <= Self::MAX_CHARS && ends_well && bytes.iter().all(|b| plain(*b) || *b == b'-');
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadName(text.chars().take(60).collect()))
        }
    }
}

impl TryFrom<String> for Name {
    type Error = BadName;

    fn try_from(text: String) -> Result<Self, BadName> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_host_name_labels() {
        for good in ["a", "scout", "scout-2", "0x0", &"a".repeat(40)] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "-a",
            "a-",
            "A",
            "a_b",
            "a.b",
            "ä",
            "a b",
            "../x",
            "a\0",
            &"a".repeat(41),
        ] {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
    }
}
