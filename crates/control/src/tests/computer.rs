//! Files, commands and logs.

use axum::body::Body;
use creel_protocol::LogLine;
use futures_util::stream;
use jiff::Timestamp;
use serde_json::json;

use super::World;

#[tokio::test]
async fn a_file_is_written_read_moved_and_removed() {
    let world = World::new().await;
    world.running_agent("scout").await;
    let files = "/v1/agents/scout/files";
    assert_eq!(
        world
            .ask("POST", &format!("{files}/mkdir?path=notes/deep"), &[], "")
            .await
            .status,
        204
    );
    assert_eq!(
        world
            .ask("PUT", &format!("{files}/content?path=notes/a.txt"), &[], "hello")
            .await
            .status,
        204
    );
    let read = world.get(&format!("{files}/content?path=notes/a.txt")).await;
    assert_eq!(read.header("content-type"), "application/octet-stream");
    assert_eq!(read.header("content-disposition"), "attachment");
    assert_eq!(read.header("x-content-type-options"), "nosniff");
    assert_eq!(read.text().await, "hello");
    let listed = world.get(&format!("{files}?path=notes")).await.expect(200).await;
    let names: Vec<_> = listed["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|entry| entry["name"].clone())
        .collect();
    assert_eq!(names, ["a.txt", "deep"]);
    assert_eq!(
        world
            .ask(
                "POST",
                &format!("{files}/move?from=notes/a.txt&to=b.txt"),
                &[],
                ""
            )
            .await
            .status,
        204
    );
    world
        .delete(&format!("{files}?path=."))
        .await
        .problem("not_empty")
        .await;
    assert_eq!(
        world
            .delete(&format!("{files}?path=notes&recursive=true"))
            .await
            .status,
        204
    );
    world
        .get(&format!("{files}/content?path=notes/a.txt"))
        .await
        .problem("not_found")
        .await;
    assert_eq!(
        world
            .get(&format!("{files}/content?path=b.txt"))
            .await
            .text()
            .await,
        "hello"
    );
}

#[tokio::test]
async fn paths_that_are_none_or_lead_out_are_refused() {
    let world = World::new().await;
    world.running_agent("scout").await;
    let long = "x".repeat(5000);
    for (query, code) in [
        ("path=../../etc/passwd", "path_outside"),
        ("path=/etc/passwd", "path_outside"),
        ("path=a%00b", "invalid_request"),
        ("path=", "invalid_request"),
        (&format!("path={long}"), "invalid_request"),
        ("", "invalid_request"),
        ("path=.", "is_a_directory"),
        ("path=a&other=b", "invalid_request"),
    ] {
        world
            .get(&format!("/v1/agents/scout/files/content?{query}"))
            .await
            .problem(code)
            .await;
    }
}

#[tokio::test]
async fn a_file_larger_than_its_volume_is_refused_and_half_a_file_leaves_the_old_one() {
    let world = World::new().await;
    world.running_agent("scout").await;
    let path = "/v1/agents/scout/files/content?path=a";
    let announced = [("content-length", "99999999999999")];
    world
        .ask("PUT", path, &announced, "x")
        .await
        .problem("too_large")
        .await;
    assert_eq!(world.ask("PUT", path, &[], "old").await.status, 204);
    let broken = stream::iter([Ok("new and".to_owned()), Err(std::io::Error::other("gone"))]);
    let reply = world.ask("PUT", path, &[], Body::from_stream(broken)).await;
    assert!(!reply.status.is_success(), "{}", reply.status);
    assert_eq!(world.get(path).await.text().await, "old");
}

#[tokio::test]
async fn a_command_runs_to_its_end() {
    let world = World::new().await;
    world.running_agent("scout").await;
    let exec = async |body| world.post("/v1/agents/scout/exec", body).await;
    let done = exec(json!({"argv": ["echo", "a", "b"]})).await.expect(200).await;
    assert_eq!(
        done,
        json!({"exit_status": 0, "stdout": "a b\n", "stderr": "", "truncated": false})
    );
    let failed = exec(json!({"argv": ["false"]})).await.expect(200).await;
    assert_eq!(
        (&failed["exit_status"], &failed["stderr"]),
        (&json!(1), &json!("no\n"))
    );
    let stdin = "x".repeat(300_000);
    let cat = exec(json!({"argv": ["cat"], "stdin": stdin}))
        .await
        .expect(200)
        .await;
    assert_eq!(cat["stdout"].as_str().map(str::len), Some(300_000));
    let spew = exec(json!({"argv": ["spew", "5000000"]})).await.expect(200).await;
    assert_eq!(
        (spew["stdout"].as_str().map(str::len), &spew["truncated"]),
        (Some(1 << 20), &json!(true))
    );
}

#[tokio::test]
async fn commands_that_cannot_be_are_refused() {
    let world = World::new().await;
    world.running_agent("scout").await;
    for body in [
        json!({"argv": []}),
        json!({"argv": [""]}),
        json!({"argv": ["a\u{0}b"]}),
        json!({"argv": vec!["x"; 1025]}),
        json!({"argv": ["x".repeat(200_000)]}),
        json!({"argv": ["echo"], "timeout_ms": 0}),
        json!({"argv": ["echo"], "timeout_ms": 600_001}),
        json!({"argv": ["echo"], "tty": [80, 24]}),
        json!({"argv": "echo"}),
        json!({"argv": ["no-such-program"]}),
    ] {
        world
            .post("/v1/agents/scout/exec", body)
            .await
            .problem("invalid_request")
            .await;
    }
    let slow = json!({"argv": ["sleep"], "timeout_ms": 1000});
    world
        .post("/v1/agents/scout/exec", slow)
        .await
        .problem("agent_unreachable")
        .await;
    world
        .get("/v1/agents/scout/exec")
        .await
        .problem("invalid_request")
        .await;
}

#[tokio::test]
async fn logs_come_as_lines_or_as_a_stream() {
    let world = World::new().await;
    let (_, sandbox) = world.running_agent("scout").await;
    for number in 0..5 {
        world.bridges.add_log(
            sandbox,
            LogLine {
                at: Timestamp::UNIX_EPOCH,
                source: "bridge".to_owned(),
                text: format!("line {number}"),
            },
        );
    }
    let reply = world.get("/v1/agents/scout/logs?tail=2").await;
    assert_eq!(reply.header("content-type"), "application/x-ndjson");
    let text = reply.text().await;
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(text.ends_with("\"text\":\"line 4\"}\n"), "{text}");
    let accept = [("accept", "text/event-stream")];
    let followed = world
        .ask("GET", "/v1/agents/scout/logs?tail=1&follow=true", &accept, "")
        .await;
    let mut events = followed.events();
    assert_eq!(events.next().await.expect("a line").data["text"], "line 4");
    for bad in ["tail=10001", "tail=-1", "follow=perhaps", "lines=3"] {
        world
            .get(&format!("/v1/agents/scout/logs?{bad}"))
            .await
            .problem("invalid_request")
            .await;
    }
}

#[tokio::test]
async fn a_sandbox_that_is_still_starting_is_waited_for_a_little() {
    let world = World::new().await;
    world.supervisor.hold();
    world.create("scout").await;
    let sentence = world
        .get("/v1/agents/scout/files")
        .await
        .problem("agent_not_ready")
        .await;
    assert!(sentence.contains("its turn to start"), "{sentence}");
    let supervisor = world.supervisor.clone();
    tokio::spawn(async move {
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        supervisor.settle();
    });
    world.get("/v1/agents/scout/files").await.expect(200).await;
}
