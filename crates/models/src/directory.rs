//! Where a provider is and with which key it is called.

use std::{fmt, sync::Arc};

use creel_domain::{AgentId, Name, OrgId, ProviderId, ProviderKind};
use futures_util::future::BoxFuture;
use reqwest::Url;
use zeroize::Zeroizing;

/// Finds the providers that an org has configured.
pub trait Directory: Send + Sync + 'static {
    /// As the agent calls it. `None`: the org has no provider of this name. The built-in one is never asked for.
    fn provider(
        &self,
        org: OrgId,
        agent: AgentId,
        name: Name,
    ) -> BoxFuture<'_, Result<Option<Provider>, DirectoryError>>;
}

#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The caller is told to try again, the reason goes to the log.
    #[error("the provider could not be looked up")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The caller is told: its owner can do something about it.
    #[error("{message} ({code})")]
    Refused { code: &'static str, message: String },
}

/// A provider as it is called.
#[derive(Debug, Clone)]
pub struct Provider {
    /// None for the built-in one.
    pub id: Option<ProviderId>,
    pub name: Name,
    pub kind: ProviderKind,
    pub base_url: BaseUrl,
    pub key: Option<Key>,
    /// Whose key it is, as the record names it.
    pub key_of: Option<&'static str>,
}

impl Provider {
    /// The name of the built-in provider; none can be configured under it.
    pub const DEMO: &'static str = "demo";
}

/// Where the service itself is, for the kinds that are one service.
pub const fn own_address(kind: ProviderKind) -> Option<&'static str> {
    match kind {
        ProviderKind::Openai => Some("https://api.openai.com/v1"),
        ProviderKind::Anthropic => Some("https://api.anthropic.com/v1"),
        ProviderKind::Gemini => Some("https://generativelanguage.googleapis.com/v1beta"),
        ProviderKind::OpenaiCompatible | ProviderKind::Demo => None,
    }
}

/// The path that an address without one gets.
const fn version_path(kind: ProviderKind) -> &'static str {
    match kind {
        ProviderKind::Gemini => "/v1beta",
        _ => "/v1",
    }
}

/// The address that the paths of an API are appended to; it has a path, and no slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl(Url);

/// The text is no address that a provider can be called at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadBaseUrl {
    #[error("`{0}` is not an address: write it like https://models.example.org/v1")]
    NotAUrl(String),
    #[error("an openai-compatible provider needs its address: give one with --base-url")]
    Missing,
    #[error("the address must not contain a user name or password: give the key by itself")]
    Credentials,
    #[error("the address must end with its path: a `?` or `#` part cannot be used")]
    Query,
    #[error("a key would travel unencrypted to `{0}`: use https")]
    Unencrypted(String),
}

impl BaseUrl {
    /// Reads an address given by an operator; without one, the service's own.
    ///
    /// An address without a path gets the API's usual one (`/v1`, for Gemini `/v1beta`). Plain http
    /// is taken for openai-compatible ones, and for any kind on this host.
    pub fn parse(kind: ProviderKind, given: Option<&str>) -> Result<Self, BadBaseUrl> {
        let text = given.or(own_address(kind)).ok_or(BadBaseUrl::Missing)?;
        let shown = || text.chars().take(200).collect::<String>();
        let mut url = Url::parse(text).map_err(|_| BadBaseUrl::NotAUrl(shown()))?;
        let host = url.host_str().map(str::to_owned);
        let (Some(host), "http" | "https") = (host, url.scheme()) else {
            return Err(BadBaseUrl::NotAUrl(shown()));
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(BadBaseUrl::Credentials);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(BadBaseUrl::Query);
        }
        let here = host == "localhost"
            || host
                .trim_matches(['[', ']'])
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback());
        if url.scheme() == "http" && kind != ProviderKind::OpenaiCompatible && !here {
            return Err(BadBaseUrl::Unencrypted(host));
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(if path.is_empty() {
            version_path(kind)
        } else {
            &path
        });
        Ok(Self(url))
    }

    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The address of an operation; each segment is escaped, so a model's name cannot leave its place.
    pub(crate) fn join<'a>(&self, segments: impl IntoIterator<Item = &'a str>) -> Url {
        let mut url = self.0.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.extend(segments);
        }
        url
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A provider's key: never printed, wiped when the last copy is dropped.
#[derive(Clone)]
pub struct Key(Arc<Zeroizing<String>>);

/// The key cannot be sent in a header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a key is 1 to 4096 visible ASCII characters: check that all of it, and nothing else, was given")]
pub struct BadKey;

impl Key {
    pub fn new(text: String) -> Result<Self, BadKey> {
        let text = Zeroizing::new(text);
        let good = (1..=4096).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        if good {
            Ok(Self(Arc::new(text)))
        } else {
            Err(BadKey)
        }
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(kind: ProviderKind, text: &str) -> Result<String, BadBaseUrl> {
        BaseUrl::parse(kind, Some(text)).map(|url| url.to_string())
    }

    #[test]
    fn an_address_gets_the_usual_path_when_it_has_none() {
        use ProviderKind::{Anthropic, Gemini, OpenaiCompatible};
        for (kind, text, expected) in [
            (
                Anthropic,
                "https://api.anthropic.com",
                "https://api.anthropic.com/v1",
            ),
            (Gemini, "https://g.example/", "https://g.example/v1beta"),
            (
                OpenaiCompatible,
                "http://10.0.0.5:11434/v1/",
                "http://10.0.0.5:11434/v1",
            ),
            (
                OpenaiCompatible,
                "https://r.example/api/v1",
                "https://r.example/api/v1",
            ),
            (Anthropic, "http://127.0.0.1:9000", "http://127.0.0.1:9000/v1"),
            (Anthropic, "http://[::1]:9000", "http://[::1]:9000/v1"),
        ] {
            assert_eq!(parse(kind, text).as_deref(), Ok(expected));
        }
        for kind in ["openai", "anthropic", "gemini"] {
            let kind: ProviderKind = kind.parse().expect("a kind");
            assert!(BaseUrl::parse(kind, None).is_ok(), "{kind}");
        }
    }

    #[test]
    fn addresses_that_would_leak_or_mislead_are_refused() {
        use ProviderKind::{Openai, OpenaiCompatible};
        for (kind, text) in [
            (Openai, "http://api.example/v1"),
            (Openai, "http://localhost.example/v1"),
            (OpenaiCompatible, "https://user:pass@r.example/v1"),
            (OpenaiCompatible, "https://r.example/v1?key=1"),
            (OpenaiCompatible, "file:///etc/passwd"),
            (OpenaiCompatible, "unix:/run/x"),
            (OpenaiCompatible, ""),
        ] {
            assert!(parse(kind, text).is_err(), "{text}");
        }
        assert_eq!(BaseUrl::parse(OpenaiCompatible, None), Err(BadBaseUrl::Missing));
    }

    #[test]
    fn a_model_cannot_leave_its_place_in_the_path() {
        let base = BaseUrl::parse(ProviderKind::Gemini, None).expect("its own");
        assert_eq!(
            base.join(["models", "a/../../x?y#z:generateContent"]).as_str(),
            "https://generativelanguage.googleapis.com/v1beta/models/a%2F..%2F..%2Fx%3Fy%23z:generateContent"
        );
    }

    #[test]
    fn a_key_is_never_printed() {
        let key = Key::new("sk-secret".to_owned()).expect("a key");
        assert_eq!(format!("{key:?}"), "Key(…)");
        for bad in ["", "a b", "a\n", "schlüssel", &"x".repeat(4097)] {
            assert!(Key::new(bad.to_owned()).is_err(), "{bad:?}");
        }
    }
}
