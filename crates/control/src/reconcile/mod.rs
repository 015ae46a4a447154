//! Brings every agent to what its owner wants, and keeps it there.
//!
//! Wakes on a timer and on nudges, looks at the whole state of one agent, does the next steps of
//! [`creel_domain::next_steps`], and comes back later. A nudge says *look*, never *what*. Nothing is
//! remembered that a crash may lose, and two of these at once do no harm.

mod act;
mod look;
mod strangers;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use creel_domain::AgentState;
use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{Instant, sleep_until},
};

pub(crate) use act::{ask_health, note_health};
pub(crate) use look::Looker;

use crate::{Control, Who, operations};

/// Agents worked on at a time.
const AT_ONCE: usize = 16;
/// Every agent is looked at so often, whatever was or was not heard.
const RESYNC: Duration = Duration::from_secs(30);
/// After a resync that failed.
const RESYNC_AGAIN: Duration = Duration::from_secs(2);
/// Health checks a second, over all agents: with more agents each is asked less often.
const CHECKS_PER_SECOND: usize = 20;

/// Agents that somebody wants looked at.
#[derive(Default)]
pub(crate) struct Nudges {
    agents: Mutex<HashSet<Who>>,
    wake: Notify,
}

impl Nudges {
    pub(crate) fn nudge(&self, agent: Who) {
        self.agents
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(agent);
        self.wake.notify_one();
    }

    async fn taken(&self) -> HashSet<Who> {
        loop {
            let notified = self.wake.notified();
            let taken = std::mem::take(&mut *self.agents.lock().unwrap_or_else(PoisonError::into_inner));
            if !taken.is_empty() {
                return taken;
            }
            notified.await;
        }
    }
}

/// What the reconciler has said of agents in the event log.
#[derive(Default)]
pub(crate) struct Told(Mutex<HashMap<Who, AgentState>>);

/// When to come back to an agent.
enum After {
    In(Duration),
    /// Soon, and later each time nothing has changed.
    Soon,
    /// Never: its rows are gone.
    Gone,
}

/// Which agent is due when.
#[derive(Default)]
struct Schedule {
    order: BTreeSet<(Instant, Who)>,
    of: HashMap<Who, Instant>,
}

impl Schedule {
    fn set(&mut self, agent: Who, due: Instant) {
        self.remove(agent);
        self.of.insert(agent, due);
        self.order.insert((due, agent));
    }

    fn remove(&mut self, agent: Who) {
        if let Some(due) = self.of.remove(&agent) {
            self.order.remove(&(due, agent));
        }
    }

    fn next(&self) -> Option<Instant> {
        self.order.first().map(|(due, _)| *due)
    }

    fn take_due(&mut self, now: Instant) -> Option<Who> {
        let agent = self.order.first().filter(|(due, _)| *due <= now)?.1;
        self.remove(agent);
        Some(agent)
    }
}

/// Runs until the end begins.
pub(crate) async fn run(control: Arc<Control>) {
    let watching = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(look::watch(Arc::clone(&control))));
    let mut schedule = Schedule::default();
    let mut rounds: HashMap<Who, u32> = HashMap::new();
    let mut at_work: HashMap<Who, bool> = HashMap::new();
    let mut tasks: JoinSet<(Who, After)> = JoinSet::new();
    let mut resyncing: JoinSet<Option<Vec<Who>>> = JoinSet::new();
    let mut resync_at = Instant::now();
    loop {
        let now = Instant::now();
        if now >= resync_at && resyncing.is_empty() {
            let control = Arc::clone(&control);
            resyncing.spawn(async move { strangers::resync(&control).await });
        }
        while tasks.len() < AT_ONCE
            && let Some(agent) = schedule.take_due(now)
        {
            at_work.insert(agent, false);
            let control = Arc::clone(&control);
            let round = *rounds.entry(agent).or_default();
            tasks.spawn(async move { (agent, act::step(&control, agent, round).await) });
        }
        let due = schedule.next().filter(|_| tasks.len() < AT_ONCE);
        let resync = (resyncing.is_empty()).then_some(resync_at);
        tokio::select! {
            () = control.shutdown.begun() => break,
            nudged = control.nudges.taken() => for agent in nudged {
                rounds.insert(agent, 0);
                match at_work.get_mut(&agent) {
                    // It works from what it knew: once more when it is done.
                    Some(again) => *again = true,
                    None => schedule.set(agent, Instant::now()),
                }
            },
            Some(done) = tasks.join_next() => {
                let Ok((agent, after)) = done else { continue };
                let again = at_work.remove(&agent).unwrap_or_default();
                let round = rounds.entry(agent).or_default();
                match after {
                    After::Gone => {
                        rounds.remove(&agent);
                        control.told.forget(agent);
                    }
                    _ if again => schedule.set(agent, Instant::now()),
                    After::In(wait) => {
                        *round = 0;
                        schedule.set(agent, Instant::now() + wait);
                    }
                    After::Soon => {
                        schedule.set(agent, Instant::now() + pace(*round));
                        *round = round.saturating_add(1);
                    }
                }
            },
            Some(resynced) = resyncing.join_next() => {
                let agents = resynced.ok().flatten();
                let again = if agents.is_some() { RESYNC } else { RESYNC_AGAIN };
                resync_at = Instant::now() + again;
                for agent in agents.unwrap_or_default() {
                    if !at_work.contains_key(&agent) && !schedule.of.contains_key(&agent) {
                        schedule.set(agent, Instant::now());
                    }
                }
            },
            () = async { sleep_until(due.unwrap_or_else(Instant::now)).await }, if due.is_some() => {}
            () = async { sleep_until(resync.unwrap_or_else(Instant::now)).await }, if resync.is_some() => {}
        }
    }
    drop(watching);
    // Each act is one call or one transaction, and legal to lose.
    tasks.shutdown().await;
}

/// 20 ms, then twice as long each time, up to 2 s.
fn pace(round: u32) -> Duration {
    Duration::from_millis(20) * 2_u32.pow(round.min(7)).min(100)
}

impl Control {
    /// The deadlines, with health checks spread so far that all agents together cause a bounded number.
    fn paced_deadlines(&self, agents: usize) -> creel_domain::Deadlines {
        let spread =
            Duration::from_secs(1) * u32::try_from(agents).unwrap_or(u32::MAX) / CHECKS_PER_SECOND as u32;
        let spread = jiff::SignedDuration::try_from(spread).unwrap_or(self.deadlines.health_every);
        creel_domain::Deadlines {
            health_every: self.deadlines.health_every.max(spread),
            ..self.deadlines
        }
    }
}

impl Told {
    /// Says where an agent stands, if that is news.
    async fn tell(&self, control: &Control, agent: &creel_domain::Agent, state: AgentState) {
        let known = self.lock().get(&Who::from(agent)).cloned();
        if known.as_ref().is_some_and(|known| same(known, &state)) {
            return;
        }
        if operations::agents::tell_state(control, agent, &state)
            .await
            .is_ok()
        {
            self.lock().insert(agent.into(), state);
        }
    }

    fn forget(&self, agent: Who) {
        self.lock().remove(&agent);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Who, AgentState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether people would be told the same words; times and counts do not matter.
pub(crate) fn same(a: &AgentState, b: &AgentState) -> bool {
    match (a, b) {
        (AgentState::Starting { waiting: a, .. }, AgentState::Starting { waiting: b, .. }) => a == b,
        (AgentState::Faulted { reason: a, .. }, AgentState::Faulted { reason: b, .. }) => a == b,
        _ => a.as_str() == b.as_str(),
    }
}
