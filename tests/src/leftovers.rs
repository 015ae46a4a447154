//! What an installation left on the host.

use std::{
    fs,
    path::{Path, PathBuf},
};

use creel_sandbox::Places;

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
    for hierarchy in [PathBuf::from("/sys/fs/cgroup")]
        .into_iter()
        .chain(entries(Path::new("/sys/fs/cgroup")))
    {
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

fn entries(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
}
