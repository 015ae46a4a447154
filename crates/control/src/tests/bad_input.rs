//! What is wrong is named, whoever finds it; every error is a problem.

use serde_json::json;

use super::World;

#[tokio::test]
async fn addresses_and_methods_that_are_none() {
    let world = World::new().await;
    for path in [
        "/nothing",
        "/v1",
        "/v1/nothing",
        "/v1/agents/scout/nothing",
        "/web/../Cargo.toml",
        "/web/nothing.js",
    ] {
        world.get(path).await.problem("not_found").await;
    }
    for (method, path) in [
        ("PUT", "/v1/agents"),
        ("DELETE", "/v1/events"),
        ("POST", "/"),
        ("PATCH", "/v1/agents/scout/chat"),
        ("POST", "/healthz"),
    ] {
        let reply = world.ask(method, path, &[], "").await;
        assert!(
            !reply.header("allow").is_empty(),
            "{method} {path} says what is taken"
        );
        reply.problem("method_not_allowed").await;
    }
}

#[tokio::test]
async fn bodies_that_are_none() {
    let world = World::new().await;
    world.create("scout").await;
    let routes = [
        ("POST", "/v1/agents"),
        ("PATCH", "/v1/agents/scout"),
        ("POST", "/v1/agents/scout/chat"),
        ("POST", "/v1/agents/scout/exec"),
        ("POST", "/v1/providers"),
    ];
    let deep = "[".repeat(100_000);
    for (method, path) in routes {
        let send = |kind: &'static str, body: String| {
            let world = &world;
            async move {
                world
                    .ask(method, path, &[("content-type", kind), ("if-match", "*")], body)
                    .await
            }
        };
        let json_kind = "application/json";
        for body in ["", "{", "{]", "\u{feff}{}"] {
            send(json_kind, body.to_owned())
                .await
                .problem("invalid_json")
                .await;
        }
        for body in ["[]", "1", "\"text\"", "null", r#"["scout","lite"]"#, &deep] {
            send(json_kind, body.to_owned())
                .await
                .problem("invalid_request")
                .await;
        }
        let unknown = json!({"surprise": true}).to_string();
        let sentence = send(json_kind, unknown).await.problem("invalid_request").await;
        assert!(sentence.contains("`surprise`"), "{method} {path}: {sentence}");
        send(json_kind, " ".repeat((1 << 20) + 1))
            .await
            .problem("too_large")
            .await;
        send("text/plain", "{}".to_owned())
            .await
            .problem("unsupported_media_type")
            .await;
    }
}

#[tokio::test]
async fn names_in_addresses_that_are_none() {
    let world = World::new().await;
    world.create("scout").await;
    for path in [
        "/v1/agents/nobody",
        "/v1/agents/agt_00000000000000000000000007",
        "/v1/agents/agt_short",
        "/v1/agents/..%2F..%2Fetc",
        "/v1/agents/a%00b",
        "/v1/agents/scout/turns/trn_00000000000000000000000007",
    ] {
        world.get(path).await.problem("not_found").await;
    }
    for path in [
        "/v1/agents/scout/turns/not-an-id",
        "/v1/agents/scout/sessions/bad%20name/messages",
        "/v1/agents/%ff",
    ] {
        world.get(path).await.problem("invalid_request").await;
    }
}

#[tokio::test]
async fn a_request_that_fails_inside_says_so_without_its_inside() {
    let world = World::new().await;
    let reason = "the runtime said /var/lib/creel/secret".to_owned();
    world
        .supervisor
        .fail(Some(creel_protocol::SupervisorError::Failed { reason }));
    let sentence = world.get("/v1/host").await.problem("internal").await;
    assert!(!sentence.contains("secret"), "{sentence}");
}
