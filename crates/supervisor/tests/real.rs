//! The supervisor over real sandboxes: what dies is started again, what lives is found again, and
//! nothing stays behind, also when the supervisor itself is killed at any moment.

#[expect(dead_code, reason = "each test program uses a part of it")]
mod common;

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use common::{DEADLINE, World, id, put, running, spec, until, until_gone, until_running, until_stopped};
use creel_daemon::Shutdown;
use creel_domain::{ImageName, SandboxId, SandboxState, Target};
use creel_protocol::{Layout, Supervisor as _, SupervisorClient};
use creel_sandbox::{Backend, BackendChoice, Presence, choose};
use creel_supervisor::{FixedImages, RunOptions, Service, places, run};

/// A world with the backend that this host uses; none where only root could try.
async fn real() -> Option<World> {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can make sandboxes");
        return None;
    }
    let mut world = World::new();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/common/bridge.c");
    let status = Command::new("cc")
        .args(["-static", "-O1", "-o"])
        .args([&world.options.bridge, &source])
        .status()
        .expect("a C compiler is installed");
    assert!(status.success());
    world.options.backend = choose(BackendChoice::Auto, &places(&world.options.layout))
        .await
        .expect("a backend");
    // Mount points are made in the root at the first start; here, so that traces can be compared.
    for directory in [
        "proc",
        "dev",
        "tmp",
        "data",
        "creel",
        "run/creel/in",
        "run/creel/out",
        "run/creel/etc",
    ] {
        fs::create_dir_all(world.data.path().join("root").join(directory)).expect("a root");
    }
    fs::write(world.data.path().join("root/creel/bridge"), "").expect("a mount point");
    Some(world)
}

impl World {
    fn backend(&self) -> &dyn Backend {
        &*self.options.backend.backend
    }

    async fn pid(&self, sandbox: SandboxId) -> i32 {
        match self.backend().look(sandbox).await.expect("a look") {
            Presence::Running { pid, .. } => i32::try_from(pid).expect("a pid"),
            other => panic!("{sandbox} does not run: {other:?}"),
        }
    }

    fn boots(&self, sandbox: SandboxId) -> usize {
        let file = self.options.layout.volume(sandbox).join("mnt/boots");
        fs::read_to_string(file).unwrap_or_default().lines().count()
    }
}

fn kill(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("killed");
}

/// Whatever of the host names this world.
fn traces(world: &World) -> BTreeSet<String> {
    let ours = world.data.path().to_str().expect("text").to_owned();
    let group = places(&world.options.layout).cgroup;
    let mut found = BTreeSet::new();
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
    found.extend(
        mounts
            .lines()
            .filter(|line| line.contains(&ours))
            .map(str::to_owned),
    );
    for hierarchy in fs::read_dir("/sys/fs/cgroup").expect("cgroups").flatten() {
        let path = hierarchy.path().join(group.trim_start_matches('/'));
        found.extend(path.exists().then(|| path.display().to_string()));
    }
    let pure = Path::new("/sys/fs/cgroup").join(group.trim_start_matches('/'));
    found.extend(pure.exists().then(|| pure.display().to_string()));
    for device in fs::read_dir("/sys/block").expect("block devices").flatten() {
        let file = fs::read_to_string(device.path().join("loop/backing_file")).unwrap_or_default();
        found.extend(file.contains(&ours).then_some(file));
    }
    for process in fs::read_dir("/proc").expect("/proc").flatten() {
        let cgroup = fs::read_to_string(process.path().join("cgroup")).unwrap_or_default();
        found.extend(
            cgroup
                .contains(&group)
                .then(|| process.path().display().to_string()),
        );
    }
    for directory in [
        "supervisor/bundles",
        "supervisor/runtime",
        "volumes",
        "run/sandboxes",
    ] {
        let entries = fs::read_dir(world.data.path().join(directory))
            .expect("a directory")
            .flatten();
        found.extend(entries.map(|entry| entry.path().display().to_string()));
    }
    let records = fs::read_dir(world.data.path().join("supervisor"))
        .expect("a directory")
        .flatten();
    found.extend(
        records
            .map(|entry| entry.path().display().to_string())
            .filter(|path| path.ends_with(".json")),
    );
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_first_process_is_started_again_and_its_volume_is_intact() {
    let Some(world) = real().await else { return };
    let service = world.service().await;
    let handle = service.handle();
    put(&handle, id(1), 1, running(&spec())).await;
    until_running(&handle, id(1), 1).await;
    until_boots(&world, id(1), 1).await;
    kill(world.pid(id(1)).await);
    let report = until(&handle, id(1), "faulted", |report| {
        matches!(report.state, SandboxState::Faulted { .. })
    })
    .await;
    assert!(format!("{report:?}").contains("killed by signal 9"), "{report:?}");
    until_running(&handle, id(1), 1).await;
    until_boots(&world, id(1), 2).await;
    put(&handle, id(1), 2, Target::Gone).await;
    until_gone(&handle, id(1)).await;
    service.stop().await;
    assert_eq!(traces(&world), BTreeSet::new());
}

async fn until_boots(world: &World, sandbox: SandboxId, boots: usize) {
    let wait = async {
        while world.boots(sandbox) != boots {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let outcome = tokio::time::timeout(DEADLINE, wait).await;
    assert!(outcome.is_ok(), "{} boots", world.boots(sandbox));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_stops_when_asked_and_starts_with_what_it_had() {
    let Some(mut world) = real().await else { return };
    world.options.stop_grace = Duration::from_secs(30);
    let service = world.service().await;
    let handle = service.handle();
    put(&handle, id(1), 1, running(&spec())).await;
    until_running(&handle, id(1), 1).await;
    until_boots(&world, id(1), 1).await;
    let began = std::time::Instant::now();
    put(&handle, id(1), 2, Target::Stopped).await;
    until_stopped(&handle, id(1), 2).await;
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "it ended by itself, not by the deadline"
    );
    let volume = world.options.layout.volume(id(1));
    assert!(!volume.join("mnt/boots").exists() && volume.join("disk.img").exists());
    let mut larger = spec();
    larger.limits.disk_bytes *= 2;
    put(&handle, id(1), 3, running(&larger)).await;
    until_running(&handle, id(1), 3).await;
    until_boots(&world, id(1), 2).await;
    put(&handle, id(1), 4, Target::Gone).await;
    until_gone(&handle, id(1)).await;
    service.stop().await;
    assert_eq!(traces(&world), BTreeSet::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_that_gives_up_is_quoted() {
    let Some(world) = real().await else { return };
    let service = world.service().await;
    let handle = service.handle();
    put(&handle, id(1), 1, running(&spec())).await;
    until_running(&handle, id(1), 1).await;
    until_boots(&world, id(1), 1).await;
    fs::write(world.options.layout.volume(id(1)).join("mnt/fail"), "").expect("a file");
    kill(world.pid(id(1)).await);
    let quoted = "its first process failed with status 9: there is a file called fail";
    until(
        &handle,
        id(1),
        "faulted with its words",
        |report| matches!(&report.state, SandboxState::Faulted { reason, .. } if reason == quoted),
    )
    .await;
    put(&handle, id(1), 2, Target::Gone).await;
    until_gone(&handle, id(1)).await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_sandboxes_created_and_deleted_leave_nothing_behind() {
    let Some(world) = real().await else { return };
    let service = world.service().await;
    let handle = service.handle();
    assert_eq!(traces(&world), BTreeSet::new());
    let all = 1..=50u128;
    for number in all.clone() {
        put(&handle, id(number), 1, running(&spec())).await;
    }
    for number in all.clone() {
        until_running(&handle, id(number), 1).await;
    }
    let pids: BTreeSet<i32> = {
        let mut pids = BTreeSet::new();
        for number in all.clone() {
            pids.insert(world.pid(id(number)).await);
        }
        pids
    };
    assert_eq!(pids.len(), 50);
    assert!(traces(&world).len() > 200, "the traces show what is there");
    for number in all.clone() {
        put(&handle, id(number), 2, Target::Gone).await;
    }
    for number in all {
        until_gone(&handle, id(number)).await;
    }
    // A start elsewhere on the host may hold a copy of the mounts for a moment, and with it a loop device.
    let nothing = async {
        while !traces(&world).is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(10), nothing).await;
    assert_eq!(traces(&world), BTreeSet::new());
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supervisor_that_ends_leaves_its_sandboxes_running_unless_told_otherwise() {
    let Some(world) = real().await else { return };
    let service = world.service().await;
    put(&service.handle(), id(1), 1, running(&spec())).await;
    until_running(&service.handle(), id(1), 1).await;
    let pid = world.pid(id(1)).await;
    drop(service);
    let service = loop {
        // The lock is free when the last task has let go.
        match Service::start(world.options.clone()).await {
            Ok(service) => break service,
            Err(creel_supervisor::Error::AlreadyRunning { .. }) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    };
    until_running(&service.handle(), id(1), 1).await;
    assert_eq!(world.pid(id(1)).await, pid, "the very same process");
    service.stop_all().await.expect("stopped");
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
    let service = world.service().await;
    until_running(&service.handle(), id(1), 1).await;
    put(&service.handle(), id(1), 2, Target::Gone).await;
    until_gone(&service.handle(), id(1)).await;
    service.stop().await;
    assert_eq!(traces(&world), BTreeSet::new());
}

/// Not a test: the supervisor as a process, for the one below to kill.
#[test]
#[ignore = "started by another test"]
fn supervisor_process() {
    let Some(data) = std::env::var_os("CREEL_TEST_DATA") else {
        return;
    };
    let data = Path::new(&data);
    let options = RunOptions {
        layout: Layout::new(data),
        control_uid: 0,
        control_gid: 0,
        bridge: data.join("bridge"),
        backend: BackendChoice::Auto,
        images: Arc::new(FixedImages::new([(ImageName::Lite, data.join("root"))])),
        stop_sandboxes: Arc::default(),
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let outcome = runtime.block_on(async {
        let shutdown = Shutdown::on_signals().expect("signals");
        run(options, shutdown).await
    });
    outcome.expect("it works");
}

fn start_process(world: &World) -> Child {
    Command::new(std::env::current_exe().expect("ourselves"))
        .args(["--exact", "supervisor_process", "--ignored", "--nocapture"])
        .env("CREEL_TEST_DATA", world.data.path())
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supervisor_killed_at_any_moment_leaves_nothing_stuck_or_orphaned() {
    let Some(world) = real().await else { return };
    let client = SupervisorClient::new(world.options.layout.supervisor_socket());
    let answers = async || {
        let wait = async {
            while client.host().await.is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(DEADLINE, wait).await.expect("it answers");
    };
    // Moments spread over a start, which takes some 40 ms, and beyond.
    let moments = [0u64, 3, 6, 10, 15, 20, 25, 30, 35, 40, 60];
    let last = creel_testkit::rounds(moments.len(), 1000) as u64;
    for (round, wait_ms) in (1..=last).zip(moments.into_iter().cycle()) {
        let mut process = start_process(&world);
        answers().await;
        for number in 1..=3u128 {
            let mut spec = spec();
            // Half of the rounds make them anew.
            spec.incarnation = round / 2;
            put(&client, id(number), round, running(&spec)).await;
        }
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        process.kill().expect("killed");
        process.wait().expect("dead");
    }
    let mut process = start_process(&world);
    answers().await;
    for number in 1..=3u128 {
        until_running(&client, id(number), last).await;
    }
    let pid = world.pid(id(1)).await;
    // Asked to end it leaves them alone; the next one finds the same process.
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(i32::try_from(process.id()).expect("a pid")).expect("a pid"),
        rustix::process::Signal::TERM,
    )
    .expect("asked");
    assert!(process.wait().expect("it ends").success());
    let mut process = start_process(&world);
    answers().await;
    until_running(&client, id(1), last).await;
    assert_eq!(world.pid(id(1)).await, pid);
    // The death of one that is no child of this supervisor is seen too.
    kill(pid);
    until(&client, id(1), "started again", |report| {
        matches!(
            report.state,
            SandboxState::Starting { attempt: 2, .. } | SandboxState::Faulted { .. }
        )
    })
    .await;
    until_running(&client, id(1), last).await;
    for number in 1..=3u128 {
        put(&client, id(number), 99, Target::Gone).await;
        until_deleted(&client, id(number)).await;
    }
    assert_eq!(client.list().await.expect("a list"), []);
    process.kill().expect("killed");
    process.wait().expect("dead");
    assert_eq!(traces(&world), BTreeSet::new());
}

async fn until_deleted(client: &SupervisorClient, sandbox: SandboxId) {
    let wait = async {
        while client
            .list()
            .await
            .expect("a list")
            .iter()
            .any(|report| report.sandbox == sandbox)
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, wait)
        .await
        .expect("deleted in time");
}
