//! What a bridge answers when it is asked how the runtime is. Parsed as hostile: bounded, closed enums.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The bridge's own answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BridgeHealth {
    /// The bridge's version.
    pub version: String,
    pub uptime_ms: u64,
    pub runtime: RuntimeHealth,
    /// Turns under way.
    pub turns: u32,
}

/// How the runtime is, by asking it and not its port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeHealth {
    pub state: RuntimeState,
    /// A sentence for people, at most 500 characters; empty when all is well.
    pub detail: String,
    /// How often the bridge had to start the runtime again since the sandbox started.
    pub restarts: u32,
    /// Jobs that it plans itself; absent: nobody knows, or it plans none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_jobs: Option<OwnJobs>,
}

/// What a runtime has planned itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnJobs {
    /// When the next one is due; absent: none is.
    pub next_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuntimeState {
    /// Started, does not answer yet.
    Starting,
    /// Answers.
    Ready,
    /// Crashed; the bridge waits before it starts it again.
    Backoff,
}
