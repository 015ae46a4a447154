//! The gateway's WebSocket: requests with answers, and events for the runs that we know.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{
    SinkExt as _, Stream, StreamExt as _,
    stream::{SplitSink, SplitStream},
};
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    sync::{mpsc, oneshot},
};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{self, Message, protocol::WebSocketConfig},
};
use tokio_util::sync::CancellationToken;

use super::jobs::{Allowed, Known};
use crate::visitors::Visitors;

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// The gateway sends a tick every 30 seconds.
const SILENCE: Duration = Duration::from_secs(100);
/// After it was silent for so long it is asked for a sign of life, and has this long. Whoever was held still together
/// with it for an hour has heard nothing for an hour, and that is no reason to part.
const SIGN_WITHIN: Duration = Duration::from_secs(30);
const MESSAGE_BYTES: usize = 32 << 20;
/// Frames on their way to the gateway.
const OUTGOING: usize = 64;
/// Events of a run that its reader has not taken yet; beyond it the run is given up.
const EVENTS: usize = 4096;
/// Runs that are remembered as none of our business any more.
const PAST: usize = 256;

type Socket = WebSocketStream<TcpStream>;

/// Dropped or closed, it ends every request and every run.
pub(super) struct Link {
    shared: Arc<Shared>,
}

struct Shared {
    outgoing: mpsc::Sender<Message>,
    table: Mutex<Table>,
    visitors: Visitors,
    jobs: Known,
    /// Whether runs of its own are let go on.
    allowed: Allowed,
    closed: CancellationToken,
}

#[derive(Default)]
struct Table {
    next: u64,
    waiting: HashMap<String, oneshot::Sender<Result<Value, Trouble>>>,
    /// Who listens to a session, by its key.
    listeners: HashMap<String, mpsc::Sender<Told>>,
    past: HashSet<String>,
}

/// What OpenClaw told of a run.
pub(super) struct Told {
    pub(super) run: String,
    pub(super) event: String,
    pub(super) payload: Value,
}

impl Told {
    /// Whether the run ends with it.
    pub(super) fn is_last(&self) -> bool {
        self.event == "chat" && is_over(&self.payload)
    }
}

fn is_over(payload: &Value) -> bool {
    matches!(payload["state"].as_str(), Some("final" | "error" | "aborted"))
}

/// What is told of the runs of a session, whoever began them. Ends with the link.
pub(super) struct Listener {
    shared: Arc<Shared>,
    session: String,
    told: mpsc::Receiver<Told>,
    heard: HashSet<String>,
}

impl Listener {
    pub(super) async fn next(&mut self) -> Option<Told> {
        let told = self.told.recv().await?;
        if !self.heard.contains(&told.run) {
            self.heard.insert(told.run.clone());
        }
        Some(told)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut table = self.shared.table();
        table.listeners.remove(&self.session);
        // What these still say is not news.
        for run in self.heard.drain() {
            table.remember(run);
        }
    }
}

/// Why a request came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("OpenClaw ended before it answered")]
    Lost,
    /// It asks to try again.
    #[error("{0}")]
    Later(String),
    #[error("{0}")]
    Refused(String),
}

impl Table {
    fn remember(&mut self, run: String) -> bool {
        if self.past.len() >= PAST {
            self.past.clear();
        }
        self.past.insert(run)
    }
}

impl Shared {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send(
        &self,
        method: &str,
        parameters: Value,
    ) -> Result<oneshot::Receiver<Result<Value, Trouble>>, Trouble> {
        let (tell, answer) = oneshot::channel();
        let id = {
            let mut table = self.table();
            table.next += 1;
            let id = table.next.to_string();
            table.waiting.insert(id.clone(), tell);
            id
        };
        let frame = json!({"type": "req", "id": id, "method": method, "params": parameters});
        let sent = self.outgoing.send(Message::text(frame.to_string())).await;
        sent.map_err(|_| Trouble::Lost)?;
        Ok(answer)
    }

    async fn abort(&self, session: &str, run: &str) -> Result<(), Trouble> {
        let abort = json!({"sessionKey": session, "runId": run});
        self.send("chat.abort", abort).await.map(drop)
    }
}

impl Link {
    /// Connects and signs in. Fails while the gateway is starting.
    pub(super) async fn open(
        port: u16,
        password: &str,
        visitors: Visitors,
        allowed: Allowed,
    ) -> Result<Self, String> {
        let open = async {
            let stream = TcpStream::connect(("127.0.0.1", port))
                .await
                .map_err(|error| error.to_string())?;
            stream.set_nodelay(true).map_err(|error| error.to_string())?;
            let config = WebSocketConfig::default()
                .max_message_size(Some(MESSAGE_BYTES))
                .max_frame_size(Some(MESSAGE_BYTES));
            let url = format!("ws://127.0.0.1:{port}/");
            let (socket, _) = client_async_with_config(url, stream, Some(config))
                .await
                .map_err(|error| error.to_string())?;
            let (to, mut from) = socket.split();
            challenge(&mut from).await?;
            let (outgoing, frames) = mpsc::channel(OUTGOING);
            let shared = Arc::new(Shared {
                outgoing,
                table: Mutex::default(),
                visitors,
                jobs: Known::default(),
                allowed,
                closed: CancellationToken::new(),
            });
            tokio::spawn(write(to, frames, shared.closed.clone()));
            tokio::spawn(read(from, Arc::clone(&shared)));
            let link = Self { shared };
            let connect = json!({
                "minProtocol": 4, "maxProtocol": 4, "role": "operator",
                "client": {"id": "gateway-client", "version": env!("CARGO_PKG_VERSION"), "platform": "linux", "mode": "backend"},
                "scopes": ["operator.read", "operator.write", "operator.admin", "operator.approvals"],
                "caps": ["tool-events"], "auth": {"password": password},
            });
            link.request("connect", connect)
                .await
                .map_err(|trouble| trouble.to_string())?;
            Ok(link)
        };
        tokio::time::timeout(HANDSHAKE_TIMEOUT, open)
            .await
            .map_err(|_| "no answer to the handshake".to_owned())?
    }

    pub(super) async fn request(&self, method: &str, parameters: Value) -> Result<Value, Trouble> {
        let answer = self.shared.send(method, parameters).await?;
        match tokio::time::timeout(ANSWER_TIMEOUT, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Trouble::Lost),
            Err(_) => Err(Trouble::Refused(format!(
                "OpenClaw did not answer {method} in time"
            ))),
        }
    }

    /// Ends a run; nobody waits for the answer, as it may have ended by itself.
    pub(super) async fn abort(&self, session: &str, run: &str) {
        let _ = self.shared.abort(session, run).await;
    }

    /// Listens to a session from now on; one listener at a time.
    pub(super) fn listen(&self, session: String) -> Listener {
        let (tell, told) = mpsc::channel(EVENTS);
        self.shared.table().listeners.insert(session.clone(), tell);
        Listener {
            shared: Arc::clone(&self.shared),
            session,
            told,
            heard: HashSet::new(),
        }
    }

    /// Whether somebody is at OpenClaw's own page.
    pub(super) fn is_visited(&self) -> bool {
        self.shared.visitors.any()
    }

    /// What is known of its own jobs.
    pub(super) fn jobs(&self) -> &Known {
        &self.shared.jobs
    }

    pub(super) fn is_closed(&self) -> bool {
        self.shared.closed.is_cancelled()
    }

    pub(super) async fn closed(&self) {
        self.shared.closed.cancelled().await;
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.shared.closed.cancel();
    }
}

async fn challenge(from: &mut SplitStream<Socket>) -> Result<(), String> {
    loop {
        match from.next().await {
            Some(Ok(Message::Text(text))) => {
                let frame: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
                if frame["event"] == "connect.challenge" {
                    return Ok(());
                }
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            _ => return Err("the gateway hung up".to_owned()),
        }
    }
}

async fn write(
    mut to: SplitSink<Socket, Message>,
    mut frames: mpsc::Receiver<Message>,
    closed: CancellationToken,
) {
    loop {
        let frame = tokio::select! {
            frame = frames.recv() => frame,
            () = closed.cancelled() => None,
        };
        let Some(frame) = frame else { break };
        if to.send(frame).await.is_err() {
            break;
        }
    }
    closed.cancel();
}

async fn read(
    mut from: impl Stream<Item = Result<Message, tungstenite::Error>> + Unpin,
    shared: Arc<Shared>,
) {
    let mut asked = false;
    loop {
        let patience = if asked { SIGN_WITHIN } else { SILENCE };
        let message = tokio::select! {
            message = tokio::time::timeout(patience, from.next()) => message,
            () = shared.closed.cancelled() => break,
        };
        if message.is_err() && !asked {
            asked = true;
            // Full, it is not read either.
            let _ = shared.outgoing.try_send(Message::Ping(Bytes::new()));
            continue;
        }
        asked = false;
        match message {
            Ok(Some(Ok(Message::Text(text)))) => {
                if let Ok(frame) = serde_json::from_str::<Value>(&text) {
                    take(&shared, frame).await;
                }
            }
            Ok(Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Binary(_)))) => {}
            _ => break,
        }
    }
    shared.closed.cancel();
    // Everybody who waits is told by the end of their channel.
    let mut table = shared.table();
    table.waiting.clear();
    table.listeners.clear();
}

async fn take(shared: &Arc<Shared>, mut frame: Value) {
    match frame["type"].as_str() {
        Some("res") => {
            let waiting = frame["id"]
                .as_str()
                .and_then(|id| shared.table().waiting.remove(id));
            if let Some(tell) = waiting {
                let answer = if frame["ok"] == true {
                    Ok(frame["payload"].take())
                } else {
                    Err(trouble(&frame["error"]))
                };
                let _ = tell.send(answer);
            }
        }
        Some("event") => {
            let (event, payload) = (
                frame["event"].as_str().unwrap_or_default().to_owned(),
                frame["payload"].take(),
            );
            if event == "cron" {
                shared.jobs.changed();
            }
            if !matches!(event.as_str(), "chat" | "agent") {
                return;
            }
            let (Some(run), Some(session)) = (payload["runId"].as_str(), payload["sessionKey"].as_str())
            else {
                return;
            };
            let listener = shared.table().listeners.get(session).cloned();
            let Some(listener) = listener else {
                return abort_foreign(shared, session, run, &payload).await;
            };
            let run = run.to_owned();
            // A listener that is this far behind has stopped listening.
            drop(listener.try_send(Told { run, event, payload }));
        }
        _ => {}
    }
}

fn trouble(error: &Value) -> Trouble {
    let message = error["message"].as_str().unwrap_or("it refused");
    let message = message.chars().take(500).collect();
    if error["retryable"] == true {
        Trouble::Later(message)
    } else {
        Trouble::Refused(message)
    }
}

/// A run that nobody asked for: OpenClaw's own idea. Begun while somebody is at its page it is theirs, and stays so
/// when they go.
async fn abort_foreign(shared: &Shared, session: &str, run: &str, payload: &Value) {
    if shared.allowed.now() || is_over(payload) {
        return;
    }
    if shared.table().remember(run.to_owned()) && !shared.visitors.any() {
        let _ = shared.abort(session, run).await;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use tokio::net::TcpListener;
    use tokio_tungstenite::accept_async;

    use super::*;

    /// OpenClaw's side of a link, in the test's hand.
    struct Gateway(Socket);

    impl Gateway {
        /// Takes one connection and what it is told first.
        async fn accept(listener: TcpListener) -> (Self, Value) {
            let (stream, _) = listener.accept().await.expect("a connection");
            let mut gateway = Self(accept_async(stream).await.expect("a handshake"));
            let challenge = json!({"type": "event", "event": "connect.challenge", "payload": {"nonce": "n"}});
            gateway.tell(&challenge).await;
            let connect = gateway.next().await;
            gateway
                .tell(&json!({"type": "res", "id": connect["id"], "ok": true, "payload": {}}))
                .await;
            (gateway, connect)
        }

        async fn tell(&mut self, frame: &Value) {
            let sent = self.0.send(Message::text(frame.to_string())).await;
            sent.expect("the link is there");
        }

        async fn run_shows(&mut self, run: &str) {
            let payload = json!({"runId": run, "sessionKey": "agent:main:main", "state": "delta"});
            self.tell(&json!({"type": "event", "event": "chat", "payload": payload}))
                .await;
        }

        async fn next(&mut self) -> Value {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => serde_json::from_str(&text).expect("JSON"),
                other => panic!("no frame but {other:?}"),
            }
        }
    }

    async fn linked(visitors: &Visitors) -> (Link, Gateway, Value) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (link, (gateway, connect)) = tokio::join!(
            Link::open(port, "the password", visitors.clone(), Allowed::default()),
            Gateway::accept(listener)
        );
        (link.expect("a link"), gateway, connect)
    }

    #[tokio::test]
    async fn it_signs_in_by_password_and_not_as_a_person() {
        let (_link, _gateway, connect) = linked(&Visitors::default()).await;
        assert_eq!(connect["method"], "connect");
        assert_eq!(connect["params"]["auth"], json!({"password": "the password"}));
    }

    #[tokio::test]
    async fn what_begins_without_a_turn_is_ended_unless_somebody_is_at_the_page() {
        let visitors = Visitors::default();
        let (link, mut gateway, _) = linked(&visitors).await;
        let visit = visitors.come();
        gateway.run_shows("theirs").await;
        // An answer that came after an event: the event has been dealt with.
        let (asked, ()) = tokio::join!(link.request("health", json!({})), async {
            let asked = gateway.next().await;
            assert_eq!(asked["method"], "health", "their run is let alone");
            gateway
                .tell(&json!({"type": "res", "id": asked["id"], "ok": true, "payload": {}}))
                .await;
        });
        asked.expect("an answer");
        drop(visit);
        gateway.run_shows("theirs").await;
        gateway.run_shows("its own idea").await;
        let abort = gateway.next().await;
        assert_eq!(abort["method"], "chat.abort");
        assert_eq!(abort["params"]["runId"], "its own idea");
    }

    fn shared() -> (Arc<Shared>, mpsc::Receiver<Message>) {
        let (outgoing, frames) = mpsc::channel(OUTGOING);
        let shared = Shared {
            outgoing,
            table: Mutex::default(),
            visitors: Visitors::default(),
            jobs: Known::default(),
            allowed: Allowed::default(),
            closed: CancellationToken::new(),
        };
        (Arc::new(shared), frames)
    }

    /// To hear nothing for an hour and to be held still for an hour is the same for a clock.
    #[tokio::test(start_paused = true)]
    async fn silence_is_asked_about_before_the_link_is_given_up() {
        let (shared, mut frames) = shared();
        let (gateway, from) = mpsc::channel(1);
        let from = stream::unfold(from, |mut from| async move { Some((from.recv().await?, from)) });
        let reading = tokio::spawn(read(from.boxed(), Arc::clone(&shared)));
        for _ in 0..3 {
            assert!(matches!(frames.recv().await, Some(Message::Ping(_))));
            assert!(!shared.closed.is_cancelled());
            gateway
                .send(Ok(Message::Pong(Bytes::new())))
                .await
                .expect("it is read");
        }
        let began = tokio::time::Instant::now();
        reading.await.expect("it ends");
        assert!(shared.closed.is_cancelled(), "nobody answered at last");
        assert_eq!(began.elapsed(), SILENCE + SIGN_WITHIN);
    }
}
