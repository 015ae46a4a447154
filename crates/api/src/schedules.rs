//! `/v1/agents/{agent}/schedules`: messages that an agent is sent by the clock.

use creel_domain::{
    AgentId, Generation, Missed, Name, NotRun, Overlap, RunId, ScheduleId, SessionName, TurnFailure, TurnId,
    When,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A message that an agent is sent by the clock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Schedule {
    pub id: ScheduleId,
    pub agent: AgentId,
    /// Of its own within the agent.
    pub name: Name,
    pub when: When,
    /// What the agent is told.
    pub message: String,
    /// The conversation in which it is told.
    pub session: SessionName,
    /// Otherwise it is paused.
    pub enabled: bool,
    /// What becomes of the times that went by while Creel did not run.
    pub missed: Missed,
    /// What becomes of a time at which the run before is still under way.
    pub overlap: Overlap,
    /// The next planned times, at most three; empty while it is paused, and when its time is over.
    pub upcoming: Vec<Timestamp>,
    /// Absent before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run: Option<ScheduleRun>,
    /// Grows with every change; the `ETag` of the schedule, for `If-Match`.
    pub revision: Generation,
    pub created_at: Timestamp,
    pub changed_at: Timestamp,
}

/// At most 100.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ScheduleList {
    pub items: Vec<Schedule>,
}

/// `POST /v1/agents/{agent}/schedules`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateSchedule {
    pub name: Name,
    pub when: When,
    /// 1 to 262 144 bytes.
    pub message: String,
    /// One that is called as the schedule is, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionName>,
    /// False makes it paused; true when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// `once` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed: Option<Missed>,
    /// `skip` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<Overlap>,
}

/// `PATCH /v1/agents/{agent}/schedules/{schedule}`: only what is given changes. Needs `If-Match` with its revision.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchSchedule {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<When>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionName>,
    /// False pauses it; true resumes it with its next time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed: Option<Missed>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<Overlap>,
}

/// `POST /v1/schedules/preview`: what would be, without making anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PreviewSchedule {
    pub when: When,
    /// 1 to 50; 5 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SchedulePreview {
    pub times: Vec<Timestamp>,
}

/// One time of a schedule, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ScheduleRun {
    pub id: RunId,
    /// Absent: somebody asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned_at: Option<Timestamp>,
    /// When it was acted upon.
    pub at: Timestamp,
    pub state: RunState,
    /// The message and its answer; absent where it did not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<TurnId>,
    /// Why it did not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<NotRun>,
    /// The same as a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Why its turn failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<TurnFailure>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
}

/// Where a run stands: as its turn does, or it was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    Running,
    Done,
    Failed,
    Cancelled,
    /// Something stood in its way at its time.
    Skipped,
    /// Its time went by.
    Missed,
}

impl RunState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
            Self::Missed => "missed",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ScheduleRunList {
    /// Newest first.
    pub items: Vec<ScheduleRun>,
    /// Give it as `cursor` to get what follows; absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}
