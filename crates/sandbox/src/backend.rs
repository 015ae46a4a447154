//! The one trait: how a sandbox comes to be, how it looks, how it ends.

use std::{io, time::Duration};

use creel_domain::SandboxId;
use futures_util::future::BoxFuture;
use jiff::Timestamp;

use crate::{Bundle, Memory, Paging, Steps};

/// Work under way; dropping it leaves it half done, which every other call can cope with.
pub type Work<'a, T> = BoxFuture<'a, T>;

/// Makes sandboxes, looks at them, takes them apart. Every call may be repeated, and each may find what
/// a crash of an earlier one left behind.
pub trait Backend: Send + Sync + 'static {
    /// `runc`, `crun`, `runsc` or `fake`.
    fn name(&self) -> &str;

    /// Makes volume, mounts and limits and starts the first process. There must be no remains: call
    /// [`Backend::release`] first.
    fn start<'a>(&'a self, bundle: &'a Bundle, steps: &'a dyn Steps) -> Work<'a, Result<(), Error>>;

    /// Looks; believes nothing that was remembered.
    fn look(&self, sandbox: SandboxId) -> Work<'_, Result<Presence, Error>>;

    /// Returns when the first process has ended, at once if there is none.
    fn ended(&self, sandbox: SandboxId) -> Work<'_, Ended>;

    /// Asks the first process to end (SIGTERM), thawed. No process is not an error.
    fn terminate(&self, sandbox: SandboxId) -> Work<'_, Result<(), Error>>;

    /// Holds every process of the sandbox still, and returns when they are. No process is not an error.
    fn freeze(&self, sandbox: SandboxId) -> Work<'_, Result<(), Error>>;

    /// Lets a sandbox that is held still go on. One that is not is left as it is.
    fn thaw(&self, sandbox: SandboxId) -> Work<'_, Result<(), Error>>;

    /// Changes what `hostname` says inside, also of a sandbox that is held still. No process is not an error.
    fn rename<'a>(&'a self, sandbox: SandboxId, hostname: &'a str) -> Work<'a, Result<(), Error>>;

    /// Pushes the memory of a sandbox that is held still out to swap, without letting it go on. Dropping the work ends
    /// it within milliseconds, and [`Backend::thaw`] need not wait for it. May take long: sandboxes take turns.
    fn page_out(&self, sandbox: SandboxId) -> Work<'_, Result<Paged, Error>>;

    /// What all its processes have in memory and in swap; no process has nothing.
    fn memory(&self, sandbox: SandboxId) -> Work<'_, Result<Memory, Error>>;

    /// Whether this host can page out at all, tried by doing it.
    fn paging(&self) -> Work<'_, Paging>;

    /// Ends every process of the sandbox, and returns when there is none left.
    fn kill(&self, sandbox: SandboxId) -> Work<'_, Result<(), Error>>;

    /// Removes all but the volume: state of the runtime, cgroups, mounts, directories. Kills first.
    fn release<'a>(&'a self, sandbox: SandboxId, steps: &'a dyn Steps) -> Work<'a, Result<(), Error>>;

    /// Removes the volume too. Releases first.
    fn erase<'a>(&'a self, sandbox: SandboxId, steps: &'a dyn Steps) -> Work<'a, Result<(), Error>>;

    /// Size of the sandbox's volume, if it has one.
    fn volume_bytes(&self, sandbox: SandboxId) -> Work<'_, Result<Option<u64>, Error>>;

    /// Every sandbox of which something but the volume is there.
    fn list(&self) -> Work<'_, Result<Vec<SandboxId>, Error>>;
}

/// What is there of a sandbox, its volume aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    Absent,
    /// No first process, but a mount, a cgroup, a directory or state of the runtime.
    Remains,
    Running {
        /// On the host.
        pid: u32,
        since: Timestamp,
        /// Held still.
        frozen: bool,
    },
}

/// What came of paging out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Paged {
    /// What can be out is out.
    Out,
    /// The host cannot, or not now: what is in memory stays there, all or some of it.
    Not { reason: String },
}

/// How a first process ended, as far as that can be known after the fact.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ended {
    /// Its exit status, or 128 + the signal; unknown when it was started by a process before us.
    pub status: Option<i32>,
    /// The kernel killed something inside for lack of memory.
    pub out_of_memory: bool,
}

impl Ended {
    /// A sentence for people.
    pub fn reason(&self) -> String {
        match self {
            Self {
                out_of_memory: true, ..
            } => "it ran out of memory: raise its memory limit, or find out what uses so much".to_owned(),
            Self { status: Some(0), .. } => "it ended by itself".to_owned(),
            Self {
                status: Some(status), ..
            } if *status > 128 => {
                format!("its first process was killed by signal {}", status - 128)
            }
            Self {
                status: Some(status), ..
            } => format!("its first process failed with status {status}"),
            Self { status: None, .. } => "its first process ended".to_owned(),
        }
    }
}

/// Why a backend could not do it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused. `doing` completes "could not".
    #[error("could not {doing}: {source}")]
    Io { doing: String, source: io::Error },
    /// A program that we drive failed; `said` is the last it said.
    #[error("`{program}` could not {doing}: {said}")]
    Program {
        program: String,
        doing: String,
        said: String,
    },
    #[error("`{program}` took longer than {} s to {doing}; the host is overloaded or its disk hangs", .after.as_secs())]
    Late {
        program: String,
        doing: String,
        after: Duration,
    },
    #[error("program `{program}` is not installed: {advice}")]
    Missing { program: String, advice: String },
    /// The volume cannot be what is asked.
    #[error("{0}")]
    Volume(String),
    #[error(
        "sandbox {0} still has processes after it was killed; the kernel may be stuck in a disk or network wait"
    )]
    Unkillable(SandboxId),
    /// No backend works here.
    #[error("no way to isolate sandboxes works on this host. {}", tried.join(" "))]
    NoBackend { tried: Vec<String> },
    /// A test wanted it so.
    #[error("{0}")]
    Injected(String),
}

impl Error {
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            doing: doing.into(),
            source,
        }
    }

    pub(crate) fn errno(doing: impl Into<String>) -> impl FnOnce(rustix::io::Errno) -> Self {
        move |errno| Self::Io {
            doing: doing.into(),
            source: errno.into(),
        }
    }
}

/// Runs what blocks (mounts, syncs, reads of /proc) where it may.
pub(crate) async fn blocking<T: Send + 'static>(
    doing: &'static str,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(join) => Err(Error::Io {
            doing: doing.to_owned(),
            source: io::Error::other(join),
        }),
    }
}
