//! Time and new ids come from here, so that a test can hold both in its hand.

use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use uuid::{ContextV7, Uuid};

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

/// Counts within a millisecond, and on when the clock was set back: a later id is always the greater.
static ORDER: Mutex<ContextV7> = Mutex::new(ContextV7::new());

/// A new id: a UUID version 7 of the clock's time. Ids of one process sort by when they were made.
pub fn mint<Id: From<Uuid>>(clock: &dyn Clock) -> Id {
    let now = clock.now();
    let seconds = u64::try_from(now.as_second()).unwrap_or(0);
    let nanos = u32::try_from(now.subsec_nanosecond()).unwrap_or(0);
    let order = ORDER.lock().unwrap_or_else(PoisonError::into_inner);
    Uuid::new_v7(uuid::Timestamp::from_unix(&*order, seconds, nanos)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_when_they_were_made_whatever_the_clock_does() {
        let clock = ManualClock::at(Timestamp::from_second(1_800_000_000).expect("in range"));
        let mut ids: Vec<Uuid> = Vec::new();
        for step_ms in [0, 1, -60_000, 0, 3_600_000] {
            clock.advance(SignedDuration::from_millis(step_ms));
            ids.extend((0..2000).map(|_| mint::<Uuid>(&clock)));
        }
        assert!(ids.is_sorted_by(|earlier, later| earlier < later));
    }
}
