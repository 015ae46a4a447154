//! Signing in at a real identity provider, through its own pages: newcomers, old friends, those who say no, another
//! key, and a provider that is down.

use std::{io::Write as _, process::Stdio};

use creel_api::{ConfirmTotp, CreateInvitation, Proof, Secret, SetEmail, SetPassword};
use creel_domain::MemberRole;
use creel_tests::{Browser, CLIENT_ID, CLIENT_SECRET, IdentityProvider, Page, Platform, code};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const PASSWORD: &str = "vier kleine Mäuse tanzen";

fn proof() -> Proof {
    Proof {
        password: Some(Secret::new(PASSWORD)),
    }
}

/// What people and their browsers do.
struct World {
    platform: Platform,
    provider: IdentityProvider,
}

impl World {
    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.platform.client().url())
    }

    /// `creel`, with something on standard input; what it prints.
    fn creel(&self, args: &[&str], input: &str) -> String {
        let mut command = self.platform.creel(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("creel runs");
        let mut stdin = child.stdin.take().expect("a pipe");
        stdin.write_all(input.as_bytes()).expect("written");
        drop(stdin);
        let output = child.wait_with_output().expect("it ends");
        assert!(
            output.status.success(),
            "creel {args:?}: {}\n{}",
            output.status,
            self.platform.logs()
        );
        String::from_utf8(output.stdout).expect("text")
    }

    /// Without one an operator changes nothing that concerns all.
    async fn has_a_second_factor(&self) {
        let client = self.platform.client();
        let enrolment = client.enrol_totp(&proof()).await.expect("enrolled");
        let code = Secret::new(code(enrolment.secret.reveal()));
        client
            .confirm_totp(&ConfirmTotp { code })
            .await
            .expect("confirmed");
    }

    async fn sign_in(&self, browser: &mut Browser, who: &str) -> Page {
        let page = browser.open(&self.url("/sign-in/with/company")).await;
        self.provider.agree(browser, page, who).await
    }

    async fn whoami(&self, browser: &mut Browser) -> Value {
        let (status, me) = browser
            .ask(Method::GET, &self.url("/v1/whoami"), &Value::Null)
            .await;
        assert_eq!(status, 200, "{me}");
        me
    }

    /// The browser is in, at this place.
    fn landed(&self, page: &Page, at: &str) {
        assert_eq!(
            (page.status, page.url.as_str()),
            (StatusCode::OK, self.url(at).as_str()),
            "{}",
            page.text
        );
    }

    fn refused(&self, page: &Page, code: &str) {
        assert!(
            page.text.contains(&format!("Code <code>{code}</code>")),
            "{}: {}",
            page.url,
            page.text
        );
    }
}

async fn by_invitation(world: &World) -> Value {
    let stranger = world.sign_in(&mut Browser::default(), "ada").await;
    world.refused(&stranger, "sso_not_allowed");
    let invite = CreateInvitation {
        role: MemberRole::Developer,
        email: None,
    };
    let invited = world.platform.client().invite(&invite).await.expect("invited");
    let mut browser = Browser::default();
    let begin = world.url("/v1/sign-in/with/company");
    let body = json!({"invitation": invited.code.expect("a code")});
    let (status, begun) = browser.ask(Method::POST, &begin, &body).await;
    assert_eq!(status, 200, "{begun}");
    let page = browser.open(begun["url"].as_str().expect("an address")).await;
    let page = world.provider.agree(&mut browser, page, "ada").await;
    world.landed(&page, "/#joined");
    let me = world.whoami(&mut browser).await;
    assert_eq!(
        (&me["user_name"], &me["role"]),
        (&json!("ada"), &json!("developer"))
    );

    // And again, in another browser.
    let mut browser = Browser::default();
    world.landed(&world.sign_in(&mut browser, "ada").await, "/");
    assert_eq!(world.whoami(&mut browser).await["user"], me["user"]);
    me
}

async fn linked_to_the_owner(world: &World) {
    let mut browser = Browser::default();
    let link = world.creel(&["sign-in"], "");
    browser.open(link.trim()).await;
    let owner = world.whoami(&mut browser).await;
    let url = world.url("/v1/me/identities");
    let found = json!({"provider": "company"});
    let (status, refused) = browser.ask(Method::POST, &url, &found).await;
    assert_eq!(status, 403, "a link is no proof: {refused}");
    let body = json!({"provider": "company", "password": PASSWORD});
    let (status, begun) = browser.ask(Method::POST, &url, &body).await;
    assert_eq!(status, 200, "{begun}");
    let page = browser.open(begun["url"].as_str().expect("an address")).await;
    let page = world.provider.agree(&mut browser, page, "grace").await;
    world.landed(&page, "/#account");
    let listed = world.creel(&["identity", "ls", "--json"], "");
    assert!(listed.contains("grace@example.com"), "{listed}");
    let mut elsewhere = Browser::default();
    world.landed(&world.sign_in(&mut elsewhere, "grace").await, "/");
    assert_eq!(world.whoami(&mut elsewhere).await["user"], owner["user"]);
}

async fn declined(world: &World) {
    let mut browser = Browser::default();
    let page = browser.open(&world.url("/sign-in/with/company")).await;
    let abort = page.address("href", "/abort");
    let page = browser.open(abort.as_str()).await;
    world.refused(&page, "sso_denied");
}

async fn with_another_key_and_without_a_provider(world: &mut World, ada: &Value) {
    world.provider.start_again();
    comes_in_again(world, ada).await;

    // It goes away while somebody is on the way back.
    let mut browser = Browser::that_stops_at(&world.url("/sign-in/callback/"));
    let back = world.sign_in(&mut browser, "ada").await;
    assert!(back.url.path() == "/sign-in/callback/company", "{}", back.url);
    world.provider.stop();
    let page = browser.open(back.url.as_str()).await;
    world.refused(&page, "sso_unreachable");
    let tested = world
        .platform
        .creel(&["sso", "test", "company"])
        .output()
        .expect("creel runs");
    assert_eq!(tested.status.code(), Some(1), "{tested:?}");
    world.provider.start_again();
    world.creel(&["sso", "test", "company"], "");
    comes_in_again(world, ada).await;
}

/// The key is another one: within a second or two it is asked for and believed.
async fn comes_in_again(world: &World, ada: &Value) {
    let signed_in = world.platform.until("the new key is believed", async || {
        let mut browser = Browser::default();
        let page = world.sign_in(&mut browser, "ada").await;
        let me = match page.url.path() {
            "/" => Some(world.whoami(&mut browser).await),
            _ => None,
        };
        me.filter(|me| me["user"] == ada["user"])
    });
    assert!(signed_in.await.is_some(), "{}", world.platform.logs());
}

#[tokio::test(flavor = "multi_thread")]
async fn people_sign_in_at_a_real_identity_provider() {
    let Some(platform) = Platform::start().await else {
        return;
    };
    let callback = format!("{}/sign-in/callback/company", platform.client().url());
    let Some(provider) = IdentityProvider::start(callback.clone()) else {
        return;
    };
    let mut world = World { platform, provider };
    let client = world.platform.client();
    let email = "owner@example.com".parse().expect("an address");
    client
        .set_email(&SetEmail {
            email,
            password: None,
        })
        .await
        .expect("set");
    let new = Secret::new(PASSWORD);
    client
        .set_password(&SetPassword { current: None, new })
        .await
        .expect("set");
    world.has_a_second_factor().await;
    let args = ["sso", "add", "company", "--issuer", &world.provider.issuer];
    let more = [
        "--client-id",
        CLIENT_ID,
        "--client-secret-stdin",
        "--label",
        "Company",
    ];
    let added = world.creel(&[&args[..], &more[..]].concat(), CLIENT_SECRET);
    assert_eq!(added, "company\n");
    let listed = world.creel(&["sso", "ls", "--json"], "");
    assert!(
        listed.contains(&callback) && !listed.contains(CLIENT_SECRET),
        "{listed}"
    );

    let disabled = world.platform.client().disable_totp(&proof()).await;
    disabled.expect("no second factor any more");

    let ada = by_invitation(&world).await;
    linked_to_the_owner(&world).await;
    declined(&world).await;
    with_another_key_and_without_a_provider(&mut world, &ada).await;

    world.has_a_second_factor().await;
    world.creel(&["sso", "rm", "company", "--yes"], "");
    let page = Browser::default().open(&world.url("/sign-in/with/company")).await;
    world.refused(&page, "not_found");
    let mut trail = world.creel(&["audit", "ls", "--json"], "");
    trail.push_str(&world.platform.logs());
    for action in ["sso.add", "sso.remove", "identity.link", "invitation.accept"] {
        assert!(trail.contains(action), "{action}: {trail}");
    }
    assert!(!trail.contains(CLIENT_SECRET));
    world.platform.end();
}
