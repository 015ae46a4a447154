//! An edge with everything around it.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use creel_daemon::{ServeOptions, Shutdown, bind_unix};
use creel_domain::{AgentId, SandboxId};
use creel_edge::{Names, Options, TlsFiles, TrustedProxies};
use creel_protocol::{
    Layout,
    edge::{
        CertificateAnswer, CertificateAsked, Enter, EnterWith, Entered, Hidden, Knock, LeaseEvent,
        NameAnswer, NameAsked, Place, Refused, Shown, Waking,
    },
};
use creel_testkit::FakePorts;
use futures_util::StreamExt as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::watch,
    task::JoinHandle,
};

/// What control says of an agent.
#[derive(Debug, Clone)]
pub(crate) enum Mood {
    Ready(u16),
    Waking,
    Refused(Refused),
    /// Ready for whoever shows something.
    Private(u16),
}

#[derive(Default)]
pub(crate) struct FakeControl {
    moods: Mutex<HashMap<String, watch::Sender<Mood>>>,
    pub(crate) knocks: Mutex<Vec<Knock>>,
    pub(crate) open: AtomicUsize,
    /// Questions about owners' names.
    pub(crate) names: AtomicUsize,
    /// Such questions, and those about certificates, come to nothing.
    pub(crate) names_away: AtomicBool,
    /// Questions about certificates.
    pub(crate) certificates: AtomicUsize,
    /// The one that there is for all names, with its key: PEM.
    pub(crate) certificate: Mutex<String>,
    sandbox: Mutex<Option<SandboxId>>,
}

impl FakeControl {
    pub(crate) fn say(&self, label: &str, mood: Mood) {
        let mut moods = self.moods.lock().expect("no panic");
        match moods.get(label) {
            Some(sender) => drop(sender.send_replace(mood)),
            None => drop(moods.insert(label.to_owned(), watch::Sender::new(mood))),
        }
    }
}

fn refused(status: u16, code: &str) -> Refused {
    Refused {
        status,
        code: code.to_owned(),
        title: code.to_owned(),
        detail: format!("It is {code}."),
        retry_after: None,
    }
}

pub(crate) fn failed() -> Refused {
    refused(502, "agent_failed")
}

pub(crate) fn nowhere() -> Refused {
    refused(421, "unknown_host")
}

struct Open(Arc<FakeControl>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn lease(State(control): State<Arc<FakeControl>>, Json(knock): Json<Knock>) -> Response {
    let mood = control
        .moods
        .lock()
        .expect("no panic")
        .get(&knock.face.label)
        .map(watch::Sender::subscribe);
    let shown = knock.shown.clone();
    let port = knock.face.port;
    control.knocks.lock().expect("no panic").push(knock);
    control.open.fetch_add(1, Ordering::SeqCst);
    let sandbox = control.sandbox.lock().expect("no panic").expect("a sandbox");
    let open = Open(control);
    let state = (mood, true, open);
    let events = futures_util::stream::unfold(Some(state), move |state| {
        let shown = shown.clone();
        async move {
            let (mut mood, first, open) = state?;
            let Some(moods) = &mut mood else {
                return Some((LeaseEvent::Refused(refused(404, "not_found")), None));
            };
            if !first && moods.changed().await.is_err() {
                return None;
            }
            let ready = |behind: u16, private: bool| {
                LeaseEvent::Ready(Place {
                    agent: AgentId::from_uuid(uuid::Uuid::from_u128(1)),
                    name: "scout".to_owned(),
                    sandbox,
                    port: port.unwrap_or(behind),
                    user: private.then(|| "usr_1".to_owned()),
                    private,
                    runtime: false,
                })
            };
            let said = moods.borrow_and_update().clone();
            let event = match said {
                Mood::Ready(behind) => ready(behind, false),
                Mood::Private(_) if shown == Shown::Nothing => {
                    return Some((LeaseEvent::Refused(refused(401, "unauthenticated")), None));
                }
                Mood::Private(behind) => ready(behind, true),
                Mood::Waking => LeaseEvent::Waking(Waking {
                    name: "scout".to_owned(),
                    why: "it is waking up".to_owned(),
                }),
                Mood::Refused(refused) => return Some((LeaseEvent::Refused(refused), None)),
            };
            Some((event, Some((mood, false, open))))
        }
    });
    let lines = events.map(|event: LeaseEvent| {
        let line = serde_json::to_string(&event).expect("JSON") + "\n";
        Ok::<_, std::io::Error>(Bytes::from(line))
    });
    Body::from_stream(lines).into_response()
}

/// Owners' names are those that something was said about.
async fn name(State(control): State<Arc<FakeControl>>, Json(asked): Json<NameAsked>) -> Response {
    control.names.fetch_add(1, Ordering::SeqCst);
    if control.names_away.load(Ordering::SeqCst) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let served = control
        .moods
        .lock()
        .expect("no panic")
        .contains_key(asked.name.as_str());
    Json(NameAnswer { served }).into_response()
}

/// There is one for names that something was said about.
async fn certificate(
    State(control): State<Arc<FakeControl>>,
    Json(asked): Json<CertificateAsked>,
) -> Response {
    control.certificates.fetch_add(1, Ordering::SeqCst);
    if control.names_away.load(Ordering::SeqCst) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let known = control.moods.lock().expect("no panic").contains_key(&asked.name);
    let pem = control.certificate.lock().expect("no panic").clone();
    Json(match known && !asked.challenge {
        true => CertificateAnswer::Ready { pem: Hidden(pem) },
        false => CertificateAnswer::Unknown,
    })
    .into_response()
}

async fn enter(Json(enter): Json<Enter>) -> Response {
    match enter.with {
        EnterWith::Ticket(secret) | EnterWith::Link(secret) if secret.0 == "good" => Json(Entered {
            access: Hidden("access-secret".to_owned()),
            seconds: 60,
        })
        .into_response(),
        _ => (StatusCode::UNAUTHORIZED, Json(refused(401, "unauthenticated"))).into_response(),
    }
}

pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) control: Arc<FakeControl>,
    home: tempfile::TempDir,
    shutdown: Shutdown,
    tasks: Vec<JoinHandle<()>>,
    edge: Option<JoinHandle<Result<(), creel_edge::Error>>>,
    _ports: FakePorts,
}

impl World {
    /// An edge of `creel.test` with agents below `agents.test`, and `platform` in control's place.
    pub(crate) async fn new(platform: Router) -> Self {
        Self::with(platform, None, "").await
    }

    pub(crate) async fn with(platform: Router, tls: Option<TlsFiles>, trusted: &str) -> Self {
        Self::build(platform, tls, false, trusted).await
    }

    /// With certificates that control gives.
    pub(crate) async fn with_certificates(platform: Router) -> Self {
        Self::build(platform, None, true, "").await
    }

    async fn build(platform: Router, tls: Option<TlsFiles>, acme: bool, trusted: &str) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let layout = Layout::new(home.path());
        let sandbox = SandboxId::from_uuid(uuid::Uuid::from_u128(7));
        std::fs::create_dir_all(layout.edge()).expect("made");
        let control = Arc::new(FakeControl::default());
        *control.sandbox.lock().expect("no panic") = Some(sandbox);
        let shutdown = Shutdown::new();
        let mut tasks = Vec::new();
        let asked = Router::new()
            .route("/v1/lease", post(lease))
            .route("/v1/enter", post(enter))
            .route("/v1/name", post(name))
            .route("/v1/certificate", post(certificate))
            .with_state(Arc::clone(&control));
        for (socket, router) in [(layout.edge_socket(), asked), (layout.control_socket(), platform)] {
            let listener = bind_unix(&socket, 0o600, None).expect("a socket");
            let served = creel_daemon::serve(listener, router, ServeOptions::default(), shutdown.clone());
            tasks.push(tokio::spawn(served));
        }
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let scheme = if tls.is_some() || acme { "https" } else { "http" };
        let options = Options {
            layout: layout.clone(),
            listener,
            redirect: None,
            names: Names {
                own: "creel.test".to_owned(),
                own_url: format!("{scheme}://creel.test:{}", address.port()),
                agents: Some("agents.test".to_owned()),
            },
            tls,
            acme,
            trusted: trusted.parse::<TrustedProxies>().expect("networks"),
            shutdown: shutdown.clone(),
        };
        let ports = FakePorts::serve(&layout.inbound(sandbox)).expect("served");
        let edge = tokio::spawn(creel_edge::run(options));
        Self {
            address,
            control,
            home,
            shutdown,
            tasks,
            edge: Some(edge),
            _ports: ports,
        }
    }

    pub(crate) fn layout(&self) -> Layout {
        Layout::new(self.home.path())
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("connected")
    }

    /// Sends bytes as they are and reads until the other side is done.
    pub(crate) async fn raw(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect().await;
        // Whoever is refused early may not take the rest.
        let _ = stream.write_all(bytes.as_ref()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// `GET path` of an agent's host, with further header lines.
    pub(crate) async fn get(&self, host: &str, path: &str, lines: &str) -> String {
        self.raw(format!(
            "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{lines}\r\n"
        ))
        .await
    }

    pub(crate) async fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let waited = async {
            while !holds() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waited)
            .await
            .unwrap_or_else(|_| panic!("never: {what}"));
    }

    pub(crate) async fn end(mut self) {
        self.shutdown.begin();
        if let Some(edge) = self.edge.take() {
            edge.await.expect("no panic").expect("an orderly end");
        }
        for task in self.tasks.drain(..) {
            task.await.expect("no panic");
        }
    }
}

/// A test that fails must not wait for the edge's threads.
impl Drop for World {
    fn drop(&mut self) {
        self.shutdown.begin();
    }
}

/// A server behind, on a port of this host.
pub(crate) async fn behind(router: Router) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move { axum::serve(listener, router).await });
    port
}

/// Where connections are taken and given to a test as they are.
pub(crate) async fn bare() -> (tokio::net::TcpListener, u16) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let port = listener.local_addr().expect("bound").port();
    (listener, port)
}

pub(crate) fn status(answer: &str) -> u16 {
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.unwrap_or_else(|| panic!("no answer: {answer:?}"))
}
