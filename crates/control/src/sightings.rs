//! What was last seen of each sandbox and its bridge. In memory only: after a restart nothing is known,
//! and looking finds it out again.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use creel_domain::{
    Agent, AgentState, BridgeHealth, Deadlines, Observed, SandboxId, SandboxReport, Situation, agent_state,
};
use jiff::Timestamp;
use tokio::sync::watch;

/// All sandboxes. Whoever waits for a change subscribes and looks again.
pub(crate) struct Sightings {
    all: Mutex<Known>,
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct Known {
    of: HashMap<SandboxId, Sighting>,
    /// Counts acts and looks, so that a look that began before an act does not overrule it.
    clock: u64,
    /// Whether a look has succeeded since the start.
    looked: bool,
    /// Sandboxes that were listed and belong to no agent, at the last look.
    strangers: Vec<SandboxId>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Sighting {
    pub(crate) sandbox: Observed<SandboxReport>,
    pub(crate) health: Observed<BridgeHealth>,
    pub(crate) failed_checks: u32,
    pub(crate) rebuilt_at: Option<Timestamp>,
    /// Why the supervisor did not take the last target, and how often in a row.
    pub(crate) refusal: Option<Refusal>,
    acted: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) reason: String,
    pub(crate) attempts: u32,
    pub(crate) since: Timestamp,
    pub(crate) retry_at: Timestamp,
}

/// A look that has begun.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look(u64);

impl Default for Sightings {
    fn default() -> Self {
        Self {
            all: Mutex::default(),
            changed: watch::Sender::new(()),
        }
    }
}

impl Sightings {
    pub(crate) fn subscribe(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub(crate) fn get(&self, sandbox: SandboxId) -> Sighting {
        let known = self.lock();
        match known.of.get(&sandbox) {
            Some(sighting) => sighting.clone(),
            // A whole look has not shown it: it is not there, rather than never looked for. An act in
            // between would have made an entry.
            None if known.looked => Sighting {
                sandbox: Observed::Absent,
                ..Sighting::default()
            },
            None => Sighting::default(),
        }
    }

    /// Where an agent stands, in the words people are told.
    pub(crate) fn state(&self, agent: &Agent, deadlines: &Deadlines, now: Timestamp) -> AgentState {
        let sighting = self.get(agent.sandbox);
        let state = agent_state(&sighting.situation(agent), deadlines, now);
        match (&state, sighting.refusal) {
            // The supervisor's own report knows better than its last refusal.
            (AgentState::Starting { .. }, Some(refusal))
                if sighting
                    .sandbox
                    .seen()
                    .is_none_or(|report| report.generation < agent.generation) =>
            {
                AgentState::Faulted {
                    reason: refusal.reason,
                    attempts: refusal.attempts,
                    since: refusal.since,
                    retry_at: Some(refusal.retry_at),
                }
            }
            _ => state,
        }
    }

    /// Something is done to the sandbox: what looks see that began earlier does not count.
    pub(crate) fn acting(&self, sandbox: SandboxId) {
        let mut known = self.lock();
        known.clock += 1;
        let clock = known.clock;
        known.of.entry(sandbox).or_default().acted = clock;
    }

    pub(crate) fn change(&self, sandbox: SandboxId, change: impl FnOnce(&mut Sighting)) {
        change(self.lock().of.entry(sandbox).or_default());
        self.changed.send_replace(());
    }

    /// The supervisor says how a sandbox is. An older generation than one already seen is stale news.
    pub(crate) fn report(&self, report: SandboxReport, at: Timestamp) {
        self.change(report.sandbox, |sighting| {
            let newest = sighting.sandbox.seen().map(|seen| seen.generation);
            if newest.is_some_and(|newest| report.generation < newest) {
                return;
            }
            if !report.converged || !matches!(report.state, creel_domain::SandboxState::Running { .. }) {
                sighting.health = Observed::Unknown;
                sighting.failed_checks = 0;
            } else if sighting
                .sandbox
                .seen()
                .is_some_and(|seen| seen.state != report.state)
            {
                // It was started again: what the bridge said before says nothing now.
                sighting.health = Observed::Unknown;
                sighting.failed_checks = 0;
            }
            sighting.refusal = None;
            sighting.sandbox = Observed::Seen { value: report, at };
        });
    }

    pub(crate) fn begin_look(&self) -> Look {
        let mut known = self.lock();
        known.clock += 1;
        Look(known.clock)
    }

    /// A whole look: what is not in it is absent, unless something was done to it meanwhile.
    pub(crate) fn end_look(&self, look: Look, reports: Vec<SandboxReport>, at: Timestamp) {
        let mut known = self.lock();
        known.looked = true;
        for (sandbox, sighting) in &mut known.of {
            let listed = reports.iter().any(|report| report.sandbox == *sandbox);
            if !listed && sighting.acted < look.0 {
                sighting.sandbox = Observed::Absent;
                sighting.health = Observed::Unknown;
                sighting.failed_checks = 0;
            }
        }
        drop(known);
        for report in reports {
            self.report(report, at);
        }
        self.changed.send_replace(());
    }

    /// Nothing that the supervisor said is sure any more.
    pub(crate) fn forget_all(&self) {
        let mut known = self.lock();
        known.looked = false;
        for sighting in known.of.values_mut() {
            sighting.sandbox = Observed::Unknown;
        }
    }

    pub(crate) fn forget(&self, sandbox: SandboxId) {
        self.lock().of.remove(&sandbox);
        self.changed.send_replace(());
    }

    /// Everything seen that is there.
    pub(crate) fn present(&self) -> Vec<SandboxReport> {
        let known = self.lock();
        known
            .of
            .values()
            .filter_map(|sighting| sighting.sandbox.seen().cloned())
            .collect()
    }

    /// Forgets those that nobody has and that are not there.
    pub(crate) fn keep(&self, has: impl Fn(SandboxId) -> bool) {
        self.lock()
            .of
            .retain(|sandbox, sighting| has(*sandbox) || sighting.sandbox.seen().is_some());
    }

    /// Those of `strangers` that were strangers at the last look as well.
    pub(crate) fn seen_twice(&self, strangers: Vec<SandboxId>) -> Vec<SandboxId> {
        let mut known = self.lock();
        let before = std::mem::replace(&mut known.strangers, strangers.clone());
        strangers
            .into_iter()
            .filter(|sandbox| before.contains(sandbox))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sighting {
    pub(crate) fn situation(&self, agent: &Agent) -> Situation<'_> {
        Situation {
            intent: agent.intent,
            generation: agent.generation,
            changed_at: agent.changed_at,
            sandbox: &self.sandbox,
            health: &self.health,
            failed_checks: self.failed_checks,
            rebuilt_at: self.rebuilt_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use creel_domain::{Generation, SandboxState};

    use super::*;

    fn report(generation: u64) -> SandboxReport {
        SandboxReport {
            sandbox: SandboxId::from_uuid(uuid::Uuid::from_u128(1)),
            generation: Generation(generation),
            converged: true,
            state: SandboxState::Running {
                since: Timestamp::UNIX_EPOCH,
            },
            uid_base: None,
        }
    }

    #[test]
    fn a_look_that_began_before_an_act_does_not_call_its_sandbox_absent() {
        let sightings = Sightings::default();
        let sandbox = report(1).sandbox;
        let look = sightings.begin_look();
        sightings.acting(sandbox);
        sightings.end_look(look, Vec::new(), Timestamp::UNIX_EPOCH);
        assert_eq!(sightings.get(sandbox).sandbox, Observed::Unknown);
        let look = sightings.begin_look();
        sightings.end_look(look, Vec::new(), Timestamp::UNIX_EPOCH);
        assert_eq!(sightings.get(sandbox).sandbox, Observed::Absent);
    }

    #[test]
    fn stale_news_is_no_news() {
        let sightings = Sightings::default();
        sightings.report(report(2), Timestamp::UNIX_EPOCH);
        sightings.report(report(1), Timestamp::UNIX_EPOCH);
        let seen = sightings.get(report(1).sandbox);
        assert_eq!(
            seen.sandbox.seen().map(|seen| seen.generation),
            Some(Generation(2))
        );
    }

    #[test]
    fn a_stranger_is_one_only_at_the_second_look() {
        let sightings = Sightings::default();
        let stranger = report(1).sandbox;
        assert!(sightings.seen_twice(vec![stranger]).is_empty());
        assert_eq!(sightings.seen_twice(vec![stranger]), [stranger]);
    }
}
