//! Whom passkeys are made for: a domain, and the one page of it that may use them.

use std::net::IpAddr;

/// Passkeys belong to `id`; they are made and used at `origin` and nowhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelyingParty {
    id: String,
    origin: String,
}

impl RelyingParty {
    /// For a server at this host and port. None: browsers make no passkeys for it, because it is an address and no
    /// name, or is reached in the clear over a network.
    ///
    /// This host's own addresses have a name that browsers take, and treat as safe without TLS: `localhost`.
    pub fn at(https: bool, host: &str, port: Option<u16>) -> Option<Self> {
        let host = host.trim_matches(['[', ']']).to_ascii_lowercase();
        let id = match (https, host.parse::<IpAddr>()) {
            (false, Ok(IpAddr::V4(address))) if address == std::net::Ipv4Addr::LOCALHOST => {
                "localhost".to_owned()
            }
            (false, Ok(IpAddr::V6(address))) if address == std::net::Ipv6Addr::LOCALHOST => {
                "localhost".to_owned()
            }
            (false, Err(_)) if host == "localhost" => host,
            (true, Err(_)) if is_domain(&host) => host,
            _ => return None,
        };
        let (scheme, usual) = if https { ("https", 443) } else { ("http", 80) };
        // As browsers write it.
        let origin = match port.filter(|port| *port != usual) {
            Some(port) => format!("{scheme}://{id}:{port}"),
            None => format!("{scheme}://{id}"),
        };
        Some(Self { id, origin })
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn origin(&self) -> &str {
        &self.origin
    }
}

fn is_domain(host: &str) -> bool {
    let label = |label: &str| {
        let inside = label
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        inside && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    };
    // A name whose last label is a number is read as an address.
    let number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    host.len() <= 253 && host.split('.').all(label) && !host.rsplit('.').next().is_some_and(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passkeys_are_for_names_and_for_this_host() {
        for (https, host, port, found) in [
            (
                true,
                "creel.example.com",
                None,
                Some(("creel.example.com", "https://creel.example.com")),
            ),
            (
                true,
                "Creel.Example.com",
                Some(443),
                Some(("creel.example.com", "https://creel.example.com")),
            ),
            (
                true,
                "creel.example.com",
                Some(8443),
                Some(("creel.example.com", "https://creel.example.com:8443")),
            ),
            (
                true,
                "xn--bcher-kva.example",
                None,
                Some(("xn--bcher-kva.example", "https://xn--bcher-kva.example")),
            ),
            (
                false,
                "localhost",
                Some(7300),
                Some(("localhost", "http://localhost:7300")),
            ),
            (
                true,
                "localhost",
                Some(7300),
                Some(("localhost", "https://localhost:7300")),
            ),
            (
                false,
                "127.0.0.1",
                Some(7300),
                Some(("localhost", "http://localhost:7300")),
            ),
            (
                false,
                "[::1]",
                Some(7300),
                Some(("localhost", "http://localhost:7300")),
            ),
            (
                false,
                "127.0.0.1",
                Some(80),
                Some(("localhost", "http://localhost")),
            ),
            // Reached by an address that `localhost` is not.
            (false, "127.0.0.2", Some(7300), None),
            (true, "127.0.0.1", None, None),
            (true, "192.0.2.7", None, None),
            (true, "2001:db8::1", None, None),
            (true, "1.2.3", None, None),
            (true, "creel.example.com.", None, None),
            (true, "a_b.example.com", None, None),
            (true, "", None, None),
            (false, "creel.example.com", None, None),
        ] {
            let at = RelyingParty::at(https, host, port);
            let at = at.as_ref().map(|it| (it.id(), it.origin()));
            assert_eq!(at, found, "{https} {host} {port:?}");
        }
    }
}
