//! A backend that isolates nothing and starts nothing: sandboxes are entries of a table. Fails and dies
//! when a test says so, and survives its owner as the kernel would.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use creel_domain::SandboxId;
use jiff::Timestamp;
use tokio::sync::watch;

use crate::{
    Backend, Bundle, Ended, Error, Memory, Paged, Paging, Places, Presence, Steps, Work, fs as files,
};

/// A world of sandboxes; clones share it.
#[derive(Clone)]
pub struct Fake {
    places: Places,
    world: Arc<Mutex<World>>,
    /// Counts changes, so that who waits looks again.
    changed: Arc<watch::Sender<u64>>,
}

#[derive(Default)]
struct World {
    sandboxes: BTreeMap<SandboxId, Entry>,
    volumes: BTreeMap<SandboxId, u64>,
    failures: VecDeque<String>,
    ignores_terminate: bool,
    /// Why nothing is paged out.
    no_paging: Option<String>,
    holds_paging: bool,
    next_pid: u32,
    starts: u64,
    thaws: u64,
}

impl World {
    fn run(&mut self, sandbox: SandboxId) {
        self.next_pid += 1;
        self.starts += 1;
        if let Some(entry) = self.sandboxes.get_mut(&sandbox) {
            entry.running = Some((self.next_pid, Timestamp::now()));
            entry.frozen = false;
            entry.paged_out = false;
        }
    }
}

#[derive(Default, Clone)]
struct Entry {
    running: Option<(u32, Timestamp)>,
    frozen: bool,
    paged_out: bool,
    ended: Ended,
    bundle: Option<Bundle>,
}

impl Fake {
    /// Pretends in these places.
    pub fn new(places: Places) -> Self {
        Self {
            places,
            world: Arc::default(),
            changed: Arc::new(watch::Sender::new(0)),
        }
    }

    /// Makes the next starts fail, one for each sentence.
    pub fn fail_starts(&self, reasons: impl IntoIterator<Item = String>) {
        self.world().failures.extend(reasons);
    }

    /// Makes first processes deaf to a request to end.
    pub fn ignore_terminate(&self) {
        self.world().ignores_terminate = true;
    }

    /// Ends a sandbox's first process from inside.
    pub fn die(&self, sandbox: SandboxId, ended: Ended) {
        self.end(sandbox, ended);
    }

    /// Ends everything, as a reboot of the host does.
    pub fn reboot(&self) {
        self.world().sandboxes.clear();
        self.tell();
    }

    /// What the running sandbox was made from.
    pub fn running(&self, sandbox: SandboxId) -> Option<Bundle> {
        let world = self.world();
        let entry = world.sandboxes.get(&sandbox)?;
        entry.running.and_then(|_| entry.bundle.clone())
    }

    /// Whether it runs and is held still.
    pub fn is_frozen(&self, sandbox: SandboxId) -> bool {
        let world = self.world();
        let entry = world.sandboxes.get(&sandbox);
        entry.is_some_and(|entry| entry.running.is_some() && entry.frozen)
    }

    /// Whether it is held still and its memory is out.
    pub fn is_paged_out(&self, sandbox: SandboxId) -> bool {
        let world = self.world();
        let entry = world.sandboxes.get(&sandbox);
        entry.is_some_and(|entry| entry.running.is_some() && entry.frozen && entry.paged_out)
    }

    /// From now on nothing is paged out, for this reason; none: it is again.
    pub fn refuse_paging(&self, reason: Option<String>) {
        self.world().no_paging = reason;
        self.tell();
    }

    /// From now on paging out begins and does not end; `false`: what began ends.
    pub fn hold_paging(&self, holds: bool) {
        self.world().holds_paging = holds;
        self.tell();
    }

    fn hold(&self, sandbox: SandboxId, frozen: bool) {
        let world = &mut *self.world();
        if let Some(entry) = world.sandboxes.get_mut(&sandbox) {
            let was_frozen = entry.frozen;
            entry.frozen = frozen && entry.running.is_some();
            entry.paged_out &= entry.frozen;
            world.thaws += u64::from(was_frozen && !frozen);
        }
    }

    async fn page_out_now(&self, sandbox: SandboxId) -> Result<Paged, Error> {
        let mut changed = self.changed.subscribe();
        while self.world().holds_paging {
            if changed.changed().await.is_err() {
                break;
            }
        }
        let mut world = self.world();
        if let Some(reason) = world.no_paging.clone() {
            return Ok(Paged::Not { reason });
        }
        match world.sandboxes.get_mut(&sandbox) {
            Some(entry) if entry.frozen => {
                entry.paged_out = true;
                Ok(Paged::Out)
            }
            _ => Ok(Paged::Not {
                reason: "it is not held still".to_owned(),
            }),
        }
    }

    /// How often a first process was started.
    pub fn starts(&self) -> u64 {
        self.world().starts
    }

    /// How often one that was held still was let go on.
    pub fn thaws(&self) -> u64 {
        self.world().thaws
    }

    /// Whether nothing at all is there, volumes included.
    pub fn is_empty(&self) -> bool {
        let world = self.world();
        world.sandboxes.is_empty() && world.volumes.is_empty()
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    fn end(&self, sandbox: SandboxId, ended: Ended) {
        if let Some(entry) = self.world().sandboxes.get_mut(&sandbox)
            && entry.running.take().is_some()
        {
            entry.ended = ended;
        }
        self.tell();
    }

    async fn start_now(&self, bundle: &Bundle, steps: &dyn Steps) -> Result<(), Error> {
        let sandbox = bundle.sandbox;
        let made = Entry {
            bundle: Some(bundle.clone()),
            ..Entry::default()
        };
        self.world().sandboxes.insert(sandbox, made);
        steps.reached(sandbox, "directories made").await;
        self.make_volume(bundle)?;
        steps.reached(sandbox, "volume made").await;
        std::fs::create_dir_all(self.places.inbound(sandbox))
            .map_err(Error::io("make a socket directory"))?;
        steps.reached(sandbox, "socket directory mounted").await;
        if let Some(reason) = self.world().failures.pop_front() {
            return Err(Error::Injected(reason));
        }
        self.world().run(sandbox);
        self.tell();
        steps.reached(sandbox, "process started").await;
        Ok(())
    }

    fn make_volume(&self, bundle: &Bundle) -> Result<(), Error> {
        let mut world = self.world();
        let present = world.volumes.entry(bundle.sandbox).or_default();
        if *present > bundle.limits.disk_bytes {
            return Err(Error::Volume("the volume cannot shrink".to_owned()));
        }
        *present = bundle.limits.disk_bytes;
        Ok(())
    }

    async fn release_now(&self, sandbox: SandboxId, steps: &dyn Steps) -> Result<(), Error> {
        self.end(sandbox, killed());
        steps.reached(sandbox, "processes ended").await;
        files::remove_tree(&self.places.inbound(sandbox))?;
        steps.reached(sandbox, "socket directory removed").await;
        self.world().sandboxes.remove(&sandbox);
        steps.reached(sandbox, "bundle removed").await;
        Ok(())
    }

    async fn erase_now(&self, sandbox: SandboxId, steps: &dyn Steps) -> Result<(), Error> {
        self.release_now(sandbox, steps).await?;
        self.world().volumes.remove(&sandbox);
        steps.reached(sandbox, "volume removed").await;
        Ok(())
    }

    async fn ended_now(&self, sandbox: SandboxId) -> Ended {
        let mut changed = self.changed.subscribe();
        loop {
            let entry = self.world().sandboxes.get(&sandbox).cloned().unwrap_or_default();
            if entry.running.is_none() || changed.changed().await.is_err() {
                return entry.ended;
            }
        }
    }
}

fn killed() -> Ended {
    Ended {
        status: Some(137),
        out_of_memory: false,
    }
}

impl Backend for Fake {
    fn name(&self) -> &str {
        "fake"
    }

    fn start<'a>(&'a self, bundle: &'a Bundle, steps: &'a dyn Steps) -> Work<'a, Result<(), Error>> {
        Box::pin(self.start_now(bundle, steps))
    }

    fn look(&self, sandbox: SandboxId) -> Work<'_, Result<Presence, Error>> {
        let presence = match self.world().sandboxes.get(&sandbox) {
            Some(Entry {
                running: Some((pid, since)),
                frozen,
                ..
            }) => Presence::Running {
                pid: *pid,
                since: *since,
                frozen: *frozen,
            },
            Some(_) => Presence::Remains,
            None if self.places.inbound(sandbox).exists() => Presence::Remains,
            None => Presence::Absent,
        };
        Box::pin(std::future::ready(Ok(presence)))
    }

    fn ended(&self, sandbox: SandboxId) -> Work<'_, Ended> {
        Box::pin(self.ended_now(sandbox))
    }

    fn terminate(&self, sandbox: SandboxId) -> Work<'_, Result<(), Error>> {
        let deaf = self.world().ignores_terminate;
        if !deaf {
            let ended = Ended {
                status: Some(0),
                out_of_memory: false,
            };
            self.end(sandbox, ended);
        }
        Box::pin(std::future::ready(Ok(())))
    }

    fn freeze(&self, sandbox: SandboxId) -> Work<'_, Result<(), Error>> {
        self.hold(sandbox, true);
        Box::pin(std::future::ready(Ok(())))
    }

    fn thaw(&self, sandbox: SandboxId) -> Work<'_, Result<(), Error>> {
        self.hold(sandbox, false);
        Box::pin(std::future::ready(Ok(())))
    }

    fn rename<'a>(&'a self, sandbox: SandboxId, hostname: &'a str) -> Work<'a, Result<(), Error>> {
        if let Some(entry) = self.world().sandboxes.get_mut(&sandbox)
            && let (Some(_), Some(bundle)) = (entry.running, entry.bundle.as_mut())
        {
            hostname.clone_into(&mut bundle.hostname);
        }
        Box::pin(std::future::ready(Ok(())))
    }

    fn page_out(&self, sandbox: SandboxId) -> Work<'_, Result<Paged, Error>> {
        Box::pin(self.page_out_now(sandbox))
    }

    fn memory(&self, sandbox: SandboxId) -> Work<'_, Result<Memory, Error>> {
        const HELD: u64 = 1 << 20;
        let memory = match self.world().sandboxes.get(&sandbox) {
            Some(entry) if entry.running.is_some() && entry.paged_out => Memory {
                resident_bytes: 0,
                swapped_bytes: HELD,
            },
            Some(entry) if entry.running.is_some() => Memory {
                resident_bytes: HELD,
                swapped_bytes: 0,
            },
            _ => Memory::default(),
        };
        Box::pin(std::future::ready(Ok(memory)))
    }

    fn paging(&self) -> Work<'_, Paging> {
        let reason = self.world().no_paging.clone();
        let paging = Paging {
            works: reason.is_none(),
            next: reason.as_ref().map(|_| "Mend it.".to_owned()).unwrap_or_default(),
            found: reason.unwrap_or_else(|| "It is a fake.".to_owned()),
        };
        Box::pin(std::future::ready(paging))
    }

    fn kill(&self, sandbox: SandboxId) -> Work<'_, Result<(), Error>> {
        self.end(sandbox, killed());
        Box::pin(std::future::ready(Ok(())))
    }

    fn release<'a>(&'a self, sandbox: SandboxId, steps: &'a dyn Steps) -> Work<'a, Result<(), Error>> {
        Box::pin(self.release_now(sandbox, steps))
    }

    fn erase<'a>(&'a self, sandbox: SandboxId, steps: &'a dyn Steps) -> Work<'a, Result<(), Error>> {
        Box::pin(self.erase_now(sandbox, steps))
    }

    fn volume_bytes(&self, sandbox: SandboxId) -> Work<'_, Result<Option<u64>, Error>> {
        let bytes = self.world().volumes.get(&sandbox).copied();
        Box::pin(std::future::ready(Ok(bytes)))
    }

    fn list(&self) -> Work<'_, Result<Vec<SandboxId>, Error>> {
        let mut found: Vec<SandboxId> = self.world().sandboxes.keys().copied().collect();
        found.extend(
            self.places
                .known()
                .into_iter()
                .filter(|sandbox| self.places.inbound(*sandbox).exists()),
        );
        found.sort_unstable();
        found.dedup();
        Box::pin(std::future::ready(Ok(found)))
    }
}
