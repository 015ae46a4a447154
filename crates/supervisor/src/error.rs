//! Why the supervisor cannot start.

use std::{io, path::PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "another supervisor works with {data}: stop it first, or choose another data directory with --data"
    )]
    AlreadyRunning { data: PathBuf },
    #[error("could not {doing} {}: {source}", path.display())]
    Io {
        doing: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// A record was written by a newer Creel, or damaged.
    #[error("{} cannot be understood: {reason}. Restore it, or remove it if its sandbox is not needed", path.display())]
    BadRecord { path: PathBuf, reason: String },
    #[error(
        "{} does not let other users pass, and sandboxes run as users of their own: \
         run `chmod o+x {}`, or choose another data directory with --data",
        path.display(), path.display()
    )]
    NoWayIn { path: PathBuf },
    #[error(transparent)]
    Backend(#[from] creel_sandbox::Error),
    #[error(transparent)]
    Listen(#[from] creel_daemon::ListenError),
    #[error("images cannot be used: {0}")]
    Images(String),
}

impl Error {
    pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source }
    }
}
