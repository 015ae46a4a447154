//! What can go wrong in the store, each as a sentence.

use std::{path::PathBuf, sync::Arc};

use creel_domain::{Generation, Name};

#[derive(Debug, Clone, thiserror::Error)]
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
    /// Somebody else has the idempotency key by now; what was tried is undone.
    #[error("another request with the same key has been faster: ask again for its answer")]
    KeyLost,
    #[error("too much waits for the database: try again in a moment")]
    Busy,
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
    #[error("the database file is damaged: restore it from a backup")]
    Damaged(#[source] Arc<rusqlite::Error>),
    #[error("the database {path} cannot be opened: check that the directory exists and belongs to Creel")]
    Open {
        path: PathBuf,
        #[source]
        source: Arc<std::io::Error>,
    },
    #[error("a stored value makes no sense: {0}")]
    Corrupt(String),
    #[error("the master key is not the one this database was made with: restore `master.key` from a backup")]
    WrongKey,
    #[error("the database failed")]
    Sqlite(#[source] Arc<rusqlite::Error>),
    #[error("the database task ended early")]
    Interrupted,
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::DiskFull,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged(Arc::new(error)),
            _ => Self::Sqlite(Arc::new(error)),
        }
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::Corrupt(error.to_string())
    }
}

impl Error {
    /// Whether an insert failed because the row exists.
    pub(crate) fn is_duplicate(&self) -> bool {
        use rusqlite::ffi::{SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_UNIQUE};
        let Self::Sqlite(error) = self else { return false };
        let code = error.sqlite_error().map(|error| error.extended_code);
        matches!(
            code,
            Some(SQLITE_CONSTRAINT_UNIQUE | SQLITE_CONSTRAINT_PRIMARYKEY)
        )
    }

    /// Whether a foreign key leads nowhere.
    pub(crate) fn is_dangling(&self) -> bool {
        let Self::Sqlite(error) = self else { return false };
        let code = error.sqlite_error().map(|error| error.extended_code);
        code == Some(rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY)
    }
}
