//! How the read-only root directories that sandboxes share are doing.

use creel_domain::ImageName;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageStatus {
    pub name: ImageName,
    /// The version that this Creel builds and runs, for example `2026.9.6`.
    pub version: String,
    pub state: ImageState,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum ImageState {
    Absent,
    /// `percent` is 0 to 99; `step` says in a few words what is done now.
    Building {
        percent: u8,
        step: String,
    },
    Ready {
        built_at: Timestamp,
        bytes: u64,
    },
    /// The last build failed; `reason` is a sentence with the next step.
    Failed {
        reason: String,
    },
}
