//! Model calls from a sandbox's side, over real sockets, against a provider that can be made to fail.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use creel_domain::{AgentId, CallId, MicroUsd, Name, OrgId, ProviderKind, SandboxId};
use creel_models::{
    BaseUrl, CallEnd, CallStart, Caller, Directory, DirectoryError, Key, Ledger, Models, Outcome, Provider,
    Refusal, Usage, limits::Waits,
};
use creel_testkit::{FakeProvider, REPORTED};
use futures_util::future::BoxFuture;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use uuid::Uuid;

struct One(Provider);

impl Directory for One {
    fn provider(&self, _: OrgId, name: Name) -> BoxFuture<'_, Result<Option<Provider>, DirectoryError>> {
        Box::pin(async move { Ok((name == self.0.name).then(|| self.0.clone())) })
    }
}

struct Book {
    open: Mutex<Vec<CallId>>,
    ended: mpsc::UnboundedSender<CallEnd>,
    refuse: bool,
}

impl Ledger for Book {
    fn begin(&self, start: CallStart) -> BoxFuture<'_, Result<(), Refusal>> {
        Box::pin(async move {
            if self.refuse {
                return Err(Refusal {
                    code: "no_turn",
                    message: "no turn is under way".to_owned(),
                });
            }
            self.open.lock().expect("not poisoned").push(start.call);
            Ok(())
        })
    }

    fn finish(&self, call: CallId, end: CallEnd) {
        let mut open = self.open.lock().expect("not poisoned");
        let place = open
            .iter()
            .position(|open| *open == call)
            .expect("closed once, after it was opened");
        open.remove(place);
        self.ended.send(end).expect("the test listens");
    }
}

struct World {
    fake: FakeProvider,
    models: Models,
    caller: Caller,
    ended: mpsc::UnboundedReceiver<CallEnd>,
}

async fn world(model: &str, refuse: bool) -> World {
    let fake = FakeProvider::start().await.expect("a fake provider");
    let kind = ProviderKind::OpenaiCompatible;
    let provider = Provider {
        id: None,
        name: "fake".parse().expect("a name"),
        kind,
        base_url: BaseUrl::parse(kind, Some(&fake.base_url())).expect("an address"),
        key: Some(Key::new("sk-planted".to_owned()).expect("a key")),
    };
    let (sender, ended) = mpsc::unbounded_channel();
    let book = Book {
        open: Mutex::default(),
        ended: sender,
        refuse,
    };
    let short = Duration::from_millis(300);
    let waits = Waits {
        idle: short,
        retry: Duration::from_millis(1),
        demo_word: Duration::ZERO,
        ..Waits::default()
    };
    let models = Models::with_waits(Arc::new(One(provider)), Arc::new(book), waits).expect("a client");
    let id = Uuid::from_u128(1);
    let caller = Caller {
        org: OrgId::from_uuid(id),
        agent: AgentId::from_uuid(id),
        sandbox: SandboxId::from_uuid(id),
        model: model.parse().expect("a model"),
    };
    World {
        fake,
        models,
        caller,
        ended,
    }
}

fn request(text: &str, stream: bool, model: &str) -> Request<Full<Bytes>> {
    let body = json!({"model": model, "stream": stream, "unknown_field": 7,
        "messages": [{"role": "user", "content": text}]});
    Request::post("/v1/chat/completions")
        .body(Full::from(body.to_string()))
        .expect("a request")
}

impl World {
    async fn ask(&mut self, text: &str, stream: bool) -> (StatusCode, String, CallEnd) {
        let answer = self
            .models
            .serve(self.caller.clone(), request(text, stream, "default"))
            .await;
        let status = answer.status();
        let body = answer.into_body().collect().await.expect("infallible").to_bytes();
        let end = self
            .ended
            .try_recv()
            .expect("the call is closed before its answer ends");
        (status, String::from_utf8_lossy(&body).into_owned(), end)
    }
}

#[tokio::test]
async fn usage_is_what_the_provider_reported_streamed_and_whole() {
    let mut world = world("fake/m1", false).await;
    let (input, cached_input, output) = REPORTED;
    let (status, body, end) = world.ask("hello", true).await;
    assert_eq!((status, end.outcome), (StatusCode::OK, Outcome::Completed));
    assert_eq!(
        end.usage,
        Some(Usage {
            input,
            cached_input,
            cache_write: 0,
            output
        })
    );
    assert_eq!(
        end.cost, None,
        "an unknown model has no price, which is not a price of zero"
    );
    assert!(body.ends_with("data: [DONE]\n\n"), "{body}");
    let heard = &world.fake.heard()[0];
    assert_eq!(heard.authorization.as_deref(), Some("Bearer sk-planted"));
    assert_eq!(heard.body["model"], "m1");
    assert_eq!(heard.body["unknown_field"], 7, "fields that we do not know pass");
    assert!(!body.contains("sk-planted"));
}

#[tokio::test]
async fn half_an_event_never_reaches_the_sandbox() {
    let mut world = world("fake/m1", false).await;
    let (status, body, end) = world.ask("@half", true).await;
    assert_eq!(
        (status, end.outcome, end.usage),
        (StatusCode::OK, Outcome::CutOff, None)
    );
    let last: Value = body
        .trim()
        .rsplit("\n\n")
        .next()
        .and_then(|event| serde_json::from_str(event.strip_prefix("data: ")?).ok())
        .expect("the last event is whole JSON");
    assert_eq!(last["error"]["code"], "model_failed");
}

#[tokio::test]
async fn silence_ends_the_call() {
    let mut world = world("fake/m1", false).await;
    let (_, body, end) = world.ask("@hang", true).await;
    assert_eq!(end.outcome, Outcome::TimedOut);
    assert!(body.contains("fell silent"), "{body}");
}

#[tokio::test]
async fn refusals_of_the_provider_become_400() {
    for (status, code, attempts) in [
        (401, "model_key_refused", 1),
        (402, "model_billing", 1),
        (404, "model_refused", 1),
        (503, "model_failed", 3),
    ] {
        let mut world = world("fake/m1", false).await;
        let (seen, body, end) = world.ask(&format!("@status {status}"), true).await;
        assert_eq!(seen, StatusCode::BAD_REQUEST);
        assert!(body.contains(code), "{status}: {body}");
        assert_eq!(
            (end.outcome, end.attempts),
            (Outcome::UpstreamError { status }, attempts)
        );
    }
}

#[tokio::test]
async fn a_sandbox_that_hangs_up_ends_the_call() {
    let mut world = world("fake/m1", false).await;
    let answer = world
        .models
        .serve(world.caller.clone(), request("@slow 1000", true, "default"))
        .await;
    let mut body = answer.into_body();
    body.frame().await.expect("a first piece").expect("infallible");
    drop(body);
    let end = world.ended.recv().await.expect("closed");
    assert_eq!((end.outcome, end.usage), (Outcome::ClientGone, None));
}

#[tokio::test]
async fn nothing_is_sent_when_the_ledger_refuses() {
    let world = world("fake/m1", true).await;
    let answer = world
        .models
        .serve(world.caller.clone(), request("hello", true, "default"))
        .await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert!(world.fake.heard().is_empty());
}

#[tokio::test]
async fn only_its_own_model_and_only_good_requests() {
    let world = world("fake/m1", false).await;
    let ask = async |body: &'static str| {
        let request = Request::post("/v1/chat/completions")
            .body(Full::from(body))
            .expect("a request");
        let answer = world.models.serve(world.caller.clone(), request).await;
        let status = answer.status();
        (
            status,
            String::from_utf8_lossy(&answer.into_body().collect().await.expect("infallible").to_bytes())
                .into_owned(),
        )
    };
    for (body, code) in [
        (r#"{"model":"fake/other","messages":[]}"#, "model_not_allowed"),
        (r#"{"messages":[]}"#, "invalid_request"),
        (r#"{"model":7}"#, "invalid_request"),
        (r#"["#, "invalid_request"),
    ] {
        let (status, text) = ask(body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(text.contains(code), "{body}: {text}");
    }
    assert!(world.fake.heard().is_empty());
}

#[tokio::test]
async fn the_demo_answers_without_a_provider_and_costs_nothing() {
    let mut world = world("demo/demo", false).await;
    let (status, body, end) = world.ask("hello there", true).await;
    assert_eq!(
        (status, end.outcome, end.cost),
        (StatusCode::OK, Outcome::Completed, Some(MicroUsd(0)))
    );
    assert!(end.usage.is_some_and(|usage| usage.input > 0 && usage.output > 0));
    assert!(body.contains("demo"), "{body}");
    assert!(world.fake.heard().is_empty());
}
