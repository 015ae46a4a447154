//! Keeps sandboxes ready for agents that are yet to be made: each started as any other, frozen when its runtime
//! answers, and handed out by the transaction that makes an agent with the same runtime and limits.
//!
//! One is made at a time and only while the host has memory to spare; when it has none, spares are the first to go.
//! What is to be done stands in the rows, and [`creel_domain::next_spare_step`] decides; two of these at once do no harm.

mod memory;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use creel_domain::{Depth, Limits, Runtime, Spare, SparePool, SpareState, SpareStep, next_spare_step};
use creel_protocol::ImageState;
use jiff::{SignedDuration, Timestamp};
use tokio::{sync::Notify, time::timeout};

pub(crate) use memory::{HostMemory, Room};

use crate::{
    Control,
    http::failure::Answer,
    reconcile::{ask_health, note_health},
};

/// While one is on its way, and while none is.
const SOON: Duration = Duration::from_millis(200);
const LATER: Duration = Duration::from_secs(10);
/// Rounds are at least so far apart, however often somebody nudges.
const APART: Duration = Duration::from_millis(50);
/// After the store or the supervisor failed.
const AGAIN: Duration = Duration::from_secs(2);
/// For the supervisor to answer.
const WITHIN: Duration = Duration::from_secs(10);
/// After one could not be made; doubled each time in a row.
const FIRST_WAIT_S: i64 = 15;
const LAST_WAIT_S: i64 = 900;

/// The pool as it is wanted, and what went wrong with it lately.
pub(crate) struct Spares {
    wanted: SparePool,
    memory: HostMemory,
    nudged: Notify,
    trouble: Mutex<HashMap<Runtime, Trouble>>,
}

/// Why the last one could not be made.
#[derive(Debug, Clone)]
struct Trouble {
    reason: &'static str,
    failures: u32,
    retry_at: Timestamp,
}

/// One runtime's part of the pool, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) runtime: Runtime,
    pub(crate) wanted: u32,
    pub(crate) ready: u32,
    pub(crate) preparing: u32,
    /// Why there are fewer than wanted, if that is known.
    pub(crate) waiting: Option<String>,
}

impl Spares {
    pub(crate) fn new(wanted: SparePool, memory: HostMemory) -> Self {
        Self {
            wanted,
            memory,
            nudged: Notify::new(),
            trouble: Mutex::default(),
        }
    }

    /// Something may be to be done.
    pub(crate) fn nudge(&self) {
        self.nudged.notify_one();
    }

    fn failed(&self, runtime: Runtime, reason: &'static str, now: Timestamp) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let failures = trouble.get(&runtime).map_or(0, |trouble| trouble.failures) + 1;
        let wait = (FIRST_WAIT_S << failures.saturating_sub(1).min(10)).min(LAST_WAIT_S);
        let retry_at = now.saturating_add(SignedDuration::from_secs(wait)).unwrap_or(now);
        let after = Trouble {
            reason,
            failures,
            retry_at,
        };
        trouble.insert(runtime, after);
    }

    fn worked(&self, runtime: Runtime) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        trouble.remove(&runtime);
    }

    fn trouble(&self, runtime: Runtime) -> Option<Trouble> {
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        trouble.get(&runtime).cloned()
    }
}

/// Runs until the end begins.
pub(crate) async fn run(control: Arc<Control>) {
    loop {
        let wait = match round(&control).await {
            Ok(wait) => wait,
            Err(failure) => {
                tracing::warn!(reason = failure.detail(), "spares could not be looked after");
                AGAIN
            }
        };
        tokio::select! {
            () = control.shutdown.begun() => return,
            () = tokio::time::sleep(APART) => {}
        }
        tokio::select! {
            () = control.shutdown.begun() => return,
            () = control.spares.nudged.notified() => {}
            () = tokio::time::sleep(wait.saturating_sub(APART)) => {}
        }
    }
}

/// Brings each spare one step further and the pool to its size; how long until that may be needed again.
async fn round(control: &Control) -> Answer<Duration> {
    let mut spares = control.store.platform().spares().await?;
    let mut wait = LATER;
    for spare in &mut spares {
        if step(control, spare).await? || spare.state != SpareState::Ready {
            wait = SOON;
        }
    }
    for runtime in Runtime::ALL {
        if resize(control, runtime, &spares).await? {
            wait = SOON;
        }
    }
    Ok(wait)
}

/// Whether something was done.
async fn step(control: &Control, spare: &mut Spare) -> Answer<bool> {
    let sighting = control.sightings.get(spare.sandbox);
    let (version, now) = (env!("CARGO_PKG_VERSION"), control.clock.now());
    let step = next_spare_step(spare, &sighting.sandbox, &sighting.health, version, now);
    tracing::trace!(sandbox = %spare.sandbox, ?step, "next for a spare");
    match step {
        SpareStep::Wait => return Ok(false),
        SpareStep::Look => {
            control.looker.look(control).await?;
        }
        SpareStep::PutTarget => put_target(control, spare).await?,
        SpareStep::CheckHealth => {
            let health = ask_health(control, spare.sandbox).await;
            note_health(control, spare.sandbox, health);
        }
        SpareStep::Offer => {
            if change(control, spare, SpareState::Ready, Depth::Frozen).await? {
                control.spares.worked(spare.runtime);
                tracing::info!(runtime = spare.runtime.as_str(), "a spare is ready");
            }
        }
        SpareStep::PageOut => {
            change(control, spare, SpareState::Ready, Depth::PagedOut).await?;
        }
        SpareStep::Retire { reason } => {
            if spare.state == SpareState::Preparing {
                control.spares.failed(spare.runtime, reason, now);
            }
            retire(control, spare, reason).await?;
        }
        SpareStep::Forget => {
            control.store.platform().forget_spare(spare.sandbox).await?;
            control.sightings.forget(spare.sandbox);
        }
    }
    Ok(true)
}

async fn retire(control: &Control, spare: &mut Spare, reason: &str) -> Answer<()> {
    tracing::info!(runtime = spare.runtime.as_str(), sandbox = %spare.sandbox, reason, "a spare is removed");
    change(control, spare, SpareState::Retired, spare.depth).await?;
    Ok(())
}

/// Whether it was still the pool's.
async fn change(control: &Control, spare: &mut Spare, state: SpareState, depth: Depth) -> Answer<bool> {
    let Some(after) = control.store.platform().change_spare(spare, state, depth).await? else {
        return Ok(false);
    };
    *spare = after;
    put_target(control, spare).await?;
    Ok(true)
}

/// That an agent got it meanwhile is no failure: what its row says is newer, and the supervisor refuses this.
async fn put_target(control: &Control, spare: &Spare) -> Answer<()> {
    control.sightings.acting(spare.sandbox);
    let put = control
        .supervisor
        .put_target(spare.sandbox, spare.generation, spare.target());
    match timeout(WITHIN, put).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(sandbox = %spare.sandbox, %error, "a spare's target was not taken"),
        Err(_) => tracing::warn!(sandbox = %spare.sandbox, "the supervisor took too long for a spare"),
    }
    control.looker.look(control).await?;
    Ok(())
}

/// Makes or removes one, if the pool is not of its size; whether it did.
async fn resize(control: &Control, runtime: Runtime, spares: &[Spare]) -> Answer<bool> {
    let limits = Limits::default_for(runtime);
    let kept = spares
        .iter()
        .filter(|spare| spare.runtime == runtime && spare.state != SpareState::Retired);
    // Of another size than agents get by now, it fits nobody.
    let (fits, odd): (Vec<_>, Vec<_>) = kept.partition(|spare| spare.limits == limits);
    let wanted = control.spares.wanted.of(runtime) as usize;
    let room = control.spares.memory.room(&limits);
    let surplus = match odd.first() {
        Some(odd) => Some((*odd, "agents have other limits by now")),
        None if fits.len() > wanted => fits.last().map(|last| (*last, "the pool is larger than wanted")),
        None if room == Room::Short => fits.last().map(|last| (*last, "the host is short of memory")),
        None => None,
    };
    if let Some((spare, reason)) = surplus {
        retire(control, &mut spare.clone(), reason).await?;
        return Ok(true);
    }
    let under_way = spares.iter().any(|spare| spare.state == SpareState::Preparing);
    if fits.len() >= wanted || under_way || room != Room::Plenty {
        return Ok(false);
    }
    let now = control.clock.now();
    if control
        .spares
        .trouble(runtime)
        .is_some_and(|trouble| trouble.retry_at > now)
    {
        return Ok(false);
    }
    if !image_is_ready(control, runtime).await? {
        return Ok(false);
    }
    let platform = control.store.platform();
    let spare = platform
        .add_spare(runtime, limits, env!("CARGO_PKG_VERSION"))
        .await?;
    put_target(control, &spare).await?;
    Ok(true)
}

async fn image_is_ready(control: &Control, runtime: Runtime) -> Answer<bool> {
    let images = control.supervisor.images().await?;
    let ready = |state: &ImageState| matches!(state, ImageState::Ready { .. });
    Ok(images
        .iter()
        .any(|image| image.name == runtime.image() && ready(&image.state)))
}

/// How the pool stands, for people: those runtimes of which any are wanted or there.
pub(crate) async fn standing(control: &Control) -> Answer<Vec<Standing>> {
    let spares = control.store.platform().spares().await?;
    let count = |runtime, state| {
        let there = spares
            .iter()
            .filter(|spare| spare.runtime == runtime && spare.state == state);
        u32::try_from(there.count()).unwrap_or(u32::MAX)
    };
    let mut all = Vec::new();
    for runtime in Runtime::ALL {
        let standing = Standing {
            runtime,
            wanted: control.spares.wanted.of(runtime),
            ready: count(runtime, SpareState::Ready),
            preparing: count(runtime, SpareState::Preparing),
            waiting: None,
        };
        if standing.wanted + standing.ready + standing.preparing == 0 {
            continue;
        }
        let short = standing.ready < standing.wanted;
        let waiting = if short {
            waiting(control, runtime, standing.preparing).await?
        } else {
            None
        };
        all.push(Standing { waiting, ..standing });
    }
    Ok(all)
}

async fn waiting(control: &Control, runtime: Runtime, preparing: u32) -> Answer<Option<String>> {
    if let Some(trouble) = control.spares.trouble(runtime) {
        let Trouble { reason, retry_at, .. } = trouble;
        return Ok(Some(format!(
            "the last one failed: {reason}; tried again at {retry_at:.0}"
        )));
    }
    if preparing > 0 {
        return Ok(Some("one is being started".to_owned()));
    }
    if !image_is_ready(control, runtime).await? {
        return Ok(Some(format!("the image {} is not built yet", runtime.image())));
    }
    let limits = Limits::default_for(runtime);
    let short = control.spares.memory.room(&limits) != Room::Plenty;
    Ok(short.then(|| "the host has too little free memory".to_owned()))
}
