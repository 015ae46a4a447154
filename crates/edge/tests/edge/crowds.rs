//! Many at once, slow ones among them.

use axum::{Router, routing::get};
use creel_testkit::rounds;
use futures_util::{StreamExt as _, future::join_all, stream::FuturesUnordered};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::world::{Mood, World, behind, status};

#[tokio::test]
async fn a_hundred_knocks_are_one_wake_and_the_rest_is_told_to_come_back() {
    let world = World::new(Router::new()).await;
    let port = behind(Router::new().route("/", get(async || "here"))).await;
    world.control.say("scout", Mood::Waking);
    let mut knocks: FuturesUnordered<_> = (0..200)
        .map(|_| world.get("scout.agents.test", "/", ""))
        .collect();
    for _ in 0..72 {
        let refused = knocks.next().await.expect("one that may not wait");
        assert_eq!(status(&refused), 503, "{refused}");
        assert!(refused.contains("retry-after: 2"), "{refused}");
    }
    world.control.say("scout", Mood::Ready(port));
    let answers: Vec<_> = knocks.collect().await;
    assert_eq!(answers.len(), 128, "as many wait as may");
    assert!(answers.iter().all(|answer| answer.ends_with("here")));
    assert_eq!(world.control.knocks.lock().expect("no panic").len(), 1);
    world.end().await;
}

/// Idle connections cost little and stand in nobody's way.
#[tokio::test]
async fn thousands_of_idle_connections_stand_in_nobodys_way() {
    let count = rounds(2000, 9000);
    let world = World::new(Router::new().route("/", get(async || "control"))).await;
    let mut idle = Vec::new();
    for _ in 0..count {
        idle.push(world.connect().await);
    }
    // Half of them begin a request and never end it.
    for stream in idle.iter_mut().step_by(2) {
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: cr")
            .await
            .expect("sent");
    }
    let answers = join_all((0..20).map(|_| world.get("creel.test", "/", ""))).await;
    assert!(answers.iter().all(|answer| answer.ends_with("control")));
    let mut last = idle.pop().expect("one");
    last.write_all(b"GET / HTTP/1.1\r\nhost: creel.test\r\nconnection: close\r\n\r\n")
        .await
        .expect("sent");
    let mut answer = String::new();
    last.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.ends_with("control"), "{answer}");
    drop(idle);
    world.end().await;
}
