//! Asking a provider: its address, its headers, retries before the first byte, and what its refusals mean.

use std::time::Duration;

use bytes::Bytes;
use creel_domain::ProviderKind;
use http::{StatusCode, header};
use reqwest::{RequestBuilder, Url};
use serde_json::Value;
use tokio::time::{sleep, timeout};

use crate::{Api, Failure, Outcome, Provider, limits, limits::Waits, record::Record};

/// What a test of a provider found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub ok: bool,
    /// A sentence, with the next step when it failed.
    pub detail: String,
}

pub(crate) fn client(waits: &Waits) -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .connect_timeout(waits.connect)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .user_agent(concat!("creel/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// Where a call goes; a provider that does not speak the API is a refusal.
pub(crate) fn address(api: Api, provider: &Provider) -> Result<Url, Failure> {
    use ProviderKind::{Anthropic, Gemini, Openai, OpenaiCompatible};
    let base = &provider.base_url;
    match (api, provider.kind) {
        (Api::ChatCompletions, Openai | OpenaiCompatible | Anthropic) => {
            Ok(base.join(["chat", "completions"]))
        }
        (Api::ChatCompletions, Gemini) => Ok(base.join(["openai", "chat", "completions"])),
        (Api::Responses, Openai | OpenaiCompatible) => Ok(base.join(["responses"])),
        (Api::Messages, Anthropic) => Ok(base.join(["messages"])),
        (api, kind) => Err(Failure::not_allowed(format!(
            "a provider of kind {kind} is not called by {api}: use chat completions"
        ))),
    }
}

fn with_key(request: RequestBuilder, api: Api, provider: &Provider) -> RequestBuilder {
    let request = match api {
        Api::Messages => request.header("anthropic-version", "2023-06-01"),
        Api::ChatCompletions | Api::Responses => request,
    };
    match (&provider.key, api) {
        (None, _) => request,
        (Some(key), Api::Messages) => request.header("x-api-key", key.expose()),
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
    api: Api,
    provider: &Provider,
    body: Bytes,
    streamed: bool,
    mut record: Record,
    waits: &Waits,
) -> Result<(reqwest::Response, Record), Failure> {
    let url = match address(api, provider) {
        Ok(url) => url,
        Err(failure) => {
            record.close(Outcome::Aborted);
            return Err(failure);
        }
    };
    let first_byte = if streamed {
        waits.first_byte
    } else {
        waits.whole_answer
    };
    loop {
        record.attempts += 1;
        let request = client
            .post(url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.clone());
        let sent = timeout(first_byte, with_key(request, api, provider).send()).await;
        let last = record.attempts > limits::RETRIES;
        let (outcome, failure, wait) = match sent {
            Ok(Ok(answer)) if answer.status().is_success() => {
                record.heard();
                return Ok((answer, record));
            }
            Ok(Ok(answer)) => {
                let status = answer.status();
                let asked_wait = retry_after(&answer);
                let (failure, again) = refusal(status, &error_text(answer, waits).await);
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

/// What the provider said about its refusal, bounded.
async fn error_text(mut answer: reqwest::Response, waits: &Waits) -> String {
    let mut read = Vec::new();
    let all = async {
        while let Ok(Some(piece)) = answer.chunk().await {
            let room = limits::ERROR_BYTES.saturating_sub(read.len());
            read.extend_from_slice(&piece[..piece.len().min(room)]);
            if room <= piece.len() {
                break;
            }
        }
    };
    // What came until then is enough.
    let _ = timeout(waits.idle, all).await;
    let said = serde_json::from_slice::<Value>(&read).ok().and_then(|value| {
        let error = if value.is_array() {
            &value[0]["error"]
        } else {
            &value["error"]
        };
        error["message"].as_str().or(error.as_str()).map(str::to_owned)
    });
    said.unwrap_or_default().chars().take(1000).collect()
}

/// What a refusal means to the sandbox, and whether it may pass by itself.
fn refusal(status: StatusCode, said: &str) -> (Failure, bool) {
    let said = if said.is_empty() {
        String::new()
    } else {
        format!(" It said: {said}")
    };
    let spent = said.contains("insufficient_quota") || said.contains("exceeded your current quota");
    match status.as_u16() {
        401 | 403 => {
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
    let failed = |detail: String| Verdict { ok: false, detail };
    let (url, api) = match provider.kind {
        ProviderKind::Demo => {
            return Verdict {
                ok: true,
                detail: "The demo answers by itself.".to_owned(),
            };
        }
        ProviderKind::Gemini => (provider.base_url.join(["openai", "models"]), Api::ChatCompletions),
        ProviderKind::Anthropic => (provider.base_url.join(["models"]), Api::Messages),
        ProviderKind::Openai | ProviderKind::OpenaiCompatible => {
            (provider.base_url.join(["models"]), Api::ChatCompletions)
        }
    };
    let request = with_key(client.get(url), api, provider);
    match timeout(waits.connect * 2, request.send()).await {
        Err(_) => failed("It did not answer in time: check its address and the network.".to_owned()),
        Ok(Err(_)) => failed(format!(
            "Nothing answers at {}: check the address.",
            provider.base_url
        )),
        Ok(Ok(answer)) if answer.status().is_success() => Verdict {
            ok: true,
            detail: "It answers and takes the key.".to_owned(),
        },
        Ok(Ok(answer)) if matches!(answer.status().as_u16(), 401 | 403) => {
            failed("It refuses the key: check that all of it was given.".to_owned())
        }
        Ok(Ok(answer)) => failed(format!(
            "It answered {} at {}/models: check the address.",
            answer.status().as_u16(),
            provider.base_url
        )),
    }
}
