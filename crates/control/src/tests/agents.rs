//! Agents over the API: made, listed, changed, deleted, and the rules around each.

use std::collections::BTreeSet;

use creel_domain::{ImageName, RuntimeState, SandboxState, Waiting};
use creel_protocol::{BridgeError, SupervisorError};
use jiff::Timestamp;
use serde_json::json;

use super::{World, wait};

#[tokio::test]
async fn an_agent_is_made_started_stopped_and_deleted() {
    let world = World::new().await;
    let reply = world
        .post("/v1/agents", json!({"name": "scout", "runtime": "lite"}))
        .await;
    assert!(
        reply.header("location").starts_with("/v1/agents/agt_"),
        "{:?}",
        reply.headers
    );
    assert_eq!(reply.header("etag"), "\"1\"");
    let made = reply.expect(201).await;
    assert_eq!(
        (&made["model"], &made["limits"]["memory_bytes"]),
        (&json!("demo/demo"), &json!(268_435_456))
    );
    world.until("scout", "running").await;

    let patch = json!({"intent": "stop"}).to_string();
    let headers = [("content-type", "application/json"), ("if-match", "\"1\"")];
    let stopped = world
        .ask("PATCH", "/v1/agents/scout", &headers, patch)
        .await
        .expect(200)
        .await;
    assert_eq!(stopped["revision"], 2);
    world.until("scout", "stopped").await;

    assert_eq!(world.delete("/v1/agents/scout").await.status, 202);
    world.until_gone().await;
    world.get("/v1/agents/scout").await.problem("not_found").await;
}

#[tokio::test]
async fn a_change_needs_the_revision_it_is_meant_for() {
    let world = World::new().await;
    world.create("scout").await;
    let patch = |headers: &'static [(&'static str, &'static str)]| {
        let world = &world;
        async move {
            world
                .ask(
                    "PATCH",
                    "/v1/agents/scout",
                    headers,
                    r#"{"files":{"soul":"kind"}}"#,
                )
                .await
        }
    };
    let json_only = &[("content-type", "application/json")];
    patch(json_only).await.problem("revision_required").await;
    let wrong = &[("content-type", "application/json"), ("if-match", "\"9\"")];
    let sentence = patch(wrong).await.problem("revision_mismatch").await;
    assert!(sentence.contains("revision 1"), "{sentence}");
    let nonsense = &[("content-type", "application/json"), ("if-match", "W/abc")];
    patch(nonsense).await.problem("invalid_request").await;
    let any = &[("content-type", "application/json"), ("if-match", "*")];
    assert_eq!(patch(any).await.header("etag"), "\"2\"");
    let same_again = patch(any).await;
    assert_eq!(
        same_again.header("etag"),
        "\"2\"",
        "nothing changed, so nothing is started anew"
    );
}

#[tokio::test]
async fn names_models_limits_and_files_are_checked() {
    let world = World::new().await;
    world.create("scout").await;
    for (body, code, part) in [
        (json!({"name": "scout"}), "name_taken", "scout"),
        (json!({"name": "Bad Name"}), "invalid_request", "at `name`"),
        (
            json!({"name": "a", "model": "openai/gpt-5"}),
            "provider_not_found",
            "creel provider add openai",
        ),
        (
            json!({"name": "a", "model": "gpt"}),
            "invalid_request",
            "PROVIDER/MODEL",
        ),
        (
            json!({"name": "a", "runtime": "openclaw", "limits": {"memory_bytes": 1}}),
            "invalid_request",
            "1073741824",
        ),
        (
            json!({"name": "a", "files": {"soul": "x".repeat(70_000)}}),
            "invalid_request",
            "SOUL.md",
        ),
        (
            json!({"name": "a", "colour": "red"}),
            "invalid_request",
            "`colour`",
        ),
        (
            json!({"name": "a", "limits": {"pids": "many"}}),
            "invalid_request",
            "at `limits.pids`",
        ),
    ] {
        let sentence = world.post("/v1/agents", body).await.problem(code).await;
        assert!(sentence.contains(part), "{sentence}");
    }
    let headers = [("content-type", "application/json"), ("if-match", "*")];
    let delete = r#"{"intent":"delete"}"#;
    world
        .ask("PATCH", "/v1/agents/scout", &headers, delete)
        .await
        .problem("invalid_request")
        .await;
}

#[tokio::test]
async fn the_same_create_sent_twice_makes_one_agent() {
    let world = World::new().await;
    let create = |body: &'static str, key: &'static str| {
        let world = &world;
        let headers = [("content-type", "application/json"), ("idempotency-key", key)];
        async move { world.ask("POST", "/v1/agents", &headers, body).await }
    };
    let body = r#"{"name":"scout","runtime":"lite"}"#;
    let first = create(body, "k1").await.expect(201).await;
    let again = create(body, "k1").await.expect(201).await;
    assert_eq!(first["id"], again["id"]);
    create(r#"{"name":"other"}"#, "k1")
        .await
        .problem("idempotency_mismatch")
        .await;
    create(body, "k2").await.problem("name_taken").await;
    create(body, "bad key").await.problem("invalid_request").await;
    let refused = create(r#"{"name":"x","model":"no/model"}"#, "k3").await;
    refused.problem("provider_not_found").await;
    create(r#"{"name":"x","runtime":"lite"}"#, "k3")
        .await
        .expect(201)
        .await;
}

#[tokio::test]
async fn pages_show_each_agent_once() {
    let world = World::new().await;
    for number in 0..7 {
        world.create(&format!("agent-{number}")).await;
    }
    let mut seen = Vec::new();
    let mut path = "/v1/agents?limit=3".to_owned();
    loop {
        let page = world.get(&path).await.expect(200).await;
        let items = page["items"].as_array().expect("items").clone();
        assert!(items.len() <= 3);
        seen.extend(
            items
                .iter()
                .map(|agent| agent["name"].as_str().expect("a name").to_owned()),
        );
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/v1/agents?limit=3&cursor={cursor}"),
            None => break,
        }
    }
    let different: BTreeSet<_> = seen.iter().collect();
    assert_eq!((seen.len(), different.len()), (7, 7), "{seen:?}");
    for bad in ["limit=0", "limit=201", "limit=x", "cursor=abc", "page=2"] {
        world
            .get(&format!("/v1/agents?{bad}"))
            .await
            .problem("invalid_request")
            .await;
    }
}

#[tokio::test]
async fn people_see_what_is_waited_for() {
    let world = World::new().await;
    world.supervisor.hold();
    world.create("scout").await;
    world.until("scout", "starting").await;
    let sandbox = world.sandbox("scout").await;
    wait("the sandbox to be asked for", || async {
        (!world.supervisor.reports().is_empty(), String::new())
    })
    .await;
    let waiting = Waiting::Image {
        image: ImageName::Lite,
        percent: 43,
    };
    let since = Timestamp::UNIX_EPOCH;
    world
        .supervisor
        .set_state(sandbox, SandboxState::Requested { waiting, since }, false);
    wait("the percentage", || async {
        let status = world.get("/v1/agents/scout").await.json().await["status"].clone();
        (
            status["waiting"] == "preparing image lite 43 %",
            status.to_string(),
        )
    })
    .await;
    world.supervisor.settle();
    world.until("scout", "running").await;
}

#[tokio::test]
async fn a_supervisor_that_refuses_is_shown_and_asked_again() {
    let world = World::new().await;
    let reason = "no more sandboxes fit on this host".to_owned();
    world.supervisor.refuse(Some(SupervisorError::Full { reason }));
    world.create("scout").await;
    wait("the refusal", || async {
        let status = world.get("/v1/agents/scout").await.json().await["status"].clone();
        (
            status["reason"] == "no more sandboxes fit on this host",
            status.to_string(),
        )
    })
    .await;
    world.supervisor.refuse(None);
    world.until("scout", "running").await;
}

#[tokio::test]
async fn a_dead_bridge_has_its_sandbox_made_anew() {
    let world = World::new().await;
    let (_, sandbox) = world.running_agent("scout").await;
    let before = world
        .supervisor
        .spec(sandbox)
        .expect("a specification")
        .incarnation;
    let dead = BridgeError::Unreachable("connection refused".to_owned());
    world.bridges.set_dead(sandbox, Some(dead));
    wait("another incarnation", || async {
        let now = world.supervisor.spec(sandbox).map(|spec| spec.incarnation);
        (now > Some(before), format!("{now:?}"))
    })
    .await;
    world.bridges.set_dead(sandbox, None);
    world.until("scout", "running").await;
}

#[tokio::test]
async fn a_sandbox_that_was_lost_comes_back() {
    let world = World::new().await;
    let (_, sandbox) = world.running_agent("scout").await;
    world.supervisor.lose(sandbox);
    world.supervisor.drop_watchers();
    wait("the sandbox", || async {
        (world.supervisor.is_running(sandbox), String::new())
    })
    .await;
    world.until("scout", "running").await;
}

#[tokio::test]
async fn a_sandbox_of_nobody_is_removed_at_the_second_look() {
    use creel_domain::{Generation, Target};
    use creel_protocol::Supervisor;
    let world = World::new().await;
    let (_, mine) = world.running_agent("scout").await;
    let stranger = creel_domain::SandboxId::from_uuid(uuid::Uuid::from_u128(7));
    world
        .supervisor
        .put_target(stranger, Generation(4), Target::Stopped)
        .await
        .expect("taken");
    wait("the stranger to go", || async {
        let there: Vec<_> = world
            .supervisor
            .reports()
            .iter()
            .map(|report| report.sandbox)
            .collect();
        (there == [mine], format!("{there:?}"))
    })
    .await;
}

#[tokio::test]
async fn restart_makes_the_sandbox_anew_and_keeps_the_agent() {
    let world = World::new().await;
    let (_, sandbox) = world.running_agent("scout").await;
    assert_eq!(
        world.post("/v1/agents/scout/restart", json!({})).await.status,
        202
    );
    wait("another incarnation", || async {
        let now = world.supervisor.spec(sandbox).map(|spec| spec.incarnation);
        (now == Some(2), format!("{now:?}"))
    })
    .await;
    world.until("scout", "running").await;
}

#[tokio::test]
async fn what_a_runtime_says_of_itself_is_cleaned_before_people_read_it() {
    let world = World::new().await;
    let (_, sandbox) = world.running_agent("scout").await;
    world
        .bridges
        .set_runtime(sandbox, RuntimeState::Backoff, "it\u{1b}[31m crashed");
    wait("the detail", || async {
        let status = world.get("/v1/agents/scout").await.json().await["status"].clone();
        (
            status["waiting"]
                .as_str()
                .is_some_and(|text| text.contains("it[31m crashed")),
            status.to_string(),
        )
    })
    .await;
}

#[tokio::test]
async fn many_agents_are_asked_a_bounded_number_of_times() {
    let world = World::new().await;
    for number in 0..150 {
        world.create(&format!("a{number}")).await;
    }
    wait("all of them to run", || async {
        let reports = world.supervisor.reports();
        let asked = reports
            .iter()
            .filter(|report| world.bridges.checks(report.sandbox) > 0)
            .count();
        (asked == 150, format!("{asked} of 150"))
    })
    .await;
    let sandboxes: Vec<_> = world
        .supervisor
        .reports()
        .iter()
        .map(|report| report.sandbox)
        .collect();
    let checks = || {
        sandboxes
            .iter()
            .map(|sandbox| world.bridges.checks(*sandbox))
            .sum::<usize>()
    };
    // Those asked while there were fewer agents come back once at the old pace.
    tokio::time::sleep(std::time::Duration::from_secs(20)).await;
    let (before, calls) = (checks(), world.supervisor.calls());
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    let (asked, calls) = (checks() - before, world.supervisor.calls() - calls);
    assert!((600..=1250).contains(&asked), "{asked} health checks in a minute");
    assert!(calls <= 10, "{calls} calls of the supervisor in a minute");
}
