//! What the edge asks of control, on `run/edge/edge.sock`: may this request come to that agent, and keep the agent awake
//! while it is there.
//!
//! | | |
//! |---|---|
//! | `POST /v1/lease` | body [`Knock`]; answers JSON lines of [`LeaseEvent`] until one of them is the last |
//! | `POST /v1/enter` | body [`Enter`]; answers [`Entered`], or [`Refused`] with its status |
//! | `POST /v1/name` | body [`NameAsked`]; answers [`NameAnswer`] |
//! | `POST /v1/certificate` | body [`CertificateAsked`]; answers [`CertificateAnswer`], perhaps after half a minute |
//! | `POST /v1/challenge` | body [`ChallengeAsked`]; answers [`ChallengeAnswer`] |
//!
//! A lease is an answer that stays open. As long as it does, the agent does not fall asleep; whoever lets go of it has
//! no more need. A control that dies takes its leases with it, and they are asked for again.

use std::{fmt, net::IpAddr};

use creel_domain::{AgentHost, AgentId, DomainName, SandboxId};
use serde::{Deserialize, Serialize};

/// On requests that the edge hands on to control's public API: whose they are, as `address:port`.
pub const PEER_HEADER: &str = "x-creel-peer";
/// The longest body of a question, in bytes.
pub const QUESTION_BYTES: usize = 64 * 1024;
/// The longest line of an answer.
pub const LINE_BYTES: usize = 16 * 1024;
/// An open lease says at least so often that it is; one that does not for three times as long is lost.
pub const ALIVE_EVERY: std::time::Duration = std::time::Duration::from_secs(10);

/// A secret of somebody's, which no log shows.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hidden(pub String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

/// Which agent, and which of its ports.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Face {
    /// The agent's label, unique on the platform; or a domain of its owner's, which has a dot.
    pub label: String,
    /// None: the agent's own page, or where the owner has its domain lead.
    pub port: Option<u16>,
}

impl Face {
    pub fn is_domain(&self) -> bool {
        self.label.contains('.')
    }

    /// The name that a browser sees, without what all agents have in common. What it got under one is worth nothing
    /// under another.
    pub fn host(&self) -> String {
        let host = AgentHost {
            label: self.label.clone(),
            port: self.port,
        };
        host.to_string()
    }
}

impl From<DomainName> for Face {
    fn from(name: DomainName) -> Self {
        Self {
            label: name.into(),
            port: None,
        }
    }
}

impl From<AgentHost> for Face {
    fn from(host: AgentHost) -> Self {
        Self {
            label: host.label,
            port: host.port,
        }
    }
}

/// What a request shows to say by what right it comes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shown {
    Nothing,
    /// An API token, or a JWT.
    Token(Hidden),
    /// What a browser got when it entered.
    Access(Hidden),
    /// A session's cookie, at Creel's own address.
    Session(Hidden),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Knock {
    pub face: Face,
    pub shown: Shown,
    pub address: IpAddr,
}

/// One line of a lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum LeaseEvent {
    /// It may come, and has to wait.
    Waking(Waking),
    Ready(Place),
    /// The last one: it may not come, or cannot.
    Refused(Refused),
    /// The last one: what was ready is so no more, or no more to this caller. Why, in a few words.
    Ended {
        why: String,
    },
    /// The agent was put to sleep. A lease that no request uses is let go of, so that it may; one that is used wakes it
    /// again.
    Rests,
    /// Nothing has changed.
    Alive,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waking {
    /// The agent's name.
    pub name: String,
    /// What it waits for, in a few words.
    pub why: String,
}

/// Where a request is to go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub agent: AgentId,
    /// The agent's name.
    pub name: String,
    pub sandbox: SandboxId,
    /// On loopback, inside.
    pub port: u16,
    /// Who comes: a user's id. None: somebody with a link, or anybody.
    pub user: Option<String>,
    /// Whether only some may come.
    pub private: bool,
    /// Whether it is the runtime's own page: behind it is all that the agent can do.
    pub runtime: bool,
}

/// Why not: what becomes of it for a person or a program is the edge's matter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{detail}")]
pub struct Refused {
    pub status: u16,
    /// A code of docs/errors.
    pub code: String,
    pub title: String,
    /// A sentence, for people.
    pub detail: String,
    /// Worth another try after so many seconds.
    pub retry_after: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enter {
    pub face: Face,
    pub with: EnterWith,
    pub address: IpAddr,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnterWith {
    /// From Creel's own address, where somebody is signed in.
    Ticket(Hidden),
    /// A share link's secret.
    Link(Hidden),
}

/// Whether a name that is neither Creel's nor below the agents' domain leads to an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NameAsked {
    pub name: DomainName,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameAnswer {
    pub served: bool,
}

/// What to show to whoever comes to a name over TLS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateAsked {
    pub name: String,
    /// An authority wants its proof that the name is reached here.
    pub challenge: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CertificateAnswer {
    Ready {
        /// The chain, its own certificate first, then the key: PEM.
        pem: Hidden,
    },
    /// There is none yet. Why, in a sentence.
    Later { why: String },
    /// There is nothing under this name.
    Unknown,
}

/// What an authority looks for over plain HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChallengeAsked {
    pub name: String,
    pub token: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChallengeAnswer {
    pub proof: Option<String>,
}

/// A browser may come from now on, showing this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entered {
    pub access: Hidden,
    pub seconds: u32,
}
