//! The wall between orgs and roles, tried at every route of the API's description: a route that is added is
//! tried without anybody remembering to.

use std::collections::BTreeSet;

use axum::{body::Body, http::Request};
use creel_domain::{MemberRole, Scope};
use creel_store::{NewBrowserSession, NewInvitation, NewToken};
use serde_json::{Value, json};

use super::World;
use crate::operations::sign_in::hash;

/// Another org with one of everything that has an id or a name, and the marks by which a leak shows.
struct Other {
    agent: String,
    turn: String,
    link: String,
    schedule: String,
    provider: String,
    token: String,
    member: String,
    invitation: String,
    browser_session: String,
    device: String,
    identity: String,
    passkey: String,
}

const MARK: &str = "theirs-alone";
const SECRET_MARK: &str = "THEIRS_ALONE";
/// Their domain, which anybody may claim as well.
const DOMAIN_MARK: &str = "theirs-alone.example.com";

impl Other {
    async fn new(world: &World) -> Self {
        let (org, user) = world
            .store
            .platform()
            .create_org(format!("{MARK}-org"))
            .await
            .expect("an org");
        let org = world.store.org(org);
        let secret = "their-token";
        let token = org
            .add_token(NewToken::whole(user, MARK, hash(secret)))
            .await
            .expect("a token");
        let post = async |path: &str, body: Value| {
            let request = Request::post(path)
                .header("authorization", format!("Bearer {secret}"))
                .header("content-type", "application/json")
                .body(Body::from(body.to_string()))
                .expect("a request");
            world.send(request).await
        };
        let agent = post("/v1/agents", json!({"name": MARK, "runtime": "lite"})).await;
        let agent = agent.expect(201).await;
        let id = |value: &Value| value["id"].as_str().expect("an id").to_owned();
        let turn = post(
            &format!("/v1/agents/{}/chat", id(&agent)),
            json!({"message": MARK}),
        )
        .await
        .expect(200)
        .await;
        let schedule = json!({"name": MARK, "message": MARK, "when": {"kind": "every", "seconds": 3600}});
        let schedule = post(&format!("/v1/agents/{}/schedules", id(&agent)), schedule).await;
        let schedule = schedule.expect(201).await;
        let provider = json!({"name": MARK, "kind": "openai", "key": format!("sk-{MARK}")});
        post("/v1/providers", provider).await.expect(201).await;
        let put = async |path: &str| {
            let request = Request::put(path)
                .header("authorization", format!("Bearer {secret}"))
                .header("content-type", "application/json")
                .body(Body::from(json!({"value": MARK}).to_string()))
                .expect("a request");
            world.send(request).await.expect(200).await
        };
        put(&format!("/v1/secrets/{SECRET_MARK}")).await;
        put(&format!("/v1/agents/{}/secrets/{SECRET_MARK}", id(&agent))).await;
        let agent_id = id(&agent).parse().expect("an id");
        let published = org.publish_port(agent_id, 3000, creel_domain::PortAccess::Private, false);
        published.await.expect("published");
        let domain = DOMAIN_MARK.parse().expect("a domain");
        let claimed = org.put_domain(agent_id, domain, None, MARK.to_owned());
        claimed.await.expect("claimed");
        let new = creel_store::NewShareLink {
            port: 3000,
            name: MARK.to_owned(),
            hash: [79; 32],
            expires_at: jiff::Timestamp::MAX,
        };
        let link = org.add_share_link(agent_id, new).await.expect("made");
        let invitation = org
            .invite(NewInvitation {
                role: MemberRole::Viewer,
                by: user,
                hash: [77; 32],
            })
            .await
            .expect("invited");
        let session = NewBrowserSession {
            hash: [78; 32],
            browser: MARK.to_owned(),
            proven: true,
        };
        let platform = world.store.platform();
        let browser_session = platform.open_browser_session(org.id(), user, session).await;
        let browser_session = browser_session.expect("opened");
        let device = super::devices::paired(world, secret, MARK, json!({})).await;
        let new = creel_store::NewIdentity {
            issuer: MARK.to_owned(),
            subject: MARK.to_owned(),
            name: MARK.to_owned(),
            email: None,
        };
        assert!(platform.link_identity(user, new).await.expect("linked"));
        let identities = platform.identities(user).await.expect("a list");
        Self {
            identity: identities[0].id.to_string(),
            device: device["device"].as_str().expect("an id").to_owned(),
            passkey: super::people::passkeys::somebodys(world, user, MARK).await,
            agent: id(&agent),
            turn: id(&turn),
            link: link.id.to_string(),
            schedule: id(&schedule),
            provider: MARK.to_owned(),
            token: token.id.to_string(),
            member: user.to_string(),
            invitation: invitation.id.to_string(),
            browser_session: browser_session.to_string(),
        }
    }

    fn path(&self, template: &str) -> String {
        template
            .replace("{agent}", &self.agent)
            .replace("{turn}", &self.turn)
            .replace("{port}", "3000")
            .replace("{link}", &self.link)
            .replace("{domain}", DOMAIN_MARK)
            .replace("{schedule}", &self.schedule)
            .replace("{session}", "main")
            .replace("{name}", &self.provider)
            .replace("{secret}", SECRET_MARK)
            .replace("{token}", &self.token)
            .replace("{user}", &self.member)
            .replace("{invitation}", &self.invitation)
            .replace("{browser_session}", &self.browser_session)
            .replace("{device}", &self.device)
            .replace("{identity}", &self.identity)
            .replace("{passkey}", &self.passkey)
            .replace("{image}", "lite")
    }
}

struct Route {
    method: String,
    template: String,
    /// None: anybody may.
    scope: Option<String>,
    public: bool,
}

fn routes() -> Vec<Route> {
    let document = serde_json::to_value(crate::openapi()).expect("JSON");
    let mut routes = Vec::new();
    for (template, operations) in document["paths"].as_object().expect("paths") {
        for (method, operation) in operations.as_object().expect("operations") {
            routes.push(Route {
                method: method.to_uppercase(),
                template: template.clone(),
                scope: operation["security"][0]["token"][0].as_str().map(str::to_owned),
                public: operation["security"] == json!([{}]),
            });
        }
    }
    assert!(routes.len() > 40, "only {} routes", routes.len());
    routes
}

/// A body that is good enough to get past its own checks, and a query likewise.
fn request(route: &Route, path: &str, token: &str) -> Request<Body> {
    let body = match (route.method.as_str(), route.template.as_str()) {
        ("POST", "/v1/agents") => json!({"name": "wall", "runtime": "lite"}),
        ("PATCH", "/v1/agents/{agent}") => json!({"intent": "stop"}),
        ("POST", "/v1/agents/{agent}/chat") => json!({"message": "hi"}),
        ("POST", "/v1/agents/{agent}/schedules") => {
            json!({"name": "wall", "message": "hi", "when": {"kind": "every", "seconds": 60}})
        }
        ("POST", "/v1/schedules/preview") => json!({"when": {"kind": "every", "seconds": 60}}),
        ("POST", "/v1/agents/{agent}/exec") => json!({"argv": ["ls"]}),
        ("POST", "/v1/providers") => json!({"name": "wall", "kind": "openai", "key": "sk-x"}),
        ("PATCH", "/v1/members/{user}") => json!({"role": "viewer"}),
        ("POST", "/v1/invitations") => json!({"role": "viewer"}),
        ("POST", "/v1/devices/authorize") => json!({"name": "wall"}),
        ("POST", "/v1/devices/token") => json!({"device_code": "wall"}),
        ("POST", "/v1/devices/inspect" | "/v1/devices/approve" | "/v1/devices/deny") => {
            json!({"user_code": "BCDF-GHJK"})
        }
        ("POST", "/v1/tokens") => json!({"name": "wall"}),
        ("POST", "/v1/operators") => json!({"email": "wall@example.com"}),
        ("POST", "/v1/me/identities") => json!({"provider": "wall"}),
        ("PATCH", "/v1/me/passkeys/{passkey}") => json!({"name": "wall"}),
        ("PUT", "/v1/secrets/key") => {
            json!({"address": "http://127.0.0.1:9", "name": "wall", "token": "wall"})
        }
        ("PUT", "/v1/agents/{agent}/hold") => json!({"seconds": 60}),
        ("POST", "/v1/agents/{agent}/share-links") => json!({"port": 3000}),
        ("PUT", path) if path.ends_with("/secrets/{secret}") => json!({"value": "wall"}),
        ("POST", "/v1/platform/providers") => json!({"name": "wall", "kind": "openai", "key": "sk-x"}),
        _ => json!({}),
    };
    let query = if route.template.ends_with("/files/move") {
        "?from=a&to=b"
    } else if route.template.contains("/files") {
        "?path=a"
    } else {
        ""
    };
    Request::builder()
        .method(route.method.as_str())
        .uri(format!("{path}{query}"))
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
        .header("if-match", "*")
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .body(Body::from(body.to_string()))
        .expect("a request")
}

#[tokio::test]
async fn with_another_orgs_ids_there_is_nothing_behind_any_route() {
    let world = World::new().await;
    super::orgs::owner_has_a_second_factor(&world).await;
    let other = Other::new(&world).await;
    let mut tried = 0;
    for route in routes() {
        // Streams of the caller's own org never end; the pages of the same route are tried below.
        let path = other.path(&route.template);
        if path == route.template || route.template.contains("{image}") {
            continue;
        }
        // It sets one of the caller's own, whoever else has one of that name.
        if (route.method.as_str(), route.template.as_str()) == ("PUT", "/v1/secrets/{secret}") {
            continue;
        }
        let reply = world.send(request(&route, &path, &world.token)).await;
        let status = reply.status;
        let text = reply.text().await;
        // Without a socket of its own an upgrade is refused before anything is looked up.
        let expected = if route.method == "GET" && path.ends_with("/exec") {
            400
        } else {
            404
        };
        assert_eq!(status, expected, "{} {path}: {text}", route.method);
        for mark in [MARK, &other.member] {
            // What the caller sent themselves may come back in the sentence.
            if !path.contains(mark) {
                assert!(!text.contains(mark), "{} {path}: {text}", route.method);
            }
        }
        tried += 1;
    }
    assert!(tried > 20, "only {tried} routes were tried");
    for list in [
        "/v1/agents",
        "/v1/secrets",
        "/v1/platform/providers",
        "/v1/providers",
        "/v1/members",
        "/v1/invitations",
        "/v1/tokens",
        "/v1/devices",
        "/v1/usage",
        "/v1/events",
        "/v1/audit",
        "/v1/audit/export",
        "/v1/whoami",
        "/v1/me",
        "/v1/me/identities",
        "/v1/me/passkeys",
        "/v1/browser-sessions",
        "/v1/host",
    ] {
        let reply = world.get(list).await;
        assert_eq!(reply.status, 200, "{list}");
        let text = reply.text().await;
        for mark in [
            MARK,
            &other.agent,
            &other.member,
            &other.token,
            &other.invitation,
            &other.device,
            &other.identity,
            &other.passkey,
            SECRET_MARK,
        ] {
            assert!(!text.contains(mark), "{list}: {text}");
        }
    }
}

/// A member of the first org with this role, and the secret of a token with these scopes.
async fn member(world: &World, role: MemberRole, scopes: Option<BTreeSet<Scope>>, mark: u8) -> String {
    let caller = world.get("/v1/whoami").await.expect(200).await;
    let parse = |name: &str| caller[name].as_str().expect("an id").to_owned();
    let org = world.store.org(parse("org").parse().expect("an id"));
    org.invite(NewInvitation {
        role,
        by: parse("user").parse().expect("an id"),
        hash: [mark; 32],
    })
    .await
    .expect("invited");
    let joined = world
        .store
        .platform()
        .accept_invitation([mark; 32], None, role.to_string(), [mark; 32])
        .await
        .expect("no error")
        .expect("let in");
    let secret = format!("token-{mark}");
    org.add_token(NewToken {
        scopes,
        ..NewToken::whole(joined.user, "wall", hash(&secret))
    })
    .await
    .expect("a token");
    secret
}

#[tokio::test]
async fn a_role_that_lacks_a_scope_is_refused_at_each_of_its_routes() {
    let world = World::new().await;
    for (mark, role) in (1..).zip(MemberRole::ALL) {
        let token = member(&world, role, None, mark).await;
        let has: BTreeSet<String> = role.scopes().iter().map(|scope| scope.to_string()).collect();
        let mut refused = 0;
        for route in routes() {
            let Some(scope) = &route.scope else { continue };
            if has.contains(scope) {
                continue;
            }
            let path = nobody(&route.template);
            let reply = world.send(request(&route, &path, &token)).await;
            assert_eq!(reply.status, 403, "{role}: {} {path}", route.method);
            reply.problem("forbidden").await;
            refused += 1;
        }
        assert!(refused > 0, "{role}: platform:write is nobody's by their role");
    }
}

/// Ids that are nobody's: who may, finds nothing.
fn nobody(template: &str) -> String {
    template
        .replace("{agent}", "agt_00000000000000000000000007")
        .replace("{turn}", "trn_00000000000000000000000007")
        .replace("{port}", "3000")
        .replace("{link}", "shl_00000000000000000000000007")
        .replace("{domain}", "nobody.example.com")
        .replace("{session}", "main")
        .replace("{name}", "nobody")
        .replace("{secret}", "NOBODY")
        .replace("{token}", "tok_00000000000000000000000007")
        .replace("{user}", "usr_00000000000000000000000007")
        .replace("{invitation}", "inv_00000000000000000000000007")
        .replace("{browser_session}", "bse_00000000000000000000000007")
        .replace("{device}", "dev_00000000000000000000000007")
        .replace("{identity}", "idn_00000000000000000000000007")
        .replace("{passkey}", "psk_00000000000000000000000007")
        .replace("{org}", "org_00000000000000000000000007")
        .replace("{image}", "nobody")
}

#[tokio::test]
async fn a_token_does_what_its_scopes_say_and_nothing_else() {
    let world = World::new().await;
    for (mark, scope) in (1..).zip(Scope::ALL) {
        let token = member(&world, MemberRole::Owner, Some([*scope].into()), mark).await;
        for route in routes() {
            let path = nobody(&route.template);
            if route.public || path == "/v1/whoami" || path == "/v1/access-tokens" || path == "/v1/events" {
                continue;
            }
            let reply = world.send(request(&route, &path, &token)).await;
            let status = reply.status;
            let may = route.scope.as_deref() == Some(scope.as_str());
            // An owner is no operator.
            let may = may && *scope != Scope::PlatformWrite;
            assert_eq!(
                status != 403,
                may,
                "{scope}: {} {path} answers {status}",
                route.method
            );
        }
    }
}

#[tokio::test]
async fn a_token_with_less_makes_none_with_more_and_no_link() {
    let world = World::new().await;
    let scopes = [Scope::TokensWrite, Scope::AgentsRead].into();
    let token = member(&world, MemberRole::Owner, Some(scopes), 1).await;
    let create = |body: Value| {
        Request::post("/v1/tokens")
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()))
            .expect("a request")
    };
    let more = json!({"name": "more", "scopes": ["agents:write"]});
    let sentence = world.send(create(more)).await.problem("forbidden").await;
    assert!(sentence.contains("`agents:write`"), "{sentence}");
    let same = world
        .send(create(json!({"name": "same"})))
        .await
        .expect(201)
        .await;
    assert_eq!(same["scopes"], json!(["agents:read", "tokens:write"]));
    let link = Request::post("/v1/sign-in-links").header("authorization", format!("Bearer {token}"));
    let link = world.send(link.body(Body::empty()).expect("a request")).await;
    link.problem("forbidden").await;
}
