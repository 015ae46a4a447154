//! Connections to where requests go: to a port in a sandbox, or to control. Those that are free are used again.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use creel_domain::SandboxId;
use creel_protocol::{BridgeError, Layout, connect_port};
use http::{Request, Response};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{net::UnixStream, time::Instant};

use crate::{body::Upload, refusal::Refusal};

/// Free connections to one place; more are closed.
const FREE_OF_ONE: usize = 64;
/// Free connections altogether.
const FREE: usize = 1024;
/// A connection that nobody has used for so long is closed. What listens behind may be less patient.
const FREE_FOR: Duration = Duration::from_secs(20);
/// For the head of an answer: turns and other long work answer late. A client that leaves ends it at once.
const ANSWER_WITHIN: Duration = Duration::from_secs(30 * 60);
/// The largest head of an answer.
const HEAD_BYTES: usize = 64 * 1024;
const HEADERS: usize = 100;

/// Where a connection leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    Control,
    Port(SandboxId, u16),
}

type Sender = http1::SendRequest<Upload>;

#[derive(Debug)]
struct Free {
    sender: Sender,
    since: Instant,
}

/// Of one worker.
#[derive(Debug)]
pub(crate) struct Pool {
    layout: Layout,
    free: Mutex<HashMap<Place, Vec<Free>>>,
}

/// A connection in use, which knows where it belongs.
#[derive(Debug)]
pub(crate) struct Lent {
    pool: Arc<Pool>,
    place: Place,
    sender: Sender,
}

impl Lent {
    /// Another request may have it. One whose last request is not through yet waits for that.
    pub(crate) fn give_back(self) {
        let Self { pool, place, sender } = self;
        if sender.is_closed() {
            return;
        }
        let mut free = pool.lock();
        let now = Instant::now();
        if free.values().map(Vec::len).sum::<usize>() >= FREE {
            for of_one in free.values_mut() {
                of_one.retain(|free| now.duration_since(free.since) < FREE_FOR);
            }
            free.retain(|_, of_one| !of_one.is_empty());
            if free.values().map(Vec::len).sum::<usize>() >= FREE {
                return;
            }
        }
        let of_one = free.entry(place).or_default();
        if of_one.len() < FREE_OF_ONE {
            of_one.push(Free { sender, since: now });
        }
    }
}

impl Pool {
    pub(crate) fn new(layout: Layout) -> Arc<Self> {
        Arc::new(Self {
            layout,
            free: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Place, Vec<Free>>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one that was used last: the others grow old and go.
    fn take(&self, place: Place) -> Option<Sender> {
        let now = Instant::now();
        let mut free = self.lock();
        let of_one = free.get_mut(&place)?;
        while let Some(found) = of_one.pop() {
            if now.duration_since(found.since) >= FREE_FOR {
                of_one.clear();
                break;
            }
            if !found.sender.is_closed() && found.sender.is_ready() {
                return Some(found.sender);
            }
        }
        free.remove(&place);
        None
    }

    /// Sends a request and gives the head of its answer. `fresh`: on a connection of its own, which an upgrade takes
    /// away.
    pub(crate) async fn send(
        self: &Arc<Self>,
        place: Place,
        mut request: Request<Upload>,
        fresh: bool,
    ) -> Result<(Response<Incoming>, Lent), Refusal> {
        while let Some(mut sender) = self.take(place).filter(|_| !fresh) {
            match sender.try_send_request(request).await {
                Ok(answer) => return Ok((answer, self.lent(place, sender))),
                // It was closed at the other end before anything of the request was sent.
                Err(mut failed) => match failed.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(self.failed(place, &failed.into_error())),
                },
            }
        }
        let mut sender = self.connect(place).await?;
        let answer = tokio::time::timeout(ANSWER_WITHIN, sender.send_request(request)).await;
        match answer {
            Ok(Ok(answer)) => Ok((answer, self.lent(place, sender))),
            Ok(Err(error)) => Err(self.failed(place, &error)),
            Err(_) => Err(Refusal::unreachable()),
        }
    }

    fn lent(self: &Arc<Self>, place: Place, sender: Sender) -> Lent {
        Lent {
            pool: Arc::clone(self),
            place,
            sender,
        }
    }

    fn failed(&self, place: Place, error: &hyper::Error) -> Refusal {
        tracing::debug!(?place, %error, "no answer came");
        match place {
            Place::Control => Refusal::control_away(),
            Place::Port(..) => Refusal::unreachable(),
        }
    }

    async fn connect(&self, place: Place) -> Result<Sender, Refusal> {
        let stream =
            match place {
                Place::Control => control(self.layout.control_socket()).await,
                Place::Port(sandbox, port) => connect_port(&self.layout.inbound(sandbox), port)
                    .await
                    .map_err(|error| match error {
                        BridgeError::Refused { code, .. } if code == "not_found" => {
                            Refusal::port_closed(port)
                        }
                        BridgeError::Refused { code, .. } if code == "busy" => Refusal::too_many_wait(),
                        error => {
                            tracing::debug!(%sandbox, port, %error, "a port could not be connected");
                            Refusal::unreachable()
                        }
                    }),
            }?;
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(HEAD_BYTES)
            .max_headers(HEADERS)
            .preserve_header_case(false)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.failed(place, &error))?;
        // Ends with either side, and with the last request when nobody wants it any more.
        tokio::spawn(async move {
            let _ = connection.with_upgrades().await;
        });
        Ok(sender)
    }
}

/// Its listener outlives it: whoever connects while it starts again waits in the queue.
async fn control(socket: PathBuf) -> Result<UnixStream, Refusal> {
    let connected = UnixStream::connect(socket).await;
    connected.map_err(|error| {
        tracing::warn!(%error, "control's socket takes no connection");
        Refusal::control_away()
    })
}
