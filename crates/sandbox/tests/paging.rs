//! What is paged out, how it comes back, and that whoever wants it does not wait. On swap of its own.

#[expect(dead_code, reason = "each test program uses a part of it")]
mod common;

use std::{
    fs,
    time::{Duration, Instant},
};

use common::{DEADLINE, World, traces};
use creel_domain::SandboxId;
use creel_sandbox::{NoSteps, Paged, Presence};
use creel_testkit::Swap;

const HELD: u64 = 40 << 20;
/// Fills 40 MiB, says so, and counts on when it is let.
const SCRIPT: &str = "guest hold 40 & while :; do i=$((i+1)); echo $i > /data/tick; sleep 0.01; done";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_paged_out_leaves_memory_and_is_there_again_when_it_goes_on() {
    let Some(world) = World::new().await else { return };
    let Some(_swap) = Swap::make(512) else { return };
    let before = traces(&world);
    let backend = world.backend();
    let sandbox = world.id();
    let nobody = backend.page_out(sandbox).await.expect("no process is no error");
    assert!(matches!(nobody, Paged::Not { .. }), "{nobody:?}");
    start(&world, sandbox).await;
    let runs = backend.page_out(sandbox).await.expect("no error");
    assert!(
        matches!(runs, Paged::Not { .. }),
        "what runs is left alone: {runs:?}"
    );

    let paging = backend.paging().await;
    assert!(paging.works, "{paging:?}");
    let first = memory(&world, sandbox);
    assert!(first.0 >= HELD, "{first:?}");
    backend.freeze(sandbox).await.expect("frozen");
    assert_eq!(backend.page_out(sandbox).await.expect("no error"), Paged::Out);
    let out = memory(&world, sandbox);
    assert!(
        out.0 < first.0 / 8 && out.1 >= HELD,
        "resident and swapped: {first:?}, then {out:?}"
    );
    assert_eq!(
        backend.page_out(sandbox).await.expect("twice is no error"),
        Paged::Out
    );
    assert!(matches!(
        backend.look(sandbox).await,
        Ok(Presence::Running { frozen: true, .. })
    ));

    let tick = ticks(&world, sandbox);
    fs::write(world.places.volume(sandbox).join("mnt/check"), "").expect("a file");
    backend.thaw(sandbox).await.expect("thawed");
    until("it goes on", || ticks(&world, sandbox) > tick).await;
    // The guest reads all it holds, and says whether that is what it wrote.
    until("what it holds is whole", || said(&world, sandbox) == "whole").await;
    assert!(memory(&world, sandbox).0 >= HELD);

    backend.freeze(sandbox).await.expect("frozen");
    backend.page_out(sandbox).await.expect("no error");
    world.gone(sandbox).await;
    assert_eq!(traces(&world), before, "one that is out ends like any other");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_wakes_it_in_the_middle_does_not_wait() {
    let Some(world) = World::new().await else { return };
    let Some(_swap) = Swap::make(512) else { return };
    let backend = world.backend();
    assert!(backend.paging().await.works);
    let sandbox = world.id();
    start(&world, sandbox).await;
    for after_us in [0, 200, 1_000, 5_000, 20_000] {
        backend.freeze(sandbox).await.expect("frozen");
        let tick = ticks(&world, sandbox);
        let paging = tokio::time::timeout(Duration::from_micros(after_us), backend.page_out(sandbox));
        // In time or not: what counts is what comes now.
        let _ = paging.await;
        let began = Instant::now();
        backend.thaw(sandbox).await.expect("thawed");
        let took = began.elapsed();
        assert!(took < Duration::from_secs(1), "{took:?}");
        until("it goes on", || ticks(&world, sandbox) > tick).await;
    }
    world.gone(sandbox).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_no_room_for_it_it_stays_as_it_is() {
    let Some(world) = World::new().await else { return };
    let Some(_swap) = Swap::make(24) else { return };
    let swaps = fs::read_to_string("/proc/swaps").expect("swaps");
    if swaps.lines().count() > 2 {
        eprintln!("skipped: this host has swap of its own");
        return;
    }
    let backend = world.backend();
    let paging = backend.paging().await;
    assert!(paging.works, "{paging:?}");
    let sandbox = world.id();
    start(&world, sandbox).await;
    backend.freeze(sandbox).await.expect("frozen");
    let before = memory(&world, sandbox);
    let Paged::Not { reason } = backend.page_out(sandbox).await.expect("no error") else {
        panic!("40 MiB do not fit into 24");
    };
    assert_eq!(reason, "the host's swap has no room for it");
    assert_eq!(memory(&world, sandbox), before);
    assert!(matches!(
        backend.look(sandbox).await,
        Ok(Presence::Running { frozen: true, .. })
    ));
    world.gone(sandbox).await;
}

async fn start(world: &World, sandbox: SandboxId) {
    let bundle = world.bundle(sandbox, SCRIPT);
    world.backend().start(&bundle, &NoSteps).await.expect("started");
    until("it holds what it should", || said(world, sandbox) == "held").await;
    until("it ticks", || ticks(world, sandbox) > 0).await;
}

fn said(world: &World, sandbox: SandboxId) -> String {
    let text = fs::read_to_string(world.places.volume(sandbox).join("mnt/held"));
    text.unwrap_or_default().trim().to_owned()
}

fn ticks(world: &World, sandbox: SandboxId) -> u64 {
    let text = fs::read_to_string(world.places.volume(sandbox).join("mnt/tick"));
    text.ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or_default()
}

/// What all processes of the sandbox have in memory and in swap.
fn memory(world: &World, sandbox: SandboxId) -> (u64, u64) {
    let group = format!("{}/{sandbox}", world.places.cgroup);
    let mut all = (0, 0);
    for process in fs::read_dir("/proc").expect("/proc").flatten() {
        let read = |name| fs::read_to_string(process.path().join(name)).unwrap_or_default();
        if !read("cgroup").contains(&group) {
            continue;
        }
        for line in read("status").lines() {
            let bytes = |line: &str| {
                line.trim()
                    .trim_end_matches(" kB")
                    .parse::<u64>()
                    .map_or(0, |k| k << 10)
            };
            match line.split_once(':') {
                Some(("RssAnon" | "RssShmem", value)) => all.0 += bytes(value),
                Some(("VmSwap", value)) => all.1 += bytes(value),
                _ => {}
            }
        }
    }
    all
}

async fn until(what: &str, it_is_so: impl Fn() -> bool) {
    let wait = async {
        while !it_is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(
        tokio::time::timeout(DEADLINE, wait).await.is_ok(),
        "not so in time: {what}"
    );
}
