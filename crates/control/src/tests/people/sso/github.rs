//! GitHub, as its documentation has it, at the HTTP border.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::Url;
use serde_json::{Value, json};

use super::{Traveller, World, issuer::fields, landed, operate, refused};
use crate::operations::sign_in::hash;

#[derive(Default)]
struct Inside {
    challenge: String,
    user: Value,
    emails: Value,
    no_emails: bool,
}

type Shared = State<Arc<Mutex<Inside>>>;

async fn exchange(State(inside): Shared, form: String) -> Json<Value> {
    let form = fields(&form);
    let of = |name: &str| form.get(name).cloned().unwrap_or_default();
    let verifier = URL_SAFE_NO_PAD.encode(hash(&of("code_verifier")));
    if of("client_secret") != "planted" {
        return Json(
            json!({"error": "incorrect_client_credentials", "error_description": "…", "error_uri": "…"}),
        );
    }
    if of("code") != "good" || verifier != inside.lock().expect("not poisoned").challenge {
        return Json(json!({"error": "bad_verification_code", "error_description": "…", "error_uri": "…"}));
    }
    Json(json!({"access_token": "gho_planted", "scope": "read:user,user:email", "token_type": "bearer"}))
}

/// None: whoever asks may.
fn refusal(headers: &HeaderMap) -> Option<Response> {
    let of = |name: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default()
    };
    // It refuses whoever does not say what they are.
    assert!(of("user-agent").starts_with("creel/"));
    let said = json!({"message": "Requires authentication", "documentation_url": "…"});
    let may = of("authorization") == "Bearer gho_planted";
    (!may).then(|| (StatusCode::UNAUTHORIZED, Json(said)).into_response())
}

async fn user(State(inside): Shared, headers: HeaderMap) -> Response {
    let user = inside.lock().expect("not poisoned").user.clone();
    refusal(&headers).unwrap_or_else(|| Json(user).into_response())
}

async fn emails(State(inside): Shared, headers: HeaderMap) -> Response {
    let inside = inside.lock().expect("not poisoned");
    if inside.no_emails {
        let said = json!({"message": "Not Found", "documentation_url": "…"});
        return (StatusCode::NOT_FOUND, Json(said)).into_response();
    }
    refusal(&headers).unwrap_or_else(|| Json(&inside.emails).into_response())
}

#[tokio::test]
async fn people_sign_in_with_github_by_the_number_of_their_account() {
    let world = World::in_real_time().await;
    let listener = creel_daemon::bind_tcp(([127, 0, 0, 1], 0).into())
        .await
        .expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let inside = Arc::<Mutex<Inside>>::default();
    let router = Router::new()
        .route("/login/oauth/access_token", post(exchange))
        .route("/api/v3/user", get(user))
        .route("/api/v3/user/emails", get(emails))
        .route("/api/v3/", get(async || Json(json!({"current_user_url": "…"}))))
        .with_state(Arc::clone(&inside));
    let server = tokio::spawn(async move {
        let _ = axum::serve(listener, router).await;
    });
    let body = json!({"name": "github", "kind": "github", "issuer": format!("{url}/"), "client_id": "c",
        "client_secret": "planted", "newcomers": "developer", "email_domains": ["example.com"]});
    operate(&world, "POST", "/v1/sso", body).await.expect(201).await;
    let tested = world
        .post("/v1/sso/github/test", json!({}))
        .await
        .expect(200)
        .await;
    assert_eq!(tested["ok"], true, "{tested}");

    let come = async |browser: &mut Traveller, code: &str| {
        let to = browser.leave(&world, "github").await;
        let to = Url::parse(&to).expect("an address");
        assert_eq!(to.path(), "/login/oauth/authorize");
        let query: HashMap<_, _> = to.query_pairs().into_owned().collect();
        assert_eq!(
            (query["scope"].as_str(), query["code_challenge_method"].as_str()),
            ("read:user user:email", "S256")
        );
        inside.lock().expect("not poisoned").challenge = query["code_challenge"].clone();
        let back = format!("{}?code={code}&state={}", query["redirect_uri"], query["state"]);
        browser.come_back(&world, &back).await
    };
    let address = |email: &str, primary: bool, verified: bool| json!({"email": email, "primary": primary, "verified": verified, "visibility": "private"});
    let set = |user: Value, emails: Value| {
        let mut inside = inside.lock().expect("not poisoned");
        (inside.user, inside.emails) = (user, emails);
    };
    let octocat = json!({"id": 583_231, "login": "octocat", "name": null, "email": "public@example.com"});
    set(octocat.clone(), json!([address("octo@example.com", true, false)]));
    let reply = come(&mut Traveller::default(), "good").await;
    assert_eq!(
        refused(reply).await.1,
        "sso_not_allowed",
        "its primary address is not verified"
    );
    set(
        octocat,
        json!([
            address("o@other.test", false, true),
            address("octo@example.com", true, true)
        ]),
    );
    let reply = come(&mut Traveller::default(), "used before").await;
    assert_eq!(refused(reply).await, (502, "sso_not_believed".into()));
    let mut browser = Traveller::default();
    landed(&come(&mut browser, "good").await);
    let me = browser.me(&world).await;
    assert_eq!(
        (&me["user_name"], &me["email"]),
        (&json!("octocat"), &json!("octo@example.com"))
    );

    // A name is given up and taken by somebody else: the number tells them apart.
    let taken = json!({"id": 7, "login": "octocat", "name": "Mallory"});
    set(taken, json!([address("mallory@example.com", true, true)]));
    let mut other = Traveller::default();
    landed(&come(&mut other, "good").await);
    assert_ne!(other.me(&world).await["user"], me["user"]);
    inside.lock().expect("not poisoned").no_emails = true;
    let reply = come(&mut Traveller::default(), "good").await;
    assert_eq!(
        refused(reply).await.1,
        "sso_not_allowed",
        "no address was granted"
    );
    server.abort();
}
