//! The address by which people reach this Creel: links in mails begin with it.

use std::{fmt, net::IpAddr, str::FromStr};

use creel_webauthn::RelyingParty;

/// `https://creel.example.com`, without anything after the host and port. Plain HTTP only where it does not leave
/// the host: a session's cookie must not cross a network in the clear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    text: String,
    https: bool,
    host: String,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPublicUrl {
    #[error("`{0}` is not the address of a server: write it as https://creel.example.com")]
    Form(String),
    #[error(
        "`{0}` would send sessions in the clear: put a server with TLS before Creel, and name its https:// address"
    )]
    Plain(String),
}

impl PublicUrl {
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn is_https(&self) -> bool {
        self.https
    }

    /// Without the port.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// None: the scheme's own.
    pub(crate) fn port(&self) -> Option<u16> {
        self.port
    }

    /// Whom passkeys are made for; none where there can be none.
    pub(crate) fn relying_party(&self) -> Option<RelyingParty> {
        RelyingParty::at(self.https, &self.host, self.port)
    }
}

impl FromStr for PublicUrl {
    type Err = BadPublicUrl;

    fn from_str(text: &str) -> Result<Self, BadPublicUrl> {
        let bad = || BadPublicUrl::Form(text.chars().take(200).collect());
        let url: http::Uri = text.trim().parse().map_err(|_| bad())?;
        let authority = url.authority().ok_or_else(bad)?;
        let nothing_more = matches!(url.path(), "" | "/") && url.query().is_none() && !text.contains('#');
        if !nothing_more || authority.as_str().contains('@') || authority.host().is_empty() {
            return Err(bad());
        }
        let https = match url.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(bad()),
        };
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        if !https && !here {
            return Err(BadPublicUrl::Plain(text.chars().take(200).collect()));
        }
        let scheme = if https { "https" } else { "http" };
        Ok(Self {
            text: format!("{scheme}://{authority}"),
            https,
            host,
            port: authority.port_u16(),
        })
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_safe_to_sign_in_at() {
        for (text, read) in [
            ("https://creel.example.com", "https://creel.example.com"),
            (
                "https://creel.example.com:8443/",
                "https://creel.example.com:8443",
            ),
            ("http://127.0.0.1:7300", "http://127.0.0.1:7300"),
            ("http://localhost:7300/", "http://localhost:7300"),
            ("http://[::1]:7300", "http://[::1]:7300"),
        ] {
            let url: PublicUrl = text.parse().expect(text);
            assert_eq!(url.as_str(), read);
        }
        for text in [
            "http://creel.example.com",
            "http://10.0.0.5:7300",
            "http://127.0.0.1.example.com",
        ] {
            assert!(
                matches!(text.parse::<PublicUrl>(), Err(BadPublicUrl::Plain(_))),
                "{text}"
            );
        }
        for text in [
            "",
            "creel.example.com",
            "ftp://creel.example.com",
            "https://",
            "https://a/b",
            "https://a?b",
            "https://a#b",
            "https://user@a",
            "https://a b",
        ] {
            assert!(
                matches!(text.parse::<PublicUrl>(), Err(BadPublicUrl::Form(_))),
                "{text}"
            );
        }
    }
}
