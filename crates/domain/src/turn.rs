//! One exchange: a message to an agent and everything that came of it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{AgentId, SessionName, TurnId};

/// A turn as the store knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    pub id: TurnId,
    pub agent: AgentId,
    pub session: SessionName,
    pub message: String,
    /// The runtime does the jobs that it has planned itself; the message only says so.
    pub own_jobs: bool,
    pub status: TurnStatus,
    pub created_at: Timestamp,
}

/// Where a turn stands. Terminal states carry when and what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "status")]
pub enum TurnStatus {
    /// Accepted; perhaps already with the runtime.
    Running,
    Done {
        text: String,
        finished_at: Timestamp,
    },
    Failed {
        failure: TurnFailure,
        finished_at: Timestamp,
    },
    Cancelled {
        finished_at: Timestamp,
    },
}

/// Why a turn ended without an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TurnFailure {
    /// A code of `docs/errors`, such as `model_failed`, `runtime_crashed`, `turn_too_long`.
    pub code: String,
    /// A sentence for the person who asked.
    pub message: String,
}

/// A tool that the agent used in a turn, as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolRecord {
    pub name: String,
    /// JSON text; cut at 16 KiB.
    pub arguments: String,
    /// Absent when the turn ended before it gave anything back.
    pub output: Option<String>,
    pub ok: Option<bool>,
}

/// What happens in a turn, in order. The same shape from the runtime's bridge to the API's stream.
///
/// Exactly one of `done`, `failed` and `cancelled` ends the stream; nothing follows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum TurnEvent {
    /// The runtime has the message.
    Started,
    /// More of the answer's text.
    Text {
        delta: String,
    },
    /// The agent uses a tool.
    ToolStarted {
        /// Pairs with the `tool_finished` of the same turn.
        tool_id: String,
        name: String,
        /// The arguments as the model gave them, as JSON text; cut at 16 KiB.
        arguments: String,
    },
    ToolFinished {
        tool_id: String,
        ok: bool,
        /// What the tool gave back, as text; cut at 16 KiB.
        output: String,
    },
    /// The whole answer.
    Done {
        text: String,
    },
    Failed(TurnFailure),
    Cancelled,
}

impl TurnEvent {
    /// The name of the event in a stream of server-sent events.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Text { .. } => "text",
            Self::ToolStarted { .. } => "tool_started",
            Self::ToolFinished { .. } => "tool_finished",
            Self::Done { .. } => "done",
            Self::Failed(_) => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether the stream ends with this one.
    pub fn is_last(&self) -> bool {
        matches!(self, Self::Done { .. } | Self::Failed(_) | Self::Cancelled)
    }
}
