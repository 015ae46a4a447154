//! Signing up, choosing a new password, confirming an address: all by a mail.

use creel_api::SignUpMode;
use creel_domain::Patience;
use serde_json::{Value, json};

use super::{ADA, Browser, PASSWORD, World, all_sent, code, give_owner_a_password, mail_to, mails_to};
use crate::People;

const BOB: &str = "bob@example.com";

async fn world(sign_up: SignUpMode) -> World {
    let mut world = World::new().await;
    world.kill().await;
    world.people = People {
        sign_up,
        ..People::default()
    };
    world.start().await;
    world
}

async fn invite(world: &World, body: Value) -> Value {
    world.post("/v1/invitations", body).await.expect(201).await
}

fn confirm(code: &str, name: &str) -> Value {
    json!({"code": code, "name": name, "password": PASSWORD})
}

#[tokio::test]
async fn where_anybody_may_sign_up_one_gets_an_org_of_ones_own() {
    let world = world(SignUpMode::Open).await;
    let mut browser = Browser::default();
    let options = browser.get(&world, "/v1/sign-in").await.expect(200).await;
    assert_eq!(
        (&options["sign_up"], &options["providers"]),
        (&json!("open"), &json!([]))
    );
    let reply = browser.post(&world, "/v1/sign-up", json!({"email": BOB})).await;
    assert_eq!(reply.status, 202);
    let code = code(&mail_to(&world, BOB, 1).await, "sign-up");
    for (body, part) in [
        (
            json!({"code": code, "name": "Bob", "password": "short"}),
            "12 characters",
        ),
        (
            json!({"code": code, "name": "Bob", "password": "bob@example.com"}),
            "guess",
        ),
        (json!({"code": code, "name": "", "password": PASSWORD}), "`name`"),
    ] {
        let reply = browser.post(&world, "/v1/sign-up/confirm", body).await;
        let sentence = reply.problem("invalid_request").await;
        assert!(sentence.contains(part), "{sentence}");
    }
    let done = browser
        .post(&world, "/v1/sign-up/confirm", confirm(&code, "Bob"))
        .await;
    let done = done.expect(201).await;
    assert_eq!(
        (&done["org_name"], &done["role"]),
        (&json!("Bob's org"), &json!("owner"))
    );
    let me = browser.get(&world, "/v1/me").await.expect(200).await;
    assert_eq!((&me["email"], &me["email_verified"]), (&json!(BOB), &json!(true)));
    assert_eq!(
        browser.get(&world, "/v1/agents").await.expect(200).await["items"],
        json!([])
    );
    let again = browser
        .post(&world, "/v1/sign-up/confirm", confirm(&code, "Bob"))
        .await;
    again.problem("not_found").await;
    Browser::signed_in(&world, BOB, PASSWORD).await;
}

#[tokio::test]
async fn a_known_address_gets_the_same_answer_and_another_mail() {
    let world = world(SignUpMode::Open).await;
    give_owner_a_password(&world).await;
    all_sent(&world).await;
    let count = mails_to(&world, ADA).len();
    let mut seen = Vec::new();
    for (path, email) in [
        ("/v1/sign-up", ADA),
        ("/v1/sign-up", "new@example.com"),
        ("/v1/password-resets", ADA),
        ("/v1/password-resets", "nobody@example.com"),
    ] {
        let passwords = &world.running().control.passwords;
        let before = passwords.runs();
        let reply = Browser::default()
            .post(&world, path, json!({"email": email}))
            .await;
        let headers: Vec<String> = reply.headers.keys().map(ToString::to_string).collect();
        let status = reply.status;
        let body = reply.text().await;
        seen.push((passwords.runs() - before, status, headers, body));
    }
    assert!(seen.iter().all(|one| *one == seen[0]), "{seen:?}");
    all_sent(&world).await;
    let mails = mails_to(&world, ADA);
    assert_eq!(mails.len(), count + 2, "{mails:#?}");
    assert!(
        mails
            .iter()
            .any(|mail| mail.contains("You have an account already")),
        "{mails:#?}"
    );
    assert!(!mails.iter().any(|mail| mail.contains("#sign-up=")), "{mails:#?}");
    assert_eq!(mails_to(&world, "nobody@example.com"), Vec::<String>::new());
}

#[tokio::test]
async fn nobodys_mailbox_is_filled() {
    let world = world(SignUpMode::Open).await;
    for _ in 0..20 {
        let reply = Browser::default()
            .post(&world, "/v1/sign-up", json!({"email": BOB}))
            .await;
        assert_eq!(reply.status, 202, "whoever asks cannot tell");
    }
    all_sent(&world).await;
    let sent = mails_to(&world, BOB).len();
    assert_eq!(sent, usize::try_from(Patience::MAILBOX.free).expect("few") + 1);
}

#[tokio::test]
async fn who_is_not_invited_is_turned_away_and_who_is_joins() {
    let world = world(SignUpMode::Invite).await;
    let ask = async |body: Value| Browser::default().post(&world, "/v1/sign-up", body).await;
    ask(json!({"email": BOB})).await.problem("forbidden").await;
    ask(json!({"email": BOB, "invitation": "wrong"}))
        .await
        .problem("not_found")
        .await;
    let invitation = invite(&world, json!({"role": "developer"})).await;
    let invitation = invitation["code"].as_str().expect("a code");
    for email in [BOB, "carol@example.com"] {
        let reply = ask(json!({"email": email, "invitation": invitation})).await;
        assert_eq!(reply.status, 202);
    }
    let bob = code(&mail_to(&world, BOB, 1).await, "sign-up");
    let carol = code(&mail_to(&world, "carol@example.com", 1).await, "sign-up");
    let mut browser = Browser::default();
    let direct = browser
        .post(&world, "/v1/sign-up/confirm", confirm(invitation, "Bob"))
        .await;
    direct.problem("not_found").await;
    let done = browser
        .post(&world, "/v1/sign-up/confirm", confirm(&bob, "Bob"))
        .await;
    let done = done.expect(201).await;
    assert_eq!(
        (&done["org_name"], &done["role"]),
        (&json!("default"), &json!("developer"))
    );
    let second = Browser::default()
        .post(&world, "/v1/sign-up/confirm", confirm(&carol, "Carol"))
        .await;
    second.problem("not_found").await;
}

#[tokio::test]
async fn an_invitation_by_mail_is_for_whoever_reads_that_mailbox() {
    let world = World::new().await;
    let invitation = invite(&world, json!({"role": "viewer", "email": BOB})).await;
    assert_eq!(
        invitation["code"],
        Value::Null,
        "whoever invites does not learn it"
    );
    assert_eq!(invitation["email"], BOB);
    let mail = mail_to(&world, BOB, 1).await;
    assert!(
        mail.contains("owner invites you") && mail.contains("\"default\""),
        "{mail}"
    );
    let code = code(&mail, "invitation");
    let mut browser = Browser::default();
    let done = browser
        .post(&world, "/v1/sign-up/confirm", confirm(&code, "Bob"))
        .await;
    assert_eq!(done.expect(201).await["role"], "viewer");
    let members = world.get("/v1/members").await.expect(200).await;
    assert_eq!(members["items"].as_array().map(Vec::len), Some(2));
    // Somebody who has an account signs in and accepts.
    let (org, _) = world
        .store()
        .platform()
        .create_org("other".into())
        .await
        .expect("made");
    let owner = world.store().org(org).members().await.expect("listed")[0].user;
    let new = creel_store::NewInvitation {
        role: creel_domain::MemberRole::Admin,
        by: owner,
        hash: [9; 32],
    };
    let bob = BOB.parse().expect("an address");
    world
        .store()
        .org(org)
        .invite_by_mail(new, bob)
        .await
        .expect("invited");
    let code = super::code(&mail_to(&world, BOB, 2).await, "invitation");
    let taken = Browser::default()
        .post(&world, "/v1/sign-up/confirm", confirm(&code, "Bob"))
        .await;
    taken.problem("conflict").await;
    let joined = browser
        .post(&world, "/v1/invitations/accept", json!({"code": code}))
        .await;
    assert_eq!(joined.expect(201).await["org"], org.to_string());
    let reply = browser.post(&world, "/v1/me/org", json!({"org": org})).await;
    assert_eq!(reply.status, 204);
    let me = browser.get(&world, "/v1/whoami").await.expect(200).await;
    assert_eq!((&me["org_name"], &me["role"]), (&json!("other"), &json!("admin")));
}

#[tokio::test]
async fn where_nobody_may_sign_up_nobody_does() {
    let world = world(SignUpMode::Closed).await;
    let invitation = invite(&world, json!({"role": "developer"})).await;
    let code = invitation["code"].as_str().expect("a code");
    let mut browser = Browser::default();
    for (path, body) in [
        ("/v1/sign-up", json!({"email": BOB, "invitation": code})),
        ("/v1/sign-up/confirm", confirm(code, "Bob")),
        ("/v1/invitations/accept", json!({"code": code, "name": "Bob"})),
    ] {
        browser.post(&world, path, body).await.problem("forbidden").await;
    }
}

#[tokio::test]
async fn a_reset_ends_every_session_and_is_good_once() {
    let world = World::new().await;
    give_owner_a_password(&world).await;
    let mut inside = Browser::signed_in(&world, ADA, PASSWORD).await;
    all_sent(&world).await;
    let count = mails_to(&world, ADA).len();
    let mut browser = Browser::default();
    let reply = browser
        .post(&world, "/v1/password-resets", json!({"email": ADA}))
        .await;
    assert_eq!(reply.status, 202);
    let code = code(&mail_to(&world, ADA, count + 1).await, "reset");
    let body = |password: &str| json!({"code": code, "password": password});
    let weak = browser
        .post(&world, "/v1/password-resets/confirm", body("password1234"))
        .await;
    weak.problem("invalid_request").await;
    let new = "another one, quite long";
    let reply = browser
        .post(&world, "/v1/password-resets/confirm", body(new))
        .await;
    assert_eq!(
        (reply.status.as_u16(), reply.header("set-cookie")),
        (204, ""),
        "it signs nobody in"
    );
    let again = browser
        .post(&world, "/v1/password-resets/confirm", body(PASSWORD))
        .await;
    again.problem("not_found").await;
    inside
        .get(&world, "/v1/whoami")
        .await
        .problem("unauthenticated")
        .await;
    let old = browser.sign_in(&world, ADA, PASSWORD).await;
    old.problem("unauthenticated").await;
    Browser::signed_in(&world, ADA, new).await;
    let told = mail_to(&world, ADA, count + 2).await;
    assert!(told.contains("Your password was changed"), "{told}");
}

#[tokio::test]
async fn a_members_new_address_counts_once_its_mail_was_read() {
    let world = world(SignUpMode::Open).await;
    let mut browser = Browser::default();
    browser.post(&world, "/v1/sign-up", json!({"email": BOB})).await;
    let sign_up = code(&mail_to(&world, BOB, 1).await, "sign-up");
    let done = browser
        .post(&world, "/v1/sign-up/confirm", confirm(&sign_up, "Bob"))
        .await;
    assert_eq!(done.status, 201);
    give_owner_a_password(&world).await;
    let new = "robert@example.com";
    for email in [new, ADA] {
        let reply = browser.put(&world, "/v1/me/email", json!({"email": email})).await;
        assert_eq!(reply.status, 202, "{email}: who asks cannot tell whose it is");
    }
    let me = browser.get(&world, "/v1/me").await.expect(200).await;
    assert_eq!(me["email"], BOB, "not yet");
    let verify = code(&mail_to(&world, new, 1).await, "verify");
    let reply = Browser::default()
        .post(&world, "/v1/verify-email", json!({"code": verify}))
        .await;
    assert_eq!(reply.status, 204);
    let me = browser.get(&world, "/v1/me").await.expect(200).await;
    assert_eq!(me["email"], new);
    all_sent(&world).await;
    let mails = mails_to(&world, ADA);
    let tried: Vec<_> = mails
        .iter()
        .filter(|mail| mail.contains("account already"))
        .collect();
    assert_eq!(tried.len(), 1, "{mails:#?}");
    tokio::time::advance(std::time::Duration::from_secs(15 * 60)).await;
    let reply = browser
        .put(&world, "/v1/me/email", json!({"email": "x@example.com"}))
        .await;
    reply.problem("forbidden").await;
}
