//! Whether the host has memory for sandboxes that nobody uses yet.

use std::{fs, path::PathBuf};

use creel_domain::Limits;

/// Besides what one spare may use at most, so much stays free for everybody else before one more is made…
const FREE_TO_MAKE: u64 = 1 << 30;
/// …and below so much in all, spares are given back.
const FREE_TO_KEEP: u64 = 512 << 20;

/// Reads what the kernel says.
#[derive(Debug, Clone)]
pub(crate) struct HostMemory(PathBuf);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// One more can be made.
    Plenty,
    /// Those that there are may stay.
    Enough,
    /// One has to go.
    Short,
}

impl Default for HostMemory {
    fn default() -> Self {
        Self(PathBuf::from("/proc/meminfo"))
    }
}

impl HostMemory {
    #[cfg(test)]
    pub(crate) fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// For one more sandbox with these limits. What cannot be read is no reason to throw anything away.
    pub(crate) fn room(&self, limits: &Limits) -> Room {
        let text = fs::read_to_string(&self.0).unwrap_or_default();
        match available(&text) {
            None => Room::Enough,
            Some(free) if free < FREE_TO_KEEP => Room::Short,
            Some(free) if free < FREE_TO_MAKE + limits.memory_bytes => Room::Enough,
            Some(_) => Room::Plenty,
        }
    }
}

/// In bytes, from the text of `/proc/meminfo`.
fn available(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use creel_domain::Runtime;

    use super::*;

    #[test]
    fn spares_are_made_with_plenty_and_given_back_when_short() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("meminfo");
        let memory = HostMemory::at(path.clone());
        let limits = Limits::default_for(Runtime::Openclaw);
        for (mib, room) in [
            (511, Room::Short),
            (512, Room::Enough),
            (2559, Room::Enough),
            (2560, Room::Plenty),
        ] {
            let text = format!(
                "MemTotal:  99 kB\nMemAvailable:   {} kB\nBuffers: 1 kB\n",
                mib << 10
            );
            fs::write(&path, text).expect("written");
            assert_eq!(memory.room(&limits), room, "{mib}");
        }
        fs::write(&path, "MemAvailable: much\n").expect("written");
        assert_eq!(memory.room(&limits), Room::Enough);
        assert_ne!(HostMemory::default().room(&limits), Room::Short, "this host");
    }
}
