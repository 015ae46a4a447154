//! Operators of the platform: `/v1/operators`.

use creel_domain::{Email, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A user whose the platform is to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Operator {
    pub user: UserId,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// Without one they may not enter an org that is not theirs, nor make operators.
    pub second_factor: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OperatorList {
    /// The first one first; at most 100.
    pub items: Vec<Operator>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddOperator {
    /// The verified address of a user.
    pub email: Email,
}
