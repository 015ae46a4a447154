//! Signing in at somebody else's: an issuer at the HTTP border, browsers with cookies in between.

mod enter;
mod github;
mod hostile;
mod issuer;
mod link;
mod once;
mod operators;

use std::collections::BTreeMap;

use axum::{body::Body, http::Request};
use serde_json::{Value, json};

use super::{Reply, World};
use crate::tests::orgs::owner_has_a_second_factor;
use issuer::FakeIssuer;

/// A browser that goes from site to site, with a jar of cookies for Creel.
#[derive(Default, Clone)]
pub(super) struct Traveller {
    pub(super) jar: BTreeMap<String, String>,
}

impl Traveller {
    async fn send(&mut self, world: &World, method: &str, path: &str, site: &str, body: Value) -> Reply {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "127.0.0.1")
            .header("sec-fetch-site", site)
            .header("user-agent", "a browser")
            .header("content-type", "application/json");
        let cookies: Vec<_> = self
            .jar
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        if !cookies.is_empty() {
            request = request.header("cookie", cookies.join("; "));
        }
        let body = match method {
            "GET" => Body::empty(),
            _ => Body::from(body.to_string()),
        };
        let reply = world.send(request.body(body).expect("a request")).await;
        for cookie in reply.headers.get_all("set-cookie") {
            let text = cookie.to_str().expect("text");
            let (pair, attributes) = text.split_once(';').expect("attributes");
            assert!(
                attributes.contains("HttpOnly") && attributes.contains("SameSite=Lax"),
                "{text}"
            );
            let (name, value) = pair.split_once('=').expect("a value");
            if attributes.contains("Max-Age=0") {
                self.jar.remove(name);
            } else {
                self.jar.insert(name.to_owned(), value.to_owned());
            }
        }
        reply
    }

    pub(super) async fn get(&mut self, world: &World, path: &str) -> Reply {
        self.send(world, "GET", path, "same-origin", json!({})).await
    }

    pub(super) async fn post(&mut self, world: &World, path: &str, body: Value) -> Reply {
        self.send(world, "POST", path, "same-origin", body).await
    }

    /// Presses the button; the address at the provider.
    pub(super) async fn leave(&mut self, world: &World, name: &str) -> String {
        let reply = self.get(world, &format!("/sign-in/with/{name}")).await;
        let to = reply.header("location").to_owned();
        assert_eq!(
            (reply.status.as_u16(), reply.header("referrer-policy")),
            (303, "no-referrer")
        );
        to
    }

    /// The same with an invitation, as its page does.
    pub(super) async fn leave_invited(&mut self, world: &World, name: &str, code: &str) -> String {
        let begun = self
            .post(
                world,
                &format!("/v1/sign-in/with/{name}"),
                json!({ "invitation": code }),
            )
            .await;
        begun.expect(200).await["url"]
            .as_str()
            .expect("an address")
            .to_owned()
    }

    /// The provider sends the browser back, from another site.
    pub(super) async fn come_back(&mut self, world: &World, url: &str) -> Reply {
        let url = reqwest::Url::parse(url).expect("an address");
        let path = format!("{}?{}", url.path(), url.query().unwrap_or_default());
        self.send(world, "GET", &path, "cross-site", json!({})).await
    }

    /// All of it, as somebody of that issuer.
    pub(super) async fn sign_in(
        &mut self,
        world: &World,
        issuer: &FakeIssuer,
        name: &str,
        who: &Value,
    ) -> Reply {
        let url = self.leave(world, name).await;
        self.come_back(world, &issuer.agree(world, &url, who)).await
    }

    pub(super) fn is_in(&self) -> bool {
        self.jar.contains_key("creel_session")
    }

    pub(super) async fn me(&mut self, world: &World) -> Value {
        self.get(world, "/v1/me").await.expect(200).await
    }
}

/// Asks as an operator has to: with a second factor in force, which is gone again afterwards.
pub(super) async fn operate(world: &World, method: &str, path: &str, body: Value) -> Reply {
    let owner = world.get("/v1/whoami").await.expect(200).await["user"].clone();
    let user = owner.as_str().expect("an id").parse().expect("an id");
    owner_has_a_second_factor(world).await;
    let headers = [("content-type", "application/json")];
    let reply = world.ask(method, path, &headers, body.to_string()).await;
    world
        .store()
        .platform()
        .disable_totp(user)
        .await
        .expect("gone again");
    reply
}

/// Where a browser lands that is let in.
pub(super) fn landed(reply: &Reply) -> String {
    let to = reply.header("location").to_owned();
    assert_eq!(reply.status, 303, "{to}");
    to
}

/// The code of a page of failure, which must be one in form.
pub(super) async fn refused(reply: Reply) -> (u16, String) {
    let status = reply.status.as_u16();
    assert_eq!(reply.header("content-type"), "text/html; charset=utf-8");
    assert!(
        reply
            .header("content-security-policy")
            .starts_with("default-src 'none'")
    );
    assert_eq!(reply.header("set-cookie"), "", "nobody is let in");
    let page = reply.text().await;
    assert!(
        page.contains("<a class=\"button\" href=\"/\">"),
        "a next step: {page}"
    );
    let (_, rest) = page
        .split_once("Code <code>")
        .unwrap_or_else(|| panic!("no code: {page}"));
    (status, rest.split('<').next().expect("some").to_owned())
}

pub(super) fn ada() -> Value {
    json!({"sub": "ada", "name": "Ada", "email": "ada@example.com", "email_verified": true})
}

/// An invitation into the first org.
pub(super) async fn invite(world: &World, role: &str) -> String {
    let invited = world.post("/v1/invitations", json!({ "role": role })).await;
    invited.expect(201).await["code"]
        .as_str()
        .expect("a code")
        .to_owned()
}
