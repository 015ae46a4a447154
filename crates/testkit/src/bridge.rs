//! Bridges that live in memory: turns follow a script, files are a map, commands are a handful of tricks.
//!
//! A bridge answers only while its sandbox runs at the [`FakeSupervisor`]. [`FakeBridges::restart`]
//! makes it forget its turns, as the death of the real one does; files and history stay.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use creel_domain::{
    BridgeHealth, OwnJobs, RuntimeHealth, RuntimeState, SandboxId, SessionName, TurnEvent, TurnId,
};
use creel_protocol::{
    Bridge, BridgeError, Bridges, ByteStream, EventStream, ExecRequest, ExecSession, FileEntry, HistoryEntry,
    LogLine, LogStream, NumberedEvent, ReadFile, SessionSummary, TurnRequest,
};
use futures_util::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream};
use jiff::Timestamp;
use tokio::sync::watch;

use crate::{Act, CrashPoints, FakeSupervisor, Script, exec, files::Files, script::echo};

/// See the module.
#[derive(Clone)]
pub struct FakeBridges {
    world: Arc<Mutex<HashMap<SandboxId, Inside>>>,
    supervisor: FakeSupervisor,
    script: Arc<Mutex<Script>>,
    forgetful: Arc<AtomicBool>,
    /// How runtimes are of which nothing else was said.
    newcomers: Arc<Mutex<RuntimeState>>,
    points: CrashPoints,
    /// Turns go on in the test's own runtime, whoever asked for them.
    runtime: tokio::runtime::Handle,
}

/// What is in one sandbox.
struct Inside {
    health: Result<RuntimeHealth, BridgeError>,
    turns: HashMap<TurnId, Arc<Playing>>,
    requests: Vec<(TurnId, TurnRequest)>,
    history: Vec<(SessionName, HistoryEntry)>,
    files: Files,
    logs: Vec<LogLine>,
    checks: usize,
}

/// A turn under way or over.
struct Playing {
    heard: Mutex<Vec<NumberedEvent>>,
    /// Counts events and cuts, so that readers know when to look.
    news: watch::Sender<(usize, Vec<Cut>)>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Cut {
    Break,
    Garbage,
    HangUp,
}

impl FakeBridges {
    /// To be called within a runtime, which turns then go on in.
    pub fn new(supervisor: FakeSupervisor, points: CrashPoints) -> Self {
        Self {
            world: Arc::default(),
            supervisor,
            script: Arc::new(Mutex::new(echo())),
            forgetful: Arc::default(),
            newcomers: Arc::new(Mutex::new(RuntimeState::Ready)),
            points,
            runtime: tokio::runtime::Handle::current(),
        }
    }

    /// What turns do from now on.
    pub fn set_script(&self, script: impl Fn(&TurnRequest) -> Vec<Act> + Send + Sync + 'static) {
        *self.script.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(script);
    }

    /// How runtimes are in sandboxes that nobody has asked yet.
    pub fn set_newcomers(&self, state: RuntimeState) {
        *self.newcomers.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    pub fn set_runtime(&self, sandbox: SandboxId, state: RuntimeState, detail: &str) {
        let health = RuntimeHealth {
            state,
            detail: detail.to_owned(),
            restarts: 0,
            own_jobs: None,
        };
        self.inside(sandbox, |inside| inside.health = Ok(health));
    }

    /// When the runtime next wants to do a job of its own, as it says from now on.
    pub fn set_own_jobs(&self, sandbox: SandboxId, next_at: Option<Timestamp>) {
        self.inside(sandbox, |inside| {
            if let Ok(health) = &mut inside.health {
                health.own_jobs = Some(OwnJobs { next_at });
            }
        });
    }

    /// It listens no more, though its sandbox runs; `None` heals it.
    pub fn set_dead(&self, sandbox: SandboxId, error: Option<BridgeError>) {
        self.inside(sandbox, |inside| {
            inside.health = error.map_or_else(|| Ok(ready()), Err);
        });
    }

    /// From now on every request for a turn begins it anew: a bridge that remembers nothing.
    pub fn set_forgetful(&self) {
        self.forgetful.store(true, Ordering::Relaxed);
    }

    /// Kills the bridge and starts it again: turns are forgotten and their readers cut off.
    pub fn restart(&self, sandbox: SandboxId) {
        let turns = self.inside(sandbox, |inside| std::mem::take(&mut inside.turns));
        turns.into_values().for_each(|turn| turn.cut(Cut::Break));
    }

    /// Every turn it was asked for, in order; one asked for twice is there twice.
    pub fn requests(&self, sandbox: SandboxId) -> Vec<(TurnId, TurnRequest)> {
        self.inside(sandbox, |inside| inside.requests.clone())
    }

    /// How often it was asked for its health.
    pub fn checks(&self, sandbox: SandboxId) -> usize {
        self.inside(sandbox, |inside| inside.checks)
    }

    pub fn add_log(&self, sandbox: SandboxId, line: LogLine) {
        self.inside(sandbox, |inside| inside.logs.push(line));
    }

    fn inside<T>(&self, sandbox: SandboxId, look: impl FnOnce(&mut Inside) -> T) -> T {
        let mut world: MutexGuard<'_, _> = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        let state = *self.newcomers.lock().unwrap_or_else(PoisonError::into_inner);
        look(world.entry(sandbox).or_insert_with(|| Inside {
            health: Ok(RuntimeHealth { state, ..ready() }),
            turns: HashMap::new(),
            requests: Vec::new(),
            history: Vec::new(),
            files: Files::default(),
            logs: Vec::new(),
            checks: 0,
        }))
    }
}

fn ready() -> RuntimeHealth {
    RuntimeHealth {
        state: RuntimeState::Ready,
        detail: String::new(),
        restarts: 0,
        own_jobs: None,
    }
}

impl Bridges for FakeBridges {
    fn bridge(&self, sandbox: SandboxId) -> Arc<dyn Bridge> {
        Arc::new(FakeBridge {
            all: self.clone(),
            sandbox,
        })
    }
}

struct FakeBridge {
    all: FakeBridges,
    sandbox: SandboxId,
}

impl FakeBridge {
    fn call<T: Send + 'static>(
        &self,
        effect: impl FnOnce(&mut Inside) -> Result<T, BridgeError> + Send + 'static,
    ) -> BoxFuture<'_, Result<T, BridgeError>> {
        async move {
            self.all.points.pass().await;
            if !self.all.supervisor.is_awake(self.sandbox) {
                return Err(BridgeError::Unreachable("its sandbox does not run".to_owned()));
            }
            let outcome = self.all.inside(self.sandbox, |inside| {
                inside.health.clone()?;
                effect(inside)
            });
            self.all.points.pass().await;
            outcome
        }
        .boxed()
    }
}

impl Playing {
    fn cut(&self, cut: Cut) {
        self.news.send_modify(|(_, cuts)| cuts.push(cut));
    }

    fn say(&self, number: Option<u64>, event: TurnEvent) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let number = number.unwrap_or(heard.len() as u64 + 1);
        heard.push(NumberedEvent { number, event });
        self.news.send_modify(|(count, _)| *count = heard.len());
    }

    fn start(runtime: &tokio::runtime::Handle, acts: Vec<Act>) -> Arc<Self> {
        let turn = Arc::new(Self {
            heard: Mutex::default(),
            news: watch::Sender::new((0, Vec::new())),
        });
        let playing = Arc::clone(&turn);
        runtime.spawn(async move {
            for act in acts {
                match act {
                    Act::Say(event) => playing.say(None, event),
                    Act::SayNumbered(number, event) => playing.say(Some(number), event),
                    Act::Break => playing.cut(Cut::Break),
                    Act::Garbage => playing.cut(Cut::Garbage),
                    Act::HangUp => playing.cut(Cut::HangUp),
                    Act::Wait(gate) => gate.passed().await,
                }
                // Readers get to see each act by itself.
                tokio::task::yield_now().await;
            }
        });
        turn
    }

    fn read(self: Arc<Self>, after: u64) -> EventStream {
        let news = self.news.subscribe();
        // Cuts of the past hit the readers of the past.
        let cuts = news.borrow().1.len();
        let reader = (self, news, 0_usize, cuts, false);
        stream::unfold(
            reader,
            move |(turn, mut news, mut next, cuts, ended)| async move {
                if ended {
                    return None;
                }
                loop {
                    let (count, cut) = {
                        let seen = news.borrow_and_update();
                        (seen.0, seen.1.get(cuts).copied())
                    };
                    while next < count {
                        let heard = turn.heard.lock().unwrap_or_else(PoisonError::into_inner)[next].clone();
                        next += 1;
                        if heard.number > after {
                            let last = heard.event.is_last();
                            return Some((Ok(heard), (turn, news, next, cuts, last)));
                        }
                    }
                    let error = match cut {
                        Some(Cut::Break) => BridgeError::Unreachable("the connection broke".to_owned()),
                        Some(Cut::Garbage) => BridgeError::Garbage("expected an event".to_owned()),
                        Some(Cut::HangUp) => return None,
                        None => {
                            news.changed().await.ok()?;
                            continue;
                        }
                    };
                    return Some((Err(error), (turn, news, next, cuts, true)));
                }
            },
        )
        .boxed()
    }
}

impl Bridge for FakeBridge {
    fn health(&self) -> BoxFuture<'_, Result<BridgeHealth, BridgeError>> {
        self.call(|inside| {
            inside.checks += 1;
            Ok(BridgeHealth {
                version: "0.1.0".to_owned(),
                uptime_ms: 1,
                runtime: inside.health.clone()?,
                turns: 0,
            })
        })
    }

    fn turn(
        &self,
        turn: TurnId,
        request: TurnRequest,
        after: u64,
    ) -> BoxFuture<'_, Result<EventStream, BridgeError>> {
        let script = Arc::clone(&*self.all.script.lock().unwrap_or_else(PoisonError::into_inner));
        let runtime = self.all.runtime.clone();
        let forgetful = self.all.forgetful.load(Ordering::Relaxed);
        self.call(move |inside| {
            inside.requests.push((turn, request.clone()));
            if forgetful {
                inside.turns.remove(&turn);
            }
            let playing = inside
                .turns
                .entry(turn)
                .or_insert_with(|| Playing::start(&runtime, script(&request)));
            Ok(Arc::clone(playing).read(after))
        })
    }

    fn cancel(&self, turn: TurnId) -> BoxFuture<'_, Result<(), BridgeError>> {
        self.call(move |inside| {
            if let Some(playing) = inside.turns.get(&turn) {
                playing.say(None, TurnEvent::Cancelled);
            }
            Ok(())
        })
    }

    fn sessions(&self) -> BoxFuture<'_, Result<Vec<SessionSummary>, BridgeError>> {
        self.call(|_| Ok(Vec::new()))
    }

    fn history(
        &self,
        session: SessionName,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<HistoryEntry>, BridgeError>> {
        self.call(move |inside| {
            let all: Vec<_> = inside
                .history
                .iter()
                .filter(|(name, _)| *name == session)
                .collect();
            let skipped = all.len().saturating_sub(limit);
            Ok(all
                .into_iter()
                .skip(skipped)
                .map(|(_, entry)| entry.clone())
                .collect())
        })
    }

    fn exec(&self, request: ExecRequest) -> BoxFuture<'_, Result<ExecSession, BridgeError>> {
        self.call(move |_| Ok(exec::run(request)))
    }

    fn list(&self, path: String) -> BoxFuture<'_, Result<Vec<FileEntry>, BridgeError>> {
        self.call(move |inside| inside.files.list(&path))
    }

    fn read(&self, path: String) -> BoxFuture<'_, Result<ReadFile, BridgeError>> {
        self.call(move |inside| {
            let content = inside.files.read(&path)?;
            Ok(ReadFile {
                bytes: content.len() as u64,
                content: stream::iter([Ok(content)]).boxed(),
            })
        })
    }

    fn write(&self, path: String, content: ByteStream) -> BoxFuture<'_, Result<(), BridgeError>> {
        async move {
            // A body that breaks off leaves the old file, as the contract says.
            let pieces: Vec<Bytes> = content
                .try_collect()
                .await
                .map_err(|error| BridgeError::Unreachable(error.to_string()))?;
            self.call(move |inside| inside.files.write(&path, pieces.concat().into()))
                .await
        }
        .boxed()
    }

    fn mkdir(&self, path: String) -> BoxFuture<'_, Result<(), BridgeError>> {
        self.call(move |inside| inside.files.mkdir(&path))
    }

    fn rename(&self, from: String, to: String) -> BoxFuture<'_, Result<(), BridgeError>> {
        self.call(move |inside| inside.files.rename(&from, &to))
    }

    fn remove(&self, path: String, recursive: bool) -> BoxFuture<'_, Result<(), BridgeError>> {
        self.call(move |inside| inside.files.remove(&path, recursive))
    }

    fn logs(&self, tail: usize, follow: bool) -> BoxFuture<'_, Result<LogStream, BridgeError>> {
        self.call(move |inside| {
            let skipped = inside.logs.len().saturating_sub(tail);
            let lines: Vec<_> = inside.logs.iter().skip(skipped).cloned().map(Ok).collect();
            let lines = stream::iter(lines);
            Ok(if follow {
                lines.chain(stream::pending()).boxed()
            } else {
                lines.boxed()
            })
        })
    }
}
