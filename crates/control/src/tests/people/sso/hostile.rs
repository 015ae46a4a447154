//! An issuer that lies, forges, stalls or floods: nobody comes in by it, and nothing of ours is held up for long.

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::{
    FakeIssuer, Traveller, World, ada,
    issuer::{Manner, SigningKey},
    landed, refused,
};

async fn with_issuer() -> (World, FakeIssuer) {
    let world = World::in_real_time().await;
    let issuer = FakeIssuer::new().await;
    issuer.add_to(&world, "x", json!({"newcomers": "viewer"})).await;
    (world, issuer)
}

async fn tried(world: &World, issuer: &FakeIssuer) -> (u16, String) {
    let mut browser = Traveller::default();
    let reply = browser.sign_in(world, issuer, "x", &ada()).await;
    assert!(!browser.is_in());
    refused(reply).await
}

fn not_believed() -> (u16, String) {
    (502, "sso_not_believed".to_owned())
}

#[tokio::test]
async fn an_id_token_that_lies_lets_nobody_in() {
    let (world, issuer) = with_issuer().await;
    let now = world.clock.now().as_second();
    for (name, value) in [
        ("iss", json!("https://accounts.google.com")),
        ("iss", json!(format!("{}/", issuer.url))),
        ("iss", Value::Null),
        ("aud", json!("another client")),
        ("aud", json!([])),
        ("aud", json!(["creel client", "another client"])),
        ("azp", json!("another client")),
        ("nonce", json!("another")),
        ("nonce", Value::Null),
        ("exp", json!(now - 31)),
        ("exp", Value::Null),
        ("iat", json!(now + 300)),
        ("iat", json!(now - 3600)),
        ("iat", Value::Null),
        ("nbf", json!(now + 300)),
        ("sub", json!("")),
        ("sub", json!("a".repeat(256))),
        ("sub", Value::Null),
    ] {
        let twist = (name, value.clone());
        issuer.twist(move |claims| claims[twist.0] = twist.1.clone());
        assert_eq!(tried(&world, &issuer).await, not_believed(), "{name} {value}");
    }
    issuer.behave();
    landed(&Traveller::default().sign_in(&world, &issuer, "x", &ada()).await);
}

#[tokio::test]
async fn an_id_token_that_is_forged_lets_nobody_in() {
    let (world, issuer) = with_issuer().await;
    let unsigned = |claims: &Value, key: &SigningKey| {
        let signed = key.sign(claims);
        let (_, rest) = signed.split_once('.').expect("a dot");
        let (body, signature) = rest.split_once('.').expect("a dot");
        // {"alg":"none"}
        (body.to_owned(), signature.to_owned())
    };
    type Forge = Box<dyn Fn(&Value, &SigningKey) -> String + Send>;
    let forged: Vec<(&str, Forge)> = vec![
        (
            "no algorithm",
            Box::new(move |claims, key| {
                let (body, signature) = unsigned(claims, key);
                format!("eyJhbGciOiJub25lIn0.{body}.{signature}")
            }),
        ),
        (
            "no signature",
            Box::new(move |claims, key| {
                let (body, _) = unsigned(claims, key);
                format!("eyJhbGciOiJub25lIn0.{body}.")
            }),
        ),
        (
            "the public key as a secret",
            Box::new(|claims, key| {
                let mut header = Header::new(Algorithm::HS256);
                header.kid = Some(key.id.clone());
                let secret = serde_json::to_vec(&key.public).expect("JSON");
                encode(&header, claims, &EncodingKey::from_secret(&secret)).expect("signed")
            }),
        ),
        (
            "the client secret as a key",
            Box::new(|claims, key| {
                let mut header = Header::new(Algorithm::HS256);
                header.kid = Some(key.id.clone());
                let secret = EncodingKey::from_secret(super::issuer::SECRET.as_bytes());
                encode(&header, claims, &secret).expect("signed")
            }),
        ),
        (
            "a foreign key under a known name",
            Box::new(|claims, key| SigningKey::new(&key.id).sign(claims)),
        ),
        (
            "a foreign key",
            Box::new(|claims, _| SigningKey::new("foreign").sign(claims)),
        ),
        (
            "too long",
            Box::new(|claims, key| {
                let mut claims = claims.clone();
                claims["more"] = json!("a".repeat(9000));
                key.sign(&claims)
            }),
        ),
        ("no JWT", Box::new(|_, _| "nonsense".to_owned())),
    ];
    for (what, forge) in forged {
        issuer.sign(forge);
        assert_eq!(tried(&world, &issuer).await, not_believed(), "{what}");
    }
}

#[tokio::test]
async fn an_answer_that_is_none_is_told_as_that() {
    let (world, issuer) = with_issuer().await;
    let unreachable = (503, "sso_unreachable".to_owned());
    let elsewhere = FakeIssuer::new().await;
    let redirects = Manner::Redirects(format!("{}/token", elsewhere.url));
    for (manner, expected) in [
        (Manner::Half, &unreachable),
        (Manner::Huge, &unreachable),
        (redirects, &unreachable),
        (Manner::Fails(500), &unreachable),
        (Manner::Fails(404), &unreachable),
        (Manner::Nonsense, &unreachable),
    ] {
        issuer.inside().token = manner;
        assert_eq!(&tried(&world, &issuer).await, expected);
    }
    issuer.behave();
    // What is said beside the token likewise: no token says an address here.
    for manner in [Manner::Half, Manner::Huge, Manner::Fails(500), Manner::Nonsense] {
        issuer.inside().userinfo = manner;
        let mut browser = Traveller::default();
        let reply = browser
            .sign_in(&world, &issuer, "x", &json!({"sub": "ada"}))
            .await;
        assert_eq!(refused(reply).await, unreachable);
    }
    issuer.behave();
    assert_eq!(elsewhere.inside().exchanged, 0);
}

#[tokio::test]
async fn without_keys_nothing_is_believed() {
    for manner in [Manner::Fails(500), Manner::Nonsense, Manner::Huge] {
        let (world, issuer) = with_issuer().await;
        issuer.inside().keys = manner;
        assert_eq!(tried(&world, &issuer).await, not_believed());
    }
}

#[tokio::test]
async fn an_issuer_that_hangs_holds_up_only_who_asks_it_and_not_for_long() {
    let (world, issuer) = with_issuer().await;
    let other = FakeIssuer::new().await;
    other.add_to(&world, "y", json!({"newcomers": "viewer"})).await;
    issuer.inside().token = Manner::Hangs;
    let began = std::time::Instant::now();
    let (hung, quick) = tokio::join!(tried(&world, &issuer), async {
        let mut browser = Traveller::default();
        landed(&browser.sign_in(&world, &other, "y", &ada()).await);
        began.elapsed()
    });
    assert_eq!(hung, (503, "sso_unreachable".to_owned()));
    assert!(quick < began.elapsed() / 2, "{quick:?} of {:?}", began.elapsed());
    assert!(began.elapsed().as_secs() < 30, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_key_that_is_new_is_met_at_once_and_the_old_one_is_believed_no_more() {
    let (world, issuer) = with_issuer().await;
    landed(&Traveller::default().sign_in(&world, &issuer, "x", &ada()).await);
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_secs(2)).await;
    tokio::time::resume();
    let old = std::mem::replace(&mut issuer.inside().key, SigningKey::new("two"));
    landed(&Traveller::default().sign_in(&world, &issuer, "x", &ada()).await);
    issuer.sign(move |claims, _| old.sign(claims));
    assert_eq!(tried(&world, &issuer).await, not_believed());
}
