//! Secrets: they go in, are used, and never come out.

use creel_domain::{MemberRole, OrgId};
use creel_store::{NewInvitation, NewToken};
use creel_testkit::FakeProvider;
use serde_json::{Value, json};

use super::{Reply, World, orgs::owner_has_a_second_factor, wait};
use crate::operations::sign_in::hash;

pub(super) async fn set(world: &World, path: &str, value: &str) -> Reply {
    put(world, path, json!({ "value": value })).await
}

pub(super) async fn put(world: &World, path: &str, body: Value) -> Reply {
    let headers = [("content-type", "application/json")];
    world.ask("PUT", path, &headers, body.to_string()).await
}

/// The key with which a provider is called for the org.
async fn called_with(world: &World, org: OrgId, name: &str) -> String {
    let name = name.parse().expect("a name");
    let found = world.store().org(org).provider_for(None, name).await;
    let key = found.expect("read").expect("there").key;
    key.expect("a key").to_string()
}

#[tokio::test]
async fn a_secret_is_set_listed_and_removed_and_no_answer_holds_it() {
    let world = World::new().await;
    world.create("scout").await;
    for path in ["/v1/secrets", "/v1/agents/scout/secrets"] {
        for version in 1..3 {
            let reply = set(&world, &format!("{path}/OPENAI_KEY"), "sk-planted").await;
            let entry = reply.expect(200).await;
            assert_eq!(entry["version"], version);
            assert!(!entry.to_string().contains("sk-planted"));
        }
        let listed = world.get(path).await.expect(200).await;
        assert_eq!(listed["items"][0]["name"], "OPENAI_KEY");
        let who = listed["items"][0]["changed_by"].as_str().expect("who");
        assert!(who.starts_with("usr_"), "{who}");
        assert!(!listed.to_string().contains("sk-planted"));
    }
    let agents = world.get("/v1/agents/scout/secrets").await.expect(200).await;
    assert!(agents["items"][0]["agent"].is_string());
    assert_eq!(world.delete("/v1/secrets/OPENAI_KEY").await.status, 204);
    world
        .delete("/v1/secrets/OPENAI_KEY")
        .await
        .problem("not_found")
        .await;
    let left = world.get("/v1/agents/scout/secrets").await.expect(200).await;
    assert_eq!(left["items"].as_array().expect("items").len(), 1);
}

#[tokio::test]
async fn what_cannot_be_a_secret_is_refused_and_not_repeated() {
    let world = World::new().await;
    for (path, value, code) in [
        ("/v1/secrets/lower", "planted", "invalid_request"),
        ("/v1/secrets/2X", "planted", "invalid_request"),
        ("/v1/secrets/X", "", "invalid_request"),
        ("/v1/secrets/X", "planted\0", "invalid_request"),
        ("/v1/agents/nobody/secrets/X", "planted", "not_found"),
    ] {
        let sentence = set(&world, path, value).await.problem(code).await;
        assert!(!sentence.contains("planted"), "{sentence}");
    }
    let long = "x".repeat(64 * 1024);
    set(&world, "/v1/secrets/X", &long).await.expect(200).await;
    let longer = set(&world, "/v1/secrets/X", &format!("{long}x")).await;
    longer.problem("too_large").await;
    let wrong = put(&world, "/v1/secrets/X", json!({"value": 7})).await;
    wrong.problem("invalid_request").await;
}

#[tokio::test]
async fn a_provider_takes_its_key_from_a_secret_at_each_call() {
    let world = World::in_real_time().await;
    let fake = FakeProvider::start().await.expect("a provider");
    let add = json!({"name": "router", "kind": "openai-compatible", "base_url": fake.base_url(),
                     "key_secret": "ROUTER_KEY"});
    let early = world.post("/v1/providers", add.clone()).await;
    early.problem("secret_not_found").await;
    let set_key = async |value: &str| {
        let reply = set(&world, "/v1/secrets/ROUTER_KEY", value).await;
        reply.expect(200).await
    };
    set_key("sk-one").await;
    let added = world.post("/v1/providers", add).await.expect(201).await;
    assert_eq!(
        (&added["has_key"], &added["key_secret"]),
        (&json!(true), &json!("ROUTER_KEY"))
    );
    let test = async || world.post("/v1/providers/router/test", json!({})).await;
    let me = world.get("/v1/whoami").await.expect(200).await;
    let org = me["org"].as_str().expect("an id").parse().expect("an id");
    test().await.expect(200).await;
    assert_eq!(called_with(&world, org, "router").await, "sk-one");
    set_key("sk-two").await;
    test().await.expect(200).await;
    assert_eq!(
        called_with(&world, org, "router").await,
        "sk-two",
        "everywhere at once"
    );
    world.delete("/v1/secrets/ROUTER_KEY").await;
    let sentence = test().await.problem("secret_not_found").await;
    assert!(sentence.contains("creel secrets set ROUTER_KEY"), "{sentence}");
    let both = json!({"name": "both", "kind": "openai", "key": "k", "key_secret": "X"});
    let both = world.post("/v1/providers", both).await;
    both.problem("invalid_request").await;
}

#[tokio::test]
async fn an_org_uses_a_provider_of_the_platform_and_an_own_one_of_its_name_comes_first() {
    let world = World::in_real_time().await;
    let fake = FakeProvider::start().await.expect("a provider");
    let add = |key: &str| json!({"name": "shared", "kind": "openai-compatible", "base_url": fake.base_url(), "key": key});
    const SHARED: &str = "/v1/platform/providers";
    let early = world.post(SHARED, add("sk-platform")).await;
    early.problem("forbidden").await;
    owner_has_a_second_factor(&world).await;
    let added = world.post(SHARED, add("sk-platform")).await.expect(201).await;
    assert_eq!(added["platform"], true);
    let again = world.post(SHARED, add("sk-other")).await;
    again.problem("name_taken").await;
    // Somebody else's org, whose members are no operators.
    let made = world.store().platform().create_org("tenant".into()).await;
    let (org, user) = made.expect("made");
    let token = NewToken::whole(user, "theirs", hash("tenant"));
    world.store().org(org).add_token(token).await.expect("added");
    let theirs = async |path: &str, body: Value| world.post_as("tenant", path, body).await;
    const TEST: &str = "/v1/providers/shared/test";
    theirs(TEST, json!({})).await.expect(200).await;
    assert_eq!(called_with(&world, org, "shared").await, "sk-platform");
    let agent = json!({"name": "scout", "runtime": "lite", "model": "shared/big"});
    theirs("/v1/agents", agent).await.expect(201).await;
    theirs(SHARED, add("sk-theirs")).await.problem("forbidden").await;
    theirs("/v1/providers", add("sk-own")).await.expect(201).await;
    theirs(TEST, json!({})).await.expect(200).await;
    assert_eq!(called_with(&world, org, "shared").await, "sk-own");
    let listed = world.get("/v1/providers").await.expect(200).await;
    assert_eq!(listed["items"][1]["platform"], true, "{listed}");
    assert!(!listed.to_string().contains("sk-"));
    let theirs_only = world.delete("/v1/providers/shared").await;
    theirs_only.problem("not_found").await;
    let removed = world.delete("/v1/platform/providers/shared").await;
    assert_eq!(removed.status, 204);
    let gone = world.post(TEST, json!({})).await;
    gone.problem("not_found").await;
}

#[tokio::test]
async fn a_rotation_goes_on_by_itself_and_after_a_crash() {
    let mut world = World::new().await;
    for number in 0..50 {
        let reply = set(&world, &format!("/v1/secrets/S{number}"), "x").await;
        reply.expect(200).await;
    }
    let begun = world.post("/v1/secrets/rotate", json!({})).await;
    assert_eq!(begun.expect(202).await["key_version"], 2);
    world.kill().await;
    world.start().await;
    wait("the old key to be destroyed", || async {
        let rotation = world.get("/v1/secrets/rotate").await.expect(200).await;
        let over = rotation["rotating"] == false && rotation["remaining"] == 0;
        (over, rotation.to_string())
    })
    .await;
    owner_has_a_second_factor(&world).await;
    let begun = world.post("/v1/platform/master-key/rotate", json!({})).await;
    begun.expect(202).await;
    wait("the master key to be exchanged", || async {
        let state = world.get("/v1/platform/master-key").await.expect(200).await;
        (state.get("finished_at").is_some(), state.to_string())
    })
    .await;
    let verdict = world.get("/v1/audit/verify").await.expect(200).await;
    assert_eq!(verdict.get("fault"), None, "{verdict}");
}

#[tokio::test]
async fn who_is_no_owner_has_no_say_about_the_orgs_own_key() {
    let world = World::new().await;
    let me = world.get("/v1/whoami").await.expect(200).await;
    let id = |name: &str| me[name].as_str().expect("an id").to_owned();
    let org = world.store().org(id("org").parse().expect("an id"));
    let invitation = NewInvitation {
        role: MemberRole::Admin,
        by: id("user").parse().expect("an id"),
        hash: [7; 32],
    };
    org.invite(invitation).await.expect("invited");
    let platform = world.store().platform();
    let joined = platform
        .accept_invitation([7; 32], None, "ann".into(), [8; 32])
        .await;
    let joined = joined.expect("no error").expect("let in");
    let token = NewToken::whole(joined.user, "hers", hash("admin"));
    org.add_token(token).await.expect("added");
    let request = axum::http::Request::get("/v1/secrets/key").header("authorization", "Bearer admin");
    let request = request.body(axum::body::Body::empty()).expect("a request");
    world.send(request).await.problem("forbidden").await;
    world.get("/v1/secrets/key").await.problem("not_found").await;
}
