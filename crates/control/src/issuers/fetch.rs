//! Small JSON documents of identity providers, fetched with every bound that there is.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response, Url, header};
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
    /// As OAuth says no.
    #[error("{host} refuses: {error}")]
    Refused { host: String, error: String },
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
    read(url, request).await
}

/// What an address says to whoever has the access token.
pub(crate) async fn get_with(http: &Client, url: &Url, token: &str, accept: &str) -> Result<Value, Error> {
    let request = http.get(url.clone()).header(header::ACCEPT, accept);
    read(url, request.bearer_auth(token)).await
}

/// What is answered to a form.
pub(crate) async fn post(
    http: &Client,
    url: &Url,
    form: &[(&str, &str)],
    basic: Option<(&str, &str)>,
) -> Result<Value, Error> {
    let mut request = http
        .post(url.clone())
        .header(header::ACCEPT, "application/json")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(encoded(form));
    if let Some((name, password)) = basic {
        // RFC 6749 has both encoded as in a form first.
        let alone = |text: &str| encoded(&[("", text)]).trim_start_matches('=').to_owned();
        request = request.basic_auth(alone(name), Some(alone(password)));
    }
    read(url, request).await
}

/// Queries are written as forms are.
fn encoded(form: &[(&str, &str)]) -> String {
    let Ok(mut url) = Url::parse("form:/") else {
        return String::new();
    };
    url.query_pairs_mut().extend_pairs(form);
    url.query().unwrap_or_default().to_owned()
}

/// Sends a request and reads the answer up to the bound.
async fn read(url: &Url, request: RequestBuilder) -> Result<Value, Error> {
    let host = || url.host_str().unwrap_or_default().to_owned();
    let unreachable = |source: reqwest::Error| Error::Unreachable {
        host: host(),
        source: source.without_url(),
    };
    let mut answer = request.send().await.map_err(unreachable)?;
    let status = answer.status();
    let body = whole(&mut answer).await.map_err(unreachable)?;
    let json = body.and_then(|body| serde_json::from_slice::<Value>(&body).ok());
    if status.is_success() {
        return json.ok_or_else(|| Error::Content { host: host() });
    }
    match json.as_ref().and_then(|json| json["error"].as_str()) {
        Some(error) if status.is_client_error() => Err(Error::Refused {
            host: host(),
            error: word(error),
        }),
        _ => Err(Error::Status {
            host: host(),
            status: status.as_u16(),
        }),
    }
}

/// None: there is too much of it.
async fn whole(answer: &mut Response) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await? {
        if body.len() + piece.len() > BYTES {
            return Ok(None);
        }
        body.extend_from_slice(&piece);
    }
    Ok(Some(body))
}

/// Somebody else's word for an error, as it may stand in a log or on a page.
pub(crate) fn word(text: &str) -> String {
    let plain = |c: &char| c.is_ascii_alphanumeric() || "_-. ".contains(*c);
    text.chars().filter(plain).take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_encoded_and_words_are_plain() {
        assert_eq!(encoded(&[("a", "b c&d"), ("e", "ü")]), "a=b+c%26d&e=%C3%BC");
        assert_eq!(word("access_denied<script>\n"), "access_deniedscript");
    }

    #[test]
    fn only_what_is_encrypted_or_of_this_host_may_be_asked() {
        for good in [
            "https://a.test/x",
            "http://127.0.0.1:1/",
            "http://localhost/",
            "http://[::1]:2",
        ] {
            address(good).expect(good);
        }
        for bad in [
            "http://a.test/",
            "http://127.0.0.1.a.test/",
            "javascript:alert(1)",
            "file:///etc/passwd",
            "https://user:password@a.test",
            "https://",
            "",
        ] {
            address(bad).expect_err(bad);
        }
    }
}
