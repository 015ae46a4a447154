//! The one task that owns a sandbox. It looks at everything, decides, does one thing, and looks again;
//! a change of target, the end of a process and the progress of an image only wake it.

use std::{future::pending, path::PathBuf, sync::Arc};

use creel_domain::{Depth, ImageName, SandboxId, SandboxReport, SandboxSpec, SandboxState, Target, Waiting};
use creel_protocol::{ImageState, inside};
use creel_sandbox::{Bundle, Error as BackendError, Inbound, Paged, Presence, ReadOnly, Volume};
use jiff::{SignedDuration, Timestamp};
use tokio::{
    sync::watch,
    time::{Duration, sleep},
};

use crate::{
    decide::{Act, Paging, Runs, Situation, Trouble, decide},
    files,
    records::Record,
    service::{Entry, Shared},
};

/// An image that nobody can build is tried again after so long, in case somebody mended the host.
const IMAGE_RETRY: Duration = Duration::from_secs(60);
/// What the host could not page out is tried again after so long: others may have woken and left room.
const PAGING_RETRY: SignedDuration = SignedDuration::from_secs(60);
/// What a bridge may say as its last words.
const LAST_WORDS_BYTES: u64 = 500;

pub(crate) struct Owner {
    shared: Arc<Shared>,
    entry: Arc<Entry>,
    sandbox: SandboxId,
    record: watch::Receiver<Record>,
    trouble: Trouble,
    stopping_since: Option<Timestamp>,
    /// Since when there is nothing to do.
    settled_since: Option<Timestamp>,
    paging: Paging,
}

/// What an act led to.
enum Then {
    Look,
    /// The sandbox is gone.
    Done,
}

impl Owner {
    pub(crate) fn new(shared: Arc<Shared>, entry: Arc<Entry>, record: watch::Receiver<Record>) -> Self {
        let sandbox = record.borrow().sandbox;
        Self {
            shared,
            entry,
            sandbox,
            record,
            trouble: Trouble::default(),
            stopping_since: None,
            settled_since: None,
            paging: Paging::Untried,
        }
    }

    pub(crate) async fn run(mut self) {
        let mut generation = None;
        loop {
            let record = self.record.borrow_and_update().clone();
            if generation
                .replace(record.generation)
                .is_some_and(|before| before != record.generation)
            {
                // Somebody wants something else: what went wrong before counts no more.
                self.trouble = Trouble::default();
            }
            match self.step(&record).await {
                Ok(Then::Look) => {}
                Ok(Then::Done) => return,
                Err(error) => {
                    tracing::warn!(sandbox = %self.sandbox, %error, "a sandbox is not as it is wanted");
                    self.trouble.failed(error.to_string(), self.now());
                    self.report_fault(&record);
                    self.rest_after_error().await;
                }
            }
        }
    }

    /// Looks, decides, acts once.
    async fn step(&mut self, record: &Record) -> Result<Then, BackendError> {
        let presence = self.shared.backend().look(self.sandbox).await?;
        if !matches!(presence, Presence::Running { .. }) {
            self.stopping_since = None;
        }
        if !matches!(presence, Presence::Running { frozen: true, .. }) {
            self.paging = Paging::Untried;
        }
        let runs = match &record.target {
            Target::Running { spec } => self.runs(spec),
            Target::Asleep { .. } | Target::Stopped | Target::Gone => Runs::Otherwise,
        };
        let image = match &record.target {
            Target::Running { spec } => self.image_state(spec.image()),
            Target::Asleep { .. } | Target::Stopped | Target::Gone => ImageState::Absent,
        };
        let awake_until = *self.entry.awake_until.lock().await;
        let now = self.now();
        let act = decide(
            &Situation {
                wanted: &record.target,
                presence,
                runs,
                image: &image,
                trouble: &self.trouble,
                stopping_since: self.stopping_since,
                stop_grace: SignedDuration::try_from(self.shared.options.stop_grace)
                    .unwrap_or(SignedDuration::MAX),
                awake_until,
                paging: self.paging,
            },
            now,
        );
        if !matches!(act, Act::Settled | Act::KeepFrozen { .. } | Act::PageOut) {
            self.settled_since = None;
        }
        self.act(act, record, presence).await
    }

    async fn act(&mut self, act: Act, record: &Record, presence: Presence) -> Result<Then, BackendError> {
        let shared = Arc::clone(&self.shared);
        let (backend, steps) = (shared.backend(), &*shared.options.steps);
        match act {
            Act::Keep { since } => {
                self.report(record, true, SandboxState::Running { since });
                tokio::select! {
                    ended = backend.ended(self.sandbox) => {
                        let mut reason = ended.reason();
                        let words = self.shared.options.layout.inbound(self.sandbox).join(inside::LAST_WORDS_NAME);
                        if let Some(words) = files::hostile_text(&words, LAST_WORDS_BYTES) {
                            reason = format!("{reason}: {words}");
                        }
                        tracing::warn!(sandbox = %self.sandbox, reason, "a sandbox ended by itself");
                        self.trouble.died(reason, since, self.now());
                        self.report_fault(record);
                    }
                    _ = self.record.changed() => {}
                }
            }
            Act::KeepFrozen { depth, until } => {
                let since = self.settled_since();
                self.report(record, true, SandboxState::Asleep { depth, since });
                let again = until.map(|until| self.until(until));
                tokio::select! {
                    _ = backend.ended(self.sandbox) => {}
                    () = self.entry.roused.notified() => {}
                    _ = self.record.changed() => {}
                    () = async {
                        match again {
                            Some(wait) => sleep(wait).await,
                            None => pending().await,
                        }
                    } => {}
                }
            }
            Act::PageOut => {
                let (since, depth) = (self.settled_since(), Depth::Frozen);
                self.report(record, false, SandboxState::Asleep { depth, since });
                tokio::select! {
                    paged = backend.page_out(self.sandbox) => {
                        self.paging = self.paged(paged);
                        steps.reached(self.sandbox, "paged out").await;
                    }
                    _ = backend.ended(self.sandbox) => {}
                    // It goes on already: what is under way ends with this.
                    () = self.entry.roused.notified() => {}
                    _ = self.record.changed() => {}
                }
            }
            Act::Freeze => {
                let awake_until = self.entry.awake_until.lock().await;
                // Somebody may have woken it since we decided.
                if awake_until.is_none_or(|until| until <= self.now()) {
                    backend.freeze(self.sandbox).await?;
                    steps.reached(self.sandbox, "frozen").await;
                }
            }
            Act::Thaw => {
                backend.thaw(self.sandbox).await?;
                steps.reached(self.sandbox, "thawed").await;
            }
            Act::Tell => {
                let Target::Running { spec } = &record.target else {
                    return Ok(Then::Look);
                };
                // The specification comes last: whoever finds it finds the rest done.
                backend.rename(self.sandbox, spec.name.as_str()).await?;
                steps.reached(self.sandbox, "renamed").await;
                self.write_spec(spec).await?;
                steps.reached(self.sandbox, "told").await;
            }
            Act::AwaitWord { since, until } => {
                self.report(record, false, SandboxState::Running { since });
                tokio::select! {
                    _ = backend.ended(self.sandbox) => {}
                    () = self.wait_until(until) => {}
                }
            }
            Act::Start => return self.start(record, presence).await,
            Act::AwaitImage { image, waiting } => {
                let waiting = self.have_built(image, waiting);
                let since = self.requested_since();
                self.report(record, false, SandboxState::Requested { waiting, since });
                let news = self.shared.options.images.watch(image);
                tokio::select! {
                    () = changed(news) => {}
                    () = sleep(IMAGE_RETRY) => {}
                    _ = self.record.changed() => {}
                }
            }
            Act::Rest { until } => {
                self.report_fault(record);
                self.wait_until(until).await;
            }
            Act::Terminate => {
                let since = *self.stopping_since.insert(self.now());
                self.report(record, false, SandboxState::Stopping { since });
                backend.terminate(self.sandbox).await?;
                steps.reached(self.sandbox, "asked to end").await;
            }
            Act::AwaitEnd { until } => {
                tokio::select! {
                    _ = backend.ended(self.sandbox) => {}
                    () = self.wait_until(until) => {}
                }
            }
            Act::Kill => {
                let since = self.stopping_since.unwrap_or_else(|| self.now());
                self.report(record, false, SandboxState::Stopping { since });
                backend.kill(self.sandbox).await?;
                steps.reached(self.sandbox, "killed").await;
            }
            Act::Release => {
                let since = self.now();
                self.report(record, false, SandboxState::Stopping { since });
                backend.release(self.sandbox, steps).await?;
            }
            Act::Settled => {
                let since = self.settled_since();
                self.trouble = Trouble::default();
                let state = match record.target {
                    Target::Asleep { .. } => SandboxState::Asleep {
                        depth: Depth::OnDisk,
                        since,
                    },
                    _ => SandboxState::Stopped { since },
                };
                self.report(record, true, state);
                // The sender lives as long as the entry that we hold.
                let _ = self.record.changed().await;
            }
            Act::Erase => return self.erase(record).await,
        }
        Ok(Then::Look)
    }

    async fn start(&mut self, record: &Record, presence: Presence) -> Result<Then, BackendError> {
        let Target::Running { spec } = &record.target else {
            return Ok(Then::Look);
        };
        let Some(rootfs) = self.shared.options.images.rootfs(spec.image()) else {
            return Ok(Then::Look);
        };
        let since = self.now();
        let shared = Arc::clone(&self.shared);
        let turn = tokio::select! {
            biased;
            turn = shared.starts.acquire() => turn,
            () = async {
                let waiting = Waiting::Turn;
                self.report(record, false, SandboxState::Requested { waiting, since });
                // The sender lives as long as the entry that we hold.
                let _ = self.record.changed().await;
            } => return Ok(Then::Look),
        };
        let attempt = self.trouble.failures + 1;
        self.report(record, false, SandboxState::Starting { attempt, since });
        let steps = &*shared.options.steps;
        if presence == Presence::Remains {
            shared.backend().release(self.sandbox, steps).await?;
        }
        self.write_spec(spec).await?;
        steps.reached(self.sandbox, "specification written").await;
        let outcome = shared
            .backend()
            .start(&self.bundle(record, spec, rootfs), steps)
            .await;
        drop(turn);
        if let Err(error) = outcome {
            // What it left is cleared now, not after the wait: it may hold memory.
            shared.backend().release(self.sandbox, steps).await?;
            return Err(error);
        }
        tracing::info!(sandbox = %self.sandbox, attempt, "a sandbox started");
        Ok(Then::Look)
    }

    async fn erase(&mut self, record: &Record) -> Result<Then, BackendError> {
        let since = self.now();
        self.report(record, false, SandboxState::Stopping { since });
        let shared = Arc::clone(&self.shared);
        let (backend, steps) = (shared.backend(), &*shared.options.steps);
        backend.erase(self.sandbox, steps).await?;
        let sandbox = self.sandbox;
        let directory = shared.options.layout.sandbox(sandbox);
        blocking("remove a sandbox's directory", move || {
            files::remove_tree(&directory)
        })
        .await?;
        steps.reached(sandbox, "directory removed").await;
        let left = backend.look(sandbox).await?;
        if left != Presence::Absent || backend.volume_bytes(sandbox).await?.is_some() {
            return Ok(Then::Look);
        }
        // No target is taken while the record turns into a tombstone.
        let mut taken = self.entry.taken.lock().await;
        let remembered = Arc::clone(&shared);
        blocking("remember that a sandbox is gone", move || {
            remembered.records.bury(sandbox)
        })
        .await?;
        steps.reached(sandbox, "tombstone written").await;
        let remembered = Arc::clone(&shared);
        blocking("forget a sandbox", move || remembered.records.remove(sandbox)).await?;
        steps.reached(sandbox, "record removed").await;
        *taken = None;
        shared.forget(sandbox);
        tracing::info!(%sandbox, "a sandbox is gone");
        let report = SandboxReport {
            converged: true,
            state: SandboxState::Stopped { since: self.now() },
            ..self.report_of(record, true, SandboxState::Stopped { since })
        };
        shared.reports.close(report);
        Ok(Then::Done)
    }

    fn bundle(&self, record: &Record, spec: &SandboxSpec, rootfs: PathBuf) -> Bundle {
        let layout = &self.shared.options.layout;
        let read_only = |host: PathBuf, inside: &str, executable| ReadOnly {
            host,
            inside: inside.into(),
            executable,
        };
        Bundle {
            sandbox: self.sandbox,
            hostname: spec.name.to_string(),
            rootfs,
            uid_base: record.slot.uid_base(),
            uid: inside::UID,
            limits: spec.limits,
            argv: vec![inside::BRIDGE.to_owned()],
            env: vec![
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
                format!("HOME={}", inside::HOME),
            ],
            volume: Volume {
                inside: inside::VOLUME.into(),
            },
            inbound: Inbound {
                host: layout.inbound(self.sandbox),
                inside: parent_of(inside::BRIDGE_SOCKET),
                gid: self.shared.options.control_gid,
            },
            read_only: vec![
                read_only(self.shared.bridge.clone(), inside::BRIDGE, true),
                ReadOnly {
                    host: layout.spec_dir(self.sandbox),
                    inside: parent_of(inside::SPEC),
                    executable: false,
                },
                ReadOnly {
                    host: layout.outbound(self.sandbox),
                    inside: parent_of(inside::UPLINK_SOCKET),
                    executable: false,
                },
            ],
        }
    }

    fn spec_file(&self) -> PathBuf {
        self.shared
            .options
            .layout
            .spec_dir(self.sandbox)
            .join("spec.json")
    }

    /// Written before each start and where what runs can be told, so what lies there is what runs. The bridge reads it
    /// again when it has changed.
    async fn write_spec(&self, spec: &SandboxSpec) -> Result<(), BackendError> {
        let text = serde_json::to_vec(spec).map_err(|error| BackendError::Io {
            doing: "write a specification".to_owned(),
            source: error.into(),
        })?;
        let (path, shared, sandbox) = (self.spec_file(), Arc::clone(&self.shared), self.sandbox);
        blocking("write a specification", move || {
            shared.make_directories(sandbox)?;
            files::replace(&path, 0o644, &text)
        })
        .await
    }

    fn runs(&self, wanted: &SandboxSpec) -> Runs {
        let text = std::fs::read(self.spec_file()).ok();
        match text.and_then(|text| serde_json::from_slice::<SandboxSpec>(&text).ok()) {
            Some(present) if present == *wanted => Runs::AsWanted,
            Some(present) if present.can_be_told_to(wanted) => Runs::CanBeTold,
            _ => Runs::Otherwise,
        }
    }

    fn image_state(&self, image: ImageName) -> ImageState {
        let listed = self.shared.options.images.list();
        let state = listed.into_iter().find(|status| status.name == image);
        state.map_or(ImageState::Absent, |status| status.state)
    }

    fn have_built(&self, image: ImageName, waiting: Waiting) -> Waiting {
        if self.image_state(image) != ImageState::Absent {
            return waiting;
        }
        match self.shared.options.images.build(image) {
            Ok(()) => waiting,
            Err(reason) => Waiting::NoImage { image, reason },
        }
    }

    fn requested_since(&self) -> Timestamp {
        match self.shared.reports.of(self.sandbox).map(|report| report.state) {
            Some(SandboxState::Requested { since, .. }) => since,
            _ => self.now(),
        }
    }

    fn settled_since(&mut self) -> Timestamp {
        let now = self.now();
        *self.settled_since.get_or_insert(now)
    }

    async fn rest_after_error(&mut self) {
        let until = self.trouble.retry_at.unwrap_or_else(|| self.now());
        self.wait_until(until).await;
    }

    /// That it could not be paged out is no fault: it rests, and wakes as it would have.
    fn paged(&self, outcome: Result<Paged, BackendError>) -> Paging {
        let reason = match outcome {
            Ok(Paged::Out) => return Paging::Out,
            Ok(Paged::Not { reason }) => reason,
            Err(error) => error.to_string(),
        };
        tracing::debug!(sandbox = %self.sandbox, reason, "a sandbox stays in memory");
        let now = self.now();
        Paging::Refused {
            retry_at: now.saturating_add(PAGING_RETRY).unwrap_or(now),
        }
    }

    fn until(&self, at: Timestamp) -> Duration {
        Duration::try_from(at.duration_since(self.now())).unwrap_or_default()
    }

    /// Until then or until somebody wants something else.
    async fn wait_until(&mut self, until: Timestamp) {
        let wait = self.until(until);
        tokio::select! {
            () = sleep(wait) => {}
            _ = self.record.changed() => {}
        }
    }

    fn report(&self, record: &Record, converged: bool, state: SandboxState) {
        self.shared
            .reports
            .publish(self.report_of(record, converged, state));
    }

    fn report_fault(&self, record: &Record) {
        let now = self.now();
        let state = SandboxState::Faulted {
            reason: self.trouble.reason.clone(),
            attempts: self.trouble.failures,
            since: self.trouble.since.unwrap_or(now),
            retry_at: self.trouble.retry_at.unwrap_or(now),
        };
        self.report(record, false, state);
    }

    fn report_of(&self, record: &Record, converged: bool, state: SandboxState) -> SandboxReport {
        SandboxReport {
            sandbox: self.sandbox,
            generation: record.generation,
            converged,
            state,
            uid_base: Some(record.slot.uid_base()),
        }
    }

    fn now(&self) -> Timestamp {
        self.shared.options.clock.now()
    }
}

async fn changed(news: Option<watch::Receiver<ImageState>>) {
    match news {
        Some(mut news) => {
            // A closed channel brings no more news.
            if news.changed().await.is_err() {
                pending::<()>().await;
            }
        }
        None => pending().await,
    }
}

fn parent_of(path: &str) -> PathBuf {
    std::path::Path::new(path)
        .parent()
        .map(PathBuf::from)
        .unwrap_or_default()
}

async fn blocking(
    doing: &str,
    work: impl FnOnce() -> std::io::Result<()> + Send + 'static,
) -> Result<(), BackendError> {
    let outcome = tokio::task::spawn_blocking(work)
        .await
        .map_err(std::io::Error::other)
        .flatten();
    outcome.map_err(|source| BackendError::Io {
        doing: doing.to_owned(),
        source,
    })
}
