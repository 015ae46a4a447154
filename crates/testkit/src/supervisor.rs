//! A supervisor that keeps its sandboxes in memory, with the fencing rules of the real one.
//!
//! Outlives the control under test as the real one does: clone it, drop the control, start another.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use creel_domain::{
    Depth, Generation, ImageName, SandboxId, SandboxReport, SandboxSpec, SandboxState, Target, Waiting,
};
use creel_protocol::{
    HostReport, ImageState, ImageStatus, PagingReport, ReportStream, SandboxMemory, Supervisor,
    SupervisorError,
};
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream};
use jiff::Timestamp;
use tokio::sync::broadcast;

use crate::CrashPoints;

type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// First uid of the first sandbox; each further one begins 65 536 higher.
const FIRST_UID: u32 = 1_000_000;

/// See the module.
#[derive(Clone)]
pub struct FakeSupervisor {
    state: Arc<Mutex<State>>,
    reports: broadcast::Sender<Option<SandboxReport>>,
    points: CrashPoints,
    now: Now,
}

struct State {
    sandboxes: BTreeMap<SandboxId, Record>,
    deleted: BTreeSet<SandboxId>,
    images: BTreeMap<ImageName, ImageState>,
    /// Whether targets are reached at once or when the test says so.
    held: bool,
    failure: Option<SupervisorError>,
    refusal: Option<SupervisorError>,
    uid_base: Option<u32>,
    calls: usize,
    made: u32,
}

struct Record {
    target: Target,
    report: SandboxReport,
    /// Whether it has processes.
    runs: bool,
    /// Whether somebody woke it since it arrived where it was told to.
    roused: bool,
}

impl FakeSupervisor {
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self::with_points(now, CrashPoints::default())
    }

    pub fn with_points(now: impl Fn() -> Timestamp + Send + Sync + 'static, points: CrashPoints) -> Self {
        let built_at = now();
        let ready = ImageState::Ready { built_at, bytes: 1 };
        Self {
            state: Arc::new(Mutex::new(State {
                sandboxes: BTreeMap::new(),
                deleted: BTreeSet::new(),
                images: ImageName::ALL.map(|image| (image, ready.clone())).into(),
                held: false,
                failure: None,
                refusal: None,
                uid_base: None,
                calls: 0,
                made: 0,
            })),
            reports: broadcast::Sender::new(1024),
            points,
            now: Arc::new(now),
        }
    }

    /// From now on sandboxes stay on their way until [`Self::settle`].
    pub fn hold(&self) {
        self.lock().held = true;
    }

    /// Everything on its way arrives; later targets are reached at once.
    pub fn settle(&self) {
        let now = (self.now)();
        let mut state = self.lock();
        state.held = false;
        let all: Vec<_> = state.sandboxes.keys().copied().collect();
        let reports: Vec<_> = all
            .into_iter()
            .filter_map(|sandbox| state.arrive(sandbox, now))
            .collect();
        drop(state);
        reports.into_iter().for_each(|report| self.publish(report));
    }

    /// Every call fails with this until it is set to none.
    pub fn fail(&self, failure: Option<SupervisorError>) {
        self.lock().failure = failure;
    }

    /// Every target is refused with this until it is set to none.
    pub fn refuse(&self, refusal: Option<SupervisorError>) {
        self.lock().refusal = refusal;
    }

    /// Ends every stream of reports, as a restart of the real one does.
    pub fn drop_watchers(&self) {
        // Nobody listening is fine.
        let _ = self.reports.send(None);
    }

    /// Puts a sandbox into a state of the test's choice, and says so.
    pub fn set_state(&self, sandbox: SandboxId, sandbox_state: SandboxState, converged: bool) {
        let mut state = self.lock();
        let report = state.sandboxes.get_mut(&sandbox).map(|record| {
            record.report.state = sandbox_state;
            record.report.converged = converged;
            record.report.clone()
        });
        drop(state);
        report.into_iter().for_each(|report| self.publish(report));
    }

    /// The sandbox is lost without anybody asking for it, as after a reboot.
    pub fn lose(&self, sandbox: SandboxId) {
        self.lock().sandboxes.remove(&sandbox);
    }

    /// Later sandboxes all get this range: the test's own process can then speak on their sockets.
    pub fn set_uid_base(&self, uid_base: u32) {
        self.lock().uid_base = Some(uid_base);
    }

    pub fn set_image(&self, image: ImageName, image_state: ImageState) {
        self.lock().images.insert(image, image_state);
    }

    pub fn reports(&self) -> Vec<SandboxReport> {
        self.lock()
            .sandboxes
            .values()
            .map(|record| record.report.clone())
            .collect()
    }

    pub fn is_running(&self, sandbox: SandboxId) -> bool {
        self.lock()
            .sandboxes
            .get(&sandbox)
            .is_some_and(|record| matches!(record.report.state, SandboxState::Running { .. }))
    }

    /// Whether its processes go on: it runs, or was woken and not yet told to.
    pub(crate) fn is_awake(&self, sandbox: SandboxId) -> bool {
        let roused = |record: &Record| record.runs && record.roused;
        self.is_running(sandbox) || self.lock().sandboxes.get(&sandbox).is_some_and(roused)
    }

    /// The specification a sandbox was last told to run with.
    pub fn spec(&self, sandbox: SandboxId) -> Option<SandboxSpec> {
        match &self.lock().sandboxes.get(&sandbox)?.target {
            Target::Running { spec } => Some((**spec).clone()),
            Target::Asleep { .. } | Target::Stopped | Target::Gone => None,
        }
    }

    /// How often it was called, by anybody, for anything.
    pub fn calls(&self) -> usize {
        self.lock().calls
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, report: SandboxReport) {
        // Nobody listening is fine.
        let _ = self.reports.send(Some(report));
    }

    /// One call: a crash point before, the failure of the day, the effect, a crash point after.
    fn call<T: Send + 'static>(
        &self,
        effect: impl FnOnce(&Self) -> Result<T, SupervisorError> + Send + 'static,
    ) -> BoxFuture<'_, Result<T, SupervisorError>> {
        async move {
            self.points.pass().await;
            let failure = {
                let mut state = self.lock();
                state.calls += 1;
                state.failure.clone()
            };
            let outcome = match failure {
                Some(failure) => Err(failure),
                None => effect(self),
            };
            self.points.pass().await;
            outcome
        }
        .boxed()
    }

    fn accept(
        &self,
        sandbox: SandboxId,
        generation: Generation,
        target: Target,
    ) -> Result<(), SupervisorError> {
        let now = (self.now)();
        let mut state = self.lock();
        if let Some(refusal) = &state.refusal {
            return Err(refusal.clone());
        }
        if state.deleted.contains(&sandbox) {
            return match target {
                Target::Gone => Ok(()),
                Target::Running { .. } | Target::Asleep { .. } | Target::Stopped => {
                    Err(SupervisorError::Gone { sandbox })
                }
            };
        }
        if let Some(record) = state.sandboxes.get(&sandbox) {
            let newest = record.report.generation;
            if generation < newest {
                return Err(SupervisorError::Stale {
                    given: generation.0,
                    newest: newest.0,
                });
            }
            if generation == newest {
                return Ok(());
            }
        }
        let report = state.begin(sandbox, generation, target, now);
        let held = state.held;
        let arrived = if held { None } else { state.arrive(sandbox, now) };
        drop(state);
        self.publish(arrived.unwrap_or(report));
        Ok(())
    }
}

impl State {
    fn begin(
        &mut self,
        sandbox: SandboxId,
        generation: Generation,
        target: Target,
        since: Timestamp,
    ) -> SandboxReport {
        let known = self
            .sandboxes
            .get(&sandbox)
            .and_then(|record| record.report.uid_base);
        let uid_base = known.unwrap_or_else(|| {
            self.made += 1;
            self.uid_base.unwrap_or(FIRST_UID + (self.made - 1) * 65_536)
        });
        let report = SandboxReport {
            sandbox,
            generation,
            converged: false,
            state: match target {
                Target::Running { .. } => SandboxState::Requested {
                    waiting: Waiting::Turn,
                    since,
                },
                Target::Asleep { .. } | Target::Stopped | Target::Gone => SandboxState::Stopping { since },
            },
            uid_base: Some(uid_base),
        };
        let runs = self.sandboxes.get(&sandbox).is_some_and(|record| record.runs);
        self.sandboxes.insert(
            sandbox,
            Record {
                target,
                report: report.clone(),
                runs,
                roused: false,
            },
        );
        report
    }

    /// Brings one sandbox to its target; none is reported of one that is gone.
    fn arrive(&mut self, sandbox: SandboxId, since: Timestamp) -> Option<SandboxReport> {
        let record = self.sandboxes.get_mut(&sandbox)?;
        record.report.converged = true;
        record.runs = match record.target {
            Target::Running { .. } => true,
            Target::Asleep { depth, .. } => record.runs && depth != Depth::OnDisk,
            Target::Stopped | Target::Gone => false,
        };
        record.report.state = match record.target {
            Target::Running { .. } => SandboxState::Running { since },
            Target::Asleep { depth, .. } => SandboxState::Asleep {
                // What did not run does not begin to.
                depth: if record.runs { depth } else { Depth::OnDisk },
                since,
            },
            Target::Stopped => SandboxState::Stopped { since },
            Target::Gone => {
                self.sandboxes.remove(&sandbox);
                self.deleted.insert(sandbox);
                return None;
            }
        };
        Some(record.report.clone())
    }
}

impl Supervisor for FakeSupervisor {
    fn put_target(
        &self,
        sandbox: SandboxId,
        generation: Generation,
        target: Target,
    ) -> BoxFuture<'_, Result<(), SupervisorError>> {
        self.call(move |this| this.accept(sandbox, generation, target))
    }

    fn wake(&self, sandbox: SandboxId) -> BoxFuture<'_, Result<bool, SupervisorError>> {
        self.call(move |this| {
            let mut state = this.lock();
            Ok(state.sandboxes.get_mut(&sandbox).is_some_and(|record| {
                record.roused = record.runs;
                record.runs
            }))
        })
    }

    fn memory(&self, sandbox: SandboxId) -> BoxFuture<'_, Result<SandboxMemory, SupervisorError>> {
        self.call(move |this| {
            const HELD: u64 = 1 << 20;
            let state = this.lock();
            let Some(record) = state.sandboxes.get(&sandbox).filter(|record| record.runs) else {
                return Ok(SandboxMemory::default());
            };
            let is_out = matches!(
                record.report.state,
                SandboxState::Asleep {
                    depth: Depth::PagedOut,
                    ..
                }
            );
            Ok(SandboxMemory {
                resident_bytes: if is_out { 0 } else { HELD },
                swapped_bytes: if is_out { HELD } else { 0 },
            })
        })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<SandboxReport>, SupervisorError>> {
        self.call(|this| Ok(this.reports()))
    }

    fn watch(&self) -> BoxFuture<'_, Result<ReportStream, SupervisorError>> {
        self.call(|this| {
            let news = this.reports.subscribe();
            let first = stream::iter(this.reports());
            // A reader that fell behind loses its connection, as it would over a socket.
            let rest = stream::unfold(news, |mut news| async move {
                let report = news.recv().await.ok()??;
                Some((report, news))
            });
            Ok(first.chain(rest).boxed())
        })
    }

    fn images(&self) -> BoxFuture<'_, Result<Vec<ImageStatus>, SupervisorError>> {
        self.call(|this| {
            let state = this.lock();
            let status = |(name, image_state): (&ImageName, &ImageState)| ImageStatus {
                name: *name,
                version: "1.0.0".to_owned(),
                state: image_state.clone(),
            };
            Ok(state.images.iter().map(status).collect())
        })
    }

    fn build_image(&self, image: ImageName) -> BoxFuture<'_, Result<(), SupervisorError>> {
        self.call(move |this| {
            let mut state = this.lock();
            let present = state.images.entry(image).or_insert(ImageState::Absent);
            if !matches!(present, ImageState::Ready { .. }) {
                *present = ImageState::Building {
                    percent: 0,
                    step: "beginning".to_owned(),
                };
            }
            Ok(())
        })
    }

    fn remove_image(&self, image: ImageName) -> BoxFuture<'_, Result<(), SupervisorError>> {
        self.call(move |this| {
            let mut state = this.lock();
            let uses = |record: &&Record| match &record.target {
                Target::Running { spec } => spec.image() == image,
                Target::Asleep { .. } | Target::Stopped | Target::Gone => false,
            };
            let users = state.sandboxes.values().filter(uses).count();
            if users > 0 {
                let sandboxes = u32::try_from(users).unwrap_or(u32::MAX);
                return Err(SupervisorError::ImageInUse { image, sandboxes });
            }
            state.images.insert(image, ImageState::Absent);
            Ok(())
        })
    }

    fn host(&self) -> BoxFuture<'_, Result<HostReport, SupervisorError>> {
        self.call(|this| {
            Ok(HostReport {
                backend: "fake".to_owned(),
                tried: vec!["fake: it is one".to_owned()],
                sandboxes: u32::try_from(this.lock().sandboxes.len()).unwrap_or(u32::MAX),
                paging: PagingReport {
                    works: true,
                    found: "It is a fake.".to_owned(),
                    next: String::new(),
                },
            })
        })
    }
}
