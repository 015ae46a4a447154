//! The name of a conversation with an agent.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// 1 to 64 of a-z, A-Z, 0-9, `.`, `_` and `-`. `main` is the one used when none is given.
///
/// It becomes part of file names and of the runtime's own session key, hence the short alphabet;
/// `.` and `..` are refused.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, pattern = "^[A-Za-z0-9._-]{1,64}$", example = "main")]
pub struct SessionName(String);

/// The text cannot be a session name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a session name: use 1 to 64 of a-z, A-Z, 0-9, `.`, `_` and `-`")]
pub struct BadSessionName(String);

impl SessionName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for SessionName {
    fn default() -> Self {
        Self("main".to_owned())
    }
}

impl FromStr for SessionName {
    type Err = BadSessionName;

    fn from_str(text: &str) -> Result<Self, BadSessionName> {
        let good = (1..=64).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
            && !text.bytes().all(|b| b == b'.');
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadSessionName(text.chars().take(80).collect()))
        }
    }
}

impl TryFrom<String> for SessionName {
    type Error = BadSessionName;

    fn try_from(text: String) -> Result<Self, BadSessionName> {
        text.parse()
    }
}

impl From<SessionName> for String {
    fn from(name: SessionName) -> Self {
        name.0
    }
}

impl fmt::Display for SessionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_names_cannot_leave_their_directory() {
        for bad in ["", ".", "..", "a/b", "a\0", " ", &"a".repeat(65)] {
            assert!(bad.parse::<SessionName>().is_err(), "{bad:?}");
        }
        assert_eq!(SessionName::default().as_str(), "main");
    }
}
