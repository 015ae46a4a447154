//! A client of the API for the command line and for tests: one typed method for each route.
//!
//! Streams of a turn and of events go on by themselves after a lost connection, from the last event that
//! was seen. Everything that is no stream ends within a stated time.

mod agents;
mod audit;
mod chat;
mod computer;
mod devices;
mod domains;
mod error;
mod events;
mod members;
mod operators;
mod orgs;
mod people;
mod platform;
mod ports;
mod providers;
mod schedules;
mod secrets;
mod sse;
mod sso;
mod stream;

use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response, Url, header};
use serde::{Serialize, de::DeserializeOwned};

pub use audit::AuditQuery;
pub use chat::{Numbered, TurnStream};
pub use computer::ByteStream;
pub use error::Error;
pub use platform::UsageQuery;

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a plain answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// The longest answer that is read whole, in bytes.
const ANSWER_BYTES: usize = 64 << 20;

/// Speaks to one Creel as one user. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    token: Option<String>,
}

impl Client {
    /// `url` is the address that `creel up` prints, for example `http://127.0.0.1:7300`.
    pub fn new(url: &str, token: Option<String>) -> Result<Self, Error> {
        let base = Url::parse(url)
            .ok()
            .filter(|base| matches!(base.scheme(), "http" | "https") && base.has_host())
            .ok_or_else(|| Error::BadUrl(url.to_owned()))?;
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_keepalive(Duration::from_secs(30))
            .user_agent(concat!("creel/", env!("CARGO_PKG_VERSION")))
            // A redirect would carry the token to an address nobody named.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|source| Error::Transport {
                url: url.to_owned(),
                source,
            })?;
        Ok(Self { http, base, token })
    }

    /// The address that it speaks to, as text without a slash at its end.
    pub fn url(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// A request to `/v1/…`; each segment is escaped.
    fn request(&self, method: Method, segments: &[&str], query: &[(&str, String)]) -> RequestBuilder {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = self.http.request(method, url);
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    fn get(&self, segments: &[&str]) -> RequestBuilder {
        self.request(Method::GET, segments, &[])
    }

    /// Sends it and takes a good answer; everything else becomes an error.
    async fn send(&self, request: RequestBuilder) -> Result<Response, Error> {
        let response = request.send().await.map_err(|error| self.transport(error))?;
        if response.status().is_success() || response.status() == http::StatusCode::SWITCHING_PROTOCOLS {
            return Ok(response);
        }
        let status = response.status().as_u16();
        let body = read_whole(response, self.url()).await.unwrap_or_default();
        Err(Error::from_answer(status, &body))
    }

    async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Error> {
        self.json_within(request, ANSWER_TIMEOUT).await
    }

    async fn json_within<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
        timeout: Duration,
    ) -> Result<T, Error> {
        let response = self.send(request.timeout(timeout)).await?;
        let body = read_whole(response, self.url()).await?;
        serde_json::from_slice(&body).map_err(|source| Error::Unreadable {
            url: self.url().to_owned(),
            source,
        })
    }

    /// For answers without a body.
    async fn done(&self, request: RequestBuilder) -> Result<(), Error> {
        self.send(request.timeout(ANSWER_TIMEOUT)).await.map(drop)
    }

    fn transport(&self, source: reqwest::Error) -> Error {
        Error::transport(self.url(), source)
    }
}

/// Without the token: debug output ends up in logs.
impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("url", &self.url())
            .finish_non_exhaustive()
    }
}

fn body<T: Serialize>(request: RequestBuilder, value: &T) -> RequestBuilder {
    request.json(value)
}

fn accept(request: RequestBuilder, media_type: &'static str) -> RequestBuilder {
    request.header(header::ACCEPT, media_type)
}

/// Reads an answer up to [`ANSWER_BYTES`].
async fn read_whole(mut response: Response, url: &str) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|source| Error::transport(url, source))?
    {
        if body.len() + chunk.len() > ANSWER_BYTES {
            return Err(Error::TooLong {
                url: url.to_owned(),
                most: ANSWER_BYTES,
            });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
