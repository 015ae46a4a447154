//! Runs one program of a build: bounded in time, output to the log, and never left behind.
//!
//! Outside in: `setpriv` asks the kernel to kill what follows when our thread dies; `unshare` gives it mounts and
//! processes of its own, so that nothing it starts or mounts outlives it; then the program itself.

use std::{
    ffi::{OsStr, OsString},
    os::unix::process::{CommandExt, ExitStatusExt},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};

use super::{
    bench::{Bench, Log},
    error::{Error, OrIo},
};

/// How long to sleep between two looks at a program: from the first to the last.
const LOOK: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));

/// How much of the world a program shares with us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Apart {
    /// Its own mounts and processes; the host's network, for what must be fetched.
    Fetching,
    /// No network either.
    Alone,
}

/// One program to run; the environment is ours, so that proxies and caches work as configured.
#[derive(Debug)]
pub(super) struct Program {
    name: String,
    command: Command,
}

impl Program {
    pub(super) fn new(apart: Apart, program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new("setpriv");
        command.args([
            "--pdeathsig",
            "KILL",
            "--",
            "unshare",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
        ]);
        match apart {
            Apart::Fetching => command.arg("--mount-proc"),
            Apart::Alone => command.args(["--net", "--ipc", "--uts"]),
        };
        command.arg("--").arg(program.as_ref());
        Self {
            name: Path::new(program.as_ref()).display().to_string(),
            command,
        }
    }

    pub(super) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub(super) fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(args);
        self
    }

    pub(super) fn current_dir(mut self, directory: &Path) -> Self {
        self.command.current_dir(directory);
        self
    }

    /// Looks for programs in `directory` before the usual places.
    pub(super) fn path_first(mut self, directory: &Path) -> Self {
        let mut path = OsString::from(directory);
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_else(|| "/usr/sbin:/usr/bin:/sbin:/bin".into()));
        self.command.env("PATH", path);
        self
    }

    /// Runs to the end. Fails when it does not succeed, when `bench` is out of time, or when the build is cancelled;
    /// in every case no process of it is left.
    pub(super) fn run(mut self, bench: &Bench) -> Result<(), Error> {
        let log = bench.log();
        let output = log.writer()?;
        let errors = output.try_clone().or_io("share", log.path())?;
        self.command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .process_group(0);
        let child = self.command.spawn().map_err(|error| {
            Error::Unusable(format!(
                "{} cannot be started ({error}): is util-linux installed?",
                self.name
            ))
        })?;
        let status = Group(child).wait(bench, &self.name)?;
        if status.success() {
            return Ok(());
        }
        Err(Error::Child {
            program: self.name,
            how: describe(status),
            tail: log.tail(),
            log: log.path().to_owned(),
        })
    }
}

/// A running process group; dropping it kills it.
struct Group(Child);

impl Group {
    fn wait(mut self, bench: &Bench, name: &str) -> Result<ExitStatus, Error> {
        let mut pause = LOOK.0;
        loop {
            if let Some(status) = self.0.try_wait().or_io("wait for", Path::new(name))? {
                return Ok(status);
            }
            bench.still_wanted()?;
            if Instant::now() >= bench.deadline() {
                return Err(too_slow(bench.log(), bench, name));
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(LOOK.1);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Reaped already: the number may be somebody else's by now.
        if matches!(self.0.try_wait(), Ok(Some(_))) {
            return;
        }
        if let Some(group) = Pid::from_raw(self.0.id().cast_signed()) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.0.wait();
    }
}

fn too_slow(log: &Log, bench: &Bench, name: &str) -> Error {
    Error::TooSlow {
        program: name.to_owned(),
        seconds: bench.allowed().as_secs(),
        tail: log.tail(),
        log: log.path().to_owned(),
    }
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "ended without saying how".to_owned(),
    }
}
