//! Jobs that a runtime plans itself: it is awake when they are due, in a turn of their own.

use creel_testkit::{Act, Gate};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{World, wait};

/// OpenClaw, which plans to do something so many seconds from now.
async fn planning(world: &World, seconds: i64, rest: Value) -> Timestamp {
    let body = json!({"name": "scout", "runtime": "openclaw", "rest": rest});
    world.post("/v1/agents", body).await.expect(201).await;
    let at = world.clock.now() + SignedDuration::from_secs(seconds);
    // What is kept of a time are its microseconds.
    let at = Timestamp::from_microsecond(at.as_microsecond()).expect("in range");
    let sandbox = world.sandbox("scout").await;
    world.bridges.set_own_jobs(sandbox, Some(at));
    world.until("scout", "running").await;
    at
}

async fn turns(world: &World, state: &str) -> Vec<Value> {
    let turns = world
        .get(&format!("/v1/turns?state={state}"))
        .await
        .expect(200)
        .await;
    turns["items"].as_array().expect("a list").clone()
}

#[tokio::test]
async fn a_runtime_that_sleeps_is_awake_for_its_own_job_until_that_is_through() {
    let world = World::new().await;
    let gate = Gate::default();
    let script = gate.clone();
    world.bridges.set_script(move |request| {
        assert!(request.own_jobs, "nobody else says anything");
        vec![
            Act::started(),
            Act::Wait(script.clone()),
            Act::done("a job: done"),
        ]
    });
    let at = planning(&world, 100, json!({"idle_s": 1})).await;
    let sandbox = world.sandbox("scout").await;
    world.until("scout", "asleep").await;
    let shown = world.get("/v1/agents/scout").await.expect(200).await;
    assert_eq!(shown["runtime_wake_at"], json!(at));
    wait("its turn", || async {
        let turns = turns(&world, "running").await;
        (turns.len() == 1, format!("{turns:?}"))
    })
    .await;
    let early = at.duration_since(world.clock.now());
    assert!(
        (SignedDuration::ZERO..=SignedDuration::from_secs(3)).contains(&early),
        "{early:?} before its time"
    );
    // It stays awake as long as that takes, and is not asked twice.
    world
        .bridges
        .set_own_jobs(sandbox, Some(at + SignedDuration::from_secs(7200)));
    for _ in 0..10 {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        if world.clock.now() > at {
            assert!(world.supervisor.is_running(sandbox), "it works");
        }
    }
    gate.open();
    world.until("scout", "asleep").await;
    let done = turns(&world, "done").await;
    assert_eq!(
        (done.len(), &done[0]["text"], &done[0]["session"]),
        (1, &json!("a job: done"), &json!("own-jobs"))
    );
    assert_eq!(world.bridges.requests(sandbox).len(), 1);
    let shown = world.get("/v1/agents/scout").await.expect(200).await;
    assert_eq!(
        shown["runtime_wake_at"],
        json!(at + SignedDuration::from_secs(7200))
    );
}

#[tokio::test]
async fn one_on_disk_is_started_in_time() {
    let world = World::new().await;
    let at = planning(&world, 100, json!({"idle_s": 1, "autostop": "stop"})).await;
    let sandbox = world.sandbox("scout").await;
    world.until("scout", "asleep").await;
    assert!(!world.supervisor.is_running(sandbox));
    wait("its turn", || async {
        let turns = turns(&world, "done").await;
        (turns.len() == 1, format!("{turns:?}"))
    })
    .await;
    let early = at.duration_since(world.clock.now());
    assert!(
        early > SignedDuration::from_secs(20),
        "only {early:?} before its time"
    );
}

#[tokio::test]
async fn it_is_not_put_to_rest_just_before_its_time() {
    let world = World::new().await;
    let at = planning(&world, 25, json!({"idle_s": 1})).await;
    let sandbox = world.sandbox("scout").await;
    while world.clock.now() < at {
        assert!(world.supervisor.is_running(sandbox), "it is about to work");
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    world.bridges.set_own_jobs(sandbox, None);
    wait("its turn", || async {
        let turns = turns(&world, "done").await;
        (turns.len() == 1, format!("{turns:?}"))
    })
    .await;
    world.until("scout", "asleep").await;
}

#[tokio::test]
async fn one_that_only_its_owner_wakes_is_left_alone_and_an_eager_one_has_its_minute() {
    let world = World::new().await;
    let at = planning(&world, 100, json!({"idle_s": 1, "autostart": false})).await;
    world.until("scout", "asleep").await;
    while world.clock.now() < at + SignedDuration::from_secs(5) {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    world.until("scout", "asleep").await;
    assert_eq!(turns(&world, "done").await, Vec::<Value>::new());

    // Awake it wants to work all the time: it may, once a minute.
    let headers = [("content-type", "application/json"), ("if-match", "*")];
    let body = r#"{"intent":"run","rest":{"autostop":"off"}}"#;
    world
        .ask("PATCH", "/v1/agents/scout", &headers, body)
        .await
        .expect(200)
        .await;
    let begun = world.clock.now();
    while world.clock.now() < begun + SignedDuration::from_secs(200) {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    let done = turns(&world, "done").await.len();
    assert!((2..=5).contains(&done), "{done} times in 200 s");
}
