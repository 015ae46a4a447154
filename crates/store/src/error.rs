//! What can go wrong in the store, each as a sentence.

use std::{path::PathBuf, sync::Arc};

use creel_domain::{DomainName, Generation, Name, SecretName};
use tokio_postgres::error::SqlState;

use crate::WrapError;

/// An engine's own words, for logs.
pub(crate) type Cause = Arc<dyn std::error::Error + Send + Sync>;

#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    #[error("there is no such {0}")]
    NotFound(&'static str),
    #[error("`{0}` is taken: choose another name")]
    NameTaken(Name),
    #[error("the sign-in provider `{0}` has the same issuer: remove it first")]
    IssuerTaken(Name),
    #[error("it was changed in the meantime and is now at revision {}", .current.0)]
    RevisionMismatch { current: Generation },
    #[error("there are {most} {what} already, which is as many as there can be: delete one first")]
    LimitReached { what: &'static str, most: u64 },
    #[error("too many codes were tried that nobody has: wait {minutes} minutes, then look at the code again")]
    TooManyGuesses { minutes: i64 },
    #[error("too many sign-ins are under way: finish one, or try again in ten minutes")]
    TooManySignIns,
    #[error("too many devices wait to be approved: approve or deny one, or try again in some minutes")]
    TooManyDevicesAsk,
    #[error("it is being deleted")]
    Deleting,
    #[error("an org needs an owner: make somebody else one first")]
    LastOwner,
    #[error("somebody must run the platform: make another user an operator first")]
    LastOperator,
    #[error(
        "it is the only way in that you have: set a password with an address, add a passkey or link another identity first"
    )]
    LastWayIn,
    #[error("this passkey is registered already")]
    PasskeyTaken,
    #[error("`{name}` leads to the agent `{agent}` already: remove it there first")]
    DomainElsewhere { name: DomainName, agent: Name },
    #[error("they belong to the org already")]
    AlreadyMember,
    #[error("only an owner may give or take the role owner, and only an owner or admin any other")]
    NotYours,
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
    Damaged(#[source] Cause),
    #[error("the database {path} cannot be opened: check that the directory exists and belongs to Creel")]
    Open {
        path: PathBuf,
        #[source]
        source: Arc<std::io::Error>,
    },
    #[error("a stored value makes no sense: {0}")]
    Corrupt(String),
    #[error(
        "the master key is not the one this database was made with: restore `master.key` from a backup, or name the one that was used before with --previous-master-key"
    )]
    WrongKey,
    #[error("what was stored cannot be opened: its key has been destroyed")]
    KeyGone,
    #[error("the master key cannot be used: {0}")]
    MasterKey(#[source] WrapError),
    #[error("your org's own key cannot be used: {0}")]
    OwnKey(#[source] WrapError),
    #[error("there is no secret `{0}`: set it with `creel secrets set {0}`")]
    NoSecret(SecretName),
    /// Newer keys are there than were known; the same again with them goes well.
    #[error("the keys were exchanged in the meantime: try again")]
    StaleKeys,
    /// A newer key is there than the one that was sealed with; sealed again it goes well.
    #[error("the org's key was exchanged in the meantime: try again")]
    KeyMoved,
    #[error("the database failed")]
    Sqlite(#[source] Arc<rusqlite::Error>),
    #[error("the database failed")]
    Postgres(#[source] Arc<tokio_postgres::Error>),
    #[error("the database server cannot be reached: check its address, and that it runs")]
    Unreachable(#[source] Arc<tokio_postgres::Error>),
    /// Nobody knows whether what was being saved is saved.
    #[error(
        "the connection to the database broke while it was saving: look whether it was done, then try again"
    )]
    Unsettled(#[source] Arc<tokio_postgres::Error>),
    #[error("the database server refuses: check the address's user, password and database")]
    Refused(#[source] Arc<tokio_postgres::Error>),
    #[error("the database user may not {what}")]
    NoRights { what: String },
    #[error("the database server is no PostgreSQL from version 13 on with a database in UTF-8: use one")]
    Server,
    #[error("the target database holds data already: name an empty one")]
    NotEmpty,
    #[error("the table {0} came out different: nothing was copied, and the file is as it was")]
    CopyDiffers(String),
    #[error(
        "a database is named by postgres://user:password@host/database, or by the absolute path of a file"
    )]
    Address,
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

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        // The first two letters are the kind of error.
        let code = error
            .code()
            .map(|code| code.code().to_owned())
            .unwrap_or_default();
        let error = Arc::new(error);
        match code.as_str() {
            "53100" => Self::DiskFull,
            // No connection left, a lock or a statement that took too long.
            "53300" | "55P03" | "57014" => Self::Busy,
            "XX001" | "XX002" => Self::Damaged(error),
            "3D000" => Self::Refused(error),
            _ if code.starts_with("28") => Self::Refused(error),
            // Shutting down, or starting.
            _ if code.starts_with("57P") || code.starts_with("08") => Self::Unreachable(error),
            "" if is_about_the_connection(&error) => Self::Unreachable(error),
            _ => Self::Postgres(error),
        }
    }
}

fn is_about_the_connection(error: &tokio_postgres::Error) -> bool {
    let cause = std::error::Error::source(error);
    error.is_closed() || cause.is_some_and(|cause| cause.is::<std::io::Error>())
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
        let error = match self {
            Self::Sqlite(error) => error,
            Self::Postgres(error) => return error.code() == Some(&SqlState::UNIQUE_VIOLATION),
            _ => return false,
        };
        let code = error.sqlite_error().map(|error| error.extended_code);
        matches!(
            code,
            Some(SQLITE_CONSTRAINT_UNIQUE | SQLITE_CONSTRAINT_PRIMARYKEY)
        )
    }

    /// Whether a foreign key leads nowhere.
    pub(crate) fn is_dangling(&self) -> bool {
        let error = match self {
            Self::Sqlite(error) => error,
            Self::Postgres(error) => return error.code() == Some(&SqlState::FOREIGN_KEY_VIOLATION),
            _ => return false,
        };
        let code = error.sqlite_error().map(|error| error.extended_code);
        code == Some(rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY)
    }

    /// Whether nothing was done, and the same might go well at once: it met another transaction on its way, or
    /// lost its connection before the end.
    pub(crate) fn is_by_chance(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Postgres(error) => matches!(
                error.code(),
                Some(&SqlState::T_R_SERIALIZATION_FAILURE | &SqlState::T_R_DEADLOCK_DETECTED)
            ),
            _ => false,
        }
    }

    /// What chance is called when it strikes again and again.
    pub(crate) fn after_many(self) -> Self {
        match self {
            Self::Postgres(_) => Self::Busy,
            error => error,
        }
    }
}
