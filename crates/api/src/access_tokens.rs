//! Short-lived access tokens: JWTs that anybody can check with the published keys. `POST /v1/access-tokens`.

use std::{collections::BTreeSet, fmt};

use creel_domain::Scope;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::TokenType;

/// `POST /v1/access-tokens`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateAccessToken {
    /// None of them may be more than the caller has. Absent: all that the caller has but `tokens:write`, which would
    /// let a token of minutes make one of years; name it to have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<BTreeSet<Scope>>,
}

/// A JWT that is good for ten minutes. It speaks for the caller, in their org, and ends early with the API token that
/// it was made from, or with the membership.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AccessToken {
    pub access_token: String,
    pub token_type: TokenType,
    /// Seconds.
    pub expires_in: u64,
    /// Scopes with spaces between them.
    pub scope: String,
}

/// Without the token: debug output ends up in logs.
impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessToken")
            .field("expires_in", &self.expires_in)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}
