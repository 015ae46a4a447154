//! Whether this host can run sandboxes, asked one by one, each with what to do when it cannot.

use std::{fs, path::Path, process::Stdio, time::Duration};

use crate::{
    Places,
    cgroup::{Arrangement, Cgroups},
    choose::{BackendChoice, choose},
    swap,
};

/// Less free space than this is called too little to begin with.
const FREE_BYTES: u64 = 2 << 30;
const VERSION_DEADLINE: Duration = Duration::from_secs(5);

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// A short word: `root`, `cgroups`, `runtime`…
    pub name: &'static str,
    pub verdict: Verdict,
    /// A sentence: what was found.
    pub found: String,
    /// What to do about it; empty when all is well.
    pub next: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Good,
    /// Works, not as well as it could.
    Poor,
    /// Sandboxes do not work with this.
    Bad,
}

/// Asks everything. One finding really runs a sandbox, unless `places` is none or an earlier answer
/// makes it hopeless.
pub async fn check(data: &Path, places: Option<&Places>) -> Vec<Finding> {
    let mut findings = vec![root(), user_namespaces(), cgroups(), loop_devices(), disk(data)];
    for (program, package) in [
        ("mkfs.ext4", "e2fsprogs"),
        ("resize2fs", "e2fsprogs"),
        ("e2fsck", "e2fsprogs"),
    ] {
        findings.push(program_there(program, package).await);
    }
    let hopeless = findings.iter().any(|finding| finding.verdict == Verdict::Bad);
    match places {
        Some(places) if !hopeless => findings.push(runtime(places).await),
        Some(_) => findings.push(Finding {
            name: "runtime",
            verdict: Verdict::Bad,
            found: "No sandbox was tried, since it could not have worked.".to_owned(),
            next: "Do what the lines above say, then check again.".to_owned(),
        }),
        None => {}
    }
    findings.push(paging().await);
    findings
}

fn good(name: &'static str, found: impl Into<String>) -> Finding {
    Finding {
        name,
        verdict: Verdict::Good,
        found: found.into(),
        next: String::new(),
    }
}

fn bad(name: &'static str, found: impl Into<String>, next: impl Into<String>) -> Finding {
    Finding {
        name,
        verdict: Verdict::Bad,
        found: found.into(),
        next: next.into(),
    }
}

fn root() -> Finding {
    if rustix::process::geteuid().is_root() {
        good("root", "The supervisor can run as root.")
    } else {
        bad(
            "root",
            "This is not root, and only root can give each sandbox users and limits of its own.",
            "Run it as root, for example with sudo. All but the supervisor drops these rights at once.",
        )
    }
}

fn user_namespaces() -> Finding {
    let most = fs::read_to_string("/proc/sys/user/max_user_namespaces")
        .ok()
        .and_then(|text| text.trim().parse::<u64>().ok());
    match most {
        None => bad(
            "user namespaces",
            "The kernel has no user namespaces.",
            "Use a kernel with CONFIG_USER_NS, as every Debian kernel is.",
        ),
        Some(0) => bad(
            "user namespaces",
            "User namespaces are switched off.",
            "Run: sysctl -w user.max_user_namespaces=65536",
        ),
        Some(most) => good(
            "user namespaces",
            format!("The kernel allows {most} user namespaces."),
        ),
    }
}

fn cgroups() -> Finding {
    const NAME: &str = "control groups";
    let arrangement = Cgroups::of_this_host().map(|cgroups| cgroups.arrangement());
    match arrangement {
        Ok(Arrangement::V2) => good(NAME, "Control groups version 2."),
        Ok(Arrangement::V1) => good(NAME, "Control groups version 1."),
        Ok(Arrangement::Hybrid) => good(NAME, "Control groups version 1 and 2 side by side."),
        Ok(Arrangement::None) => bad(
            NAME,
            "No control groups are mounted, so no limit would hold.",
            "Run: mount -t cgroup2 none /sys/fs/cgroup",
        ),
        Err(error) => bad(NAME, error.to_string(), "Mount /proc."),
    }
}

fn loop_devices() -> Finding {
    match fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/loop-control")
    {
        Ok(_) => good("loop devices", "Loop devices are there, for volumes."),
        Err(error) => bad(
            "loop devices",
            format!("Volumes need loop devices, and /dev/loop-control cannot be opened: {error}."),
            "Run: modprobe loop. In a container, give it the devices or use a real host.",
        ),
    }
}

fn disk(data: &Path) -> Finding {
    let there = data
        .ancestors()
        .find(|path| path.exists())
        .unwrap_or(Path::new("/"));
    match rustix::fs::statvfs(there) {
        Ok(stat) => {
            let free = stat.f_bavail.saturating_mul(stat.f_frsize);
            let found = format!("{} MiB are free for {}.", free >> 20, data.display());
            if free >= FREE_BYTES {
                good("disk", found)
            } else {
                bad(
                    "disk",
                    found,
                    "Free some space, or choose another data directory with --data.",
                )
            }
        }
        Err(errno) => bad(
            "disk",
            format!("{} cannot be looked at: {errno}.", there.display()),
            "Choose another data directory with --data.",
        ),
    }
}

async fn program_there(program: &'static str, package: &str) -> Finding {
    let run = tokio::process::Command::new(program)
        .arg("-V")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .status();
    match tokio::time::timeout(VERSION_DEADLINE, run).await {
        Ok(Ok(_)) => good(program, format!("{program} is installed.")),
        Ok(Err(error)) => bad(
            program,
            format!("{program} cannot be run: {error}."),
            format!("Install it: apt-get install {package}"),
        ),
        Err(_) => bad(
            program,
            format!("{program} does not end."),
            format!("Reinstall package {package}."),
        ),
    }
}

async fn runtime(places: &Places) -> Finding {
    match choose(BackendChoice::Auto, places).await {
        Ok(chosen) => good(
            "runtime",
            format!("A sandbox ran with {}.", chosen.backend.name()),
        ),
        Err(error) => bad("runtime", error.to_string(), "Install one: apt-get install runc"),
    }
}

async fn paging() -> Finding {
    let paging = swap::probe().await;
    Finding {
        name: "swap",
        verdict: if paging.works {
            Verdict::Good
        } else {
            Verdict::Poor
        },
        found: paging.found,
        next: paging.next,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_missing_program_is_named_with_its_package() {
        let finding = program_there("creel-no-such-program", "e2fsprogs").await;
        assert_eq!(finding.verdict, Verdict::Bad);
        assert_eq!(finding.next, "Install it: apt-get install e2fsprogs");
    }

    #[tokio::test]
    async fn every_finding_that_is_not_good_says_what_to_do() {
        for finding in check(Path::new("/nowhere/at/all"), None).await {
            assert_eq!(
                finding.verdict == Verdict::Good,
                finding.next.is_empty(),
                "{finding:?}"
            );
        }
    }
}
