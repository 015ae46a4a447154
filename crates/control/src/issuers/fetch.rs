//! Small JSON documents of identity providers, fetched with every bound that there is.

use std::time::Duration;

use reqwest::{Client, Response, Url, header};
use serde_json::Value;

/// From the first byte sent to the last one read.
const WITHIN: Duration = Duration::from_secs(5);
/// Of one document.
const BYTES: usize = 256 * 1024;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("`{0}` is not an address that may be asked: it must begin with https://")]
    Address(String),
    #[error("{host} does not answer")]
    Unreachable {
        host: String,
        #[source]
        source: reqwest::Error,
    },
    #[error("{host} answers with status {status}")]
    Status { host: String, status: u16 },
    #[error("{host} answers something that is not the JSON that was expected, or too much of it")]
    Content { host: String },
}

pub(crate) fn client() -> Result<Client, reqwest::Error> {
    Client::builder()
        .timeout(WITHIN)
        .connect_timeout(WITHIN)
        .user_agent(concat!("creel/", env!("CARGO_PKG_VERSION")))
        // Somewhere else is not who was asked.
        .redirect(reqwest::redirect::Policy::none())
        .build()
}

/// An address that may be asked: encrypted, or of this host.
pub(crate) fn address(text: &str) -> Result<Url, Error> {
    let url = Url::parse(text).map_err(|_| Error::Address(text.chars().take(200).collect()))?;
    let here = match url.host_str() {
        Some(host) => matches!(host, "localhost" | "127.0.0.1" | "[::1]"),
        None => false,
    };
    let good = url.scheme() == "https" || (url.scheme() == "http" && here);
    if good && url.has_host() && url.username().is_empty() && url.password().is_none() {
        Ok(url)
    } else {
        Err(Error::Address(text.chars().take(200).collect()))
    }
}

/// The document at an address.
pub(crate) async fn get(http: &Client, url: &Url) -> Result<Value, Error> {
    let request = http.get(url.clone()).header(header::ACCEPT, "application/json");
    read(url, request.send().await).await
}

/// What was answered, read up to the bound.
pub(crate) async fn read(url: &Url, answer: Result<Response, reqwest::Error>) -> Result<Value, Error> {
    let host = || url.host_str().unwrap_or_default().to_owned();
    let unreachable = |source: reqwest::Error| Error::Unreachable {
        host: host(),
        source: source.without_url(),
    };
    let mut answer = answer.map_err(unreachable)?;
    let status = answer.status();
    if !status.is_success() {
        return Err(Error::Status {
            host: host(),
            status: status.as_u16(),
        });
    }
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(unreachable)? {
        if body.len() + piece.len() > BYTES {
            return Err(Error::Content { host: host() });
        }
        body.extend_from_slice(&piece);
    }
    serde_json::from_slice(&body).map_err(|_| Error::Content { host: host() })
}
