//! Sandboxes by an OCI runtime's command line: `crun`, `runc` or `runsc`.
//!
//! The runtime is asked for one thing only, to start the first process as `config` says. Everything
//! after that is read from and done to the kernel directly: it is quicker, and it works when the
//! runtime's own state was lost. The sandbox is no child of the runtime and outlives us.

mod config;
mod runtime;
mod seccomp;

use std::{
    collections::BTreeSet,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};

use creel_domain::SandboxId;
use tokio::sync::{Mutex, RwLock};

pub use runtime::Runtime;

use config::{Facts, config};

use crate::{
    Backend, Bundle, Ended, Error, Memory, Paged, Paging, Places, Presence, Steps, Work,
    backend::blocking,
    cgroup::Cgroups,
    fs as files, hostname, mounts,
    paging::{self, Stop, Swept},
    pid::{self, Held},
    swap::{self, Swap},
    volume::{self, VolumeFiles},
};

/// From the kill of a sandbox's first process to the end of all others.
const KILL_DEADLINE: Duration = Duration::from_secs(20);

/// After paging out was tried and did not work.
const PROBE_AGAIN: Duration = Duration::from_secs(60);

/// After a look that failed.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// An OCI runtime as a backend.
#[derive(Clone)]
pub struct Oci {
    inner: Arc<Inner>,
}

struct Inner {
    runtime: Runtime,
    places: Places,
    cgroups: Cgroups,
    facts: Facts,
    /// Read while groups are made, written while the empty parent is removed.
    parent: RwLock<()>,
    /// What was found about paging out, when, and how much swap there was then. Locked while it is tried.
    paging: Mutex<Option<(Paging, Instant, u64)>>,
    /// One sandbox at a time is paged out: what fits one might not fit two.
    pager: Mutex<()>,
}

/// Less than this in memory is not worth a word when the kernel keeps it.
const LITTLE_BYTES: u64 = 1 << 20;

impl Oci {
    /// Makes its directories. Whether the runtime works is for [`crate::choose`] to find out.
    pub fn new(runtime: Runtime, places: Places) -> Result<Self, Error> {
        for (directory, mode) in [
            (&places.volumes, 0o711),
            (&places.sandboxes, 0o711),
            (&places.bundles, 0o700),
            (&places.runtime, 0o700),
        ] {
            std::fs::create_dir_all(directory)
                .map_err(Error::io(format!("make directory {}", directory.display())))?;
            files::directory(directory, mode)?;
        }
        let cgroups = Cgroups::of_this_host()?;
        let open_files = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
        let facts = Facts {
            bounds_swap: cgroups.bounds_swap(),
            open_files: open_files.unwrap_or(u64::MAX),
        };
        Ok(Self {
            inner: Arc::new(Inner {
                runtime,
                places,
                cgroups,
                facts,
                parent: RwLock::new(()),
                paging: Mutex::default(),
                pager: Mutex::default(),
            }),
        })
    }

    fn on<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Inner) -> Result<T, Error> + Send + 'static,
    ) -> Work<'static, Result<T, Error>> {
        let inner = Arc::clone(&self.inner);
        Box::pin(blocking(doing, move || work(&inner)))
    }

    async fn start_now(&self, bundle: &Bundle, steps: &dyn Steps) -> Result<(), Error> {
        let sandbox = bundle.sandbox;
        let wanted = bundle.clone();
        self.on("prepare a sandbox", move |inner| inner.directories(&wanted))
            .await?;
        steps.reached(sandbox, "directories made").await;

        let owner = bundle.uid_base + bundle.uid;
        let volume = self.inner.volume(sandbox);
        volume.make(bundle.limits.disk_bytes, owner).await?;
        steps.reached(sandbox, "volume made").await;
        self.on("mount a volume", move |inner| inner.volume(sandbox).mount())
            .await?;
        steps.reached(sandbox, "volume mounted").await;

        let inbound = bundle.inbound.clone();
        self.on("mount a socket directory", move |_| {
            volume::mount_inbound(&inbound.host, owner, inbound.gid)
        })
        .await?;
        steps.reached(sandbox, "socket directory mounted").await;

        let directory = self.inner.places.bundle(sandbox);
        let mut config = config(bundle, &self.inner.places.cgroup_of(sandbox), self.inner.facts);
        config::add_volume(&mut config, bundle, &volume.point());
        let text = config.to_string();
        files::replace(&directory.join("config.json"), 0o600, text.as_bytes())?;
        steps.reached(sandbox, "bundle written").await;

        let guard = self.inner.parent.read().await;
        self.inner
            .runtime
            .run(&self.inner.places.runtime, &directory, sandbox)
            .await?;
        drop(guard);
        steps.reached(sandbox, "process started").await;
        Ok(())
    }

    async fn kill_now(&self, sandbox: SandboxId) -> Result<(), Error> {
        let give_up = tokio::time::Instant::now() + KILL_DEADLINE;
        loop {
            let alive = self
                .on("kill a sandbox", move |inner| inner.signal_all(sandbox))
                .await?;
            if alive.is_empty() {
                return Ok(());
            }
            // What forked in the meantime is met in the next round.
            for held in alive {
                if tokio::time::timeout_at(give_up, held.ended()).await.is_err() {
                    return Err(Error::Unkillable(sandbox));
                }
            }
        }
    }

    async fn release_now(&self, sandbox: SandboxId, steps: &dyn Steps) -> Result<(), Error> {
        self.kill_now(sandbox).await?;
        steps.reached(sandbox, "processes ended").await;
        self.inner
            .runtime
            .forget(&self.inner.places.runtime, sandbox)
            .await?;
        steps.reached(sandbox, "runtime state removed").await;
        self.on("remove a cgroup", move |inner| {
            inner.cgroups.remove(&inner.places.cgroup_of(sandbox))
        })
        .await?;
        steps.reached(sandbox, "cgroup removed").await;
        self.on("unmount a socket directory", move |inner| {
            let point = inner.places.inbound(sandbox);
            mounts::unmount(&point)?;
            files::remove_tree(&point)
        })
        .await?;
        steps.reached(sandbox, "socket directory removed").await;
        self.on("unmount a volume", move |inner| inner.volume(sandbox).unmount())
            .await?;
        steps.reached(sandbox, "volume unmounted").await;
        let bundle = self.inner.places.bundle(sandbox);
        self.on("remove a bundle", move |_| files::remove_tree(&bundle))
            .await?;
        if let Ok(_nobody_starts) = self.inner.parent.try_write() {
            self.inner.cgroups.remove_parent(&self.inner.places);
        }
        steps.reached(sandbox, "bundle removed").await;
        Ok(())
    }

    async fn erase_now(&self, sandbox: SandboxId, steps: &dyn Steps) -> Result<(), Error> {
        self.release_now(sandbox, steps).await?;
        self.on("remove a volume", move |inner| inner.volume(sandbox).remove())
            .await?;
        steps.reached(sandbox, "volume removed").await;
        Ok(())
    }

    async fn page_out_now(&self, sandbox: SandboxId) -> Result<Paged, Error> {
        let _turn = self.inner.pager.lock().await;
        let paging = self.paging_now().await;
        if !paging.works {
            return Ok(Paged::Not { reason: paging.found });
        }
        let stop = Stop::default();
        let flag = stop.flag();
        let work = self.on("page out a sandbox", move |inner| inner.page_out(sandbox, &flag));
        let paged = work.await;
        drop(stop);
        paged
    }

    /// Tried once, again when swap was added or taken away, and after a while if it did not work: it may have been full.
    async fn paging_now(&self) -> Paging {
        let mut known = self.inner.paging.lock().await;
        let total = Swap::now().total;
        match &*known {
            Some((paging, at, then))
                if *then == total && (paging.works || total == 0 || at.elapsed() < PROBE_AGAIN) =>
            {
                paging.clone()
            }
            _ => {
                let paging = swap::probe().await;
                known.insert((paging, Instant::now(), total)).0.clone()
            }
        }
    }

    async fn ended_now(&self, sandbox: SandboxId) -> Ended {
        let status = loop {
            let held = self.on("look at a sandbox", move |inner| inner.first_or_zombie(sandbox));
            match held.await {
                Ok(Some(held)) => break held.ended().await,
                Ok(None) => break None,
                Err(error) => {
                    // Not knowing is not the same as its end.
                    tracing::warn!(%sandbox, %error, "the first process of a sandbox cannot be looked at");
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
            }
        };
        Ended {
            status,
            out_of_memory: self
                .inner
                .cgroups
                .ran_out_of_memory(&self.inner.places.cgroup_of(sandbox)),
        }
    }
}

impl Inner {
    fn volume(&self, sandbox: SandboxId) -> VolumeFiles {
        VolumeFiles::at(self.places.volume(sandbox))
    }

    fn pid_file(&self, sandbox: SandboxId) -> PathBuf {
        self.places.bundle(sandbox).join("pid")
    }

    fn directories(&self, bundle: &Bundle) -> Result<(), Error> {
        files::directory(&self.places.sandbox(bundle.sandbox), 0o711)?;
        files::directory(&self.places.bundle(bundle.sandbox), 0o700)?;
        let (directories, in_root_files) = bundle.mount_points();
        for directory in directories {
            let path = below(&bundle.rootfs, &directory);
            if !path.is_dir() {
                std::fs::create_dir_all(&path)
                    .map_err(Error::io(format!("make mount point {}", path.display())))?;
            }
        }
        // runc gives a tmpfs the mode of the directory below it, whatever it is told.
        let tmp = below(&bundle.rootfs, Path::new("/tmp"));
        let mode = std::fs::metadata(&tmp).map(|metadata| metadata.permissions().mode() & 0o7777);
        if !mode.is_ok_and(|mode| mode == 0o1777) {
            files::directory(&tmp, 0o1777)?;
        }
        for file in in_root_files {
            let path = below(&bundle.rootfs, &file);
            if !path.is_file() {
                let doing = || format!("make mount point {}", path.display());
                if let Some(parent) = path.parent() {
                    std::fs::create_dir_all(parent).map_err(Error::io(doing()))?;
                }
                std::fs::write(&path, "").map_err(Error::io(doing()))?;
            }
        }
        Ok(())
    }

    /// The process whose pid was written down at the start, whatever it is by now.
    fn written(&self, sandbox: SandboxId) -> Result<Option<(u32, Held)>, Error> {
        let text = match std::fs::read_to_string(self.pid_file(sandbox)) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("read the pid of a sandbox")(error)),
        };
        // Half written: its writer was killed, and what it started is found by its group.
        let Ok(pid) = text.trim().parse() else {
            return Ok(None);
        };
        Ok(Held::open(pid)?.map(|held| (pid, held)))
    }

    /// The first process, if it lives. The pid that was written down counts only where the kernel says
    /// that it is in this sandbox's group.
    fn first(&self, sandbox: SandboxId) -> Result<Option<(u32, Held)>, Error> {
        let Some((pid, held)) = self.written(sandbox)? else {
            return Ok(None);
        };
        let alive = self.cgroups.holds(&self.places.cgroup_of(sandbox), pid)? && !held.has_ended();
        Ok(alive.then_some((pid, held)))
    }

    /// The first process, living, ending or waiting to be reaped.
    fn first_or_zombie(&self, sandbox: SandboxId) -> Result<Option<Held>, Error> {
        let Some((pid, held)) = self.written(sandbox)? else {
            return Ok(None);
        };
        // Version 1 does not tell the group of one that ends. One that is not our child is not reaped anyway.
        let ours = held.has_ended()
            || self.cgroups.holds(&self.places.cgroup_of(sandbox), pid)?
            || pid::is_ending_child(pid);
        Ok(ours.then_some(held))
    }

    fn look(&self, sandbox: SandboxId) -> Result<Presence, Error> {
        if let Some((pid, _)) = self.first(sandbox)? {
            let since = pid::started_at(pid).unwrap_or_else(jiff::Timestamp::now);
            let frozen = self.cgroups.is_frozen(&self.places.cgroup_of(sandbox));
            return Ok(Presence::Running { pid, since, frozen });
        }
        let text = sandbox.to_string();
        let remains = self.places.bundle(sandbox).exists()
            || self.places.runtime.join(&text).exists()
            || self.places.inbound(sandbox).exists()
            || self.cgroups.exists(&self.places.cgroup_of(sandbox))
            || mounts::is_mounted(&self.volume(sandbox).point())?;
        Ok(if remains {
            Presence::Remains
        } else {
            Presence::Absent
        })
    }

    /// Kills all that live and gives them back, to be waited for.
    fn signal_all(&self, sandbox: SandboxId) -> Result<Vec<Held>, Error> {
        let group = self.places.cgroup_of(sandbox);
        self.cgroups.thaw(&group);
        let first = self.first_or_zombie(sandbox)?;
        if let Some(first) = &first {
            first.reap();
        }
        let mut others = Vec::new();
        for pid in self.cgroups.pids(&group) {
            others.extend(Held::open(pid)?);
        }
        let alive: Vec<Held> = first
            .into_iter()
            .chain(others)
            .filter(|held| !held.has_ended())
            .collect();
        for held in &alive {
            held.signal(rustix::process::Signal::KILL)?;
        }
        Ok(alive)
    }

    fn page_out(&self, sandbox: SandboxId, stop: &AtomicBool) -> Result<Paged, Error> {
        let group = self.places.cgroup_of(sandbox);
        let not = |reason: &str| {
            Ok(Paged::Not {
                reason: reason.to_owned(),
            })
        };
        if !self.cgroups.is_frozen(&group) {
            return not("it is not held still");
        }
        let pids = self.cgroups.pids(&group);
        let before = Memory::of(&pids);
        if !Swap::now().takes(before.resident_bytes) {
            return not("the host's swap has no room for it");
        }
        self.cgroups
            .let_swap(&group, before.resident_bytes.saturating_add(before.swapped_bytes));
        let room = |bytes| Swap::now().takes(bytes);
        let swept = paging::page_out(&pids, room, stop);
        self.cgroups.let_swap(&group, 0);
        let after = Memory::of(&pids);
        tracing::debug!(%sandbox, ?swept, ?before, ?after, "paged out");
        match swept {
            Swept::Whole if after.swapped_bytes == 0 && after.resident_bytes > LITTLE_BYTES => {
                not("the kernel pages nothing of it out")
            }
            Swept::Whole => Ok(Paged::Out),
            Swept::Stopped => not("somebody woke it"),
            Swept::Full => not("the host's swap has no more room"),
            Swept::Refused(errno) => Err(Error::errno("page out a sandbox")(errno)),
        }
    }

    fn list(&self) -> Result<Vec<SandboxId>, Error> {
        let mut found: BTreeSet<SandboxId> = self.places.known().into_iter().collect();
        found.extend(self.cgroups.sandboxes(&self.places));
        let below_ours = |point: &Path| -> Option<SandboxId> {
            let rest = point
                .strip_prefix(&self.places.volumes)
                .or_else(|_| point.strip_prefix(&self.places.sandboxes))
                .ok()?;
            rest.iter().next()?.to_str()?.parse().ok()
        };
        found.extend(mounts::all()?.iter().filter_map(|mount| below_ours(&mount.point)));
        Ok(found.into_iter().collect())
    }
}

impl Backend for Oci {
    fn name(&self) -> &str {
        self.inner.runtime.name()
    }

    fn start<'a>(&'a self, bundle: &'a Bundle, steps: &'a dyn Steps) -> Work<'a, Result<(), Error>> {
        Box::pin(self.start_now(bundle, steps))
    }

    fn look(&self, sandbox: SandboxId) -> Work<'_, Result<Presence, Error>> {
        self.on("look at a sandbox", move |inner| inner.look(sandbox))
    }

    fn ended(&self, sandbox: SandboxId) -> Work<'_, Ended> {
        Box::pin(self.ended_now(sandbox))
    }

    fn terminate(&self, sandbox: SandboxId) -> Work<'_, Result<(), Error>> {
        self.on("stop a sandbox", move |inner| {
            inner.cgroups.thaw(&inner.places.cgroup_of(sandbox));
            match inner.first(sandbox)? {
                Some((_, held)) => held.signal(rustix::process::Signal::TERM),
                None => Ok(()),
            }
        })
    }

    fn freeze(&self, sandbox: SandboxId) -> Work<'_, Result<(), Error>> {
        self.on("freeze a sandbox", move |inner| match inner.first(sandbox)? {
            Some(_) => inner.cgroups.freeze(&inner.places.cgroup_of(sandbox)),
            None => Ok(()),
        })
    }

    fn thaw(&self, sandbox: SandboxId) -> Work<'_, Result<(), Error>> {
        self.on("thaw a sandbox", move |inner| {
            inner.cgroups.thaw(&inner.places.cgroup_of(sandbox));
            Ok(())
        })
    }

    fn rename<'a>(&'a self, sandbox: SandboxId, hostname: &'a str) -> Work<'a, Result<(), Error>> {
        let hostname = hostname.to_owned();
        self.on("rename a sandbox", move |inner| match inner.first(sandbox)? {
            Some((pid, held)) => hostname::change(pid, &held, &hostname),
            None => Ok(()),
        })
    }

    fn page_out(&self, sandbox: SandboxId) -> Work<'_, Result<Paged, Error>> {
        Box::pin(self.page_out_now(sandbox))
    }

    fn memory(&self, sandbox: SandboxId) -> Work<'_, Result<Memory, Error>> {
        self.on("look at the memory of a sandbox", move |inner| {
            Ok(Memory::of(&inner.cgroups.pids(&inner.places.cgroup_of(sandbox))))
        })
    }

    fn paging(&self) -> Work<'_, Paging> {
        Box::pin(self.paging_now())
    }

    fn kill(&self, sandbox: SandboxId) -> Work<'_, Result<(), Error>> {
        Box::pin(self.kill_now(sandbox))
    }

    fn release<'a>(&'a self, sandbox: SandboxId, steps: &'a dyn Steps) -> Work<'a, Result<(), Error>> {
        Box::pin(self.release_now(sandbox, steps))
    }

    fn erase<'a>(&'a self, sandbox: SandboxId, steps: &'a dyn Steps) -> Work<'a, Result<(), Error>> {
        Box::pin(self.erase_now(sandbox, steps))
    }

    fn volume_bytes(&self, sandbox: SandboxId) -> Work<'_, Result<Option<u64>, Error>> {
        self.on("look at a volume", move |inner| inner.volume(sandbox).bytes())
    }

    fn list(&self) -> Work<'_, Result<Vec<SandboxId>, Error>> {
        self.on("look for sandboxes", Inner::list)
    }
}

/// An absolute path of the inside, below a root.
fn below(root: &Path, inside: &Path) -> PathBuf {
    root.join(inside.strip_prefix("/").unwrap_or(inside))
}
