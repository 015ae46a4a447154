//! Who runs the platform, and what they must have shown.

use axum::http::Method;
use creel_domain::UserId;
use jiff::SignedDuration;
use serde_json::json;

use super::{
    World,
    orgs::owner_has_a_second_factor,
    people::{ADA, Browser, PASSWORD, give_owner_a_password},
};

const BOB: &str = "bob@example.com";

/// A user of an org of their own, with a verified address.
async fn bob(world: &World, verified: bool) -> UserId {
    let platform = world.store().platform();
    let (_, user) = platform.create_org("bobs".into()).await.expect("an org");
    let address = BOB.parse().expect("an address");
    assert!(platform.set_email(user, address, verified).await.expect("set"));
    user
}

#[tokio::test]
async fn without_a_second_factor_an_operator_reaches_nothing_of_others() {
    let world = World::new().await;
    let nobody = "org_00000000000000000000000007";
    for path in ["/v1/orgs", &format!("/v1/orgs/{nobody}"), "/v1/operators"] {
        let sentence = world.get(path).await.problem("forbidden").await;
        assert!(sentence.contains("second factor"), "{path}: {sentence}");
    }
    // What is the host's own needs none.
    assert_eq!(world.get("/v1/images").await.status, 200);
    owner_has_a_second_factor(&world).await;
    assert_eq!(world.get("/v1/orgs").await.status, 200);
    assert_eq!(world.get("/v1/operators").await.status, 200);
}

#[tokio::test]
async fn an_operators_browser_is_good_for_twelve_hours() {
    let world = World::new().await;
    give_owner_a_password(&world).await;
    let mut browser = Browser::signed_in(&world, ADA, PASSWORD).await;
    owner_has_a_second_factor(&world).await;
    assert_eq!(browser.get(&world, "/v1/orgs").await.status, 200);
    tokio::time::advance(SignedDuration::from_hours(13).unsigned_abs()).await;
    let sentence = browser.get(&world, "/v1/orgs").await.problem("forbidden").await;
    assert!(sentence.contains("sign out and in again"), "{sentence}");
    assert_eq!(
        browser.get(&world, "/v1/agents").await.status,
        200,
        "the session itself goes on"
    );
}

#[tokio::test]
async fn operators_make_operators_and_one_is_always_left() {
    let world = World::new().await;
    owner_has_a_second_factor(&world).await;
    let add = || world.post("/v1/operators", json!({"email": BOB}));
    add().await.problem("not_found").await;
    let user = bob(&world, false).await;
    add().await.problem("not_found").await;
    let address = BOB.parse().expect("an address");
    let platform = world.store().platform();
    assert!(platform.set_email(user, address, true).await.expect("verified"));

    let added = add().await.expect(200).await;
    assert_eq!(
        added,
        json!({"user": user, "name": "owner", "email": BOB, "second_factor": false})
    );
    assert_eq!(add().await.expect(200).await, added, "once more changes nothing");
    let listed = world.get("/v1/operators").await.expect(200).await;
    assert_eq!(listed["items"].as_array().expect("items").len(), 2);

    let path = format!("/v1/operators/{user}");
    assert_eq!(world.delete(&path).await.status, 204);
    world.delete(&path).await.problem("not_found").await;
    let me = listed["items"][0]["user"].as_str().expect("an id").to_owned();
    let path = format!("/v1/operators/{me}");
    world.delete(&path).await.problem("conflict").await;
    assert_eq!(world.get("/v1/operators").await.status, 200, "still one");

    // Their own org reads who made them what.
    let org = platform.memberships(user).await.expect("orgs")[0].org;
    let told = world.store().org(org).audit_after(0, 100).await.expect("entries");
    let actions: Vec<_> = told
        .iter()
        .map(|stored| stored.entry.act.action.as_str())
        .filter(|action| action.starts_with("operator"))
        .collect();
    assert_eq!(actions, ["operator.add", "operator.remove"]);
}

#[tokio::test]
async fn nobody_else_makes_operators() {
    let world = World::new().await;
    owner_has_a_second_factor(&world).await;
    bob(&world, true).await;
    let less = world
        .post(
            "/v1/tokens",
            json!({"name": "less", "scopes": ["platform:write"]}),
        )
        .await
        .expect(201)
        .await;
    let less = less["secret"].as_str().expect("a secret");
    world
        .post_as(less, "/v1/operators", json!({"email": BOB}))
        .await
        .problem("forbidden")
        .await;
    let mut browser = Browser::default();
    let stranger = browser.ask(&world, Method::GET, "/v1/operators", json!({})).await;
    assert_eq!(stranger.status, 401);
}
