//! Waking: a question that meets a frozen agent, against the same question to one that is awake.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use creel_api::{PatchAgent, RestPatch, TurnState};
use creel_domain::{AgentState, Depth, Intent, Runtime};
use creel_testkit::Swap;
use creel_tests::Platform;

use crate::figures;

const ROUNDS: usize = 40;
/// OpenClaw's own turns take longer, and its floor takes half a minute.
const OPENCLAW_ROUNDS: usize = 10;
/// Each takes a second to go out, and OpenClaw some more.
const PAGED_ROUNDS: usize = 10;
/// Swap of the bench's own.
pub(crate) const SWAP_MEBIBYTES: u64 = 4096;

pub(crate) async fn run(platform: &Platform) -> Result<()> {
    platform.agent("sleeper", Runtime::Lite).await;
    let mut pairs = Vec::new();
    for _ in 0..ROUNDS {
        asleep(platform, "sleeper", Depth::Frozen).await?;
        let woken = listed(platform).await?;
        // What waking leaves to be done is not the floor's to pay.
        platform.running("sleeper").await;
        pairs.push((woken, listed(platform).await?));
    }
    figures::pairs("lite: files of a frozen one, against awake", &pairs);
    let swap = Swap::make(SWAP_MEBIBYTES);
    if swap.is_some() {
        let mut pairs = Vec::new();
        for _ in 0..PAGED_ROUNDS {
            asleep(platform, "sleeper", Depth::PagedOut).await?;
            let woken = listed(platform).await?;
            platform.running("sleeper").await;
            pairs.push((woken, listed(platform).await?));
        }
        figures::pairs("lite: files of one paged out, against awake", &pairs);
    }
    platform.client().delete_agent("sleeper").await?;

    let began = Instant::now();
    platform.agent("claw", Runtime::Openclaw).await;
    said(platform).await?;
    // From nothing to the first answer: what one that was not frozen would pay.
    let cold = began.elapsed();
    let mut pairs = Vec::new();
    for _ in 0..OPENCLAW_ROUNDS {
        asleep(platform, "claw", Depth::Frozen).await?;
        pairs.push((said(platform).await?, cold));
    }
    figures::pairs("openclaw: frozen to answer, against cold start", &pairs);
    if swap.is_some() {
        let mut pairs = Vec::new();
        for _ in 0..PAGED_ROUNDS {
            asleep(platform, "claw", Depth::PagedOut).await?;
            pairs.push((said(platform).await?, cold));
        }
        figures::pairs("openclaw: paged out to answer, against cold start", &pairs);
    }
    Ok(())
}

async fn listed(platform: &Platform) -> Result<Duration> {
    let began = Instant::now();
    platform.client().list_files("sleeper", ".").await?;
    Ok(began.elapsed())
}

async fn said(platform: &Platform) -> Result<Duration> {
    let began = Instant::now();
    let turn = platform.say("claw", "hello").await;
    ensure!(turn.state == TurnState::Done, "{turn:?}");
    Ok(began.elapsed())
}

/// Puts it to rest, and waits until it sleeps so deeply.
pub(crate) async fn asleep(platform: &Platform, name: &str, depth: Depth) -> Result<()> {
    let client = platform.client();
    let agent = client.agent(name).await?;
    let patch = PatchAgent {
        intent: Some(Intent::Sleep),
        rest: Some(RestPatch {
            page_after_s: Some(u32::from(depth == Depth::PagedOut)),
            ..RestPatch::default()
        }),
        ..PatchAgent::default()
    };
    client.patch_agent(name, agent.revision, &patch).await?;
    let is_there = |status| matches!(status, AgentState::Asleep { depth: seen, .. } if seen == depth);
    while !is_there(client.agent(name).await?.status) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}
