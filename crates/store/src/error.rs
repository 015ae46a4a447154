//! What can go wrong in the store, each as a sentence.

use creel_domain::{Generation, Name};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no such {0}")]
    NotFound(&'static str),
    #[error("`{0}` is taken: choose another name")]
    NameTaken(Name),
    #[error("it was changed in the meantime and is now at revision {}", .current.0)]
    RevisionMismatch { current: Generation },
    #[error("there are {most} {what} already, which is as many as there can be: delete one first")]
    LimitReached { what: &'static str, most: u64 },
    #[error("it is being deleted")]
    Deleting,
    #[error(
        "the database has schema version {found}, this Creel knows versions up to {known}: install the newer Creel again"
    )]
    NewerSchema { found: u32, known: u32 },
    #[error(
        "migration {0} of the database is not the one this Creel was built with: restore it from a backup"
    )]
    ChangedMigration(u32),
    #[error("the host's disk is full: free some space")]
    DiskFull,
    #[error("a stored value makes no sense: {0}")]
    Corrupt(String),
    #[error("a stored key cannot be opened: the master key is not the one it was sealed with")]
    WrongKey,
    #[error("the database failed")]
    Sqlite(#[source] rusqlite::Error),
    #[error("the database task ended early")]
    Interrupted,
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::DiskFull,
            _ => Self::Sqlite(error),
        }
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::Corrupt(error.to_string())
    }
}

/// Whether an insert failed because the row exists.
pub(crate) fn is_duplicate(error: &rusqlite::Error) -> bool {
    use rusqlite::ffi::{SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_UNIQUE};
    let code = error.sqlite_error().map(|error| error.extended_code);
    matches!(
        code,
        Some(SQLITE_CONSTRAINT_UNIQUE | SQLITE_CONSTRAINT_PRIMARYKEY)
    )
}
