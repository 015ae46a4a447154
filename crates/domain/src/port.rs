//! Ports of an agent's sandbox that can be reached from outside, and the names under which they are.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Who may come to a published port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PortAccess {
    /// Members of the org who may use the agent's computer, by session or token, and whoever has a share link.
    #[default]
    Private,
    /// Everybody.
    Public,
}

impl PortAccess {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Public => "public",
        }
    }
}

impl FromStr for PortAccess {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "private" => Ok(Self::Private),
            "public" => Ok(Self::Public),
            other => Err(format!("`{other}` is no access: write private or public")),
        }
    }
}

/// What stands before an agent's domain: `scout`, or `scout--3000` for one of its ports. Unique on the platform.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AgentHost {
    pub label: String,
    /// None: the agent's own page.
    pub port: Option<u16>,
}

/// Between a label and a port.
const BETWEEN: &str = "--";
/// What one part of a host name can hold.
const PART_BYTES: usize = 63;
/// Labels that would look as if they were Creel's own.
const RESERVED: [&str; 10] = [
    "admin",
    "api",
    "app",
    "auth",
    "creel",
    "dashboard",
    "login",
    "mail",
    "status",
    "www",
];

impl AgentHost {
    /// Reads the part of a host name before the agents' domain.
    pub fn read(text: &str) -> Option<Self> {
        if !is_part(text) {
            return None;
        }
        let port = text
            .rsplit_once(BETWEEN)
            .and_then(|(label, port)| Some((label, number(port)?)));
        let (label, port) = match port {
            Some((label, port)) => (label, Some(port)),
            None => (text, None),
        };
        is_part(label).then(|| Self {
            label: label.to_owned(),
            port,
        })
    }

    /// Whether an agent can be reached under just this label.
    pub fn is_label(text: &str) -> bool {
        let read = Self::read(text);
        read.is_some_and(|host| host.port.is_none()) && !RESERVED.contains(&text)
    }
}

impl fmt::Display for AgentHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}{BETWEEN}{port}", self.label),
            None => f.write_str(&self.label),
        }
    }
}

/// 1 to 65535 as it is written by everybody: no sign, no leading zero.
fn number(text: &str) -> Option<u16> {
    let plain = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

fn is_part(text: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=PART_BYTES).contains(&text.len())
        && text.bytes().all(good)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// A domain of an agent's owner, lower case and in ASCII: `chat.example.com`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, example = "chat.example.com")]
pub struct DomainName(String);

/// The text cannot be a domain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a domain: write it as chat.example.com, without scheme or port; names with other letters in their xn-- form"
)]
pub struct BadDomainName(String);

impl DomainName {
    /// What DNS allows, in bytes.
    pub const MAX_BYTES: usize = 253;

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the other one or lies below it.
    pub fn is_within(&self, other: &str) -> bool {
        let above = self.0.strip_suffix(other);
        above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
    }
}

impl FromStr for DomainName {
    type Err = BadDomainName;

    fn from_str(text: &str) -> Result<Self, BadDomainName> {
        let bad = || BadDomainName(text.chars().take(80).collect());
        let name = text.to_ascii_lowercase();
        let parts: Vec<&str> = name.split('.').collect();
        let last_is_a_number = parts
            .last()
            .is_none_or(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
        if name.len() > Self::MAX_BYTES || parts.len() < 2 || last_is_a_number {
            return Err(bad());
        }
        if !parts.iter().all(|part| is_part(part)) {
            return Err(bad());
        }
        Ok(Self(name))
    }
}

impl TryFrom<String> for DomainName {
    type Error = BadDomainName;

    fn try_from(text: String) -> Result<Self, BadDomainName> {
        text.parse()
    }
}

impl From<DomainName> for String {
    fn from(name: DomainName) -> Self {
        name.0
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn host(label: &str, port: Option<u16>) -> Option<AgentHost> {
        Some(AgentHost {
            label: label.to_owned(),
            port,
        })
    }

    #[test]
    fn a_port_stands_behind_two_hyphens() {
        for (text, read) in [
            ("scout", host("scout", None)),
            ("scout--3000", host("scout", Some(3000))),
            ("a--b", host("a--b", None)),
            ("a--b--80", host("a--b", Some(80))),
            ("a--080", host("a--080", None)),
            ("a--65536", host("a--65536", None)),
            ("--80", None),
            ("-a", None),
            ("a-", None),
            ("A", None),
            ("a.b", None),
            ("", None),
        ] {
            assert_eq!(AgentHost::read(text), read, "{text}");
        }
        assert!(AgentHost::is_label("scout") && !AgentHost::is_label("www") && !AgentHost::is_label("a--80"));
    }

    #[test]
    fn domains_are_names_and_no_addresses() {
        for text in ["example.com", "Chat.Example.com", "xn--bcher-kva.example"] {
            assert_eq!(
                text.parse::<DomainName>().map(String::from),
                Ok(text.to_lowercase())
            );
        }
        for text in [
            "com",
            "",
            "a..b",
            "10.0.0.1",
            "example.com.",
            "exa mple.com",
            "https://a.b",
            "a.b:80",
            "bücher.example",
            "-a.b",
        ] {
            assert!(text.parse::<DomainName>().is_err(), "{text}");
        }
        let domain: DomainName = "a.creel.example".parse().expect("a domain");
        assert!(domain.is_within("creel.example") && domain.is_within("a.creel.example"));
        assert!(!domain.is_within("eel.example"));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(label in "[a-z0-9]([a-z0-9]{0,20})", port in proptest::option::of(1_u16..)) {
            let host = AgentHost { label, port };
            prop_assert_eq!(AgentHost::read(&host.to_string()), Some(host));
        }

        #[test]
        fn no_text_panics(text in ".{0,80}") {
            let _ = AgentHost::read(&text);
            let _ = text.parse::<DomainName>();
        }
    }
}
