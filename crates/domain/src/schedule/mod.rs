//! A message that an agent is sent by the clock: when, and what happens to the times that were missed.
//!
//! Everything here is computed from arguments. A schedule's planned times depend on its expression, its zone and its
//! anchor, never on when somebody looked or on the host's own idea of time zones.

mod cron;
mod plan;
#[cfg(test)]
mod tests;
mod when;
mod zone;

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use cron::{BadCron, CronExpr};
pub use plan::{CATCH_UP, Plan, plan};
pub use when::{BadWhen, SHORTEST_INTERVAL_S, When};
pub use zone::{BadZone, Zone};

use crate::{AgentId, Generation, Name, ScheduleId, SessionName};

/// A schedule as the store knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    pub id: ScheduleId,
    pub agent: AgentId,
    /// Of its own within the agent.
    pub name: Name,
    pub spec: ScheduleSpec,
    /// What `every` counts from.
    pub anchor_at: Timestamp,
    /// The next planned time; none: it is paused, or its time is over.
    pub next_at: Option<Timestamp>,
    /// Grows with what its owner changes.
    pub revision: Generation,
    pub created_at: Timestamp,
    pub changed_at: Timestamp,
}

/// What its owner decides about a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleSpec {
    pub when: When,
    /// What the agent is told.
    pub message: String,
    /// The conversation in which it is told.
    pub session: SessionName,
    pub enabled: bool,
    pub missed: Missed,
    pub overlap: Overlap,
}

impl ScheduleSpec {
    /// The first planned time after `now`; none: it is paused, or there is none.
    pub fn next(&self, anchor: Timestamp, now: Timestamp) -> Option<Timestamp> {
        self.enabled.then(|| self.when.next(anchor, now)).flatten()
    }
}

/// What becomes of the times that went by while Creel did not run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// Nothing: they are told in the history.
    Skip,
    /// One run for all of them.
    #[default]
    Once,
    /// A run for each, the newest 24, one after the other.
    All,
}

/// What becomes of a time at which the run before is still under way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// It is left out, and told in the history.
    #[default]
    Skip,
    /// It waits for its turn.
    Queue,
}

/// Why a planned time did not become a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NotRun {
    /// Creel did not run, or its clock jumped.
    Missed,
    /// The run before was still under way.
    Overlap,
    /// As many turns as may wait in one agent did.
    Busy,
    /// Its owner had stopped the agent.
    Stopped,
    /// It slept, and only its owner wakes it.
    Asleep,
    /// The org was suspended.
    Suspended,
}

impl NotRun {
    /// For people.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Missed => "The time went by while Creel did not run.",
            Self::Overlap => "The run before was still under way.",
            Self::Busy => "As many messages as may wait for the agent did.",
            Self::Stopped => "The agent was stopped by its owner.",
            Self::Asleep => "The agent was asleep, and only its owner wakes it.",
            Self::Suspended => "The org was suspended.",
        }
    }
}

macro_rules! words {
    ($name:ident, $what:literal, $($variant:ident = $word:literal),*) => {
        impl $name {
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok(Self::$variant),)*
                    _ => Err(format!("there is no {} `{text}`: it is {}", $what, [$($word),*].join(" or "))),
                }
            }
        }
    };
}

words!(
    Missed,
    "policy for missed runs",
    Skip = "skip",
    Once = "once",
    All = "all"
);
words!(Overlap, "policy for overlaps", Skip = "skip", Queue = "queue");
words!(
    NotRun,
    "reason",
    Missed = "missed",
    Overlap = "overlap",
    Busy = "busy",
    Stopped = "stopped",
    Asleep = "asleep",
    Suspended = "suspended"
);
