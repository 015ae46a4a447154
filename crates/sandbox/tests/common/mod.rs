//! A data directory of its own for each test, a root with busybox and a hostile guest in it, and a look
//! at the host before and after.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use creel_domain::{Limits, SandboxId};
use creel_sandbox::{
    Backend, BackendChoice, Bundle, Chosen, Ended, Inbound, NoSteps, Places, ReadOnly, Volume, choose,
};
use tempfile::TempDir;

pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
const UID_BASE: u32 = 0x7100_0000;

pub(crate) struct World {
    pub(crate) data: TempDir,
    pub(crate) places: Places,
    pub(crate) chosen: Chosen,
    next: AtomicU64,
}

impl World {
    /// None, with a sentence on stderr, where this cannot be tested: not root.
    pub(crate) async fn new() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: only root can make sandboxes");
            return None;
        }
        let data = tempfile::Builder::new()
            .prefix("creel-test-")
            .permissions(fs::Permissions::from_mode(0o711))
            .tempdir()
            .expect("a data directory");
        let path = data.path();
        let places = Places {
            volumes: path.join("volumes"),
            sandboxes: path.join("sandboxes"),
            bundles: path.join("bundles"),
            runtime: path.join("runtime"),
            cgroup: Places::cgroup_for(path),
        };
        let root = path.join("root");
        // Its mount points too, as images have them: so the files before and after can be compared.
        for directory in [
            "bin",
            "usr",
            "etc",
            "proc",
            "dev",
            "tmp",
            "data",
            "run/creel/in",
            "run/creel/etc",
        ] {
            fs::create_dir_all(root.join(directory)).expect("a root");
        }
        fs::copy("/bin/busybox", root.join("bin/busybox")).expect("busybox-static is installed");
        for name in [
            "sh", "cat", "ls", "id", "ip", "nc", "wget", "ps", "dd", "mount", "touch", "kill", "sleep", "env",
        ] {
            symlink("busybox", root.join("bin").join(name)).expect("a link");
        }
        compile_guest(&root.join("bin/guest"));
        fs::write(path.join("secret"), "another tenant's secret").expect("a secret");
        let program = std::env::current_exe().expect("ourselves");
        let name = program
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let choice = match std::env::var("CREEL_TEST_BACKEND") {
            Ok(name) => name.parse().expect("a backend"),
            Err(_) if name.starts_with("isolation_runc") => BackendChoice::Runc,
            Err(_) => BackendChoice::Auto,
        };
        let chosen = choose(choice, &places).await.expect("a backend works here");
        Some(Self {
            data,
            places,
            chosen,
            next: AtomicU64::new(1),
        })
    }

    pub(crate) fn backend(&self) -> &dyn Backend {
        &*self.chosen.backend
    }

    pub(crate) fn id(&self) -> SandboxId {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        SandboxId::from_uuid(uuid::Uuid::from_u128(u128::from(number)))
    }

    /// A small sandbox whose first process is a shell with this script.
    pub(crate) fn bundle(&self, sandbox: SandboxId, script: &str) -> Bundle {
        let number = u32::try_from(sandbox.uuid().as_u128()).expect("a small number");
        let etc = self.places.sandbox(sandbox).join("etc");
        fs::create_dir_all(&etc).expect("a directory");
        fs::set_permissions(self.places.sandbox(sandbox), fs::Permissions::from_mode(0o711)).expect("mode");
        fs::write(etc.join("spec.json"), "{}").expect("a file");
        Bundle {
            sandbox,
            hostname: "guest".to_owned(),
            rootfs: self.data.path().join("root"),
            uid_base: UID_BASE + number * 65_536,
            uid: 1000,
            limits: Limits {
                memory_bytes: 64 << 20,
                cpu_millis: 1000,
                pids: 48,
                disk_bytes: 16 << 20,
            },
            argv: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
            env: vec!["PATH=/bin".to_owned()],
            volume: Volume {
                inside: PathBuf::from("/data"),
            },
            inbound: Inbound {
                host: self.places.inbound(sandbox),
                inside: PathBuf::from("/run/creel/in"),
                gid: 4242,
            },
            read_only: vec![ReadOnly {
                host: etc,
                inside: PathBuf::from("/run/creel/etc"),
                executable: false,
            }],
        }
    }

    /// Runs a script to its end and gives back what it wrote.
    pub(crate) async fn run(&self, script: &str) -> (String, Ended) {
        let sandbox = self.id();
        let bundle = self.bundle(sandbox, &format!("exec >/data/said 2>&1; {script}"));
        self.backend().start(&bundle, &NoSteps).await.expect("started");
        let ended = tokio::time::timeout(DEADLINE, self.backend().ended(sandbox))
            .await
            .expect("it ends");
        let said =
            fs::read_to_string(self.places.volume(sandbox).join("mnt/said")).expect("it said something");
        self.gone(sandbox).await;
        (said, ended)
    }

    pub(crate) async fn gone(&self, sandbox: SandboxId) {
        self.backend().erase(sandbox, &NoSteps).await.expect("erased");
        fs::remove_dir_all(self.places.sandbox(sandbox)).expect("its directory");
    }
}

impl Drop for World {
    /// A test that fails leaves nothing behind either.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let backend = std::sync::Arc::clone(&self.chosen.backend);
        let clear = async move {
            for sandbox in backend.list().await.unwrap_or_default() {
                let _ = backend.erase(sandbox, &NoSteps).await;
            }
        };
        // Not on the runtime that is just ending.
        let clear = move || tokio::runtime::Runtime::new().map(|runtime| runtime.block_on(clear));
        let _ = std::thread::spawn(clear).join();
    }
}

/// Compiles the hostile guest.
fn compile_guest(program: &Path) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/common/guest.c");
    let status = Command::new("cc")
        .args(["-static", "-O1", "-o"])
        .args([program, &source])
        .status()
        .expect("a C compiler is installed");
    assert!(status.success(), "the guest compiles");
}

/// All of the host that a sandbox could leave behind and that names our directory or group.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Traces {
    mounts: BTreeSet<String>,
    cgroups: BTreeSet<String>,
    loops: BTreeSet<String>,
    processes: BTreeSet<String>,
    files: BTreeSet<String>,
    network_namespaces: BTreeSet<String>,
}

pub(crate) fn traces(world: &World) -> Traces {
    let ours = world.data.path().to_str().expect("text");
    let group = world.places.cgroup.trim_start_matches('/');
    let lines = |text: String, needle: &str| -> BTreeSet<String> {
        text.lines()
            .filter(|line| line.contains(needle))
            .map(str::to_owned)
            .collect()
    };
    let mut cgroups = BTreeSet::new();
    let mut loops = BTreeSet::new();
    let mut processes = BTreeSet::new();
    let mut network_namespaces = BTreeSet::new();
    for hierarchy in fs::read_dir("/sys/fs/cgroup").expect("cgroups").flatten() {
        for path in [
            hierarchy.path().join(group),
            PathBuf::from("/sys/fs/cgroup").join(group),
        ] {
            if path.exists() {
                cgroups.insert(path.display().to_string());
            }
        }
    }
    for device in fs::read_dir("/sys/block").expect("block devices").flatten() {
        let file = fs::read_to_string(device.path().join("loop/backing_file")).unwrap_or_default();
        if file.contains(ours) {
            loops.insert(file);
        }
    }
    for process in fs::read_dir("/proc").expect("/proc").flatten() {
        let cgroup = fs::read_to_string(process.path().join("cgroup")).unwrap_or_default();
        if cgroup.contains(group) {
            processes.insert(cgroup);
            let net = fs::read_link(process.path().join("ns/net"));
            network_namespaces.extend(net.map(|link| link.display().to_string()));
        }
    }
    let mut files = BTreeSet::new();
    list(world.data.path(), &mut files);
    Traces {
        mounts: lines(
            fs::read_to_string("/proc/self/mountinfo").expect("mountinfo"),
            ours,
        ),
        cgroups,
        loops,
        processes,
        files,
        network_namespaces,
    }
}

fn list(directory: &Path, into: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        into.insert(entry.path().display().to_string());
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            list(&entry.path(), into);
        }
    }
}
