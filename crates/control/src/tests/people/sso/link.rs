//! Several identities to one user, linked and unlinked by whoever shows that they may.

use serde_json::json;

use super::{FakeIssuer, Traveller, World, ada, landed, refused};
use crate::tests::people::{ADA, PASSWORD, give_owner_a_password};

async fn owner(world: &World) -> Traveller {
    give_owner_a_password(world).await;
    let mut browser = Traveller::default();
    let credentials = json!({"email": ADA, "password": PASSWORD});
    browser
        .post(world, "/v1/sign-in", credentials)
        .await
        .expect(200)
        .await;
    browser
}

async fn ask(browser: &mut Traveller, world: &World, name: &str) -> String {
    let begun = browser
        .post(world, "/v1/me/identities", json!({ "provider": name }))
        .await;
    begun.expect(200).await["url"]
        .as_str()
        .expect("an address")
        .to_owned()
}

#[tokio::test]
async fn several_identities_are_one_user_and_each_is_a_way_in() {
    let world = World::in_real_time().await;
    let (one, two) = (FakeIssuer::new().await, FakeIssuer::new().await);
    one.add_to(&world, "one", json!({})).await;
    two.add_to(&world, "two", json!({})).await;
    let mut browser = owner(&world).await;
    let me = browser.me(&world).await;
    for (issuer, name) in [(&one, "one"), (&two, "two")] {
        let before = browser.jar["creel_session"].clone();
        let url = ask(&mut browser, &world, name).await;
        let who = json!({"sub": "a1", "email": "other@example.com", "email_verified": true});
        let reply = browser.come_back(&world, &issuer.agree(&world, &url, &who)).await;
        assert_eq!(landed(&reply), "/#account");
        assert_ne!(
            browser.jar["creel_session"], before,
            "another secret with another way in"
        );
        let mut elsewhere = Traveller::default();
        landed(&elsewhere.sign_in(&world, issuer, name, &who).await);
        assert_eq!(elsewhere.me(&world).await["user"], me["user"]);
    }
    let all = browser.get(&world, "/v1/me/identities").await.expect(200).await;
    let names: Vec<_> = all["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| one["provider"]["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(names, ["one", "two"]);
    let path = format!(
        "/v1/me/identities/{}/unlink",
        all["items"][0]["id"].as_str().expect("an id")
    );
    let reply = browser.post(&world, &path, json!({})).await;
    assert_eq!(reply.status, 204);
    browser
        .post(&world, &path, json!({}))
        .await
        .problem("not_found")
        .await;
    let who = json!({"sub": "a1"});
    let reply = Traveller::default().sign_in(&world, &one, "one", &who).await;
    assert_eq!(refused(reply).await.1, "sso_not_allowed");
    let trail = world.get("/v1/audit").await.expect(200).await.to_string();
    assert!(
        trail.contains("identity.link") && trail.contains("identity.unlink"),
        "{trail}"
    );
}

#[tokio::test]
async fn the_last_way_in_stays() {
    let world = World::in_real_time().await;
    let issuer = FakeIssuer::new().await;
    issuer.add_to(&world, "x", json!({"newcomers": "viewer"})).await;
    let mut browser = Traveller::default();
    landed(&browser.sign_in(&world, &issuer, "x", &ada()).await);
    let all = browser.get(&world, "/v1/me/identities").await.expect(200).await;
    let path = format!(
        "/v1/me/identities/{}/unlink",
        all["items"][0]["id"].as_str().expect("an id")
    );
    browser
        .post(&world, &path, json!({}))
        .await
        .problem("conflict")
        .await;
    landed(&Traveller::default().sign_in(&world, &issuer, "x", &ada()).await);
}

#[tokio::test]
async fn nobody_links_what_is_not_theirs_nor_with_a_session_they_found() {
    let world = World::in_real_time().await;
    let issuer = FakeIssuer::new().await;
    issuer.add_to(&world, "x", json!({"newcomers": "viewer"})).await;
    let bob = json!({"sub": "bob", "email": "bob@example.com", "email_verified": true});
    landed(&Traveller::default().sign_in(&world, &issuer, "x", &bob).await);
    let mut browser = owner(&world).await;
    let url = ask(&mut browser, &world, "x").await;
    let reply = browser.come_back(&world, &issuer.agree(&world, &url, &bob)).await;
    assert_eq!(refused(reply).await, (403, "sso_not_allowed".into()));

    // Somebody else's page, a token, an old session without the password.
    let body = json!({"provider": "x"});
    let reply = browser
        .send(&world, "POST", "/v1/me/identities", "cross-site", body.clone())
        .await;
    reply.problem("forbidden").await;
    world
        .post("/v1/me/identities", body.clone())
        .await
        .problem("forbidden")
        .await;
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_secs(15 * 60)).await;
    tokio::time::resume();
    browser
        .post(&world, "/v1/me/identities", body)
        .await
        .problem("forbidden")
        .await;
    let wrong = json!({"provider": "x", "password": "not the password"});
    browser
        .post(&world, "/v1/me/identities", wrong)
        .await
        .problem("forbidden")
        .await;

    // Whoever signed out meanwhile links nothing.
    let right = json!({"provider": "x", "password": PASSWORD});
    let begun = browser
        .post(&world, "/v1/me/identities", right)
        .await
        .expect(200)
        .await;
    let back = issuer.agree(&world, begun["url"].as_str().expect("an address"), &ada());
    let out = browser.post(&world, "/v1/sign-out-everywhere", json!({})).await;
    assert_eq!(out.status, 204);
    assert_eq!(
        refused(browser.come_back(&world, &back).await).await.1,
        "sso_over"
    );
    let reply = Traveller::default().sign_in(&world, &issuer, "x", &ada()).await;
    landed(&reply);
}
