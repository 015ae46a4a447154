//! `/v1/providers`: where model calls go. A key goes in and never comes out.

use creel_domain::{Name, ProviderId, ProviderKind, SecretName};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Provider {
    /// Absent for the built-in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<ProviderId>,
    /// The first part of a model's name.
    pub name: Name,
    pub kind: ProviderKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// Whether a key is kept for it.
    pub has_key: bool,
    /// The org's secret that is its key, looked up at each call; an agent's own secret of this name comes first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_secret: Option<SecretName>,
    /// Whether it is the platform's: every org may use it, and its operators alone change it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub platform: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProviderList {
    pub items: Vec<Provider>,
}

/// `POST /v1/providers`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddProvider {
    pub name: Name,
    pub kind: ProviderKind,
    /// Required for `openai-compatible`; the service's own address otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// Kept sealed. Some openai-compatible services need none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(write_only)]
    pub key: Option<String>,
    /// Instead of `key`: the name of the org's secret that is the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_secret: Option<SecretName>,
}

/// Without the key: debug output ends up in logs.
impl std::fmt::Debug for AddProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AddProvider")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("base_url", &self.base_url)
            .field("key_secret", &self.key_secret)
            .finish_non_exhaustive()
    }
}

/// `POST /v1/providers/{name}/test`: a small real call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProviderTest {
    pub ok: bool,
    /// What came of it, and what to do when it failed.
    pub detail: String,
    pub duration_ms: u64,
    /// The models that it lists, without the provider's name: at most 500, and empty where it tells none.
    #[serde(default)]
    pub models: Vec<String>,
}
