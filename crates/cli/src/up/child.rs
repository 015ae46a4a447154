//! One child of `creel up`: started, watched, started again when it dies, ended when told.

use std::{
    ffi::OsString,
    os::{fd::OwnedFd, unix::net::UnixStream, unix::process::ExitStatusExt},
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal};
use tokio::{
    process::{Child, Command},
    sync::watch,
    task::JoinHandle,
};

use super::{
    backoff::Backoff,
    handover::{self, Told},
    log::Log,
};
use crate::failure::{Failure, Result};

/// What to start, and how to tell it what it needs.
pub(super) struct Program {
    pub(super) name: &'static str,
    pub(super) args: Vec<OsString>,
    pub(super) log: PathBuf,
    /// A listener that becomes its standard input.
    pub(super) listener: Option<OwnedFd>,
    /// The edge only: another one that becomes its standard output.
    pub(super) second: Option<OwnedFd>,
    /// Control only: what no command line shows.
    pub(super) told: Option<Told>,
    /// How long it may take to end when told.
    pub(super) patience: Duration,
}

/// What the parent wants of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Running,
    /// End, asked by this signal.
    Ended(Signal),
}

/// The parent's end of the pair of sockets with a control, one for each life.
pub(super) type Handovers = tokio::sync::mpsc::UnboundedSender<UnixStream>;

impl Program {
    /// Runs it until it is wanted no more. An end of its own before `ready` is the whole story: trying
    /// again would end the same way. Afterwards it is started again.
    pub(super) async fn keep(
        self,
        mut wanted: watch::Receiver<Wanted>,
        ready: watch::Receiver<bool>,
        handovers: Option<Handovers>,
    ) -> Result<()> {
        let mut backoff = Backoff::default();
        loop {
            let began = Instant::now();
            let (mut child, tail) = self.start(handovers.as_ref())?;
            let status = tokio::select! {
                status = child.wait() => status?,
                signal = end_wanted(&mut wanted) => return self.end(child, signal).await,
            };
            let said = tail.await.unwrap_or_default();
            if !*ready.borrow() && status.code().is_some() {
                return Err(Failure::sentence(last_words(self.name, &said)));
            }
            let pause = backoff.after(began.elapsed());
            super::parent::remark(&format!(
                "{} {}; starting it again in {:.1} s. See {}",
                self.name,
                how(status),
                pause.as_secs_f64(),
                self.log.display()
            ));
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = end_wanted(&mut wanted) => return Ok(()),
            }
        }
    }

    fn start(&self, handovers: Option<&Handovers>) -> Result<(Child, JoinHandle<String>)> {
        // Always this very program, even when a newer one has taken its place on disk.
        let mut command = Command::new("/proc/self/exe");
        command
            .arg0("creel")
            .arg(self.name)
            .args(&self.args)
            .arg(format!("--parent={}", std::process::id()))
            .env_remove("CREEL_TOKEN")
            .env_remove("CREEL_DATABASE")
            .env_remove("CREEL_SMTP_URL")
            .env_remove(super::keys::TOKEN)
            .env_remove(super::keys::PREVIOUS_TOKEN)
            .env_remove("NOTIFY_SOCKET")
            .current_dir("/")
            // Ctrl-C on the terminal is for the parent alone, which ends its children in order.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if let Some(listener) = &self.listener {
            command.stdin(listener.try_clone()?);
        }
        if let Some(listener) = &self.second {
            command.stdout(listener.try_clone()?);
        }
        if let (Some(told), Some(handovers)) = (&self.told, handovers) {
            let (ours, theirs) = UnixStream::pair()?;
            handover::send(&ours, told)?;
            command.stdout(OwnedFd::from(theirs));
            let _ = handovers.send(ours);
        }
        let mut child = command.spawn()?;
        let stderr = child
            .stderr
            .take()
            .ok_or_else(|| std::io::Error::other("the child has no standard error"))?;
        let tail = tokio::spawn(Log::new(self.log.clone()).take(stderr));
        Ok((child, tail))
    }

    async fn end(&self, mut child: Child, signal: Signal) -> Result<()> {
        let pid = child
            .id()
            .and_then(|pid| i32::try_from(pid).ok())
            .and_then(Pid::from_raw);
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process(pid, signal);
        }
        if tokio::time::timeout(self.patience, child.wait()).await.is_err() {
            super::parent::remark(&format!(
                "{} did not end within {} s and is killed",
                self.name,
                self.patience.as_secs()
            ));
            child.kill().await?;
        }
        Ok(())
    }
}

async fn end_wanted(wanted: &mut watch::Receiver<Wanted>) -> Signal {
    loop {
        if let Wanted::Ended(signal) = *wanted.borrow_and_update() {
            return signal;
        }
        if wanted.changed().await.is_err() {
            return Signal::TERM;
        }
    }
}

fn how(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("was killed by signal {signal}"),
        (_, Some(code)) => format!("ended with status {code}"),
        _ => "ended".to_owned(),
    }
}

/// What a child said last, without the mark that it is an error: the parent adds its own.
fn last_words(name: &str, said: &str) -> String {
    let last = said.lines().rev().find_map(|line| line.strip_prefix("error: "));
    match last {
        // The supervisor's reasons lie in the host, and one is seldom alone.
        Some(sentence) if name == "supervisor" => format!("{sentence} Run `creel doctor` to see all of it"),
        Some(sentence) => sentence.to_owned(),
        None => format!("{name} did not start. It said:\n{}", said.trim_end()),
    }
}
