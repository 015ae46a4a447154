//! A supervisor over a data directory of its own, waits for states with a deadline, and a look at what is left.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use creel_daemon::SystemClock;
use creel_domain::{
    AgentFiles, Depth, Generation, ImageName, Limits, Runtime, SandboxId, SandboxReport, SandboxSpec,
    SandboxState, Target,
};
use creel_protocol::{Layout, Supervisor};
use creel_sandbox::{Chosen, Fake, NoSteps, Steps, Work};
use creel_supervisor::{FixedImages, Handle, Options, Service, places};
use futures_util::StreamExt as _;
use tempfile::TempDir;
use tokio::sync::Notify;

pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) struct World {
    pub(crate) data: TempDir,
    pub(crate) fake: Fake,
    pub(crate) options: Options,
}

impl World {
    pub(crate) fn new() -> Self {
        let data = tempfile::Builder::new()
            .prefix("creel-test-")
            .permissions(fs::Permissions::from_mode(0o711))
            .tempdir()
            .expect("a data directory");
        let layout = Layout::new(data.path());
        let bridge = data.path().join("bridge");
        fs::write(&bridge, "a program").expect("a bridge");
        let rootfs = data.path().join("root");
        fs::create_dir(&rootfs).expect("a root");
        let fake = Fake::new(places(&layout));
        let me = fs::metadata(data.path()).expect("ours");
        use std::os::unix::fs::MetadataExt as _;
        let options = Options {
            layout,
            control_uid: me.uid(),
            control_gid: me.gid(),
            bridge,
            backend: Chosen {
                backend: Arc::new(fake.clone()),
                tried: vec!["fake: it is one.".to_owned()],
            },
            images: Arc::new(FixedImages::new([(ImageName::Lite, rootfs)])),
            clock: Arc::new(SystemClock),
            stop_grace: Duration::from_millis(200),
            steps: Arc::new(NoSteps),
        };
        Self { data, fake, options }
    }

    pub(crate) async fn service(&self) -> Service {
        Service::start(self.options.clone()).await.expect("it starts")
    }

    /// Everything in the data directory that is there because of a sandbox.
    pub(crate) fn left(&self, sandbox: SandboxId) -> Vec<PathBuf> {
        let mut found = Vec::new();
        find(self.data.path(), &sandbox.to_string(), &mut found);
        // A tombstone is all that may stay.
        found.retain(|path| path.parent().and_then(Path::file_name) != Some("gone".as_ref()));
        found
    }
}

impl Drop for World {
    /// A test that fails leaves nothing behind either.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let backend = Arc::clone(&self.options.backend.backend);
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

fn find(directory: &Path, name: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().contains(name) {
            found.push(entry.path());
        } else if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            find(&entry.path(), name, found);
        }
    }
}

pub(crate) fn id(number: u128) -> SandboxId {
    SandboxId::from_uuid(uuid::Uuid::from_u128(number))
}

pub(crate) fn spec() -> SandboxSpec {
    SandboxSpec {
        agent: "agt_00000000000000000000000001".parse().expect("an id"),
        name: "scout".parse().expect("a name"),
        runtime: Runtime::Lite,
        model: "demo/demo".parse().expect("a model"),
        files: AgentFiles::default(),
        limits: Limits {
            memory_bytes: 64 << 20,
            cpu_millis: 1000,
            pids: 64,
            disk_bytes: 16 << 20,
        },
        incarnation: 1,
    }
}

pub(crate) fn running(spec: &SandboxSpec) -> Target {
    Target::Running {
        spec: Box::new(spec.clone()),
    }
}

pub(crate) async fn put(supervisor: &dyn Supervisor, sandbox: SandboxId, generation: u64, target: Target) {
    supervisor
        .put_target(sandbox, Generation(generation), target)
        .await
        .expect("taken");
}

/// Watches until a report of the sandbox is as wanted; says the last one seen when it never is.
pub(crate) async fn until(
    supervisor: &dyn Supervisor,
    sandbox: SandboxId,
    what: &str,
    good: impl Fn(&SandboxReport) -> bool,
) -> SandboxReport {
    let mut last = None;
    let wait = async {
        loop {
            let mut watch = supervisor.watch().await.expect("a watch");
            while let Some(report) = watch.next().await {
                if report.sandbox == sandbox {
                    if good(&report) {
                        return report;
                    }
                    last = Some(report);
                }
            }
            tokio::task::yield_now().await;
        }
    };
    match tokio::time::timeout(DEADLINE, wait).await {
        Ok(report) => report,
        Err(_) => panic!("{sandbox} is not {what} in time; last seen: {last:?}"),
    }
}

pub(crate) async fn until_running(
    supervisor: &dyn Supervisor,
    sandbox: SandboxId,
    generation: u64,
) -> SandboxReport {
    until(supervisor, sandbox, "running", |report| {
        report.converged
            && report.generation == Generation(generation)
            && matches!(report.state, SandboxState::Running { .. })
    })
    .await
}

pub(crate) async fn until_stopped(supervisor: &dyn Supervisor, sandbox: SandboxId, generation: u64) {
    until(supervisor, sandbox, "stopped", |report| {
        report.converged
            && report.generation == Generation(generation)
            && matches!(report.state, SandboxState::Stopped { .. })
    })
    .await;
}

pub(crate) fn asleep(depth: Depth) -> Target {
    Target::Asleep {
        depth,
        image: ImageName::Lite,
    }
}

pub(crate) async fn until_asleep(
    supervisor: &dyn Supervisor,
    sandbox: SandboxId,
    generation: u64,
    depth: Depth,
) {
    until(supervisor, sandbox, "asleep", |report| {
        report.converged
            && report.generation == Generation(generation)
            && matches!(report.state, SandboxState::Asleep { depth: seen, .. } if seen == depth)
    })
    .await;
}

/// Waits until the sandbox is listed no more.
pub(crate) async fn until_gone(handle: &Handle, sandbox: SandboxId) {
    let wait = async {
        loop {
            let watch = handle.watch().await.expect("a watch");
            let listed = handle.list().await.expect("a list");
            if listed.iter().all(|report| report.sandbox != sandbox) {
                return;
            }
            let mut ends =
                watch.filter(|report| std::future::ready(report.sandbox == sandbox && report.converged));
            tokio::select! {
                _ = ends.next() => {}
                () = tokio::time::sleep(Duration::from_millis(50)) => {}
            }
        }
    };
    tokio::time::timeout(DEADLINE, wait).await.expect("gone in time");
}

/// Stops the world for good at one step.
pub(crate) struct StopAt {
    pub(crate) step: usize,
    count: AtomicUsize,
    stopped: Notify,
}

impl StopAt {
    pub(crate) fn new(step: usize) -> Arc<Self> {
        Arc::new(Self {
            step,
            count: AtomicUsize::new(0),
            stopped: Notify::new(),
        })
    }

    pub(crate) async fn stopped(&self) {
        self.stopped.notified().await;
    }
}

impl Steps for StopAt {
    fn reached(&self, _: SandboxId, _: &'static str) -> Work<'_, ()> {
        let count = self.count.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            if count >= self.step {
                self.stopped.notify_one();
                std::future::pending::<()>().await;
            }
        })
    }
}
