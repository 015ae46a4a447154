//! Sign-in providers as operators add, try and remove them.

use serde_json::{Value, json};

use super::{FakeIssuer, World, issuer::SECRET, operate};
use crate::tests::orgs::owner_has_a_second_factor;

fn body(issuer: &str, more: Value) -> Value {
    let mut body =
        json!({"name": "x", "kind": "oidc", "issuer": issuer, "client_id": "c", "client_secret": SECRET});
    let fields = more.as_object().expect("an object").clone();
    body.as_object_mut().expect("an object").extend(fields);
    body
}

#[tokio::test]
async fn a_provider_is_added_shown_tried_and_removed_and_its_secret_never_shown() {
    let world = World::in_real_time().await;
    let issuer = FakeIssuer::new().await;
    let reply = world.post("/v1/sso", body(&issuer.url, json!({}))).await;
    let sentence = reply.problem("forbidden").await;
    assert!(sentence.contains("second factor"), "{sentence}");
    let added = issuer.add_to(&world, "x", json!({})).await;
    world.delete("/v1/sso/x").await.problem("forbidden").await;
    assert_eq!(added["newcomers"], "sign_up");
    let callback = added["callback_url"].as_str().expect("an address");
    assert!(callback.starts_with("http://127.0.0.1:") && callback.ends_with("/sign-in/callback/x"));
    let tested = world.post("/v1/sso/x/test", json!({})).await.expect(200).await;
    assert_eq!(tested["ok"], true, "{tested}");
    for more in [json!({}), json!({"name": "y"})] {
        let reply = operate(&world, "POST", "/v1/sso", body(&issuer.url, more)).await;
        assert_eq!(reply.status, 409);
    }
    let all = world.get("/v1/sso").await.expect(200).await.to_string();
    let trail = world.get("/v1/audit").await.expect(200).await.to_string();
    assert!(
        !all.contains("planted") && !trail.contains("planted"),
        "{all} {trail}"
    );
    assert!(trail.contains("sso.add") && trail.contains("sso.test"), "{trail}");

    issuer.inside().keys = super::issuer::Manner::Fails(503);
    let tested = world.post("/v1/sso/x/test", json!({})).await.expect(200).await;
    assert_eq!(tested["ok"], false, "{tested}");
    owner_has_a_second_factor(&world).await;
    assert_eq!(world.delete("/v1/sso/x").await.status, 204);
    world.delete("/v1/sso/x").await.problem("not_found").await;
    world
        .post("/v1/sso/x/test", json!({}))
        .await
        .problem("not_found")
        .await;
}

#[tokio::test]
async fn what_nobody_could_sign_in_with_is_not_added() {
    let world = World::in_real_time().await;
    owner_has_a_second_factor(&world).await;
    let issuer = FakeIssuer::new().await;
    for (said, part) in [
        (json!({"issuer": "https://other.test"}), "calls itself"),
        (json!({"code_challenge_methods_supported": ["plain"]}), "PKCE"),
        (json!({"response_types_supported": ["token"]}), "`code`"),
        (
            json!({"token_endpoint": "http://10.0.0.1/token"}),
            "`token_endpoint`",
        ),
        (
            json!({"token_endpoint_auth_methods_supported": ["none"]}),
            "client secret",
        ),
    ] {
        issuer.inside().description = said;
        let reply = world.post("/v1/sso", body(&issuer.url, json!({}))).await;
        let sentence = reply.problem("invalid_request").await;
        assert!(sentence.contains(part), "{sentence}");
    }
    issuer.inside().description = json!({});
    for (issuer, more) in [
        ("http://issuer.example.com", json!({})),
        ("https://user:password@127.0.0.1", json!({})),
        ("ftp://127.0.0.1", json!({})),
        ("http://127.0.0.1:1", json!({})),
        (issuer.url.as_str(), json!({"client_id": ""})),
        (issuer.url.as_str(), json!({"client_id": "a\nb"})),
        (issuer.url.as_str(), json!({"email_domains": ["a b"]})),
        (issuer.url.as_str(), json!({"newcomers": "owner"})),
        (issuer.url.as_str(), json!({"label": ""})),
        (issuer.url.as_str(), json!({"colour": "red"})),
        (
            "https://github.com",
            json!({"kind": "github", "newcomers": "viewer"}),
        ),
        (
            "https://github.com",
            json!({"kind": "github", "client_secret": null}),
        ),
    ] {
        let reply = world.post("/v1/sso", body(issuer, more.clone())).await;
        let sentence = reply.problem("invalid_request").await;
        assert!(!sentence.contains("planted"), "{issuer} {more}: {sentence}");
    }
    let all = world.get("/v1/sso").await.expect(200).await;
    assert_eq!(all["items"], json!([]));
}
