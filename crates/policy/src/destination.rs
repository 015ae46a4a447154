//! Where a request wants to go: a host and a port, in one canonical form.
//!
//! Text comes from inside a sandbox. Two spellings of one place must compare equal, and what has no
//! clear meaning (an octal address, a name with a NUL) is refused rather than guessed at.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// A name, lower case and without its trailing dot, or an address.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    Name(String),
    Address(IpAddr),
}

/// `example.org:443`, `192.0.2.1:80`, `[2001:db8::1]:443`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Destination {
    host: Host,
    port: u16,
}

/// The text names no place to go.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no destination: write HOST:PORT, for example `example.org:443`")]
pub struct BadDestination(String);

/// The longest host name, as in the DNS.
const NAME_BYTES: usize = 253;
const LABEL_BYTES: usize = 63;

impl Destination {
    pub fn host(&self) -> &Host {
        &self.host
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Reads an authority; `default_port` is for one that names no port.
    pub fn parse(authority: &str, default_port: Option<u16>) -> Result<Self, BadDestination> {
        let bad = || {
            BadDestination(
                authority
                    .chars()
                    .take(80)
                    .flat_map(char::escape_default)
                    .collect(),
            )
        };
        let (host, port) = split(authority).ok_or_else(bad)?;
        let port = match port {
            // `u16::from_str` also takes `+80`.
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().ok(),
            Some(_) => None,
            None => default_port,
        };
        match (parse_host(host), port) {
            (Some(host), Some(port)) if port != 0 => Ok(Self { host, port }),
            _ => Err(bad()),
        }
    }
}

/// Divides `host:port`, `host`, `[v6]:port` and `[v6]`.
fn split(authority: &str) -> Option<(&str, Option<&str>)> {
    if authority.starts_with('[') {
        let end = authority.find(']')?;
        let (host, rest) = authority.split_at(end + 1);
        return match rest {
            "" => Some((host, None)),
            _ => Some((host, Some(rest.strip_prefix(':')?))),
        };
    }
    match authority.split_once(':') {
        None => Some((authority, None)),
        Some((host, port)) => Some((host, Some(port))),
    }
}

fn parse_host(text: &str) -> Option<Host> {
    if let Some(inner) = text.strip_prefix('[') {
        let address: Ipv6Addr = inner.strip_suffix(']')?.parse().ok()?;
        return Some(Host::Address(address.to_canonical()));
    }
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Some(Host::Address(address.into()));
    }
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let label_is_good = |label: &str| {
        let bytes = label.as_bytes();
        (1..=LABEL_BYTES).contains(&bytes.len())
            && bytes
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
            && bytes.first() != Some(&b'-')
            && bytes.last() != Some(&b'-')
    };
    // A last label that is a number (also `0x7f`) would be read as an address by some resolvers.
    let last_is_number = name
        .rsplit('.')
        .next()
        .is_none_or(|last| last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x"));
    (name.len() <= NAME_BYTES && name.split('.').all(label_is_good) && !last_is_number)
        .then_some(Host::Name(name))
}

impl FromStr for Destination {
    type Err = BadDestination;

    fn from_str(text: &str) -> Result<Self, BadDestination> {
        Self::parse(text, None)
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]:{}", self.port),
            Host::Address(address) => write!(f, "{address}:{}", self.port),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn hostile_text_never_panics_and_what_is_read_reads_the_same_again(text in ".{0,300}") {
            if let Ok(to) = text.parse::<Destination>() {
                prop_assert_eq!(to.to_string().parse::<Destination>(), Ok(to));
            }
        }
    }

    #[test]
    fn two_spellings_of_one_place_are_equal() {
        for (one, other) in [
            ("Example.ORG.:443", "example.org:443"),
            ("[2001:DB8:0::1]:80", "[2001:db8::1]:80"),
            ("[::ffff:192.0.2.1]:80", "192.0.2.1:80"),
        ] {
            assert_eq!(one.parse::<Destination>(), other.parse(), "{one}");
        }
    }

    #[test]
    fn what_has_no_clear_meaning_is_refused() {
        for bad in [
            "",
            ":80",
            "a",
            "a:0",
            "a:65536",
            "a:+80",
            "a:80:80",
            "a..b:80",
            "-a:80",
            "a b:80",
            "a\0:80",
            "user@a:80",
            "0177.0.0.1:80",
            "127.1:80",
            "2130706433:80",
            "0x7f000001:80",
            "[::1:80",
            "[::1]80",
            "[::1%lo]:80",
        ] {
            assert!(bad.parse::<Destination>().is_err(), "{bad:?}");
        }
    }
}
