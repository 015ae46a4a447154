//! People: signing in and up, mails, second factors, browsers.

mod browsers;
mod enter;
mod mailed;
pub(in crate::tests) mod passkeys;
mod second_factor;
mod smtp;
mod sso;

use axum::{
    body::Body,
    http::{Method, Request},
};
use serde_json::{Value, json};

use super::{Reply, World, wait};

pub(super) const ADA: &str = "ada@example.com";
pub(super) const PASSWORD: &str = "vier kleine Mäuse tanzen";

/// A browser with the page open, and what it has of cookies.
#[derive(Default, Clone)]
pub(super) struct Browser {
    pub(super) cookie: Option<String>,
}

impl Browser {
    pub(super) async fn ask(&mut self, world: &World, method: Method, path: &str, body: Value) -> Reply {
        self.ask_with(world, method, path, body, &[]).await
    }

    pub(super) async fn ask_with(
        &mut self,
        world: &World,
        method: Method,
        path: &str,
        body: Value,
        headers: &[(&str, &str)],
    ) -> Reply {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "creel.test")
            .header("origin", "http://creel.test")
            .header("user-agent", "a browser")
            .header("content-type", "application/json");
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", cookie);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_string())).expect("a request");
        let reply = world.send(request).await;
        for cookie in reply.headers.get_all("set-cookie") {
            let text = cookie.to_str().expect("text");
            let (pair, _) = text.split_once(';').expect("attributes");
            if text.contains("Max-Age=0") {
                self.cookie = None;
            } else {
                self.cookie = Some(pair.to_owned());
            }
        }
        reply
    }

    pub(super) async fn get(&mut self, world: &World, path: &str) -> Reply {
        self.ask(world, Method::GET, path, json!({})).await
    }

    pub(super) async fn post(&mut self, world: &World, path: &str, body: Value) -> Reply {
        self.ask(world, Method::POST, path, body).await
    }

    pub(super) async fn put(&mut self, world: &World, path: &str, body: Value) -> Reply {
        self.ask(world, Method::PUT, path, body).await
    }

    pub(super) async fn sign_in(&mut self, world: &World, email: &str, password: &str) -> Reply {
        self.post(
            world,
            "/v1/sign-in",
            json!({"email": email, "password": password}),
        )
        .await
    }

    /// A browser in which somebody is signed in.
    pub(super) async fn signed_in(world: &World, email: &str, password: &str) -> Self {
        let mut browser = Self::default();
        let signed_in = browser.sign_in(world, email, password).await.expect(200).await;
        assert_eq!(signed_in["status"], "signed_in", "{signed_in}");
        assert!(browser.cookie.is_some());
        browser
    }
}

/// The owner of the installation gets an address and a password.
pub(super) async fn give_owner_a_password(world: &World) {
    let put = async |path: &str, body: Value| {
        let headers = [("content-type", "application/json")];
        world.ask("PUT", path, &headers, body.to_string()).await
    };
    let reply = put("/v1/me/email", json!({"email": ADA})).await;
    assert_eq!(reply.status, 202);
    let reply = put("/v1/me/password", json!({"new": PASSWORD})).await;
    assert_eq!(reply.status, 204);
}

/// All mails that were written for an address, the oldest first.
pub(super) fn mails_to(world: &World, address: &str) -> Vec<String> {
    let Ok(folder) = std::fs::read_dir(world.layout().mail()) else {
        return Vec::new();
    };
    let mut files: Vec<_> = folder.map(|entry| entry.expect("a file").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "eml"));
    files.sort();
    let texts = files.iter().filter_map(|path| std::fs::read_to_string(path).ok());
    texts
        .filter(|text| text.contains(&format!("To: {address}\r\n")))
        .collect()
}

/// Waits for the mail number `count` to an address.
pub(super) async fn mail_to(world: &World, address: &str, count: usize) -> String {
    wait(&format!("mail {count} to {address}"), || async {
        let mails = mails_to(world, address);
        (mails.len() >= count, format!("{mails:#?}"))
    })
    .await;
    mails_to(world, address)[count - 1].clone()
}

/// Waits until no mail waits.
pub(super) async fn all_sent(world: &World) {
    wait("all mails to be sent", || async {
        let counts = world.store().platform().mail_counts().await.expect("counted");
        (counts.0 == 0, format!("{counts:?}"))
    })
    .await;
}

/// The code behind `#what=` in a mail.
pub(super) fn code(mail: &str, what: &str) -> String {
    let (_, rest) = mail
        .split_once(&format!("/#{what}="))
        .unwrap_or_else(|| panic!("no link for {what} in {mail}"));
    rest.chars().take_while(char::is_ascii_hexdigit).collect()
}
