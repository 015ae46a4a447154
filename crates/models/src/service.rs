//! Answers what comes in by a sandbox's uplink: the list of models, and model calls.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use creel_domain::{CallId, ProviderKind, SandboxId};
use http::{Method, Request, Response, StatusCode};
use http_body::Body as HttpBody;
use jiff::Timestamp;
use serde_json::json;

use crate::{
    Api, Body, CallStart, Caller, Directory, DirectoryError, Failure, Ledger, Provider, Verdict, body,
    call::{Asked, Way},
    demo,
    failure::json_response,
    limits,
    limits::Waits,
    record::Record,
    relay::{self, Passing},
    upstream,
};

/// The model endpoint of all sandboxes. Clones share everything.
#[derive(Clone)]
pub struct Models {
    shared: Arc<Shared>,
}

struct Shared {
    directory: Arc<dyn Directory>,
    ledger: Arc<dyn Ledger>,
    waits: Waits,
    client: reqwest::Client,
    under_way: Mutex<HashMap<SandboxId, usize>>,
}

/// One of the places that a sandbox has for calls.
struct Place {
    shared: Arc<Shared>,
    sandbox: SandboxId,
}

impl Place {
    fn take(shared: &Arc<Shared>, sandbox: SandboxId) -> Result<Self, Failure> {
        let mut under_way = shared.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let count = under_way.entry(sandbox).or_default();
        if *count >= limits::CALLS_PER_SANDBOX {
            let sentence = format!(
                "{} model calls are under way already: wait for one to end",
                *count
            );
            return Err(Failure::new("busy", sentence));
        }
        *count += 1;
        Ok(Self {
            shared: Arc::clone(shared),
            sandbox,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut under_way = self
            .shared
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = under_way.get_mut(&self.sandbox) {
            *count -= 1;
            if *count == 0 {
                under_way.remove(&self.sandbox);
            }
        }
    }
}

impl Models {
    /// Fails when the host has no usable certificate store.
    pub fn new(directory: Arc<dyn Directory>, ledger: Arc<dyn Ledger>) -> Result<Self, reqwest::Error> {
        Self::with_waits(directory, ledger, Waits::default())
    }

    pub fn with_waits(
        directory: Arc<dyn Directory>,
        ledger: Arc<dyn Ledger>,
        waits: Waits,
    ) -> Result<Self, reqwest::Error> {
        let client = upstream::client(&waits)?;
        let under_way = Mutex::default();
        Ok(Self {
            shared: Arc::new(Shared {
                directory,
                ledger,
                waits,
                client,
                under_way,
            }),
        })
    }

    /// Makes a small real call to a provider.
    pub async fn test(&self, provider: &Provider) -> Verdict {
        upstream::test(&self.shared.client, provider, &self.shared.waits).await
    }

    /// Answers one request of a sandbox. Dropping the future, or the body of the answer, hangs up: the provider
    /// is left at once and the record says so.
    pub async fn serve<B>(&self, caller: Caller, request: Request<B>) -> Response<Body>
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
    {
        let path = request.uri().path();
        if path == "/v1/models" && request.method() == Method::GET {
            return models(&caller);
        }
        let Some(api) = Api::at(path) else {
            let mut failure = Failure::new(
                "not_found",
                "there is nothing at this path: models are called at /v1/chat/completions, /v1/responses and /v1/messages",
            );
            failure.status = StatusCode::NOT_FOUND;
            return failure.response(Api::ChatCompletions);
        };
        if request.method() != Method::POST {
            let mut failure = Failure::new("method_not_allowed", "model calls are made with POST");
            failure.status = StatusCode::METHOD_NOT_ALLOWED;
            return failure.response(api);
        }
        match self.call(caller, api, request).await {
            Ok(response) => response,
            Err(failure) => failure.response(api),
        }
    }

    async fn call<B>(&self, caller: Caller, api: Api, request: Request<B>) -> Result<Response<Body>, Failure>
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
    {
        let shared = &self.shared;
        let place = Place::take(shared, caller.sandbox)?;
        let body = body::read(request.into_body(), shared.waits.request).await?;
        let asked = Asked::parse(api, &body, &caller)?;
        let provider = self.provider(&caller).await?;
        let kind = provider
            .as_ref()
            .map_or(ProviderKind::Demo, |provider| provider.kind);
        let call = CallId::from_uuid(uuid::Uuid::now_v7());
        let streamed = asked.streamed;
        let started_at = Timestamp::now();
        let provider_id = provider.as_ref().and_then(|provider| provider.id);
        let key_of = provider.as_ref().and_then(|provider| provider.key_of);
        let way = asked.way(provider, caller.model.model(), call, started_at.as_second())?;
        let start = CallStart {
            call,
            org: caller.org,
            agent: caller.agent,
            sandbox: caller.sandbox,
            provider: provider_id,
            kind,
            key_of,
            model: caller.model.clone(),
            api,
            streamed,
            started_at,
        };
        shared.ledger.begin(start).await?;
        let record = Record::new(Arc::clone(&shared.ledger), call, kind, caller.model.clone());
        let (client, waits) = (&shared.client, &shared.waits);
        let response = match way {
            Way::Here { prompt, writer } => {
                relay::demo(demo::answer(&prompt), writer, streamed, record, waits)
            }
            Way::AsItIs { request, hide_usage } => {
                let (answer, record) = upstream::ask(client, &request, record, waits).await?;
                if streamed {
                    let passing = Passing::AsItIs { hide_usage };
                    relay::stream(api, answer, request.reader, passing, record, waits.clone())
                } else {
                    relay::whole(api, answer, record, waits).await?
                }
            }
            Way::Translated { request, writer } => {
                let (answer, record) = upstream::ask(client, &request, record, waits).await?;
                if streamed {
                    let passing = Passing::Translated(writer);
                    relay::stream(api, answer, request.reader, passing, record, waits.clone())
                } else {
                    relay::collect(answer, request.reader, &writer, record, waits).await?
                }
            }
        };
        Ok(response.map(|answer| body::holding(answer, place)))
    }

    /// None is the built-in one.
    async fn provider(&self, caller: &Caller) -> Result<Option<Provider>, Failure> {
        let name = caller.model.provider();
        if name.as_str() == Provider::DEMO {
            return Ok(None);
        }
        let directory = &self.shared.directory;
        match directory.provider(caller.org, caller.agent, name.clone()).await {
            Ok(Some(provider)) => Ok(Some(provider)),
            Ok(None) => Err(Failure::new(
                "provider_not_found",
                format!("there is no provider `{name}`: add it with `creel provider add`"),
            )),
            Err(DirectoryError::Refused { code, message }) => Err(Failure::new(code, message)),
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a provider could not be looked up"
                );
                Err(Failure::model("the provider could not be looked up: try again"))
            }
        }
    }
}

/// The models that this caller may name: its own, by both its names. The shape suits the clients of all APIs.
fn models(caller: &Caller) -> Response<Body> {
    let own = caller.model.to_string();
    let entries: Vec<_> = [Caller::DEFAULT_MODEL, own.as_str()]
        .into_iter()
        .map(|id| {
            json!({
                "id": id,
                "object": "model",
                "type": "model",
                "display_name": own,
                "created": 0,
                "created_at": "1970-01-01T00:00:00Z",
                "owned_by": caller.model.provider(),
            })
        })
        .collect();
    let list = json!({
        "object": "list",
        "data": entries,
        "has_more": false,
        "first_id": Caller::DEFAULT_MODEL,
        "last_id": own,
    });
    json_response(StatusCode::OK, &list)
}
