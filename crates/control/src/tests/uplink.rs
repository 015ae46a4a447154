//! A sandbox's way out, over a real socket.

use std::time::Duration;

use creel_domain::SandboxId;
use creel_testkit::{Act, Gate};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

use super::{World, wait};

/// The test's own uid is the first of the sandbox's.
async fn world(uid_base: u32) -> (World, SandboxId) {
    let world = World::in_real_time().await;
    world.supervisor.set_uid_base(uid_base);
    world.create("scout").await;
    let sandbox = world.sandbox("scout").await;
    std::fs::create_dir_all(world.layout().outbound(sandbox)).expect("a directory");
    world.until("scout", "running").await;
    let path = world.layout().outbound(sandbox).join("uplink.sock");
    // The directory may have come after the first try; the next is seconds away.
    wait("the socket", || async { (path.exists(), String::new()) }).await;
    (world, sandbox)
}

async fn ask(world: &World, sandbox: SandboxId, request: String) -> String {
    let path = world.layout().outbound(sandbox).join("uplink.sock");
    let mut stream = UnixStream::connect(path).await.expect("connected");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer));
    read.await.expect("an answer in time").expect("an answer");
    String::from_utf8_lossy(&answer).into_owned()
}

fn chat() -> String {
    let body = json!({"model": "default", "messages": [{"role": "user", "content": "hi"}]}).to_string();
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: models\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn own_uid() -> u32 {
    rustix::process::getuid().as_raw()
}

#[tokio::test]
async fn a_model_answers_only_while_a_turn_is_under_way_and_is_counted() {
    let (world, sandbox) = world(own_uid()).await;
    let refused = ask(&world, sandbox, chat()).await;
    assert!(refused.starts_with("HTTP/1.1 400"), "{refused}");
    assert!(
        refused.contains("no turn of this agent is under way"),
        "{refused}"
    );

    let gate = Gate::default();
    let waits = gate.clone();
    world
        .bridges
        .set_script(move |_| vec![Act::started(), Act::Wait(waits.clone()), Act::done("done")]);
    let body = json!({"message": "go"}).to_string();
    let headers = [
        ("content-type", "application/json"),
        ("accept", "text/event-stream"),
    ];
    let mut events = world
        .ask("POST", "/v1/agents/scout/chat", &headers, body)
        .await
        .events();
    events.next().await.expect("started");
    let answered = ask(&world, sandbox, chat()).await;
    assert!(answered.starts_with("HTTP/1.1 200"), "{answered}");
    gate.open();
    events.all().await;

    let late = ask(&world, sandbox, chat()).await;
    assert!(late.starts_with("HTTP/1.1 400"), "after the turn: {late}");
    let usage = world
        .get("/v1/usage?from=2020-01-01T00:00:00Z")
        .await
        .expect(200)
        .await;
    assert_eq!(
        (&usage["total"]["calls"], &usage["items"][0]["name"]),
        (&json!(1), &json!("scout")),
        "{usage}"
    );
}

#[tokio::test]
async fn everything_else_is_refused_by_name_of_the_rule() {
    let (world, sandbox) = world(own_uid()).await;
    let connect = "CONNECT example.org:443 HTTP/1.1\r\nhost: example.org:443\r\n\r\n".to_owned();
    let refused = ask(&world, sandbox, connect).await;
    assert!(
        refused.starts_with("HTTP/1.1 403") && refused.contains("default-deny"),
        "{refused}"
    );
    let absolute =
        "GET http://169.254.169.254/latest HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_owned();
    let refused = ask(&world, sandbox, absolute).await;
    assert!(
        refused.starts_with("HTTP/1.1 403") && refused.contains("default-deny"),
        "{refused}"
    );
}

#[tokio::test]
async fn somebody_elses_uid_is_refused() {
    let (world, sandbox) = world(own_uid() + 1).await;
    let refused = ask(&world, sandbox, chat()).await;
    assert!(
        refused.starts_with("HTTP/1.1 400") && refused.contains("you are not it"),
        "{refused}"
    );
}

#[tokio::test]
async fn the_way_out_closes_with_its_sandbox() {
    let (world, sandbox) = world(own_uid()).await;
    let path = world.layout().outbound(sandbox).join("uplink.sock");
    assert_eq!(world.delete("/v1/agents/scout").await.status, 202);
    world.until_gone().await;
    wait("the socket to close", || async {
        (
            UnixStream::connect(&path).await.is_err(),
            "it still listens".to_owned(),
        )
    })
    .await;
}
