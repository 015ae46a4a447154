//! Access tokens of ours and of others: believed by their keys, and only as far as what they grant still holds.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Json, Router, body::Body, http::Request, routing::get};
use creel_domain::MemberRole;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode, jwk::Jwk};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{Reply, World, devices::paired};
use crate::{IssuerKeys, JwtIssuer, signing};

async fn ask(world: &World, method: &str, path: &str, token: &str, body: Value) -> Reply {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json");
    world
        .send(request.body(Body::from(body.to_string())).expect("a request"))
        .await
}

async fn exchange(world: &World, token: &str, body: Value) -> String {
    let made = ask(world, "POST", "/v1/access-tokens", token, body).await;
    let made = made.expect(200).await;
    made["access_token"].as_str().expect("a token").to_owned()
}

async fn whoami(world: &World, token: &str) -> Reply {
    ask(world, "GET", "/v1/whoami", token, json!({})).await
}

async fn published(world: &World) -> Vec<Jwk> {
    let request = Request::get("/.well-known/jwks.json").body(Body::empty());
    let reply = world.send(request.expect("a request")).await;
    assert!(reply.header("cache-control").starts_with("public, max-age="));
    let keys = reply.expect(200).await["keys"].clone();
    assert!(!keys.to_string().contains("\"d\""), "no private key: {keys}");
    serde_json::from_value(keys).expect("keys")
}

/// What somebody else does who has only the published keys.
fn check(keys: &[Jwk], token: &str) -> (String, Value) {
    let header = jsonwebtoken::decode_header(token).expect("a header");
    let id = header.kid.expect("names its key");
    let key = keys.iter().find(|key| key.common.key_id.as_deref() == Some(&id));
    let mut validation = Validation::new(Algorithm::ES256);
    // The clock of these tests is not the host's.
    validation.validate_exp = false;
    validation.set_audience(&["creel"]);
    let key = DecodingKey::from_jwk(key.expect("it is published")).expect("a key");
    let claims = decode::<Value>(token, &key, &validation)
        .expect("believed")
        .claims;
    (id, claims)
}

#[tokio::test]
async fn a_token_is_exchanged_for_a_jwt_that_anybody_can_check() {
    let world = World::new().await;
    let owner = world.token.clone();
    let jwt = exchange(&world, &owner, json!({"scopes": ["agents:read", "tokens:write"]})).await;
    let (_, claims) = check(&published(&world).await, &jwt);
    let me = whoami(&world, &jwt).await.expect(200).await;
    assert_eq!(me["scopes"], json!(["agents:read", "tokens:write"]));
    assert_eq!((&claims["sub"], &claims["org"]), (&me["user"], &me["org"]));
    assert_eq!(
        claims["exp"]
            .as_i64()
            .zip(claims["iat"].as_i64())
            .map(|(exp, iat)| exp - iat),
        Some(600)
    );
    let may_not = ask(
        &world,
        "POST",
        "/v1/agents",
        &jwt,
        json!({"name": "a", "runtime": "lite"}),
    )
    .await;
    may_not.problem("forbidden").await;
    for path in ["/v1/access-tokens", "/v1/sign-in-links", "/v1/leave"] {
        ask(&world, "POST", path, &jwt, json!({}))
            .await
            .problem("forbidden")
            .await;
    }
    let all = exchange(&world, &owner, json!({})).await;
    let scopes = whoami(&world, &all).await.expect(200).await["scopes"].to_string();
    assert!(
        scopes.contains("agents:write") && !scopes.contains("tokens:write"),
        "{scopes}"
    );
    let narrow = paired(&world, &owner, "narrow", json!({"scopes": ["agents:read"]})).await;
    let narrow = narrow["access_token"].as_str().expect("a token");
    let more = ask(
        &world,
        "POST",
        "/v1/access-tokens",
        narrow,
        json!({"scopes": ["agents:write"]}),
    )
    .await;
    more.problem("forbidden").await;

    tokio::time::advance(Duration::from_secs(640)).await;
    whoami(&world, &jwt).await.problem("unauthenticated").await;
}

#[tokio::test]
async fn a_jwt_ends_with_what_it_was_made_from() {
    let world = World::new().await;
    let owner = world.token.clone();
    let device = paired(&world, &owner, "ci", json!({"scopes": ["agents:read"]})).await;
    let jwt = exchange(
        &world,
        device["access_token"].as_str().expect("a token"),
        json!({}),
    )
    .await;
    whoami(&world, &jwt).await.expect(200).await;
    let path = format!("/v1/devices/{}", device["device"].as_str().expect("an id"));
    assert_eq!(world.delete(&path).await.status, 204);
    whoami(&world, &jwt).await.problem("unauthenticated").await;
}

#[tokio::test]
async fn a_forged_jwt_is_not_believed() {
    let world = World::new().await;
    let good = exchange(&world, &world.token, json!({})).await;
    let keys = published(&world).await;
    let (id, claims) = check(&keys, &good);
    let header = |algorithm, kind: &str, id: Option<&str>| {
        let mut header = Header::new(algorithm);
        header.typ = Some(kind.to_owned());
        header.kid = id.map(str::to_owned);
        header
    };
    let stranger = EncodingKey::from_ec_der(signing::new_private_key().expect("a key").as_slice());
    let public = EncodingKey::from_secret(&serde_json::to_vec(&keys[0]).expect("JSON"));
    let (head, rest) = good.split_once('.').expect("a dot");
    let (body, signature) = rest.split_once('.').expect("a dot");
    let forged = [
        encode(&header(Algorithm::ES256, "at+jwt", Some(&id)), &claims, &stranger).expect("signed"),
        encode(
            &header(Algorithm::ES256, "at+jwt", Some("other")),
            &claims,
            &stranger,
        )
        .expect("signed"),
        encode(&header(Algorithm::ES256, "at+jwt", None), &claims, &stranger).expect("signed"),
        encode(&header(Algorithm::HS256, "at+jwt", Some(&id)), &claims, &public).expect("signed"),
        format!("{head}.{body}."),
        format!("eyJhbGciOiJub25lIn0.{body}.{signature}"),
        format!("{head}.{}.{signature}", body.replacen('a', "b", 1)),
        good.to_uppercase(),
    ];
    for token in forged {
        whoami(&world, &token).await.problem("unauthenticated").await;
    }
    whoami(&world, &good).await.expect(200).await;
    // Good, but for another use: what one of our keys signed elsewhere is no access token.
    let control = world.running().control.clone();
    let elsewhere = json!({"iss": "https://elsewhere.test", "aud": "creel", "sub": claims["sub"],
        "org": claims["org"], "scope": "agents:read", "exp": claims["exp"], "iat": claims["iat"]});
    let token = control.signing.sign(&control, &elsewhere).await.expect("signed");
    whoami(&world, &token).await.problem("unauthenticated").await;
}

#[tokio::test]
async fn keys_change_with_age_and_no_token_is_lost_on_the_way() {
    let world = World::new().await;
    let ids =
        |keys: &[Jwk]| -> Vec<String> { keys.iter().filter_map(|key| key.common.key_id.clone()).collect() };
    let day = Duration::from_secs(24 * 60 * 60);
    let first = ids(&published(&world).await);
    assert_eq!(first.len(), 1);
    tokio::time::advance(29 * day).await;
    let both = ids(&published(&world).await);
    assert_eq!((both.len(), &both[0]), (2, &first[0]));
    let old = exchange(&world, &world.token, json!({})).await;
    assert_eq!(
        check(&published(&world).await, &old).0,
        both[0],
        "published before it signs"
    );
    tokio::time::advance(day).await;
    let new = exchange(&world, &world.token, json!({})).await;
    assert_eq!(check(&published(&world).await, &new).0, both[1]);
    tokio::time::advance(Duration::from_secs(3700)).await;
    assert_eq!(ids(&published(&world).await), both[1..]);
}

const ISSUER: &str = "https://people.test/auth/v1";
const SECRET: [u8; 32] = [9; 32];

fn claims(subject: &str) -> Value {
    json!({"iss": ISSUER, "aud": "authenticated", "sub": subject, "iat": 1_800_000_000, "exp": 1_800_100_000,
        "name": "Ada", "email": format!("{subject}@example.com"), "email_verified": true})
}

fn issuer(keys: IssuerKeys, newcomers: Option<MemberRole>) -> JwtIssuer {
    JwtIssuer {
        issuer: ISSUER.to_owned(),
        audience: "authenticated".to_owned(),
        keys,
        newcomers,
    }
}

fn shared(claims: &Value) -> String {
    encode(
        &Header::new(Algorithm::HS256),
        claims,
        &EncodingKey::from_secret(&SECRET),
    )
    .expect("signed")
}

async fn accepting(world: &mut World, issuer: JwtIssuer) {
    world.kill().await;
    world.issuers = vec![issuer];
    world.start().await;
}

#[tokio::test]
async fn a_jwt_of_another_issuer_lets_in_whom_the_configuration_lets_in() {
    let mut world = World::new().await;
    let ada = shared(&claims("ada"));
    whoami(&world, &ada).await.problem("unauthenticated").await;

    let secret = || IssuerKeys::Secret(Zeroizing::new(SECRET.to_vec()));
    accepting(&mut world, issuer(secret(), None)).await;
    whoami(&world, &ada).await.problem("unauthenticated").await;

    accepting(&mut world, issuer(secret(), Some(MemberRole::Developer))).await;
    let me = whoami(&world, &ada).await.expect(200).await;
    assert_eq!(
        (&me["user_name"], &me["role"]),
        (&json!("Ada"), &json!("developer"))
    );
    let again = whoami(&world, &ada).await.expect(200).await;
    assert_eq!(again["user"], me["user"], "the same person");
    let other = whoami(&world, &shared(&claims("bob"))).await.expect(200).await;
    assert_ne!(other["user"], me["user"]);
    for (name, value) in [
        ("iss", json!("https://other.test")),
        ("aud", json!("anon")),
        ("exp", json!(1_799_000_000)),
        ("nbf", json!(1_800_100_000)),
        ("sub", json!("")),
    ] {
        let mut claims = claims("ada");
        claims[name] = value;
        whoami(&world, &shared(&claims))
            .await
            .problem("unauthenticated")
            .await;
    }
    // Removed here is out, however good the token is.
    let path = format!("/v1/members/{}", me["user"].as_str().expect("an id"));
    assert_eq!(world.delete(&path).await.status, 204);
    whoami(&world, &ada).await.problem("unauthenticated").await;
}

/// An issuer that publishes keys, and counts how often it is asked.
struct Publisher {
    keys: Arc<Mutex<Vec<Value>>>,
    asked: Arc<Mutex<u32>>,
    url: String,
    server: tokio::task::JoinHandle<()>,
}

impl Publisher {
    async fn new() -> Self {
        let (keys, asked) = (Arc::<Mutex<Vec<Value>>>::default(), Arc::<Mutex<u32>>::default());
        let (set, count) = (Arc::clone(&keys), Arc::clone(&asked));
        let listener = creel_daemon::bind_tcp(([127, 0, 0, 1], 0).into())
            .await
            .expect("a port");
        let url = format!("http://{}/keys", listener.local_addr().expect("bound"));
        let answer = async move || {
            *count.lock().expect("a count") += 1;
            Json(json!({ "keys": *set.lock().expect("keys") }))
        };
        let router = Router::new().route("/keys", get(answer));
        let server = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Self {
            keys,
            asked,
            url,
            server,
        }
    }

    fn publish(&self, id: &str) -> (EncodingKey, Jwk) {
        let private = EncodingKey::from_ec_der(signing::new_private_key().expect("a key").as_slice());
        let mut jwk = Jwk::from_encoding_key(&private, Algorithm::ES256).expect("a key");
        jwk.common.key_id = Some(id.to_owned());
        let mut keys = self.keys.lock().expect("keys");
        keys.push(serde_json::to_value(&jwk).expect("JSON"));
        (private, jwk)
    }

    fn asked(&self) -> u32 {
        *self.asked.lock().expect("a count")
    }
}

fn signed(id: &str, key: &EncodingKey, subject: &str) -> String {
    let mut header = Header::new(Algorithm::ES256);
    header.kid = Some(id.to_owned());
    encode(&header, &claims(subject), key).expect("signed")
}

/// As if the time had gone by.
async fn later(by: Duration) {
    tokio::time::pause();
    tokio::time::advance(by).await;
    tokio::time::resume();
}

#[tokio::test]
async fn published_keys_are_kept_and_asked_for_again_but_not_often() {
    let mut world = World::in_real_time().await;
    let publisher = Publisher::new().await;
    let (one, public) = publisher.publish("one");
    let keys = IssuerKeys::At(publisher.url.clone());
    accepting(&mut world, issuer(keys, Some(MemberRole::Viewer))).await;
    whoami(&world, &signed("one", &one, "ada"))
        .await
        .expect(200)
        .await;
    // What is public is no secret to sign with.
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some("one".to_owned());
    let confused = EncodingKey::from_secret(&serde_json::to_vec(&public).expect("JSON"));
    let confused = encode(&header, &claims("ada"), &confused).expect("signed");
    whoami(&world, &confused).await.problem("unauthenticated").await;

    let (two, _) = publisher.publish("two");
    for _ in 0..20 {
        whoami(&world, &signed("two", &two, "ada"))
            .await
            .problem("unauthenticated")
            .await;
    }
    assert_eq!(
        publisher.asked(),
        1,
        "not for each token that names an unknown key"
    );
    later(Duration::from_secs(31)).await;
    whoami(&world, &signed("two", &two, "ada"))
        .await
        .expect(200)
        .await;
    assert_eq!(publisher.asked(), 2);

    publisher.server.abort();
    let _ = publisher.server.await;
    later(Duration::from_secs(3600)).await;
    whoami(&world, &signed("one", &one, "ada"))
        .await
        .expect(200)
        .await;
    later(Duration::from_secs(24 * 3600)).await;
    let late = whoami(&world, &signed("one", &one, "ada")).await;
    late.problem("unauthenticated").await;
}
