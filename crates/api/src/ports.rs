//! `/v1/agents/{agent}/ports`: ports of a sandbox that are reached from outside, and links that open them.

use creel_domain::{PortAccess, ShareLinkId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Secret;

/// A port of an agent's that can be reached from outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Port {
    /// On loopback, in the sandbox.
    #[schema(minimum = 1)]
    pub port: u16,
    pub access: PortAccess,
    /// Whether it is what the agent's own address leads to.
    pub page: bool,
    /// Whether it is the runtime's own, which is there without being published.
    pub built_in: bool,
    #[schema(example = "https://scout--3000.agents.example.com")]
    pub url: String,
    /// At Creel's own address, for programs: pages that browsers open there cannot use what is kept for their address.
    #[schema(example = "https://creel.example.com/a/scout--3000/")]
    pub path_url: String,
    /// Absent: it was there from the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PortList {
    pub items: Vec<Port>,
}

/// `PUT /v1/agents/{agent}/ports/{port}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishPort {
    #[serde(default)]
    pub access: PortAccess,
    /// It becomes what the agent's own address leads to.
    #[serde(default)]
    pub page: bool,
}

/// A link that opens a private port to whoever has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShareLink {
    pub id: ShareLinkId,
    pub port: u16,
    pub name: String,
    pub expires_at: Timestamp,
    pub created_at: Timestamp,
    /// The user who made it, by their id.
    pub created_by: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShareLinkList {
    pub items: Vec<ShareLink>,
}

/// `POST /v1/agents/{agent}/share-links`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateShareLink {
    /// A published one.
    pub port: u16,
    /// For yourself: whom it is for. At most 100 characters.
    #[serde(default)]
    pub name: String,
    /// 60 seconds to 90 days; a week when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_seconds: Option<u32>,
}

/// A link, the one time that it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewShareLink {
    #[serde(flatten)]
    pub link: ShareLink,
    /// Opens the port in a browser.
    pub url: Secret,
}
