//! How sandboxes come, go and are found again, with the backend that this host uses.

#[expect(dead_code, reason = "each test program uses a part of it")]
mod common;

use std::{fs, process::Command, sync::Arc, time::Duration};

use common::{DEADLINE, World, traces};
use creel_domain::SandboxId;
use creel_sandbox::{NoSteps, Presence, Steps, Work};
use creel_testkit::rounds;
use rustix::process::{Pid, Signal, kill_process};

#[tokio::test(flavor = "multi_thread")]
async fn fifty_sandboxes_come_and_go_and_leave_nothing() {
    let Some(world) = World::new().await else { return };
    eprintln!("{:?}", world.chosen.tried);
    let before = traces(&world);
    for _ in 0..rounds(1, 200) {
        fifty_come_and_go(&world).await;
        assert_eq!(traces(&world), before);
    }
}

async fn fifty_come_and_go(world: &World) {
    let before = traces(world);
    let ids: Vec<SandboxId> = (0..50).map(|_| world.id()).collect();
    for sandbox in &ids {
        let bundle = world.bundle(*sandbox, "guest sleep");
        world.backend().start(&bundle, &NoSteps).await.expect("started");
    }
    let mut found = world.backend().list().await.expect("a list");
    found.sort();
    assert_eq!(found, ids);
    assert_ne!(traces(world), before, "the traces show what is there");
    for sandbox in &ids {
        assert!(
            matches!(world.backend().look(*sandbox).await, Ok(Presence::Running { .. })),
            "{sandbox} runs"
        );
        world.gone(*sandbox).await;
    }
}

/// A first process ends only when all others of its namespace are reaped. One of them is a child of a
/// program that is stopped here, so that this moment, which else is short, lasts.
#[tokio::test(flavor = "multi_thread")]
async fn a_first_process_in_the_middle_of_its_end_is_waited_for() {
    let Some(world) = World::new().await else { return };
    let before = traces(&world);
    let sandbox = world.id();
    let bundle = world.bundle(sandbox, "guest sleep");
    world.backend().start(&bundle, &NoSteps).await.expect("started");
    let Ok(Presence::Running { pid: first, .. }) = world.backend().look(sandbox).await else {
        panic!("it runs");
    };
    let mut parent = Command::new("nsenter")
        .args(["--pid", "--target", &first.to_string(), "sleep", "1000"])
        .spawn()
        .expect("nsenter, of util-linux");
    let pid = Pid::from_child(&parent);
    let children = format!("/proc/{0}/task/{0}/children", parent.id());
    until("it has a child", || {
        fs::read_to_string(&children).is_ok_and(|text| !text.is_empty())
    })
    .await;
    kill_process(pid, Signal::STOP).expect("stopped");
    let first_pid = Pid::from_raw(i32::try_from(first).expect("a pid")).expect("a pid");
    kill_process(first_pid, Signal::KILL).expect("killed");
    // Version 1 takes it out of its groups at this moment; version 2 leaves it there.
    let flags = || -> Option<u32> {
        let stat = fs::read_to_string(format!("/proc/{first}/stat")).ok()?;
        stat.rsplit_once(") ")?.1.split(' ').nth(6)?.parse().ok()
    };
    until("it is ending", || flags().is_some_and(|flags| flags & 4 != 0)).await;

    let mut ended = world.backend().ended(sandbox);
    let early = tokio::time::timeout(Duration::from_millis(300), &mut ended).await;
    kill_process(pid, Signal::CONT).expect("continued");
    parent.wait().expect("its child is reaped");
    assert!(early.is_err(), "it was said to have ended too early: {early:?}");
    let ended = tokio::time::timeout(DEADLINE, ended).await.expect("it ends");
    assert_eq!(ended.status, Some(128 + 9));
    assert!(flags().is_none(), "it is reaped");
    world.gone(sandbox).await;
    assert_eq!(traces(&world), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_frozen_stands_still_goes_on_and_ends_like_anything_else() {
    let Some(world) = World::new().await else { return };
    let before = traces(&world);
    let backend = world.backend();
    let script = "i=0; while :; do i=$((i+1)); echo $i > /data/tick; done";
    for end in ["asked", "killed", "erased"] {
        let sandbox = world.id();
        backend
            .start(&world.bundle(sandbox, script), &NoSteps)
            .await
            .expect("started");
        let tick = world.places.volume(sandbox).join("mnt/tick");
        let read = || fs::read_to_string(&tick).unwrap_or_default();
        let frozen = async || {
            matches!(
                backend.look(sandbox).await,
                Ok(Presence::Running { frozen: true, .. })
            )
        };
        until("it ticks", || !read().is_empty()).await;
        assert!(!frozen().await);

        backend.freeze(sandbox).await.expect("frozen");
        backend.freeze(sandbox).await.expect("twice is no error");
        assert!(frozen().await);
        let still = read();
        let clock = std::time::Instant::now();
        until("a moment has passed", || {
            clock.elapsed() > Duration::from_millis(50)
        })
        .await;
        assert_eq!(read(), still, "nothing of it moves");

        backend.thaw(sandbox).await.expect("thawed");
        backend.thaw(sandbox).await.expect("twice is no error");
        assert!(!frozen().await);
        until("it ticks on", || read() != still && !read().is_empty()).await;

        backend.freeze(sandbox).await.expect("frozen");
        match end {
            "asked" => {
                // The shell is its first process and heeds no request; being told shows that it was thawed.
                backend.terminate(sandbox).await.expect("asked");
                assert!(!frozen().await);
            }
            "killed" => backend.kill(sandbox).await.expect("killed"),
            _ => {}
        }
        world.gone(sandbox).await;
        assert_eq!(traces(&world), before, "{end}");
    }
    let nobody = world.id();
    backend.freeze(nobody).await.expect("no process is no error");
    backend.thaw(nobody).await.expect("no process is no error");
}

#[tokio::test(flavor = "multi_thread")]
async fn its_host_name_changes_while_it_runs_or_is_held_still_and_nobody_elses_does() {
    let Some(world) = World::new().await else { return };
    let backend = world.backend();
    let ours = rustix::system::uname().nodename().to_owned();
    let sandbox = world.id();
    let script = "while :; do hostname > /data/name.new; mv /data/name.new /data/name; done";
    backend
        .start(&world.bundle(sandbox, script), &NoSteps)
        .await
        .expect("started");
    let path = world.places.volume(sandbox).join("mnt/name");
    let name = || fs::read_to_string(&path).unwrap_or_default().trim().to_owned();
    until("it has a name", || !name().is_empty()).await;
    backend.rename(sandbox, "first").await.expect("renamed");
    until("it is called so", || name() == "first").await;
    backend.freeze(sandbox).await.expect("frozen");
    backend.rename(sandbox, "second").await.expect("renamed");
    backend.thaw(sandbox).await.expect("thawed");
    until("it is called so", || name() == "second").await;
    assert_eq!(
        rustix::system::uname().nodename(),
        ours.as_c_str(),
        "the host's name"
    );
    world.gone(sandbox).await;
    backend
        .rename(sandbox, "third")
        .await
        .expect("no process is no error");
}

async fn until(what: &str, it_is_so: impl Fn() -> bool) {
    let wait = async {
        while !it_is_so() {
            tokio::task::yield_now().await;
        }
    };
    assert!(
        tokio::time::timeout(DEADLINE, wait).await.is_ok(),
        "not so in time: {what}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_keeps_what_was_written_and_grows_but_never_shrinks() {
    let Some(world) = World::new().await else { return };
    let sandbox = world.id();
    let mut bundle = world.bundle(sandbox, "echo kept >/data/file");
    let mut run = async |disk_bytes: u64, script: &str| {
        bundle.argv[2] = script.to_owned();
        bundle.limits.disk_bytes = disk_bytes;
        world
            .backend()
            .release(sandbox, &NoSteps)
            .await
            .expect("released");
        world.backend().start(&bundle, &NoSteps).await?;
        tokio::time::timeout(DEADLINE, world.backend().ended(sandbox))
            .await
            .expect("it ends");
        Ok::<_, creel_sandbox::Error>(())
    };
    run(16 << 20, "echo kept >/data/file").await.expect("made");
    run(
        64 << 20,
        "dd if=/dev/zero of=/data/big bs=1M count=40 && echo fits >>/data/file",
    )
    .await
    .expect("grown");
    let said = fs::read_to_string(world.places.volume(sandbox).join("mnt/file")).expect("a file");
    assert_eq!(said, "kept\nfits\n");
    let refused = run(32 << 20, "true").await.expect_err("shrinking");
    assert!(
        refused.to_string().contains("cannot shrink to 33554432"),
        "{refused}"
    );
    world.gone(sandbox).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_made_inside_are_for_the_sandbox_and_one_group() {
    let Some(world) = World::new().await else { return };
    let sandbox = world.id();
    let bundle = world.bundle(sandbox, "guest sleep");
    world.backend().start(&bundle, &NoSteps).await.expect("started");
    use std::os::unix::fs::MetadataExt as _;
    let metadata = fs::metadata(&bundle.inbound.host).expect("a directory");
    assert_eq!(metadata.mode() & 0o7777, 0o2710);
    assert_eq!((metadata.uid(), metadata.gid()), (bundle.uid_base + 1000, 4242));
    world.gone(sandbox).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_that_cannot_start_says_why_and_leaves_nothing() {
    let Some(world) = World::new().await else { return };
    let before = traces(&world);
    let sandbox = world.id();
    let mut bundle = world.bundle(sandbox, "");
    bundle.argv = vec!["/bin/not-there".to_owned()];
    let error = world
        .backend()
        .start(&bundle, &NoSteps)
        .await
        .expect_err("no such program");
    assert!(error.to_string().contains("not-there"), "{error}");
    world.gone(sandbox).await;
    assert_eq!(traces(&world), before);
}

/// Stops the world for good when a certain step is reached.
struct StopAt {
    step: usize,
    count: std::sync::atomic::AtomicUsize,
    reached: tokio::sync::Notify,
}

impl Steps for StopAt {
    fn reached(&self, _: SandboxId, _: &'static str) -> Work<'_, ()> {
        let count = self.count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Box::pin(async move {
            if count == self.step {
                self.reached.notify_one();
                std::future::pending::<()>().await;
            }
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_after_each_step_of_start_and_removal_is_recovered() {
    let Some(world) = World::new().await else { return };
    let before = traces(&world);
    let mut steps = 0;
    for step in 0.. {
        assert!(step < 64, "the loop ends");
        let sandbox = world.id();
        let bundle = world.bundle(sandbox, "guest sleep");
        let stop = Arc::new(StopAt {
            step,
            count: Default::default(),
            reached: Default::default(),
        });
        let crashed = tokio::select! {
            outcome = async {
                world.backend().start(&bundle, &*stop).await?;
                world.backend().erase(sandbox, &*stop).await
            } => { outcome.expect("no error"); false }
            () = stop.reached.notified() => true,
        };
        // Whoever comes after looks, clears what remains, and starts.
        match world.backend().look(sandbox).await.expect("a look") {
            Presence::Running { .. } => {}
            Presence::Absent | Presence::Remains => {
                world
                    .backend()
                    .release(sandbox, &NoSteps)
                    .await
                    .expect("released");
                world
                    .backend()
                    .start(&bundle, &NoSteps)
                    .await
                    .expect("started after a crash");
            }
        }
        assert!(matches!(
            world.backend().look(sandbox).await,
            Ok(Presence::Running { .. })
        ));
        world.gone(sandbox).await;
        assert_eq!(
            world.backend().look(sandbox).await.expect("a look"),
            Presence::Absent
        );
        if !crashed {
            steps = step;
            break;
        }
    }
    assert!(steps >= 12, "every step was crashed at: {steps}");
    assert_eq!(traces(&world), before);
}
