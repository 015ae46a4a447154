//! Whoever asks too often waits, and nobody else does.

use std::time::Duration;

use axum::{body::Body, http::Request};
use creel_daemon::Peer;
use serde_json::json;

use super::{Reply, World};

async fn limited(rates: &str) -> World {
    let mut world = World::new().await;
    world.kill().await;
    world.rates = Some(rates.parse().expect("rates"));
    world.start().await;
    world
}

/// Somebody at another address who claims to have a token.
async fn guess(world: &World, last: u8) -> Reply {
    let request = Request::get("/v1/agents")
        .header("authorization", "Bearer wrong")
        .extension(Peer::Tcp(([192, 0, 2, last], 1).into()))
        .body(Body::empty())
        .expect("a request");
    world.send(request).await
}

#[tokio::test]
async fn a_token_that_asks_too_often_waits_and_is_told_how_long() {
    let world = limited("reads=3,writes=2,chat=1").await;
    let other = world
        .post("/v1/tokens", json!({"name": "other"}))
        .await
        .expect(201)
        .await;
    let other = other["secret"].as_str().expect("a secret").to_owned();
    for left in ["2", "1", "0"] {
        let reply = world.get("/v1/whoami").await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("ratelimit-policy"), "\"reads\";q=3;w=60");
        let limit = reply.header("ratelimit").to_owned();
        assert!(limit.starts_with(&format!("\"reads\";r={left};t=")), "{limit}");
    }
    let reply = world.get("/v1/whoami").await;
    let wait: u64 = reply.header("retry-after").parse().expect("seconds");
    assert!((1..=20).contains(&wait), "{wait}");
    let sentence = reply.problem("rate_limited").await;
    assert!(sentence.contains("3 reads a minute"), "{sentence}");
    // What is counted apart, and who, is not held up.
    world
        .post("/v1/tokens", json!({"name": "third"}))
        .await
        .expect(201)
        .await;
    let request = Request::get("/v1/whoami").header("authorization", format!("Bearer {other}"));
    let reply = world.send(request.body(Body::empty()).expect("a request")).await;
    assert_eq!(reply.status, 200);
    tokio::time::sleep(Duration::from_secs(wait)).await;
    assert_eq!(world.get("/v1/whoami").await.status, 200);
}

#[tokio::test]
async fn an_address_that_guesses_waits_and_no_other() {
    let world = limited("sign-in=2").await;
    for _ in 0..2 {
        guess(&world, 7).await.problem("unauthenticated").await;
    }
    guess(&world, 7).await.problem("rate_limited").await;
    guess(&world, 8).await.problem("unauthenticated").await;
    // Routes for everybody count as well.
    let accept = |last: u8| {
        Request::post("/v1/invitations/accept")
            .header("content-type", "application/json")
            .extension(Peer::Tcp(([192, 0, 2, last], 1).into()))
            .body(Body::from(json!({"code": "x", "name": "x"}).to_string()))
            .expect("a request")
    };
    world.send(accept(7)).await.problem("rate_limited").await;
    world.send(accept(9)).await.problem("not_found").await;
    assert_eq!(
        world.get("/v1/whoami").await.status,
        200,
        "who is known is not held up"
    );
    // Whoever claims to be somebody is counted as nobody all the same.
    for (name, value) in [
        ("cookie", "creel_session=made-up"),
        ("authorization", "Bearer made-up"),
    ] {
        let options = |last: u8| {
            Request::get("/v1/sign-in")
                .header(name, value)
                .extension(Peer::Tcp(([192, 0, 2, last], 1).into()))
                .body(Body::empty())
                .expect("a request")
        };
        let last = if name == "cookie" { 20 } else { 21 };
        for _ in 0..2 {
            assert_eq!(world.send(options(last)).await.status, 200);
        }
        world.send(options(last)).await.problem("rate_limited").await;
    }
}
