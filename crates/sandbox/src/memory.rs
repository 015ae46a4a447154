//! What processes have that lies only in memory or in swap: what they wrote themselves, and not the files they read,
//! which the kernel drops when it needs room.

use std::fs;

/// Processes of one sandbox that are counted and paged out.
pub(crate) const MOST_PROCESSES: usize = 4096;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    pub resident_bytes: u64,
    pub swapped_bytes: u64,
}

impl Memory {
    /// Of all these processes; those that are no more have nothing.
    pub(crate) fn of(pids: &[u32]) -> Self {
        let mut all = Self::default();
        for pid in pids.iter().take(MOST_PROCESSES) {
            all.add(&fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default());
        }
        all
    }

    /// One process's `status`, as in proc(5).
    fn add(&mut self, status: &str) {
        for (name, value) in status.lines().filter_map(|line| line.split_once(':')) {
            let bytes = || {
                let kibi = value.trim().trim_end_matches("kB").trim().parse::<u64>();
                kibi.unwrap_or_default().saturating_mul(1024)
            };
            let count = match name {
                "RssAnon" | "RssShmem" => &mut self.resident_bytes,
                "VmSwap" => &mut self.swapped_bytes,
                _ => continue,
            };
            *count = count.saturating_add(bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_processes_wrote_is_counted_and_what_they_read_is_not() {
        let mut memory = Memory::default();
        for status in [
            "Name:\tVmSwap:\nRssAnon:\t      12 kB\nRssFile:\t    2000 kB\nRssShmem:\t       3 kB\nVmSwap:\t       7 kB\n",
            "Name:\tx\nRssAnon:\t1 kB\nVmSwap:\t99999999999999999999 kB\n",
            "",
        ] {
            memory.add(status);
        }
        let (resident_bytes, swapped_bytes) = (16 << 10, 7 << 10);
        assert_eq!(
            memory,
            Memory {
                resident_bytes,
                swapped_bytes
            }
        );
        assert!(Memory::of(&[std::process::id(), u32::MAX]).resident_bytes > 0);
    }
}
