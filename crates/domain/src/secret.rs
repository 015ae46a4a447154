//! Names of secrets, and an org's own key.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// As an environment variable is called: 1 to 64 of A-Z, 0-9 and `_`, not beginning with a digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, pattern = "^[A-Z_][A-Z0-9_]{0,63}$", example = "OPENAI_KEY")]
pub struct SecretName(String);

/// The text cannot be a secret's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a name for a secret: use 1 to 64 of A-Z, 0-9 and `_`, not beginning with a digit, for example `OPENAI_KEY`"
)]
pub struct BadSecretName(String);

impl SecretName {
    /// The longest name, in characters.
    pub const MAX_CHARS: usize = 64;

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SecretName {
    type Err = BadSecretName;

    fn from_str(text: &str) -> Result<Self, BadSecretName> {
        let plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        let good = (1..=Self::MAX_CHARS).contains(&text.len())
            && text.bytes().all(plain)
            && !text.starts_with(|first: char| first.is_ascii_digit());
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadSecretName(text.chars().take(80).collect()))
        }
    }
}

impl TryFrom<String> for SecretName {
    type Error = BadSecretName;

    fn try_from(text: String) -> Result<Self, BadSecretName> {
        text.parse()
    }
}

impl From<SecretName> for String {
    fn from(name: SecretName) -> Self {
        name.0
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A key of HashiCorp Vault's Transit, without the token for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TransitKey {
    /// `https://vault.example.com:8200`
    pub address: String,
    /// Where Transit is mounted, such as `transit`.
    pub mount: String,
    pub name: String,
}

/// The text names no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTransitKey {
    #[error("`{0}` is not the address of a Vault: write it like https://vault.example.com:8200")]
    Address(String),
    #[error(
        "`{0}` cannot be the mount or name of a key: use letters, digits, `-`, `_` and `.`; in a mount also `/`"
    )]
    Part(String),
}

impl TransitKey {
    /// The longest address, and the longest mount and name.
    pub const MAX_BYTES: usize = 512;

    /// Checks what somebody wrote. Whether the address may be asked is for whoever asks it.
    pub fn new(address: &str, mount: &str, name: &str) -> Result<Self, BadTransitKey> {
        let shown = |text: &str| text.chars().take(200).collect::<String>();
        let address = address.trim_end_matches('/');
        let visible = address.bytes().all(|byte| byte.is_ascii_graphic());
        if address.is_empty() || address.len() > Self::MAX_BYTES || !visible {
            return Err(BadTransitKey::Address(shown(address)));
        }
        let mount = mount.trim_matches('/');
        // No part may be `.` or `..`, nor empty: each is a segment of a path.
        for part in mount.split('/').chain([name]) {
            let good = !part.is_empty()
                && part.len() <= Self::MAX_BYTES
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
                && !part.starts_with('.');
            if !good {
                return Err(BadTransitKey::Part(shown(part)));
            }
        }
        if mount.len() > Self::MAX_BYTES {
            return Err(BadTransitKey::Part(shown(mount)));
        }
        Ok(Self {
            address: address.to_owned(),
            mount: mount.to_owned(),
            name: name.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_environment_variables() {
        for good in ["A", "_", "OPENAI_KEY", "K2", &"A".repeat(64)] {
            assert!(good.parse::<SecretName>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "2A",
            "a",
            "Key",
            "A-B",
            "A B",
            "A=B",
            "../X",
            "Ä",
            "A\0",
            &"A".repeat(65),
        ] {
            assert!(bad.parse::<SecretName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_key_cannot_lead_to_another_path() {
        let key = TransitKey::new("https://v.example/", "/team/transit/", "creel").expect("good");
        assert_eq!(
            (key.address.as_str(), key.mount.as_str()),
            ("https://v.example", "team/transit")
        );
        for (address, mount, name) in [
            ("", "transit", "k"),
            ("https://v example", "transit", "k"),
            ("https://v", "", "k"),
            ("https://v", "a//b", "k"),
            ("https://v", "../sys", "k"),
            ("https://v", "transit", ".."),
            ("https://v", "transit", "a/b"),
            ("https://v", "transit", "k?x"),
            ("https://v", "transit", ""),
        ] {
            assert!(
                TransitKey::new(address, mount, name).is_err(),
                "{address} {mount} {name}"
            );
        }
    }
}
