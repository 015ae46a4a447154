//! Certificates, with an authority that a story steers: orders that die in the middle, wishes to be left alone, renewals.

use std::sync::{Arc, Mutex};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{any, get},
};
use creel_protocol::edge::{CertificateAnswer, CertificateAsked};
use creel_store::StoredCertificate;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{World, wait};
use crate::{AcmeSettings, acme};

const DAYS: i64 = 90;

/// As much of RFC 8555 as one order needs. Signatures are for Pebble to check, in the scenarios.
#[derive(Default)]
struct Authority {
    at: Mutex<String>,
    orders: Mutex<Vec<Ordered>>,
    mood: Mutex<Mood>,
    now: Mutex<Timestamp>,
}

/// How far an order has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ordered {
    Refused,
    Pending,
    Ready,
    Valid,
}

/// What becomes of the next orders.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Mood {
    #[default]
    Kind,
    /// 429, with seconds.
    Busy(u32),
    /// The last step is never answered.
    Stuck,
}

impl Authority {
    async fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let this = Arc::<Self>::default();
        *this.at.lock().expect("no panic") = format!("http://{}", listener.local_addr().expect("bound"));
        let router = Router::new()
            .route("/directory", get(directory))
            .route("/{what}", any(step))
            .route("/{what}/{order}", any(step_of_order))
            .with_state(Arc::clone(&this));
        tokio::spawn(async move { axum::serve(listener, router).await });
        this
    }

    fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.at.lock().expect("no panic"))
    }

    fn orders(&self) -> Vec<Ordered> {
        self.orders.lock().expect("no panic").clone()
    }

    fn set(&self, mood: Mood) {
        *self.mood.lock().expect("no panic") = mood;
    }

    fn reach(&self, order: usize, state: Ordered) {
        if let Some(order) = self.orders.lock().expect("no panic").get_mut(order) {
            *order = state;
        }
    }

    fn order(&self, order: usize) -> Value {
        let status = match self.orders().get(order) {
            Some(Ordered::Pending) => "pending",
            Some(Ordered::Ready) => "ready",
            Some(Ordered::Valid) => "valid",
            Some(Ordered::Refused) | None => "invalid",
        };
        json!({
            "status": status,
            "authorizations": [self.url(&format!("authorization/{order}"))],
            "finalize": self.url(&format!("finalize/{order}")),
            "certificate": self.url(&format!("certificate/{order}")),
        })
    }

    fn challenge(&self, order: usize) -> Value {
        json!({
            "type": "http-01", "url": self.url(&format!("challenge/{order}")), "token": "a-token", "status": "pending",
        })
    }

    /// Good from now on.
    fn certificate(&self) -> String {
        let now = *self.now.lock().expect("no panic");
        let at = |after: SignedDuration| {
            let date = (now + after).to_zoned(jiff::tz::TimeZone::UTC).date();
            let (year, month, day) = (date.year(), date.month(), date.day());
            rcgen::date_time_ymd(year.into(), month.unsigned_abs(), day.unsigned_abs())
        };
        let mut params = rcgen::CertificateParams::new(vec!["creel.test".to_owned()]).expect("a name");
        params.not_before = at(SignedDuration::ZERO);
        params.not_after = at(SignedDuration::from_hours(24 * DAYS));
        let key = rcgen::KeyPair::generate().expect("a key");
        params.self_signed(&key).expect("signed").pem()
    }
}

fn answer(status: StatusCode, at: String, body: impl IntoResponse) -> Response {
    (
        status,
        [("replay-nonce", "bm9uY2U".to_owned()), ("location", at)],
        body,
    )
        .into_response()
}

async fn directory(State(authority): State<Arc<Authority>>) -> Response {
    let urls = ["newNonce", "newAccount", "newOrder", "revokeCert", "keyChange"];
    let urls = urls.map(|name| (name.to_owned(), Value::from(authority.url(name))));
    Json(Value::Object(urls.into_iter().collect())).into_response()
}

async fn step(State(authority): State<Arc<Authority>>, Path(what): Path<String>) -> Response {
    if what != "newOrder" {
        let status = json!({"status": "valid"});
        return answer(StatusCode::OK, authority.url("account"), Json(status));
    }
    let mood = *authority.mood.lock().expect("no panic");
    let mut orders = authority.orders.lock().expect("no panic");
    if let Mood::Busy(seconds) = mood {
        orders.push(Ordered::Refused);
        drop(orders);
        let problem = json!({"type": "urn:ietf:params:acme:error:rateLimited", "detail": "Too many orders"});
        let mut busy = answer(StatusCode::TOO_MANY_REQUESTS, String::new(), Json(problem));
        busy.headers_mut().insert("retry-after", seconds.into());
        return busy;
    }
    orders.push(Ordered::Pending);
    let order = orders.len() - 1;
    drop(orders);
    let at = authority.url(&format!("order/{order}"));
    answer(StatusCode::CREATED, at, Json(authority.order(order)))
}

async fn step_of_order(
    State(authority): State<Arc<Authority>>,
    Path((what, order)): Path<(String, usize)>,
) -> Response {
    let body = match what.as_str() {
        "authorization" => json!({
            "identifier": {"type": "dns", "value": "creel.test"}, "status": "pending",
            "challenges": [authority.challenge(order)],
        }),
        "challenge" => {
            authority.reach(order, Ordered::Ready);
            authority.challenge(order)
        }
        "finalize" => {
            if *authority.mood.lock().expect("no panic") == Mood::Stuck {
                std::future::pending::<()>().await;
            }
            authority.reach(order, Ordered::Valid);
            authority.order(order)
        }
        "certificate" => return answer(StatusCode::OK, String::new(), authority.certificate()),
        _ => authority.order(order),
    };
    answer(StatusCode::OK, String::new(), Json(body))
}

/// A control that gets its certificates from there, and wants one for its own name.
async fn with(authority: &Authority) -> (World, String) {
    let mut world = World::in_real_time().await;
    world.kill().await;
    world.acme = Some(AcmeSettings {
        email: "ops@example.com".to_owned(),
        directory: authority.url("directory"),
        root: None,
        plain: true,
    });
    go_on(&world, authority, SignedDuration::ZERO);
    world.start().await;
    let own = world.running().control.agent_urls.names().own;
    let platform = world.store().platform();
    platform
        .want_certificate(own.clone(), None)
        .await
        .expect("wanted");
    (world, own)
}

/// Lets so long go by, for the authority too.
fn go_on(world: &World, authority: &Authority, by: SignedDuration) {
    world.jump(by);
    *authority.now.lock().expect("no panic") = world.clock.now();
}

async fn stands(world: &World, host: &str) -> StoredCertificate {
    let found = world.store().platform().certificate(host).await;
    found.expect("a look").expect("it is wanted")
}

async fn until(world: &World, host: &str, what: &str, holds: impl Fn(&StoredCertificate) -> bool) {
    wait(what, || async {
        let stands = stands(world, host).await;
        (holds(&stands), format!("{} {}", stands.next_at, stands.problem))
    })
    .await;
}

async fn due(world: &World) -> Vec<String> {
    world
        .store()
        .platform()
        .due_certificates(10)
        .await
        .expect("a list")
}

#[tokio::test]
async fn an_authority_that_wants_to_be_left_alone_is() {
    let authority = Authority::start().await;
    authority.set(Mood::Busy(7200));
    let (world, own) = with(&authority).await;
    until(&world, &own, "the refusal", |stands| stands.failures == 1).await;
    let refused = stands(&world, &own).await;
    assert!(refused.problem.contains("Too many orders"), "{}", refused.problem);
    assert!(refused.next_at > world.clock.now() + SignedDuration::from_secs(7100));
    authority.set(Mood::Kind);
    go_on(&world, &authority, SignedDuration::from_secs(7000));
    assert_eq!(due(&world).await, Vec::<String>::new());
    go_on(&world, &authority, SignedDuration::from_secs(200));
    until(&world, &own, "a certificate", |stands| stands.pem.is_some()).await;
    assert_eq!(authority.orders(), [Ordered::Refused, Ordered::Valid]);
    assert_eq!(stands(&world, &own).await.problem, "");
}

#[tokio::test]
async fn an_order_whose_control_died_is_followed_by_one_that_ends_in_a_certificate() {
    let authority = Authority::start().await;
    authority.set(Mood::Stuck);
    let (mut world, own) = with(&authority).await;
    wait("the order to be in its middle", || async {
        (
            authority.orders() == [Ordered::Ready],
            format!("{:?}", authority.orders()),
        )
    })
    .await;
    world.kill().await;
    authority.set(Mood::Kind);
    world.start().await;
    assert_eq!(due(&world).await, Vec::<String>::new(), "it may be at work still");
    go_on(&world, &authority, SignedDuration::from_secs(151));
    until(&world, &own, "a certificate", |stands| stands.pem.is_some()).await;
    assert_eq!(authority.orders(), [Ordered::Ready, Ordered::Valid]);
}

#[tokio::test]
async fn a_certificate_is_got_anew_with_a_third_of_its_life_left_and_shown_till_then() {
    let authority = Authority::start().await;
    let (world, own) = with(&authority).await;
    until(&world, &own, "a certificate", |stands| stands.pem.is_some()).await;
    let first = stands(&world, &own).await;
    authority.set(Mood::Busy(0));
    // It is written for whole days, and today is one of them.
    go_on(
        &world,
        &authority,
        SignedDuration::from_hours(24 * (DAYS * 2 / 3 - 1)),
    );
    assert_eq!(due(&world).await, Vec::<String>::new());
    go_on(&world, &authority, SignedDuration::from_hours(24));
    until(&world, &own, "the refusal", |stands| stands.failures == 1).await;
    let asked = CertificateAsked {
        name: own.clone(),
        challenge: false,
    };
    let shown = acme::answer(&world.running().control, &asked).await;
    assert!(
        matches!(shown, Ok(CertificateAnswer::Ready { pem }) if Some(&pem.0) == first.pem.as_deref()),
        "what there is goes on"
    );
    authority.set(Mood::Kind);
    go_on(&world, &authority, SignedDuration::from_hours(1));
    until(&world, &own, "a newer one", |stands| {
        stands.not_after > first.not_after
    })
    .await;
    assert_eq!(
        authority.orders(),
        [Ordered::Valid, Ordered::Refused, Ordered::Valid]
    );
}

#[tokio::test]
async fn for_names_that_lead_nowhere_no_authority_is_asked() {
    let authority = Authority::start().await;
    let (world, own) = with(&authority).await;
    until(&world, &own, "a certificate", |stands| stands.pem.is_some()).await;
    for name in ["evil.example.org", "nobody.agents.example.net", "-", ""] {
        for challenge in [false, true] {
            let asked = CertificateAsked {
                name: name.to_owned(),
                challenge,
            };
            let shown = acme::answer(&world.running().control, &asked).await;
            assert!(matches!(shown, Ok(CertificateAnswer::Unknown)), "{name}");
        }
        let stands = world.store().platform().certificate(name).await;
        assert!(stands.expect("a look").is_none(), "{name}");
    }
    assert_eq!(authority.orders(), [Ordered::Valid]);
}
