//! Signing in with a password, and what guessing comes to.

use axum::http::Method;
use creel_domain::Patience;
use serde_json::json;

use super::{ADA, Browser, PASSWORD, World, all_sent, code, give_owner_a_password, mail_to};

#[tokio::test]
async fn the_owner_of_a_new_installation_sets_a_password_and_signs_in_with_it() {
    let world = World::new().await;
    // As the page does that the one-time link opens.
    let path = world.handle().sign_in_path().await.expect("a path");
    let mut browser = Browser::default();
    assert_eq!(browser.get(&world, &path).await.status, 303);
    let me = browser.get(&world, "/v1/me").await.expect(200).await;
    assert_eq!(
        (&me["password"], &me["second_factor"]),
        (&json!(false), &json!(false))
    );
    let reply = browser
        .put(&world, "/v1/me/email", json!({"email": " Ada@Example.com "}))
        .await;
    assert_eq!(reply.status, 202);
    let before = browser.cookie.clone();
    let reply = browser
        .put(&world, "/v1/me/password", json!({"new": PASSWORD}))
        .await;
    assert_eq!(reply.status, 204);
    assert_ne!(browser.cookie, before, "another secret with another password");
    let me = browser.get(&world, "/v1/me").await.expect(200).await;
    assert_eq!(
        (&me["email"], &me["email_verified"], &me["password"]),
        (&json!(ADA), &json!(false), &json!(true))
    );
    let mail = mail_to(&world, ADA, 1).await;
    let verify = json!({"code": code(&mail, "verify")});
    let reply = browser.post(&world, "/v1/verify-email", verify.clone()).await;
    assert_eq!(reply.status, 204);
    let again = browser.post(&world, "/v1/verify-email", verify).await;
    again.problem("not_found").await;

    let mut other = Browser::signed_in(&world, "ADA@example.com", PASSWORD).await;
    let me = other.get(&world, "/v1/me").await.expect(200).await;
    assert_eq!(
        (&me["email_verified"], &me["orgs"][0]["name"]),
        (&json!(true), &json!("default"))
    );
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_address_cost_the_same_and_are_told_the_same() {
    let world = World::new().await;
    give_owner_a_password(&world).await;
    let platform = world.store().platform();
    let (_, user) = platform.create_org("other".into()).await.expect("made");
    let no_password = "bob@example.com".parse().expect("an address");
    platform.set_email(user, no_password, true).await.expect("set");
    let passwords = &world.running().control.passwords;
    let mut seen = Vec::new();
    for email in [ADA, "bob@example.com", "nobody@example.com"] {
        let before = passwords.runs();
        let reply = Browser::default()
            .sign_in(&world, email, "not the password")
            .await;
        let headers: Vec<String> = reply.headers.keys().map(ToString::to_string).collect();
        let status = reply.status;
        let sentence = reply.problem("unauthenticated").await;
        seen.push((passwords.runs() - before, status, headers, sentence));
    }
    assert_eq!(seen[0].0, 1, "one run of Argon2");
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0], seen[2]);
}

#[tokio::test]
async fn guessing_gets_slow_and_disturbs_nobody_who_is_in() {
    let world = World::new().await;
    give_owner_a_password(&world).await;
    let mut browser = Browser::signed_in(&world, ADA, PASSWORD).await;
    let mut sentences = std::collections::BTreeSet::new();
    for email in [ADA, "nobody@example.com"] {
        for _ in 0..=Patience::ACCOUNT.free {
            let reply = Browser::default().sign_in(&world, email, "a guess of mine").await;
            sentences.insert(reply.problem("unauthenticated").await);
        }
    }
    let runs = || world.running().control.passwords.runs();
    let before = runs();
    for (email, password) in [
        (ADA, PASSWORD),
        (ADA, "a guess"),
        ("nobody@example.com", "a guess"),
    ] {
        let reply = Browser::default().sign_in(&world, email, password).await;
        sentences.insert(reply.problem("unauthenticated").await);
    }
    assert_eq!(runs(), before, "who has to wait costs no core, known or unknown");
    assert_eq!(sentences.len(), 1, "one sentence for all of it: {sentences:?}");
    assert_eq!(browser.get(&world, "/v1/whoami").await.status, 200);
    let current = json!({"current": PASSWORD, "new": "another one, quite long"});
    let reply = browser.put(&world, "/v1/me/password", current).await;
    assert_eq!(reply.status, 204, "a stranger holds up nobody's own changes");

    // A mail unlocks at once.
    all_sent(&world).await;
    let count = super::mails_to(&world, ADA).len();
    let reply = browser
        .post(&world, "/v1/password-resets", json!({"email": ADA}))
        .await;
    assert_eq!(reply.status, 202);
    let mail = mail_to(&world, ADA, count + 1).await;
    let body = json!({"code": code(&mail, "reset"), "password": "yet another, quite long"});
    let reply = browser.post(&world, "/v1/password-resets/confirm", body).await;
    assert_eq!(reply.status, 204);
    Browser::signed_in(&world, ADA, "yet another, quite long").await;
}

#[tokio::test]
async fn after_the_wait_the_right_password_is_let_in_and_all_is_forgotten() {
    let world = World::new().await;
    give_owner_a_password(&world).await;
    for _ in 0..=Patience::ACCOUNT.free {
        let reply = Browser::default().sign_in(&world, ADA, "a guess of mine").await;
        reply.problem("unauthenticated").await;
    }
    tokio::time::advance(Patience::ACCOUNT.most.unsigned_abs()).await;
    Browser::signed_in(&world, ADA, PASSWORD).await;
    for _ in 0..Patience::ACCOUNT.free {
        let reply = Browser::default().sign_in(&world, ADA, "a guess of mine").await;
        reply.problem("unauthenticated").await;
    }
    Browser::signed_in(&world, ADA, PASSWORD).await;
}

#[tokio::test]
async fn guesses_at_many_accounts_from_one_address_get_slow_as_well() {
    let world = World::new().await;
    give_owner_a_password(&world).await;
    let from = |address: &'static str| {
        let world = &world;
        async move |email: &str, password: &str| {
            let body = json!({"email": email, "password": password});
            let headers = [("x-forwarded-for", address)];
            let peer = creel_daemon::Peer::Tcp(([127, 0, 0, 1], 9).into());
            let mut request =
                axum::http::Request::post("/v1/sign-in").header("content-type", "application/json");
            for (name, value) in headers {
                request = request.header(name, value);
            }
            let request = request
                .extension(peer)
                .body(axum::body::Body::from(body.to_string()));
            world.send(request.expect("a request")).await
        }
    };
    let attacker = from("203.0.113.7");
    for each in 0..=Patience::ADDRESS.free {
        let reply = attacker(&format!("p{each}@example.com"), "a guess of mine").await;
        reply.problem("unauthenticated").await;
    }
    attacker(ADA, PASSWORD).await.problem("unauthenticated").await;
    let reply = from("203.0.113.8")(ADA, PASSWORD).await;
    assert_eq!(reply.status, 200, "another address");
}

#[tokio::test]
async fn a_program_gets_a_token_with_an_end_and_no_cookie() {
    let world = World::new().await;
    give_owner_a_password(&world).await;
    let body = |token| json!({"email": ADA, "password": PASSWORD, "token": token});
    let wanted = json!({"name": "laptop", "expires_in_seconds": 86_400});
    let reply = Browser::default().post(&world, "/v1/sign-in", body(wanted)).await;
    assert_eq!(reply.header("set-cookie"), "");
    let signed_in = reply.expect(200).await;
    let secret = signed_in["secret"].as_str().expect("a secret");
    let request = axum::http::Request::get("/v1/tokens").header("authorization", format!("Bearer {secret}"));
    let request = request.body(axum::body::Body::empty()).expect("a request");
    let tokens = world.send(request).await.expect(200).await;
    let names: Vec<_> = tokens["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|token| (token["name"].clone(), token["expires_at"].is_string()))
        .collect();
    assert!(names.contains(&(json!("laptop"), true)), "{names:?}");
    for wrong in [
        json!({"name": "x", "expires_in_seconds": 59}),
        json!({"name": "x", "expires_in_seconds": 400 * 86_400}),
        json!({"name": "", "expires_in_seconds": 3600}),
        json!({"name": "x"}),
    ] {
        let reply = Browser::default().post(&world, "/v1/sign-in", body(wrong)).await;
        reply.problem("invalid_request").await;
    }
}

#[tokio::test]
async fn a_password_of_old_parameters_is_hashed_anew_at_sign_in() {
    let world = World::new().await;
    give_owner_a_password(&world).await;
    let platform = world.store().platform();
    let person = async || {
        let email = ADA.parse().expect("an address");
        platform
            .person_by_email(email)
            .await
            .expect("looked")
            .expect("there")
    };
    let cheap = crate::passwords::Cost {
        memory_kib: 16,
        passes: 2,
        lanes: 1,
    };
    let old = crate::passwords::Passwords::new(cheap)
        .hash(PASSWORD)
        .await
        .expect("hashed");
    platform
        .set_password(person().await.user, old, None)
        .await
        .expect("set");
    let wrong = Browser::default().sign_in(&world, ADA, "not the password").await;
    wrong.problem("unauthenticated").await;
    assert_eq!(person().await.password, Some(old));
    Browser::signed_in(&world, ADA, PASSWORD).await;
    let new = person().await.password.expect("a password");
    assert_eq!((new.memory_kib, new.passes), (8, 1));
    Browser::signed_in(&world, ADA, PASSWORD).await;
}

#[tokio::test]
async fn changing_the_password_needs_the_old_one_or_a_sign_in_of_just_now() {
    let world = World::new().await;
    give_owner_a_password(&world).await;
    let mut browser = Browser::signed_in(&world, ADA, PASSWORD).await;
    let mut other = Browser::signed_in(&world, ADA, PASSWORD).await;
    let new = "another one, quite long";
    let reply = browser.put(&world, "/v1/me/password", json!({"new": new})).await;
    assert_eq!(reply.status, 204, "signed in just now");
    other.get(&world, "/v1/me").await.problem("unauthenticated").await;
    assert_eq!(browser.get(&world, "/v1/me").await.status, 200);
    tokio::time::advance(std::time::Duration::from_secs(15 * 60)).await;
    for body in [
        json!({"new": PASSWORD}),
        json!({"new": PASSWORD, "current": PASSWORD}),
        json!({"new": PASSWORD, "current": "x".repeat(10_000)}),
    ] {
        let reply = browser.put(&world, "/v1/me/password", body).await;
        reply.problem("forbidden").await;
    }
    // A token is no proof either, nor the link that it could make.
    let headers = [("content-type", "application/json")];
    let body = json!({"new": PASSWORD}).to_string();
    let reply = world.ask("PUT", "/v1/me/password", &headers, body).await;
    reply.problem("forbidden").await;
    let link = world.post("/v1/sign-in-links", json!({})).await.expect(201).await;
    let mut linked = Browser::default();
    linked.get(&world, link["path"].as_str().expect("a path")).await;
    let reply = linked
        .put(&world, "/v1/me/password", json!({"new": PASSWORD}))
        .await;
    reply.problem("forbidden").await;
    let body = json!({"new": PASSWORD, "current": new});
    assert_eq!(browser.put(&world, "/v1/me/password", body).await.status, 204);
    for weak in ["short", "password1234", "ada@example.com"] {
        let reply = browser.put(&world, "/v1/me/password", json!({"new": weak})).await;
        let sentence = reply.problem("invalid_request").await;
        assert!(sentence.starts_with("`password`"), "{sentence}");
    }
}

#[tokio::test]
async fn what_is_no_sign_in_is_refused_by_name() {
    let world = World::new().await;
    for (body, part) in [
        (json!({}), "`email`"),
        (json!({"email": ADA}), "`password`"),
        (json!({"email": "ada", "password": "x"}), "e-mail address"),
        (
            json!({"email": "a@b\r\nBcc: x@y", "password": "x"}),
            "e-mail address",
        ),
        (json!({"email": ADA, "password": 7}), "`password`"),
        (json!({"email": ADA, "password": "x", "org": "acme"}), "`org`"),
        (json!({"email": ADA, "password": "x", "colour": 1}), "`colour`"),
    ] {
        let reply = Browser::default().post(&world, "/v1/sign-in", body).await;
        let sentence = reply.problem("invalid_request").await;
        assert!(sentence.contains(part), "{sentence}");
    }
    let long = json!({"email": ADA, "password": "x".repeat(100_000)});
    let reply = Browser::default().post(&world, "/v1/sign-in", long).await;
    reply.problem("unauthenticated").await;
    assert_eq!(world.running().control.passwords.runs(), 0);
    for path in [
        "/v1/sign-in/second-factor",
        "/v1/sign-up",
        "/v1/sign-up/confirm",
        "/v1/password-resets",
        "/v1/password-resets/confirm",
        "/v1/verify-email",
    ] {
        let mut browser = Browser::default();
        browser
            .post(&world, path, json!({}))
            .await
            .problem("invalid_request")
            .await;
        browser
            .post(&world, path, json!([]))
            .await
            .problem("invalid_request")
            .await;
        let reply = browser.ask(&world, Method::GET, path, json!({})).await;
        reply.problem("method_not_allowed").await;
    }
    for (path, body) in [
        ("/v1/verify-email", json!({"code": "x".repeat(100_000)})),
        ("/v1/verify-email", json!({"code": ""})),
        (
            "/v1/password-resets/confirm",
            json!({"code": "wrong", "password": PASSWORD}),
        ),
        (
            "/v1/sign-up/confirm",
            json!({"code": "wrong", "password": PASSWORD, "name": "Ada"}),
        ),
    ] {
        let reply = Browser::default().post(&world, path, body).await;
        reply.problem("not_found").await;
    }
    assert_eq!(
        world.running().control.passwords.runs(),
        0,
        "a wrong code costs no core"
    );
}
