//! `GET /v1/usage`: what model calls used and cost. Tokens are the providers' own counts.

use creel_domain::MicroUsd;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UsageGroup {
    #[default]
    Agent,
    Model,
    /// UTC days.
    Day,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageReport {
    pub from: Timestamp,
    pub to: Timestamp,
    pub group: UsageGroup,
    pub items: Vec<UsageRow>,
    pub total: UsageRow,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageRow {
    /// An agent's id, a model's name or a day; empty in the total.
    pub key: String,
    /// The agent's name, where `key` is an agent that still exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub calls: u64,
    /// Calls whose provider reported no usage: their tokens and cost are not in the sums.
    pub calls_without_usage: u64,
    /// Calls of models without a known price: their cost is not in the sum.
    pub calls_without_price: u64,
    pub input_tokens: u64,
    /// Part of `input_tokens` that the provider had cached.
    pub cached_input_tokens: u64,
    pub output_tokens: u64,
    pub cost_micro_usd: MicroUsd,
}
