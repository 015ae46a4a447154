//! Owners' own names: proven by a DNS server whose records are in the story's hand, and what they lead to.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use creel_domain::DomainName;
use creel_protocol::edge::{EnterWith, Face, Hidden, LeaseEvent, NameAnswer, NameAsked, Shown};
use creel_store::{DomainSighting, NewToken};
use creel_testkit::{DnsMood, FakeDns};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{
    World,
    edge::{ask, enter_at, knock_at, publish, token},
    wait,
};
use crate::{Dns, MAX_TXT_RECORDS, operations::sign_in::hash};

const CHAT: &str = "chat.example.com";
const PLACE: &str = "_creel.chat.example.com";
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// In real time, with a DNS server, an agent `scout` and somebody of another org with an agent `rival`.
struct Story {
    world: World,
    dns: FakeDns,
    theirs: String,
}

impl Story {
    async fn new() -> Self {
        let dns = FakeDns::serve().await.expect("a DNS server");
        let mut world = World::in_real_time().await;
        world.kill().await;
        world.dns = Arc::new(Dns::new(Some(dns.address())));
        world.start().await;
        world.create("scout").await;
        let platform = world.store().platform();
        let (org, user) = platform.create_org("other".into()).await.expect("made");
        let new = NewToken::whole(user, "theirs", hash("creel_theirs"));
        world.store().org(org).add_token(new).await.expect("added");
        let story = Self {
            world,
            dns,
            theirs: "creel_theirs".to_owned(),
        };
        let body = json!({"name": "rival", "runtime": "lite"});
        let made = story.world.post_as(&story.theirs, "/v1/agents", body).await;
        made.expect(201).await;
        story
    }

    /// Asks as somebody of one of the two orgs.
    async fn say(&self, ours: bool, method: &str, below: &str, body: Value) -> super::Reply {
        let (token, agent) = match ours {
            true => (&self.world.token, "scout"),
            false => (&self.theirs, "rival"),
        };
        let request = Request::builder()
            .method(method)
            .uri(format!("/v1/agents/{agent}/domains/{below}"))
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string()))
            .expect("a request");
        self.world.send(request).await
    }

    /// Claims the name; what is to be set in DNS.
    async fn claim(&self, ours: bool) -> String {
        let claimed = self.say(ours, "PUT", CHAT, json!({})).await.expect(200).await;
        assert_eq!(claimed["records"][0]["name"], PLACE);
        claimed["records"][0]["value"]
            .as_str()
            .expect("a token")
            .to_owned()
    }

    /// Its state, and what was seen, after it was looked up on demand.
    async fn verify(&self, ours: bool) -> (String, String) {
        let path = format!("{CHAT}/verify");
        let checked = self.say(ours, "POST", &path, json!({})).await.expect(200).await;
        let text = |field: &str| checked[field].as_str().expect("a text").to_owned();
        (text("state"), text("seen"))
    }

    async fn until(&self, ours: bool, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let last = std::cell::RefCell::new(Value::Null);
        wait(what, || async {
            let domain = self.say(ours, "GET", CHAT, json!({})).await.expect(200).await;
            last.replace(domain.clone());
            (holds(&domain), domain.to_string())
        })
        .await;
        last.into_inner()
    }

    /// The clock goes on, and what is due is looked at.
    fn later(&self, by: SignedDuration) {
        self.world.jump(by);
        self.world.handle().control().domains.nudge.notify_one();
    }
}

async fn served(world: &World, name: &str) -> bool {
    let name = name.parse().expect("a domain");
    let answer = ask(world, "/v1/name", &NameAsked { name }).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let body = axum::body::to_bytes(answer.into_body(), 1024)
        .await
        .expect("whole");
    serde_json::from_slice::<NameAnswer>(&body)
        .expect("an answer")
        .served
}

async fn has_it(world: &World) -> bool {
    served(world, CHAT).await
}

#[tokio::test]
async fn a_name_leads_to_its_agent_once_its_record_is_found() {
    let story = Story::new().await;
    let claimed = story.say(true, "PUT", CHAT, json!({})).await.expect(200).await;
    assert_eq!(
        (&claimed["state"], &claimed["url"], &claimed["agent_name"]),
        (
            &json!("pending"),
            &json!("http://chat.example.com:7300"),
            &json!("scout")
        )
    );
    assert_eq!(
        claimed["records"][1],
        json!({"kind": "A", "name": CHAT, "value": "127.0.0.1"})
    );
    let seen = story
        .until(true, "it is looked for", |domain| domain["seen"] != "")
        .await;
    let none = "The TXT record was not found: there is none at _creel.chat.example.com.";
    assert_eq!(seen["seen"], none);
    assert!(!has_it(&story.world).await);
    let token = story.claim(true).await;
    assert_eq!(
        json!(token),
        claimed["records"][0]["value"],
        "claimed again it is the same"
    );
    story.dns.set(PLACE, &["v=spf1 -all", &token]);
    // By the clock alone.
    story.later(HOUR);
    story
        .until(true, "it is verified", |domain| domain["state"] == "verified")
        .await;
    assert!(has_it(&story.world).await);
    assert_eq!(story.say(true, "DELETE", CHAT, json!({})).await.status, 204);
    assert!(!has_it(&story.world).await);
    assert_eq!(story.say(true, "GET", CHAT, json!({})).await.status, 404);
    assert_ne!(story.claim(true).await, token, "claimed anew it is another");
}

#[tokio::test]
async fn what_proves_nothing_is_told_in_words() {
    let story = Story::new().await;
    let token = story.claim(true).await;
    let many: Vec<String> = (0..=MAX_TXT_RECORDS).map(|number| format!("n{number}")).collect();
    let mut many: Vec<&str> = many.iter().map(String::as_str).collect();
    let cut = &token[..token.len() - 1];
    for (mood, word) in [
        (
            DnsMood::Texts(vec!["creel-verify=wrong".into()]),
            "found: \"creel-verify=wrong\".",
        ),
        (DnsMood::Texts(vec![cut.into()]), "found: \"creel-verify="),
        (
            DnsMood::Texts(Vec::new()),
            "there is none at _creel.chat.example.com",
        ),
        (DnsMood::Error(2), "Server Failure"),
        (DnsMood::Error(5), "Query Refused"),
        (DnsMood::Garbage, "_creel.chat.example.com could not be looked up"),
        (DnsMood::Texts(vec!["x".repeat(60_000)]), "more than"),
        (
            DnsMood::Texts(many.iter().map(|text| (*text).to_owned()).collect()),
            "more than",
        ),
    ] {
        story.dns.answer(PLACE, mood.clone());
        let (state, seen) = story.verify(true).await;
        assert_eq!(state, "pending", "{mood:?}");
        assert!(seen.contains(word) && seen.len() < 400, "{seen}");
    }
    story.dns.forget(PLACE);
    assert!(story.verify(true).await.1.contains("there is none"));
    // As many as there may be, and too many for one datagram.
    many.truncate(MAX_TXT_RECORDS - 1);
    many.push(&token);
    story.dns.set(PLACE, &many);
    assert_eq!(story.verify(true).await.0, "verified");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_waited_for_so_long_and_holds_nobody_up() {
    let story = Story::new().await;
    story.claim(true).await;
    story.dns.answer(PLACE, DnsMood::Silent);
    let began = std::time::Instant::now();
    let (state, seen) = story.verify(true).await;
    assert!(
        state == "pending" && seen.contains("no DNS server answered in time"),
        "{seen}"
    );
    assert!(began.elapsed() < crate::LOOKUP_WITHIN + Duration::from_secs(5));
    let closed = Dns::new(Some(([127, 0, 0, 1], 1).into()));
    let broken = crate::TxtLookup::txt(&closed, PLACE).await;
    assert!(broken.is_err(), "{broken:?}");
}

#[tokio::test]
async fn the_newer_proof_takes_a_name_over_and_an_older_one_that_stands_keeps_it() {
    let story = Story::new().await;
    let (ours, theirs) = (story.claim(true).await, story.claim(false).await);
    assert_ne!(ours, theirs);
    story.dns.set(PLACE, &[&ours]);
    assert_eq!(story.verify(true).await.0, "verified");
    story.dns.set(PLACE, &[&ours, &theirs]);
    let (state, seen) = story.verify(false).await;
    assert!(state == "pending" && seen.contains("remove that one"), "{seen}");
    assert_eq!(story.verify(true).await.0, "verified");
    story.dns.set(PLACE, &[&theirs]);
    assert_eq!(story.verify(false).await.0, "verified");
    let ours = story
        .until(true, "it is lost", |domain| domain["state"] == "failed")
        .await;
    assert!(
        ours["seen"]
            .as_str()
            .expect("words")
            .starts_with("Another org has proven"),
        "{ours}"
    );
    assert!(has_it(&story.world).await);
    let trail = story
        .world
        .get("/v1/audit?action=domain.lose")
        .await
        .expect(200)
        .await;
    assert_eq!(trail["items"][0]["act"]["target"], CHAT, "{trail}");
}

#[tokio::test]
async fn two_orgs_that_prove_a_name_at_once_are_one_that_has_it() {
    let story = Story::new().await;
    let (ours, theirs) = (story.claim(true).await, story.claim(false).await);
    story.dns.set(PLACE, &[&ours, &theirs]);
    for _ in 0..5 {
        let (one, two) = tokio::join!(story.verify(true), story.verify(false));
        let verified = [&one, &two]
            .iter()
            .filter(|checked| checked.0 == "verified")
            .count();
        assert_eq!(verified, 1, "{one:?} {two:?}");
    }
}

#[tokio::test]
async fn a_proof_that_is_gone_is_a_warning_for_a_week_and_then_the_end() {
    let story = Story::new().await;
    let token = story.claim(true).await;
    story.dns.set(PLACE, &[&token]);
    assert_eq!(story.verify(true).await.0, "verified");
    story.dns.answer(PLACE, DnsMood::Error(2));
    story.later(HOUR * 25);
    let failing = |domain: &Value| domain["failing_since"].is_string();
    let warned = story.until(true, "it is failing", failing).await;
    assert_eq!(warned["state"], "verified");
    story.dns.set(PLACE, &[&token]);
    story.later(HOUR * 2);
    story
        .until(true, "it is good again", |domain| !failing(domain))
        .await;
    story.dns.forget(PLACE);
    for _ in 0..8 {
        assert!(has_it(&story.world).await);
        let before = story.say(true, "GET", CHAT, json!({})).await.expect(200).await;
        story.later(HOUR * 25);
        let looked = |domain: &Value| domain["checked_at"] != before["checked_at"];
        story.until(true, "it is looked at again", looked).await;
    }
    let ended = story
        .until(true, "it is over", |domain| domain["state"] == "failed")
        .await;
    assert!(ended.get("next_check_at").is_none(), "{ended}");
    assert!(!has_it(&story.world).await);
    let events = story.world.store().org(
        story.world.get("/v1/whoami").await.expect(200).await["org"]
            .as_str()
            .expect("an id")
            .parse()
            .expect("an id"),
    );
    let kinds: Vec<String> = events
        .events(0, 200)
        .await
        .expect("a list")
        .into_iter()
        .map(|event| event.kind)
        .collect();
    let kinds: Vec<&str> = kinds
        .iter()
        .map(String::as_str)
        .filter(|kind| kind.starts_with("domain."))
        .collect();
    assert_eq!(
        kinds,
        [
            "domain.added",
            "domain.verified",
            "domain.failing",
            "domain.verified",
            "domain.failing",
            "domain.failed"
        ]
    );
    // Whoever asks has it looked at again.
    story.dns.set(PLACE, &[&token]);
    assert_eq!(story.verify(true).await.0, "verified");
}

#[tokio::test]
async fn a_control_that_dies_leaves_what_is_to_be_checked_to_the_next() {
    let mut story = Story::new().await;
    let token = story.claim(true).await;
    story.world.kill().await;
    story.dns.set(PLACE, &[&token]);
    story.world.jump(HOUR);
    story.world.start().await;
    story
        .until(true, "it is verified", |domain| domain["state"] == "verified")
        .await;
}

#[tokio::test]
async fn names_that_cannot_be_an_owners_are_refused() {
    let world = World::new().await;
    world.create("scout").await;
    let put = async |name: &str, body: Value| {
        let path = format!("/v1/agents/scout/domains/{name}");
        let headers = [("content-type", "application/json")];
        world.ask("PUT", &path, &headers, body.to_string()).await
    };
    for name in [
        "localhost",
        "scout.localhost",
        "127.0.0.1",
        "com",
        "b%C3%BCcher.example",
        "example.com.",
        "a..example.com",
        "%2A.example.com",
        &format!("{}.com", "a.".repeat(124).trim_end_matches('.')),
    ] {
        let refused = put(name, json!({})).await;
        assert_eq!(refused.status, 400, "{name}");
        refused.problem("invalid_request").await;
    }
    for port in [0, 7301] {
        assert_eq!(put(CHAT, json!({"port": port})).await.status, 400, "{port}");
    }
    put("XN--Bcher-kva.example", json!({"port": 3000}))
        .await
        .expect(200)
        .await;
    let all = world.get("/v1/domains").await.expect(200).await;
    assert_eq!(
        (&all["items"][0]["name"], &all["items"][0]["port"]),
        (&json!("xn--bcher-kva.example"), &json!(3000))
    );
}

/// A name of `scout`'s that is proven.
async fn proven(world: &World, port: Option<u16>) -> Face {
    let name: DomainName = CHAT.parse().expect("a domain");
    let agent = world.get("/v1/agents/scout").await.expect(200).await;
    let who = world.get("/v1/whoami").await.expect(200).await;
    let id = |value: &Value| value.as_str().expect("an id").to_owned();
    let org = world.store().org(id(&who["org"]).parse().expect("an id"));
    let agent = id(&agent["id"]).parse().expect("an id");
    let domain = org
        .put_domain(agent, name.clone(), port, "token".to_owned())
        .await;
    let sighting = DomainSighting {
        proven: true,
        seen: String::new(),
        asked: false,
    };
    let revision = domain.expect("claimed").revision;
    let checked = org.check_domain(name.clone(), revision, sighting).await;
    let checked = checked.expect("checked").expect("not changed meanwhile");
    assert!(checked.course.state.is_verified());
    name.into()
}

#[tokio::test]
async fn a_name_leads_where_its_owner_says_by_the_same_rules_as_any_other() {
    let world = World::new().await;
    world.running_agent("scout").await;
    let nowhere: Face = CHAT.parse::<DomainName>().expect("a domain").into();
    let refused = knock_at(&world, nowhere, token(&world)).await.refused().await;
    assert_eq!(refused, (421, "unknown_host".to_owned()));
    let face = proven(&world, Some(3000)).await;
    assert_eq!(
        knock_at(&world, face.clone(), token(&world))
            .await
            .refused()
            .await
            .0,
        404
    );
    publish(&world, 3000, json!({})).await;
    publish(&world, 8080, json!({"page": true, "access": "public"})).await;
    assert_eq!(
        knock_at(&world, face.clone(), Shown::Nothing)
            .await
            .refused()
            .await
            .0,
        401
    );
    let mut lease = knock_at(&world, face.clone(), token(&world)).await;
    let place = lease.ready().await;
    assert_eq!((place.port, place.private), (3000, true));
    // It leads to the page instead: whoever is at the port before is let go.
    let headers = [("content-type", "application/json")];
    let path = format!("/v1/agents/scout/domains/{CHAT}");
    world.ask("PUT", &path, &headers, "{}").await.expect(200).await;
    assert!(matches!(lease.told().await, LeaseEvent::Ended { .. }));
    let mut lease = knock_at(&world, face.clone(), Shown::Nothing).await;
    let place = lease.ready().await;
    assert_eq!((place.port, place.private), (8080, false));
    assert_eq!(world.delete(&path).await.status, 204);
    assert!(matches!(lease.told().await, LeaseEvent::Ended { .. }));
    assert_eq!(
        knock_at(&world, face, Shown::Nothing).await.refused().await.0,
        421
    );
}

#[tokio::test]
async fn a_way_in_for_one_name_is_worth_nothing_under_another() {
    let world = World::new().await;
    world.running_agent("scout").await;
    publish(&world, 3000, json!({"page": true})).await;
    let chat = proven(&world, None).await;
    let scout = Face {
        label: "scout".to_owned(),
        port: None,
    };
    let get = |path: &str, cookie: Option<&str>| {
        let mut request = Request::get(path);
        if let Some(cookie) = cookie {
            request = request.header(header::COOKIE, cookie);
        }
        world.send(request.body(Body::empty()).expect("a request"))
    };
    let opened = get(&world.handle().sign_in_path().await.expect("a link"), None).await;
    let cookie = opened
        .header("set-cookie")
        .split(';')
        .next()
        .expect("a cookie")
        .to_owned();
    let to = "/sign-in/page?to=http%3A%2F%2Fchat.example.com%3A7300%2Fp%3Fq%3D1";
    let sent = get(to, Some(&cookie)).await.header("location").to_owned();
    let ticket = sent
        .strip_prefix("http://chat.example.com:7300/.creel/enter?ticket=")
        .and_then(|rest| rest.strip_suffix("&to=/p%3Fq%3D1"))
        .unwrap_or_else(|| panic!("elsewhere: {sent}"));
    let ticket = || EnterWith::Ticket(Hidden(ticket.to_owned()));
    assert_eq!(enter_at(&world, scout.clone(), ticket()).await, None);
    let entered = enter_at(&world, chat.clone(), ticket()).await.expect("let in");
    let access = || Shown::Access(entered.access.clone());
    assert_eq!(
        knock_at(&world, scout.clone(), access()).await.refused().await.0,
        401
    );
    assert!(
        knock_at(&world, chat.clone(), access())
            .await
            .ready()
            .await
            .user
            .is_some()
    );
    let link = json!({"port": 3000, "expires_in_seconds": 3600});
    let made = world
        .post("/v1/agents/scout/share-links", link)
        .await
        .expect(201)
        .await;
    let secret = made["url"]
        .as_str()
        .expect("shown once")
        .rsplit_once("link=")
        .expect("in it")
        .1;
    let link = EnterWith::Link(Hidden(secret.to_owned()));
    let by_link = enter_at(&world, chat.clone(), link).await.expect("let in");
    let access = || Shown::Access(by_link.access.clone());
    assert_eq!(knock_at(&world, scout, access()).await.refused().await.0, 401);
    assert_eq!(knock_at(&world, chat, access()).await.ready().await.user, None);
    for elsewhere in [
        "http%3A%2F%2Fother.example.com%3A7300%2F",
        "https%3A%2F%2Fchat.example.com%2F",
        "http%3A%2F%2Fchat.example.com.evil.test%3A7300%2F",
    ] {
        let refused = get(&format!("/sign-in/page?to={elsewhere}"), Some(&cookie)).await;
        assert!(
            refused.status.is_client_error(),
            "{elsewhere}: {}",
            refused.status
        );
    }
}
