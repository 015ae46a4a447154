//! Where memory goes that is paged out: how much room the host's swap has, and whether the kernel really takes memory
//! there, found out by doing it.

use std::{fs, process::Stdio, time::Duration};

use tokio::{io::AsyncReadExt as _, process::Command};

use crate::{
    Memory,
    paging::{self, Stop, Swept},
};

/// Of the host's swap so much stays free, for the host itself.
const RESERVE_PART: u64 = 8;
const MOST_RESERVE_BYTES: u64 = 512 << 20;
/// What the probe's child holds, and how much of it must have gone.
const PROBE: &str = "4M";
const PROBE_GONE_BYTES: u64 = 2 << 20;
const PROBE_DEADLINE: Duration = Duration::from_secs(5);
const HOW: &str = "Compressed memory does best: modprobe zram; zramctl --find --size 4G --algorithm lz4; mkswap /dev/zram0; \
                   swapon --priority 100 /dev/zram0. A swap file does as well.";

/// The host's swap at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Swap {
    pub(crate) total: u64,
    pub(crate) free: u64,
}

/// Whether sandboxes that are held still can be paged out on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paging {
    pub works: bool,
    /// A sentence: what was found.
    pub found: String,
    /// What to do about it; empty when all is well.
    pub next: String,
}

impl Swap {
    pub(crate) fn now() -> Self {
        Self::read(&fs::read_to_string("/proc/meminfo").unwrap_or_default())
    }

    fn read(meminfo: &str) -> Self {
        let bytes = |name: &str| {
            let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
            let kibi: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
            kibi.checked_mul(1024)
        };
        Self {
            total: bytes("SwapTotal:").unwrap_or_default(),
            free: bytes("SwapFree:").unwrap_or_default(),
        }
    }

    /// Whether so much more fits, with the reserve left.
    pub(crate) fn takes(self, bytes: u64) -> bool {
        let reserve = (self.total / RESERVE_PART).min(MOST_RESERVE_BYTES);
        self.total > 0 && self.free >= bytes.saturating_add(reserve)
    }
}

impl Paging {
    fn no(found: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            works: false,
            found: found.into(),
            next: next.into(),
        }
    }
}

/// Pages out a child of ours that is thrown away afterwards, and looks whether it went.
pub(crate) async fn probe() -> Paging {
    let swap = Swap::now();
    if swap.total == 0 {
        return Paging::no(
            "The host has no swap, so agents that sleep keep their memory.",
            format!("Give it some if memory is short. {HOW}"),
        );
    }
    if !swap.takes(PROBE_GONE_BYTES) {
        return Paging::no(
            format!(
                "The host's swap is full: {} of {} MiB are free. Agents that sleep keep their memory.",
                swap.free >> 20,
                swap.total >> 20
            ),
            format!("Give it more. {HOW}"),
        );
    }
    let gone = match tokio::time::timeout(PROBE_DEADLINE, page_out_a_child()).await {
        Ok(Ok(gone)) => gone,
        Ok(Err(error)) => {
            return Paging::no(
                format!("Whether memory can be paged out could not be tried: {error}."),
                "Look what keeps `dd` from running or processes from being looked at, then start Creel again.",
            );
        }
        Err(_) => {
            return Paging::no(
                format!(
                    "Paging out {PROBE} took longer than {} s.",
                    PROBE_DEADLINE.as_secs()
                ),
                format!("The swap is too slow to be of use. {HOW}"),
            );
        }
    };
    if gone < PROBE_GONE_BYTES {
        return Paging::no(
            "The kernel pages nothing out when told to, though there is swap.",
            "Use a kernel of 5.10 or later with CONFIG_ADVISE_SYSCALLS, and see that the service that runs Creel may swap \
             (MemorySwapMax of systemd).",
        );
    }
    Paging {
        works: true,
        found: format!(
            "Agents that sleep can be paged out: the host has {} MiB of swap.",
            swap.total >> 20
        ),
        next: String::new(),
    }
}

/// How much of it is in swap afterwards.
async fn page_out_a_child() -> std::io::Result<u64> {
    // It fills a buffer, and stands still when nobody reads it. What is random cannot be left out by compressing it.
    let mut child = Command::new("dd")
        .args(["if=/dev/urandom", "iflag=fullblock", "count=1"])
        .arg(format!("bs={PROBE}"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let mut said = [0; 1];
    if let Some(stdout) = &mut child.stdout {
        stdout.read_exact(&mut said).await?;
    }
    let pid = child.id().unwrap_or_default();
    let stop = Stop::default();
    let flag = stop.flag();
    let swept = tokio::task::spawn_blocking(move || {
        let swept = paging::page_out(&[pid], |_| true, &flag);
        (swept, Memory::of(&[pid]).swapped_bytes)
    });
    let (swept, gone) = swept.await.map_err(std::io::Error::other)?;
    child.kill().await?;
    match swept {
        Swept::Whole | Swept::Stopped | Swept::Full => Ok(gone),
        Swept::Refused(errno) => {
            tracing::debug!(%errno, "the kernel refuses to page out");
            Ok(0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_eighth_stays_free_and_at_most_half_a_gibibyte() {
        let swap = Swap::read("MemTotal: 1 kB\nSwapTotal:         8192 kB\nSwapFree:          4096 kB\n");
        assert_eq!((swap.total, swap.free), (8 << 20, 4 << 20));
        assert!(swap.takes(3 << 20));
        assert!(!swap.takes((3 << 20) + 1));
        let large = Swap {
            total: 64 << 30,
            free: 1 << 30,
        };
        assert!(large.takes(512 << 20));
        assert!(!large.takes(513 << 20));
        assert!(!Swap::read("").takes(0), "no swap takes nothing");
        assert!(!Swap::read("SwapTotal: x kB\nSwapFree: 99999999999999999999 kB").takes(0));
    }
}
