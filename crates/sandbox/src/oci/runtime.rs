//! The command lines of the OCI runtimes: what differs between them, and nothing else.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use creel_domain::SandboxId;
use serde::Deserialize;

use crate::{Error, fs as files, program::Program};

/// A start takes some 30 ms; one that takes so long never ends.
const START_DEADLINE: Duration = Duration::from_secs(30);
const DELETE_DEADLINE: Duration = Duration::from_secs(15);
/// What is read of a runtime's log.
const LOG_BYTES: usize = 64 * 1024;

/// A runtime and how it has to be called on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Runtime {
    /// `without`: run in a mount namespace in which this is not mounted. On hosts with both versions of
    /// control groups it refuses to work as long as it sees the second.
    Crun {
        without: Option<PathBuf>,
    },
    Runc,
    /// gVisor.
    Runsc,
}

impl Runtime {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Crun { .. } => "crun",
            Self::Runc => "runc",
            Self::Runsc => "runsc",
        }
    }

    /// Starts the first process and leaves it running. It is given no place to write to but its own: a
    /// file of ours could be filled from inside.
    pub(super) async fn run(&self, state: &Path, bundle: &Path, sandbox: SandboxId) -> Result<(), Error> {
        let log = bundle.join("runtime.log");
        files::remove_file(&log)?;
        let mut program = Program::new(self.name(), "start the sandbox", START_DEADLINE)
            .arguments([
                OsString::from("--root"),
                state.into(),
                "--log".into(),
                log.clone().into(),
            ])
            .arguments(["--log-format", "json"])
            .arguments(match self {
                Self::Crun { .. } => &["--cgroup-manager", "cgroupfs"][..],
                Self::Runc => &[],
                // Sockets of the host can be reached only where this is said.
                Self::Runsc => &["--network=none", "--host-uds=all", "--platform=systrap"],
            })
            .arguments(["run", "--detach", "--bundle"])
            .arguments([bundle])
            .arguments([OsString::from("--pid-file"), bundle.join("pid").into()])
            .arguments([sandbox.to_string()]);
        program.leaves_processes = true;
        if let Self::Crun { without } = self {
            program.without.clone_from(without);
        }
        match program.run().await {
            Err(Error::Program { said, .. }) => {
                let logged = last_error(&fs::read(&log).unwrap_or_default());
                Err(program.failed(logged.unwrap_or_default().as_bytes(), &said))
            }
            result => result,
        }
    }

    /// Removes what the runtime keeps of a sandbox whose processes have ended. For `crun` and `runc` that
    /// is a directory; their own `delete` does no more, five to a hundred milliseconds later.
    pub(super) async fn forget(&self, state: &Path, sandbox: SandboxId) -> Result<(), Error> {
        let kept = state.join(sandbox.to_string());
        if matches!(self, Self::Runsc) && has_state_of_runsc(state, sandbox) {
            let outcome = Program::new(self.name(), "remove the sandbox", DELETE_DEADLINE)
                .arguments([OsString::from("--root"), state.into()])
                .arguments(["delete".to_owned(), "--force".to_owned(), sandbox.to_string()])
                .run()
                .await;
            if let Err(error) = outcome {
                tracing::warn!(%sandbox, %error, "gVisor did not forget a sandbox; its files are removed instead");
            }
            for name in files::names(state)
                .iter()
                .filter(|name| name.starts_with(&sandbox.to_string()))
            {
                files::remove_file(&state.join(name))?;
            }
        }
        files::remove_tree(&kept)
    }
}

fn has_state_of_runsc(state: &Path, sandbox: SandboxId) -> bool {
    files::names(state)
        .iter()
        .any(|name| name.starts_with(&sandbox.to_string()))
}

/// The last error of a runtime's log of JSON lines.
fn last_error(log: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Line {
        msg: String,
    }
    let tail = &log[log.len().saturating_sub(LOG_BYTES)..];
    tail.split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<Line>(line).ok())
        .next_back()
        .map(|line| line.msg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_that_makes_sense_is_what_went_wrong() {
        let log =
            b"{\"level\":\"warn\",\"msg\":\"a\"}\nnonsense\n{\"level\":\"error\",\"msg\":\"b\"}\n{\"msg\":";
        assert_eq!(last_error(log).as_deref(), Some("b"));
        assert_eq!(last_error(b""), None);
    }
}
