//! Signing in at somebody else's: `/v1/sso` for operators, `/v1/sign-in/with/{name}` and `/v1/me/identities` for
//! everybody.

use creel_domain::{Email, IdentityId, Name, SsoKind, SsoNewcomers};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Secret;

/// A provider whose word is taken for who somebody is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SsoProvider {
    pub name: Name,
    /// What its button says.
    pub label: String,
    pub kind: SsoKind,
    pub issuer: String,
    pub client_id: String,
    /// Whether a client secret is kept for it.
    pub has_client_secret: bool,
    /// Whom it lets in whom nobody knows yet.
    pub newcomers: SsoNewcomers,
    /// Only whose verified address is in one of these comes in; empty: everybody.
    pub email_domains: Vec<String>,
    /// What the provider must be told to send people back to.
    pub callback_url: String,
    pub created_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SsoProviderList {
    pub items: Vec<SsoProvider>,
}

/// `POST /v1/sso`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddSsoProvider {
    pub name: Name,
    pub kind: SsoKind,
    /// For `oidc` exactly as the provider calls itself; for `github` the server's address, if it is not github.com.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    pub client_id: String,
    /// Kept sealed. A public client has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(write_only)]
    pub client_secret: Option<Secret>,
    /// What its button says; absent: the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    #[serde(default)]
    pub newcomers: SsoNewcomers,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub email_domains: Vec<String>,
}

/// `POST /v1/sso/{name}/test`: whether it can be reached and says what is needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SsoTest {
    pub ok: bool,
    /// What was found, and what to do when it failed.
    pub detail: String,
}

/// A button of the sign-in page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SsoChoice {
    pub name: Name,
    pub label: String,
}

/// `POST /v1/sign-in/with/{name}`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BeginSso {
    /// The code of an invitation, for somebody new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invitation: Option<Secret>,
    /// The path of ours to land on afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_to: Option<String>,
}

/// Where the browser goes on; the answer has set a cookie without which it cannot come back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SsoBegun {
    pub url: String,
}

/// `POST /v1/me/identities`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkIdentity {
    /// The sign-in provider's name.
    pub provider: Name,
    /// The current one; not needed within 15 minutes of signing in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
}

/// Who the caller is elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LinkedIdentity {
    pub id: IdentityId,
    pub issuer: String,
    /// What the issuer calls them.
    pub subject: String,
    /// The sign-in provider with this issuer, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<SsoChoice>,
    /// As the issuer verified it when the identity was linked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    pub created_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LinkedIdentityList {
    pub items: Vec<LinkedIdentity>,
}
