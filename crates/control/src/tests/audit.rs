//! Every change through the API leaves an entry in the caller's name: tried at every route that is not a `GET`,
//! so that a route which is added is tried without anybody remembering to.

use axum::{
    body::Body,
    http::{Request, header},
};
use creel_domain::{ActResult, ActorKind};
use creel_store::StoredEntry;
use serde_json::{Value, json};

use super::{
    World, devices,
    orgs::owner_has_a_second_factor,
    people::{ADA, Browser, PASSWORD, all_sent, code, give_owner_a_password, mail_to, mails_to, passkeys},
    wait,
};
use crate::refusals;

const MEMBER: &str = "member@example.com";

/// Changes that leave no entry, and why.
const UNTOLD: &[(&str, &str, &str)] = &[
    (
        "POST",
        "/v1/agents/{agent}/chat",
        "the conversation is the record, with its own times and ids",
    ),
    (
        "POST",
        "/v1/agents/{agent}/turns/{turn}/retry",
        "the conversation is the record, with its own times and ids",
    ),
    (
        "POST",
        "/v1/sign-up",
        "nothing happens until a mailed code is shown",
    ),
    (
        "POST",
        "/v1/password-resets",
        "nothing happens until a mailed code is shown",
    ),
    (
        "POST",
        "/v1/me/totp",
        "nothing counts until a code has confirmed it",
    ),
    (
        "POST",
        "/v1/devices/authorize",
        "it is nobody's until somebody approves it",
    ),
    (
        "POST",
        "/v1/me/passkeys/begin",
        "nothing counts until a passkey was made",
    ),
    (
        "POST",
        "/v1/sign-in/passkey/begin",
        "nothing happens until a passkey has signed",
    ),
    (
        "POST",
        "/v1/me/proof/passkey/begin",
        "nothing happens until a passkey has signed",
    ),
    ("POST", "/v1/devices/inspect", "it looks and changes nothing"),
    ("POST", "/v1/schedules/preview", "it looks and changes nothing"),
    (
        "POST",
        "/v1/sign-in/with/{name}",
        "nothing happens until the browser is back from there",
    ),
    (
        "POST",
        "/v1/me/identities",
        "nothing happens until the browser is back from there",
    ),
    (
        "POST",
        "/v1/access-tokens",
        "it grants nothing that the caller has not, for minutes; what is done with it is told",
    ),
    // This needs a turn that failed: `chat::a_message_that_came_to_nothing_…` tries it.
    (
        "POST",
        "/v1/agents/{agent}/turns/{turn}/drop",
        "in the stories of `chat`",
    ),
    // These need a Vault: `vault::an_orgs_own_key_is_set_changed_and_removed_and_told_of` tries them.
    ("PUT", "/v1/secrets/key", "in the stories of `vault`"),
    ("DELETE", "/v1/secrets/key", "in the stories of `vault`"),
    // These need a code, of a mail or an app: `what_takes_a_code_is_told_as_well` tries them.
    ("POST", "/v1/sign-up/confirm", "below"),
    ("POST", "/v1/password-resets/confirm", "below"),
    ("POST", "/v1/verify-email", "below"),
    ("POST", "/v1/sign-in/second-factor", "below"),
    ("POST", "/v1/me/totp/confirm", "below"),
    // These need a passkey: `people::passkeys::what_is_done_with_a_passkey_is_told` tries them.
    ("POST", "/v1/me/passkeys/finish", "there"),
    ("POST", "/v1/sign-in/passkey/finish", "there"),
    ("POST", "/v1/me/proof/passkey/finish", "there"),
];

/// What a route is called with so that it does something, and which action then is in the trail.
fn call(method: &str, template: &str) -> Option<(Value, &'static str)> {
    let told = match (method, template) {
        ("POST", "/v1/agents") => (json!({"name": "made", "runtime": "lite"}), "agent.create"),
        ("PATCH", "/v1/agents/{agent}") => (json!({"limits": {"pids": 300}}), "agent.change"),
        ("DELETE", "/v1/agents/{agent}") => (json!({}), "agent.delete"),
        ("POST", "/v1/agents/{agent}/restart") => (json!({}), "agent.restart"),
        ("PUT", "/v1/agents/{agent}/hold") => (json!({"seconds": 60}), "agent.hold"),
        ("DELETE", "/v1/agents/{agent}/hold") => (json!({}), "agent.release"),
        ("DELETE", "/v1/agents/{agent}/turns/{turn}") => (json!({}), "turn.stop"),
        ("POST", "/v1/agents/{agent}/schedules") => (
            json!({"name": "made", "message": "sk-planted", "when": {"kind": "every", "seconds": 60}}),
            "schedule.create",
        ),
        ("PATCH", "/v1/agents/{agent}/schedules/{schedule}") => {
            (json!({"message": "sk-planted"}), "schedule.change")
        }
        ("DELETE", "/v1/agents/{agent}/schedules/{schedule}") => (json!({}), "schedule.remove"),
        ("POST", "/v1/agents/{agent}/schedules/{schedule}/run") => (json!({}), "schedule.run"),
        ("POST", "/v1/agents/{agent}/exec") => (json!({"argv": ["echo", "sk-planted"]}), "exec.run"),
        ("DELETE", "/v1/agents/{agent}/files") => (json!({}), "file.delete"),
        ("PUT", "/v1/agents/{agent}/files/content") => (json!("sk-planted"), "file.write"),
        ("POST", "/v1/agents/{agent}/files/mkdir") => (json!({}), "file.mkdir"),
        ("POST", "/v1/agents/{agent}/files/move") => (json!({}), "file.move"),
        ("POST", "/v1/providers") => (
            json!({"name": "made", "kind": "openai", "key": "sk-planted"}),
            "provider.add",
        ),
        ("DELETE", "/v1/providers/{name}") => (json!({}), "provider.remove"),
        ("POST", "/v1/providers/{name}/test") => (json!({}), "provider.test"),
        ("PUT", "/v1/agents/{agent}/ports/{port}") => (json!({"access": "public"}), "port.publish"),
        ("DELETE", "/v1/agents/{agent}/ports/{port}") => (json!({}), "port.unpublish"),
        ("PUT", "/v1/agents/{agent}/domains/{domain}") => (json!({"port": 3000}), "domain.change"),
        ("DELETE", "/v1/agents/{agent}/domains/{domain}") => (json!({}), "domain.remove"),
        ("POST", "/v1/agents/{agent}/domains/{domain}/verify") => (json!({}), "domain.verify"),
        ("POST", "/v1/agents/{agent}/share-links") => (json!({"port": 3000}), "share_link.create"),
        ("DELETE", "/v1/agents/{agent}/share-links/{link}") => (json!({}), "share_link.delete"),
        ("PUT", "/v1/secrets/{secret}" | "/v1/agents/{agent}/secrets/{secret}") => {
            (json!({"value": "sk-planted"}), "secret.set")
        }
        ("DELETE", "/v1/secrets/{secret}" | "/v1/agents/{agent}/secrets/{secret}") => {
            (json!({}), "secret.remove")
        }
        ("POST", "/v1/secrets/rotate") => (json!({}), "secrets.rotate"),
        ("POST", "/v1/platform/providers") => (
            json!({"name": "made", "kind": "openai", "key": "sk-planted"}),
            "platform_provider.add",
        ),
        ("DELETE", "/v1/platform/providers/{name}") => (json!({}), "platform_provider.remove"),
        ("POST", "/v1/platform/master-key/rotate") => (json!({}), "master_key.rotate"),
        ("PATCH", "/v1/members/{user}") => (json!({"role": "viewer"}), "member.role"),
        ("DELETE", "/v1/members/{user}") => (json!({}), "member.remove"),
        ("POST", "/v1/leave") => (json!({}), "member.leave"),
        ("POST", "/v1/invitations") => (json!({"role": "viewer"}), "invitation.create"),
        ("DELETE", "/v1/invitations/{invitation}") => (json!({}), "invitation.revoke"),
        ("POST", "/v1/invitations/accept") => (json!({"name": "new", "code": "{code}"}), "invitation.accept"),
        ("POST", "/v1/tokens") => (json!({"name": "made"}), "token.create"),
        ("DELETE", "/v1/tokens/{token}") => (json!({}), "token.revoke"),
        ("POST", "/v1/devices/approve") => (json!({"user_code": "{user_code}"}), "device.approve"),
        ("POST", "/v1/devices/deny") => (json!({"user_code": "{user_code}"}), "device.deny"),
        ("POST", "/v1/devices/token") => (json!({"device_code": "{device_code}"}), "device.pair"),
        ("DELETE", "/v1/devices/{device}") => (json!({}), "device.remove"),
        ("POST", "/v1/images/{image}/build") => (json!({}), "image.build"),
        ("DELETE", "/v1/images/{image}") => (json!({}), "image.remove"),
        ("POST", "/v1/sign-in-links") => (json!({}), "sign_in.link"),
        ("POST", "/v1/orgs/{org}/suspend") => (json!({}), "org.suspend"),
        ("POST", "/v1/orgs/{org}/resume") => (json!({}), "org.resume"),
        ("POST", "/v1/operators") => (json!({"email": MEMBER}), "operator.add"),
        ("DELETE", "/v1/operators/{user}") => (json!({}), "operator.remove"),
        ("POST", "/v1/sso") => (
            json!({"name": "made", "kind": "github", "client_id": "c", "client_secret": "sk-planted"}),
            "sso.add",
        ),
        ("DELETE", "/v1/sso/{name}") => (json!({}), "sso.remove"),
        ("POST", "/v1/sso/{name}/test") => (json!({}), "sso.test"),
        ("POST", "/v1/me/identities/{identity}/unlink") => (json!({"password": PASSWORD}), "identity.unlink"),
        ("POST", "/v1/sign-out") => (json!({}), "sign_out"),
        ("POST", "/v1/sign-out-everywhere") => (json!({}), "session.end_all"),
        ("POST", "/v1/sign-in") => (json!({"email": ADA, "password": PASSWORD}), "sign_in"),
        ("PUT", "/v1/me/email") => (
            json!({"email": "new@example.com", "password": PASSWORD}),
            "email.change",
        ),
        ("PUT", "/v1/me/password") => (
            json!({"current": PASSWORD, "new": "another one, quite long"}),
            "password.change",
        ),
        ("POST", "/v1/me/org") => (json!({"org": "{org}"}), "session.switch"),
        ("POST", "/v1/me/totp/disable") => (json!({"password": PASSWORD}), "second_factor.disable"),
        ("PATCH", "/v1/me/passkeys/{passkey}") => (json!({"name": "renamed"}), "passkey.rename"),
        ("POST", "/v1/me/passkeys/{passkey}/remove") => (json!({"password": PASSWORD}), "passkey.remove"),
        ("DELETE", "/v1/browser-sessions/{browser_session}") => (json!({}), "session.end"),
        _ => return None,
    };
    Some(told)
}

/// An id of whoever has the world's token.
async fn whoami<Id: std::str::FromStr<Err: std::fmt::Debug>>(world: &World, what: &str) -> Id {
    let caller = world.get("/v1/whoami").await.expect(200).await;
    caller[what].as_str().expect("an id").parse().expect("an id")
}

/// One of everything that a route may be about.
struct Things {
    world: World,
    org: String,
    secret: String,
    agent: String,
    turn: String,
    link: String,
    token: String,
    member: String,
    invitation: String,
    code: String,
    session: String,
    browser_session: String,
    device: String,
    identity: String,
    passkey: String,
    /// Of a device that waits to be approved.
    user_code: String,
    /// Of one that was approved and has not fetched its token.
    device_code: String,
}

impl Things {
    async fn new() -> Self {
        let world = World::new().await;
        let (agent, _) = world.running_agent("scout").await;
        let text = |value: &Value, name: &str| value[name].as_str().expect("a text").to_owned();
        let schedule =
            json!({"name": "used", "message": "hello", "when": {"kind": "every", "seconds": 3600}});
        let path = "/v1/agents/scout/schedules";
        world.post(path, schedule).await.expect(201).await;
        let turn = world
            .post(&format!("/v1/agents/{}/chat", agent.id), json!({"message": "hi"}))
            .await
            .expect(200)
            .await;
        let put = world
            .ask("PUT", "/v1/agents/scout/files/content?path=a", &[], "x")
            .await;
        assert_eq!(put.status, 204);
        let provider = json!({"name": "used", "kind": "openai", "key": "sk-planted"});
        world.post("/v1/providers", provider).await.expect(201).await;
        for path in ["/v1/secrets/USED", "/v1/agents/scout/secrets/USED"] {
            let headers = [("content-type", "application/json")];
            let value = json!({"value": "sk-planted"}).to_string();
            world.ask("PUT", path, &headers, value).await.expect(200).await;
        }
        let headers = [("content-type", "application/json")];
        let published = world
            .ask("PUT", "/v1/agents/scout/ports/3000", &headers, "{}")
            .await;
        published.expect(200).await;
        let path = "/v1/agents/scout/domains/used.example.com";
        let claimed = world.ask("PUT", path, &headers, "{}").await;
        claimed.expect(200).await;
        let shared = world
            .post("/v1/agents/scout/share-links", json!({"port": 3000}))
            .await
            .expect(201)
            .await;
        let token = world
            .post("/v1/tokens", json!({"name": "old"}))
            .await
            .expect(201)
            .await;
        let invite = async || {
            let invited = world.post("/v1/invitations", json!({"role": "admin"})).await;
            invited.expect(201).await
        };
        let accept = json!({"name": "member", "code": text(&invite().await, "code")});
        let joined = world
            .post_as("", "/v1/invitations/accept", accept)
            .await
            .expect(201)
            .await;
        let open = invite().await;
        give_owner_a_password(&world).await;
        let link = world.handle().sign_in_path().await.expect("a link");
        let opened = world
            .send(Request::get(link).body(Body::empty()).expect("a request"))
            .await;
        let session = opened
            .header("set-cookie")
            .split(';')
            .next()
            .expect("a cookie")
            .to_owned();
        let sessions = world.get("/v1/browser-sessions").await.expect(200).await;
        let owner = world.token.clone();
        let device = devices::paired(&world, &owner, "paired", json!({})).await;
        let waiting = devices::ask(&world, "waiting").await;
        let approved = devices::ask(&world, "approved").await;
        let approve = json!({"user_code": approved["user_code"]});
        world.post("/v1/devices/approve", approve).await.expect(200).await;
        // One that answers nobody: nothing is asked of it before it is tried.
        let sso = creel_store::NewSsoProvider {
            name: "used".parse().expect("a name"),
            label: "used".to_owned(),
            kind: creel_domain::SsoKind::Github,
            issuer: "http://127.0.0.1:1".to_owned(),
            client_id: "c".to_owned(),
            client_secret: None,
            newcomers: creel_domain::SsoNewcomers::Nobody,
            email_domains: Vec::new(),
        };
        let who = world.get("/v1/whoami").await.expect(200).await;
        let platform = world.store().platform();
        let new = creel_store::NewIdentity {
            issuer: "https://issuer.test".to_owned(),
            subject: "ada".to_owned(),
            name: "Ada".to_owned(),
            email: None,
        };
        let user = text(&who, "user").parse().expect("an id");
        let org = text(&who, "org").parse().expect("an id");
        platform.add_sso_provider(org, sso).await.expect("added");
        assert!(platform.link_identity(user, new).await.expect("linked"));
        let identities = platform.identities(user).await.expect("a list");
        Self {
            identity: identities[0].id.to_string(),
            passkey: passkeys::somebodys(&world, whoami(&world, "user").await, "theirs").await,
            device: text(&device, "device"),
            user_code: text(&waiting, "user_code"),
            device_code: text(&approved, "device_code"),
            browser_session: text(&sessions["items"][0], "id"),
            org: text(&joined, "org"),
            secret: text(&joined, "secret"),
            agent: agent.id.to_string(),
            turn: text(&turn, "id"),
            link: text(&shared, "id"),
            token: text(&token, "id"),
            member: text(&joined, "user"),
            invitation: text(&open, "id"),
            code: text(&open, "code"),
            session,
            world,
        }
    }

    /// The owner has shown enough to act as an operator; the member may become one, or is one.
    async fn readies_operators(&self, member_is_one: bool) {
        owner_has_a_second_factor(&self.world).await;
        let platform = self.world.store().platform();
        let member = self.member.parse().expect("an id");
        let address = || MEMBER.parse().expect("an address");
        assert!(platform.set_email(member, address(), true).await.expect("set"));
        if member_is_one {
            platform.add_operator(address()).await.expect("an operator");
        }
    }

    fn request(&self, method: &str, template: &str, body: &Value) -> Request<Body> {
        let path = template
            .replace("{agent}", &self.agent)
            .replace("{schedule}", "used")
            .replace("{turn}", &self.turn)
            .replace("{port}", "3000")
            .replace("{link}", &self.link)
            .replace("{domain}", "used.example.com")
            .replace(
                "{name}",
                if template == "/v1/providers/{name}/test" {
                    "demo"
                } else {
                    "used"
                },
            )
            .replace("{secret}", "USED")
            .replace("{token}", &self.token)
            .replace("{user}", &self.member)
            .replace("{org}", &self.org)
            .replace("{invitation}", &self.invitation)
            .replace("{browser_session}", &self.browser_session)
            .replace("{device}", &self.device)
            .replace("{identity}", &self.identity)
            .replace("{passkey}", &self.passkey)
            .replace("{image}", "openclaw");
        let query = match template.rsplit('/').next() {
            Some("move") => "?from=a&to=b",
            Some("files" | "content") => "?path=a",
            Some("mkdir") => "?path=new",
            _ => "",
        };
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{path}{query}"))
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::IF_MATCH, "*")
            .header("sec-fetch-site", "same-origin");
        request = match template {
            "/v1/sign-out" | "/v1/me/org" => request.header(header::COOKIE, &self.session),
            "/v1/invitations/accept" | "/v1/sign-in" => request,
            // The owner may not go.
            "/v1/leave" => request.header(header::AUTHORIZATION, format!("Bearer {}", self.secret)),
            _ => request.header(header::AUTHORIZATION, format!("Bearer {}", self.world.token)),
        };
        let body = body
            .to_string()
            .replace("{code}", &self.code)
            .replace("{org}", &self.org)
            .replace("{user_code}", &self.user_code)
            .replace("{device_code}", &self.device_code);
        request.body(Body::from(body)).expect("a request")
    }

    async fn trail(&self) -> Vec<StoredEntry> {
        let org = self.world.store().org(whoami(&self.world, "org").await);
        let verdict = org.verify_audit().await.expect("a verdict");
        assert_eq!(verdict.fault, None);
        org.audit_after(0, 1000).await.expect("entries")
    }
}

#[test]
fn every_route_that_changes_something_leaves_an_entry_in_the_callers_name() {
    for (method, template, _) in crate::http::needs::TABLE {
        if *method == "GET" {
            continue;
        }
        let untold = UNTOLD.iter().any(|(a, b, _)| (a, b) == (method, template));
        let Some((body, action)) = call(method, template) else {
            assert!(
                untold,
                "{method} {template}: say which action it leaves in the trail, or why none"
            );
            continue;
        };
        // Each with a world of its own, whose time stands still by itself.
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().expect("a runtime");
        runtime.block_on(leaves_an_entry(method, template, &body, action));
    }
}

async fn leaves_an_entry(method: &str, template: &str, body: &Value, action: &str) {
    let things = Things::new().await;
    if template.starts_with("/v1/sso") {
        owner_has_a_second_factor(&things.world).await;
    }
    if template.starts_with("/v1/orgs/") || template.starts_with("/v1/operators") {
        things.readies_operators(template.ends_with("{user}")).await;
    }
    if template.starts_with("/v1/platform/") {
        owner_has_a_second_factor(&things.world).await;
        let provider = json!({"name": "used", "kind": "openai", "key": "sk-planted"});
        let added = things.world.post("/v1/platform/providers", provider).await;
        added.expect(201).await;
    }
    let before = things.trail().await.len();
    let reply = things.world.send(things.request(method, template, body)).await;
    let status = reply.status;
    let id = reply.header("x-request-id").to_owned();
    let text = reply.text().await;
    assert!(status.is_success(), "{method} {template}: {status} {text}");
    let trail = things.trail().await;
    let told = trail[before..]
        .iter()
        .find(|stored| stored.entry.act.action == action);
    let told = told.unwrap_or_else(|| panic!("{method} {template}: no {action} in {:#?}", &trail[before..]));
    let actor = &told.entry.actor;
    let kind = if template.starts_with("/v1/orgs/") {
        ActorKind::Operator
    } else {
        ActorKind::User
    };
    assert_eq!(actor.kind, kind, "{method} {template}: {actor:?}");
    assert!(
        actor.id.starts_with("usr_") && !actor.via.is_empty(),
        "{method} {template}: {actor:?}"
    );
    assert_eq!(actor.request, id, "{method} {template}");
    let all = format!("{trail:?}");
    for secret in [
        "sk-planted",
        &things.world.token,
        &things.secret,
        &things.code,
        &things.user_code,
        &things.device_code,
    ] {
        assert!(!all.contains(secret), "{method} {template}: {all}");
    }
}

#[tokio::test]
async fn signing_in_is_told_and_so_is_from_where() {
    let things = Things::new().await;
    let trail = things.trail().await;
    let signed_in = trail
        .iter()
        .find(|stored| stored.entry.act.action == "sign_in")
        .expect("told");
    assert_eq!(signed_in.entry.actor.via, "session");
    let request = Request::post("/v1/tokens")
        .header(header::AUTHORIZATION, format!("Bearer {}", things.world.token))
        .header(header::CONTENT_TYPE, "application/json")
        .extension(creel_daemon::Peer::Tcp(([192, 0, 2, 7], 1234).into()))
        .body(Body::from(json!({"name": "from afar"}).to_string()))
        .expect("a request");
    things.world.send(request).await.expect(201).await;
    let trail = things.trail().await;
    let told = &trail.last().expect("an entry").entry;
    assert_eq!(
        (told.act.action.as_str(), told.act.target_name.as_str()),
        ("token.create", "from afar")
    );
    assert_eq!(told.actor.address, "192.0.2.7");
    assert_eq!(told.actor.rule, "tokens:write");
    assert!(told.actor.via.starts_with("token tok_"), "{:?}", told.actor);
}

#[tokio::test]
async fn what_takes_a_code_is_told_as_well_and_so_is_a_sign_in_that_failed() {
    let things = Things::new().await;
    let world = &things.world;
    let mut browser = Browser::signed_in(world, ADA, PASSWORD).await;
    let verify = json!({"code": code(&mail_to(world, ADA, 1).await, "verify")});
    let reply = browser.post(world, "/v1/verify-email", verify).await;
    assert_eq!(reply.status, 204);
    let begun = browser
        .post(world, "/v1/me/totp", json!({}))
        .await
        .expect(201)
        .await;
    let secret = begun["secret"].as_str().expect("a secret").to_owned();
    let shown = || crate::operations::people::totp::shown(&secret, world.clock.now());
    let confirm = json!({"code": shown()});
    let reply = browser.post(world, "/v1/me/totp/confirm", confirm).await;
    assert_eq!(reply.status, 200);
    tokio::time::advance(std::time::Duration::from_secs(90)).await;
    let half = Browser::default()
        .sign_in(world, ADA, PASSWORD)
        .await
        .expect(200)
        .await;
    let second = json!({"ticket": half["ticket"], "code": shown()});
    let reply = Browser::default()
        .post(world, "/v1/sign-in/second-factor", second)
        .await;
    assert_eq!(reply.status, 200);
    let wrong = Browser::default().sign_in(world, ADA, "not the password").await;
    wrong.problem("unauthenticated").await;
    all_sent(world).await;
    let count = mails_to(world, ADA).len();
    browser
        .post(world, "/v1/password-resets", json!({"email": ADA}))
        .await;
    let reset = code(&mail_to(world, ADA, count + 1).await, "reset");
    let body = json!({"code": reset, "password": "another one, quite long"});
    let reply = browser.post(world, "/v1/password-resets/confirm", body).await;
    assert_eq!(reply.status, 204);
    let invite = json!({"role": "viewer", "email": "bob@example.com"});
    world.post("/v1/invitations", invite).await.expect(201).await;
    let bob = code(&mail_to(world, "bob@example.com", 1).await, "invitation");
    let body = json!({"code": bob, "name": "Bob", "password": PASSWORD});
    let reply = Browser::default().post(world, "/v1/sign-up/confirm", body).await;
    assert_eq!(reply.status, 201);
    let expected = [
        "email.verify done",
        "second_factor.enable done",
        "sign_in refused",
        "password.reset done",
        "invitation.accept done",
    ];
    wait("all of it to be told", || async {
        let trail = things.trail().await;
        let told: Vec<String> = trail
            .iter()
            .map(|stored| format!("{} {}", stored.entry.act.action, stored.entry.act.result.as_str()))
            .collect();
        let all = expected.iter().all(|one| told.iter().any(|told| told == one));
        (all, format!("{told:#?}"))
    })
    .await;
}

#[tokio::test]
async fn the_trail_is_listed_exported_and_verified() {
    let things = Things::new().await;
    let world = &things.world;
    let all = world.get("/v1/audit?limit=200").await.expect(200).await;
    let all = all["items"].as_array().expect("items").clone();
    let (mut pages, mut next) = (Vec::new(), String::new());
    loop {
        let page = world
            .get(&format!("/v1/audit?limit=3{next}"))
            .await
            .expect(200)
            .await;
        pages.extend(page["items"].as_array().expect("items").clone());
        match page["next_cursor"].as_str() {
            Some(cursor) => next = format!("&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(pages, all, "page by page it is the same");
    let tokens = world
        .get("/v1/audit?action=token.&actor=member")
        .await
        .expect(200)
        .await;
    let tokens = tokens["items"].as_array().expect("items").clone();
    assert!(!tokens.is_empty() && tokens.iter().all(|entry| entry["actor"]["name"] == "member"));
    world
        .get("/v1/audit?actor=")
        .await
        .problem("invalid_request")
        .await;
    let (mut after, mut lines) = (0, Vec::new());
    loop {
        let page = world
            .get(&format!("/v1/audit/export?limit=4&after={after}"))
            .await;
        assert_eq!(page.header("content-type"), "application/x-ndjson");
        let text = page.text().await;
        let parsed = text.lines().map(|line| serde_json::from_str(line).expect("JSON"));
        let parsed: Vec<Value> = parsed.collect();
        let Some(last) = parsed.last() else { break };
        after = last["metadata"]["sequence"].as_u64().expect("a number");
        lines.extend(parsed);
    }
    let exported: Vec<_> = lines
        .iter()
        .rev()
        .map(|line| line["unmapped"]["creel"].clone())
        .collect();
    assert_eq!(exported, all);
    let verdict = world.get("/v1/audit/verify").await.expect(200).await;
    assert_eq!(
        (&verdict["intact"], verdict["good"].as_u64()),
        (&json!(true), Some(all.len() as u64))
    );
    assert_eq!(verdict["hash"], all[0]["hash"]);
}

#[tokio::test]
async fn whoever_is_refused_is_told_of_and_cannot_fill_the_trail() {
    let things = Things::new().await;
    let world = &things.world;
    let less = json!({"name": "less", "scopes": ["agents:read"]});
    let less = world.post("/v1/tokens", less).await.expect(201).await;
    let less = less["secret"].as_str().expect("a secret").to_owned();
    let before = things.trail().await.len();
    for _ in 0..50 {
        let refused = world.post_as(&less, "/v1/tokens", json!({"name": "more"})).await;
        refused.problem("forbidden").await;
    }
    let trail = things.trail().await;
    assert_eq!(trail.len(), before + 1, "told once: {:#?}", &trail[before..]);
    let told = &trail[before].entry;
    assert_eq!(told.act.result, ActResult::Refused);
    assert_eq!(
        (told.act.action.as_str(), told.act.target.as_str()),
        ("request", "POST /v1/tokens")
    );
    assert_eq!(told.actor.rule, "tokens:write");
    refusals::sweep(&world.running().control, true).await;
    let trail = things.trail().await;
    assert_eq!(trail.len(), before + 2);
    assert_eq!(trail[before + 1].entry.act.repeats, 49);
}
