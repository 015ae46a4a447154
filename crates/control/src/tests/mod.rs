//! Stories over the whole of control: the router, the reconciler and the turns, with a real store and fakes
//! at the borders. Time goes by in small steps, each when the store has done what it was given, so that no
//! story takes longer than its work and a slow disk changes none.
//!
//! The store is on SQLite; with `CREEL_TEST_ENGINE=postgres`, on a private PostgreSQL. `script/test` runs both.

mod access_tokens;
mod acme;
mod agents;
mod audit;
mod bad_input;
mod chat;
mod computer;
mod crash;
pub(crate) mod devices;
mod domains;
mod edge;
mod events;
mod limits;
mod operators;
mod orgs;
mod own_jobs;
mod people;
mod planted;
mod platform;
mod providers;
mod rest;
mod schedules;
mod secrets;
mod sign_in;
mod spares;
mod uplink;
mod vault;
mod wall;

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    http::{HeaderMap, Request, StatusCode, header},
};
use creel_api::Agent;
use creel_daemon::{Clock, Shutdown};
use creel_domain::{Deadlines, SandboxId, SparePool};
use creel_protocol::{Layout, Supervisor};
use creel_store::{Address, MasterKey, MasterKeys, Store};
use creel_testkit::{CrashPoints, FakeBridges, FakeSupervisor, PostgresDatabase};
use futures_util::StreamExt;
use http_body_util::BodyExt;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::{task::JoinHandle, time::Instant};
use tower::ServiceExt;

use crate::{Control, Handle, Options, OrgVaults, People, Service, http};

/// What goes by at a time.
const STEP: Duration = Duration::from_millis(50);
/// No story waits longer for anything, by its own clock.
const PATIENCE: Duration = Duration::from_secs(600);

/// A clock that goes with tokio's, which a test can stop, and ahead of it by what a test adds.
pub(crate) struct TestClock {
    began: Instant,
    ahead_s: Arc<AtomicI64>,
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let since = SignedDuration::try_from(self.began.elapsed()).expect("a short test");
        let since = since + SignedDuration::from_secs(self.ahead_s.load(Ordering::SeqCst));
        Timestamp::from_second(1_800_000_000).expect("in range") + since
    }
}

/// For stories in which nobody has set a record.
struct NothingInDns;

impl crate::TxtLookup for NothingInDns {
    fn txt<'l>(&'l self, _name: &'l str) -> crate::TxtRecords<'l> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }
}

/// A control that runs.
struct Running {
    control: Arc<Control>,
    handle: Handle,
    router: Router,
    shutdown: Shutdown,
    task: JoinHandle<Result<(), crate::service::Error>>,
}

/// Everything around a control, which outlives it.
pub(crate) struct World {
    home: tempfile::TempDir,
    store: Store,
    /// None: on SQLite, in the layout's directory.
    database: Option<PostgresDatabase>,
    vaults: Arc<OrgVaults>,
    clock: Arc<dyn Clock>,
    ahead_s: Arc<AtomicI64>,
    pub(crate) supervisor: FakeSupervisor,
    pub(crate) bridges: FakeBridges,
    pub(crate) points: CrashPoints,
    running: Option<Running>,
    /// For the next start.
    pub(crate) people: People,
    pub(crate) issuers: Vec<crate::JwtIssuer>,
    pub(crate) token: String,
    /// How often callers may ask, from the next start on.
    pub(crate) rates: Option<creel_domain::Rates>,
    /// What stands in DNS, from the next start on.
    pub(crate) dns: Arc<dyn crate::TxtLookup>,
    /// How many sandboxes are kept ready, from the next start on.
    pub(crate) spares: SparePool,
    /// Where certificates come from, from the next start on.
    pub(crate) acme: Option<crate::AcmeSettings>,
    /// While it is open, tokio's own idea of when time may go by is overruled.
    _time: Option<std::sync::mpsc::Sender<()>>,
}

/// Stops time until what it gives back is dropped: an engine at work would else look like nothing to do.
fn stop_time() -> std::sync::mpsc::Sender<()> {
    tokio::time::pause();
    let (open, closed) = std::sync::mpsc::channel::<()>();
    // A runtime with a blocking task at work does not jump to its next timer.
    tokio::task::spawn_blocking(move || closed.recv());
    open
}

/// Lets stopped time go by whenever the store has nothing left to do.
fn let_time_go_by(store: Store) {
    tokio::spawn(async move {
        loop {
            // Writes are done in order: this one comes after whatever was asked for before it.
            let _ = store.platform().end_browser_session([0; 32]).await;
            let _ = store.platform().by_token([0; 32]).await;
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            tokio::time::advance(STEP).await;
        }
    });
}

impl World {
    /// A new installation, with its control running.
    pub(crate) async fn new() -> Self {
        let stopped = stop_time();
        let mut world = Self::in_real_time().await;
        let_time_go_by(world.store.clone());
        world._time = Some(stopped);
        world
    }

    /// The same, for stories with real sockets.
    pub(crate) async fn in_real_time() -> Self {
        Self::with_keys(MasterKey::from_bytes([7; 32]).into()).await
    }

    /// The same, with other master keys than most stories have.
    pub(crate) async fn with_keys(keys: MasterKeys) -> Self {
        let mut world = Self::quiet(keys).await;
        world.start().await;
        world.token = world
            .handle()
            .owner_token(None)
            .await
            .expect("a token")
            .expect("a new one");
        world
    }

    /// A new installation that nobody has started yet.
    async fn quiet(keys: MasterKeys) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let ahead_s = Arc::<AtomicI64>::default();
        let clock: Arc<dyn Clock> = Arc::new(TestClock {
            began: Instant::now(),
            ahead_s: Arc::clone(&ahead_s),
        });
        let vaults = Arc::new(OrgVaults::new(true).expect("a client"));
        let keys = keys.own_keys(Arc::clone(&vaults) as _);
        let mut database = None;
        let store = match std::env::var("CREEL_TEST_ENGINE").as_deref() {
            Ok("postgres") => {
                database = Some(PostgresDatabase::fresh());
                let address = database
                    .as_ref()
                    .map(PostgresDatabase::address)
                    .unwrap_or_default();
                let address = Address::parse(&address).expect("an address");
                Store::connect(address, keys, Arc::clone(&clock)).await
            }
            Ok("sqlite") | Err(_) => {
                Store::open(&home.path().join("creel.db"), keys, Arc::clone(&clock)).await
            }
            Ok(other) => panic!("CREEL_TEST_ENGINE is `{other}`: sqlite and postgres are"),
        };
        let store = store.expect("a store");
        let points = CrashPoints::default();
        let now = Arc::clone(&clock);
        let supervisor = FakeSupervisor::with_points(move || now.now(), points.clone());
        let bridges = FakeBridges::new(supervisor.clone(), points.clone());
        Self {
            home,
            store,
            database,
            vaults,
            clock,
            ahead_s,
            supervisor,
            bridges,
            points,
            running: None,
            people: People::default(),
            issuers: Vec::new(),
            token: String::new(),
            rates: None,
            dns: Arc::new(NothingInDns),
            spares: SparePool::default(),
            acme: None,
            _time: None,
        }
    }

    pub(crate) async fn start(&mut self) {
        let shutdown = Shutdown::new();
        let socket = |name: &str| {
            creel_daemon::bind_unix(&self.home.path().join(name), 0o600, None).expect("a socket")
        };
        let service = Service::new(Options {
            layout: self.layout(),
            listener: socket("control.sock"),
            edge: socket("edge.sock"),
            address: ([127, 0, 0, 1], 7300).into(),
            store: self.store.clone(),
            supervisor: Arc::new(self.supervisor.clone()) as Arc<dyn Supervisor>,
            bridges: Arc::new(self.bridges.clone()),
            clock: Arc::clone(&self.clock),
            deadlines: Deadlines::default(),
            people: self.people.clone(),
            shutdown: shutdown.clone(),
            jwt_issuers: self.issuers.clone(),
            rates: self.rates,
            vaults: Arc::clone(&self.vaults),
            audit_retention_days: Some(400),
            dns: Arc::clone(&self.dns),
            spares: self.spares,
            acme: self.acme.clone(),
        })
        .await
        .expect("a service");
        let handle = service.handle();
        let control = handle.control();
        self.running = Some(Running {
            router: http::router(Arc::clone(&control)),
            handle,
            control,
            shutdown,
            task: tokio::spawn(service.run()),
        });
    }

    /// Ends the control in the middle of whatever it does.
    pub(crate) async fn kill(&mut self) {
        let Some(running) = self.running.take() else {
            return;
        };
        running.task.abort();
        running.shutdown.begin();
        let _ = running.task.await;
        running.control.turns.drain().await;
    }

    /// The clock jumps.
    pub(crate) fn jump(&self, by: SignedDuration) {
        self.ahead_s.fetch_add(by.as_secs(), Ordering::SeqCst);
    }

    pub(crate) fn layout(&self) -> Layout {
        Layout::new(self.home.path())
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("a running control")
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.running().handle
    }

    /// A request as it is, without the token.
    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        let response = self
            .running()
            .router
            .clone()
            .oneshot(request)
            .await
            .expect("an answer");
        let (parts, body) = response.into_parts();
        Reply {
            status: parts.status,
            headers: parts.headers,
            body: Some(body),
        }
    }

    /// A request with the token and further headers.
    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Reply {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(body.into()).expect("a request")).await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, &[], Body::empty()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.ask("DELETE", path, &[], Body::empty()).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Reply {
        self.ask(
            "POST",
            path,
            &[("content-type", "application/json")],
            body.to_string(),
        )
        .await
    }

    /// As somebody else, or with an empty token as nobody.
    pub(crate) async fn post_as(&self, token: &str, path: &str, body: Value) -> Reply {
        let mut request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
        if !token.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        self.send(request.body(Body::from(body.to_string())).expect("a request"))
            .await
    }

    pub(crate) async fn create(&self, name: &str) -> Agent {
        let reply = self
            .post("/v1/agents", json!({"name": name, "runtime": "lite"}))
            .await;
        let value = reply.expect(201).await;
        serde_json::from_value(value).expect("an agent")
    }

    /// An agent that runs, and its sandbox.
    pub(crate) async fn running_agent(&self, name: &str) -> (Agent, SandboxId) {
        let agent = self.create(name).await;
        self.until(name, "running").await;
        (agent, self.sandbox(name).await)
    }

    pub(crate) async fn sandbox(&self, name: &str) -> SandboxId {
        let agents = self.store.platform().all_agents().await.expect("agents");
        let agent = agents.iter().find(|agent| agent.name.as_str() == name);
        agent.expect("the agent").sandbox
    }

    /// Waits until an agent stands where it should.
    pub(crate) async fn until(&self, name: &str, state: &str) {
        wait(&format!("agent {name} to be {state}"), || async {
            let reply = self.get(&format!("/v1/agents/{name}")).await;
            let status = reply.json().await["status"].clone();
            (status["state"] == state, status.to_string())
        })
        .await;
    }

    /// Waits until an agent is gone, from the store and from the host.
    pub(crate) async fn until_gone(&self) {
        wait("everything to be gone", || async {
            let agents = self.store.platform().all_agents().await.expect("agents");
            let sandboxes = self.supervisor.reports();
            let gone = agents.is_empty() && sandboxes.is_empty();
            (gone, format!("{agents:?} {sandboxes:?}"))
        })
        .await;
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(running) = &self.running {
            running.shutdown.begin();
            running.task.abort();
        }
    }
}

/// Looks again and again until it is so; the last that was seen is in the failure.
pub(crate) async fn wait<F: Future<Output = (bool, String)>>(what: &str, mut look: impl FnMut() -> F) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (so, seen) = look().await;
        if so {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "waited in vain for {what}; last seen: {seen}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// An answer, its body not read yet.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    body: Option<Body>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    pub(crate) async fn bytes(mut self) -> Bytes {
        let body = self.body.take().expect("read once");
        body.collect().await.expect("a whole body").to_bytes()
    }

    pub(crate) async fn text(self) -> String {
        String::from_utf8(self.bytes().await.to_vec()).expect("text")
    }

    pub(crate) async fn json(self) -> Value {
        let bytes = self.bytes().await;
        serde_json::from_slice(&bytes).unwrap_or(Value::Null)
    }

    /// The JSON of an answer with this status.
    pub(crate) async fn expect(self, status: u16) -> Value {
        let found = self.status;
        let json = self.json().await;
        assert_eq!(found.as_u16(), status, "{json}");
        json
    }

    /// The sentence of a problem with this code, which must be one in form as well.
    pub(crate) async fn problem(self, code: &str) -> String {
        let kind = self.header("content-type").to_owned();
        let id = self.header("x-request-id").to_owned();
        let status = self.status;
        let json = self.json().await;
        assert_eq!(
            (json["code"].as_str(), kind.as_str()),
            (Some(code), "application/problem+json"),
            "{status} {json}"
        );
        assert_eq!(json["status"], status.as_u16(), "{json}");
        assert_eq!(json["type"], format!("/docs/errors/{code}"), "{json}");
        assert_eq!(json["request_id"], id, "{json}");
        let detail = json["detail"].as_str().unwrap_or_default();
        assert!(detail.ends_with('.'), "a sentence: {detail}");
        detail.to_owned()
    }

    /// The events of a stream, as they come.
    pub(crate) fn events(mut self) -> Events {
        assert_eq!(self.header("content-type"), "text/event-stream");
        Events {
            body: self.body.take().expect("read once").into_data_stream(),
            rest: String::new(),
        }
    }
}

/// A stream of server-sent events, read with a parser of the test's own.
pub(crate) struct Events {
    body: axum::body::BodyDataStream,
    rest: String,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) data: Value,
}

impl Events {
    /// The next event; none at the end. Comments are skipped.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            while let Some((block, rest)) = self.rest.split_once("\n\n") {
                let field = |name: &str| {
                    block
                        .lines()
                        .find_map(|line| line.strip_prefix(name))
                        .map(str::trim)
                };
                let event = field("data:").map(|data| Event {
                    id: field("id:").and_then(|id| id.parse().ok()).unwrap_or_default(),
                    name: field("event:").unwrap_or_default().to_owned(),
                    data: serde_json::from_str(data).expect("JSON"),
                });
                self.rest = rest.to_owned();
                if event.is_some() {
                    return event;
                }
            }
            let piece = self.body.next().await?.expect("an unbroken stream");
            self.rest.push_str(std::str::from_utf8(&piece).expect("text"));
        }
    }

    pub(crate) async fn all(mut self) -> Vec<Event> {
        let mut all = Vec::new();
        while let Some(event) = self.next().await {
            all.push(event);
        }
        all
    }
}

/// `1 started, 2 text "You", …`: what a reader of a turn was told.
pub(crate) fn told(events: &[Event]) -> String {
    let told = |event: &Event| match event.name.as_str() {
        "text" => format!("{} text {}", event.id, event.data["delta"]),
        "done" => format!("{} done {}", event.id, event.data["text"]),
        "failed" => format!("{} failed {}", event.id, event.data["code"]),
        name => format!("{} {name}", event.id),
    };
    events.iter().map(told).collect::<Vec<_>>().join(", ")
}
