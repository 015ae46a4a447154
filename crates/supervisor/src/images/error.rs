//! Why an image could not be made or removed, in sentences that say what to do next.

use std::path::{Path, PathBuf};

use creel_domain::ImageName;

use super::needs::MissingTool;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("{}", MissingTool::sentences(.0))]
    MissingTools(Vec<MissingTool>),
    #[error("only root can build images, because their files must belong to root: run creel as root")]
    NotRoot,
    #[error("image {0} is being built: wait until that ends, then try again")]
    Busy(ImageName),
    #[error(
        "an image needs {need_mib} MiB below {} and only {free_mib} MiB are free: make room, then build again",
        path.display()
    )]
    NoRoom {
        path: PathBuf,
        need_mib: u64,
        free_mib: u64,
    },
    #[error("{program} failed ({how}): {}\nthe whole output is in {}; when that is put right, build again", tail, log.display())]
    Child {
        program: String,
        how: String,
        tail: String,
        log: PathBuf,
    },
    #[error("{program} was not done after {seconds} s and was stopped: {}\nthe whole output is in {}; build again", tail, log.display())]
    TooSlow {
        program: String,
        seconds: u64,
        tail: String,
        log: PathBuf,
    },
    #[error("the build was stopped before it was done: build again")]
    Cancelled,
    /// What was found on the host cannot be used, with the reason and the remedy.
    #[error("{0}")]
    Unusable(String),
    /// How a build ended that somebody else waited for.
    #[error("{reason}")]
    Failed { name: ImageName, reason: String },
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        doing: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
}

/// Names the act and the path of a failed system call: `fs::write(..).or_io("write", path)?`.
pub(super) trait OrIo<T> {
    fn or_io(self, doing: &'static str, path: &Path) -> Result<T, Error>;
}

impl<T, E: Into<std::io::Error>> OrIo<T> for Result<T, E> {
    fn or_io(self, doing: &'static str, path: &Path) -> Result<T, Error> {
        self.map_err(|source| Error::Io {
            doing,
            path: path.to_owned(),
            source: source.into(),
        })
    }
}
