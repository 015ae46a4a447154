//! What the name in a request means: Creel itself, an agent, or nothing that is served here.

use std::net::IpAddr;

use creel_domain::{AgentHost, DomainName};
use creel_protocol::edge::Face;
use http::uri::Authority;

/// Under which names Creel and its agents are reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// Creel's own host, without a port.
    pub own: String,
    /// As browsers write it: `https://creel.example.com:8443`.
    pub own_url: String,
    /// Below which agents have names of their own.
    pub agents: Option<String>,
}

/// Whom a request is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum For {
    Platform,
    /// An agent, at a name of its own.
    Agent(Face),
    /// An agent, at Creel's own name below `/a/FACE`.
    AgentByPath(Face),
    /// An agent, if its owner has proven that this name is theirs.
    Domain(DomainName),
    /// A path that no agent can have.
    Nobody,
    Unknown,
}

/// Where agents are reached at Creel's own name.
const BY_PATH: &str = "/a/";

impl Names {
    pub(crate) fn read(&self, authority: &Authority, path: &str) -> For {
        let host = authority.host().trim_end_matches('.').to_ascii_lowercase();
        if self.is_own(&host) {
            return match path.strip_prefix(BY_PATH) {
                None => For::Platform,
                Some(rest) => {
                    let face = rest.split('/').next().unwrap_or_default();
                    AgentHost::read(face).map_or(For::Nobody, |host| For::AgentByPath(host.into()))
                }
            };
        }
        let label = self
            .agents
            .as_deref()
            .and_then(|domain| host.strip_suffix(domain)?.strip_suffix('.'));
        match label {
            Some(label) => AgentHost::read(label).map_or(For::Nobody, |host| For::Agent(host.into())),
            // Not what is left of the agents' domain when no agent is named.
            None if self.agents.as_deref() == Some(host.as_str()) => For::Unknown,
            None => host.parse().map_or(For::Unknown, For::Domain),
        }
    }

    /// Its name, and any address: names that lead here without being known may be somebody's who wants a browser to
    /// take our pages for theirs.
    fn is_own(&self, host: &str) -> bool {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        host == self.own || host == "localhost" || bare.parse::<IpAddr>().is_ok()
    }
}

/// The path below `/a/FACE`, as the agent sees it.
pub(crate) fn below(path: &str) -> &str {
    let rest = path.strip_prefix(BY_PATH).unwrap_or(path);
    rest.find('/').map_or("", |slash| &rest[slash..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(own: &str, agents: Option<&str>) -> Names {
        Names {
            own: own.to_owned(),
            own_url: format!("https://{own}"),
            agents: agents.map(str::to_owned),
        }
    }

    fn domain(name: &str) -> For {
        For::Domain(name.parse().expect("a domain"))
    }

    fn face(label: &str, port: Option<u16>) -> Face {
        Face {
            label: label.to_owned(),
            port,
        }
    }

    #[test]
    fn each_name_means_one_thing() {
        let names = names("creel.example.com", Some("agents.example.net"));
        for (authority, path, expected) in [
            ("creel.example.com", "/v1/agents", For::Platform),
            ("CREEL.example.com.:8443", "/a", For::Platform),
            ("127.0.0.1:7300", "/", For::Platform),
            ("[::1]:7300", "/", For::Platform),
            ("localhost:7300", "/", For::Platform),
            (
                "creel.example.com",
                "/a/scout/x",
                For::AgentByPath(face("scout", None)),
            ),
            (
                "creel.example.com",
                "/a/scout--80",
                For::AgentByPath(face("scout", Some(80))),
            ),
            ("creel.example.com", "/a/", For::Nobody),
            ("creel.example.com", "/a/../v1/agents", For::Nobody),
            ("creel.example.com", "/a/%73cout/", For::Nobody),
            (
                "scout.agents.example.net",
                "/a/b",
                For::Agent(face("scout", None)),
            ),
            (
                "Scout--3000.Agents.example.net:443",
                "/",
                For::Agent(face("scout", Some(3000))),
            ),
            ("a.b.agents.example.net", "/", For::Nobody),
            ("agents.example.net", "/", For::Unknown),
            ("chat.example.org", "/a/b", domain("chat.example.org")),
            ("CHAT.example.org.:443", "/", domain("chat.example.org")),
            (
                "creel.example.com.evil.example",
                "/",
                domain("creel.example.com.evil.example"),
            ),
            ("xagents.example.net", "/", domain("xagents.example.net")),
            ("a_b.example.org", "/", For::Unknown),
            ("intranet", "/", For::Unknown),
        ] {
            let authority: Authority = authority.parse().expect("an authority");
            assert_eq!(names.read(&authority, path), expected, "{authority} {path}");
        }
    }

    #[test]
    fn an_agent_sees_its_own_paths() {
        for (path, seen) in [("/a/scout/x/y", "/x/y"), ("/a/scout/", "/"), ("/a/scout", "")] {
            assert_eq!(below(path), seen);
        }
    }
}
