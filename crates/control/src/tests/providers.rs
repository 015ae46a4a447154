//! Model providers: keys go in and never come out.

use serde_json::json;

use super::World;

#[tokio::test]
async fn a_provider_is_added_used_and_removed() {
    let world = World::new().await;
    let add = json!({"name": "router", "kind": "openai-compatible", "base_url": "https://models.example/v1", "key": "sk-secret"});
    let added = world.post("/v1/providers", add).await.expect(201).await;
    assert_eq!((&added["has_key"], added.get("key")), (&json!(true), None));
    let listed = world.get("/v1/providers").await.expect(200).await;
    assert!(!listed.to_string().contains("sk-secret"));
    let names: Vec<_> = listed["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|provider| provider["name"].clone())
        .collect();
    assert_eq!(names, ["demo", "router"]);
    let agent = json!({"name": "scout", "runtime": "lite", "model": "router/big:free"});
    world.post("/v1/agents", agent).await.expect(201).await;
    let sentence = world
        .delete("/v1/providers/router")
        .await
        .problem("conflict")
        .await;
    assert!(sentence.contains("scout"), "{sentence}");
    world.delete("/v1/agents/scout").await;
    world.until_gone().await;
    assert_eq!(world.delete("/v1/providers/router").await.status, 204);
    world
        .delete("/v1/providers/router")
        .await
        .problem("not_found")
        .await;
}

#[tokio::test]
async fn providers_that_cannot_work_are_refused() {
    let world = World::new().await;
    for (body, code) in [
        (
            json!({"name": "demo", "kind": "openai", "key": "k"}),
            "name_taken",
        ),
        (json!({"name": "mine", "kind": "demo"}), "name_taken"),
        (
            json!({"name": "a", "kind": "openai-compatible"}),
            "invalid_request",
        ),
        (json!({"name": "a", "kind": "openai"}), "invalid_request"),
        (
            json!({"name": "a", "kind": "openai", "key": "two words"}),
            "invalid_request",
        ),
        (
            json!({"name": "a", "kind": "openai", "key": "k", "base_url": "http://models.example"}),
            "invalid_request",
        ),
        (
            json!({"name": "a", "kind": "openai-compatible", "base_url": "file:///etc/passwd"}),
            "invalid_request",
        ),
        (json!({"name": "a", "kind": "telepathy"}), "invalid_request"),
    ] {
        let sentence = world
            .post("/v1/providers", body.clone())
            .await
            .problem(code)
            .await;
        assert!(!sentence.contains("two words"), "no part of a key is repeated");
    }
    world
        .post("/v1/providers/nobody/test", json!({}))
        .await
        .problem("not_found")
        .await;
    let demo = world
        .post("/v1/providers/demo/test", json!({}))
        .await
        .expect(200)
        .await;
    assert_eq!(demo["ok"], true);
}
