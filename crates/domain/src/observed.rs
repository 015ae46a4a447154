//! What was last seen of something that lives elsewhere.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Three values, so that "we do not know" is data and not an error path. A restart, a time-out or a
/// half-finished act yields `Unknown`; only a look turns it into one of the others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "observed")]
pub enum Observed<T> {
    /// We looked and it is not there.
    Absent,
    /// We have not looked, or the look failed.
    #[default]
    Unknown,
    /// We looked, at `at`.
    Seen { value: T, at: Timestamp },
}

impl<T> Observed<T> {
    pub fn seen(&self) -> Option<&T> {
        match self {
            Self::Seen { value, .. } => Some(value),
            Self::Absent | Self::Unknown => None,
        }
    }
}
