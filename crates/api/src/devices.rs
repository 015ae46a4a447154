//! Devices: a new command line or connector asks, a person approves. `/v1/devices`, in the shape of RFC 8628.

use std::{collections::BTreeSet, fmt};

use creel_domain::{DeviceId, OrgId, Scope, UserId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `POST /v1/devices/authorize`; needs no token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AskForDevice {
    /// By which the person knows it: 1 to 100 characters.
    pub name: String,
    /// What it would like to do. The person who approves decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<BTreeSet<Scope>>,
}

/// Two codes: one to keep, one to show.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeviceAuthorization {
    /// For `POST /v1/devices/token`; never shown to anybody.
    pub device_code: String,
    /// What the person enters: eight letters, without those that look like others.
    pub user_code: String,
    /// Where the person enters it.
    pub verification_uri: String,
    /// The same with the code filled in.
    pub verification_uri_complete: String,
    /// Seconds that the codes are good for.
    pub expires_in: u64,
    /// Seconds between two questions.
    pub interval: u64,
}

/// `POST /v1/devices/token`; needs no token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceCode {
    pub device_code: String,
}

/// The token of a device that was approved, shown this once. It ends when the device is removed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeviceToken {
    pub access_token: String,
    pub token_type: TokenType,
    /// Scopes with spaces between them; absent: all that its user may do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Seconds; absent: until it is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<u64>,
    pub device: DeviceId,
    pub org: OrgId,
    pub org_name: String,
    /// For whom it speaks.
    pub user: UserId,
}

/// How a token is sent: `Authorization: Bearer TOKEN`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum TokenType {
    Bearer,
}

/// `POST /v1/devices/inspect` and `deny`: the code that the device shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserCode {
    /// Small or capital letters, with or without the dash.
    pub user_code: String,
}

/// What asks to be let in. Name and scopes are its own words; the address is where it asked from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeviceRequest {
    pub name: String,
    pub address: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<BTreeSet<Scope>>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

/// `POST /v1/devices/approve`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApproveDevice {
    pub user_code: String,
    /// What it may do; none of it may be more than the caller has. Absent: what it asked for as far as the caller
    /// has that, or where it did not say, all that the caller has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<BTreeSet<Scope>>,
    /// From now on; 60 seconds to 10 years. Absent: until it is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_seconds: Option<u64>,
}

/// A device that was let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Device {
    pub id: DeviceId,
    pub name: String,
    /// Where it asked from.
    pub address: String,
    /// Who approved it, and for whom it speaks.
    pub user: UserId,
    /// What it may do of what its user may; absent: all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<BTreeSet<Scope>>,
    pub created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Exact to ten minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeviceList {
    pub items: Vec<Device>,
}

// Without what is secret: debug output ends up in logs.

impl fmt::Debug for DeviceAuthorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceAuthorization")
            .field("expires_in", &self.expires_in)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for DeviceCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceCode").finish_non_exhaustive()
    }
}

impl fmt::Debug for DeviceToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceToken")
            .field("device", &self.device)
            .field("org", &self.org)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}
