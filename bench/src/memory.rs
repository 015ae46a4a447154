//! What idle agents cost: the proportional set size of everything in their control groups.

use std::{collections::BTreeMap, fs, iter, time::Duration};

use anyhow::Result;
use creel_domain::{Depth, Runtime};
use creel_sandbox::Places;
use creel_testkit::Swap;
use creel_tests::{Part, Platform, Process, processes};
use rustix::process::Pid;

use crate::{bare::Bare, figures, start::Floor, wake};

/// Long enough for what a start leaves behind to be collected.
const SETTLE: Duration = Duration::from_secs(20);
const TOGETHER: u64 = 10;

pub(crate) async fn run(platform: &Platform) -> Result<()> {
    let floor = Floor::new(&platform.image("lite"), &["/bin/sleep", "1000"])?;
    let name = format!("creel-bench-sleep-{}", std::process::id());
    let mut sleeper = floor.command(&name).spawn()?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let one_sleep = of_descendants(sleeper.id());
    let _ = std::process::Command::new("runc")
        .args(["kill", &name, "KILL"])
        .status();
    sleeper.wait()?;

    let one = idle(platform, Runtime::Lite, 1).await?;
    figures::bytes("lite: one idle", one, one_sleep, "runc run of busybox sleep");
    let ten = idle(platform, Runtime::Lite, TOGETHER).await?;
    figures::bytes("lite: ten idle together", ten, one * TOGETHER, "ten times one");
    let swap = Swap::make(wake::SWAP_MEBIBYTES);
    if swap.is_some() {
        let out = asleep(platform, Runtime::Lite, Depth::PagedOut).await?;
        figures::bytes("lite: one paged out", out, one, "one idle");
    }

    let bare = Bare::start(&platform.image("openclaw"), &platform.provider().base_url()).await?;
    tokio::time::sleep(SETTLE).await;
    let alone = bare.pss();
    drop(bare);
    let one = idle(platform, Runtime::Openclaw, 1).await?;
    figures::bytes(
        "openclaw: one idle",
        one,
        alone,
        "OpenClaw of the same image, bare",
    );
    if swap.is_some() {
        let out = asleep(platform, Runtime::Openclaw, Depth::PagedOut).await?;
        figures::bytes("openclaw: one paged out", out, one, "one idle");
    }
    let ten = idle(platform, Runtime::Openclaw, TOGETHER).await?;
    figures::bytes(
        "openclaw: ten idle together",
        ten,
        one * TOGETHER,
        "ten times one",
    );
    let own = own(platform);
    figures::bytes("creel itself, with the ten", own, one, "one idle OpenClaw");
    Ok(())
}

/// One agent at rest so deeply; what it takes.
async fn asleep(platform: &Platform, runtime: Runtime, depth: Depth) -> Result<u64> {
    platform.create("sleeper", runtime).await;
    platform.running("sleeper").await;
    tokio::time::sleep(SETTLE).await;
    wake::asleep(platform, "sleeper", depth).await?;
    let group = Places::cgroup_for(&platform.data());
    let bytes = pss(|process| process.in_group(&group));
    platform.client().delete_agent("sleeper").await?;
    while !platform.client().all_agents().await?.is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(bytes)
}

/// Makes so many agents and lets them rest; what they take together.
async fn idle(platform: &Platform, runtime: Runtime, count: u64) -> Result<u64> {
    let names: Vec<String> = (0..count).map(|number| format!("idle-{number}")).collect();
    // One after another: all at once they would take turns on the cores until some are given up.
    for name in &names {
        platform.create(name, runtime).await;
        platform.running(name).await;
    }
    tokio::time::sleep(SETTLE).await;
    let group = Places::cgroup_for(&platform.data());
    let bytes = pss(|process| process.in_group(&group));
    for name in &names {
        platform.client().delete_agent(name).await?;
    }
    while !platform.client().all_agents().await?.is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(bytes)
}

/// Parent, control, edge and supervisor.
pub(crate) fn own(platform: &Platform) -> u64 {
    let parent = Pid::from_raw(platform.parent().cast_signed());
    let children = [Part::Control, Part::Edge, Part::Supervisor].map(|part| platform.find(part));
    pss(|process| Some(process.pid) == parent || children.contains(&Some(process.pid)))
}

/// Of all that a process started, and what they started, without itself.
pub(crate) fn of_descendants(of: u32) -> u64 {
    let all: BTreeMap<u32, u32> = processes()
        .map(|process| (number(process.pid), process.parent))
        .collect();
    let ancestors = |pid| iter::successors(Some(pid), |pid| all.get(pid).copied()).skip(1);
    pss(|process| ancestors(number(process.pid)).any(|ancestor| ancestor == of))
}

fn number(pid: Pid) -> u32 {
    pid.as_raw_nonzero().get().cast_unsigned()
}

fn pss(mine: impl Fn(&Process) -> bool) -> u64 {
    let of = |process: Process| -> Option<u64> {
        // It may have ended in the meantime.
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", number(process.pid))).ok()?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        let kibi: u64 = line.trim().trim_end_matches(" kB").trim().parse().ok()?;
        Some(kibi << 10)
    };
    processes().filter(mine).filter_map(of).sum()
}
