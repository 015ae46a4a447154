//! Keeps what was decided, without letting a sandbox that asks in a loop fill the log.
//!
//! The first decision about a place is recorded at once. Repeats within [`RECORD_EVERY`] are counted and
//! told with the next record of that place. At most [`RECORD_PLACES`] places are remembered; while that
//! many are fresh, decisions about others go unrecorded, and their number is told with the next record.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use creel_domain::SandboxId;
use creel_policy::{Decision, Destination};

use crate::Caller;

/// How long repeats of one decision are only counted.
pub const RECORD_EVERY: Duration = Duration::from_secs(60);
/// Places remembered over all sandboxes.
pub const RECORD_PLACES: usize = 4096;

/// Something that was decided, and how often since the last record of the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    pub caller: Caller,
    pub to: Destination,
    pub decision: Decision,
    /// Repeats of this decision that were only counted since it was recorded last.
    pub repeats: u64,
    /// Decisions about any place that were not recorded at all, since the last record of anything.
    pub unrecorded: u64,
}

/// Where decisions are kept. Called in the path of a request: it must not block for long.
pub trait Decisions: Send + Sync + 'static {
    fn record(&self, decided: Decided);
}

#[derive(Debug, Default)]
pub(crate) struct Recorder {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    places: HashMap<(SandboxId, Destination), Place>,
    unrecorded: u64,
}

#[derive(Debug)]
struct Place {
    recorded_at: Instant,
    repeats: u64,
}

impl Recorder {
    /// What to record about this decision now, if anything.
    pub(crate) fn note(
        &self,
        now: Instant,
        caller: Caller,
        to: Destination,
        decision: Decision,
    ) -> Option<Decided> {
        let fresh = |place: &Place| now.saturating_duration_since(place.recorded_at) < RECORD_EVERY;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (caller.sandbox, to.clone());
        let mut repeats = 0;
        if let Some(place) = state.places.get_mut(&key) {
            if fresh(place) {
                place.repeats += 1;
                return None;
            }
            repeats = place.repeats;
        } else if state.places.len() >= RECORD_PLACES {
            state.places.retain(|_, place| fresh(place));
            if state.places.len() >= RECORD_PLACES {
                state.unrecorded += 1;
                return None;
            }
        }
        state.places.insert(
            key,
            Place {
                recorded_at: now,
                repeats: 0,
            },
        );
        Some(Decided {
            caller,
            to,
            decision,
            repeats,
            unrecorded: std::mem::take(&mut state.unrecorded),
        })
    }
}

#[cfg(test)]
mod tests {
    use creel_domain::{AgentId, OrgId};
    use creel_policy::EgressPolicy;

    use super::*;

    fn note(recorder: &Recorder, now: Instant, to: &str) -> Option<Decided> {
        let id = Default::default();
        let caller = Caller {
            org: OrgId::from_uuid(id),
            agent: AgentId::from_uuid(id),
            sandbox: SandboxId::from_uuid(id),
        };
        let to: Destination = to.parse().expect("a destination");
        let decision = EgressPolicy::DenyAll.decide(&to);
        recorder.note(now, caller, to, decision)
    }

    #[test]
    fn repeats_are_counted_and_told_later() {
        let recorder = Recorder::default();
        let start = Instant::now();
        assert!(note(&recorder, start, "a.example:443").is_some());
        for _ in 0..1000 {
            assert_eq!(note(&recorder, start, "a.example:443"), None);
        }
        let later = note(&recorder, start + RECORD_EVERY, "a.example:443").expect("due again");
        assert_eq!(later.repeats, 1000);
    }

    #[test]
    fn a_sandbox_that_asks_for_ever_new_places_is_bounded() {
        let recorder = Recorder::default();
        let start = Instant::now();
        let recorded = (0..RECORD_PLACES + 500)
            .filter(|n| note(&recorder, start, &format!("h{n}.example:443")).is_some())
            .count();
        assert_eq!(recorded, RECORD_PLACES);
        let later = note(&recorder, start + RECORD_EVERY, "z.example:443").expect("room again");
        assert_eq!(later.unrecorded, 500);
    }
}
