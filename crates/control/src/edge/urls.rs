//! Where agents are reached: below the agents' domain, or by path at Creel's own address.

use std::net::IpAddr;

use creel_domain::{AgentHost, DomainName};

use crate::PublicUrl;

/// The text cannot be the agents' domain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadAgentDomain {
    #[error("`{0}` is not a domain: write it as agents.example.com")]
    Form(String),
    #[error(
        "agents' pages are somebody else's and must not be siblings of Creel's own name under a wider one: `{domain}` is Creel's own name or above it; take another domain, or one below Creel's own, such as agents.{own}"
    )]
    Own { domain: String, own: String },
}

/// How the addresses of agents are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AgentUrls {
    own: PublicUrl,
    /// None: there is no domain for agents, and they are reached by path.
    domain: Option<String>,
}

/// Under which names the edge serves Creel and its agents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// Creel's own host, without a port.
    pub own: String,
    /// As browsers write it: `https://creel.example.com:8443`.
    pub own_url: String,
    /// Below which agents have names of their own.
    pub agents: Option<String>,
}

/// What browsers take for this host, whatever stands before it.
const LOCALHOST: &str = "localhost";

impl AgentUrls {
    /// `domain` as it was configured. Creel on loopback needs none: every name below `localhost` leads there.
    pub(crate) fn new(own: &PublicUrl, domain: Option<&str>) -> Result<Self, BadAgentDomain> {
        let domain = match domain {
            Some(LOCALHOST) => Some(LOCALHOST.to_owned()),
            Some(text) => {
                let name: DomainName = text
                    .parse()
                    .map_err(|_| BadAgentDomain::Form(text.chars().take(80).collect()))?;
                // A page at `own` or above it could be an agent's.
                if own.host() == name.as_str() {
                    return Err(BadAgentDomain::Own {
                        domain: name.to_string(),
                        own: own.host().to_owned(),
                    });
                }
                Some(name.to_string())
            }
            None if own.is_https() => None,
            None => Some(LOCALHOST.to_owned()),
        };
        Ok(Self {
            own: own.clone(),
            domain,
        })
    }

    pub(crate) fn names(&self) -> Names {
        Names {
            own: self.own.host().to_ascii_lowercase(),
            own_url: self.own.to_string(),
            agents: self.domain.clone(),
        }
    }

    /// Without a slash at its end; by path with one.
    pub(crate) fn of(&self, host: &AgentHost) -> String {
        match &self.domain {
            Some(domain) => {
                let scheme = if self.own.is_https() { "https" } else { "http" };
                let port = self.own.port().map(|port| format!(":{port}")).unwrap_or_default();
                format!("{scheme}://{host}.{domain}{port}")
            }
            None => self.by_path(host),
        }
    }

    /// The address of an owner's domain.
    pub(crate) fn of_domain(&self, name: &DomainName) -> String {
        let scheme = if self.own.is_https() { "https" } else { "http" };
        let port = self.own.port().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{scheme}://{name}{port}")
    }

    /// Where an owner's domain has to point, as a kind of DNS record and its value: to the agent's own name where it has
    /// one in DNS, else to Creel's.
    pub(crate) fn points_to(&self, label: &str) -> (&'static str, String) {
        if let Some(domain) = self.domain.as_deref().filter(|domain| *domain != LOCALHOST) {
            return ("CNAME", format!("{label}.{domain}"));
        }
        let host = self.own.host().trim_start_matches('[').trim_end_matches(']');
        let kind = match host.parse() {
            Ok(IpAddr::V4(_)) => "A",
            Ok(IpAddr::V6(_)) => "AAAA",
            Err(_) => "CNAME",
        };
        (kind, host.to_owned())
    }

    pub(crate) fn by_path(&self, host: &AgentHost) -> String {
        format!("{}/a/{host}/", self.own)
    }

    /// Which agent an address leads to; none: it is no agent's.
    pub(crate) fn read(&self, url: &http::Uri) -> Option<AgentHost> {
        let domain = self.domain.as_deref()?;
        let label = self.host_of(url)?.strip_suffix(domain)?.strip_suffix('.')?;
        AgentHost::read(label)
    }

    /// Which owner's domain an address may be of, if it is one of ours at all.
    pub(crate) fn read_domain(&self, url: &http::Uri) -> Option<DomainName> {
        let name: DomainName = self.host_of(url)?.parse().ok()?;
        let ours = |domain: &str| name.is_within(domain);
        (!ours(&self.own.host().to_ascii_lowercase()) && !self.domain.as_deref().is_some_and(ours))
            .then_some(name)
    }

    /// The host of an address of this edge's.
    fn host_of<'u>(&self, url: &'u http::Uri) -> Option<&'u str> {
        let scheme = if self.own.is_https() { "https" } else { "http" };
        let authority = url.authority()?;
        let ours = url.scheme_str() == Some(scheme)
            && authority.port_u16() == self.own.port()
            && !authority.as_str().contains('@');
        ours.then(|| authority.host())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(own: &str, domain: Option<&str>) -> AgentUrls {
        AgentUrls::new(&own.parse().expect("an address"), domain).expect("a domain")
    }

    fn host(label: &str, port: Option<u16>) -> AgentHost {
        AgentHost {
            label: label.to_owned(),
            port,
        }
    }

    #[test]
    fn what_is_written_is_read_again_and_nothing_else() {
        let local = urls("http://127.0.0.1:7300", None);
        let remote = urls("https://creel.example.com", Some("agents.example.net"));
        for (urls, written) in [
            (&local, "http://scout--3000.localhost:7300"),
            (&remote, "https://scout--3000.agents.example.net"),
        ] {
            let scout = host("scout", Some(3000));
            assert_eq!(urls.of(&scout), written);
            let uri = format!("{written}/path?a=b").parse().expect("an address");
            assert_eq!(urls.read(&uri), Some(scout));
        }
        for text in [
            "https://scout.localhost:7300/",
            "http://scout.localhost/",
            "http://scout.localhost.evil.example:7300/",
            "http://evil@scout.localhost:7300/",
            "http://localhost:7300/",
            "http://a.b.localhost:7300/",
            "/scout",
        ] {
            assert_eq!(local.read(&text.parse().expect("an address")), None, "{text}");
        }
    }

    #[test]
    fn an_owners_domain_has_an_address_and_points_somewhere() {
        let local = urls("http://127.0.0.1:7300", None);
        let remote = urls("https://creel.example.com", Some("agents.example.net"));
        let bare = urls("https://creel.example.com", None);
        let chat: DomainName = "chat.example.org".parse().expect("a domain");
        for (urls, written, kind, value) in [
            (&local, "http://chat.example.org:7300", "A", "127.0.0.1"),
            (
                &remote,
                "https://chat.example.org",
                "CNAME",
                "scout.agents.example.net",
            ),
            (&bare, "https://chat.example.org", "CNAME", "creel.example.com"),
        ] {
            assert_eq!(urls.of_domain(&chat), written);
            assert_eq!(urls.points_to("scout"), (kind, value.to_owned()));
            let uri = format!("{written}/path?a=b").parse().expect("an address");
            assert_eq!(urls.read_domain(&uri), Some(chat.clone()));
        }
        for text in [
            "http://chat.example.org/",
            "https://chat.example.org:8443/",
            "https://evil@chat.example.org/",
            "https://creel.example.com/",
            "https://scout.agents.example.net/",
            "https://192.0.2.1/",
        ] {
            assert_eq!(
                remote.read_domain(&text.parse().expect("an address")),
                None,
                "{text}"
            );
        }
    }

    #[test]
    fn without_a_domain_there_are_paths() {
        let bare = urls("https://creel.example.com", None);
        assert_eq!(
            bare.of(&host("scout", None)),
            "https://creel.example.com/a/scout/"
        );
    }

    #[test]
    fn agents_do_not_live_at_creels_own_name() {
        let own = "https://creel.example.com".parse().expect("an address");
        assert!(AgentUrls::new(&own, Some("creel.example.com")).is_err());
        assert!(AgentUrls::new(&own, Some("not a domain")).is_err());
        assert!(AgentUrls::new(&own, Some("agents.creel.example.com")).is_ok());
    }
}
