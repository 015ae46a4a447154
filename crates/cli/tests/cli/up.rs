//! What `creel up` refuses, each as a sentence with the next step. Real processes, as root.

use std::{
    fs,
    net::TcpListener,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use rustix::{
    fs::FlockOperation,
    mount::{MountFlags, UnmountFlags, mount, unmount},
};
use tempfile::TempDir;

use crate::world::{creel, show};

struct Host {
    directory: TempDir,
}

impl Host {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        // As /var/lib is: others may pass through.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Self { directory }
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn up(&self, args: &[&str]) -> Command {
        let mut command = creel(self.directory.path());
        command
            .args(["up", "--listen", "127.0.0.1:0", "--data"])
            .arg(self.data())
            .args(args);
        command
    }

    /// Runs what should end by itself, and puts stable names to what changes.
    fn refusal(&self, command: &mut Command) -> String {
        self.show(&command.output().unwrap())
    }

    fn show(&self, output: &Output) -> String {
        show(output).replace(self.directory.path().to_str().unwrap(), "TMP")
    }
}

#[test]
fn only_root_may() {
    let host = Host::new();
    // A copy that everybody may run: the build may lie where only root can look.
    let copy = host.directory.path().join("creel");
    fs::copy(env!("CARGO_BIN_EXE_creel"), &copy).unwrap();
    let output = Command::new(&copy)
        .arg("up")
        .uid(65_534)
        .env_clear()
        .output()
        .unwrap();
    insta::assert_snapshot!(host.show(&output), @r"
    exit 1
    err: error: `creel up` has to start as root, to give each sandbox users and limits of its own: run `sudo creel up`. Everything but the supervisor gives up root at once
    ");
}

#[test]
fn a_taken_port_is_named() {
    let host = Host::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = creel(host.directory.path());
    let refusal = host.refusal(
        command
            .args(["up", "--listen", &address, "--data"])
            .arg(host.data()),
    );
    insta::assert_snapshot!(refusal.replace(&address, "ADDR:PORT"), @r"
    exit 1
    err: error: another program listens on ADDR:PORT: stop it (`ss -ltnp` names it), or choose another port with --listen
    ");
}

#[test]
fn data_of_the_future_is_left_alone() {
    let host = Host::new();
    fs::create_dir(host.data()).unwrap();
    fs::write(host.data().join("version"), "999\n").unwrap();
    insta::assert_snapshot!(host.refusal(&mut host.up(&[])), @r"
    exit 1
    err: error: TMP/data was written by a newer Creel (layout 999, this one knows 1): install that version, or choose another directory with --data
    ");
    assert_eq!(
        fs::read_dir(host.data()).unwrap().count(),
        1,
        "nothing was made beside it"
    );
    fs::write(host.data().join("version"), "what?\n").unwrap();
    insta::assert_snapshot!(host.refusal(&mut host.up(&[])), @r"
    exit 1
    err: error: TMP/data/version holds no version: this is no data directory of Creel. Choose another with --data
    ");
}

#[test]
fn the_one_that_runs_is_named() {
    let host = Host::new();
    let run = host.data().join("run");
    fs::create_dir_all(&run).unwrap();
    fs::write(run.join("up.lock"), "4242 127.0.0.1:7300\n").unwrap();
    let lock = fs::File::open(run.join("up.lock")).unwrap();
    rustix::fs::flock(&lock, FlockOperation::LockExclusive).unwrap();
    insta::assert_snapshot!(host.refusal(&mut host.up(&[])), @r"
    exit 1
    err: error: Creel is already running with TMP/data: process 4242, at http://127.0.0.1:7300. Stop it with `creel down`, or choose another directory with --data
    ");
    drop(lock);
    let mut down = creel(host.directory.path());
    insta::assert_snapshot!(host.refusal(down.args(["down", "--data"]).arg(host.data())), @r"
    exit 1
    err: error: no Creel runs with TMP/data; name another directory with --data
    ");
}

#[test]
fn a_place_that_control_cannot_reach_is_refused() {
    let host = Host::new();
    fs::set_permissions(host.directory.path(), fs::Permissions::from_mode(0o700)).unwrap();
    insta::assert_snapshot!(host.refusal(&mut host.up(&[])), @r"
    exit 1
    err: error: control runs without root's rights and cannot pass through TMP to reach TMP/data: choose another place with --data, or run: chmod o+x TMP
    ");
}

/// A small disk, gone with its test.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn new(at: &'a Path) -> Self {
        fs::create_dir(at).unwrap();
        mount(
            "tmpfs",
            at,
            "tmpfs",
            MountFlags::empty(),
            Some(c"size=64m,mode=0755"),
        )
        .unwrap();
        Self(at)
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        unmount(self.0, UnmountFlags::DETACH).unwrap();
    }
}

#[test]
fn a_full_disk_is_refused_and_doctor_says_the_same() {
    let host = Host::new();
    let data = host.data();
    let disk = SmallDisk::new(&data);
    insta::assert_snapshot!(host.refusal(&mut host.up(&[])), @r"
    exit 1
    err: error: 64 MiB are free for TMP/data. Creel needs at least 1 GiB: make room, or choose another disk with --data
    ");
    let mut doctor = creel(host.directory.path());
    let doctor = doctor
        .args(["doctor", "--json", "--listen", "127.0.0.1:0", "--data"])
        .arg(&data)
        .output()
        .unwrap();
    assert_eq!(doctor.status.code(), Some(1));
    let findings: serde_json::Value = serde_json::from_slice(&doctor.stdout).unwrap();
    let about = |name: &str| {
        findings
            .as_array()
            .unwrap()
            .iter()
            .find(|finding| finding["name"] == name)
            .unwrap()["verdict"]
            .clone()
    };
    assert_eq!(
        (about("disk"), about("data directory")),
        ("fail".into(), "ok".into())
    );
    drop(disk);
}

#[test]
fn a_build_without_a_bridge_says_so() {
    let host = Host::new();
    insta::assert_snapshot!(host.refusal(host.up(&[]).env("CREEL_BRIDGE", "/nowhere")), @r"
    exit 1
    err: error: CREEL_BRIDGE names /nowhere, which is no file
    ");
}
