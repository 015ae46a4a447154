//! Sandboxes made ahead of need, real ones: who gets one is told to it, and no kill leaves one behind.

use std::{collections::BTreeSet, fs};

use creel_api::{CreateAgent, LimitsPatch};
use creel_domain::{AgentFiles, AgentState, ModelName, Runtime};
use creel_testkit::rounds;
use creel_tests::{Part, Platform};

/// Waits until the pool is whole.
async fn until_ready(platform: &Platform) {
    let ready = platform
        .until("spares are ready", async || {
            // While a control is being replaced nobody answers.
            let spares = platform.client().host().await.ok()?.spares;
            let whole =
                |spares: &creel_api::HostSpares| spares.ready == spares.wanted && spares.preparing == 0;
            (!spares.is_empty() && spares.iter().all(whole)).then_some(())
        })
        .await;
    assert!(ready.is_some(), "the pool is not whole\n{}", platform.logs());
}

fn sandboxes(platform: &Platform) -> BTreeSet<String> {
    let there = fs::read_dir(platform.data().join("run/sandboxes")).expect("sandboxes");
    there
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect()
}

async fn create(platform: &Platform, name: &str, runtime: Runtime) {
    let create = CreateAgent {
        name: name.parse().expect("a name"),
        runtime: Some(runtime),
        model: Some("fake/m1".parse::<ModelName>().expect("a model")),
        files: AgentFiles {
            soul: format!("You are called {name} and like lobsters."),
            ..AgentFiles::default()
        },
        limits: LimitsPatch::default(),
        rest: Default::default(),
    };
    platform
        .client()
        .create_agent(&create, None)
        .await
        .expect("created");
    let runs = platform
        .until("it runs", async || {
            let status = platform.client().agent(name).await.ok()?.status;
            matches!(status, AgentState::Running { .. }).then_some(())
        })
        .await;
    assert!(runs.is_some(), "`{name}` does not run\n{}", platform.logs());
}

/// It is called as it should be, is who it should be, and its first process is older than itself.
async fn is_its_own(platform: &Platform, name: &str) {
    let agent = platform.client().agent(name).await.expect("it is there");
    let seen = platform
        .shell(name, "hostname; cat SOUL.md; echo; stat -c %Y /proc/1")
        .await;
    let lines: Vec<_> = seen.stdout.lines().collect();
    assert_eq!(
        lines[..2],
        [name, &format!("You are called {name} and like lobsters.")],
        "{seen:?}"
    );
    let began: i64 = lines[2].parse().expect("a time");
    assert!(began <= agent.created_at.as_second(), "{seen:?} {agent:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn new_agents_get_sandboxes_that_are_up() {
    let Some(platform) = Platform::start_with(&["--spares", "lite=2"]).await else {
        return;
    };
    until_ready(&platform).await;
    for round in 0..rounds(4, 100) {
        let before = sandboxes(&platform);
        let names = [format!("a{round}"), format!("b{round}")];
        for name in &names {
            create(&platform, name, Runtime::Lite).await;
            is_its_own(&platform, name).await;
            platform.say(name, "hello").await;
        }
        if round % 2 == 1 {
            platform.kill(Part::Control).await;
        }
        until_ready(&platform).await;
        let after = sandboxes(&platform);
        assert!(after.is_superset(&before), "those of the pool are the agents'");
        assert_eq!(after.len(), before.len() + names.len());
    }
    platform.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn openclaw_is_up_before_anybody_asks_for_it() {
    let Some(platform) = Platform::start_with(&["--spares", "openclaw=1"]).await else {
        return;
    };
    until_ready(&platform).await;
    let ready = sandboxes(&platform);
    create(&platform, "claw", Runtime::Openclaw).await;
    is_its_own(&platform, "claw").await;
    let turn = platform.say("claw", "hello").await;
    assert!(turn.text.contains("hello"), "{turn:?}");
    let heard = platform.provider().heard();
    let told = |soul: &str| heard.iter().any(|heard| heard.body.to_string().contains(soul));
    assert!(
        told("You are called claw and like lobsters."),
        "its model hears who it is"
    );
    assert!(sandboxes(&platform).is_superset(&ready));
    platform.end();
}
