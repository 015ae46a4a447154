//! Browsers that are signed in: their cookies, their secrets, and pages of other sites.

use axum::{
    body::Body,
    http::{Method, Request},
};
use creel_domain::BrowserSessionAge;
use serde_json::{Value, json};

use super::{ADA, Browser, PASSWORD, World, give_owner_a_password};

#[tokio::test]
async fn a_browsers_secret_is_exchanged_and_the_copied_one_ends_the_session() {
    let world = World::new().await;
    give_owner_a_password(&world).await;
    let mut browser = Browser::signed_in(&world, ADA, PASSWORD).await;
    let mut thief = browser.clone();
    let first = browser.cookie.clone();
    assert_eq!(browser.get(&world, "/v1/whoami").await.status, 200);
    assert_eq!(browser.cookie, first, "not at each request");
    tokio::time::advance(BrowserSessionAge::ROTATE_EVERY.unsigned_abs()).await;
    // The page asks for several things at once, and each is answered.
    let mut at_once = browser.clone();
    assert_eq!(browser.get(&world, "/v1/whoami").await.status, 200);
    assert_ne!(browser.cookie, first);
    assert_eq!(at_once.get(&world, "/v1/agents").await.status, 200);
    assert_eq!(at_once.cookie, first, "one new secret is enough");
    assert_eq!(browser.get(&world, "/v1/whoami").await.status, 200);
    tokio::time::advance(BrowserSessionAge::GRACE.unsigned_abs()).await;
    thief
        .get(&world, "/v1/whoami")
        .await
        .problem("unauthenticated")
        .await;
    browser
        .get(&world, "/v1/whoami")
        .await
        .problem("unauthenticated")
        .await;
}

#[tokio::test]
async fn an_answer_that_is_lost_signs_nobody_out() {
    let world = World::new().await;
    give_owner_a_password(&world).await;
    let mut browser = Browser::signed_in(&world, ADA, PASSWORD).await;
    for _ in 0..3 {
        tokio::time::advance(BrowserSessionAge::ROTATE_EVERY.unsigned_abs()).await;
        let mut lost = browser.clone();
        assert_eq!(lost.get(&world, "/v1/whoami").await.status, 200);
        assert_ne!(lost.cookie, browser.cookie);
    }
    tokio::time::advance(BrowserSessionAge::ROTATE_AGAIN.unsigned_abs()).await;
    assert_eq!(browser.get(&world, "/v1/whoami").await.status, 200);
    assert_eq!(browser.get(&world, "/v1/whoami").await.status, 200);
}

#[tokio::test]
async fn over_tls_the_cookie_never_leaves_it() {
    let world = World::new().await;
    give_owner_a_password(&world).await;
    let body = json!({"email": ADA, "password": PASSWORD});
    let mut browser = Browser::default();
    let headers = [("x-forwarded-proto", "https")];
    let reply = browser
        .ask_with(&world, Method::POST, "/v1/sign-in", body, &headers)
        .await;
    let cookie = reply.header("set-cookie").to_owned();
    for part in [
        "__Host-creel_session=",
        "HttpOnly",
        "Secure",
        "SameSite=Lax",
        "Path=/",
    ] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Domain"), "{cookie}");
    assert_eq!(browser.get(&world, "/v1/whoami").await.status, 200);
}

#[tokio::test]
async fn somebody_sees_and_ends_their_own_sessions() {
    let world = World::new().await;
    give_owner_a_password(&world).await;
    let mut browser = Browser::signed_in(&world, ADA, PASSWORD).await;
    let mut other = Browser::signed_in(&world, ADA, PASSWORD).await;
    let list = browser
        .get(&world, "/v1/browser-sessions")
        .await
        .expect(200)
        .await;
    let items = list["items"].as_array().expect("items");
    let current = |current: bool| items.iter().find(|item| item["current"] == current).expect("one");
    assert_eq!((items.len(), &current(true)["browser"]), (2, &json!("a browser")));
    let path = format!(
        "/v1/browser-sessions/{}",
        current(false)["id"].as_str().expect("an id")
    );
    let reply = browser.ask(&world, Method::DELETE, &path, json!({})).await;
    assert_eq!(reply.status, 204);
    other
        .get(&world, "/v1/whoami")
        .await
        .problem("unauthenticated")
        .await;
    let again = browser.ask(&world, Method::DELETE, &path, json!({})).await;
    again.problem("not_found").await;
    let bad = browser
        .ask(&world, Method::DELETE, "/v1/browser-sessions/x", json!({}))
        .await;
    bad.problem("invalid_request").await;
}

#[tokio::test]
async fn signing_out_everywhere_takes_the_tokens_along_if_asked() {
    let world = World::new().await;
    give_owner_a_password(&world).await;
    for tokens in [false, true] {
        let mut browser = Browser::signed_in(&world, ADA, PASSWORD).await;
        let mut other = Browser::signed_in(&world, ADA, PASSWORD).await;
        let reply = browser
            .post(&world, "/v1/sign-out-everywhere", json!({"tokens": tokens}))
            .await;
        assert_eq!(reply.status, 204);
        assert_eq!(browser.cookie, None);
        other
            .get(&world, "/v1/whoami")
            .await
            .problem("unauthenticated")
            .await;
        assert_eq!(world.get("/v1/whoami").await.status.is_success(), !tokens);
    }
}

#[tokio::test]
async fn a_session_is_switched_between_its_users_orgs_only() {
    let world = World::new().await;
    give_owner_a_password(&world).await;
    let mut browser = Browser::signed_in(&world, ADA, PASSWORD).await;
    let (other, _) = world
        .store()
        .platform()
        .create_org("other".into())
        .await
        .expect("made");
    let reply = browser.post(&world, "/v1/me/org", json!({"org": other})).await;
    reply.problem("not_found").await;
    let me = browser.get(&world, "/v1/me").await.expect(200).await;
    let before = browser.cookie.clone();
    let reply = browser
        .post(&world, "/v1/me/org", json!({"org": me["org"]}))
        .await;
    assert_eq!(reply.status, 204);
    assert_ne!(browser.cookie, before);
    let body = json!({"email": ADA, "password": PASSWORD, "org": other});
    let reply = Browser::default().post(&world, "/v1/sign-in", body).await;
    reply.problem("forbidden").await;
    world
        .post("/v1/me/org", json!({"org": me["org"]}))
        .await
        .problem("invalid_request")
        .await;
}

/// Every route that changes something, by the API's own description.
#[tokio::test]
async fn no_page_of_another_site_changes_anything_with_a_session_nor_opens_one() {
    let world = World::new().await;
    give_owner_a_password(&world).await;
    let browser = Browser::signed_in(&world, ADA, PASSWORD).await;
    let cookie = browser.cookie.expect("a cookie");
    let document = serde_json::to_value(crate::openapi()).expect("JSON");
    let mut tried = 0;
    for (template, operations) in document["paths"].as_object().expect("paths") {
        for method in operations.as_object().expect("operations").keys() {
            if method == "get" {
                continue;
            }
            let path = template.replace(['{', '}'], "");
            for headers in [
                [("sec-fetch-site", "cross-site"), ("origin", "http://creel.test")],
                [("sec-fetch-site", "same-site"), ("x-nothing", "")],
                [("origin", "http://evil.test"), ("x-nothing", "")],
                [("origin", "null"), ("x-nothing", "")],
            ] {
                let mut request = Request::builder()
                    .method(method.to_uppercase().as_str())
                    .uri(&path)
                    .header("host", "creel.test")
                    .header("cookie", &cookie)
                    .header("content-type", "application/json");
                for (name, value) in headers {
                    request = request.header(name, value);
                }
                let request = request
                    .body(Body::from(Value::Null.to_string()))
                    .expect("a request");
                let reply = world.send(request).await;
                assert_eq!(reply.status, 403, "{method} {path} {headers:?}");
                assert_eq!(reply.header("set-cookie"), "", "{method} {path}");
                reply.problem("forbidden").await;
                tried += 1;
            }
        }
    }
    assert!(tried > 100, "only {tried} requests were made");
}
