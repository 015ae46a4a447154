//! How an authority is spoken to: every answer is bounded in time and bytes, and a wish to be left alone is remembered.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};

const ANSWER_WITHIN: Duration = Duration::from_secs(20);
const ANSWER_BYTES: usize = 256 * 1024;
/// The longest wish to be left alone that is heeded.
const LONGEST_WAIT_S: u64 = 24 * 60 * 60;

#[derive(Clone)]
pub(super) struct Authority {
    http: reqwest::Client,
    /// Seconds for which the authority wants to be left alone, as it said last; 0: it did not.
    wait_s: Arc<AtomicU64>,
}

impl Authority {
    /// `root` in PEM vouches for the authority besides those that the system trusts.
    pub(super) fn new(root: Option<&str>) -> Result<Self, reqwest::Error> {
        let mut http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(ANSWER_WITHIN)
            .user_agent("creel");
        if let Some(root) = root {
            let roots = reqwest::Certificate::from_pem_bundle(root.as_bytes())?;
            http = http.tls_certs_merge(roots);
        }
        Ok(Self {
            http: http.build()?,
            wait_s: Arc::default(),
        })
    }

    /// The same authority, for one order: what it wishes there is no other's.
    pub(super) fn for_one(&self) -> Self {
        Self {
            http: self.http.clone(),
            wait_s: Arc::default(),
        }
    }

    /// How long it wants to be left alone, if it has just said so.
    pub(super) fn take_wait(&self) -> Option<Duration> {
        match self.wait_s.swap(0, Ordering::Relaxed) {
            0 => None,
            seconds => Some(Duration::from_secs(seconds)),
        }
    }

    async fn ask(self, request: http::Request<BodyWrapper<Bytes>>) -> Result<BytesResponse, Error> {
        let other = |error: reqwest::Error| Error::Other(error.without_url().into());
        let (head, body) = request.into_parts();
        let body = body
            .collect()
            .await
            .map_err(|_| Error::Str("a body that is at hand"))?;
        let asked = self
            .http
            .request(head.method, head.uri.to_string())
            .headers(head.headers)
            .body(body.to_bytes());
        let mut answer = asked.send().await.map_err(other)?;
        let status = answer.status();
        let mut response = Response::builder().status(status);
        if let Some(headers) = response.headers_mut() {
            *headers = answer.headers().clone();
        }
        if matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        ) {
            let wait = answer
                .headers()
                .get(header::RETRY_AFTER)
                .and_then(|wait| wait.to_str().ok());
            let wait: Option<u64> = wait.and_then(|wait| wait.trim().parse().ok());
            self.wait_s
                .store(wait.unwrap_or(0).min(LONGEST_WAIT_S), Ordering::Relaxed);
        }
        let mut whole = BytesMut::new();
        while let Some(piece) = answer.chunk().await.map_err(other)? {
            if whole.len() + piece.len() > ANSWER_BYTES {
                return Err(Error::Str("the authority's answer is too large"));
            }
            whole.extend_from_slice(&piece);
        }
        Ok(response.body(Full::new(whole.freeze()))?.into())
    }
}

impl HttpClient for Authority {
    fn request(
        &self,
        request: http::Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        Box::pin(self.clone().ask(request))
    }
}
