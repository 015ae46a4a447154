//! `/v1/agents`: what an org owns.

use creel_domain::{
    AgentFiles, AgentId, AgentState, Autostop, Generation, Intent, Limits, ModelName, Name, Rest, Runtime,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Agent {
    pub id: AgentId,
    pub name: Name,
    pub runtime: Runtime,
    pub model: ModelName,
    pub files: AgentFiles,
    pub limits: Limits,
    /// When it is put to rest, and what wakes it.
    pub rest: Rest,
    /// What its owner wants, or its rest.
    pub intent: Intent,
    /// Where it stands.
    pub status: AgentState,
    /// Grows with every change; the `ETag` of the agent, for `If-Match`.
    pub revision: Generation,
    pub created_at: Timestamp,
    pub changed_at: Timestamp,
    /// When its runtime wants to be awake for a job that it has planned itself. Absent: for none that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime_wake_at: Option<Timestamp>,
    /// Somebody keeps it awake until then: `PUT /v1/agents/{agent}/hold`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_until: Option<Timestamp>,
}

/// `PUT /v1/agents/{agent}/hold`: it does not fall asleep by itself meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HoldAgent {
    /// From now on: 1 to 86 400 (a day). A hold takes the place of the one before.
    pub seconds: u32,
}

impl HoldAgent {
    pub const LONGEST_SECONDS: u32 = 24 * 60 * 60;
}

/// `GET /v1/agents/{agent}/memory`: of what the processes in its sandbox wrote themselves. Files that they read are not
/// counted: the host drops them when it needs room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AgentMemory {
    pub resident_bytes: u64,
    /// Pushed out to the host's swap.
    pub swapped_bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AgentList {
    pub items: Vec<Agent>,
    /// Give it as `cursor` to get what follows; absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// `POST /v1/agents`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateAgent {
    pub name: Name,
    /// `openclaw` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<Runtime>,
    /// `demo/demo` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelName>,
    #[serde(default)]
    pub files: AgentFiles,
    #[serde(default)]
    pub limits: LimitsPatch,
    #[serde(default)]
    pub rest: RestPatch,
}

/// `PATCH /v1/agents/{agent}`: only what is given changes. Needs `If-Match` with the agent's revision.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchAgent {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<AgentFiles>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<LimitsPatch>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rest: Option<RestPatch>,
    /// `run` starts or wakes it, `sleep` puts it to rest, `stop` stops it. Deleting is `DELETE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,
}

/// Limits that differ from the runtime's defaults.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsPatch {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_millis: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_bytes: Option<u64>,
}

impl LimitsPatch {
    pub fn apply(&self, base: Limits) -> Limits {
        Limits {
            memory_bytes: self.memory_bytes.unwrap_or(base.memory_bytes),
            cpu_millis: self.cpu_millis.unwrap_or(base.cpu_millis),
            pids: self.pids.unwrap_or(base.pids),
            disk_bytes: self.disk_bytes.unwrap_or(base.disk_bytes),
        }
    }
}

/// A rest that differs from the default, or from the present one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RestPatch {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autostop: Option<Autostop>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_s: Option<u32>,
    /// 0: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_after_s: Option<u32>,
    /// 0: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_after_s: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autostart: Option<bool>,
}

impl RestPatch {
    pub fn apply(&self, base: Rest) -> Rest {
        let after = |wanted, base| match wanted {
            None => base,
            Some(0) => None,
            some => some,
        };
        Rest {
            autostop: self.autostop.unwrap_or(base.autostop),
            idle_s: self.idle_s.unwrap_or(base.idle_s),
            page_after_s: after(self.page_after_s, base.page_after_s),
            stop_after_s: after(self.stop_after_s, base.stop_after_s),
            autostart: self.autostart.unwrap_or(base.autostart),
        }
    }
}
