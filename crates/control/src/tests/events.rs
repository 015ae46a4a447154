//! The org's log: pages, streams, and what is in it.

use serde_json::json;

use super::World;

#[tokio::test]
async fn a_life_is_told_once_and_in_order() {
    let world = World::new().await;
    world.running_agent("scout").await;
    world
        .post("/v1/agents/scout/chat", json!({"message": "hi"}))
        .await
        .expect(200)
        .await;
    // Health checks go on meanwhile: none of them is news.
    tokio::time::sleep(std::time::Duration::from_secs(120)).await;
    world.delete("/v1/agents/scout").await;
    world.until_gone().await;
    let list = world.get("/v1/events?limit=200").await.expect(200).await;
    let items = list["items"].as_array().expect("items");
    let told: Vec<String> = items
        .iter()
        .map(|event| match event["kind"].as_str().unwrap_or_default() {
            "agent.state" => format!("state {}", event["data"]["state"].as_str().unwrap_or_default()),
            other => other.to_owned(),
        })
        .collect();
    let mut told: Vec<_> = told.iter().map(String::as_str).collect();
    told.dedup();
    let starting = told.iter().position(|kind| *kind == "state starting");
    told.retain(|kind| *kind != "state starting");
    assert!(starting.is_none_or(|position| position == 1), "{items:?}");
    assert_eq!(
        told,
        [
            "agent.created",
            "state running",
            "turn.started",
            "turn.finished",
            "agent.changed",
            "state deleting",
            "agent.deleted"
        ]
    );
    let sequences: Vec<_> = items.iter().map(|event| event["sequence"].as_u64()).collect();
    let expected: Vec<_> = (1..=items.len() as u64).map(Some).collect();
    assert_eq!(sequences, expected, "without gaps");
}

#[tokio::test]
async fn a_stream_goes_on_where_its_reader_stopped() {
    let world = World::new().await;
    let accept = [("accept", "text/event-stream")];
    let mut live = world
        .ask("GET", "/v1/events?from=now", &accept, "")
        .await
        .events();
    world.create("one").await;
    let first = live.next().await.expect("an event");
    assert_eq!(
        (first.name.as_str(), &first.data["kind"]),
        ("agent.created", &json!("agent.created"))
    );
    drop(live);
    world.until("one", "running").await;
    let resumed = [("accept", "text/event-stream"), ("last-event-id", "1")];
    let mut rest = world.ask("GET", "/v1/events", &resumed, "").await.events();
    assert_eq!(rest.next().await.map(|event| event.id), Some(2));
    let page = world.get("/v1/events?after=1&limit=1").await.expect(200).await;
    assert_eq!(
        (
            page["items"][0]["sequence"].as_u64(),
            page["last_sequence"].as_u64()
        ),
        (Some(2), Some(2))
    );
    world
        .get("/v1/events?after=1&from=now")
        .await
        .problem("invalid_request")
        .await;
    world
        .get("/v1/events?after=-1")
        .await
        .problem("invalid_request")
        .await;
}
