//! Running a program of the host to its end, bounded in time and in what it may say.

use std::{ffi::OsString, io, path::PathBuf, process::Stdio, time::Duration};

use rustix::{
    mount::{MountPropagationFlags, UnmountFlags},
    process::Signal,
    thread::UnshareFlags,
};
use tokio::{io::AsyncReadExt as _, process::Command};

use crate::Error;

/// What is kept of what a program says on its way to failing.
const SAID_BYTES: u64 = 4 * 1024;

/// A program of the host and its arguments.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub(crate) name: String,
    pub(crate) arguments: Vec<OsString>,
    /// What it is to do, completing "could not".
    pub(crate) doing: String,
    pub(crate) deadline: Duration,
    /// Run in a mount namespace of its own in which this is not mounted.
    pub(crate) without: Option<PathBuf>,
    /// Its processes stay behind and would keep a pipe open, so nothing it says is read.
    pub(crate) leaves_processes: bool,
}

impl Program {
    pub(crate) fn new(name: impl Into<String>, doing: impl Into<String>, deadline: Duration) -> Self {
        Self {
            name: name.into(),
            arguments: Vec::new(),
            doing: doing.into(),
            deadline,
            without: None,
            leaves_processes: false,
        }
    }

    pub(crate) fn arguments<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Runs it. It dies with us, and when the future is dropped.
    pub(crate) async fn run(&self) -> Result<(), Error> {
        let mut command = Command::new(&self.name);
        command
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(if self.leaves_processes {
                Stdio::null()
            } else {
                Stdio::piped()
            })
            .kill_on_drop(true);
        before_exec(&mut command, self.without.clone());
        let mut child = command.spawn().map_err(|source| self.cannot_start(source))?;
        let mut said = Vec::new();
        let stderr = child.stderr.take();
        let outcome = tokio::time::timeout(self.deadline, async {
            if let Some(stderr) = stderr {
                // Reads on past the bound would keep a chatty program alive; it gets EPIPE instead.
                let _ = stderr.take(SAID_BYTES).read_to_end(&mut said).await;
            }
            child.wait().await
        })
        .await;
        match outcome {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(self.failed(&said, &status.to_string())),
            Ok(Err(source)) => Err(Error::io(format!("wait for `{}`", self.name))(source)),
            Err(_) => Err(Error::Late {
                program: self.name.clone(),
                doing: self.doing.clone(),
                after: self.deadline,
            }),
        }
    }

    fn cannot_start(&self, source: io::Error) -> Error {
        if source.kind() == io::ErrorKind::NotFound {
            return Error::Missing {
                program: self.name.clone(),
                advice: "install its package".to_owned(),
            };
        }
        Error::io(format!("start `{}`", self.name))(source)
    }

    pub(crate) fn failed(&self, said: &[u8], status: &str) -> Error {
        let text = String::from_utf8_lossy(said);
        let said = text.trim();
        Error::Program {
            program: self.name.clone(),
            doing: self.doing.clone(),
            said: if said.is_empty() {
                status.to_owned()
            } else {
                said.to_owned()
            },
        }
    }
}

#[expect(unsafe_code, reason = "what a child does between fork and exec")]
fn before_exec(command: &mut Command, without: Option<PathBuf>) {
    let prepare = move || {
        // A runtime that outlives us would race with whoever comes after us.
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        if let Some(point) = &without {
            // SAFETY: the child has one thread, and shares no descriptor table through this flag.
            unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }?;
            let down_only = MountPropagationFlags::REC | MountPropagationFlags::DOWNSTREAM;
            rustix::mount::mount_change("/", down_only)?;
            rustix::mount::unmount(point, UnmountFlags::DETACH)?;
        }
        Ok(())
    };
    // SAFETY: `prepare` makes system calls only. Its path was allocated before the fork and is copied to
    // a buffer on the stack (rustix takes short paths there), so no allocator lock can be met.
    unsafe {
        command.pre_exec(prepare);
    }
}
