//! Who comes in, and as whom.

use creel_domain::BrowserSessionAge;
use serde_json::{Value, json};

use super::{FakeIssuer, Traveller, World, ada, invite, landed, operate, refused};
use crate::{
    SignUpMode,
    tests::people::{ADA, PASSWORD, code, give_owner_a_password, mail_to},
};

#[tokio::test]
async fn a_newcomer_comes_in_by_an_invitation_and_again_without() {
    let world = World::in_real_time().await;
    let issuer = FakeIssuer::new().await;
    issuer.add_to(&world, "somewhere", json!({})).await;
    let options = world.get("/v1/sign-in").await.expect(200).await;
    assert_eq!(
        options["providers"],
        json!([{"name": "somewhere", "label": "Somewhere"}])
    );

    let mut stranger = Traveller::default();
    let reply = stranger.sign_in(&world, &issuer, "somewhere", &ada()).await;
    assert_eq!(refused(reply).await, (403, "sso_not_allowed".into()));

    let mut ada_s = Traveller::default();
    let invitation = invite(&world, "developer").await;
    let url = ada_s.leave_invited(&world, "somewhere", &invitation).await;
    assert!(!url.contains(&invitation), "the provider learns nothing of it");
    let reply = ada_s.come_back(&world, &issuer.agree(&world, &url, &ada())).await;
    assert_eq!(landed(&reply), "/#joined");
    let me = ada_s.me(&world).await;
    assert_eq!(
        (
            &me["user_name"],
            &me["email"],
            &me["email_verified"],
            &me["password"]
        ),
        (
            &json!("Ada"),
            &json!("ada@example.com"),
            &json!(true),
            &json!(false)
        )
    );
    assert_eq!(me["orgs"][0]["role"], "developer");

    let mut elsewhere = Traveller::default();
    let renamed =
        json!({"sub": "ada", "name": "Countess", "email": "new@example.com", "email_verified": true});
    let reply = elsewhere.sign_in(&world, &issuer, "somewhere", &renamed).await;
    assert_eq!(landed(&reply), "/");
    assert_eq!(elsewhere.me(&world).await["user"], me["user"], "by her subject");

    // The invitation was for one.
    let mut late = Traveller::default();
    let begun = late.post(
        &world,
        "/v1/sign-in/with/somewhere",
        json!({ "invitation": invitation }),
    );
    begun.await.problem("not_found").await;
    // It tells who let her in.
    let trail = world.get("/v1/audit?action=sign_in").await.expect(200).await;
    assert_eq!(
        trail["items"][0]["actor"]["via"], "sign-in provider somewhere",
        "{trail}"
    );
    assert_eq!(trail["items"][0]["actor"]["id"], me["user"]);
}

#[tokio::test]
async fn whoever_verified_the_same_address_here_is_the_same_unless_a_second_factor_says_more() {
    let world = World::in_real_time().await;
    let issuer = FakeIssuer::new().await;
    issuer.add_to(&world, "somewhere", json!({})).await;
    give_owner_a_password(&world).await;
    let reply = Traveller::default()
        .sign_in(&world, &issuer, "somewhere", &ada())
        .await;
    assert_eq!(
        refused(reply).await.1,
        "sso_not_allowed",
        "nobody showed here that it is theirs"
    );

    let mail = mail_to(&world, ADA, 1).await;
    let verify = json!({"code": code(&mail, "verify")});
    let verified = world.post_as("", "/v1/verify-email", verify).await;
    assert_eq!(verified.status, 204);
    let unverified = json!({"sub": "mallory", "email": "ada@example.com", "email_verified": false});
    let silent = json!({"sub": "mallory", "email": "ada@example.com"});
    for who in [unverified, silent] {
        let reply = Traveller::default()
            .sign_in(&world, &issuer, "somewhere", &who)
            .await;
        assert_eq!(refused(reply).await.1, "sso_not_allowed", "{who}");
    }
    let owner = world.get("/v1/whoami").await.expect(200).await["user"].clone();
    let mut browser = Traveller::default();
    landed(&browser.sign_in(&world, &issuer, "somewhere", &ada()).await);
    assert_eq!(browser.me(&world).await["user"], owner);

    // With a second factor the mailbox alone is not enough for another identity, and the known one leads to it.
    let user = owner.as_str().expect("an id").parse().expect("an id");
    let platform = world.store().platform();
    let secret = zeroize::Zeroizing::new("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ".to_owned());
    platform
        .begin_totp(user, creel_store::NewTotp { secret })
        .await
        .expect("begun");
    let recovery = crate::operations::sign_in::hash("AAAABBBBCCCCDDDD");
    platform
        .confirm_totp(user, 1, vec![recovery])
        .await
        .expect("confirmed");
    let other = json!({"sub": "another", "email": "ada@example.com", "email_verified": true});
    let reply = Traveller::default()
        .sign_in(&world, &issuer, "somewhere", &other)
        .await;
    assert_eq!(refused(reply).await.1, "sso_not_allowed");
    let mut half = Traveller::default();
    let url = half
        .get(&world, "/sign-in/with/somewhere?return_to=/device")
        .await;
    let url = url.header("location").to_owned();
    let reply = half.come_back(&world, &issuer.agree(&world, &url, &ada())).await;
    let to = landed(&reply);
    let ticket = to.strip_prefix("/#second-factor=").expect("another step");
    let (ticket, to) = ticket.split_once("&to=").expect("where to");
    assert_eq!((to, half.is_in()), ("/device", false));
    half.get(&world, "/v1/whoami")
        .await
        .problem("unauthenticated")
        .await;
    let wrong = json!({"ticket": ticket, "code": "AAAA-AAAA-AAAA-AAAA"});
    let wrong = half.post(&world, "/v1/sign-in/second-factor", wrong).await;
    wrong.problem("unauthenticated").await;
    let right = json!({"ticket": ticket, "code": "AAAA-BBBB-CCCC-DDDD"});
    let right = half.post(&world, "/v1/sign-in/second-factor", right).await;
    right.expect(200).await;
    assert_eq!(half.me(&world).await["user"], owner);
}

#[tokio::test]
async fn whom_a_provider_lets_in_is_configured() {
    let mut world = World::in_real_time().await;
    let issuer = FakeIssuer::new().await;
    let who =
        |name: &str| json!({"sub": name, "email": format!("{name}@example.com"), "email_verified": true});
    for (number, (mode, newcomers, invited, comes_in)) in [
        (SignUpMode::Invite, "sign_up", false, None),
        (SignUpMode::Invite, "sign_up", true, Some("viewer")),
        (SignUpMode::Invite, "nobody", true, None),
        (SignUpMode::Open, "sign_up", false, Some("owner")),
        (SignUpMode::Open, "sign_up", true, Some("viewer")),
        (SignUpMode::Open, "invited", false, None),
        (SignUpMode::Open, "invited", true, Some("viewer")),
        (SignUpMode::Closed, "sign_up", true, None),
        (SignUpMode::Closed, "invited", true, None),
        (SignUpMode::Closed, "developer", false, Some("developer")),
    ]
    .into_iter()
    .enumerate()
    {
        world.kill().await;
        world.people.sign_up = mode;
        world.start().await;
        issuer
            .add_to(&world, "x", json!({ "newcomers": newcomers }))
            .await;
        let mut browser = Traveller::default();
        let url = match invited {
            true => {
                let code = invite(&world, "viewer").await;
                browser.leave_invited(&world, "x", &code).await
            }
            false => browser.leave(&world, "x").await,
        };
        let back = issuer.agree(&world, &url, &who(&format!("n{number}")));
        let reply = browser.come_back(&world, &back).await;
        let case = format!("{mode:?} {newcomers} {invited}");
        match comes_in {
            Some(role) => {
                assert_eq!(reply.status, 303, "{case}");
                let me = browser.me(&world).await;
                assert_eq!(me["orgs"][0]["role"], role, "{case}");
                let own = role == "owner";
                assert_eq!(me["orgs"][0]["name"] != "default", own, "{case}: {me}");
            }
            None => assert_eq!(refused(reply).await.1, "sso_not_allowed", "{case}"),
        }
        assert_eq!(
            operate(&world, "DELETE", "/v1/sso/x", json!({})).await.status,
            204
        );
    }
}

#[tokio::test]
async fn only_verified_addresses_of_an_allowed_domain_come_in() {
    let world = World::in_real_time().await;
    let issuer = FakeIssuer::new().await;
    let more = json!({"newcomers": "viewer", "email_domains": ["@Example.com"]});
    let added = issuer.add_to(&world, "x", more).await;
    assert_eq!(added["email_domains"], json!(["example.com"]));
    let of = |email: Value, verified: bool| json!({"sub": "s", "email": email, "email_verified": verified});
    for who in [
        of(json!("ada@example.com"), false),
        of(json!("ada@example.com.evil.test"), true),
        of(json!("ada@evil-example.com"), true),
        of(json!("ada@sub.example.com"), true),
        of(json!("ada@example.com@evil.test"), true),
        of(Value::Null, true),
        json!({"sub": "s", "userinfo": {"sub": "s"}}),
    ] {
        let reply = Traveller::default().sign_in(&world, &issuer, "x", &who).await;
        assert_eq!(refused(reply).await.1, "sso_not_allowed", "{who}");
    }
    let who = json!({"sub": "s", "userinfo": {"sub": "s", "name": "Ada", "email": "Ada@EXAMPLE.com", "email_verified": "true"}});
    let mut browser = Traveller::default();
    landed(&browser.sign_in(&world, &issuer, "x", &who).await);
    assert_eq!(browser.me(&world).await["email"], "ada@example.com");
    let who = json!({"sub": "s", "userinfo": {"sub": "somebody else", "email": "ada@example.com", "email_verified": true}});
    let reply = Traveller::default().sign_in(&world, &issuer, "x", &who).await;
    assert_eq!(refused(reply).await, (502, "sso_not_believed".into()));
}

#[tokio::test]
async fn signing_in_elsewhere_is_a_proof_for_a_quarter_of_an_hour() {
    let world = World::in_real_time().await;
    let issuer = FakeIssuer::new().await;
    issuer.add_to(&world, "x", json!({"newcomers": "viewer"})).await;
    let mut browser = Traveller::default();
    landed(&browser.sign_in(&world, &issuer, "x", &ada()).await);
    let later = browser.clone();
    let set = json!({"new": PASSWORD});
    let reply = browser
        .send(&world, "PUT", "/v1/me/password", "same-origin", set.clone())
        .await;
    assert_eq!(reply.status, 204);
    drop(later);

    let other = json!({"sub": "bob", "email": "bob@example.com", "email_verified": true});
    let mut browser = Traveller::default();
    landed(&browser.sign_in(&world, &issuer, "x", &other).await);
    tokio::time::pause();
    tokio::time::advance(BrowserSessionAge::FRESH.unsigned_abs()).await;
    tokio::time::resume();
    let reply = browser
        .send(&world, "PUT", "/v1/me/password", "same-origin", set.clone())
        .await;
    let sentence = reply.problem("forbidden").await;
    assert!(sentence.contains("sign in again"), "{sentence}");
    landed(&browser.sign_in(&world, &issuer, "x", &other).await);
    let reply = browser
        .send(&world, "PUT", "/v1/me/password", "same-origin", set)
        .await;
    assert_eq!(reply.status, 204);
}

#[tokio::test]
async fn whoever_was_removed_is_out_and_a_suspended_org_stays_so() {
    let world = World::in_real_time().await;
    let issuer = FakeIssuer::new().await;
    issuer.add_to(&world, "x", json!({"newcomers": "viewer"})).await;
    let mut browser = Traveller::default();
    landed(&browser.sign_in(&world, &issuer, "x", &ada()).await);
    let me = browser.me(&world).await;
    let org = world
        .store()
        .org(me["org"].as_str().expect("an id").parse().expect("an id"));
    org.suspend().await.expect("suspended");
    let mut again = Traveller::default();
    landed(&again.sign_in(&world, &issuer, "x", &ada()).await);
    again
        .get(&world, "/v1/agents")
        .await
        .problem("org_suspended")
        .await;
    org.resume().await.expect("resumed");

    let member = format!("/v1/members/{}", me["user"].as_str().expect("an id"));
    assert_eq!(world.delete(&member).await.status, 204);
    browser
        .get(&world, "/v1/whoami")
        .await
        .problem("unauthenticated")
        .await;
    let reply = browser.sign_in(&world, &issuer, "x", &ada()).await;
    assert_eq!(
        refused(reply).await,
        (403, "forbidden".into()),
        "and no newcomer either"
    );
}

#[tokio::test]
async fn everybody_lands_here_and_nowhere_else() {
    let world = World::in_real_time().await;
    let issuer = FakeIssuer::new().await;
    issuer.add_to(&world, "x", json!({"newcomers": "viewer"})).await;
    let mut browser = Traveller::default();
    for path in [
        "//evil.test",
        "https://evil.test",
        "/%5Cevil.test",
        "/%09/evil.test",
        "evil",
    ] {
        let reply = browser
            .get(&world, &format!("/sign-in/with/x?return_to={path}"))
            .await;
        assert_eq!(refused(reply).await, (400, "invalid_request".into()), "{path}");
        let reply = browser
            .post(&world, "/v1/sign-in/with/x", json!({"return_to": "//evil.test"}))
            .await;
        reply.problem("invalid_request").await;
    }
    let url = browser
        .get(&world, "/sign-in/with/x?return_to=/device%3Fcode%3DBCDF")
        .await;
    let url = url.header("location").to_owned();
    let reply = browser
        .come_back(&world, &issuer.agree(&world, &url, &ada()))
        .await;
    assert_eq!(landed(&reply), "/device?code=BCDF");
    let reply = browser.get(&world, "/sign-in/with/nobody").await;
    assert_eq!(refused(reply).await, (404, "not_found".into()));
}
