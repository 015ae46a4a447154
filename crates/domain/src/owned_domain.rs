//! Whether a domain is its owner's, as checks and time go by.
//!
//! ```text
//! pending ── proven ──▶ verified ── a week without proof, or another org proves it ──▶ failed
//!    │                                                                                  ▲  │
//!    └── a week without proof ──────────────────────────────────────────────────────────┘  │
//!    ▲                                                                                     │
//!    └── checked again when somebody asks ─────────────────────────────────────────────────┘
//! ```

use jiff::{SignedDuration, Timestamp};

/// How long a domain waits to be proven, and how long one that was proven goes on without proof.
const PATIENCE: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Nothing is given up after fewer checks, however long the host was off or its clock jumped meanwhile.
const FEWEST_CHECKS: u32 = 5;
/// Between two checks of one that is proven.
const EVERY: SignedDuration = SignedDuration::from_hours(24);
/// Between two checks of one that was proven and is not.
const FAILING_EVERY: SignedDuration = SignedDuration::from_hours(1);
/// Between the first two checks of one that waits; doubled each time, up to the longest.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(30);
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DomainState {
    /// Not proven yet.
    Pending { since: Timestamp },
    /// It leads to its agent. With `failing_since` the proof is missing since then.
    Verified {
        since: Timestamp,
        failing_since: Option<Timestamp>,
    },
    /// Given up: it leads nowhere, and is not looked at until somebody asks.
    Failed { since: Timestamp },
}

impl DomainState {
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Pending { .. } => "pending",
            Self::Verified { .. } => "verified",
            Self::Failed { .. } => "failed",
        }
    }

    pub const fn since(&self) -> Timestamp {
        match self {
            Self::Pending { since } | Self::Verified { since, .. } | Self::Failed { since } => *since,
        }
    }

    pub const fn failing_since(&self) -> Option<Timestamp> {
        match self {
            Self::Verified { failing_since, .. } => *failing_since,
            Self::Pending { .. } | Self::Failed { .. } => None,
        }
    }

    pub const fn is_verified(&self) -> bool {
        matches!(self, Self::Verified { .. })
    }
}

/// Where a domain is, and when it is looked at next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DomainCourse {
    pub state: DomainState,
    /// Checks in a row without proof.
    pub misses: u32,
    /// None: not by itself.
    pub next_check_at: Option<Timestamp>,
}

impl DomainCourse {
    /// Of a domain that was just added, or that somebody takes up again.
    pub fn new(now: Timestamp) -> Self {
        Self {
            state: DomainState::Pending { since: now },
            misses: 0,
            next_check_at: Some(now),
        }
    }

    /// After a check that found the proof, or did not.
    #[must_use]
    pub fn checked(self, proven: bool, now: Timestamp) -> Self {
        let then = |pause| Some(now.saturating_add(pause).unwrap_or(Timestamp::MAX));
        if proven {
            let since = match self.state {
                DomainState::Verified { since, .. } => since,
                DomainState::Pending { .. } | DomainState::Failed { .. } => now,
            };
            let state = DomainState::Verified {
                since,
                failing_since: None,
            };
            return Self {
                state,
                misses: 0,
                next_check_at: then(EVERY),
            };
        }
        let misses = self.misses.saturating_add(1);
        let patient = |since: Timestamp| misses < FEWEST_CHECKS || now.duration_since(since) < PATIENCE;
        let (state, next_check_at) = match self.state {
            DomainState::Pending { since } if patient(since) => (self.state, then(pause(misses))),
            DomainState::Verified { since, failing_since } if patient(failing_since.unwrap_or(now)) => {
                let failing_since = Some(failing_since.unwrap_or(now));
                (
                    DomainState::Verified { since, failing_since },
                    then(FAILING_EVERY),
                )
            }
            // Somebody asked once more: it is looked at again for a while.
            DomainState::Failed { .. } => {
                let again = Self::new(now);
                return Self {
                    misses: 1,
                    next_check_at: then(FIRST_PAUSE),
                    ..again
                };
            }
            DomainState::Pending { .. } | DomainState::Verified { .. } => {
                (DomainState::Failed { since: now }, None)
            }
        };
        Self {
            state,
            misses,
            next_check_at,
        }
    }

    /// Another org has proven it, and the proof of this one is gone.
    #[must_use]
    pub fn lost(self, now: Timestamp) -> Self {
        Self {
            state: DomainState::Failed { since: now },
            next_check_at: None,
            ..self
        }
    }
}

/// After so many checks without proof.
fn pause(misses: u32) -> SignedDuration {
    let doubled = misses.saturating_sub(1).min(16);
    FIRST_PAUSE.saturating_mul(1 << doubled).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: SignedDuration = SignedDuration::from_hours(24);

    fn now() -> Timestamp {
        Timestamp::from_second(1_800_000_000).expect("in range")
    }

    /// Checks without proof whenever one is due, until it is given up; how many and how long that took.
    fn until_given_up(mut course: DomainCourse, mut at: Timestamp) -> (u32, SignedDuration) {
        let (began, mut checks) = (at, 0);
        while let Some(next) = course.next_check_at {
            at = at.max(next);
            course = course.checked(false, at);
            checks += 1;
        }
        assert!(matches!(course.state, DomainState::Failed { .. }));
        (checks, at.duration_since(began))
    }

    #[test]
    fn what_is_never_proven_is_given_up_after_a_week() {
        let (checks, took) = until_given_up(DomainCourse::new(now()), now());
        assert!(took >= DAY * 7 && took < DAY * 7 + LONGEST_PAUSE, "{took:?}");
        assert!((170..190).contains(&checks), "{checks}");
    }

    #[test]
    fn what_was_proven_goes_on_for_a_week_without_proof() {
        let proven = DomainCourse::new(now()).checked(true, now());
        assert_eq!(proven.next_check_at, Some(now() + DAY));
        let failing = proven.checked(false, now() + DAY);
        assert!(failing.state.is_verified() && failing.state.failing_since() == Some(now() + DAY));
        let (_, took) = until_given_up(failing, now() + DAY);
        assert!(took >= DAY * 7 && took < DAY * 7 + FAILING_EVERY, "{took:?}");
        let found = failing.checked(true, now() + DAY * 6);
        assert_eq!((found.state.failing_since(), found.misses), (None, 0));
        assert_eq!(found.state.since(), now(), "it was verified all along");
    }

    #[test]
    fn a_host_that_was_off_or_whose_clock_jumps_gives_nothing_up_at_once() {
        let proven = DomainCourse::new(now()).checked(true, now());
        let late = proven.checked(false, now() + DAY * 300);
        assert!(late.state.is_verified());
        let mut course = late;
        for hour in 1..4 {
            course = course.checked(false, now() + DAY * (600 + hour));
            assert!(course.state.is_verified(), "{hour}");
        }
        let back = late.checked(false, now() - DAY * 900);
        assert!(back.state.is_verified());
    }

    #[test]
    fn what_was_given_up_is_taken_up_when_somebody_asks() {
        let failed = DomainCourse::new(now()).lost(now());
        assert_eq!(failed.next_check_at, None);
        let asked = failed.checked(false, now() + DAY);
        assert_eq!(asked.state, DomainState::Pending { since: now() + DAY });
        assert_eq!(asked.next_check_at, Some(now() + DAY + FIRST_PAUSE));
        assert!(failed.checked(true, now() + DAY).state.is_verified());
    }

    #[test]
    fn pauses_grow_and_end_growing() {
        for (misses, seconds) in [(1, 30), (2, 60), (7, 1920), (8, 3600), (4_000_000, 3600)] {
            assert_eq!(pause(misses).as_secs(), seconds, "{misses}");
        }
    }
}
