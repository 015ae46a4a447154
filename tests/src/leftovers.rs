//! What an installation left on the host.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use creel_sandbox::Places;
use rustix::{
    mount::{UnmountFlags, unmount},
    process::{Signal, kill_process},
};

use crate::processes::processes;

/// Mounts, control groups, loop devices, processes and places of sandboxes that belong to this data
/// directory. Volumes of agents that exist, and what is kept beside them, are no leftovers.
pub fn leftovers(data: &Path) -> Vec<String> {
    let text = data.to_str().expect("a path in UTF-8");
    let mut left = Vec::new();
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mounts");
    left.extend(
        mounts
            .lines()
            .filter(|line| line.contains(text))
            .map(|line| format!("mount {line}")),
    );
    for device in entries(Path::new("/sys/block")) {
        let file = fs::read_to_string(device.join("loop/backing_file")).unwrap_or_default();
        if file.contains(text) {
            left.push(format!("{} of {}", device.display(), file.trim()));
        }
    }
    let group = Places::cgroup_for(data);
    let name = group.trim_start_matches('/');
    for hierarchy in hierarchies() {
        let path = hierarchy.join(name);
        if path.exists() {
            left.push(format!("control group {}", path.display()));
        }
    }
    left.extend(
        processes()
            .filter(|process| process.argv.iter().any(|arg| arg.contains(text)) || process.in_group(&group))
            .map(|process| format!("process {process:?}")),
    );
    let volume = |place: &PathBuf| data.join("volumes").join(place.file_name().unwrap_or_default());
    left.extend(
        entries(&data.join("run/sandboxes"))
            .into_iter()
            .filter(|place| !volume(place).exists())
            .map(|path| path.display().to_string()),
    );
    left
}

/// Takes away what a scenario left that failed without an orderly end.
pub(crate) fn clear(data: &Path) {
    let group = Places::cgroup_for(data);
    let deadline = Instant::now() + Duration::from_secs(10);
    let alive = || -> Vec<_> { processes().filter(|process| process.in_group(&group)).collect() };
    while Instant::now() < deadline {
        let alive = alive();
        if alive.is_empty() {
            break;
        }
        for process in alive {
            // It may have ended meanwhile.
            let _ = kill_process(process.pid, Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let text = data.to_string_lossy();
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    for point in points.filter(|point| point.starts_with(&*text)) {
        let _ = unmount(point, UnmountFlags::DETACH);
    }
    for hierarchy in hierarchies() {
        let ours = hierarchy.join(group.trim_start_matches('/'));
        for sandbox in entries(&ours) {
            let _ = fs::remove_dir(sandbox);
        }
        let _ = fs::remove_dir(ours);
    }
}

/// All places where there may be a control group of ours: version 2 alone, or each hierarchy of version 1.
fn hierarchies() -> impl Iterator<Item = PathBuf> {
    let root = PathBuf::from("/sys/fs/cgroup");
    let below = entries(&root);
    std::iter::once(root).chain(below)
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
}
