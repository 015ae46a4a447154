//! How sandboxes come, go and are found again, with the backend that this host uses.

#[expect(dead_code, reason = "each test program uses a part of it")]
mod common;

use std::{fs, sync::Arc};

use common::{DEADLINE, World, traces};
use creel_domain::SandboxId;
use creel_sandbox::{NoSteps, Presence, Steps, Work};

#[tokio::test(flavor = "multi_thread")]
async fn fifty_sandboxes_come_and_go_and_leave_nothing() {
    let Some(world) = World::new().await else { return };
    eprintln!("{:?}", world.chosen.tried);
    let before = traces(&world);
    let ids: Vec<SandboxId> = (0..50).map(|_| world.id()).collect();
    for sandbox in &ids {
        let bundle = world.bundle(*sandbox, "guest sleep");
        world.backend().start(&bundle, &NoSteps).await.expect("started");
    }
    let mut found = world.backend().list().await.expect("a list");
    found.sort();
    assert_eq!(found, ids);
    assert_ne!(traces(&world), before, "the traces show what is there");
    for sandbox in &ids {
        assert!(
            matches!(world.backend().look(*sandbox).await, Ok(Presence::Running { .. })),
            "{sandbox} runs"
        );
        world.gone(*sandbox).await;
    }
    assert_eq!(traces(&world), before);
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
