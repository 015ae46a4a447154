//! Passkeys, with a real authenticator in software: made, shown to sign in and as a proof, renamed, removed; and
//! whoever has none, or somebody else's.

use axum::{body::Body, http::Method};
use creel_domain::{Patience, UserId};
use creel_store::NewPasskey;
use creel_testkit::{Algorithm, FakePasskey, flags};
use serde_json::{Value, json};

use super::{ADA, Browser, PASSWORD, World, give_owner_a_password, mail_to};
use crate::{
    operations::people::totp,
    tests::{Reply, orgs::owner_has_a_second_factor},
};

const QUARTER: std::time::Duration = std::time::Duration::from_secs(15 * 60);

/// A passkey of somebody's that no authenticator has; its id.
pub(in crate::tests) async fn somebodys(world: &World, user: UserId, name: &str) -> String {
    let new = NewPasskey {
        credential_id: name.as_bytes().to_vec(),
        public_key: Vec::new(),
        relying_party: "localhost".to_owned(),
        name: name.to_owned(),
        transports: Vec::new(),
        sign_count: 0,
        backup_eligible: false,
        backed_up: false,
    };
    let added = world.store().platform().add_passkey(user, new).await;
    added.expect("added").id.to_string()
}

/// Where passkeys work.
async fn place(world: &World) -> String {
    let options = Browser::default()
        .get(world, "/v1/sign-in")
        .await
        .expect(200)
        .await;
    options["passkeys_at"].as_str().expect("an origin").to_owned()
}

async fn authenticator(world: &World, algorithm: Algorithm) -> FakePasskey {
    FakePasskey::new(algorithm, &place(world).await, "localhost")
}

async fn make(world: &World, browser: &mut Browser, passkey: &mut FakePasskey) -> Value {
    let begun = browser.post(world, "/v1/me/passkeys/begin", json!({})).await;
    let begun = begun.expect(200).await;
    passkey.create(&begun["public_key"])
}

/// Adds it to whoever is signed in.
async fn add(world: &World, browser: &mut Browser, passkey: &mut FakePasskey, name: &str) -> Value {
    let credential = make(world, browser, passkey).await;
    let body = json!({"name": name, "credential": credential});
    let added = browser.post(world, "/v1/me/passkeys/finish", body).await;
    added.expect(201).await
}

async fn begin(world: &World) -> Value {
    let begun = Browser::default()
        .post(world, "/v1/sign-in/passkey/begin", json!({}))
        .await;
    begun.expect(200).await["public_key"].clone()
}

async fn finish(world: &World, credential: &Value) -> (Browser, Reply) {
    let mut browser = Browser::default();
    let body = json!({"credential": credential});
    let reply = browser.post(world, "/v1/sign-in/passkey/finish", body).await;
    (browser, reply)
}

async fn sign_in(world: &World, passkey: &mut FakePasskey) -> (Browser, Reply) {
    let options = begin(world).await;
    finish(world, &passkey.get(&options)).await
}

/// The owner, signed in by a password, with a passkey.
async fn owner_with_a_passkey(world: &World) -> (Browser, FakePasskey, String) {
    give_owner_a_password(world).await;
    let mut browser = Browser::signed_in(world, ADA, PASSWORD).await;
    let mut passkey = authenticator(world, Algorithm::Es256).await;
    let added = add(world, &mut browser, &mut passkey, "laptop").await;
    let id = added["id"].as_str().expect("an id").to_owned();
    (browser, passkey, id)
}

async fn told(world: &World) -> Vec<String> {
    let trail = world.get("/v1/audit?limit=200").await.expect(200).await;
    let entries = trail["items"].as_array().expect("items").iter().rev();
    let told = |entry: &Value| {
        format!(
            "{} {} {}",
            entry["act"]["action"].as_str().unwrap_or_default(),
            entry["act"]["result"].as_str().unwrap_or_default(),
            entry["act"]["details"]
        )
    };
    entries.map(told).collect()
}

#[tokio::test]
async fn a_passkey_signs_in_without_an_address_a_password_or_a_code() {
    let world = World::new().await;
    give_owner_a_password(&world).await;
    let mut browser = Browser::signed_in(&world, ADA, PASSWORD).await;
    let enrolment = browser
        .post(&world, "/v1/me/totp", json!({}))
        .await
        .expect(201)
        .await;
    let secret = enrolment["secret"].as_str().expect("a secret");
    let code = json!({"code": totp::shown(secret, world.clock.now())});
    browser
        .post(&world, "/v1/me/totp/confirm", code)
        .await
        .expect(200)
        .await;
    for (algorithm, name) in [
        (Algorithm::Es256, "laptop"),
        (Algorithm::Ed25519, "key"),
        (Algorithm::Rs256, "old laptop"),
    ] {
        let mut passkey = authenticator(&world, algorithm).await;
        let before = browser.cookie.clone();
        let added = add(&world, &mut browser, &mut passkey, name).await;
        assert_ne!(browser.cookie, before, "another secret from now on");
        assert_eq!(
            (&added["name"], &added["usable"], &added["relying_party"]),
            (&json!(name), &json!(true), &json!("localhost"))
        );
        let (mut inside, reply) = sign_in(&world, &mut passkey).await;
        assert_eq!(reply.expect(200).await["status"], "signed_in");
        let me = inside.get(&world, "/v1/me").await.expect(200).await;
        assert_eq!((&me["email"], &me["second_factor"]), (&json!(ADA), &json!(true)));
        // It is a sign-in of just now: no password is asked for.
        let more = inside.post(&world, "/v1/me/passkeys/begin", json!({})).await;
        let excluded = more.expect(200).await["public_key"]["excludeCredentials"].clone();
        assert_eq!(
            excluded.as_array().map(Vec::len),
            me["passkeys"].as_u64().map(|n| n as usize)
        );
    }
    let list = browser.get(&world, "/v1/me/passkeys").await.expect(200).await;
    let names: Vec<_> = list["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|one| &one["name"])
        .collect();
    assert_eq!(names, ["laptop", "key", "old laptop"]);
    assert!(list["items"][0]["last_used_at"].is_string());
    let mail = mail_to(&world, ADA, 3).await;
    assert!(mail.contains("A passkey was added"), "{mail}");
}

#[tokio::test]
async fn whatever_is_not_good_has_one_answer() {
    let world = World::new().await;
    let (_, mut passkey, _) = owner_with_a_passkey(&world).await;
    let origin = passkey.origin.clone();
    let mut seen = Vec::new();
    let mut note = async |what: &str, reply: Reply| {
        let headers: Vec<String> = reply.headers.keys().map(ToString::to_string).collect();
        let status = reply.status;
        let sentence = reply.problem("unauthenticated").await;
        seen.push((what.to_owned(), (status, headers, sentence)));
    };
    let mut stranger = FakePasskey::new(Algorithm::Es256, &origin, "localhost");
    stranger.user_handle = Some(vec![1; 16]);
    note("an unknown one", sign_in(&world, &mut stranger).await.1).await;
    stranger.id = passkey.id.clone();
    stranger.user_handle = passkey.user_handle.clone();
    note("another key", sign_in(&world, &mut stranger).await.1).await;
    for (what, lie) in [
        (
            "another origin",
            (|it| it.origin = "https://evil.example".to_owned()) as fn(&mut FakePasskey),
        ),
        ("another port", |it| it.origin = "http://localhost:1".to_owned()),
        ("another domain", |it| {
            it.relying_party = "evil.example".to_owned()
        }),
        ("in a frame", |it| it.cross_origin = true),
        ("another ceremony", |it| it.ceremony = Some("webauthn.create")),
        ("nobody verified", |it| it.flags = flags::USER_PRESENT),
        ("nobody there", |it| it.flags = flags::USER_VERIFIED),
        ("another backup", |it| it.flags |= flags::BACKUP_ELIGIBLE),
        ("no user", |it| it.user_handle = None),
        ("another user", |it| it.user_handle = Some(vec![1; 16])),
    ] {
        let (honest_flags, honest_handle) = (passkey.flags, passkey.user_handle.clone());
        lie(&mut passkey);
        note(what, sign_in(&world, &mut passkey).await.1).await;
        (passkey.origin, passkey.relying_party) = (origin.clone(), "localhost".to_owned());
        (passkey.cross_origin, passkey.ceremony) = (false, None);
        (passkey.flags, passkey.user_handle) = (honest_flags, honest_handle);
    }
    let made_up = json!({"challenge": "A".repeat(43)});
    note(
        "a challenge of its own",
        finish(&world, &passkey.get(&made_up)).await.1,
    )
    .await;
    let options = begin(&world).await;
    let credential = passkey.get(&options);
    assert_eq!(finish(&world, &credential).await.1.status, 200);
    note("the same again", finish(&world, &credential).await.1).await;
    let options = begin(&world).await;
    let late = passkey.get(&options);
    tokio::time::advance(std::time::Duration::from_secs(300)).await;
    note("too late", finish(&world, &late).await.1).await;
    for (what, answer) in &seen {
        assert_eq!(answer, &seen[0].1, "{what}");
    }
    assert_eq!(
        sign_in(&world, &mut passkey).await.1.status,
        200,
        "the honest one goes on"
    );
}

#[tokio::test]
async fn what_is_no_credential_is_refused_by_its_form() {
    let world = World::new().await;
    let (mut browser, mut passkey, _) = owner_with_a_passkey(&world).await;
    let good = passkey.get(&begin(&world).await);
    for (place, value) in [
        ("/id", json!("")),
        ("/id", json!("not base64url!")),
        ("/id", json!("A".repeat(1400))),
        ("/type", json!("password")),
        ("/response/clientDataJSON", json!("===")),
        ("/response/authenticatorData", json!("A".repeat(30_000))),
        ("/response/signature", json!(7)),
        ("/response/userHandle", json!("+/")),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(place).expect("a field") = value;
        finish(&world, &bad).await.1.problem("invalid_request").await;
    }
    for body in [
        json!({}),
        json!({"credential": {}}),
        json!({"credential": good, "more": 1}),
    ] {
        let reply = browser.post(&world, "/v1/sign-in/passkey/finish", body).await;
        reply.problem("invalid_request").await;
    }
    // The challenge was not used up by any of it.
    assert_eq!(finish(&world, &good).await.1.status, 200);
}

#[tokio::test]
async fn of_64_who_finish_one_challenge_at_once_one_gets_in() {
    let world = World::new().await;
    let (_, mut passkey, _) = owner_with_a_passkey(&world).await;
    passkey.count = None;
    let credential = passkey.get(&begin(&world).await);
    let all = (0..64).map(|_| finish(&world, &credential));
    let replies = futures_util::future::join_all(all).await;
    let inside = replies
        .iter()
        .filter(|(browser, _)| browser.cookie.is_some())
        .count();
    assert_eq!(inside, 1);
    for (_, reply) in replies {
        assert!(reply.status == 200 || reply.status == 401, "{}", reply.status);
    }
}

#[tokio::test]
async fn a_counter_that_goes_back_is_refused_and_told() {
    let world = World::new().await;
    let (_, mut passkey, _) = owner_with_a_passkey(&world).await;
    passkey.count = Some(10);
    assert_eq!(sign_in(&world, &mut passkey).await.1.status, 200);
    for count in [10, 3, 0] {
        passkey.count = Some(count);
        let sentence = sign_in(&world, &mut passkey)
            .await
            .1
            .problem("unauthenticated")
            .await;
        assert!(sentence.contains("a copy of it"), "{sentence}");
    }
    let told = told(&world).await;
    let refused = told
        .iter()
        .filter(|one| one.starts_with("passkey.use refused"))
        .count();
    assert_eq!(refused, 3, "{told:#?}");
    passkey.count = Some(11);
    assert_eq!(sign_in(&world, &mut passkey).await.1.status, 200);
}

#[tokio::test]
async fn what_matters_needs_a_proof_and_a_passkey_is_one() {
    let world = World::new().await;
    let (mut browser, mut passkey, id) = owner_with_a_passkey(&world).await;
    tokio::time::advance(QUARTER).await;
    let remove = format!("/v1/me/passkeys/{id}/remove");
    for path in ["/v1/me/passkeys/begin", remove.as_str(), "/v1/me/totp"] {
        let reply = browser.post(&world, path, json!({})).await;
        let sentence = reply.problem("forbidden").await;
        assert!(sentence.contains("passkey once more"), "{sentence}");
    }
    let wrong = json!({"password": "not the password"});
    let reply = browser.post(&world, "/v1/me/passkeys/begin", wrong).await;
    reply.problem("forbidden").await;
    let right = json!({"password": PASSWORD});
    let reply = browser.post(&world, "/v1/me/passkeys/begin", right).await;
    assert_eq!(reply.status, 200);

    let begun = browser
        .post(&world, "/v1/me/proof/passkey/begin", json!({}))
        .await;
    let options = begun.expect(200).await["public_key"].clone();
    assert_eq!(options["allowCredentials"].as_array().map(Vec::len), Some(1));
    // Neither a sign-in's challenge proves anything, nor does a proof's sign in, nor is it another user's.
    let credential = passkey.get(&options);
    finish(&world, &credential)
        .await
        .1
        .problem("unauthenticated")
        .await;
    let for_sign_in = json!({"credential": passkey.get(&begin(&world).await)});
    let reply = browser
        .post(&world, "/v1/me/proof/passkey/finish", for_sign_in)
        .await;
    reply.problem("forbidden").await;
    let before = browser.cookie.clone();
    let body = json!({"credential": passkey.get(&options)});
    let reply = browser
        .post(&world, "/v1/me/proof/passkey/finish", body.clone())
        .await;
    assert_eq!(reply.status, 204);
    assert_ne!(browser.cookie, before, "it may do more, under another secret");
    let again = browser.post(&world, "/v1/me/proof/passkey/finish", body).await;
    again.problem("forbidden").await;
    let reply = browser.post(&world, "/v1/me/totp", json!({})).await;
    assert_eq!(reply.status, 201);

    // A token has nobody in front of it.
    let reply = world.post("/v1/me/proof/passkey/begin", json!({})).await;
    reply.problem("invalid_request").await;
    let reply = world.post("/v1/me/passkeys/begin", json!({})).await;
    reply.problem("forbidden").await;
}

#[tokio::test]
async fn whoever_has_a_passkey_and_no_password_shows_the_passkey() {
    let world = World::new().await;
    let mut linked = Browser::default();
    let path = world.handle().sign_in_path().await.expect("a path");
    linked.get(&world, &path).await;
    // Nothing to show yet.
    let mut passkey = authenticator(&world, Algorithm::Es256).await;
    let id = add(&world, &mut linked, &mut passkey, "laptop").await["id"].clone();
    let id = id.as_str().expect("an id");
    let set = json!({"new": PASSWORD});
    let reply = linked.put(&world, "/v1/me/password", set.clone()).await;
    let sentence = reply.problem("forbidden").await;
    assert_eq!(sentence, "This needs your passkey once more.");
    let reply = linked
        .put(
            &world,
            "/v1/me/password",
            json!({"new": PASSWORD, "current": "what there is not"}),
        )
        .await;
    reply.problem("forbidden").await;

    let (mut inside, reply) = sign_in(&world, &mut passkey).await;
    assert_eq!(reply.status, 200);
    let remove = format!("/v1/me/passkeys/{id}/remove");
    let last = inside.post(&world, &remove, json!({})).await;
    let sentence = last.problem("conflict").await;
    assert!(sentence.contains("only way in"), "{sentence}");
    assert_eq!(inside.put(&world, "/v1/me/password", set).await.status, 204);
    let last = inside.post(&world, &remove, json!({})).await;
    last.problem("conflict").await;
    let email = inside.put(&world, "/v1/me/email", json!({"email": ADA})).await;
    assert_eq!(email.status, 202);
    assert_eq!(inside.post(&world, &remove, json!({})).await.status, 204);
    assert_eq!(
        inside.get(&world, "/v1/me").await.status,
        200,
        "it ends nothing else"
    );
    assert_eq!(linked.get(&world, "/v1/me").await.status, 401, "the password did");
    sign_in(&world, &mut passkey)
        .await
        .1
        .problem("unauthenticated")
        .await;
}

#[tokio::test]
async fn names_and_numbers_are_bounded_and_each_is_added_once() {
    let world = World::new().await;
    let (mut browser, mut passkey, id) = owner_with_a_passkey(&world).await;
    let path = format!("/v1/me/passkeys/{id}");
    for bad in [String::new(), "x".repeat(101), "two\nlines".to_owned()] {
        let reply = browser
            .ask(&world, Method::PATCH, &path, json!({"name": bad}))
            .await;
        reply.problem("invalid_request").await;
    }
    let renamed = browser
        .ask(&world, Method::PATCH, &path, json!({"name": "ü".repeat(100)}))
        .await;
    assert_eq!(renamed.expect(200).await["name"], "ü".repeat(100));

    // The same credential again, and one whose answer was lost.
    let credential = make(&world, &mut browser, &mut passkey).await;
    let body = json!({"name": "again", "credential": credential});
    for code in ["conflict", "conflict"] {
        let reply = browser.post(&world, "/v1/me/passkeys/finish", body.clone()).await;
        reply.problem(code).await;
    }
    // Another id outside than inside.
    let mut other = authenticator(&world, Algorithm::Es256).await;
    let mut credential = make(&world, &mut browser, &mut other).await;
    credential["id"] = json!("AAAA");
    let body = json!({"name": "other", "credential": credential});
    let reply = browser.post(&world, "/v1/me/passkeys/finish", body).await;
    reply.problem("invalid_request").await;
    // Nobody was verified.
    other.flags = flags::USER_PRESENT;
    let credential = make(&world, &mut browser, &mut other).await;
    let body = json!({"name": "other", "credential": credential});
    let reply = browser.post(&world, "/v1/me/passkeys/finish", body).await;
    let sentence = reply.problem("invalid_request").await;
    assert!(sentence.contains("PIN"), "{sentence}");

    let me = browser.get(&world, "/v1/me").await.expect(200).await;
    assert_eq!(me["passkeys"], 1);
    let user: UserId = me["user"].as_str().expect("an id").parse().expect("an id");
    for number in 1..20 {
        somebodys(&world, user, &format!("number {number}")).await;
    }
    let full = browser.post(&world, "/v1/me/passkeys/begin", json!({})).await;
    full.problem("limit_reached").await;
}

#[tokio::test]
async fn another_users_challenge_and_passkey_are_of_no_use() {
    let world = World::new().await;
    let (mut owner, mut theirs, _) = owner_with_a_passkey(&world).await;
    let invited = world.post("/v1/invitations", json!({"role": "admin"})).await;
    let accept = json!({"name": "Bob", "code": invited.expect(201).await["code"]});
    let joined = world
        .post_as("", "/v1/invitations/accept", accept)
        .await
        .expect(201)
        .await;
    let bob = joined["secret"].as_str().expect("a token").to_owned();
    let begun = world.post_as(&bob, "/v1/me/passkeys/begin", json!({})).await;
    let options = begun.expect(200).await["public_key"].clone();
    let mut bobs = authenticator(&world, Algorithm::Es256).await;
    let body = json!({"name": "planted", "credential": bobs.create(&options)});
    let planted = owner.post(&world, "/v1/me/passkeys/finish", body.clone()).await;
    planted.problem("conflict").await;
    let added = world
        .post_as(&bob, "/v1/me/passkeys/finish", body)
        .await
        .expect(201)
        .await;

    // Bob signs for the owner's proof.
    let begun = owner.post(&world, "/v1/me/proof/passkey/begin", json!({})).await;
    let options = begun.expect(200).await["public_key"].clone();
    let body = json!({"credential": bobs.get(&options)});
    let reply = owner.post(&world, "/v1/me/proof/passkey/finish", body).await;
    reply.problem("forbidden").await;

    // Removed from the org, Bob is let in nowhere; in a suspended one he is told so.
    let member = joined["user"].as_str().expect("an id");
    assert_eq!(sign_in(&world, &mut bobs).await.1.status, 200);
    world.delete(&format!("/v1/members/{member}")).await;
    sign_in(&world, &mut bobs).await.1.problem("forbidden").await;
    assert!(added["id"].is_string());
    assert_eq!(sign_in(&world, &mut theirs).await.1.status, 200);
}

#[tokio::test]
async fn in_a_suspended_org_a_passkey_does_no_more_than_a_password() {
    let world = World::new().await;
    let made = world.store().platform().create_org("tenant".into()).await;
    let (org, user) = made.expect("an org");
    let link = crate::operations::sign_in::link_for(
        &world.running().control,
        org,
        user,
        std::sync::Arc::new(creel_domain::Actor::platform()),
    );
    let mut browser = Browser::default();
    browser.get(&world, &link.await.expect("a link").path).await;
    let mut passkey = authenticator(&world, Algorithm::Ed25519).await;
    add(&world, &mut browser, &mut passkey, "laptop").await;
    owner_has_a_second_factor(&world).await;
    let reply = world.post(&format!("/v1/orgs/{org}/suspend"), json!({})).await;
    assert_eq!(reply.status, 204);
    let (mut inside, reply) = sign_in(&world, &mut passkey).await;
    assert_eq!(reply.status, 200);
    inside
        .get(&world, "/v1/agents")
        .await
        .problem("org_suspended")
        .await;
    inside
        .get(&world, "/v1/me/passkeys")
        .await
        .problem("org_suspended")
        .await;
}

#[tokio::test]
async fn trying_from_one_network_gets_slow_and_locks_nobody_else_out() {
    let world = World::new().await;
    let (_, mut passkey, _) = owner_with_a_passkey(&world).await;
    let from = async |address: &str, credential: &Value| {
        let request = axum::http::Request::post("/v1/sign-in/passkey/finish")
            .header("content-type", "application/json")
            .header("x-forwarded-for", address)
            .extension(creel_daemon::Peer::Tcp(([127, 0, 0, 1], 9).into()))
            .body(Body::from(json!({"credential": credential}).to_string()));
        world.send(request.expect("a request")).await
    };
    let forged = passkey.get(&json!({"challenge": "A".repeat(43)}));
    for _ in 0..=Patience::ADDRESS.free {
        from("203.0.113.7", &forged)
            .await
            .problem("unauthenticated")
            .await;
    }
    let options = begin(&world).await;
    let good = passkey.get(&options);
    from("203.0.113.7", &good).await.problem("unauthenticated").await;
    assert_eq!(from("203.0.113.8", &good).await.status, 200, "another network");
}

#[tokio::test]
async fn where_there_is_no_name_there_are_no_passkeys() {
    let mut world = World::new().await;
    world.kill().await;
    world.people.public_url = Some("https://192.0.2.7".parse().expect("an address"));
    world.start().await;
    let options = Browser::default()
        .get(&world, "/v1/sign-in")
        .await
        .expect(200)
        .await;
    assert_eq!(options["passkeys_at"], Value::Null);
    for path in ["/v1/sign-in/passkey/begin", "/v1/me/passkeys/begin"] {
        let sentence = world.post(path, json!({})).await.problem("conflict").await;
        assert!(sentence.contains("--public-url"), "{sentence}");
    }
    // Passkeys that were made for another name are shown, and are of no use.
    let user = world.get("/v1/whoami").await.expect(200).await["user"].clone();
    let user = user.as_str().expect("an id").parse().expect("an id");
    somebodys(&world, user, "from before").await;
    let list = world.get("/v1/me/passkeys").await.expect(200).await;
    assert_eq!(list["items"][0]["usable"], false);
    world.kill().await;
    world.people.public_url = Some("https://Creel.example.com:443".parse().expect("an address"));
    world.start().await;
    assert_eq!(place(&world).await, "https://creel.example.com");
}

#[tokio::test]
async fn what_is_done_with_a_passkey_is_told() {
    let world = World::new().await;
    let (mut browser, mut passkey, id) = owner_with_a_passkey(&world).await;
    assert_eq!(sign_in(&world, &mut passkey).await.1.status, 200);
    let begun = browser
        .post(&world, "/v1/me/proof/passkey/begin", json!({}))
        .await;
    let options = begun.expect(200).await["public_key"].clone();
    let body = json!({"credential": passkey.get(&options)});
    browser.post(&world, "/v1/me/proof/passkey/finish", body).await;
    passkey.flags = flags::USER_PRESENT;
    sign_in(&world, &mut passkey)
        .await
        .1
        .problem("unauthenticated")
        .await;
    let details = |more: &str| format!("{{{more}\"name\":\"laptop\",\"passkey\":\"{id}\"}}");
    let expected = [
        format!("passkey.add done {}", details("")),
        format!("passkey.use done {}", details("\"for\":\"sign_in\",")),
        "sign_in done {}".to_owned(),
        format!("passkey.use done {}", details("\"for\":\"prove\",")),
        "sign_in refused {\"with\":\"passkey\"}".to_owned(),
    ];
    super::wait("all of it to be told", || async {
        let told = told(&world).await;
        let mut rest = told.iter();
        let all = expected.iter().all(|one| rest.any(|told| told == one));
        (all, format!("{told:#?}"))
    })
    .await;
}

#[tokio::test]
async fn an_operator_with_passkeys_and_no_password_has_two_factors() {
    let world = World::new().await;
    let mut linked = Browser::default();
    let path = world.handle().sign_in_path().await.expect("a path");
    linked.get(&world, &path).await;
    linked.get(&world, "/v1/orgs").await.problem("forbidden").await;
    let mut passkey = authenticator(&world, Algorithm::Es256).await;
    add(&world, &mut linked, &mut passkey, "laptop").await;
    // By a link nobody has shown who they are.
    linked.get(&world, "/v1/orgs").await.problem("forbidden").await;
    let (mut inside, _) = sign_in(&world, &mut passkey).await;
    let operators = inside.get(&world, "/v1/operators").await.expect(200).await;
    assert_eq!(operators["items"][0]["second_factor"], true);
    // A password lets somebody in by itself, until a code is asked for after it.
    let set = json!({"new": PASSWORD});
    assert_eq!(inside.put(&world, "/v1/me/password", set).await.status, 204);
    inside.get(&world, "/v1/orgs").await.problem("forbidden").await;
    owner_has_a_second_factor(&world).await;
    assert_eq!(inside.get(&world, "/v1/orgs").await.status, 200);
}
