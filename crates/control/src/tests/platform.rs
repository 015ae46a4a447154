//! The host, its images, and what needs no token.

use creel_domain::ImageName;
use creel_protocol::ImageState;
use serde_json::json;

use super::World;

#[tokio::test]
async fn images_are_listed_built_and_removed() {
    let world = World::new().await;
    world
        .supervisor
        .set_image(ImageName::Openclaw, ImageState::Absent);
    assert_eq!(
        world.post("/v1/images/openclaw/build", json!({})).await.status,
        202
    );
    let images = world.get("/v1/images").await.expect(200).await;
    let openclaw = images["items"]
        .as_array()
        .expect("items")
        .iter()
        .find(|image| image["name"] == "openclaw");
    assert_eq!(openclaw.expect("openclaw")["state"], "building");
    world.running_agent("scout").await;
    let sentence = world
        .delete("/v1/images/lite")
        .await
        .problem("image_in_use")
        .await;
    assert!(sentence.contains("1 sandboxes"), "{sentence}");
    assert_eq!(world.delete("/v1/images/openclaw").await.status, 204);
    world
        .delete("/v1/images/windows")
        .await
        .problem("not_found")
        .await;
}

#[tokio::test]
async fn who_and_where() {
    let world = World::new().await;
    let me = world.get("/v1/whoami").await.expect(200).await;
    assert_eq!(
        (&me["org_name"], &me["user_name"]),
        (&json!("default"), &json!("owner"))
    );
    assert_eq!(world.get("/v1/host").await.expect(200).await["backend"], "fake");
    assert_eq!(
        world.get("/v1/version").await.expect(200).await["version"],
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(world.get("/healthz").await.text().await, "alive\n");
    assert_eq!(world.get("/readyz").await.text().await, "ready\n");
}

/// With the dashboard built in or without it: `cargo nextest` alone does not build it, `script/test` does.
#[tokio::test]
async fn each_address_of_the_dashboard_opens_it_under_a_strict_policy() {
    let world = World::new().await;
    for path in [
        "/",
        "/new",
        "/account",
        "/device?code=BDWP-HQPK",
        "/agents",
        "/agents/scout/chat",
        "/org/members",
        "/operator/host",
    ] {
        let reply = world.get(path).await;
        assert_eq!(reply.header("content-type"), "text/html; charset=utf-8", "{path}");
        assert_eq!(reply.header("cache-control"), "no-cache", "{path}");
        let policy = reply.header("content-security-policy").to_owned();
        assert!(
            policy.contains("default-src 'none'") && !policy.contains("unsafe"),
            "{policy}"
        );
        let text = reply.text().await;
        assert!(
            text.contains("id=\"root\"") || text.contains("The dashboard was not built"),
            "{path}: {text}"
        );
        assert!(
            !text.contains("http://") && !text.contains("https://"),
            "{path} names another host"
        );
        assert!(
            !text.contains("<script>") && !text.contains(" style=") && !text.contains(" onclick="),
            "{path}"
        );
    }
    let style = world.get("/web/style.css").await;
    assert_eq!(style.header("content-type"), "text/css; charset=utf-8");
    world.get("/v1/nothing").await.problem("not_found").await;
    world.get("/assets/nothing.js").await.problem("not_found").await;
}

#[tokio::test]
async fn usage_of_nothing_is_nothing() {
    let world = World::new().await;
    let report = world.get("/v1/usage?group=day").await.expect(200).await;
    assert_eq!(
        (&report["items"], &report["total"]["calls"]),
        (&json!([]), &json!(0))
    );
    for bad in [
        "group=week",
        "from=yesterday",
        "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z",
        "since=1",
    ] {
        world
            .get(&format!("/v1/usage?{bad}"))
            .await
            .problem("invalid_request")
            .await;
    }
    world
        .get("/v1/usage?agent=nobody")
        .await
        .problem("not_found")
        .await;
}
