//! Time and new ids come from here, so that a test can hold both in its hand.

use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use uuid::{NoContext, Uuid};

pub trait Clock: Send + Sync + 'static {
    fn now(&self) -> Timestamp;
}

/// The host's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A clock that stands still until it is told to move.
#[derive(Debug)]
pub struct ManualClock(Mutex<Timestamp>);

impl ManualClock {
    pub fn at(start: Timestamp) -> Self {
        Self(Mutex::new(start))
    }

    pub fn advance(&self, by: SignedDuration) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now = now.saturating_add(by).unwrap_or(Timestamp::MAX);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A new id: a UUID version 7 of the clock's time, so ids sort by when they were made.
pub fn mint<Id: From<Uuid>>(clock: &dyn Clock) -> Id {
    let now = clock.now();
    let seconds = u64::try_from(now.as_second()).unwrap_or(0);
    let nanos = u32::try_from(now.subsec_nanosecond()).unwrap_or(0);
    Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, seconds, nanos)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_the_clock() {
        let clock = ManualClock::at(Timestamp::from_second(1_800_000_000).expect("in range"));
        let first: Uuid = mint(&clock);
        clock.advance(SignedDuration::from_millis(1));
        assert!(first < mint::<Uuid>(&clock));
    }
}
