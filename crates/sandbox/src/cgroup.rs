//! Control groups by hand, the same for v1, v2 and both at once: who is in one, whether memory ran out,
//! and removing what a runtime left.
//!
//! Our groups are `/creel-HASH/SANDBOX` in every hierarchy of the host.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use creel_domain::SandboxId;

use crate::{Error, Places, mounts};

const NO_SUCH_PROCESS: i32 = rustix::io::Errno::SRCH.raw_os_error();

/// How the host arranges control groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrangement {
    V1,
    V2,
    /// Version 1, and a version 2 hierarchy that holds some controllers of its own.
    Hybrid,
    None,
}

/// One mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hierarchy {
    point: PathBuf,
    v2: bool,
    controllers: String,
}

/// All hierarchies of the host, found once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cgroups {
    hierarchies: Vec<Hierarchy>,
}

impl Cgroups {
    pub(crate) fn of_this_host() -> Result<Self, Error> {
        let hierarchies = mounts::all()?
            .into_iter()
            .filter(|mount| mount.kind == "cgroup" || mount.kind == "cgroup2")
            .map(|mount| Hierarchy {
                v2: mount.kind == "cgroup2",
                controllers: mount.options,
                point: mount.point,
            })
            .collect();
        Ok(Self { hierarchies })
    }

    pub(crate) fn arrangement(&self) -> Arrangement {
        let v1 = self.hierarchies.iter().any(|hierarchy| !hierarchy.v2);
        let v2 = self.hierarchies.iter().find(|hierarchy| hierarchy.v2);
        let holds_some = |v2: &Hierarchy| {
            fs::read_to_string(v2.point.join("cgroup.controllers")).is_ok_and(|text| !text.trim().is_empty())
        };
        match (v1, v2) {
            (true, Some(v2)) if holds_some(v2) => Arrangement::Hybrid,
            (true, _) => Arrangement::V1,
            (false, Some(_)) => Arrangement::V2,
            (false, None) => Arrangement::None,
        }
    }

    /// Where a version 2 hierarchy stands in the way beside version 1.
    pub(crate) fn second_hierarchy(&self) -> Option<PathBuf> {
        (self.arrangement() == Arrangement::Hybrid)
            .then(|| self.hierarchies.iter().find(|hierarchy| hierarchy.v2))
            .flatten()
            .map(|hierarchy| hierarchy.point.clone())
    }

    /// Whether memory and swap can be bounded together.
    pub(crate) fn bounds_swap(&self) -> bool {
        match self.arrangement() {
            Arrangement::V2 => true,
            _ => self
                .controller("memory")
                .is_some_and(|memory| memory.point.join("memory.memsw.limit_in_bytes").exists()),
        }
    }

    fn controller(&self, name: &str) -> Option<&Hierarchy> {
        let has = |hierarchy: &&Hierarchy| {
            !hierarchy.v2 && hierarchy.controllers.split(',').any(|option| option == name)
        };
        self.hierarchies
            .iter()
            .find(has)
            .or_else(|| self.hierarchies.iter().find(|hierarchy| hierarchy.v2))
    }

    fn directories<'a>(&'a self, group: &'a str) -> impl Iterator<Item = PathBuf> + 'a {
        self.hierarchies
            .iter()
            .map(move |hierarchy| hierarchy.point.join(group.trim_start_matches('/')))
    }

    pub(crate) fn exists(&self, group: &str) -> bool {
        self.directories(group).any(|directory| directory.exists())
    }

    /// Sandboxes with a group below ours in any hierarchy.
    pub(crate) fn sandboxes(&self, places: &Places) -> Vec<SandboxId> {
        self.directories(&places.cgroup)
            .flat_map(|directory| crate::fs::names(&directory))
            .filter_map(|name| name.parse().ok())
            .collect()
    }

    /// Host pids of all processes in a group, those of groups below it included.
    pub(crate) fn pids(&self, group: &str) -> Vec<u32> {
        let mut pids: Vec<u32> = self
            .directories(group)
            .flat_map(|directory| pids_below(&directory))
            .collect();
        pids.sort_unstable();
        pids.dedup();
        pids
    }

    /// Whether this process is in the group, in any hierarchy. One that is no more is not.
    pub(crate) fn holds(&self, group: &str, pid: u32) -> Result<bool, Error> {
        let text = match fs::read_to_string(format!("/proc/{pid}/cgroup")) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            // It ended between our opening and reading.
            Err(error) if error.raw_os_error() == Some(NO_SUCH_PROCESS) => return Ok(false),
            Err(error) => return Err(Error::io("look at a process's control group")(error)),
        };
        Ok(text
            .lines()
            .filter_map(|line| line.splitn(3, ':').nth(2))
            .any(|path| path == group || path.strip_prefix(group).is_some_and(|rest| rest.starts_with('/'))))
    }

    /// Whether the kernel killed a process of the group for lack of memory.
    pub(crate) fn ran_out_of_memory(&self, group: &str) -> bool {
        let Some(memory) = self.controller("memory") else {
            return false;
        };
        let directory = memory.point.join(group.trim_start_matches('/'));
        let file = if memory.v2 {
            "memory.events"
        } else {
            "memory.oom_control"
        };
        fs::read_to_string(directory.join(file)).is_ok_and(|text| {
            text.lines()
                .filter_map(|line| line.strip_prefix("oom_kill "))
                .any(|count| count.trim() != "0")
        })
    }

    /// Holds all processes of a group still, and returns when each of them is.
    pub(crate) fn freeze(&self, group: &str) -> Result<(), Error> {
        /// A process in the middle of a write to a slow disk is held when that is done.
        const PATIENCE: Duration = Duration::from_secs(5);
        let freezer = self.freezer(group);
        let failed = |source| Error::io(format!("freeze cgroup {group}"))(source);
        let Some(freezer) = freezer else {
            return Err(failed(io::ErrorKind::Unsupported.into()));
        };
        freezer.write(true).map_err(failed)?;
        let give_up = Instant::now() + PATIENCE;
        while !freezer.is_frozen().map_err(failed)? {
            if Instant::now() >= give_up {
                // Half of it held still would help nobody.
                let _ = freezer.write(false);
                return Err(failed(io::ErrorKind::TimedOut.into()));
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        Ok(())
    }

    /// Whether the group is held still.
    pub(crate) fn is_frozen(&self, group: &str) -> bool {
        self.freezer(group)
            .is_some_and(|freezer| freezer.is_frozen().unwrap_or_default())
    }

    /// Lets a frozen group run, so that signals reach it.
    pub(crate) fn thaw(&self, group: &str) {
        self.unfreeze(group);
        self.let_swap(group, 0);
    }

    /// How much of a group may be in swap, where that is bounded apart from memory: version 2, where it is nothing as
    /// long as it runs. Version 1 bounds both together, and swaps nothing for the sake of that bound.
    pub(crate) fn let_swap(&self, group: &str, bytes: u64) {
        for directory in self.directories(group) {
            let most = directory.join("memory.swap.max");
            if most.exists() {
                // Gone with its group, or the kernel counts no swap: nothing to bound then.
                let _ = fs::write(most, bytes.to_string());
            }
        }
    }

    fn unfreeze(&self, group: &str) {
        for directory in self.directories(group) {
            // Absent where this hierarchy does not freeze, or the group is gone: nothing to thaw then.
            let _ = fs::write(directory.join("cgroup.freeze"), "0");
            let _ = fs::write(directory.join("freezer.state"), "THAWED");
        }
    }

    /// What freezes a group: version 1's own controller, or version 2's file in each group.
    fn freezer(&self, group: &str) -> Option<Freezer> {
        self.directories(group).find_map(|directory| {
            let v1 = directory.join("freezer.state");
            if v1.exists() {
                return Some(Freezer::V1(v1));
            }
            let is_there = directory.join("cgroup.freeze").exists() && !pids_below(&directory).is_empty();
            is_there.then_some(Freezer::V2(directory))
        })
    }

    /// Removes a group everywhere, waiting a moment for the last process to leave it.
    pub(crate) fn remove(&self, group: &str) -> Result<(), Error> {
        const PATIENCE: Duration = Duration::from_secs(2);
        let give_up = Instant::now() + PATIENCE;
        for directory in self.directories(group) {
            while let Err(error) = remove_below(&directory) {
                if Instant::now() >= give_up {
                    return Err(Error::io(format!("remove cgroup {}", directory.display()))(error));
                }
                // A process that just ended still counts for some microseconds; nothing signals its leaving on v1.
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        Ok(())
    }

    /// Removes our parent group where it is empty.
    pub(crate) fn remove_parent(&self, places: &Places) {
        for directory in self.directories(&places.cgroup) {
            // Not empty: somebody still lives there.
            let _ = fs::remove_dir(directory);
        }
    }
}

enum Freezer {
    V1(PathBuf),
    V2(PathBuf),
}

impl Freezer {
    fn write(&self, frozen: bool) -> io::Result<()> {
        match self {
            Self::V1(state) => fs::write(state, if frozen { "FROZEN" } else { "THAWED" }),
            Self::V2(group) => fs::write(group.join("cgroup.freeze"), if frozen { "1" } else { "0" }),
        }
    }

    fn is_frozen(&self) -> io::Result<bool> {
        match self {
            Self::V1(state) => Ok(fs::read_to_string(state)?.trim() == "FROZEN"),
            Self::V2(group) => Ok(fs::read_to_string(group.join("cgroup.events"))?
                .lines()
                .any(|line| line == "frozen 1")),
        }
    }
}

fn pids_below(directory: &Path) -> Vec<u32> {
    let Ok(text) = fs::read_to_string(directory.join("cgroup.procs")) else {
        return Vec::new();
    };
    let own = text.lines().filter_map(|line| line.trim().parse().ok());
    own.chain(children(directory).iter().flat_map(|child| pids_below(child)))
        .collect()
}

fn children(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

fn remove_below(directory: &Path) -> io::Result<()> {
    for child in children(directory) {
        remove_below(&child)?;
    }
    match fs::remove_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_version_2_a_group_may_swap_only_while_it_is_paged_out() {
        let root = tempfile::tempdir().expect("a directory");
        let group = root.path().join("creel-0/sbx");
        fs::create_dir_all(&group).expect("a group");
        for (name, text) in [("memory.swap.max", "0"), ("cgroup.freeze", "1")] {
            fs::write(group.join(name), text).expect("a file");
        }
        let cgroups = Cgroups {
            hierarchies: vec![Hierarchy {
                point: root.path().to_owned(),
                v2: true,
                controllers: String::new(),
            }],
        };
        let read = |name| fs::read_to_string(group.join(name)).expect("a file");
        cgroups.let_swap("/creel-0/sbx", 4096);
        assert_eq!(read("memory.swap.max"), "4096");
        cgroups.thaw("/creel-0/sbx");
        assert_eq!(
            (read("memory.swap.max").as_str(), read("cgroup.freeze").as_str()),
            ("0", "0")
        );
        // No group, no file: nothing to do.
        cgroups.let_swap("/creel-0/other", 4096);
        assert!(!root.path().join("creel-0/other").exists());
    }
}
