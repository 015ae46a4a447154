//! Agents that sleep and wake, over real sandboxes: no message is lost, whenever it comes.

use std::time::Duration;

use creel_api::{PatchAgent, RestPatch, Role, TurnState};
use creel_domain::{AgentState, Depth, Intent, Runtime};
use creel_testkit::{Swap, rounds};
use creel_tests::Platform;

async fn put_to_sleep(platform: &Platform, name: &str) {
    let agent = platform.client().agent(name).await.expect("it is there");
    let patch = PatchAgent {
        intent: Some(Intent::Sleep),
        ..PatchAgent::default()
    };
    platform
        .client()
        .patch_agent(name, agent.revision, &patch)
        .await
        .expect("told to sleep");
}

async fn asleep(platform: &Platform, name: &str) -> Depth {
    let depth = platform
        .until("it sleeps", async || {
            match platform.client().agent(name).await.expect("it is there").status {
                AgentState::Asleep { depth, .. } => Some(depth),
                _ => None,
            }
        })
        .await;
    depth.unwrap_or_else(|| panic!("it does not sleep\n{}", platform.logs()))
}

async fn paged_out(platform: &Platform, name: &str) {
    let out = platform
        .until("its memory is out", async || {
            (asleep(platform, name).await == Depth::PagedOut).then_some(())
        })
        .await;
    assert!(out.is_some(), "its memory stays\n{}", platform.logs());
}

/// Its memory goes out a second after it fell asleep.
async fn pages_out_soon(platform: &Platform, name: &str) {
    let agent = platform.client().agent(name).await.expect("it is there");
    let rest = RestPatch {
        page_after_s: Some(1),
        ..RestPatch::default()
    };
    let patch = PatchAgent {
        rest: Some(rest),
        ..PatchAgent::default()
    };
    let patched = platform.client().patch_agent(name, agent.revision, &patch).await;
    patched.expect("it is changed");
}

/// What lies in the workspace, whatever the runtime itself writes beside it.
async fn hash(platform: &Platform) -> String {
    platform
        .shell("scout", "cat kept.txt kept/* | sha256sum")
        .await
        .stdout
}

/// Falls asleep and is woken by a message at another moment of the transition each time.
async fn cycles(runtime: Runtime, depth: Depth, count: usize) {
    let swap = (depth == Depth::PagedOut).then(|| Swap::make(4096));
    if matches!(swap, Some(None)) {
        return;
    }
    let Some(platform) = Platform::start().await else {
        return;
    };
    platform.agent("scout", runtime).await;
    if depth == Depth::PagedOut {
        pages_out_soon(&platform, "scout").await;
    }
    platform.say("scout", "@write kept.txt through it all").await;
    let fill = "mkdir kept; for n in 1 2 3 4 5 6 7 8 9; do head -c 100000 /dev/urandom > kept/$n; done";
    platform.shell("scout", fill).await;
    let before = hash(&platform).await;
    for cycle in 0..count {
        put_to_sleep(&platform, "scout").await;
        // Spread over the transition, in an order that is the same each time: 0 to 29 ms, and asleep for good.
        let spread = |first: u64| tokio::time::sleep(Duration::from_millis(first + (cycle as u64 * 7) % 30));
        match (depth, cycle % 4) {
            (Depth::PagedOut, 0) => {
                let awake = platform.memory();
                paged_out(&platform, "scout").await;
                let out = platform.memory();
                assert!(
                    out.resident < awake.resident / 4 && out.swapped > 0,
                    "{awake:?}, then {out:?}"
                );
            }
            (Depth::PagedOut, 1) => spread(990).await,
            (Depth::PagedOut, _) => {
                // In the middle of it, or just after where there is little.
                let begun = platform
                    .until("some of it is out", async || {
                        (platform.memory().swapped > 0).then_some(())
                    })
                    .await;
                assert!(begun.is_some(), "nothing goes out\n{}", platform.logs());
            }
            (_, 3) => drop(asleep(&platform, "scout").await),
            _ => spread(0).await,
        }
        let turn = platform.say("scout", &format!("hello {cycle}")).await;
        assert_eq!(
            turn.state,
            TurnState::Done,
            "cycle {cycle}: {turn:?}\n{}",
            platform.logs()
        );
    }
    let told: Vec<_> = platform
        .provider()
        .heard()
        .iter()
        .map(|call| call.body["messages"].to_string())
        .collect();
    for cycle in 0..count {
        let mine = format!("hello {cycle}\"");
        let asked = told.iter().filter(|messages| {
            let last = messages.rfind("hello ").map(|at| &messages[at..]);
            last.is_some_and(|last| last.starts_with(&mine))
        });
        assert_eq!(asked.count(), 1, "message {cycle} was answered once");
    }
    assert_eq!(
        platform.file("scout", "kept.txt").await.expect("a file"),
        "through it all"
    );
    assert_eq!(hash(&platform).await, before);
    platform.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn lite_loses_no_message_however_it_sleeps() {
    cycles(Runtime::Lite, Depth::Frozen, rounds(100, 10_000)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn openclaw_loses_no_message_however_it_sleeps() {
    cycles(Runtime::Openclaw, Depth::Frozen, rounds(8, 500)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lite_loses_no_message_while_its_memory_goes_out() {
    cycles(Runtime::Lite, Depth::PagedOut, rounds(8, 1000)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn openclaw_loses_no_message_while_its_memory_goes_out() {
    cycles(Runtime::Openclaw, Depth::PagedOut, rounds(4, 200)).await;
}

/// Longer than any silence that the bridge and OpenClaw bear with, so that all their clocks have run out when they go on.
/// In a sample it is no longer than a message takes.
#[tokio::test(flavor = "multi_thread")]
async fn openclaw_answers_right_after_a_long_sleep() {
    let Some(platform) = Platform::start().await else {
        return;
    };
    platform.agent("scout", Runtime::Openclaw).await;
    platform.say("scout", "hello").await;
    let gateway = platform.find(creel_tests::Part::Openclaw);
    put_to_sleep(&platform, "scout").await;
    asleep(&platform, "scout").await;
    tokio::time::sleep(Duration::from_secs(rounds(1, 300) as u64)).await;
    for message in ["good morning", "and again"] {
        let turn = platform.say("scout", message).await;
        assert_eq!(turn.state, TurnState::Done, "{turn:?}\n{}", platform.logs());
    }
    assert_eq!(
        platform.find(creel_tests::Part::Openclaw),
        gateway,
        "it was not started anew\n{}",
        platform.logs()
    );
    let told: Vec<String> = platform
        .provider()
        .heard()
        .iter()
        .map(|call| call.body["messages"].to_string())
        .collect();
    let asked = |message: &str| told.iter().filter(|messages| messages.contains(message)).count();
    // Whoever is asked the second is told the first as well.
    assert_eq!((asked("good morning"), asked("and again")), (2, 1));
    platform.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_sleeps_costs_no_cpu_and_is_there_again_after_every_death() {
    let Some(mut platform) = Platform::start().await else {
        return;
    };
    platform.agent("scout", Runtime::Lite).await;
    platform.say("scout", "@write kept.txt still here").await;
    put_to_sleep(&platform, "scout").await;
    assert_eq!(asleep(&platform, "scout").await, Depth::Frozen);

    for part in [creel_tests::Part::Supervisor, creel_tests::Part::Control] {
        platform.kill(part).await;
        assert_eq!(asleep(&platform, "scout").await, Depth::Frozen, "{part:?}");
    }
    platform.crash_and_start_again();
    assert_eq!(asleep(&platform, "scout").await, Depth::Frozen);
    assert_eq!(platform.shell("scout", "cat kept.txt").await.stdout, "still here");

    // What is killed while it is frozen is dead, and starts when it is needed.
    put_to_sleep(&platform, "scout").await;
    asleep(&platform, "scout").await;
    platform.strike(creel_tests::Part::Bridge);
    assert_eq!(platform.shell("scout", "cat kept.txt").await.stdout, "still here");
    let history = platform.history("scout").await;
    assert_eq!(
        history
            .iter()
            .filter(|message| message.role == Role::User)
            .count(),
        1
    );
    put_to_sleep(&platform, "scout").await;
    asleep(&platform, "scout").await;
    platform.end();
}
