//! Asking a provider: its address, its headers, retries before the first byte, and what its refusals mean.

use std::time::Duration;

use creel_domain::ProviderKind;
use http::{StatusCode, header};
use reqwest::RequestBuilder;
use serde_json::Value;
use tokio::time::{sleep, timeout};

use crate::{
    Failure, Outcome, Provider, call::ToProvider, limits, limits::Waits, offered::offered, record::Record,
    wire,
};

/// What a test of a provider found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub ok: bool,
    /// A sentence, with the next step when it failed.
    pub detail: String,
    /// The models that it lists, at most [`limits::MODELS_OFFERED`]; empty where it tells none.
    pub models: Vec<String>,
}

pub(crate) fn client(waits: &Waits) -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .connect_timeout(waits.connect)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .user_agent(concat!("creel/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// Adds the key in the way of the provider's own format.
fn with_key(request: RequestBuilder, provider: &Provider) -> RequestBuilder {
    let request = match provider.kind {
        ProviderKind::Anthropic => request.header("anthropic-version", "2023-06-01"),
        _ => request,
    };
    match (&provider.key, provider.kind) {
        (None, _) => request,
        (Some(key), ProviderKind::Anthropic) => request.header("x-api-key", key.expose()),
        (Some(key), ProviderKind::Gemini) => request.header("x-goog-api-key", key.expose()),
        (Some(key), _) => request.bearer_auth(key.expose()),
    }
}

fn may_pass(status: StatusCode) -> bool {
    matches!(
        status.as_u16(),
        408 | 409 | 425 | 429 | 500 | 502 | 503 | 504 | 529
    )
}

/// Sends until an answer begins. The record is closed when none does.
pub(crate) async fn ask(
    client: &reqwest::Client,
    request: &ToProvider,
    mut record: Record,
    waits: &Waits,
) -> Result<(reqwest::Response, Record), Failure> {
    let provider = &request.provider;
    let first_byte = if request.streamed {
        waits.first_byte
    } else {
        waits.whole_answer
    };
    loop {
        record.attempts += 1;
        let post = client
            .post(request.url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .body(request.body.clone());
        let left = waits.call.saturating_sub(record.age());
        let sent = timeout(first_byte.min(left), with_key(post, provider).send()).await;
        let last = record.attempts > limits::RETRIES;
        let (outcome, failure, wait) = match sent {
            Ok(Ok(answer)) if answer.status().is_success() => {
                record.heard();
                return Ok((answer, record));
            }
            Ok(Ok(answer)) => {
                let status = answer.status();
                let asked_wait = retry_after(&answer);
                let said = error_text(answer, provider, waits).await;
                let (failure, again) = refusal(status, &said);
                let outcome = Outcome::UpstreamError {
                    status: status.as_u16(),
                };
                (outcome, failure, again.then_some(asked_wait))
            }
            Ok(Err(error)) => {
                tracing::info!(provider = %provider.name, error = %error.without_url(), "a provider could not be reached");
                (
                    Outcome::Unreachable,
                    Failure::model("the provider cannot be reached: check its address"),
                    Some(None),
                )
            }
            Err(_) => (
                Outcome::TimedOut,
                Failure::model("the provider did not answer in time"),
                None,
            ),
        };
        match wait {
            Some(asked) if !last && asked.is_none_or(|asked| asked <= waits.retry_after) => {
                sleep(asked.unwrap_or_else(|| pause(waits.retry, record.attempts))).await;
            }
            _ => {
                record.close(outcome);
                return Err(failure);
            }
        }
    }
}

/// Doubles with each attempt; half of it is chance, so that many callers do not come back together.
fn pause(base: Duration, attempt: u32) -> Duration {
    let full = base.saturating_mul(1 << attempt.saturating_sub(1).min(8));
    let chance = uuid::Uuid::new_v4().as_u128() as u32;
    full / 2 + (full / 2).mul_f64(f64::from(chance) / f64::from(u32::MAX))
}

fn retry_after(answer: &reqwest::Response) -> Option<Duration> {
    let seconds = answer.headers().get(header::RETRY_AFTER)?.to_str().ok()?;
    seconds.trim().parse().ok().map(Duration::from_secs)
}

/// What the provider said about its refusal, bounded; never with the key in it.
async fn error_text(answer: reqwest::Response, provider: &Provider, waits: &Waits) -> String {
    let read = beginning(answer, limits::ERROR_BYTES, waits).await;
    let said = serde_json::from_slice::<Value>(&read)
        .ok()
        .and_then(|value| wire::error_of(&value))
        .unwrap_or_default();
    match &provider.key {
        Some(key) => said.replace(key.expose(), "(the key)"),
        None => said,
    }
}

/// At most `most` bytes of an answer's body, and of those what comes in time.
async fn beginning(mut answer: reqwest::Response, most: usize, waits: &Waits) -> Vec<u8> {
    let mut read = Vec::new();
    let all = async {
        while let Ok(Some(piece)) = answer.chunk().await {
            let room = most.saturating_sub(read.len());
            read.extend_from_slice(&piece[..piece.len().min(room)]);
            if room <= piece.len() {
                break;
            }
        }
    };
    // What came until then is enough.
    let _ = timeout(waits.idle, all).await;
    read
}

/// What a refusal means to the sandbox, and whether it may pass by itself.
fn refusal(status: StatusCode, said: &str) -> (Failure, bool) {
    let said = if said.is_empty() {
        String::new()
    } else {
        format!(" It said: {said}")
    };
    let spent = said.contains("insufficient_quota") || said.contains("exceeded your current quota");
    // Gemini says this with 400.
    let bad_key = said.contains("API key not valid");
    match status.as_u16() {
        400 | 401 | 403 if bad_key || status.as_u16() != 400 => {
            let sentence =
                "the provider refuses its key: replace it with `creel provider rm` and `creel provider add`";
            (Failure::new("model_key_refused", sentence), false)
        }
        402 => (
            Failure::new("model_billing", format!("the provider wants to be paid.{said}")),
            false,
        ),
        429 if spent => (
            Failure::new("model_billing", format!("the provider's quota is spent.{said}")),
            false,
        ),
        400 | 404 | 413 | 422 => (
            Failure::new(
                "model_refused",
                format!("the provider refuses the request.{said}"),
            ),
            false,
        ),
        code => (
            Failure::model(format!("the provider answered {code}: try again later.{said}")),
            may_pass(status),
        ),
    }
}

/// Asks for the list of models: the smallest call that needs the address and the key to be right.
pub(crate) async fn test(client: &reqwest::Client, provider: &Provider, waits: &Waits) -> Verdict {
    let failed = |detail: String| Verdict {
        ok: false,
        detail,
        models: Vec::new(),
    };
    if provider.kind == ProviderKind::Demo {
        return Verdict {
            ok: true,
            detail: "The demo answers by itself.".to_owned(),
            models: vec!["demo".to_owned()],
        };
    }
    let url = provider.base_url.join(["models"]);
    let request = with_key(client.get(url), provider);
    match timeout(waits.connect * 2, request.send()).await {
        Err(_) => failed("It did not answer in time: check its address and the network.".to_owned()),
        Ok(Err(_)) => failed(format!(
            "Nothing answers at {}: check the address.",
            provider.base_url
        )),
        Ok(Ok(answer)) if answer.status().is_success() => Verdict {
            ok: true,
            detail: match (provider.kind, &provider.key) {
                (_, None) => "It answers; no key is kept for it.",
                // Some show their list to everybody.
                (ProviderKind::OpenaiCompatible, Some(_)) => {
                    "It answers. Whether it takes the key shows with the first call."
                }
                _ => "It answers and takes the key.",
            }
            .to_owned(),
            models: offered(&beginning(answer, limits::LIST_BYTES, waits).await),
        },
        Ok(Ok(answer)) => {
            let status = answer.status();
            let said = error_text(answer, provider, waits).await;
            let (failure, _) = refusal(status, &said);
            match failure.code {
                "model_key_refused" if provider.key.is_none() => {
                    failed("It wants a key: add it again with --key-stdin.".to_owned())
                }
                "model_key_refused" => {
                    failed("It refuses the key: check that all of it was given.".to_owned())
                }
                "model_billing" => failed(format!("It answers, but {}", failure.message)),
                _ => failed(format!(
                    "It answered {} at {}/models: check the address.",
                    status.as_u16(),
                    provider.base_url
                )),
            }
        }
    }
}
