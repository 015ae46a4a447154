//! `GET /v1/events`: what happened in the org, in order. JSON pages, or a stream by `Accept`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Counts up by one within the org; the event's id in a stream.
    pub sequence: u64,
    /// `agent.created`, `agent.changed`, `agent.state`, `agent.deleted`, `turn.started`,
    /// `turn.finished`, `provider.added`, `provider.removed`.
    pub kind: String,
    /// What it is about: an id.
    pub subject: String,
    pub at: Timestamp,
    /// Depends on `kind`.
    #[schema(value_type = Object)]
    pub data: serde_json::Value,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EventList {
    pub items: Vec<Event>,
    /// Give it as `after` to go on.
    pub last_sequence: u64,
}
