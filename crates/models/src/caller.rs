//! Who makes a model call, and which model that gets.

use creel_domain::{AgentId, ModelName, OrgId, SandboxId};

/// The caller, known from the socket that the request came in by. Nothing in it comes from the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    pub org: OrgId,
    pub agent: AgentId,
    pub sandbox: SandboxId,
    /// The model that the agent's specification names.
    pub model: ModelName,
}

impl Caller {
    /// What a sandbox writes to mean the model of its agent, whichever that is.
    pub const DEFAULT_MODEL: &'static str = "default";

    /// Whether the caller may use the model that a request asks for: its own, by either name.
    pub(crate) fn may_use(&self, asked: &str) -> bool {
        asked == Self::DEFAULT_MODEL || asked == self.model.to_string()
    }
}
