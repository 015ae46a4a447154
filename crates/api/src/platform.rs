//! Who is asking, and what they are asking.

use std::collections::BTreeSet;

use creel_domain::{ImageName, MemberRole, OrgId, Runtime, Scope, UserId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /v1/version`; needs no token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Version {
    pub version: String,
}

/// `GET /v1/whoami`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Identity {
    pub org: OrgId,
    pub org_name: String,
    pub user: UserId,
    pub user_name: String,
    pub role: MemberRole,
    /// What the caller may do here and now.
    pub scopes: BTreeSet<Scope>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Image {
    pub name: ImageName,
    pub version: String,
    #[serde(flatten)]
    pub state: ImageProgress,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum ImageProgress {
    Absent,
    Building { percent: u8, step: String },
    Ready { built_at: Timestamp, bytes: u64 },
    Failed { reason: String },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImageList {
    pub items: Vec<Image>,
}

/// `GET /v1/host`: what the supervisor found by trying.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Host {
    pub backend: String,
    pub tried: Vec<String>,
    pub sandboxes: u32,
    pub paging: HostPaging,
    /// Sandboxes kept ready for new agents, for each runtime of which there are to be any.
    pub spares: Vec<HostSpares>,
}

/// Sandboxes of one runtime that are kept ready: a new agent with the usual limits gets one, and need not wait for a
/// start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HostSpares {
    pub runtime: Runtime,
    pub wanted: u32,
    pub ready: u32,
    /// Being started.
    pub preparing: u32,
    /// Why there are fewer than wanted, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<String>,
}

/// Whether agents that sleep can be paged out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HostPaging {
    pub works: bool,
    /// A sentence.
    pub found: String,
    /// What to do about it; empty when it works.
    pub next: String,
}

/// `POST /v1/sign-in-links`: opens the web page once, for whoever holds it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SignInLink {
    /// A path on this server, with the secret: `/sign-in?code=…`.
    pub path: String,
    pub expires_at: Timestamp,
}

/// Without the path: debug output ends up in logs.
impl std::fmt::Debug for SignInLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignInLink")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}
