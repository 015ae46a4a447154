//! The log: numbers without gaps, readers who wake, and an end to its growth.

use std::time::Duration;

use creel_store::KEPT_EVENTS;
use serde_json::json;

use crate::world::{World, new_agent};

#[tokio::test]
async fn concurrent_changes_are_numbered_without_gaps() {
    let world = World::new().await;
    let tasks: Vec<_> = (0..40)
        .map(|number| {
            let org = world.org();
            tokio::spawn(async move {
                org.create_agent(new_agent(&format!("a{number}")))
                    .await
                    .expect("made")
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("ran");
    }
    let events = world.org().events(0, 100).await.expect("events");
    let numbers: Vec<_> = events.iter().map(|event| event.sequence).collect();
    assert_eq!(numbers, (1..=40).collect::<Vec<_>>());
    assert_eq!(world.org().last_event().await.expect("a number"), 40);
    let rest = world.org().events(37, 2).await.expect("events");
    assert_eq!(
        rest.iter().map(|event| event.sequence).collect::<Vec<_>>(),
        [38, 39]
    );
}

#[tokio::test]
async fn readers_wake_when_it_is_on_disk_and_a_refused_change_wakes_nobody() {
    let world = World::new().await;
    world.agent("scout").await;
    let mut news = world.store.news();
    world
        .org()
        .create_agent(new_agent("scout"))
        .await
        .expect_err("taken");
    assert!(!news.has_changed().expect("open"), "nothing happened");
    let org = world.org();
    let reader = tokio::spawn(async move {
        news.changed().await.expect("open");
        org.last_event().await.expect("a number")
    });
    world.agent("other").await;
    let seen = tokio::time::timeout(Duration::from_secs(10), reader)
        .await
        .expect("woken");
    assert_eq!(seen.expect("ran"), 2);
}

#[tokio::test]
async fn the_newest_events_are_kept_and_no_more() {
    let world = World::new().await;
    let there = KEPT_EVENTS + 999;
    // Three orders of magnitude more than are kept would take minutes; begin where it matters.
    world.engine.meddle(&format!(
        "INSERT INTO events (org_id, sequence, kind, subject, data, at)
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {there})
         SELECT orgs.id, i, 'agent.state', '', '{{}}', 0 FROM n, orgs;
         UPDATE orgs SET last_event = {there}"
    ));
    world
        .org()
        .append_event("agent.state", "agt_x".into(), json!({}))
        .await
        .expect("appended");
    let events = world.org().events(0, u32::MAX).await.expect("events");
    assert_eq!(events.len() as u64, KEPT_EVENTS);
    assert_eq!(events[0].sequence, 1001);
}
