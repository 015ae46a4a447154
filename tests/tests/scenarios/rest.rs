//! Agents that sleep and wake, over real sandboxes: no message is lost, whenever it comes.

use std::time::Duration;

use creel_api::{PatchAgent, Role, TurnState};
use creel_domain::{AgentState, Depth, Intent, Runtime};
use creel_testkit::rounds;
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

/// Falls asleep and is woken by a message at another moment of the transition each time.
async fn cycles(runtime: Runtime, count: usize) {
    let Some(platform) = Platform::start().await else {
        return;
    };
    platform.agent("scout", runtime).await;
    platform.say("scout", "@write kept.txt through it all").await;
    for cycle in 0..count {
        put_to_sleep(&platform, "scout").await;
        // Spread over the transition, in an order that is the same each time: 0 to 29 ms, and asleep for good.
        match cycle % 4 {
            3 => drop(asleep(&platform, "scout").await),
            _ => tokio::time::sleep(Duration::from_millis((cycle as u64 * 7) % 30)).await,
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
    platform.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn lite_loses_no_message_however_it_sleeps() {
    cycles(Runtime::Lite, rounds(100, 10_000)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn openclaw_loses_no_message_however_it_sleeps() {
    cycles(Runtime::Openclaw, rounds(8, 500)).await;
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
