//! A HashiCorp Vault with Transit in the test's own process: encrypt, decrypt and rewrap as its API describes them, strict
//! about what it is asked, and told when to misbehave.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::stream;
use serde::Deserialize;
use serde_json::json;

/// How it answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum VaultMood {
    #[default]
    Works,
    /// With this status, as a Vault that is sealed (503), asked too often (429), or confused (500).
    Status(u16),
    /// Never.
    Hangs,
    /// With something that is no JSON.
    Garbage,
    /// With JSON that lacks what was asked for.
    Empty,
    /// With the first half of an answer.
    Half,
    /// Without an end.
    Endless,
    /// With a way to somewhere else.
    Redirects(String),
}

/// Listens on a loopback port until it is dropped.
pub struct FakeVault {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    server: tokio::task::JoinHandle<()>,
}

struct Shared {
    token: String,
    mood: VaultMood,
    /// Each key's newest version.
    keys: HashMap<String, u32>,
    wrapped: HashMap<String, (String, Vec<u8>)>,
    asked: Vec<String>,
    count: u64,
}

type Handle = Arc<Mutex<Shared>>;

fn lock(shared: &Handle) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for FakeVault {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl FakeVault {
    /// With the key `transit/creel`, and `token` for it.
    pub async fn start(token: &str) -> std::io::Result<Self> {
        let shared = Arc::new(Mutex::new(Shared {
            token: token.to_owned(),
            mood: VaultMood::Works,
            keys: HashMap::from([("transit/creel".to_owned(), 1)]),
            wrapped: HashMap::new(),
            asked: Vec::new(),
            count: 0,
        }));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let routes = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move {
            // Ends when the task is aborted.
            let _ = axum::serve(listener, routes).await;
        });
        Ok(Self {
            address,
            shared,
            server,
        })
    }

    pub fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn set_mood(&self, mood: VaultMood) {
        lock(&self.shared).mood = mood;
    }

    /// The token that is good from now on; whoever has another is refused.
    pub fn set_token(&self, token: &str) {
        token.clone_into(&mut lock(&self.shared).token);
    }

    /// Takes the key away, or makes a new version of it.
    pub fn set_key(&self, key: &str, version: Option<u32>) {
        let mut shared = lock(&self.shared);
        match version {
            Some(version) => shared.keys.insert(key.to_owned(), version),
            None => shared.keys.remove(key),
        };
    }

    /// `encrypt transit/creel` and so on, in order.
    pub fn asked(&self) -> Vec<String> {
        lock(&self.shared).asked.clone()
    }
}

/// What the API's description allows, and what Creel has no reason to send.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    plaintext: Option<String>,
    ciphertext: Option<String>,
}

async fn answer(
    State(shared): State<Handle>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mood = lock(&shared).mood.clone();
    match mood {
        VaultMood::Works => works(&mut lock(&shared), &method, &uri, &headers, &body),
        VaultMood::Status(status) => {
            lock(&shared).asked.push(format!("status {status}"));
            refused(
                StatusCode::from_u16(status).unwrap_or(StatusCode::IM_A_TEAPOT),
                "a mood",
            )
        }
        VaultMood::Hangs => std::future::pending().await,
        VaultMood::Garbage => "<html>not what you think</html>".into_response(),
        VaultMood::Empty => json!({"data": {}}).to_string().into_response(),
        VaultMood::Half => {
            let pieces = [
                Ok(Bytes::from_static(b"{\"data\":{\"plain")),
                Err(std::io::Error::other("the connection broke")),
            ];
            Body::from_stream(stream::iter(pieces)).into_response()
        }
        VaultMood::Endless => {
            let piece = || Some((Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 4096])), ()));
            Body::from_stream(stream::unfold((), move |()| async move { piece() })).into_response()
        }
        VaultMood::Redirects(to) => {
            (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, to)]).into_response()
        }
    }
}

fn refused(status: StatusCode, why: &str) -> Response {
    (status, json!({ "errors": [why] }).to_string()).into_response()
}

fn works(shared: &mut Shared, method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Response {
    let given = headers.get("x-vault-token").and_then(|token| token.to_str().ok());
    if given != Some(shared.token.as_str()) {
        return refused(StatusCode::FORBIDDEN, "permission denied");
    }
    let parts: Vec<_> = uri.path().split('/').collect();
    let ["", "v1", mount @ .., operation, name] = parts.as_slice() else {
        return refused(StatusCode::NOT_FOUND, "no handler for route");
    };
    if *method != Method::POST || uri.query().is_some() {
        return refused(StatusCode::METHOD_NOT_ALLOWED, "unsupported operation");
    }
    let key = format!("{}/{name}", mount.join("/"));
    shared.asked.push(format!("{operation} {key}"));
    let Some(version) = shared.keys.get(&key).copied() else {
        return refused(StatusCode::BAD_REQUEST, "encryption key not found");
    };
    let Ok(asked) = serde_json::from_slice::<Asked>(body) else {
        return refused(StatusCode::BAD_REQUEST, "error parsing JSON");
    };
    let opened = asked
        .ciphertext
        .as_ref()
        .and_then(|text| shared.wrapped.get(text))
        .filter(|(of, _)| *of == key)
        .map(|(_, plain)| plain.clone());
    let sent = asked
        .plaintext
        .as_ref()
        .and_then(|text| STANDARD.decode(text).ok());
    let data = match (*operation, sent, opened) {
        ("encrypt", Some(plain), None) | ("rewrap", None, Some(plain)) => {
            shared.count += 1;
            let text = format!(
                "vault:v{version}:{}",
                STANDARD.encode(format!("wrapped {}", shared.count))
            );
            shared.wrapped.insert(text.clone(), (key, plain));
            json!({ "ciphertext": text, "key_version": version })
        }
        ("decrypt", None, Some(plain)) => json!({ "plaintext": STANDARD.encode(plain) }),
        _ => return refused(StatusCode::BAD_REQUEST, "invalid ciphertext: unable to decrypt"),
    };
    json!({ "request_id": "1", "lease_id": "", "renewable": false, "data": data })
        .to_string()
        .into_response()
}
