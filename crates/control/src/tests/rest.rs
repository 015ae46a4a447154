//! Falling asleep and waking: when nobody needs an agent, and when somebody does.

use std::time::Duration;

use creel_domain::{Depth, SandboxState};
use creel_testkit::{Act, Gate};
use serde_json::json;

use super::World;

/// An agent that rests after a second.
async fn sleepy(world: &World, name: &str, rest: serde_json::Value) {
    let mut body = json!({"name": name, "runtime": "lite", "rest": {"idle_s": 1}});
    for (key, value) in rest.as_object().expect("an object") {
        body["rest"][key] = value.clone();
    }
    world.post("/v1/agents", body).await.expect(201).await;
    world.until(name, "running").await;
}

async fn patch(world: &World, name: &str, body: serde_json::Value) -> super::Reply {
    let headers = [("content-type", "application/json"), ("if-match", "*")];
    let path = format!("/v1/agents/{name}");
    world.ask("PATCH", &path, &headers, body.to_string()).await
}

#[tokio::test]
async fn an_agent_that_nobody_needs_falls_asleep_and_a_message_wakes_it() {
    let world = World::new().await;
    sleepy(&world, "scout", json!({})).await;
    world.until("scout", "asleep").await;
    let agent = world.get("/v1/agents/scout").await.expect(200).await;
    assert_eq!(agent["status"]["depth"], "frozen");
    assert_eq!(agent["revision"], 1, "its owner has changed nothing");

    // Looking does not wake it.
    for path in ["/v1/agents", "/v1/agents/scout/sessions", "/v1/usage"] {
        assert_eq!(world.get(path).await.status, 200);
    }
    world.until("scout", "asleep").await;

    let turn = world
        .post("/v1/agents/scout/chat", json!({"message": "hello"}))
        .await
        .expect(200)
        .await;
    assert_eq!(turn["state"], "done", "{turn}");
    world.until("scout", "asleep").await;
}

#[tokio::test]
async fn files_commands_and_logs_wake_it_as_well() {
    let world = World::new().await;
    sleepy(&world, "scout", json!({})).await;
    for (method, path, body) in [
        ("PUT", "/v1/agents/scout/files/content?path=a", "x"),
        ("GET", "/v1/agents/scout/files", ""),
        ("GET", "/v1/agents/scout/files/content?path=a", ""),
        ("GET", "/v1/agents/scout/logs", ""),
    ] {
        world.until("scout", "asleep").await;
        let reply = world.ask(method, path, &[], body).await;
        assert!(reply.status.is_success(), "{method} {path}: {}", reply.status);
        drop(reply.text().await);
    }
    world.until("scout", "asleep").await;
    let exec = world
        .post("/v1/agents/scout/exec", json!({"argv": ["echo", "hi"]}))
        .await;
    assert_eq!(exec.status, 200);
}

#[tokio::test]
async fn it_is_not_put_to_rest_while_a_turn_is_under_way() {
    let world = World::new().await;
    sleepy(&world, "scout", json!({})).await;
    let sandbox = world.sandbox("scout").await;
    let gate = Gate::default();
    let script = gate.clone();
    world
        .bridges
        .set_script(move |_| vec![Act::started(), Act::Wait(script.clone()), Act::done("at last")]);
    let chat = world.post("/v1/agents/scout/chat", json!({"message": "take your time"}));
    let look = async {
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert!(world.supervisor.is_running(sandbox), "it works");
        }
        gate.open();
    };
    let (turn, ()) = tokio::join!(chat, look);
    let turn = turn.expect(200).await;
    assert_eq!(turn["state"], "done", "{turn}");
    world.until("scout", "asleep").await;
}

#[tokio::test]
async fn a_hundred_knocks_are_one_wake() {
    let world = World::new().await;
    sleepy(&world, "scout", json!({"idle_s": 60})).await;
    patch(&world, "scout", json!({"intent": "sleep"}))
        .await
        .expect(200)
        .await;
    world.until("scout", "asleep").await;
    let knocks = (0..100).map(|_| world.get("/v1/agents/scout/files"));
    for reply in futures_util::future::join_all(knocks).await {
        assert_eq!(reply.status, 200);
    }
    world.until("scout", "running").await;
    let generation = world.supervisor.reports()[0].generation;
    // Made, told to sleep, woken.
    assert_eq!(generation.0, 3);
}

async fn hold(world: &World, seconds: u32) -> super::Reply {
    let headers = [("content-type", "application/json")];
    let body = json!({ "seconds": seconds }).to_string();
    world.ask("PUT", "/v1/agents/scout/hold", &headers, body).await
}

#[tokio::test]
async fn one_that_is_held_stays_awake_until_then_or_until_its_owner_says_otherwise() {
    let mut world = World::new().await;
    sleepy(&world, "scout", json!({})).await;
    world.until("scout", "asleep").await;
    for seconds in [0, 86_401] {
        hold(&world, seconds).await.problem("invalid_request").await;
    }
    let held = hold(&world, 60).await.expect(200).await;
    assert!(held["held_until"].is_string(), "{held}");
    world.until("scout", "running").await;
    // It outlives the control that was told.
    world.kill().await;
    world.start().await;
    tokio::time::sleep(Duration::from_secs(40)).await;
    world.until("scout", "running").await;
    world.until("scout", "asleep").await;
    let agent = world.get("/v1/agents/scout").await.expect(200).await;
    assert_eq!(
        (&agent["held_until"], &agent["revision"]),
        (&json!(null), &json!(1))
    );

    hold(&world, 86_400).await.expect(200).await;
    world.delete("/v1/agents/scout/hold").await.expect(200).await;
    world.until("scout", "asleep").await;

    hold(&world, 86_400).await.expect(200).await;
    world.until("scout", "running").await;
    let told = patch(&world, "scout", json!({"intent": "sleep"}))
        .await
        .expect(200)
        .await;
    assert_eq!(told["held_until"], json!(null));
    world.until("scout", "asleep").await;
    patch(&world, "scout", json!({"intent": "run"}))
        .await
        .expect(200)
        .await;
    world.until("scout", "asleep").await;
}

#[tokio::test]
async fn one_that_only_its_owner_wakes_says_so() {
    let world = World::new().await;
    sleepy(&world, "scout", json!({"autostart": false})).await;
    world.until("scout", "asleep").await;
    let chat = world.post("/v1/agents/scout/chat", json!({"message": "hello"}));
    let sentence = chat.await.problem("agent_not_running").await;
    assert!(sentence.contains("`creel agent start scout`"), "{sentence}");
    let files = world.get("/v1/agents/scout/files").await;
    files.problem("agent_not_running").await;
    patch(&world, "scout", json!({"intent": "run"}))
        .await
        .expect(200)
        .await;
    world.until("scout", "running").await;
}

#[tokio::test]
async fn it_sleeps_deeper_after_a_while_and_wakes_from_there() {
    let world = World::new().await;
    sleepy(&world, "scout", json!({"stop_after_s": 60})).await;
    let sandbox = world.sandbox("scout").await;
    world.until("scout", "asleep").await;
    super::wait("it to sleep on disk", || async {
        let reports = world.supervisor.reports();
        let deep = matches!(
            reports[0].state,
            SandboxState::Asleep {
                depth: Depth::OnDisk,
                ..
            }
        );
        (deep, format!("{reports:?}"))
    })
    .await;
    assert!(!world.supervisor.is_running(sandbox));
    let turn = world
        .post("/v1/agents/scout/chat", json!({"message": "hello"}))
        .await
        .expect(200)
        .await;
    assert_eq!(turn["state"], "done", "{turn}");
}

#[tokio::test]
async fn its_memory_is_paged_out_after_a_while_and_a_message_wakes_it_from_there() {
    let world = World::new().await;
    sleepy(&world, "scout", json!({"page_after_s": 30})).await;
    let sandbox = world.sandbox("scout").await;
    world.until("scout", "asleep").await;
    super::wait("its memory to be out", || async {
        let agent = world.get("/v1/agents/scout").await.expect(200).await;
        (
            agent["status"]["depth"] == "paged_out",
            agent["status"].to_string(),
        )
    })
    .await;
    assert!(!world.supervisor.is_running(sandbox));
    let memory = world.get("/v1/agents/scout/memory").await.expect(200).await;
    assert!(
        memory["resident_bytes"] == 0 && memory["swapped_bytes"] != 0,
        "{memory}"
    );
    let agent = world.get("/v1/agents/scout").await.expect(200).await;
    assert_eq!(agent["status"]["depth"], "paged_out", "looking wakes nobody");
    let turn = world
        .post("/v1/agents/scout/chat", json!({"message": "hello"}))
        .await
        .expect(200)
        .await;
    assert_eq!(turn["state"], "done", "{turn}");
    let reports = world.supervisor.reports();
    assert_eq!(reports.len(), 1, "{reports:?}");

    let rest = patch(&world, "scout", json!({"rest": {"page_after_s": 0}}))
        .await
        .expect(200)
        .await;
    assert!(rest["rest"]["page_after_s"].is_null(), "never: {rest}");
    let host = world.get("/v1/host").await.expect(200).await;
    assert_eq!(host["paging"]["works"], true, "{host}");
}

#[tokio::test]
async fn off_means_off_and_what_cannot_be_is_refused() {
    let world = World::new().await;
    sleepy(&world, "scout", json!({"autostop": "off"})).await;
    let sandbox = world.sandbox("scout").await;
    for _ in 0..60 {
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert!(world.supervisor.is_running(sandbox));
    }
    let sentence = patch(&world, "scout", json!({"rest": {"idle_s": 0}}))
        .await
        .problem("invalid_request")
        .await;
    assert!(
        sentence.contains("idle_s must be 1 to 2592000 seconds"),
        "{sentence}"
    );
    patch(&world, "scout", json!({"rest": {"autostop": "perhaps"}}))
        .await
        .problem("invalid_request")
        .await;
}

#[tokio::test]
async fn one_that_sleeps_is_stopped_deleted_and_found_again_by_another_control() {
    let mut world = World::new().await;
    sleepy(&world, "scout", json!({})).await;
    world.until("scout", "asleep").await;
    world.kill().await;
    world.start().await;
    world.until("scout", "asleep").await;
    patch(&world, "scout", json!({"intent": "stop"}))
        .await
        .expect(200)
        .await;
    world.until("scout", "stopped").await;
    patch(&world, "scout", json!({"intent": "run"}))
        .await
        .expect(200)
        .await;
    world.until("scout", "asleep").await;
    assert_eq!(world.delete("/v1/agents/scout").await.status, 202);
    world.until_gone().await;
}
