//! The processes of an installation, and how to kill one.

use std::fs;

use creel_sandbox::Places;
use rustix::process::{Pid, Signal, kill_process};

use crate::Platform;

/// A process that a scenario may kill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Control,
    Edge,
    Supervisor,
    /// The first process of the only sandbox there is.
    Bridge,
    /// The real OpenClaw in the only sandbox there is.
    Openclaw,
}

/// A process of the host, as it was at one moment.
#[derive(Debug, Clone)]
pub struct Process {
    pub pid: Pid,
    pub parent: u32,
    pub argv: Vec<String>,
    groups: String,
}

impl Process {
    fn read(pid: u32) -> Option<Self> {
        let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).ok();
        let stat = read("stat")?;
        // The name may hold anything; what follows its bracket does not.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        if fields.next()? == "Z" {
            return None;
        }
        Some(Self {
            pid: Pid::from_raw(pid.try_into().ok()?)?,
            parent: fields.next()?.parse().ok()?,
            argv: read("cmdline")?
                .split_terminator('\0')
                .map(str::to_owned)
                .collect(),
            groups: read("cgroup")?,
        })
    }

    /// Whether it is in a control group whose path begins so, under any controller.
    pub fn in_group(&self, group: &str) -> bool {
        self.groups.lines().any(|line| {
            line.splitn(3, ':')
                .nth(2)
                .is_some_and(|path| path.starts_with(group))
        })
    }
}

/// Every process of the host that is no zombie.
pub fn processes() -> impl Iterator<Item = Process> {
    let entries = fs::read_dir("/proc").expect("/proc");
    entries.filter_map(|entry| Process::read(entry.ok()?.file_name().to_str()?.parse().ok()?))
}

/// What processes have that lies only in memory or in swap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    pub resident: u64,
    pub swapped: u64,
}

impl Platform {
    /// What all sandboxes have together.
    pub fn memory(&self) -> Memory {
        let group = Places::cgroup_for(&self.data());
        let mut all = Memory::default();
        for process in processes().filter(|process| process.in_group(&group)) {
            let path = format!("/proc/{}/status", process.pid.as_raw_nonzero());
            // It may have ended in the meantime.
            let status = fs::read_to_string(path).unwrap_or_default();
            for (name, value) in status.lines().filter_map(|line| line.split_once(':')) {
                let bytes = || {
                    let kibi = value.trim().trim_end_matches(" kB").parse::<u64>();
                    kibi.unwrap_or_default() << 10
                };
                match name {
                    "RssAnon" | "RssShmem" => all.resident += bytes(),
                    "VmSwap" => all.swapped += bytes(),
                    _ => {}
                }
            }
        }
        all
    }

    /// The part's process, if it is there.
    pub fn find(&self, part: Part) -> Option<Pid> {
        let group = Places::cgroup_for(&self.data());
        let is_it = |process: &Process| match part {
            Part::Control | Part::Edge | Part::Supervisor => {
                let name = match part {
                    Part::Control => "control",
                    Part::Edge => "edge",
                    _ => "supervisor",
                };
                process.parent == self.parent() && process.argv.get(1).is_some_and(|arg| arg == name)
            }
            Part::Bridge => {
                process.in_group(&group) && process.argv.first().is_some_and(|arg| arg == "/creel/bridge")
            }
            Part::Openclaw => {
                process.in_group(&group)
                    && process
                        .argv
                        .iter()
                        .any(|arg| arg.ends_with("openclaw/dist/index.js"))
            }
        };
        processes().find(is_it).map(|process| process.pid)
    }

    /// `kill -9`, and waits until the part is there anew.
    pub async fn kill(&self, part: Part) {
        let pid = self.strike(part);
        let back = self
            .until("it is back", async || self.find(part).filter(|now| *now != pid))
            .await;
        assert!(back.is_some(), "{part:?} is not back\n{}", self.logs());
    }

    /// The same, and does not wait for another to take its place.
    pub fn strike(&self, part: Part) -> Pid {
        let pid = self
            .find(part)
            .unwrap_or_else(|| panic!("there is no {part:?}\n{}", self.logs()));
        kill_process(pid, Signal::KILL).expect("killed");
        pid
    }
}
