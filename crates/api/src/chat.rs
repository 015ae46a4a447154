//! Talking to an agent: turns, and the sessions they belong to.
//!
//! `POST /v1/agents/{agent}/chat` with `Accept: text/event-stream` answers the turn's events as they
//! come ([`creel_domain::TurnEvent`], each event's id its number); otherwise the finished [`Turn`].
//! `GET /v1/agents/{agent}/turns/{turn}` does the same for a turn that exists, from `Last-Event-ID` on.
//! `DELETE` on it stops it. Hanging up does not. Both forms of the first answer carry the turn's own
//! address as `Location`, so that whoever loses the stream can come back.

use creel_domain::{AgentId, SessionName, TurnFailure, TurnId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChatRequest {
    /// What to say: 1 byte to 256 KiB.
    pub message: String,
    /// `main` when absent; made when it does not exist.
    #[serde(default)]
    pub session: SessionName,
}

/// A turn and how it ended, if it did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Turn {
    pub id: TurnId,
    pub agent: AgentId,
    pub session: SessionName,
    pub message: String,
    pub state: TurnState,
    /// The answer; empty while there is none.
    pub text: String,
    pub tools: Vec<ToolCall>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<TurnFailure>,
    pub created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TurnState {
    Running,
    Done,
    Failed,
    Cancelled,
}

/// `GET /v1/turns`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TurnList {
    /// Newest first.
    pub items: Vec<Turn>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// A tool that the agent used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ToolCall {
    pub name: String,
    /// JSON text; cut at 16 KiB.
    pub arguments: String,
    /// What it gave back; cut at 16 KiB. Absent when the turn ended before it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ok: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Session {
    pub name: SessionName,
    pub turns: u64,
    pub last_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SessionList {
    pub items: Vec<Session>,
}

/// One side of a turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Message {
    pub turn: TurnId,
    pub role: Role,
    pub text: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<ToolCall>,
    /// Of an agent's message: how its turn stands. `text` then is what there is of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<TurnState>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<TurnFailure>,
    pub at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    User,
    Agent,
}

/// Oldest first within a page; the first page holds the newest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MessageList {
    pub items: Vec<Message>,
    /// Give it as `cursor` to get what came before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}
