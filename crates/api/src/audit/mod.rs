//! The org's audit trail: `/v1/audit`.

mod ocsf;

use creel_domain::AuditEntry;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use ocsf::{OCSF_VERSION, ocsf};

/// An entry with its place in the chain. How a hash is made is told in docs/reference/audit.md.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditRecord {
    #[serde(flatten)]
    pub entry: AuditEntry,
    /// The hash of the entry before it, in hexadecimal; zeros before the first.
    pub previous: String,
    /// SHA-256 of the entry and of `previous`, in hexadecimal.
    pub hash: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditList {
    /// Newest first.
    pub items: Vec<AuditRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// Whether the trail is as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditVerdict {
    /// Whether nothing is wrong.
    pub intact: bool,
    /// Entries that are as they were written, up to the first fault.
    pub good: u64,
    /// Entries up to this one were removed because they were old; 0: none.
    pub removed: u64,
    /// The newest entry. Kept elsewhere, it proves later that nothing was put back.
    pub sequence: u64,
    /// Its hash, in hexadecimal.
    pub hash: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<AuditFault>,
}

/// The first thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditFault {
    pub sequence: u64,
    pub kind: AuditFaultKind,
    /// In a sentence.
    pub detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuditFaultKind {
    Changed,
    Missing,
    OutOfOrder,
    Forged,
    Cut,
    Head,
    Beginning,
}

impl AuditFaultKind {
    pub fn sentence(self, sequence: u64) -> String {
        match self {
            Self::Changed => format!("Entry {sequence} was changed after it was written."),
            Self::Missing => format!("Entry {sequence} is missing."),
            Self::OutOfOrder => format!("What stands as entry {sequence} belongs in another place."),
            Self::Forged => format!("Entry {sequence} was not made by Creel: it lacks the key's mark."),
            Self::Cut => format!("The end was cut off: entry {sequence} and what followed are missing."),
            Self::Head => format!(
                "Where the trail ends was changed: from entry {sequence} on something may have been cut off."
            ),
            Self::Beginning => {
                format!("Where the trail begins was changed: entries before {sequence} are missing.")
            }
        }
    }
}
