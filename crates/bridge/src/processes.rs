//! Processes inside the sandbox. The bridge is their first: it starts some, inherits every orphan, and
//! must bury all of them. One loop waits for any child and tells whoever asked for that one.

use std::{
    collections::HashMap,
    io,
    process::Command,
    sync::{Arc, Mutex, PoisonError},
};

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process_group, wait};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

/// 0 to 255, or 128 + the signal.
pub(crate) type ExitCode = u8;

#[derive(Clone, Default)]
pub(crate) struct Processes {
    waiting: Arc<Mutex<HashMap<i32, watch::Sender<Option<ExitCode>>>>>,
}

/// The leader of a process group. Dropping it before it ended kills the group.
pub(crate) struct Group {
    pid: Pid,
    exit: watch::Receiver<Option<ExitCode>>,
    ended: Option<ExitCode>,
}

impl Processes {
    /// Starts the loop that reaps. Becomes the parent of orphans also where it is not the first process.
    pub(crate) fn start() -> io::Result<Self> {
        let _ = rustix::process::set_child_subreaper(rustix::process::Pid::from_raw(1));
        let mut died = signal(SignalKind::child())?;
        let processes = Self::default();
        let reaper = processes.clone();
        tokio::spawn(async move {
            loop {
                reaper.reap();
                if died.recv().await.is_none() {
                    return;
                }
            }
        });
        Ok(processes)
    }

    /// Starts a command as the leader of a group of its own.
    pub(crate) fn spawn(&self, command: &mut Command) -> io::Result<(std::process::Child, Group)> {
        use std::os::unix::process::CommandExt as _;
        command.process_group(0);
        self.adopt(|| {
            let child = command.spawn()?;
            let pid = i32::try_from(child.id()).unwrap_or_default();
            Ok((child, pid))
        })
    }

    /// Runs what starts a process, and waits for that process from then on. No child can be reaped
    /// between the two.
    pub(crate) fn adopt<T>(&self, start: impl FnOnce() -> io::Result<(T, i32)>) -> io::Result<(T, Group)> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let (child, pid) = start()?;
        let pid = Pid::from_raw(pid).ok_or_else(|| io::Error::other("a process without an id"))?;
        let (tell, exit) = watch::channel(None);
        waiting.insert(pid.as_raw_pid(), tell);
        let group = Group {
            pid,
            exit,
            ended: None,
        };
        Ok((child, group))
    }

    fn reap(&self) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if let Some(tell) = waiting.remove(&pid.as_raw_pid()) {
                tell.send_replace(Some(code(status)));
            }
        }
    }
}

fn code(status: WaitStatus) -> ExitCode {
    let code = match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => 128 + signal,
        (None, None) => 255,
    };
    u8::try_from(code).unwrap_or(u8::MAX)
}

impl Group {
    /// Waits until the leader ended. May be called again and given up.
    pub(crate) async fn wait(&mut self) -> ExitCode {
        let code = self.clone_wait().await;
        self.ended = Some(code);
        code
    }

    /// The same, without holding on to the group.
    pub(crate) fn clone_wait(&self) -> std::pin::Pin<Box<dyn Future<Output = ExitCode> + Send>> {
        let mut exit = self.exit.clone();
        Box::pin(async move {
            match exit.wait_for(Option::is_some).await {
                Ok(code) => code.unwrap_or(u8::MAX),
                Err(_) => u8::MAX,
            }
        })
    }

    /// The leader was waited for: its number may belong to somebody else by now.
    pub(crate) fn has_ended(&mut self, code: ExitCode) {
        // What it left behind in its group ends with it.
        self.kill();
        self.ended = Some(code);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        if self.ended.is_none() {
            let _ = kill_process_group(self.pid, signal);
        }
    }

    pub(crate) fn kill(&self) {
        self.signal(Signal::KILL);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Reaped but not told yet: the number may belong to somebody else by now.
        if self.ended.is_none() && self.exit.borrow().is_none() {
            self.kill();
        }
    }
}
