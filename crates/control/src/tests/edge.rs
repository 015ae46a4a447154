//! What the edge is told: who may come to an agent, that it is awake, and when that is over.

use std::time::Duration;

use axum::{
    body::{Body, BodyDataStream},
    http::{Request, StatusCode, header},
};
use creel_daemon::Peer;
use creel_protocol::edge::{Enter, EnterWith, Entered, Face, Hidden, Knock, LeaseEvent, Place, Shown};
use futures_util::StreamExt as _;
use serde_json::json;
use tower::ServiceExt as _;

use super::World;
use crate::edge;

const HOME: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

fn face(port: Option<u16>) -> Face {
    Face {
        label: "scout".to_owned(),
        port,
    }
}

/// A lease as the edge has it.
pub(super) struct Lease {
    body: BodyDataStream,
    rest: Vec<u8>,
}

impl Lease {
    async fn next(&mut self) -> Option<LeaseEvent> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).expect("an event"));
            }
            self.rest
                .extend_from_slice(&self.body.next().await?.expect("whole"));
        }
    }

    /// The next event that says something.
    pub(super) async fn told(&mut self) -> LeaseEvent {
        loop {
            match self.next().await.expect("it goes on") {
                LeaseEvent::Alive | LeaseEvent::Waking(_) => {}
                event => return event,
            }
        }
    }

    pub(super) async fn ready(&mut self) -> Place {
        match self.told().await {
            LeaseEvent::Ready(place) => place,
            other => panic!("not ready: {other:?}"),
        }
    }

    pub(super) async fn refused(&mut self) -> (u16, String) {
        match self.told().await {
            LeaseEvent::Refused(refused) => (refused.status, refused.code),
            other => panic!("not refused: {other:?}"),
        }
    }
}

pub(super) async fn ask(
    world: &World,
    path: &str,
    question: &impl serde::Serialize,
) -> axum::response::Response {
    let uid = rustix::process::getuid().as_raw();
    let request = Request::post(path)
        .header(header::CONTENT_TYPE, "application/json")
        .extension(Peer::Unix {
            uid,
            gid: 0,
            pid: None,
        })
        .body(Body::from(serde_json::to_vec(question).expect("JSON")))
        .expect("a request");
    let routes = edge::routes(world.handle().control());
    routes.oneshot(request).await.expect("an answer")
}

async fn knock(world: &World, port: Option<u16>, shown: Shown) -> Lease {
    knock_at(world, face(port), shown).await
}

pub(super) async fn knock_at(world: &World, face: Face, shown: Shown) -> Lease {
    let knock = Knock {
        face,
        shown,
        address: HOME,
    };
    let answer = ask(world, "/v1/lease", &knock).await;
    assert_eq!(answer.status(), StatusCode::OK);
    Lease {
        body: answer.into_body().into_data_stream(),
        rest: Vec::new(),
    }
}

pub(super) fn token(world: &World) -> Shown {
    Shown::Token(Hidden(world.token.clone()))
}

pub(super) async fn publish(world: &World, port: u16, how: serde_json::Value) {
    let path = format!("/v1/agents/scout/ports/{port}");
    let headers = [("content-type", "application/json")];
    let reply = world.ask("PUT", &path, &headers, how.to_string()).await;
    reply.expect(200).await;
}

async fn sleepy() -> World {
    let world = World::new().await;
    let body = json!({"name": "scout", "runtime": "lite", "rest": {"idle_s": 1}});
    world.post("/v1/agents", body).await.expect(201).await;
    world.until("scout", "running").await;
    world
}

#[tokio::test]
async fn only_what_is_published_is_reached_and_only_by_whoever_may() {
    let world = World::new().await;
    let (_, sandbox) = world.running_agent("scout").await;
    assert_eq!(
        knock(&world, Some(3000), token(&world)).await.refused().await.0,
        404
    );
    assert_eq!(
        knock(&world, None, token(&world)).await.refused().await.0,
        404,
        "lite has no page"
    );
    publish(&world, 3000, json!({})).await;
    for (shown, status) in [
        (Shown::Nothing, 401),
        (Shown::Token(Hidden("creel_wrong".to_owned())), 401),
        (Shown::Access(Hidden("wrong".to_owned())), 401),
        (Shown::Session(Hidden("wrong".to_owned())), 401),
    ] {
        assert_eq!(
            knock(&world, Some(3000), shown.clone()).await.refused().await.0,
            status,
            "{shown:?}"
        );
    }
    let place = knock(&world, Some(3000), token(&world)).await.ready().await;
    assert_eq!((place.sandbox, place.port, place.private), (sandbox, 3000, true));
    assert!(place.user.is_some_and(|user| user.starts_with("usr_")));
    let viewer = world
        .post("/v1/tokens", json!({"name": "less", "scopes": ["agents:read"]}))
        .await
        .expect(201)
        .await;
    let viewer = Shown::Token(Hidden(viewer["secret"].as_str().expect("a secret").to_owned()));
    assert_eq!(knock(&world, Some(3000), viewer).await.refused().await.0, 403);
    publish(&world, 3000, json!({"access": "public", "page": true})).await;
    let place = knock(&world, None, Shown::Nothing).await.ready().await;
    assert_eq!((place.port, place.private, place.user), (3000, false, None));
}

#[tokio::test]
async fn a_lease_wakes_an_agent_and_keeps_it_awake_until_it_is_let_go() {
    let world = sleepy().await;
    publish(&world, 3000, json!({})).await;
    world.until("scout", "asleep").await;
    let mut lease = knock(&world, Some(3000), token(&world)).await;
    assert!(matches!(lease.next().await, Some(LeaseEvent::Waking(waking)) if waking.name == "scout"));
    lease.ready().await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    world.until("scout", "running").await;
    assert!(matches!(lease.next().await, Some(LeaseEvent::Alive)));
    drop(lease);
    world.until("scout", "asleep").await;
    // Asked and refused: nobody was let in, and nobody was woken.
    knock(&world, Some(3000), Shown::Nothing).await.refused().await;
    world.until("scout", "asleep").await;
}

#[tokio::test]
async fn an_owner_puts_an_agent_to_sleep_that_nobody_uses_though_somebody_came() {
    let world = World::new().await;
    world.running_agent("scout").await;
    publish(&world, 3000, json!({})).await;
    let sleep = || async {
        let headers = [("content-type", "application/json"), ("if-match", "*")];
        let sleep = json!({"intent": "sleep"}).to_string();
        let told = world.ask("PATCH", "/v1/agents/scout", &headers, sleep).await;
        told.expect(200).await;
    };
    let mut lease = knock(&world, Some(3000), token(&world)).await;
    lease.ready().await;
    sleep().await;
    assert_eq!(lease.told().await, LeaseEvent::Rests);
    drop(lease);
    world.until("scout", "asleep").await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    world.until("scout", "asleep").await;

    // One that is used wakes it again.
    let mut lease = knock(&world, Some(3000), token(&world)).await;
    lease.ready().await;
    sleep().await;
    assert_eq!(lease.told().await, LeaseEvent::Rests);
    world.until("scout", "running").await;
}

#[tokio::test]
async fn a_lease_ends_when_its_right_or_its_agent_is_gone() {
    let world = World::new().await;
    world.running_agent("scout").await;
    publish(&world, 3000, json!({})).await;
    let made = world
        .post("/v1/tokens", json!({"name": "short"}))
        .await
        .expect(201)
        .await;
    let shown = Shown::Token(Hidden(made["secret"].as_str().expect("a secret").to_owned()));
    let mut by_token = knock(&world, Some(3000), shown).await;
    by_token.ready().await;
    let id = made["id"].as_str().expect("an id");
    assert_eq!(world.delete(&format!("/v1/tokens/{id}")).await.status, 204);
    assert!(matches!(by_token.told().await, LeaseEvent::Ended { .. }));

    let mut lease = knock(&world, Some(3000), token(&world)).await;
    lease.ready().await;
    assert_eq!(world.delete("/v1/agents/scout/ports/3000").await.status, 204);
    assert!(matches!(lease.told().await, LeaseEvent::Ended { .. }));

    publish(&world, 3000, json!({"access": "public"})).await;
    let mut lease = knock(&world, Some(3000), Shown::Nothing).await;
    lease.ready().await;
    let headers = [("content-type", "application/json"), ("if-match", "*")];
    let stop = json!({"intent": "stop"}).to_string();
    world
        .ask("PATCH", "/v1/agents/scout", &headers, stop)
        .await
        .expect(200)
        .await;
    assert!(matches!(lease.told().await, LeaseEvent::Ended { .. }));
    let refused = knock(&world, Some(3000), Shown::Nothing).await.refused().await;
    assert_eq!(refused, (409, "agent_not_running".to_owned()));
}

async fn enter(world: &World, with: EnterWith) -> Option<Entered> {
    enter_at(world, face(Some(3000)), with).await
}

pub(super) async fn enter_at(world: &World, face: Face, with: EnterWith) -> Option<Entered> {
    let question = Enter {
        face,
        with,
        address: HOME,
    };
    let answer = ask(world, "/v1/enter", &question).await;
    let good = answer.status() == StatusCode::OK;
    let body = axum::body::to_bytes(answer.into_body(), 1 << 16)
        .await
        .expect("whole");
    good.then(|| serde_json::from_slice(&body).expect("entered"))
}

#[tokio::test]
async fn a_link_lets_a_browser_in_until_it_is_ended() {
    let world = World::new().await;
    world.running_agent("scout").await;
    publish(&world, 3000, json!({})).await;
    let made = world
        .post(
            "/v1/agents/scout/share-links",
            json!({"port": 3000, "expires_in_seconds": 3600}),
        )
        .await
        .expect(201)
        .await;
    let url = made["url"].as_str().expect("shown once");
    let secret = url.rsplit_once("link=").expect("in the address").1.to_owned();
    let listed = world.get("/v1/agents/scout/share-links").await.text().await;
    assert!(!listed.contains(&secret), "{listed}");
    assert_eq!(
        enter(&world, EnterWith::Link(Hidden("wrong".to_owned()))).await,
        None
    );
    let entered = enter(&world, EnterWith::Link(Hidden(secret.clone())))
        .await
        .expect("let in");
    let mut lease = knock(&world, Some(3000), Shown::Access(entered.access.clone())).await;
    assert_eq!(lease.ready().await.user, None);
    let link = format!(
        "/v1/agents/scout/share-links/{}",
        made["id"].as_str().expect("an id")
    );
    assert_eq!(world.delete(&link).await.status, 204);
    assert!(matches!(lease.told().await, LeaseEvent::Ended { .. }));
    assert_eq!(
        knock(&world, Some(3000), Shown::Access(entered.access))
            .await
            .refused()
            .await
            .0,
        401
    );
    assert_eq!(enter(&world, EnterWith::Link(Hidden(secret))).await, None);
}

#[tokio::test]
async fn whoever_is_signed_in_is_sent_on_with_a_ticket_that_is_good_once() {
    let world = World::new().await;
    world.running_agent("scout").await;
    publish(&world, 3000, json!({})).await;
    let to = "/sign-in/page?to=http%3A%2F%2Fscout--3000.localhost%3A7300%2Fp%3Fq%3D1";
    let get = |path: &str, cookie: Option<&str>| {
        let mut request = Request::get(path);
        if let Some(cookie) = cookie {
            request = request.header(header::COOKIE, cookie);
        }
        world.send(request.body(Body::empty()).expect("a request"))
    };
    let nobody = get(to, None).await;
    assert!(
        nobody.header("location").starts_with("/#to=http%3A"),
        "{}",
        nobody.header("location")
    );
    let link = world.handle().sign_in_path().await.expect("a link");
    let opened = get(&link, None).await;
    let cookie = opened
        .header("set-cookie")
        .split(';')
        .next()
        .expect("a cookie")
        .to_owned();
    let sent = get(to, Some(&cookie)).await;
    let there = sent.header("location").to_owned();
    let ticket = there
        .strip_prefix("http://scout--3000.localhost:7300/.creel/enter?ticket=")
        .and_then(|rest| rest.strip_suffix("&to=/p%3Fq%3D1"))
        .unwrap_or_else(|| panic!("elsewhere: {there}"));
    let ticket = || EnterWith::Ticket(Hidden(ticket.to_owned()));
    let entered = enter(&world, ticket()).await.expect("let in");
    assert_eq!(enter(&world, ticket()).await, None, "once");
    let mut lease = knock(&world, Some(3000), Shown::Access(entered.access.clone())).await;
    assert!(lease.ready().await.user.is_some());
    // With the session goes what it gave.
    let out = Request::post("/v1/sign-out")
        .header(header::COOKIE, &cookie)
        .header("sec-fetch-site", "same-origin");
    assert_eq!(
        world
            .send(out.body(Body::empty()).expect("a request"))
            .await
            .status,
        204
    );
    assert!(matches!(lease.told().await, LeaseEvent::Ended { .. }));
    for elsewhere in [
        "https%3A%2F%2Fevil.test%2F",
        "http%3A%2F%2Fscout.localhost%3A1%2F",
        "x",
    ] {
        let opened = get(&world.handle().sign_in_path().await.expect("a link"), None).await;
        let cookie = opened
            .header("set-cookie")
            .split(';')
            .next()
            .expect("a cookie")
            .to_owned();
        let sent = get(&format!("/sign-in/page?to={elsewhere}"), Some(&cookie)).await;
        assert_eq!(sent.status, 400, "{elsewhere}");
    }
}

#[tokio::test]
async fn nobody_but_the_account_itself_is_answered() {
    let world = World::new().await;
    let request = Request::post("/v1/lease").extension(Peer::Unix {
        uid: 12_345,
        gid: 0,
        pid: None,
    });
    let routes = edge::routes(world.handle().control());
    let answer = routes
        .oneshot(request.body(Body::empty()).expect("a request"))
        .await;
    assert_eq!(answer.expect("an answer").status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn an_agents_label_is_its_name_unless_somebody_has_it() {
    let world = World::new().await;
    world.create("www").await;
    let ports = world
        .ask(
            "PUT",
            "/v1/agents/www/ports/80",
            &[("content-type", "application/json")],
            "{}",
        )
        .await
        .expect(200)
        .await;
    let url = ports["url"].as_str().expect("an address");
    assert!(
        url.starts_with("http://www-") && url.ends_with("--80.localhost:7300"),
        "{url}"
    );
    for port in ["7301", "7302", "0"] {
        let path = format!("/v1/agents/www/ports/{port}");
        let headers = [("content-type", "application/json")];
        let refused = world.ask("PUT", &path, &headers, "{}").await;
        assert_eq!(refused.status, 400, "{port}");
    }
}
