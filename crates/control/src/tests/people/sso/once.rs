//! A sign-in is good once, in the browser that began it, at the provider that it began at, for ten minutes.

use std::time::Duration;

use serde_json::{Value, json};

use super::{FakeIssuer, Traveller, World, ada, landed, operate, refused};

async fn with_issuer() -> (World, FakeIssuer) {
    let world = World::in_real_time().await;
    let issuer = FakeIssuer::new().await;
    issuer.add_to(&world, "x", json!({"newcomers": "viewer"})).await;
    (world, issuer)
}

fn over() -> (u16, String) {
    (400, "sso_over".to_owned())
}

#[tokio::test]
async fn an_answer_counts_once_and_in_its_own_browser() {
    let (world, issuer) = with_issuer().await;
    let mut browser = Traveller::default();
    let url = browser.leave(&world, "x").await;
    let back = issuer.agree(&world, &url, &ada());
    // An attacker sends somebody the answer to a sign-in of their own.
    let mut victim = Traveller::default();
    assert_eq!(refused(victim.come_back(&world, &back).await).await, over());
    victim.leave(&world, "x").await;
    assert_eq!(refused(victim.come_back(&world, &back).await).await, over());
    assert_eq!(issuer.inside().exchanged, 0, "no code is spent for a stranger");
    landed(&browser.come_back(&world, &back).await);
    assert_eq!(refused(browser.come_back(&world, &back).await).await, over());
    assert_eq!(issuer.inside().exchanged, 1);

    // Two tabs of one browser do not get into each other's way.
    let mut tabs = Traveller::default();
    let (one, two) = (tabs.leave(&world, "x").await, tabs.leave(&world, "x").await);
    for url in [one, two] {
        landed(&tabs.come_back(&world, &issuer.agree(&world, &url, &ada())).await);
    }
}

#[tokio::test]
async fn of_64_who_bring_the_same_answer_one_comes_in() {
    let (mut world, issuer) = with_issuer().await;
    world.kill().await;
    world.people.public_url = Some("http://127.0.0.1:7300".parse().expect("an address"));
    world.start().await;
    let mut browser = Traveller::default();
    let url = browser.leave(&world, "x").await;
    let back = issuer.agree(&world, &url, &ada());
    let replies = {
        let tries = (0..64).map(|_| {
            let (mut browser, back, world) = (browser.clone(), back.clone(), &world);
            async move { browser.come_back(world, &back).await }
        });
        futures_util::future::join_all(tries).await
    };
    let (mut came_in, mut out) = (0, 0);
    for reply in replies {
        match reply.status.as_u16() {
            303 => came_in += 1,
            _ => {
                assert_eq!(refused(reply).await, over());
                out += 1;
            }
        }
    }
    assert_eq!((came_in, out), (1, 63));
    assert_eq!(issuer.inside().exchanged, 1);

    // Another control, or the same after a restart, goes on with what was begun.
    let url = browser.leave(&world, "x").await;
    world.kill().await;
    world.start().await;
    landed(
        &browser
            .come_back(&world, &issuer.agree(&world, &url, &ada()))
            .await,
    );
}

#[tokio::test]
async fn a_sign_in_that_took_too_long_is_over() {
    let (world, issuer) = with_issuer().await;
    let mut browser = Traveller::default();
    let url = browser.leave(&world, "x").await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(600)).await;
    tokio::time::resume();
    let reply = browser
        .come_back(&world, &issuer.agree(&world, &url, &ada()))
        .await;
    assert_eq!(refused(reply).await, over());
}

#[tokio::test]
async fn an_answer_of_one_provider_is_not_taken_to_another() {
    let (world, honest) = with_issuer().await;
    let hostile = FakeIssuer::new().await;
    hostile.add_to(&world, "y", json!({"newcomers": "viewer"})).await;
    let mut browser = Traveller::default();
    let url = browser.leave(&world, "x").await;
    let back = honest.agree(&world, &url, &ada());
    let crossed = back.replace("/callback/x", "/callback/y");
    assert_eq!(refused(browser.come_back(&world, &crossed).await).await, over());
    assert_eq!(
        hostile.inside().exchanged,
        0,
        "no code goes to whom it is not for"
    );

    // The hostile one had the browser sent on to the honest one, whose answer says whose it is.
    let parameter = |url: &str| format!("iss={}", url.replace(':', "%3A").replace('/', "%2F"));
    let (ours, theirs) = (parameter(&honest.url), parameter(&hostile.url));
    assert!(back.contains(&ours), "{back}");
    for iss in [theirs.as_str(), "iss=", "isss="] {
        let url = browser.leave(&world, "x").await;
        let back = honest.agree(&world, &url, &ada()).replace(&ours, iss);
        let reply = browser.come_back(&world, &back).await;
        assert_eq!(refused(reply).await, (502, "sso_not_believed".into()), "{iss}");
    }
    assert_eq!(honest.inside().exchanged, 0);
}

#[tokio::test]
async fn what_was_declined_or_failed_there_is_told_here() {
    let (world, issuer) = with_issuer().await;
    for (error, status, code) in [
        ("access_denied", 403, "sso_denied"),
        ("temporarily_unavailable", 503, "sso_unreachable"),
        ("invalid_scope%3Cscript%3E", 502, "sso_not_believed"),
    ] {
        let mut browser = Traveller::default();
        let url = browser.leave(&world, "x").await;
        let back = issuer.agree(&world, &url, &ada());
        let (back, _) = back.split_once('?').expect("a query");
        let state = url
            .split("state=")
            .nth(1)
            .and_then(|rest| rest.split('&').next())
            .expect("a state");
        let back = format!("{back}?error={error}&error_description=%3Cscript%3E&state={state}");
        let reply = browser.come_back(&world, &back).await;
        assert_eq!(refused(reply).await, (status, code.to_owned()));
        let again = browser.come_back(&world, &back).await;
        assert_eq!(refused(again).await, over(), "{error}");
    }
    // What nobody began is told to nobody.
    let mut browser = Traveller::default();
    for query in [
        "",
        "?error=access_denied",
        "?code=a&state=b",
        "?code=a",
        "?state=a&state=b",
    ] {
        let reply = browser.get(&world, &format!("/sign-in/callback/x{query}")).await;
        assert_eq!(refused(reply).await.0, 400, "{query}");
    }
}

#[tokio::test]
async fn a_provider_that_is_removed_lets_nobody_in_who_is_on_the_way() {
    let (world, issuer) = with_issuer().await;
    let mut browser = Traveller::default();
    let url = browser.leave(&world, "x").await;
    let back = issuer.agree(&world, &url, &ada());
    assert_eq!(
        operate(&world, "DELETE", "/v1/sso/x", json!({})).await.status,
        204
    );
    assert_eq!(refused(browser.come_back(&world, &back).await).await.0, 404);
    issuer.add_to(&world, "x", json!({"newcomers": "viewer"})).await;
    assert_eq!(refused(browser.come_back(&world, &back).await).await, over());
}

#[tokio::test]
async fn the_cookie_of_a_session_that_is_over_keeps_nobody_out() {
    let (world, issuer) = with_issuer().await;
    let mut browser = Traveller::default();
    browser.jar.insert("creel_session".to_owned(), "0".repeat(64));
    landed(&browser.sign_in(&world, &issuer, "x", &ada()).await);
    let me: Value = browser.me(&world).await;
    assert_eq!(me["user_name"], "Ada");
}
