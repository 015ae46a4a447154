//! Processes held by descriptor, so that a reused pid is never mistaken for the one that was meant.

use std::{
    collections::BTreeSet,
    fs,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    time::Duration,
};

use jiff::Timestamp;
use rustix::{
    event::{PollFd, PollFlags, Timespec},
    io::Errno,
    process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid},
};
use tokio::io::unix::AsyncFd;

use crate::Error;

const ASK_EVERY: Duration = Duration::from_millis(500);

/// Adopts the processes that our children leave behind: first processes of sandboxes become ours when
/// the runtime that started them ends, so their end is seen at once and no zombie stays.
pub fn become_subreaper() -> Result<(), Error> {
    // Any pid but none switches it on.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(Error::errno("become the parent of orphaned sandbox processes"))
}

/// Reaps children of ours that nobody waits for. Who does wait is quick, so what is dead in two rounds
/// running is nobody's.
#[derive(Debug, Default)]
pub struct ZombieSweep {
    seen: BTreeSet<i32>,
}

impl ZombieSweep {
    pub fn round(&mut self) {
        let dead = dead_children();
        for pid in dead.intersection(&self.seen) {
            if let Some(pid) = Pid::from_raw(*pid) {
                // Somebody else was quicker after all.
                let _ = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
            }
        }
        self.seen = dead;
    }
}

fn dead_children() -> BTreeSet<i32> {
    let pids = crate::fs::names(std::path::Path::new("/proc"));
    pids.iter()
        .filter_map(|name| name.parse().ok())
        .filter(|pid| stat_of_child(pid).is_some_and(|stat| stat.starts_with('Z')))
        .collect()
}

/// Whether it is a child of ours that has begun to end, or has ended. The first process of a namespace
/// takes its time in between, till all others are reaped, and is in none of its groups any more.
pub(crate) fn is_ending_child(pid: u32) -> bool {
    const FLAGS: usize = 6;
    const EXITING: u32 = 4;
    stat_of_child(pid)
        .and_then(|stat| stat.split(' ').nth(FLAGS)?.parse::<u32>().ok())
        .is_some_and(|flags| flags & EXITING != 0)
}

/// What the kernel says of a child of ours, from its state on, as in proc(5).
fn stat_of_child(pid: impl std::fmt::Display) -> Option<String> {
    let stat = stat(pid)?;
    let parent = stat.split(' ').nth(1)?;
    (parent.parse() == Ok(std::process::id())).then_some(stat)
}

/// What the kernel says of a process, from its state on, as in proc(5).
fn stat(pid: impl std::fmt::Display) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Its name may hold anything.
    Some(stat.rsplit_once(") ")?.1.to_owned())
}

/// A process, for as long as we look at it.
#[derive(Debug)]
pub(crate) struct Held {
    fd: OwnedFd,
}

impl Held {
    /// None when there is no such process. Any other failure is an error: to take a living sandbox for
    /// a dead one, only because we have no descriptor left, would end it.
    pub(crate) fn open(pid: u32) -> Result<Option<Self>, Error> {
        let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
            return Ok(None);
        };
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(fd) => Ok(Some(Self { fd })),
            Err(Errno::SRCH) => Ok(None),
            Err(errno) => Err(Error::errno("look at a sandbox process")(errno)),
        }
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// A process that ended already is not an error.
    pub(crate) fn signal(&self, signal: Signal) -> Result<(), Error> {
        match pidfd_send_signal(&self.fd, signal) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(errno) => Err(Error::errno("signal a sandbox process")(errno)),
        }
    }

    /// Whether it has ended; a zombie has.
    pub(crate) fn has_ended(&self) -> bool {
        let mut fds = [PollFd::new(&self.fd, PollFlags::IN)];
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        matches!(rustix::event::poll(&mut fds, Some(&now)), Ok(ready) if ready > 0)
    }

    /// Takes its status if it has ended and is our child.
    pub(crate) fn reap(&self) -> Option<i32> {
        reap(&self.fd)
    }

    /// Waits for its end, reaps it when it is our child, and says with what status it ended then.
    pub(crate) async fn ended(self) -> Option<i32> {
        #[expect(unsafe_code, reason = "tokio asks for a promise about the descriptor")]
        // SAFETY: the descriptor is owned by `self`, which outlives this registration.
        let registered = unsafe { AsyncFd::register(self.fd.as_fd()) };
        let woken = match &registered {
            Ok(fd) => fd.readable().await.is_ok(),
            Err(_) => false,
        };
        // The kernel may have no room to tell us; then we ask.
        while !woken && !self.has_ended() {
            tokio::time::sleep(ASK_EVERY).await;
        }
        drop(registered);
        reap(&self.fd)
    }
}

/// Exit status, or 128 + signal; none when it is not our child or was reaped before.
fn reap(fd: &OwnedFd) -> Option<i32> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    let status = waitid(WaitId::PidFd(fd.as_fd()), options).ok()??;
    status
        .exit_status()
        .or_else(|| status.terminating_signal().map(|signal| 128 + signal))
}

/// When the process started, by the kernel's account.
pub(crate) fn started_at(pid: u32) -> Option<Timestamp> {
    // The directory's times are those of its first look-up, so ask for the start in ticks since boot.
    let ticks: i64 = stat(pid)?.split(' ').nth(19)?.parse().ok()?;
    let per_second = i64::try_from(rustix::param::clock_ticks_per_second())
        .ok()?
        .max(1);
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let uptime_ms = (uptime.split(' ').next()?.parse::<f64>().ok()? * 1000.0) as i64;
    let age_ms = uptime_ms - ticks.saturating_mul(1000) / per_second;
    Timestamp::now()
        .checked_sub(jiff::SignedDuration::from_millis(age_ms.max(0)))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_end_of_a_child_is_seen_with_its_status() {
        let mut child = std::process::Command::new("sh")
            .args(["-c", "exit 7"])
            .spawn()
            .expect("sh");
        let held = Held::open(child.id())
            .expect("looked")
            .expect("our child, a zombie at worst");
        assert_eq!(held.ended().await, Some(7));
        assert!(child.wait().is_err(), "it was reaped");
    }

    #[test]
    fn a_dead_child_that_nobody_waits_for_is_reaped_in_the_second_round() {
        let mut child = std::process::Command::new("true").spawn().expect("true");
        let held = Held::open(child.id()).expect("looked").expect("our child");
        let give_up = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while !held.has_ended() {
            assert!(std::time::Instant::now() < give_up, "true ends");
            std::thread::yield_now();
        }
        let mut sweep = ZombieSweep::default();
        sweep.round();
        sweep.round();
        assert!(child.wait().is_err(), "it was reaped");
    }

    #[test]
    fn our_own_start_lies_in_the_near_past() {
        let started = started_at(std::process::id()).expect("we run");
        let age = Timestamp::now().duration_since(started);
        assert!((0..3600).contains(&age.as_secs()), "{age:?}");
    }
}
