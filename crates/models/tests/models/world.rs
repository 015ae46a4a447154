//! A sandbox, a model endpoint, a provider and a ledger that checks itself.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use creel_domain::{AgentId, CallId, Name, OrgId, ProviderId, ProviderKind, SandboxId};
use creel_models::{
    Api, BaseUrl, Body, CallEnd, CallStart, Caller, Directory, DirectoryError, Key, Ledger, Models, Provider,
    Refusal, Usage, limits::Waits,
};
use creel_testkit::{FakeProvider, REPORTED};
use futures_util::future::BoxFuture;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::Value;
use tokio::sync::mpsc;
use uuid::Uuid;

pub(crate) const KEY: &str = "sk-planted";

struct One(Provider);

impl Directory for One {
    fn provider(
        &self,
        _: OrgId,
        _: AgentId,
        name: Name,
    ) -> BoxFuture<'_, Result<Option<Provider>, DirectoryError>> {
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
        // A test that looks no further has let go of its end.
        let _ = self.ended.send(end);
    }
}

pub(crate) struct World {
    pub(crate) fake: FakeProvider,
    pub(crate) models: Models,
    pub(crate) caller: Caller,
    pub(crate) ended: mpsc::UnboundedReceiver<CallEnd>,
}

/// What the sandbox got, and what the ledger has.
pub(crate) struct Got {
    pub(crate) status: StatusCode,
    pub(crate) text: String,
    pub(crate) end: CallEnd,
}

/// What every call of the fake means, in one meaning for all formats.
pub(crate) fn reported() -> Option<Usage> {
    let (input, cached_input, output) = REPORTED;
    Some(Usage {
        input,
        cached_input,
        cache_write: 0,
        output,
    })
}

/// Long enough for a busy machine; retries come at once.
pub(crate) fn waits() -> Waits {
    Waits {
        retry: Duration::from_millis(1),
        demo_word: Duration::ZERO,
        ..Waits::default()
    }
}

/// For tests in which a wait runs out.
pub(crate) fn short_waits() -> Waits {
    Waits {
        idle: Duration::from_millis(300),
        first_byte: Duration::from_millis(300),
        whole_answer: Duration::from_millis(300),
        ..waits()
    }
}

impl World {
    pub(crate) async fn new(kind: ProviderKind) -> Self {
        Self::with(kind, waits(), false).await
    }

    pub(crate) async fn with(kind: ProviderKind, waits: Waits, refuse: bool) -> Self {
        let fake = FakeProvider::start().await.expect("a fake provider");
        let model = if kind == ProviderKind::Demo {
            "demo/demo"
        } else {
            "fake/m1"
        };
        let id = Uuid::from_u128(1);
        let kind = if kind == ProviderKind::Demo {
            ProviderKind::OpenaiCompatible
        } else {
            kind
        };
        let provider = Provider {
            id: Some(ProviderId::from_uuid(id)),
            name: "fake".parse().expect("a name"),
            kind,
            base_url: BaseUrl::parse(kind, Some(&fake.origin())).expect("an address"),
            key: Some(Key::new(KEY.to_owned()).expect("a key")),
            key_of: None,
        };
        let (sender, ended) = mpsc::unbounded_channel();
        let book = Book {
            open: Mutex::default(),
            ended: sender,
            refuse,
        };
        let caller = Caller {
            org: OrgId::from_uuid(id),
            agent: AgentId::from_uuid(id),
            sandbox: SandboxId::from_uuid(id),
            model: model.parse().expect("a model"),
        };
        Self {
            models: Models::with_waits(Arc::new(One(provider)), Arc::new(book), waits).expect("a client"),
            fake,
            caller,
            ended,
        }
    }

    /// Sends, and gives back the answer with its body unread.
    pub(crate) async fn send(&self, path: &str, body: impl Into<Bytes>) -> Response<Body> {
        let request = Request::post(path)
            .body(Full::new(body.into()))
            .expect("a request");
        self.models.serve(self.caller.clone(), request).await
    }

    /// A request that is refused before it is a call.
    pub(crate) async fn refused(&mut self, path: &str, body: impl Into<Bytes>) -> (StatusCode, Value) {
        let answer = self.send(path, body).await;
        let status = answer.status();
        let text = read(answer).await;
        assert!(self.ended.try_recv().is_err(), "no call was begun");
        (status, serde_json::from_str(&text).expect("an error is JSON"))
    }

    /// A whole call. Its record must be closed when the answer has been read.
    pub(crate) async fn ask(&mut self, api: Api, body: &Value) -> Got {
        let answer = self.send(api.path(), body.to_string()).await;
        let status = answer.status();
        let text = read(answer).await;
        assert!(!text.contains(KEY), "the key is in the answer: {text}");
        let end = self
            .ended
            .try_recv()
            .expect("the call is closed before its answer ends");
        assert!(self.ended.try_recv().is_err(), "one call, one end");
        Got { status, text, end }
    }

    /// The end of a call that the test hung up on.
    pub(crate) async fn next_end(&mut self) -> CallEnd {
        tokio::time::timeout(Duration::from_secs(10), self.ended.recv())
            .await
            .expect("the call is closed soon")
            .expect("the ledger lives")
    }

    /// Waits until the fake has lost so many callers.
    pub(crate) async fn fake_lost(&self, callers: usize) {
        let lost = async {
            while self.fake.left() < callers {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), lost)
            .await
            .unwrap_or_else(|_| panic!("the provider still has its caller: {} left", self.fake.left()));
    }
}

pub(crate) async fn read(answer: Response<Body>) -> String {
    let body = answer.into_body().collect().await.expect("infallible").to_bytes();
    String::from_utf8(body.to_vec()).expect("UTF-8")
}
