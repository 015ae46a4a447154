//! Turns under way: who reads them, who waits for whom, and the tasks that bring them to their end.
//!
//! ```text
//! row ─▶ [waits for its session] ─▶ waits for the agent ─▶ bridge ─▶ row finished ─▶ readers told
//!                                          ▲                 │ lost
//!                                          └─────────────────┘
//! ```
//!
//! The row comes first and the readers last: whoever has been told the end finds it in the store. After a
//! restart every unfinished row is taken up again under the same id.

mod conduct;
mod log;
mod relay;
mod story;

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use creel_domain::{AgentId, OrgId, SessionName, Turn, TurnId};
use creel_protocol::limits;
use creel_store::StoredTurn;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) use log::TurnLog;
pub(crate) use story::sum_up;

use crate::Control;

/// Finished turns whose events are kept as they were, for readers who come back; later ones are told
/// from the store.
const REMEMBERED: usize = 256;

#[derive(Default)]
pub(crate) struct Turns {
    all: Mutex<Known>,
    tasks: TaskTracker,
}

#[derive(Default)]
struct Known {
    turns: HashMap<TurnId, Arc<Live>>,
    /// Of each session, the end of the turn that was begun last.
    last: HashMap<(AgentId, SessionName), (TurnId, CancellationToken)>,
    finished: VecDeque<TurnId>,
    /// Turns whose rows are being written.
    reserved: HashMap<AgentId, usize>,
}

/// A turn that is not over, or was not long ago.
pub(crate) struct Live {
    agent: AgentId,
    session: SessionName,
    pub(crate) log: Arc<TurnLog>,
    /// The runtime may have it, and call models for it.
    handed: AtomicBool,
    over: AtomicBool,
    cancel: CancellationToken,
    ended: CancellationToken,
    /// The turn before it in its session.
    before: Option<CancellationToken>,
}

/// There are as many turns under way as one agent may have.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Busy;

/// Room for one more turn, before its row is written.
pub(crate) struct Place {
    turns: Arc<Turns>,
    agent: AgentId,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut known = self.turns.lock();
        if let Some(reserved) = known.reserved.get_mut(&self.agent) {
            *reserved -= 1;
            if *reserved == 0 {
                known.reserved.remove(&self.agent);
            }
        }
    }
}

impl Turns {
    /// Takes a place for a turn; dropping it gives it back.
    pub(crate) fn reserve(self: &Arc<Self>, agent: AgentId) -> Result<Place, Busy> {
        let mut known = self.lock();
        let under_way = known
            .turns
            .values()
            .filter(|turn| turn.agent == agent && !turn.is_over())
            .count();
        let reserved = known.reserved.entry(agent).or_default();
        if under_way + *reserved >= limits::TURNS {
            return Err(Busy);
        }
        *reserved += 1;
        Ok(Place {
            turns: Arc::clone(self),
            agent,
        })
    }

    /// Begins a turn whose row is written. It goes on whatever happens to whoever asked.
    pub(crate) fn begin(&self, control: &Arc<Control>, place: Place, org: OrgId, turn: Turn) -> Arc<TurnLog> {
        let live = self.admit(&turn);
        drop(place);
        let log = Arc::clone(&live.log);
        self.start(control, live, org, turn);
        log
    }

    /// Begins a turn that the clock asked for, whose row is written.
    pub(crate) fn take(&self, control: &Arc<Control>, org: OrgId, turn: Turn) {
        let live = self.admit(&turn);
        self.start(control, live, org, turn);
    }

    /// Takes up a turn that an earlier process began.
    pub(crate) fn resume(&self, control: &Arc<Control>, stored: StoredTurn) {
        let live = self.admit(&stored.turn);
        // The runtime may be working on it at this moment.
        live.handed.store(true, Ordering::Relaxed);
        self.start(control, live, stored.org, stored.turn);
    }

    fn admit(&self, turn: &Turn) -> Arc<Live> {
        let mut known = self.lock();
        let ended = CancellationToken::new();
        let session = (turn.agent, turn.session.clone());
        let before = known
            .last
            .insert(session, (turn.id, ended.clone()))
            .map(|(_, before)| before);
        let live = Arc::new(Live {
            agent: turn.agent,
            session: turn.session.clone(),
            log: Arc::default(),
            handed: AtomicBool::new(false),
            over: AtomicBool::new(false),
            cancel: CancellationToken::new(),
            ended,
            before,
        });
        known.turns.insert(turn.id, Arc::clone(&live));
        live
    }

    fn start(&self, control: &Arc<Control>, live: Arc<Live>, org: OrgId, turn: Turn) {
        let control = Arc::clone(control);
        self.tasks.spawn(async move {
            conduct::conduct(&control, &live, org, turn).await;
        });
    }

    /// After the shutdown has begun: until every turn has let go. Their rows stay as they are.
    pub(crate) async fn drain(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    pub(crate) fn get(&self, id: TurnId) -> Option<Arc<Live>> {
        self.lock().turns.get(&id).cloned()
    }

    /// The turns for which an agent may call models now.
    pub(crate) fn under_way(&self, agent: AgentId) -> Vec<TurnId> {
        let known = self.lock();
        let working =
            |turn: &Live| turn.agent == agent && turn.handed.load(Ordering::Relaxed) && !turn.is_over();
        known
            .turns
            .iter()
            .filter(|(_, turn)| working(turn))
            .map(|(id, _)| *id)
            .collect()
    }

    /// Stops everything of an agent that is being deleted.
    pub(crate) fn cancel_all(&self, agent: AgentId) {
        let known = self.lock();
        known
            .turns
            .values()
            .filter(|turn| turn.agent == agent)
            .for_each(|turn| turn.cancel.cancel());
    }

    fn end(&self, id: TurnId) {
        let mut known = self.lock();
        let Some(live) = known.turns.get(&id).cloned() else {
            return;
        };
        live.over.store(true, Ordering::Relaxed);
        live.ended.cancel();
        let session = (live.agent, live.session.clone());
        if known.last.get(&session).is_some_and(|(last, _)| *last == id) {
            known.last.remove(&session);
        }
        known.finished.push_back(id);
        if known.finished.len() > REMEMBERED
            && let Some(oldest) = known.finished.pop_front()
        {
            known.turns.remove(&oldest);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Live {
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Asks for its end; [`Self::ended`] says when that has come.
    pub(crate) fn cancel(&self) {
        self.cancel.cancel();
    }

    pub(crate) async fn ended(&self) {
        self.ended.cancelled().await;
    }
}
