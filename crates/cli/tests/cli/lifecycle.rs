//! `creel up` as a tree of real processes: first run, later runs, deaths, the end.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tempfile::TempDir;

use crate::world::{creel, show};

/// Everything here ends within this, or the test fails.
const DEADLINE: Duration = Duration::from_secs(60);

struct Host {
    directory: TempDir,
}

/// A `creel up` that has said that it is ready.
struct Up {
    parent: Child,
    url: String,
    link: String,
}

impl Host {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Self { directory }
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn settings(&self) -> PathBuf {
        self.directory.path().join(".config/creel/config.toml")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = creel(self.directory.path());
        // No sandbox is made here, so any static program does for a bridge.
        command
            .env("CREEL_BRIDGE", "/bin/busybox")
            .env("CREEL_DATA", self.data())
            .args(args);
        command
    }

    fn up(&self, listen: &str) -> Up {
        let mut command = self.command(&["up", "--no-image-build", "--listen", listen]);
        let mut parent = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines: Vec<String> = BufReader::new(parent.stdout.take().unwrap())
            .lines()
            .take(4)
            .map(Result::unwrap)
            .collect();
        let after = |start: &str| {
            let line = lines.iter().find_map(|line| line.strip_prefix(start));
            line.unwrap_or_else(|| panic!("no `{start}` in {lines:?}: {}", self.logs()))
                .to_owned()
        };
        Up {
            url: after("Creel runs at "),
            link: after("Sign in (opens once): "),
            parent,
        }
    }

    fn logs(&self) -> String {
        let logs = ["edge.log", "control.log", "supervisor.log"]
            .map(|name| fs::read_to_string(self.data().join("logs").join(name)));
        logs.map(Result::unwrap_or_default).join("\n")
    }

    /// Whether the API answers to the token in the settings.
    fn answers(&self) -> bool {
        self.command(&["--json", "agent", "ls"])
            .output()
            .unwrap()
            .status
            .success()
    }

    fn child(&self, up: &Up, name: &str) -> Pid {
        let parent = up.parent.id();
        let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap();
        let found = children.split_whitespace().find(|pid| {
            let args = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            args.split('\0').nth(1) == Some(name)
        });
        found
            .and_then(|pid| Pid::from_raw(pid.parse().ok()?))
            .unwrap_or_else(|| panic!("no {name} among {children}"))
    }
}

impl Up {
    fn end(&mut self, signal: Signal) {
        kill_process(Pid::from_child(&self.parent), signal).unwrap();
        assert!(self.parent.wait().unwrap().success());
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // A test that failed leaves nobody behind: the children die with their parent.
        let _ = self.parent.kill();
        let _ = self.parent.wait();
    }
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < DEADLINE, "not within {DEADLINE:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn mode(path: PathBuf) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

#[test]
fn the_first_run_makes_an_owner_and_the_next_one_knows_them() {
    let host = Host::new();
    let mut up = host.up("127.0.0.1:0");
    assert!(host.answers(), "the token in the settings is good");
    assert_eq!(mode(host.settings()), 0o600);
    let first = fs::read_to_string(host.settings()).unwrap();
    assert!(first.contains(&up.url), "{first}");
    assert!(
        up.link.starts_with(&format!("{}/sign-in?code=", up.url)),
        "{}",
        up.link
    );
    let listen = up.url.trim_start_matches("http://").to_owned();
    up.end(Signal::TERM);
    assert!(!host.answers(), "it is gone");

    let mut again = host.up(&listen);
    assert!(host.answers());
    assert_eq!(
        fs::read_to_string(host.settings()).unwrap(),
        first,
        "the token is still good: it is kept"
    );
    assert_ne!(again.link, up.link, "each link is a new one");
    again.end(Signal::INT);

    let other_person = fs::write(
        host.settings(),
        "url = \"http://elsewhere\"\ntoken = \"theirs\"\n",
    );
    other_person.unwrap();
    let mut third = host.up(&listen);
    assert!(host.answers(), "settings of another server gave way");
    let kept = fs::read_to_string(host.settings().with_extension("toml.old")).unwrap();
    assert!(kept.contains("theirs"), "{kept}");
    third.end(Signal::TERM);
}

#[test]
fn control_and_the_edge_have_no_rights_and_others_cannot_look() {
    let host = Host::new();
    let mut up = host.up("127.0.0.1:0");
    for name in ["control", "edge"] {
        has_no_rights(&host, &up, name);
    }
    let data = host.data();
    let modes = ["control", "supervisor", "logs", "run", "run/edge", ""].map(|name| mode(data.join(name)));
    assert_eq!(
        modes.map(|mode| format!("{mode:o}")),
        ["700", "700", "700", "711", "700", "711"]
    );
    assert_eq!(mode(data.join("run/control.sock")), 0o600);
    assert_eq!(mode(data.join("control/creel.db")) & 0o077, 0);
    assert_eq!(mode(data.join("control/master.key")), 0o600);
    up.end(Signal::TERM);
}

fn has_no_rights(host: &Host, up: &Up, name: &str) {
    let child = host.child(up, name).as_raw_nonzero();
    let status = fs::read_to_string(format!("/proc/{child}/status")).unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
            .join(" ")
    };
    for name in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
        assert_eq!(field(name), "0000000000000000", "{name}");
    }
    assert_eq!(
        (field("NoNewPrivs:").as_str(), field("Groups:").as_str()),
        ("1", "")
    );
    assert!(field("Uid:").split(' ').all(|uid| uid != "0"), "{status}");
    // What cannot be dumped belongs to root in /proc.
    assert_eq!(fs::metadata(format!("/proc/{child}/environ")).unwrap().uid(), 0);
}

#[test]
fn a_child_that_is_killed_comes_back_and_callers_wait_for_it() {
    let host = Host::new();
    let mut up = host.up("127.0.0.1:0");
    for name in ["control", "supervisor", "edge", "control"] {
        let before = host.child(&up, name);
        kill_process(before, Signal::KILL).unwrap();
        if name != "supervisor" {
            // Sent while nobody is there to take it: it waits in the backlog instead of being refused.
            assert!(host.answers(), "{}", host.logs());
        }
        until(&format!("{name} is back"), || {
            let parent = up.parent.id();
            let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap();
            let pids: Vec<i32> = children
                .split_whitespace()
                .filter_map(|pid| pid.parse().ok())
                .collect();
            pids.len() == 3 && !pids.contains(&before.as_raw_nonzero().get())
        });
        until("the supervisor answers control", || {
            host.command(&["--json", "image", "ls"])
                .output()
                .unwrap()
                .status
                .success()
        });
    }
    up.end(Signal::TERM);
}

#[test]
fn children_die_with_their_parent() {
    let host = Host::new();
    let mut up = host.up("127.0.0.1:0");
    let children = ["control", "edge", "supervisor"].map(|name| host.child(&up, name));
    up.parent.kill().unwrap();
    up.parent.wait().unwrap();
    until("all are gone", || {
        children.iter().all(|pid| test_kill_process(*pid).is_err())
    });
    // And nothing of them is in the way of the next.
    host.up("127.0.0.1:0").end(Signal::TERM);
}

#[test]
fn detached_it_runs_until_down() {
    let host = Host::new();
    let mut up = host.command(&[
        "--json",
        "up",
        "--detach",
        "--no-image-build",
        "--listen",
        "127.0.0.1:0",
    ]);
    let output = up.output().unwrap();
    assert!(output.status.success(), "{}\n{}", show(&output), host.logs());
    assert!(host.answers());
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let url = said["url"].as_str().unwrap();
    assert!(
        said["sign_in"]
            .as_str()
            .unwrap()
            .starts_with(&format!("{url}/sign-in?code=")),
        "{said}"
    );
    assert_eq!(said["settings"], host.settings().to_str().unwrap());
    assert_eq!(said["logs"], host.data().join("logs").to_str().unwrap());
    let again = host
        .command(&["up", "--detach", "--listen", "127.0.0.1:0"])
        .output()
        .unwrap();
    assert!(
        show(&again).contains("Creel is already running with"),
        "{}",
        show(&again)
    );
    let doctor = show(&host.command(&["doctor"]).output().unwrap());
    assert!(doctor.contains("Creel is running: process "), "{doctor}");
    let down = host.command(&["down"]).output().unwrap();
    assert!(down.status.success(), "{}", show(&down));
    assert!(!host.answers());
}

#[test]
fn a_host_without_an_oci_runtime_is_refused() {
    let host = Host::new();
    let bare = host.directory.path().join("bare");
    fs::create_dir(&bare).unwrap();
    for tool in ["mkfs.ext4", "resize2fs", "e2fsck"] {
        std::os::unix::fs::symlink(format!("/usr/sbin/{tool}"), bare.join(tool)).unwrap();
    }
    let mut command = host.command(&["up", "--no-image-build", "--listen", "127.0.0.1:0"]);
    let output = command.env("PATH", &bare).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = show(&output);
    // What is tried besides depends on the host.
    for part in [
        "err: error: no way to isolate sandboxes works on this host.",
        "crun: program `crun` is not installed: install its package.",
        "runc: program `runc` is not installed: install its package.",
        "Run `creel doctor` to see all of it",
    ] {
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(said.lines().count(), 2, "{said}");
}
