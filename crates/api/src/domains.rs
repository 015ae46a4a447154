//! `/v1/agents/{agent}/domains`: domains of an agent's owner that lead to the agent.

use creel_domain::{AgentId, DomainName, Name};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A domain that leads to an agent, once DNS says that it is its owner's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Domain {
    pub name: DomainName,
    pub agent: AgentId,
    pub agent_name: Name,
    /// Which port it leads to, on loopback in the sandbox. Absent: the agent's page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub port: Option<u16>,
    #[schema(example = "https://chat.example.com")]
    pub url: String,
    pub state: DomainStatus,
    /// Since when it is in this state.
    pub since: Timestamp,
    /// It leads to its agent, but the proof is missing since then. Past a week it is taken out of service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Timestamp>,
    /// What the last check saw. Empty: there was none yet.
    pub seen: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked_at: Option<Timestamp>,
    /// Absent: not by itself; whoever wants it checked asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_check_at: Option<Timestamp>,
    /// What is to be set at whoever runs DNS for the domain: the proof first, then where the name points.
    pub records: Vec<DnsRecord>,
    /// Absent: Creel gets none for it, because it is not verified or certificates come from elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<DomainCertificate>,
    pub created_at: Timestamp,
}

/// The certificate that Creel gets for a domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DomainCertificate {
    /// Until when it is good. Absent: it was not got yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Timestamp>,
    /// Why the last attempt to get it, or to get it anew, came to nothing. Empty: it did not.
    pub problem: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DomainStatus {
    /// Not proven yet.
    Pending,
    /// It leads to its agent.
    Verified,
    /// Given up: it leads nowhere, and is not looked at until somebody asks.
    Failed,
}

impl DomainStatus {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Verified => "verified",
            Self::Failed => "failed",
        }
    }
}

/// A record of DNS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DnsRecord {
    /// `TXT`, `CNAME`, `A` or `AAAA`.
    #[schema(example = "TXT")]
    pub kind: String,
    #[schema(example = "_creel.chat.example.com")]
    pub name: String,
    pub value: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DomainList {
    pub items: Vec<Domain>,
}

/// `PUT /v1/agents/{agent}/domains/{domain}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutDomain {
    /// Which port it leads to. Absent: the agent's page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub port: Option<u16>,
}
