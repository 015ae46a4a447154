//! Turns under way and the newest that ended. A turn belongs to nobody's connection: readers come, go
//! and come back, and each gets the same numbered events.
//!
//! ```text
//! PUT ─▶ waiting for its session ─▶ running ─▶ ended (kept for a while)
//! ```

mod drive;
mod log;

use std::{
    collections::{HashMap, VecDeque},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use creel_domain::{SessionName, TurnId};
use creel_protocol::{TurnRequest, limits};

pub(crate) use self::log::TurnLog;
use crate::{refusal::Refusal, runtime::Runtime};

/// Ended turns that can be read again.
const RECENT_TURNS: usize = 32;
/// Bytes of all ended turns together.
const RECENT_BYTES: usize = 4 << 20;

#[derive(Clone)]
pub(crate) struct Turns {
    runtime: Arc<dyn Runtime>,
    table: Arc<Mutex<Table>>,
}

#[derive(Default)]
struct Table {
    logs: HashMap<TurnId, Arc<TurnLog>>,
    running: usize,
    ended: VecDeque<TurnId>,
    /// One turn at a time in a session; the lock is fair, so they run in the order they came.
    sessions: HashMap<SessionName, Weak<tokio::sync::Mutex<()>>>,
}

impl Turns {
    pub(crate) fn new(runtime: Arc<dyn Runtime>) -> Self {
        Self {
            runtime,
            table: Arc::default(),
        }
    }

    /// Starts a turn or joins the one that has its id. A new one numbers its events from `after` on: its
    /// reader may have seen that many before a crash that took our memory of them.
    pub(crate) fn start(
        &self,
        id: TurnId,
        request: TurnRequest,
        after: u64,
    ) -> Result<Arc<TurnLog>, Refusal> {
        let digest = digest(&request);
        let mut table = self.lock();
        if let Some(log) = table.logs.get(&id) {
            if log.digest != digest {
                return Err(Refusal::new(
                    "conflict",
                    format!("turn {id} was started with another session or message"),
                ));
            }
            return Ok(Arc::clone(log));
        }
        if table.running >= limits::TURNS {
            return Err(Refusal::new(
                "busy",
                format!(
                    "{} turns are under way in this agent: wait for one to end",
                    limits::TURNS
                ),
            ));
        }
        let session = table.session(&request.session);
        let log = Arc::new(TurnLog::new(digest, after));
        table.logs.insert(id, Arc::clone(&log));
        table.running += 1;
        drop(table);
        let this = self.clone();
        let driven = Arc::clone(&log);
        tokio::spawn(async move {
            drive::drive(id, request, &this.runtime, &driven, session).await;
            this.lock().retire(id);
        });
        Ok(log)
    }

    /// Ends a turn; whether there was one.
    pub(crate) fn cancel(&self, id: TurnId) -> bool {
        let log = self.lock().logs.get(&id).cloned();
        log.inspect(|log| log.cancel.cancel()).is_some()
    }

    pub(crate) fn running(&self) -> usize {
        self.lock().running
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn session(&mut self, name: &SessionName) -> Arc<tokio::sync::Mutex<()>> {
        self.sessions.retain(|_, lock| lock.strong_count() > 0);
        let lock = self
            .sessions
            .get(name)
            .and_then(Weak::upgrade)
            .unwrap_or_default();
        self.sessions.insert(name.clone(), Arc::downgrade(&lock));
        lock
    }

    fn retire(&mut self, id: TurnId) {
        self.running -= 1;
        self.ended.push_back(id);
        let bytes = |table: &Self| -> usize {
            let logs = table.ended.iter().filter_map(|id| table.logs.get(id));
            logs.map(|log| log.bytes()).sum()
        };
        while self.ended.len() > RECENT_TURNS || (self.ended.len() > 1 && bytes(self) > RECENT_BYTES) {
            if let Some(oldest) = self.ended.pop_front() {
                self.logs.remove(&oldest);
            }
        }
    }
}

fn digest(request: &TurnRequest) -> u64 {
    let mut hasher = DefaultHasher::new();
    request.session.hash(&mut hasher);
    request.message.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests;
