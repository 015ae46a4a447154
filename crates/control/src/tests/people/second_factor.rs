//! Time-based codes and recovery codes.

use serde_json::{Value, json};

use super::{ADA, Browser, PASSWORD, World, give_owner_a_password};
use crate::operations::people::totp::shown;

const STEP: std::time::Duration = std::time::Duration::from_secs(30);

/// Enrols the owner; the secret of the app, and the recovery codes.
async fn enrol(world: &World, browser: &mut Browser) -> (String, Vec<String>) {
    let begun = browser
        .post(world, "/v1/me/totp", json!({}))
        .await
        .expect(201)
        .await;
    let secret = begun["secret"].as_str().expect("a secret").to_owned();
    let uri = begun["uri"].as_str().expect("a uri");
    assert_eq!(
        uri,
        format!("otpauth://totp/Creel:{ADA}?secret={secret}&issuer=Creel")
    );
    let wrong = browser
        .post(world, "/v1/me/totp/confirm", json!({"code": "000000"}))
        .await;
    wrong.problem("invalid_request").await;
    let code = shown(&secret, world.clock.now());
    let before = browser.cookie.clone();
    let confirmed = browser
        .post(world, "/v1/me/totp/confirm", json!({"code": code}))
        .await;
    let confirmed = confirmed.expect(200).await;
    assert_ne!(browser.cookie, before, "another secret from now on");
    let codes = confirmed["recovery_codes"].as_array().expect("codes");
    let codes = codes
        .iter()
        .map(|code| code.as_str().expect("text").to_owned())
        .collect();
    (secret, codes)
}

async fn ticket(world: &World) -> String {
    let mut browser = Browser::default();
    let half = browser.sign_in(world, ADA, PASSWORD).await.expect(200).await;
    assert_eq!(half["status"], "second_factor_required", "{half}");
    assert_eq!(browser.cookie, None, "a password alone opens nothing");
    half["ticket"].as_str().expect("a ticket").to_owned()
}

async fn show(world: &World, ticket: &str, code: &str) -> (Browser, super::Reply) {
    let mut browser = Browser::default();
    let body = json!({"ticket": ticket, "code": code});
    let reply = browser.post(world, "/v1/sign-in/second-factor", body).await;
    (browser, reply)
}

#[tokio::test]
async fn sign_in_asks_for_a_code_and_takes_each_once() {
    let world = World::new().await;
    give_owner_a_password(&world).await;
    let mut browser = Browser::signed_in(&world, ADA, PASSWORD).await;
    let (secret, recovery) = enrol(&world, &mut browser).await;
    assert_eq!(recovery.len(), 10);
    let second = browser.post(&world, "/v1/me/totp", json!({})).await;
    second.problem("conflict").await;
    let me = browser.get(&world, "/v1/me").await.expect(200).await;
    assert_eq!(
        (&me["second_factor"], &me["recovery_codes_left"]),
        (&json!(true), &json!(10))
    );

    // The code that confirmed it is used up.
    let used = shown(&secret, world.clock.now());
    let (_, reply) = show(&world, &ticket(&world).await, &used).await;
    assert!(reply.status == 401 || shown(&secret, world.clock.now()) != used);
    tokio::time::advance(STEP * 3).await;
    let code = shown(&secret, world.clock.now());
    let first = ticket(&world).await;
    let (mut inside, reply) = show(&world, &first, &code).await;
    assert_eq!(reply.expect(200).await["status"], "signed_in");
    assert_eq!(inside.get(&world, "/v1/me").await.status, 200);
    let (_, reply) = show(&world, &first, &code).await;
    reply.problem("unauthenticated").await;
    let (_, reply) = show(&world, &ticket(&world).await, &code).await;
    reply.problem("unauthenticated").await;

    for (number, code) in recovery.iter().take(2).enumerate() {
        let ticket = ticket(&world).await;
        let typed = code.to_lowercase().replace('-', " ");
        let (_, reply) = show(&world, &ticket, &typed).await;
        assert_eq!(reply.status, 200, "recovery code {number}");
        let (_, reply) = show(&world, &super::second_factor::ticket(&world).await, code).await;
        reply.problem("unauthenticated").await;
    }
    let me = browser.get(&world, "/v1/me").await.expect(200).await;
    assert_eq!(me["recovery_codes_left"], 8);
}

#[tokio::test]
async fn guessing_codes_is_no_way_in() {
    let world = World::new().await;
    give_owner_a_password(&world).await;
    let mut browser = Browser::signed_in(&world, ADA, PASSWORD).await;
    let (secret, _) = enrol(&world, &mut browser).await;
    tokio::time::advance(STEP * 3).await;
    let first = ticket(&world).await;
    for guess in 0..5 {
        let (_, reply) = show(&world, &first, &format!("00000{guess}")).await;
        reply.problem("unauthenticated").await;
    }
    let (_, reply) = show(&world, &first, &shown(&secret, world.clock.now())).await;
    let sentence = reply.problem("unauthenticated").await;
    assert!(sentence.contains("begin again"), "{sentence}");
    // Tickets are cheap to whoever has the password, and codes get slow all the same.
    let second = ticket(&world).await;
    let third = ticket(&world).await;
    for ticket in [second, third] {
        for guess in 0..5 {
            let (_, reply) = show(&world, &ticket, &format!("00001{guess}")).await;
            reply.problem("unauthenticated").await;
        }
    }
    let (_, reply) = show(&world, &ticket(&world).await, &shown(&secret, world.clock.now())).await;
    reply.problem("unauthenticated").await;
    assert_eq!(browser.get(&world, "/v1/me").await.status, 200);
    for bad in ["", "12345", "1234567", "abcdef", &"9".repeat(10_000)] {
        let (_, reply) = show(&world, "no ticket", bad).await;
        reply.problem("unauthenticated").await;
    }
}

#[tokio::test]
async fn a_second_factor_comes_after_a_password_and_goes_with_one() {
    let world = World::new().await;
    let mut linked = Browser::default();
    let path = world.handle().sign_in_path().await.expect("a path");
    linked.get(&world, &path).await;
    let none = linked.post(&world, "/v1/me/totp", json!({})).await;
    none.problem("conflict").await;
    let none = linked
        .post(&world, "/v1/me/totp/confirm", json!({"code": "123456"}))
        .await;
    none.problem("conflict").await;
    give_owner_a_password(&world).await;
    let mut browser = Browser::signed_in(&world, ADA, PASSWORD).await;
    enrol(&world, &mut browser).await;
    tokio::time::advance(STEP * 30).await;
    for body in [json!({}), json!({"password": "not the password"})] {
        let reply = browser.post(&world, "/v1/me/totp/disable", body).await;
        reply.problem("forbidden").await;
    }
    let proof: Value = json!({"password": PASSWORD});
    let reply = browser.post(&world, "/v1/me/totp/disable", proof).await;
    assert_eq!(reply.status, 204);
    Browser::signed_in(&world, ADA, PASSWORD).await;
}
