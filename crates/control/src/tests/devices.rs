//! Devices are let in by a person, and what a revoked token opened ends.

use std::time::Duration;

use axum::{body::Body, http::Request};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Reply, World};

async fn send(world: &World, method: &str, path: &str, token: Option<&str>, body: Value) -> Reply {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "creel.test")
        .header("content-type", "application/json");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    world
        .send(request.body(Body::from(body.to_string())).expect("a request"))
        .await
}

pub(crate) async fn ask(world: &World, name: &str) -> Value {
    let body = json!({"name": name, "scopes": ["agents:read", "platform:write"]});
    let asked = send(world, "POST", "/v1/devices/authorize", None, body).await;
    asked.expect(200).await
}

async fn poll(world: &World, asked: &Value) -> Reply {
    let body = json!({"device_code": asked["device_code"]});
    send(world, "POST", "/v1/devices/token", None, body).await
}

/// A device that whoever has `token` let in, with more said about what it may do.
pub(crate) async fn paired(world: &World, token: &str, name: &str, more: Value) -> Value {
    let asked = ask(world, name).await;
    let mut body = json!({"user_code": asked["user_code"]});
    if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
        body.extend(more);
    }
    let approved = send(world, "POST", "/v1/devices/approve", Some(token), body).await;
    approved.expect(200).await;
    poll(world, &asked).await.expect(200).await
}

#[tokio::test]
async fn a_device_asks_a_person_approves_and_takes_it_back() {
    let world = World::new().await;
    let asked = ask(&world, "build-box").await;
    assert_eq!(
        (
            &asked["verification_uri"],
            &asked["interval"],
            &asked["expires_in"]
        ),
        (
            &json!(format!("{}/device", world.running().control.public_url.as_str())),
            &json!(5),
            &json!(900)
        )
    );
    let reply = poll(&world, &asked).await;
    assert_eq!(reply.status, 400);
    let problem = reply.json().await;
    assert_eq!(
        (&problem["code"], &problem["error"]),
        (&json!("authorization_pending"), &json!("authorization_pending"))
    );
    poll(&world, &asked).await.problem("slow_down").await;

    let typed = asked["user_code"]
        .as_str()
        .expect("a code")
        .to_lowercase()
        .replace('-', " ");
    let token = world.token.clone();
    let inspect = json!({ "user_code": typed });
    let seen = send(
        &world,
        "POST",
        "/v1/devices/inspect",
        Some(&token),
        inspect.clone(),
    )
    .await;
    let seen = seen.expect(200).await;
    assert_eq!(
        (&seen["name"], &seen["address"]),
        (&json!("build-box"), &json!("unknown"))
    );
    let approved = send(
        &world,
        "POST",
        "/v1/devices/approve",
        Some(&token),
        inspect.clone(),
    )
    .await;
    approved.expect(200).await;
    let twice = send(&world, "POST", "/v1/devices/approve", Some(&token), inspect).await;
    twice.problem("not_found").await;

    let device = poll(&world, &asked).await.expect(200).await;
    assert_eq!(device["scope"], "agents:read platform:write");
    let secret = device["access_token"].as_str().expect("a token");
    let me = send(&world, "GET", "/v1/whoami", Some(secret), json!({})).await;
    assert_eq!(
        me.expect(200).await["scopes"],
        json!(["agents:read", "platform:write"])
    );
    poll(&world, &asked).await.problem("expired_token").await;

    let listed = world.get("/v1/devices").await.expect(200).await;
    assert_eq!(listed["items"][0]["name"], "build-box");
    let path = format!("/v1/devices/{}", device["device"].as_str().expect("an id"));
    assert_eq!(world.delete(&path).await.status, 204);
    let me = send(&world, "GET", "/v1/whoami", Some(secret), json!({})).await;
    me.problem("unauthenticated").await;
    world.delete(&path).await.problem("not_found").await;
}

#[tokio::test]
async fn a_device_gets_no_more_than_whoever_approves_has_and_may_be_turned_away() {
    let world = World::new().await;
    let owner = world.token.clone();
    let narrow = json!({"scopes": ["tokens:write", "agents:read"]});
    let narrow = paired(&world, &owner, "narrow", narrow).await;
    let narrow = narrow["access_token"].as_str().expect("a token");
    let wide = json!({"scopes": ["agents:write"]});
    let asked = ask(&world, "second").await;
    let body = json!({"user_code": asked["user_code"], "scopes": wide["scopes"]});
    let refused = send(&world, "POST", "/v1/devices/approve", Some(narrow), body).await;
    refused.problem("forbidden").await;
    let second = paired(&world, narrow, "third", json!({"expires_in_seconds": 3600})).await;
    assert_eq!(
        second["scope"], "agents:read",
        "what it asked for as far as the caller has it"
    );
    let ends = second["expires_in"].as_u64().expect("a number");
    assert!((3500..=3600).contains(&ends), "{ends}");
    let body = json!({"user_code": asked["user_code"]});
    let denied = send(&world, "POST", "/v1/devices/deny", Some(&owner), body).await;
    assert_eq!(denied.status, 204);
    poll(&world, &asked).await.problem("access_denied").await;

    for body in [json!({"name": ""}), json!({"name": "a\u{7}b"}), json!({})] {
        let refused = send(&world, "POST", "/v1/devices/authorize", None, body).await;
        refused.problem("invalid_request").await;
    }
    let page = world.get("/device").await;
    assert!(
        page.header("content-security-policy")
            .contains("frame-ancestors 'none'")
    );
}

#[tokio::test]
async fn what_a_revoked_token_opened_ends() {
    let world = World::new().await;
    let owner = world.token.clone();
    world.running_agent("scout").await;
    let scopes = json!({"scopes": ["agents:read", "computer:read"]});
    let device = paired(&world, &owner, "reader", scopes).await;
    let secret = device["access_token"].as_str().expect("a token");
    let open = async |path: &str| {
        let request = Request::get(path)
            .header("authorization", format!("Bearer {secret}"))
            .header("accept", "text/event-stream");
        let reply = world.send(request.body(Body::empty()).expect("a request")).await;
        assert_eq!(reply.status, 200, "{path}");
        reply
    };
    let mut events = open("/v1/events?from=now")
        .await
        .body
        .expect("a body")
        .into_data_stream();
    let mut logs = open("/v1/agents/scout/logs?follow=true")
        .await
        .body
        .expect("a body")
        .into_data_stream();
    let mine = world
        .ask(
            "GET",
            "/v1/events?from=now",
            &[("accept", "text/event-stream")],
            "",
        )
        .await;
    // A minute of silence later both are still open.
    tokio::time::sleep(Duration::from_secs(60)).await;
    let path = format!("/v1/devices/{}", device["device"].as_str().expect("an id"));
    assert_eq!(world.delete(&path).await.status, 204);
    let revoked = tokio::time::Instant::now();
    for stream in [&mut events, &mut logs] {
        let last = loop {
            match stream.next().await {
                Some(Ok(_)) => {}
                last => break last,
            }
        };
        assert!(last.is_some_and(|last| last.is_err()), "broken off, not ended");
    }
    assert!(
        revoked.elapsed() < Duration::from_secs(10),
        "{:?}",
        revoked.elapsed()
    );
    world.create("later").await;
    let mut mine = mine.events();
    assert_eq!(
        mine.next().await.expect("goes on").name,
        "agent.created",
        "the owner's own stream goes on"
    );
}

#[tokio::test]
async fn a_live_command_of_a_revoked_token_ends() {
    let world = World::in_real_time().await;
    let owner = world.token.clone();
    world.running_agent("scout").await;
    let scopes = json!({"scopes": ["agents:read", "computer:write"]});
    let device = paired(&world, &owner, "runner", scopes).await;
    let secret = device["access_token"].as_str().expect("a token");
    let listener = creel_daemon::bind_tcp(([127, 0, 0, 1], 0).into())
        .await
        .expect("a port");
    let address = listener.local_addr().expect("bound");
    let shutdown = creel_daemon::Shutdown::new();
    let server = tokio::spawn(creel_daemon::serve(
        listener,
        world.running().router.clone(),
        creel_daemon::ServeOptions::default(),
        shutdown.clone(),
    ));
    let mut socket = tokio::net::TcpStream::connect(address).await.expect("connected");
    let head = format!(
        "GET /v1/agents/scout/exec HTTP/1.1\r\nhost: creel.test\r\nauthorization: Bearer {secret}\r\nconnection: upgrade\r\n\
         upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(socket.read_u8().await.expect("an answer"));
    }
    assert!(
        answer.starts_with(b"HTTP/1.1 101"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    // One text frame, masked with zeros.
    let request = br#"{"argv":["sleep"],"env":{}}"#;
    let mut frame = vec![0x81, 0x80 | request.len() as u8, 0, 0, 0, 0];
    frame.extend_from_slice(request);
    socket.write_all(&frame).await.expect("sent");

    let path = format!("/v1/devices/{}", device["device"].as_str().expect("an id"));
    assert_eq!(world.delete(&path).await.status, 204);
    let closed = async {
        loop {
            let (kind, length) = (socket.read_u8().await?, socket.read_u8().await?);
            let mut content = vec![0; usize::from(length)];
            socket.read_exact(&mut content).await?;
            if kind == 0x88 {
                return Ok::<_, std::io::Error>(content);
            }
        }
    };
    let closed = tokio::time::timeout(Duration::from_secs(20), closed).await;
    let content = closed.expect("in time").expect("a frame");
    assert_eq!(&content[..2], 1008_u16.to_be_bytes(), "{content:?}");
    drop(socket);
    shutdown.begin();
    server.await.expect("ends");
}
