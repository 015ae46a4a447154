//! Model calls and refused destinations, kept: the traits of `models` and `egress` over the store.
//!
//! A call needs a turn, or a person at the runtime's own page. Whatever a runtime plans for itself finds no model, and
//! costs nothing.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use creel_domain::CallId;
use creel_egress::{Decided, Decisions};
use creel_models::{CallEnd, CallStart, Refusal};
use creel_policy::Decision;
use creel_store::{CallResult, NewCall, Store};
use futures_util::{FutureExt, future::BoxFuture};
use tokio::sync::{mpsc, oneshot};

use crate::{
    rest::{Activity, Needed},
    turns::Turns,
};

/// Refused destinations that wait to be written; more go unrecorded.
const DECISIONS: usize = 256;
/// What a person has begun at the runtime's own page may call models for so long after they have left it. As long as a
/// run of OpenClaw's may take.
const AFTER_A_VISIT: Duration = Duration::from_secs(30 * 60);

pub(crate) struct Ledger {
    store: Store,
    turns: Arc<Turns>,
    activity: Arc<Activity>,
    visits: Arc<Activity>,
    /// Agents whose calls are under way: what a person has begun goes on when they leave, and the agent does not fall
    /// asleep over it.
    calling: Mutex<HashMap<CallId, Needed>>,
    /// Holds at most one end for each call that was begun, and those are bounded by sandbox.
    ends: mpsc::UnboundedSender<Entry>,
    decisions: mpsc::Sender<Decided>,
}

enum Entry {
    End(CallId, CallEnd),
    /// Everything before it is written.
    Flushed(oneshot::Sender<()>),
}

impl Ledger {
    pub(crate) fn new(
        store: Store,
        turns: Arc<Turns>,
        activity: Arc<Activity>,
        visits: Arc<Activity>,
    ) -> Arc<Self> {
        let (ends, ended) = mpsc::unbounded_channel();
        let (decisions, decided) = mpsc::channel(DECISIONS);
        tokio::spawn(write_ends(store.clone(), ended));
        tokio::spawn(write_decisions(store.clone(), decided));
        Arc::new(Self {
            store,
            turns,
            activity,
            visits,
            calling: Mutex::default(),
            ends,
            decisions,
        })
    }

    fn calling(&self) -> MutexGuard<'_, HashMap<CallId, Needed>> {
        self.calling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns when every call that has ended is written.
    pub(crate) async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.ends.send(Entry::Flushed(done)).is_ok() {
            // The writer ends only with the process.
            let _ = flushed.await;
        }
    }
}

async fn write_ends(store: Store, mut ended: mpsc::UnboundedReceiver<Entry>) {
    while let Some(entry) = ended.recv().await {
        match entry {
            Entry::End(call, end) => {
                let tokens = end
                    .usage
                    .map(|usage| (usage.input, usage.cached_input, usage.output));
                let result = CallResult {
                    outcome: end.outcome.as_str().to_owned(),
                    tokens,
                    cost: end.cost,
                    duration_ms: u64::try_from(end.duration.as_millis()).unwrap_or(u64::MAX),
                };
                if let Err(error) = store.platform().finish_call(call, result).await {
                    // The row stays open, and is called interrupted at the next start.
                    tracing::error!(%call, error = &error as &dyn std::error::Error, "the end of a model call could not be stored");
                }
            }
            // Nobody waits any more: fine.
            Entry::Flushed(done) => drop(done.send(())),
        }
    }
}

async fn write_decisions(store: Store, mut decided: mpsc::Receiver<Decided>) {
    while let Some(decided) = decided.recv().await {
        let Decision::Denied { rule } = decided.decision;
        let org = store.org(decided.caller.org);
        let to = decided.to.to_string();
        let written = org
            .record_egress(decided.caller.agent, to, rule.to_string(), decided.repeats)
            .await;
        if let Err(error) = written {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a refused destination could not be recorded"
            );
        }
    }
}

impl creel_models::Ledger for Ledger {
    fn begin(&self, start: CallStart) -> BoxFuture<'_, Result<(), Refusal>> {
        async move {
            let under_way = self.turns.under_way(start.agent);
            if under_way.is_empty() && !self.visits.lately(start.agent, AFTER_A_VISIT) {
                return Err(Refusal {
                    code: "no_turn",
                    message: "no turn of this agent is under way: a model answers only while somebody waits for the agent"
                        .to_owned(),
                });
            }
            let call = NewCall {
                id: start.call,
                org: start.org,
                agent: start.agent,
                // With several at once nobody can say which one it was for.
                turn: under_way.first().copied().filter(|_| under_way.len() == 1),
                provider: start.model.provider().to_string(),
                model: start.model,
                started_at: start.started_at,
                key_of: start.key_of,
            };
            // Before the row: it is let go of when the call is finished, and only then.
            let needed = self.activity.begin(start.agent);
            self.calling().insert(start.call, needed);
            self.store.platform().begin_call(call).await.map_err(|error| {
                tracing::error!(agent = %start.agent, error = &error as &dyn std::error::Error, "a model call could not be recorded");
                self.calling().remove(&start.call);
                Refusal {
                    code: "ledger_failed",
                    message: "the call could not be recorded, so it was not made; try again".to_owned(),
                }
            })
        }
        .boxed()
    }

    fn finish(&self, call: CallId, end: CallEnd) {
        self.calling().remove(&call);
        // The writer ends only with the process.
        let _ = self.ends.send(Entry::End(call, end));
    }
}

impl Decisions for Ledger {
    fn record(&self, decided: Decided) {
        if self.decisions.try_send(decided).is_err() {
            tracing::debug!("a refused destination went unrecorded: too many at once");
        }
    }
}
