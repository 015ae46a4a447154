//! The real OpenClaw: started as its image says, spoken to over its own WebSocket, started again when it
//! dies.
//!
//! It works on its own account when it can: it plans jobs, for which [`jobs`] has turns, and resumes what a crash
//! interrupted. A run without a turn is aborted as soon as it shows; control refuses its model calls. What it
//! resumes while the interrupted turn is still ours is that turn's continuation; what begins while somebody is at
//! its own page is theirs.

mod gateway;
mod jobs;
mod link;
mod past;
mod run;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use creel_domain::{OwnJobs, RuntimeHealth, RuntimeState, SessionName, TurnEvent};
use creel_protocol::{HistoryEntry, SessionSummary};
use futures_util::{FutureExt as _, future::BoxFuture};
use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::{gateway::Launch, link::Link};
use crate::{
    logs::Logs,
    paths::Paths,
    processes::Processes,
    refusal::Refusal,
    runtime::{Assignment, Runtime},
    visitors::{Visit, Visitors},
};

/// How long a turn, or a question about the past, waits for a gateway that is starting.
const READY_TIMEOUT: Duration = Duration::from_secs(120);

#[derive(Clone)]
pub(crate) struct Openclaw {
    shared: Arc<Shared>,
}

struct Shared {
    launch: Result<Launch, String>,
    processes: Processes,
    logs: Logs,
    state: watch::Sender<State>,
    restarts: AtomicU32,
    visitors: Visitors,
    stopping: CancellationToken,
    stopped: watch::Sender<bool>,
    /// Whether it may do jobs of its own at the moment.
    allowed: jobs::Allowed,
}

#[derive(Clone)]
enum State {
    Starting,
    Ready(Arc<Link>),
    /// Died; why, as far as it is known.
    Backoff(String),
}

impl Openclaw {
    pub(crate) fn start(paths: Paths, processes: Processes, logs: Logs) -> Self {
        let shared = Arc::new(Shared {
            launch: Launch::read(&paths),
            processes,
            logs,
            state: watch::Sender::new(State::Starting),
            restarts: AtomicU32::new(0),
            visitors: Visitors::default(),
            stopping: CancellationToken::new(),
            stopped: watch::Sender::new(false),
            allowed: jobs::Allowed::default(),
        });
        tokio::spawn(gateway::keep_running(Arc::clone(&shared)));
        Self { shared }
    }
}

impl Shared {
    /// The gateway's link, as soon as it answers.
    async fn ready(&self) -> Option<Arc<Link>> {
        let mut state = self.state.subscribe();
        let ready = async {
            match &*state
                .wait_for(|state| matches!(state, State::Ready(link) if !link.is_closed()))
                .await
                .ok()?
            {
                State::Ready(link) => Some(Arc::clone(link)),
                _ => None,
            }
        };
        tokio::time::timeout(READY_TIMEOUT, ready).await.ok().flatten()
    }

    async fn ask(&self, method: &str, parameters: serde_json::Value) -> Result<serde_json::Value, Refusal> {
        let not_ready = || Refusal::new("not_ready", "OpenClaw is still starting: ask again later");
        let link = self.ready().await.ok_or_else(not_ready)?;
        link.request(method, parameters)
            .await
            .map_err(|trouble| Refusal::failed(trouble.to_string()))
    }
}

impl Runtime for Openclaw {
    fn turn(&self, turn: Assignment) -> BoxFuture<'static, TurnEvent> {
        let shared = Arc::clone(&self.shared);
        async move {
            if turn.request.own_jobs {
                return jobs::run(&shared, &turn).await;
            }
            run::run(&shared, &turn).await
        }
        .boxed()
    }

    fn sessions(&self) -> BoxFuture<'_, Result<Vec<SessionSummary>, Refusal>> {
        async {
            self.shared
                .ask("sessions.list", json!({}))
                .await
                .map(|list| past::sessions(&list))
        }
        .boxed()
    }

    fn history(
        &self,
        session: SessionName,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<HistoryEntry>, Refusal>> {
        async move {
            // Each answer may stand behind several messages of tools.
            let parameters = json!({"sessionKey": run::session_key(&session), "limit": limit.clamp(1, 1000)});
            let mut entries = past::entries(&self.shared.ask("chat.history", parameters).await?);
            entries.drain(..entries.len().saturating_sub(limit));
            Ok(entries)
        }
        .boxed()
    }

    fn health(&self) -> BoxFuture<'_, RuntimeHealth> {
        async {
            let state = self.shared.state.borrow().clone();
            let own_jobs = match &state {
                State::Ready(link) => jobs::next_at(link).await.map(|next_at| OwnJobs { next_at }),
                State::Starting | State::Backoff(_) => None,
            };
            let (state, detail) = match (&self.shared.launch, state) {
                (Err(reason), _) => (RuntimeState::Backoff, reason.clone()),
                (_, State::Starting) => (RuntimeState::Starting, "OpenClaw is starting".to_owned()),
                (_, State::Backoff(reason)) => (RuntimeState::Backoff, reason),
                (Ok(launch), State::Ready(_)) => match launch.asks_ready().await {
                    Ok(()) => (RuntimeState::Ready, String::new()),
                    Err(reason) => (RuntimeState::Starting, reason),
                },
            };
            RuntimeHealth {
                state,
                detail,
                restarts: self.shared.restarts.load(Ordering::Relaxed),
                own_jobs,
            }
        }
        .boxed()
    }

    fn visited(&self, port: u16) -> Option<Visit> {
        let own = self
            .shared
            .launch
            .as_ref()
            .is_ok_and(|launch| launch.port == port);
        own.then(|| self.shared.visitors.come())
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        async {
            self.shared.stopping.cancel();
            let mut stopped = self.shared.stopped.subscribe();
            // The gateway has its own deadline; this one is for a task that died.
            let _ =
                tokio::time::timeout(gateway::STOP_TIMEOUT * 2, stopped.wait_for(|stopped| *stopped)).await;
        }
        .boxed()
    }
}
