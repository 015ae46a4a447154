//! An issuer of OpenID Connect at the HTTP border: it checks what a real one checks, and can be made to answer as a
//! hostile one would.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Json, Router,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use bytes::Bytes;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use reqwest::Url;
use serde_json::{Value, json};

use super::{World, operate};
use crate::{operations::sign_in::hash, signing};

pub(crate) const CLIENT: &str = "creel client";
pub(crate) const SECRET: &str = "a planted & secret";

/// How one of its addresses answers.
#[derive(Clone)]
pub(crate) enum Manner {
    Good,
    Hangs,
    /// The connection breaks in the middle.
    Half,
    /// More than anybody needs.
    Huge,
    /// Somewhere else.
    Redirects(String),
    Fails(u16),
    Nonsense,
}

type Twist = Box<dyn Fn(&mut Value) + Send>;
type Sign = Box<dyn Fn(&Value, &SigningKey) -> String + Send>;

pub(crate) struct SigningKey {
    pub(crate) id: String,
    pub(crate) private: EncodingKey,
    pub(crate) public: Jwk,
}

impl SigningKey {
    pub(crate) fn new(id: &str) -> Self {
        let private = EncodingKey::from_ec_der(signing::new_private_key().expect("a key").as_slice());
        let mut public = Jwk::from_encoding_key(&private, Algorithm::ES256).expect("a key");
        public.common.key_id = Some(id.to_owned());
        let id = id.to_owned();
        Self { id, private, public }
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.id.clone());
        encode(&header, claims, &self.private).expect("signed")
    }
}

/// Somebody agreed: what a code is good for.
struct Grant {
    redirect_uri: String,
    challenge: String,
    claims: Value,
    told: Value,
}

pub(crate) struct Inside {
    url: String,
    /// Fields of the description that differ.
    pub(crate) description: Value,
    pub(crate) key: SigningKey,
    grants: HashMap<String, Grant>,
    /// What is said beside the token, by access token.
    told: HashMap<String, Value>,
    pub(crate) token: Manner,
    pub(crate) keys: Manner,
    pub(crate) userinfo: Manner,
    twist: Option<Twist>,
    sign: Option<Sign>,
    /// How often codes were exchanged for tokens.
    pub(crate) exchanged: u32,
}

#[derive(Clone)]
pub(crate) struct FakeIssuer {
    pub(crate) url: String,
    inside: Arc<Mutex<Inside>>,
    server: Arc<tokio::task::JoinHandle<()>>,
}

impl Drop for FakeIssuer {
    fn drop(&mut self) {
        if Arc::strong_count(&self.server) == 1 {
            self.server.abort();
        }
    }
}

async fn behave(manner: &Manner, good: impl FnOnce() -> Response) -> Response {
    match manner {
        Manner::Good => good(),
        Manner::Hangs => std::future::pending().await,
        Manner::Half => {
            let pieces = [
                Ok(Bytes::from_static(b"{\"id_token\":")),
                Err(std::io::Error::other("cut")),
            ];
            Body::from_stream(futures_util::stream::iter(pieces)).into_response()
        }
        Manner::Huge => {
            let Ok(mut body) = serde_json::to_vec(&json!({"keys": [], "sub": "x"})) else {
                unreachable!("it is JSON");
            };
            body.resize(300 * 1024, b' ');
            body.into_response()
        }
        Manner::Redirects(to) => {
            (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, to.clone())]).into_response()
        }
        Manner::Fails(status) => StatusCode::from_u16(*status).expect("a status").into_response(),
        Manner::Nonsense => "<html>".into_response(),
    }
}

impl FakeIssuer {
    pub(crate) async fn new() -> Self {
        let listener = creel_daemon::bind_tcp(([127, 0, 0, 1], 0).into())
            .await
            .expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let inside = Arc::new(Mutex::new(Inside {
            url: url.clone(),
            description: json!({}),
            key: SigningKey::new("one"),
            grants: HashMap::new(),
            told: HashMap::new(),
            token: Manner::Good,
            keys: Manner::Good,
            userinfo: Manner::Good,
            twist: None,
            sign: None,
            exchanged: 0,
        }));
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(describe))
            .route("/token", post(exchange))
            .route("/keys", get(publish))
            .route("/me", get(tell))
            .with_state(Arc::clone(&inside));
        let server = Arc::new(tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        }));
        Self { url, inside, server }
    }

    pub(crate) fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().expect("not poisoned")
    }

    /// What the ID token says is changed before it is signed.
    pub(crate) fn twist(&self, twist: impl Fn(&mut Value) + Send + 'static) {
        self.inside().twist = Some(Box::new(twist));
    }

    /// The ID token is signed in another way.
    pub(crate) fn sign(&self, sign: impl Fn(&Value, &SigningKey) -> String + Send + 'static) {
        self.inside().sign = Some(Box::new(sign));
    }

    pub(crate) fn behave(&self) {
        let mut inside = self.inside();
        inside.twist = None;
        inside.sign = None;
        inside.token = Manner::Good;
        inside.keys = Manner::Good;
        inside.userinfo = Manner::Good;
    }

    /// Adds it to a Creel, whose callback addresses begin with `http://127.0.0.1:…`.
    pub(crate) async fn add_to(&self, world: &World, name: &str, more: Value) -> Value {
        let mut body = json!({"name": name, "kind": "oidc", "issuer": self.url, "client_id": CLIENT,
            "client_secret": SECRET, "label": "Somewhere"});
        let fields = more.as_object().expect("an object").clone();
        body.as_object_mut().expect("an object").extend(fields);
        operate(world, "POST", "/v1/sso", body).await.expect(201).await
    }

    /// Whoever sits before the browser shows who they are, and agrees: the address that the browser is sent back to.
    pub(crate) fn agree(&self, world: &World, url: &str, who: &Value) -> String {
        let url = Url::parse(url).expect("an address");
        assert_eq!(
            format!("{}/authorize", self.url),
            url.as_str().split('?').next().expect("some")
        );
        let query: HashMap<String, String> = url.query_pairs().into_owned().collect();
        let of = |name: &str| query.get(name).cloned().unwrap_or_default();
        assert_eq!(
            (
                of("response_type"),
                of("client_id"),
                of("code_challenge_method"),
                of("scope")
            ),
            (
                "code".into(),
                CLIENT.into(),
                "S256".into(),
                "openid email profile".into()
            )
        );
        let now = world.clock.now().as_second();
        let mut claims =
            json!({"iss": self.url, "aud": CLIENT, "nonce": of("nonce"), "iat": now, "exp": now + 300});
        let fields = who.as_object().expect("an object").clone();
        claims.as_object_mut().expect("an object").extend(fields);
        let told = claims.as_object_mut().expect("an object").remove("userinfo");
        let mut inside = self.inside();
        let code = format!("code {}", inside.grants.len());
        let grant = Grant {
            redirect_uri: of("redirect_uri"),
            challenge: of("code_challenge"),
            claims,
            told: told.unwrap_or_else(|| json!({"sub": who["sub"]})),
        };
        inside.grants.insert(code.clone(), grant);
        let mut back = Url::parse(&of("redirect_uri")).expect("an address");
        back.query_pairs_mut()
            .append_pair("code", &code)
            .append_pair("state", &of("state"))
            .append_pair("iss", &self.url)
            .append_pair("session_state", "of no interest");
        back.to_string()
    }
}

type Shared = State<Arc<Mutex<Inside>>>;

async fn describe(State(inside): Shared) -> Json<Value> {
    let inside = inside.lock().expect("not poisoned");
    let url = &inside.url;
    let mut said = json!({
        "issuer": url,
        "authorization_endpoint": format!("{url}/authorize"),
        "token_endpoint": format!("{url}/token"),
        "userinfo_endpoint": format!("{url}/me"),
        "jwks_uri": format!("{url}/keys"),
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
    });
    let fields = inside.description.as_object().expect("an object").clone();
    said.as_object_mut().expect("an object").extend(fields);
    Json(said)
}

async fn publish(State(inside): Shared) -> Response {
    let (manner, key) = {
        let inside = inside.lock().expect("not poisoned");
        (inside.keys.clone(), inside.key.public.clone())
    };
    behave(&manner, || Json(json!({ "keys": [key] })).into_response()).await
}

/// The fields of a form.
pub(super) fn fields(form: &str) -> HashMap<String, String> {
    let url = Url::parse(&format!("form:/?{form}")).expect("a form");
    url.query_pairs().into_owned().collect()
}

async fn exchange(State(inside): Shared, headers: HeaderMap, form: String) -> Response {
    let form = fields(&form);
    let manner = inside.lock().expect("not poisoned").token.clone();
    behave(&manner, || {
        grant(&mut inside.lock().expect("not poisoned"), &headers, &form)
    })
    .await
}

fn grant(inside: &mut Inside, headers: &HeaderMap, form: &HashMap<String, String>) -> Response {
    let refuse = |error: &str| (StatusCode::BAD_REQUEST, Json(json!({ "error": error }))).into_response();
    let basic = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let basic = basic.and_then(|value| STANDARD.decode(value.strip_prefix("Basic ")?).ok());
    if basic.as_deref() != Some(b"creel+client:a+planted+%26+secret") {
        return refuse("invalid_client");
    }
    let of = |name: &str| form.get(name).cloned().unwrap_or_default();
    let Some(grant) = inside.grants.remove(&of("code")) else {
        return refuse("invalid_grant");
    };
    let challenge = URL_SAFE_NO_PAD.encode(hash(&of("code_verifier")));
    if challenge != grant.challenge || of("redirect_uri") != grant.redirect_uri {
        return refuse("invalid_grant");
    }
    inside.exchanged += 1;
    let mut claims = grant.claims;
    if let Some(twist) = &inside.twist {
        twist(&mut claims);
    }
    let token = match &inside.sign {
        Some(sign) => sign(&claims, &inside.key),
        None => inside.key.sign(&claims),
    };
    let access = format!("access {}", inside.exchanged);
    inside.told.insert(access.clone(), grant.told);
    Json(json!({"access_token": access, "token_type": "Bearer", "expires_in": 60, "id_token": token}))
        .into_response()
}

async fn tell(State(inside): Shared, headers: HeaderMap) -> Response {
    let (manner, told) = {
        let inside = inside.lock().expect("not poisoned");
        let bearer = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let access = bearer.and_then(|value| value.strip_prefix("Bearer "));
        let told = access.and_then(|access| inside.told.get(access)).cloned();
        (inside.userinfo.clone(), told)
    };
    behave(&manner, || match told {
        Some(told) => Json(told).into_response(),
        None => StatusCode::UNAUTHORIZED.into_response(),
    })
    .await
}
