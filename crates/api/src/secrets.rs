//! `/v1/secrets`: values that go in and never come out, the key that seals them, and an org's own key.

use creel_domain::{AgentId, SecretName};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{ErrorCode, Secret};

/// Everything about a secret but its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SecretEntry {
    pub name: SecretName,
    /// Absent: the whole org's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentId>,
    /// Grows by one each time it is set.
    pub version: u64,
    pub created_at: Timestamp,
    pub changed_at: Timestamp,
    /// The user who set it last, by their id.
    pub changed_by: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SecretList {
    pub items: Vec<SecretEntry>,
}

/// `PUT /v1/secrets/{secret}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetSecret {
    /// 1 to 65 536 bytes of text.
    #[schema(write_only)]
    pub value: Secret,
}

/// The key that seals the org's secrets and its providers' keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SecretRotation {
    /// The newest version of the key; 0 before anything was sealed.
    pub key_version: u64,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Whether an older version is still there. It is destroyed when nothing needs it.
    pub rotating: bool,
    /// Values that are still sealed with an older version.
    pub remaining: u64,
    /// Why it does not go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<KeyProblem>,
}

/// Why a key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyProblem {
    pub code: ErrorCode,
    pub detail: String,
}

/// A key of the org's own, in its Vault: nothing of the org's is opened without it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OwnKey {
    #[schema(example = "https://vault.example.com:8200")]
    pub address: String,
    /// Where Transit is mounted.
    pub mount: String,
    pub name: String,
    pub changed_at: Timestamp,
    /// The user who set it, by their id.
    pub changed_by: String,
    /// Why it cannot be used now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<KeyProblem>,
}

/// `PUT /v1/secrets/key`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetOwnKey {
    /// Must be `https://`.
    pub address: String,
    /// `transit` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount: Option<String>,
    pub name: String,
    /// May encrypt and decrypt with this key, and needs nothing else. Kept sealed.
    #[schema(write_only)]
    pub token: Secret,
}

/// `/v1/platform/master-key`: what wraps every key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MasterKey {
    /// Says which key it is and nothing about it.
    #[schema(example = "vault:transit/creel")]
    pub id: String,
    /// When its last exchange began.
    pub began_at: Timestamp,
    /// Absent: the exchange is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// Keys that are not wrapped anew, and values of the platform that are not sealed anew.
    pub remaining: u64,
}
