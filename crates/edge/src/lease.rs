//! Leases: control's word that somebody may come to an agent, and the agent's that it is awake. One for all requests
//! of the same caller, for as long as there are any.

use std::{
    collections::HashMap,
    io,
    net::IpAddr,
    path::PathBuf,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Buf as _, Bytes, BytesMut};
use creel_domain::DomainName;
use creel_protocol::edge::{
    ALIVE_EVERY, CertificateAnswer, CertificateAsked, ChallengeAnswer, ChallengeAsked, Enter, Entered, Face,
    Hidden, Knock, LINE_BYTES, LeaseEvent, NameAnswer, NameAsked, Place, Refused, Shown, Waking,
};
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{
    net::UnixStream,
    sync::{Notify, watch},
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::refusal::Refusal;

/// Leases altogether.
pub(crate) const LEASES: usize = 20_000;
/// Requests of one lease that wait until its agent is awake.
pub(crate) const WAITING: usize = 128;
/// For an agent to become ready, however often control is started again meanwhile.
const READY_WITHIN: Duration = Duration::from_secs(150);
/// A lease that nobody uses is kept for so long: the next request is often near.
const LINGER: Duration = Duration::from_secs(2);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// For an answer to a question that is no lease.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// The longest such answer: a chain of certificates with its key.
const ANSWER_BYTES: usize = 64 * 1024;
/// Requests a second of one lease, and how many may come at once.
const RATE: u32 = 1000;
const BURST: u32 = 2000;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    face: Face,
    shown: Shown,
}

#[derive(Debug, Clone)]
enum State {
    Waking(Option<Waking>),
    Ready(Arc<Place>),
    Over(Refusal),
}

#[derive(Debug)]
struct Lease {
    key: Key,
    state: watch::Sender<State>,
    /// Requests that use it, waiting ones included.
    users: AtomicUsize,
    waiting: AtomicUsize,
    released: Notify,
    /// Its agent was put to sleep.
    rests: Notify,
    /// Whoever uses it must stop.
    over: CancellationToken,
    allowance: Mutex<Allowance>,
}

/// All leases of an edge.
#[derive(Debug)]
pub(crate) struct Leases {
    socket: PathBuf,
    all: Mutex<HashMap<Key, Arc<Lease>>>,
}

/// One request's part in a lease.
#[derive(Debug)]
pub(crate) struct Held {
    lease: Arc<Lease>,
    over: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.lease.users.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.lease.released.notify_one();
        }
    }
}

/// What came of waiting for an agent.
pub(crate) enum Outcome {
    Ready(Arc<Place>),
    /// It takes longer than a person should look at nothing.
    StillWaking(Waking),
    Refused(Refusal),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Leases {
    pub(crate) fn new(socket: PathBuf) -> Arc<Self> {
        Arc::new(Self {
            socket,
            all: Mutex::default(),
        })
    }

    /// The lease for this caller at this face; a new one is asked for at once.
    pub(crate) fn hold(self: &Arc<Self>, face: Face, shown: Shown, address: IpAddr) -> Result<Held, Refusal> {
        let key = Key { face, shown };
        let mut all = lock(&self.all);
        let there = all.get(&key).filter(|lease| !lease.over.is_cancelled()).cloned();
        let lease = match there {
            Some(lease) => lease,
            None if all.len() >= LEASES => return Err(Refusal::too_many_wait()),
            None => {
                let lease = Arc::new(Lease {
                    key: key.clone(),
                    state: watch::Sender::new(State::Waking(None)),
                    users: AtomicUsize::new(0),
                    waiting: AtomicUsize::new(0),
                    released: Notify::new(),
                    rests: Notify::new(),
                    over: CancellationToken::new(),
                    allowance: Mutex::new(Allowance::of(RATE, BURST)),
                });
                all.insert(key, Arc::clone(&lease));
                tokio::spawn(Arc::clone(self).keep(Arc::clone(&lease), address));
                lease
            }
        };
        // Counted before the lock goes: it does not end in between.
        lease.users.fetch_add(1, Ordering::AcqRel);
        drop(all);
        let over = Box::pin(lease.over.clone().cancelled_owned());
        Ok(Held { lease, over })
    }

    /// Keeps a lease open for as long as anybody uses it.
    async fn keep(self: Arc<Self>, lease: Arc<Lease>, address: IpAddr) {
        let mut pause = FIRST_PAUSE;
        loop {
            let began = Instant::now();
            let end = tokio::select! {
                end = self.live(&lease, address) => end,
                () = unused(&lease) => Err(()),
            };
            if let Ok(End::Over(refusal)) = &end {
                self.forget(&lease);
                lease.state.send_replace(State::Over(refusal.clone()));
                lease.over.cancel();
                return;
            }
            // Nobody uses it, or control went away. Whoever comes meanwhile keeps it.
            if self.forget_if_unused(&lease) {
                return;
            }
            if end.is_ok() {
                lease.state.send_replace(State::Waking(None));
                if began.elapsed() > LONGEST_PAUSE {
                    pause = FIRST_PAUSE;
                }
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }

    /// One life of a lease.
    async fn live(&self, lease: &Lease, address: IpAddr) -> Result<End, ()> {
        let knock = Knock {
            face: lease.key.face.clone(),
            shown: lease.key.shown.clone(),
            address,
        };
        match self.listen(lease, &knock).await {
            Ok(end) => Ok(end),
            Err(error) => {
                tracing::debug!(%error, "a lease was lost");
                Ok(End::Lost)
            }
        }
    }

    async fn listen(&self, lease: &Lease, knock: &Knock) -> io::Result<End> {
        let (mut body, _connection) = self.ask("/v1/lease", knock, ANSWER_WITHIN).await?;
        if body.0 != StatusCode::OK {
            return Err(io::Error::other(format!("control answers {}", body.0)));
        }
        let mut lines = BytesMut::new();
        loop {
            let frame = timeout(ALIVE_EVERY * 3, body.1.frame()).await;
            let frame = frame.map_err(|_| io::Error::other("control says nothing"))?;
            let Some(frame) = frame else { return Ok(End::Lost) };
            if let Ok(data) = frame.map_err(io::Error::other)?.into_data() {
                lines.extend_from_slice(&data);
            }
            while let Some(end) = lines.iter().position(|byte| *byte == b'\n') {
                let event = serde_json::from_slice(&lines[..end])?;
                lines.advance(end + 1);
                match event {
                    LeaseEvent::Alive => {}
                    LeaseEvent::Rests => lease.rests.notify_one(),
                    LeaseEvent::Waking(waking) => {
                        lease.state.send_replace(State::Waking(Some(waking)));
                    }
                    LeaseEvent::Ready(place) => {
                        lease.state.send_replace(State::Ready(Arc::new(place)));
                    }
                    LeaseEvent::Refused(refused) => return Ok(End::Over(refused.into())),
                    LeaseEvent::Ended { why } => {
                        tracing::debug!(why, "a lease ended");
                        return Ok(End::Over(Refusal::not_ready().after(1)));
                    }
                }
            }
            if lines.len() > LINE_BYTES {
                return Err(io::Error::other("a line without an end"));
            }
        }
    }

    fn forget(&self, lease: &Arc<Lease>) {
        let mut all = lock(&self.all);
        if all.get(&lease.key).is_some_and(|there| Arc::ptr_eq(there, lease)) {
            all.remove(&lease.key);
        }
    }

    fn forget_if_unused(&self, lease: &Arc<Lease>) -> bool {
        let mut all = lock(&self.all);
        let unused = lease.users.load(Ordering::Acquire) == 0;
        if unused && all.get(&lease.key).is_some_and(|there| Arc::ptr_eq(there, lease)) {
            all.remove(&lease.key);
        }
        unused
    }

    async fn ask(
        &self,
        path: &str,
        question: &impl serde::Serialize,
        within: Duration,
    ) -> io::Result<((StatusCode, Incoming), Connection)> {
        let stream = UnixStream::connect(&self.socket).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        let connection = Connection(tokio::spawn(async move {
            // Whatever breaks it is seen by whoever reads the answer.
            let _ = connection.await;
        }));
        let request = Request::post(path)
            .header(header::HOST, "control")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(serde_json::to_vec(question)?)))
            .map_err(io::Error::other)?;
        let answer = timeout(within, sender.send_request(request)).await;
        let answer = answer.map_err(|_| io::Error::other("control does not answer"))?;
        let (head, body) = answer.map_err(io::Error::other)?.into_parts();
        Ok(((head.status, body), connection))
    }

    /// Whether an owner's name leads to an agent; an error: control does not say.
    pub(crate) async fn serves(&self, name: &DomainName) -> io::Result<bool> {
        let question = NameAsked { name: name.clone() };
        let answer: NameAnswer = self.told("/v1/name", &question, ANSWER_WITHIN).await?;
        Ok(answer.served)
    }

    /// What to show to whoever comes to a name over TLS; an error: control does not say.
    pub(crate) async fn certificate(
        &self,
        asked: &CertificateAsked,
        within: Duration,
    ) -> io::Result<CertificateAnswer> {
        self.told("/v1/certificate", asked, within).await
    }

    /// What an authority looks for over plain HTTP.
    pub(crate) async fn challenge(&self, asked: &ChallengeAsked) -> io::Result<Option<String>> {
        let answer: ChallengeAnswer = self.told("/v1/challenge", asked, ANSWER_WITHIN).await?;
        Ok(answer.proof)
    }

    /// The answer to a question that is no lease.
    async fn told<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        question: &impl serde::Serialize,
        within: Duration,
    ) -> io::Result<T> {
        let asked = async {
            let ((status, body), _connection) = self.ask(path, question, within).await?;
            let body = Limited::new(body, ANSWER_BYTES).collect().await;
            let body = body.map_err(io::Error::other)?.to_bytes();
            if status != StatusCode::OK {
                return Err(io::Error::other(format!("control answers {status}")));
            }
            io::Result::Ok(serde_json::from_slice(&body)?)
        };
        let answer = timeout(within, asked).await;
        answer.map_err(|_| io::Error::other("control does not answer"))?
    }

    /// Lets a browser in.
    pub(crate) async fn enter(&self, enter: &Enter) -> Result<Entered, Refusal> {
        let asked = async {
            let ((status, body), _connection) = self.ask("/v1/enter", enter, ANSWER_WITHIN).await?;
            let body = Limited::new(body, LINE_BYTES).collect().await;
            let body = body.map_err(io::Error::other)?.to_bytes();
            io::Result::Ok(if status == StatusCode::OK {
                Ok(serde_json::from_slice::<Entered>(&body)?)
            } else {
                Err(serde_json::from_slice::<Refused>(&body)?)
            })
        };
        match timeout(ANSWER_WITHIN, asked).await {
            Ok(Ok(Ok(entered))) => Ok(entered),
            Ok(Ok(Err(refused))) => Err(refused.into()),
            Ok(Err(error)) => {
                tracing::warn!(%error, "control could not be asked");
                Err(Refusal::control_away())
            }
            Err(_) => Err(Refusal::control_away()),
        }
    }
}

enum End {
    Over(Refusal),
    /// Control went away: it is asked again.
    Lost,
}

struct Connection(JoinHandle<()>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Returns when nobody has used a lease for a while, or uses it while its agent is to sleep.
async fn unused(lease: &Lease) {
    loop {
        lease.released.notified().await;
        tokio::select! {
            () = lease.rests.notified() => {}
            () = sleep(LINGER) => {}
        }
        if lease.users.load(Ordering::Acquire) == 0 {
            return;
        }
    }
}

impl Held {
    /// Waits until the agent can be come to; with `patience`, no longer than that for a first word.
    pub(crate) async fn ready(&self, patience: Option<Duration>) -> Outcome {
        let mut state = self.lease.state.subscribe();
        if let Some(outcome) = settled(&state.borrow_and_update()) {
            return outcome;
        }
        if self.lease.waiting.fetch_add(1, Ordering::AcqRel) >= WAITING {
            self.lease.waiting.fetch_sub(1, Ordering::AcqRel);
            return Outcome::Refused(Refusal::too_many_wait());
        }
        let _waiting = Waits(&self.lease.waiting);
        let within = patience.unwrap_or(READY_WITHIN);
        let waited = timeout(within, async {
            loop {
                if let Some(outcome) = settled(&state.borrow_and_update()) {
                    return outcome;
                }
                if state.changed().await.is_err() {
                    return Outcome::Refused(Refusal::not_ready());
                }
            }
        });
        let waited = waited.await;
        match (waited, patience) {
            (Ok(outcome), _) => outcome,
            (Err(_), None) => Outcome::Refused(Refusal::not_ready()),
            (Err(_), Some(_)) => match &*state.borrow() {
                State::Waking(Some(waking)) => Outcome::StillWaking(waking.clone()),
                _ => Outcome::StillWaking(Waking {
                    name: self.lease.key.face.label.clone(),
                    why: "Creel is starting".to_owned(),
                }),
            },
        }
    }

    /// Returns when whoever uses it may no longer.
    pub(crate) async fn over(&self) {
        self.lease.over.cancelled().await;
    }

    pub(crate) fn poll_over(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.over.as_mut().poll(context)
    }

    /// Whether another request may come now.
    pub(crate) fn may_go(&self) -> bool {
        lock(&self.lease.allowance).take(Instant::now())
    }
}

struct Waits<'a>(&'a AtomicUsize);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn settled(state: &State) -> Option<Outcome> {
    match state {
        State::Waking(_) => None,
        State::Ready(place) => Some(Outcome::Ready(Arc::clone(place))),
        State::Over(refusal) => Some(Outcome::Refused(refusal.clone())),
    }
}

/// So many requests at once, and then so many a second.
#[derive(Debug)]
pub(crate) struct Allowance {
    rate: f64,
    burst: f64,
    left: f64,
    at: Option<Instant>,
}

impl Allowance {
    /// Full.
    pub(crate) fn of(rate: u32, burst: u32) -> Self {
        Self {
            rate: f64::from(rate),
            burst: f64::from(burst),
            left: f64::from(burst),
            at: None,
        }
    }

    fn left(&self, now: Instant) -> f64 {
        let passed = self.at.map_or(Duration::ZERO, |at| now.duration_since(at));
        (self.left + passed.as_secs_f64() * self.rate).min(self.burst)
    }

    pub(crate) fn is_full(&self, now: Instant) -> bool {
        self.left(now) >= self.burst
    }

    pub(crate) fn take(&mut self, now: Instant) -> bool {
        self.left = self.left(now);
        self.at = Some(now);
        let may = self.left >= 1.0;
        if may {
            self.left -= 1.0;
        }
        may
    }
}

/// What a browser shows from then on.
pub(crate) fn secret(hidden: &Hidden) -> &str {
    &hidden.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_burst_requests_come_at_their_rate() {
        let (mut allowance, now) = (Allowance::of(RATE, BURST), Instant::now());
        assert_eq!(
            (0..BURST * 2).filter(|_| allowance.take(now)).count(),
            BURST as usize
        );
        let later = now + Duration::from_millis(100);
        let taken = (0..BURST).filter(|_| allowance.take(later)).count();
        assert!((99..=101).contains(&taken), "{taken}");
    }
}
