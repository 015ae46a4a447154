//! Schedules: what the clock says reaches an agent once, asleep or not, through crashes and beside another control.

use std::{collections::BTreeSet, time::Duration};

use axum::body::Body;
use creel_testkit::{Act, Gate};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Reply, World, wait};

const PATH: &str = "/v1/agents/scout/schedules";

async fn scout(world: &World, rest: Value) {
    let body = json!({"name": "scout", "runtime": "lite", "rest": rest});
    world.post("/v1/agents", body).await.expect(201).await;
    world.until("scout", "running").await;
}

/// Every minute, unless it says otherwise.
async fn schedule(world: &World, more: Value) -> Value {
    let mut body = json!({
        "name": "report", "message": "Write the report", "when": {"kind": "every", "seconds": 60},
    });
    for (key, value) in more.as_object().expect("an object") {
        body[key] = value.clone();
    }
    world.post(PATH, body).await.expect(201).await
}

async fn patch(world: &World, tag: &str, body: Value) -> Reply {
    let headers = [("content-type", "application/json"), ("if-match", tag)];
    world
        .ask("PATCH", &format!("{PATH}/report"), &headers, body.to_string())
        .await
}

/// Newest first.
async fn runs(world: &World) -> Vec<Value> {
    let page = world.get(&format!("{PATH}/report/runs")).await.expect(200).await;
    page["items"].as_array().expect("a list").clone()
}

/// Waits for so many runs of which none is under way.
async fn until_runs(world: &World, count: usize) -> Vec<Value> {
    wait(&format!("{count} runs"), || async {
        let runs = runs(world).await;
        let over = runs.iter().all(|run| run["state"] != "running");
        (runs.len() >= count && over, format!("{runs:?}"))
    })
    .await;
    runs(world).await
}

fn states(runs: &[Value]) -> Vec<&str> {
    runs.iter()
        .map(|run| run["state"].as_str().unwrap_or_default())
        .collect()
}

/// Each planned time is there once.
fn assert_once(runs: &[Value]) {
    let planned: BTreeSet<_> = runs.iter().map(|run| run["planned_at"].to_string()).collect();
    assert_eq!(planned.len(), runs.len(), "{runs:?}");
}

#[tokio::test]
async fn the_clock_wakes_an_agent_that_sleeps_and_it_sleeps_again() {
    let world = World::new().await;
    scout(&world, json!({"idle_s": 1, "stop_after_s": 80})).await;
    let made = schedule(&world, json!({})).await;
    assert_eq!(
        (&made["session"], &made["missed"], &made["overlap"]),
        (&json!("report"), &json!("once"), &json!("skip"))
    );
    assert_eq!(made["upcoming"].as_array().expect("times").len(), 3);
    for round in 1..=2 {
        world.until("scout", "asleep").await;
        let runs = until_runs(&world, round).await;
        assert_eq!(runs[0]["state"], "done", "{runs:?}");
    }
    world.until("scout", "asleep").await;
    let runs = runs(&world).await;
    assert_once(&runs);
    let planned: Timestamp = runs[0]["planned_at"]
        .as_str()
        .and_then(|text| text.parse().ok())
        .expect("a time");
    let late = |at: &Value| {
        let at: Timestamp = at.as_str().and_then(|text| text.parse().ok()).expect("a time");
        at.duration_since(planned).as_millis()
    };
    assert!((0..1000).contains(&late(&runs[0]["at"])), "at its time: {runs:?}");
    let said = world
        .get("/v1/agents/scout/sessions/report/messages")
        .await
        .expect(200)
        .await;
    assert_eq!(said["items"][0]["text"], "Write the report");
    let shown = world.get(&format!("{PATH}/report")).await.expect(200).await;
    assert_eq!(shown["last_run"], runs[0]);
    // A turn like any other: in the inbox, and in the log with the schedule that asked.
    let turn = runs[0]["turn"].as_str().expect("a turn");
    world
        .get(&format!("/v1/agents/scout/turns/{turn}"))
        .await
        .expect(200)
        .await;
    let events = world.get("/v1/events?limit=200").await.expect(200).await;
    let mut started = events["items"].as_array().expect("events").iter();
    let started = started
        .rfind(|event| event["kind"] == "turn.started")
        .expect("one")
        .clone();
    assert_eq!(started["data"]["schedule"], made["id"]);
}

#[tokio::test]
async fn of_two_controls_one_acts_and_every_time_runs_once() {
    let mut world = World::new().await;
    let first = world.running.take().expect("running");
    world.start().await;
    scout(&world, json!({"idle_s": 1})).await;
    schedule(&world, json!({"overlap": "queue"})).await;
    let runs = until_runs(&world, 3).await;
    assert_once(&runs);
    assert!(states(&runs).iter().all(|state| *state == "done"), "{runs:?}");
    let turns = world.get("/v1/turns?state=done").await.expect(200).await;
    assert_eq!(turns["items"].as_array().expect("turns").len(), runs.len());
    first.shutdown.begin();
    first.task.abort();
}

#[tokio::test]
async fn a_control_that_dies_at_any_point_of_a_run_leaves_one_run() {
    let mut world = World::new().await;
    for point in 1..100 {
        scout(&world, json!({"idle_s": 1})).await;
        schedule(&world, json!({})).await;
        world.until("scout", "asleep").await;
        world.points.arm(point);
        let crashed = tokio::select! {
            () = world.points.hit() => true,
            runs = until_runs(&world, 1) => { assert_once(&runs); false }
        };
        world.kill().await;
        world.points.disarm();
        world.start().await;
        let runs = until_runs(&world, 1).await;
        assert_once(&runs);
        assert_eq!(
            runs.last().map(|run| &run["state"]),
            Some(&json!("done")),
            "point {point}: {runs:?}"
        );
        assert_eq!(world.delete("/v1/agents/scout").await.status, 202);
        world.until_gone().await;
        if !crashed {
            assert!(point > 2, "only {point} points were passed");
            return;
        }
    }
    panic!("a run passes more than 100 points");
}

#[tokio::test]
async fn a_time_that_was_taken_before_a_crash_is_a_turn_after_it() {
    let mut world = World::new().await;
    scout(&world, json!({})).await;
    schedule(&world, json!({})).await;
    world.kill().await;
    tokio::time::sleep(Duration::from_secs(61)).await;
    // All that a control does before it dies.
    let now = world.clock.now();
    let due = world
        .store()
        .platform()
        .due_schedules(now, None, 9)
        .await
        .expect("a list")
        .remove(0);
    let plan = creel_domain::plan_schedule(&due.when, due.anchor_at, due.next_at, due.missed, now);
    let turns = world
        .store()
        .org(due.org)
        .fire_schedule(due, plan)
        .await
        .expect("no error");
    assert_eq!(turns.expect("mine").len(), 1);
    world.start().await;
    let runs = until_runs(&world, 1).await;
    assert_once(&runs);
    assert_eq!(runs.last().map(|run| &run["state"]), Some(&json!("done")));
}

/// Three times go by while nothing runs.
async fn missed(policy: &str, expected: [&str; 3]) {
    let mut world = World::new().await;
    scout(&world, json!({})).await;
    let every = json!({"missed": policy, "when": {"kind": "every", "seconds": 120}});
    let made = schedule(&world, every).await;
    world.kill().await;
    tokio::time::sleep(Duration::from_secs(3 * 120 + 70)).await;
    world.start().await;
    let runs = until_runs(&world, 3).await;
    assert_eq!(states(&runs[runs.len() - 3..]), expected);
    assert_once(&runs);
    let first = runs.last().expect("the oldest");
    assert_eq!(first["planned_at"], made["upcoming"][0]);
    if first["state"] == "missed" {
        let sentence = "The time went by while Creel did not run.";
        assert_eq!(first["detail"], sentence);
    }
}

#[tokio::test]
async fn what_was_missed_while_nothing_ran_is_left_out() {
    missed("skip", ["missed", "missed", "missed"]).await;
}

#[tokio::test]
async fn what_was_missed_while_nothing_ran_is_made_up_for_once() {
    missed("once", ["done", "missed", "missed"]).await;
}

#[tokio::test]
async fn what_was_missed_while_nothing_ran_is_made_up_for_whole() {
    missed("all", ["done", "done", "done"]).await;
}

#[tokio::test]
async fn a_run_that_is_not_over_is_not_joined_by_another_unless_told() {
    let world = World::new().await;
    scout(&world, json!({})).await;
    let gate = Gate::default();
    let script = gate.clone();
    world
        .bridges
        .set_script(move |_| vec![Act::started(), Act::Wait(script.clone()), Act::done("at last")]);
    schedule(&world, json!({})).await;
    wait("one to be left out", || async {
        let runs = runs(&world).await;
        (runs.len() == 2, format!("{runs:?}"))
    })
    .await;
    let seen = runs(&world).await;
    assert_eq!(states(&seen), ["skipped", "running"]);
    assert_eq!(seen[0]["reason"], "overlap");
    patch(&world, "*", json!({"overlap": "queue"}))
        .await
        .expect(200)
        .await;
    wait("one to wait", || async {
        let runs = runs(&world).await;
        (runs.len() == 3, format!("{runs:?}"))
    })
    .await;
    gate.open();
    let seen = until_runs(&world, 3).await;
    assert_eq!(states(&seen[seen.len() - 3..]), ["done", "skipped", "done"]);
}

#[tokio::test]
async fn an_agent_that_is_not_wanted_is_left_alone_and_the_reason_told() {
    let world = World::new().await;
    scout(&world, json!({"idle_s": 1, "autostart": false})).await;
    schedule(&world, json!({})).await;
    world.until("scout", "asleep").await;
    let seen = until_runs(&world, 1).await;
    assert_eq!(
        (&seen[0]["state"], &seen[0]["reason"]),
        (&json!("skipped"), &json!("asleep"))
    );
    world.until("scout", "asleep").await;
    let headers = [("content-type", "application/json"), ("if-match", "*")];
    let stop = world
        .ask("PATCH", "/v1/agents/scout", &headers, r#"{"intent":"stop"}"#)
        .await;
    stop.expect(200).await;
    let count = runs(&world).await.len();
    let seen = until_runs(&world, count + 1).await;
    assert_eq!(seen[0]["reason"], "stopped");
    let now = world
        .ask("POST", &format!("{PATH}/report/run"), &[], Body::empty())
        .await;
    now.problem("agent_not_running").await;
    assert_eq!(world.delete("/v1/agents/scout").await.status, 202);
    world.until_gone().await;
}

#[tokio::test]
async fn paused_changed_resumed_said_at_once_and_removed() {
    let world = World::new().await;
    scout(&world, json!({})).await;
    let made = schedule(&world, json!({"enabled": false})).await;
    assert_eq!((&made["upcoming"], &made["revision"]), (&json!([]), &json!(1)));
    // Said at once, whether paused or not; twice under one key is once.
    for _ in 0..2 {
        let headers = [("idempotency-key", "now")];
        let run = world
            .ask("POST", &format!("{PATH}/report/run"), &headers, Body::empty())
            .await;
        assert_eq!(run.expect(202).await["planned_at"], Value::Null);
    }
    let seen = until_runs(&world, 1).await;
    assert_eq!((states(&seen), seen.len()), (vec!["done"], 1));

    let missing = world
        .ask(
            "PATCH",
            &format!("{PATH}/report"),
            &[("content-type", "application/json")],
            "{}",
        )
        .await;
    missing.problem("revision_required").await;
    let resumed = patch(&world, "\"1\"", json!({"enabled": true, "message": "Again"})).await;
    assert_eq!(resumed.header("etag"), "\"2\"");
    assert_eq!(resumed.expect(200).await["message"], "Again");
    patch(&world, "\"1\"", json!({"enabled": false}))
        .await
        .problem("revision_mismatch")
        .await;
    until_runs(&world, 2).await;
    let page = world
        .get(&format!("{PATH}/report/runs?limit=1"))
        .await
        .expect(200)
        .await;
    let cursor = page["next_cursor"].as_str().expect("more");
    let rest = world
        .get(&format!("{PATH}/report/runs?cursor={cursor}"))
        .await
        .expect(200)
        .await;
    assert_eq!(rest["items"].as_array().expect("a list").last(), seen.first());

    assert_eq!(world.delete(&format!("{PATH}/report")).await.status, 204);
    world
        .get(&format!("{PATH}/report"))
        .await
        .problem("not_found")
        .await;
    let list = world.get(PATH).await.expect(200).await;
    assert_eq!(list["items"], json!([]));
    let trail = world.get("/v1/audit?limit=200").await.expect(200).await;
    let actions: Vec<_> = trail["items"]
        .as_array()
        .expect("entries")
        .iter()
        .filter_map(|entry| {
            entry["act"]["action"]
                .as_str()
                .filter(|action| action.starts_with("schedule."))
        })
        .collect();
    assert_eq!(
        actions,
        [
            "schedule.remove",
            "schedule.resume",
            "schedule.run",
            "schedule.create"
        ]
    );
}

#[tokio::test]
async fn once_is_once_and_its_time_is_to_come() {
    let world = World::new().await;
    scout(&world, json!({})).await;
    let at = |seconds: i64| world.clock.now() + jiff::SignedDuration::from_secs(seconds);
    let over = json!({"name": "report", "message": "x", "when": {"kind": "at", "at": at(-1)}});
    let sentence = world.post(PATH, over).await.problem("invalid_request").await;
    assert_eq!(sentence, "`when.at` is over: name a time to come.");
    schedule(&world, json!({"when": {"kind": "at", "at": at(30)}})).await;
    let seen = until_runs(&world, 1).await;
    assert_eq!(states(&seen), ["done"]);
    let shown = world.get(&format!("{PATH}/report")).await.expect(200).await;
    assert_eq!(shown["upcoming"], json!([]));
    // Its message may still change, and it does not run again for that.
    patch(&world, "*", json!({"message": "Other"}))
        .await
        .expect(200)
        .await;
    patch(&world, "*", json!({"when": {"kind": "at", "at": at(30)}}))
        .await
        .expect(200)
        .await;
    until_runs(&world, 2).await;
}

#[tokio::test]
async fn a_preview_knows_the_days_on_which_clocks_jump_and_mistakes_are_named() {
    let world = World::new().await;
    scout(&world, json!({})).await;
    for (expr, zone, expected) in [
        ("30 2 28 3 *", "Europe/Berlin", "2027-03-28T01:00:00Z"),
        ("30 2 14 3 *", "America/New_York", "2027-03-14T07:00:00Z"),
        ("45 1 4 4 *", "Australia/Lord_Howe", "2027-04-03T14:45:00Z"),
        ("0 9 1 2 *", "Asia/Kolkata", "2027-02-01T03:30:00Z"),
    ] {
        let body = json!({"when": {"kind": "cron", "expr": expr, "zone": zone}, "count": 1});
        let preview = world.post("/v1/schedules/preview", body).await.expect(200).await;
        assert_eq!(preview["times"], json!([expected]), "{expr} {zone}");
    }
    for (when, part) in [
        (
            json!({"kind": "cron", "expr": "0 25 * * *"}),
            "the hour is `25`, and may be 0-23",
        ),
        (
            json!({"kind": "cron", "expr": "0 9 * * *", "zone": "Mars/Olympus"}),
            "`Mars/Olympus` is no time zone",
        ),
        (
            json!({"kind": "every", "seconds": 59}),
            "`when.seconds` must be 60 to 31536000",
        ),
        (json!({"kind": "sometimes"}), "unknown variant `sometimes`"),
        (
            json!({"kind": "every", "seconds": 60, "zone": "UTC"}),
            "unknown field `zone`",
        ),
    ] {
        let body = json!({"name": "report", "message": "x", "when": when});
        let sentence = world
            .post(PATH, body.clone())
            .await
            .problem("invalid_request")
            .await;
        assert!(sentence.contains(part), "{sentence}");
        let preview = json!({"when": body["when"]});
        let same = world
            .post("/v1/schedules/preview", preview)
            .await
            .problem("invalid_request")
            .await;
        assert!(same.contains(part), "{same}");
    }
    let empty = json!({"name": "report", "message": "", "when": {"kind": "every", "seconds": 60}});
    world.post(PATH, empty).await.problem("invalid_request").await;
    let long =
        json!({"name": "report", "message": "x".repeat(300_000), "when": {"kind": "every", "seconds": 60}});
    world.post(PATH, long).await.problem("too_large").await;
    schedule(&world, json!({})).await;
    let again = json!({"name": "report", "message": "x", "when": {"kind": "every", "seconds": 60}});
    world.post(PATH, again).await.problem("name_taken").await;
    world
        .get(&format!("{PATH}/nobody"))
        .await
        .problem("not_found")
        .await;
    let elsewhere = json!({"name": "r", "message": "x", "when": {"kind": "every", "seconds": 60}});
    world
        .post("/v1/agents/nobody/schedules", elsewhere)
        .await
        .problem("not_found")
        .await;
}
