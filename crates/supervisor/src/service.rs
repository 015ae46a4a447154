//! Taking targets: checks them, fences them by generation, remembers them, and wakes the owners.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use creel_domain::{Depth, Generation, ImageName, SandboxId, SandboxReport, SandboxState, Target, Waiting};
use creel_protocol::{
    HostReport, ImageStatus, PagingReport, ReportStream, SandboxMemory, Supervisor, SupervisorError,
};
use creel_sandbox::{Backend, Places, Presence};
use futures_util::{FutureExt as _, future::BoxFuture};
use rustix::fs::FlockOperation;
use tokio::sync::{Notify, Semaphore, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Error, Options, files,
    owner::Owner,
    records::{Record, Records},
    reports::Reports,
    slots::{self, MAX_SANDBOXES, Slot},
    sweep,
};

/// How long a sandbox that somebody woke stays awake without a target that says so.
const WORD_WITHIN: jiff::SignedDuration = jiff::SignedDuration::from_secs(10);

/// The supervisor at work. Dropping it stops the work where it stands, as a crash does; sandboxes live on.
pub struct Service {
    shared: Arc<Shared>,
    tasks: TaskTracker,
    end: CancellationToken,
    /// Held as long as we work with the directory; the kernel lets go of it when we die.
    _lock: File,
}

/// Speaks to the service; cheap to clone.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
    tasks: TaskTracker,
    end: CancellationToken,
}

/// What all owners share.
pub(crate) struct Shared {
    pub(crate) options: Options,
    /// The copy of the bridge that sandboxes mount.
    pub(crate) bridge: PathBuf,
    pub(crate) records: Records,
    pub(crate) reports: Reports,
    /// Starts under way.
    pub(crate) starts: Semaphore,
    entries: Mutex<BTreeMap<SandboxId, Arc<Entry>>>,
    seed: String,
}

/// One sandbox.
pub(crate) struct Entry {
    slot: Slot,
    /// Locked while a target is taken. None: there is none yet, or no longer.
    pub(crate) taken: tokio::sync::Mutex<Option<watch::Sender<Record>>>,
    /// Until when it is not frozen, because somebody woke it. Held while it is frozen or thawed.
    pub(crate) awake_until: tokio::sync::Mutex<Option<jiff::Timestamp>>,
    /// Somebody woke it.
    pub(crate) roused: Notify,
}

impl Entry {
    fn new(slot: Slot) -> Self {
        Self {
            slot,
            taken: tokio::sync::Mutex::default(),
            awake_until: tokio::sync::Mutex::default(),
            roused: Notify::new(),
        }
    }
}

impl Service {
    /// Reads what is remembered, clears away what nobody remembers, and begins to bring each sandbox to
    /// its target. What runs and matches is left running.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let layout = &options.layout;
        for (path, mode) in [
            (layout.data().to_owned(), 0o711),
            (layout.supervisor(), 0o700),
            (layout.volumes(), 0o711),
            (layout.run(), 0o711),
            (layout.sandboxes(), 0o711),
        ] {
            files::directory(&path, mode)?;
        }
        if let Some(path) = files::no_way_in(layout.data()) {
            return Err(Error::NoWayIn {
                path: path.to_owned(),
            });
        }
        let lock = lock(&layout.supervisor(), layout.data())?;
        let bridge = install_bridge(&options.bridge, &layout.run().join("bridge"))?;
        let (records, found) = Records::open(layout.supervisor())?;
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let shared = Arc::new(Shared {
            bridge,
            records,
            reports: Reports::new(),
            starts: Semaphore::new((2 * cores).max(4)),
            entries: Mutex::default(),
            seed: Places::cgroup_for(layout.data()),
            options,
        });
        sweep::sweep(&shared, &found).await?;
        let service = Self {
            shared,
            tasks: TaskTracker::new(),
            end: CancellationToken::new(),
            _lock: lock,
        };
        for record in found.into_values() {
            service.handle().adopt(record).await;
        }
        service.tasks.spawn(
            service
                .end
                .clone()
                .run_until_cancelled_owned(sweep::reap_for_ever()),
        );
        Ok(service)
    }

    pub fn handle(&self) -> Handle {
        Handle {
            shared: Arc::clone(&self.shared),
            tasks: self.tasks.clone(),
            end: self.end.clone(),
        }
    }

    /// Stops working, and returns when nothing is under way any more. Sandboxes live on and are found
    /// again by the next service.
    pub async fn stop(self) {
        self.end.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Stops working, and kills every sandbox. Volumes and targets stay, so the next service starts them.
    pub async fn stop_all(self) -> Result<(), Error> {
        let shared = Arc::clone(&self.shared);
        self.end.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        for sandbox in shared.backend().list().await? {
            // Each is asked; whoever does not end in time is killed.
            shared.backend().terminate(sandbox).await?;
        }
        for sandbox in shared.backend().list().await? {
            let ended = shared.backend().ended(sandbox);
            // Late or not: what follows kills.
            let _ = tokio::time::timeout(shared.options.stop_grace, ended).await;
            shared.backend().release(sandbox, &*shared.options.steps).await?;
        }
        Ok(())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

impl Shared {
    pub(crate) fn backend(&self) -> &dyn Backend {
        &*self.options.backend.backend
    }

    pub(crate) fn forget(&self, sandbox: SandboxId) {
        self.entries().remove(&sandbox);
    }

    /// What control and the inside meet in: there from the acceptance of a target to the end.
    pub(crate) fn make_directories(&self, sandbox: SandboxId) -> io::Result<()> {
        let layout = &self.options.layout;
        for (path, mode) in [
            (layout.sandbox(sandbox), 0o711),
            (layout.spec_dir(sandbox), 0o755),
            (layout.outbound(sandbox), 0o755),
        ] {
            fs::create_dir_all(&path)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        }
        let (uid, gid) = (self.options.control_uid, self.options.control_gid);
        chown(layout.outbound(sandbox), Some(uid), Some(gid))
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<SandboxId, Arc<Entry>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sandbox's entry, made when there is none and one more fits.
    fn entry(&self, sandbox: SandboxId) -> Result<Arc<Entry>, SupervisorError> {
        let mut entries = self.entries();
        if let Some(entry) = entries.get(&sandbox) {
            return Ok(Arc::clone(entry));
        }
        let full = || SupervisorError::Full {
            reason: format!(
                "this host has {MAX_SANDBOXES} sandboxes, which is all it takes: delete some agents"
            ),
        };
        if entries.len() >= MAX_SANDBOXES {
            return Err(full());
        }
        let used = entries.values().map(|entry| entry.slot).collect();
        let slot = slots::free(&used, &self.seed).ok_or_else(full)?;
        let entry = Arc::new(Entry::new(slot));
        entries.insert(sandbox, Arc::clone(&entry));
        Ok(entry)
    }
}

impl Handle {
    /// Goes on with what was remembered.
    async fn adopt(&self, record: Record) {
        let entry = Arc::new(Entry::new(record.slot));
        self.shared.entries().insert(record.sandbox, Arc::clone(&entry));
        if !matches!(record.target, Target::Gone)
            && let Err(error) = self.shared.make_directories(record.sandbox)
        {
            // Made again at the next start, with an error that is reported.
            tracing::warn!(sandbox = %record.sandbox, %error, "the directories of a sandbox could not be made");
        }
        let mut taken = entry.taken.lock().await;
        self.begin(&entry, &mut taken, record);
    }

    /// Gives the sandbox its owner.
    fn begin(&self, entry: &Arc<Entry>, taken: &mut Option<watch::Sender<Record>>, record: Record) {
        let (sender, receiver) = watch::channel(record);
        let owner = Owner::new(Arc::clone(&self.shared), Arc::clone(entry), receiver);
        *taken = Some(sender);
        self.tasks
            .spawn(self.end.clone().run_until_cancelled_owned(owner.run()));
    }

    async fn put(
        &self,
        sandbox: SandboxId,
        generation: Generation,
        target: Target,
    ) -> Result<(), SupervisorError> {
        check(&target)?;
        if self.end.is_cancelled() {
            return Err(SupervisorError::Unreachable {
                reason: "it is ending".to_owned(),
            });
        }
        loop {
            if self.shared.records.is_gone(sandbox) {
                return gone(sandbox, &target);
            }
            let entry = self.shared.entry(sandbox)?;
            let mut taken = entry.taken.lock().await;
            let present = taken.as_ref().map(|sender| sender.borrow().clone());
            let ours = self
                .shared
                .entries()
                .get(&sandbox)
                .is_some_and(|present| Arc::ptr_eq(present, &entry));
            if !ours {
                // It went while we waited: look again, and find its tombstone.
                continue;
            }
            if let Some(present) = &present
                && !newer(present, generation, &target)?
            {
                return Ok(());
            }
            let record = Record::new(sandbox, generation, target, entry.slot);
            let outcome = self.take(&entry, &mut taken, record).await;
            if outcome.is_err() && taken.is_none() {
                self.shared.forget(sandbox);
            }
            return outcome;
        }
    }

    async fn take(
        &self,
        entry: &Arc<Entry>,
        taken: &mut Option<watch::Sender<Record>>,
        record: Record,
    ) -> Result<(), SupervisorError> {
        self.refuse_to_shrink(&record).await?;
        let (shared, written) = (Arc::clone(&self.shared), record.clone());
        let write = move || {
            if !matches!(written.target, Target::Gone) {
                shared.make_directories(written.sandbox)?;
            }
            shared.records.write(&written)
        };
        tokio::task::spawn_blocking(write)
            .await
            .map_err(io::Error::other)
            .flatten()
            .map_err(|error| SupervisorError::Failed {
                reason: format!("the target could not be written down: {error}"),
            })?;
        self.shared
            .options
            .steps
            .reached(record.sandbox, "record written")
            .await;
        if matches!(record.target, Target::Running { .. }) {
            // Whoever woke it has said what is wanted: the next rest need not wait.
            *entry.awake_until.lock().await = None;
        }
        match taken {
            Some(sender) => {
                sender.send_replace(record);
            }
            None => {
                self.shared
                    .reports
                    .publish(first_report(&record, self.shared.options.clock.now()));
                self.begin(entry, taken, record);
            }
        }
        Ok(())
    }

    async fn refuse_to_shrink(&self, record: &Record) -> Result<(), SupervisorError> {
        let Target::Running { spec } = &record.target else {
            return Ok(());
        };
        let present = self.shared.backend().volume_bytes(record.sandbox).await;
        let present = present.map_err(|error| SupervisorError::Failed {
            reason: error.to_string(),
        })?;
        let wanted = spec.limits.disk_bytes;
        match present {
            Some(present) if present > wanted => Err(SupervisorError::Invalid {
                reason: format!(
                    "its volume has {present} bytes and cannot shrink to {wanted}: keep disk_bytes at {present} \
                     or more, or make a new agent"
                ),
            }),
            _ => Ok(()),
        }
    }

    fn users_of(&self, image: ImageName) -> usize {
        let entries: Vec<Arc<Entry>> = self.shared.entries().values().cloned().collect();
        let is_user = |entry: &&Arc<Entry>| {
            // One that is just taking a target is counted: better refused once than pulled away.
            entry.taken.try_lock().map_or(true, |taken| {
                taken
                    .as_ref()
                    .is_some_and(|record| uses(&record.borrow().target, image))
            })
        };
        entries.iter().filter(is_user).count()
    }

    async fn rouse(&self, sandbox: SandboxId) -> Result<bool, SupervisorError> {
        let failed = |error: creel_sandbox::Error| SupervisorError::Failed {
            reason: error.to_string(),
        };
        let entry = self.shared.entries().get(&sandbox).cloned();
        let Some(entry) = entry else { return Ok(false) };
        {
            let mut awake_until = entry.awake_until.lock().await;
            let now = self.shared.options.clock.now();
            *awake_until = now.checked_add(WORD_WITHIN).ok();
            self.shared.backend().thaw(sandbox).await.map_err(failed)?;
        }
        entry.roused.notify_one();
        let presence = self.shared.backend().look(sandbox).await.map_err(failed)?;
        Ok(matches!(presence, Presence::Running { .. }))
    }
}

impl Supervisor for Handle {
    fn put_target(
        &self,
        sandbox: SandboxId,
        generation: Generation,
        target: Target,
    ) -> BoxFuture<'_, Result<(), SupervisorError>> {
        // On a task of its own: who asks may hang up, and what was begun is finished.
        let this = self.clone();
        let work = self.tasks.spawn(async move {
            let end = this.end.clone();
            end.run_until_cancelled(this.put(sandbox, generation, target))
                .await
        });
        async move {
            match work.await {
                Ok(Some(outcome)) => outcome,
                Ok(None) | Err(_) => Err(SupervisorError::Unreachable {
                    reason: "it is ending".to_owned(),
                }),
            }
        }
        .boxed()
    }

    fn wake(&self, sandbox: SandboxId) -> BoxFuture<'_, Result<bool, SupervisorError>> {
        self.rouse(sandbox).boxed()
    }

    fn memory(&self, sandbox: SandboxId) -> BoxFuture<'_, Result<SandboxMemory, SupervisorError>> {
        async move {
            let memory = self.shared.backend().memory(sandbox).await;
            let memory = memory.map_err(|error| SupervisorError::Failed {
                reason: error.to_string(),
            })?;
            Ok(SandboxMemory {
                resident_bytes: memory.resident_bytes,
                swapped_bytes: memory.swapped_bytes,
            })
        }
        .boxed()
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<SandboxReport>, SupervisorError>> {
        std::future::ready(Ok(self.shared.reports.all())).boxed()
    }

    fn watch(&self) -> BoxFuture<'_, Result<ReportStream, SupervisorError>> {
        use futures_util::StreamExt as _;
        let end = self.end.clone();
        let reports = self
            .shared
            .reports
            .watch()
            .take_until(async move { end.cancelled().await });
        std::future::ready(Ok(reports.boxed())).boxed()
    }

    fn images(&self) -> BoxFuture<'_, Result<Vec<ImageStatus>, SupervisorError>> {
        std::future::ready(Ok(self.shared.options.images.list())).boxed()
    }

    fn build_image(&self, image: ImageName) -> BoxFuture<'_, Result<(), SupervisorError>> {
        let outcome = self.shared.options.images.build(image);
        std::future::ready(outcome.map_err(|reason| SupervisorError::Failed { reason })).boxed()
    }

    fn remove_image(&self, image: ImageName) -> BoxFuture<'_, Result<(), SupervisorError>> {
        let this = self.clone();
        async move {
            let users = this.users_of(image);
            if users > 0 {
                let sandboxes = u32::try_from(users).unwrap_or(u32::MAX);
                return Err(SupervisorError::ImageInUse { image, sandboxes });
            }
            let images = Arc::clone(&this.shared.options.images);
            tokio::task::spawn_blocking(move || images.remove(image))
                .await
                .map_err(|error| error.to_string())
                .flatten()
                .map_err(|reason| SupervisorError::Failed { reason })
        }
        .boxed()
    }

    fn host(&self) -> BoxFuture<'_, Result<HostReport, SupervisorError>> {
        async move {
            let paging = self.shared.backend().paging().await;
            Ok(HostReport {
                backend: self.shared.backend().name().to_owned(),
                tried: self.shared.options.backend.tried.clone(),
                sandboxes: u32::try_from(self.shared.entries().len()).unwrap_or(u32::MAX),
                paging: PagingReport {
                    works: paging.works,
                    found: paging.found,
                    next: paging.next,
                },
            })
        }
        .boxed()
    }
}

/// Whether an image must stay for the sake of what was told to run or to rest in memory.
fn uses(target: &Target, wanted: ImageName) -> bool {
    match target {
        Target::Running { spec } => spec.image() == wanted,
        Target::Asleep { depth, image } => *depth != Depth::OnDisk && *image == wanted,
        Target::Stopped | Target::Gone => false,
    }
}

/// Checks a target as if it came from an enemy: who speaks to us may have been taken over.
fn check(target: &Target) -> Result<(), SupervisorError> {
    let Target::Running { spec } = target else {
        return Ok(());
    };
    let invalid = |reason: String| SupervisorError::Invalid { reason };
    spec.limits
        .check(spec.runtime)
        .map_err(|error| invalid(error.to_string()))?;
    spec.files.check().map_err(|error| invalid(error.to_string()))
}

/// Whether this target is newer than what was taken before; refuses one that is older.
fn newer(present: &Record, generation: Generation, target: &Target) -> Result<bool, SupervisorError> {
    if matches!(present.target, Target::Gone) {
        return gone(present.sandbox, target).map(|()| false);
    }
    match generation.cmp(&present.generation) {
        std::cmp::Ordering::Less => Err(SupervisorError::Stale {
            given: generation.0,
            newest: present.generation.0,
        }),
        std::cmp::Ordering::Equal => Ok(false),
        std::cmp::Ordering::Greater => Ok(true),
    }
}

fn gone(sandbox: SandboxId, target: &Target) -> Result<(), SupervisorError> {
    match target {
        Target::Gone => Ok(()),
        Target::Running { .. } | Target::Asleep { .. } | Target::Stopped => {
            Err(SupervisorError::Gone { sandbox })
        }
    }
}

fn first_report(record: &Record, since: jiff::Timestamp) -> SandboxReport {
    SandboxReport {
        sandbox: record.sandbox,
        generation: record.generation,
        converged: false,
        state: match record.target {
            Target::Running { .. } => SandboxState::Requested {
                waiting: Waiting::Turn,
                since,
            },
            Target::Asleep { .. } | Target::Stopped | Target::Gone => SandboxState::Stopping { since },
        },
        uid_base: Some(record.slot.uid_base()),
    }
}

fn lock(directory: &Path, data: &Path) -> Result<File, Error> {
    let path = directory.join("lock");
    let file = File::create(&path).map_err(Error::io("open", &path))?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(Error::AlreadyRunning {
            data: data.to_owned(),
        }),
        Err(errno) => Err(Error::io("lock", &path)(errno.into())),
    }
}

/// Copies the bridge to where the users of sandboxes can reach it. Sandboxes that run keep theirs.
fn install_bridge(from: &Path, to: &Path) -> Result<PathBuf, Error> {
    let program = fs::read(from).map_err(Error::io("read the bridge", from))?;
    if fs::read(to).is_ok_and(|present| present == program) {
        return Ok(to.to_owned());
    }
    files::replace(to, 0o755, &program).map_err(Error::io("write the bridge", to))?;
    Ok(to.to_owned())
}
