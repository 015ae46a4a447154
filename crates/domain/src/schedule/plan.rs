//! What a schedule's due times become: those that run, those that are only told, and when to look again.

use jiff::{SignedDuration, Timestamp};

use super::{Missed, When};

/// So many times that were missed run or are told; of more, the newest.
pub const CATCH_UP: usize = 24;
/// So late a time still counts as met.
const ON_TIME: SignedDuration = SignedDuration::from_secs(60);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// These run now, oldest first.
    pub due: Vec<Timestamp>,
    /// Whether they make up for time that was lost: then they wait for each other.
    pub catching_up: bool,
    /// These went by.
    pub missed: Vec<Timestamp>,
    /// The first time after all of them.
    pub next_at: Option<Timestamp>,
}

/// Plans a schedule whose time `next_at` has come. A clock that was set back plans nothing: `next_at` lies ahead of it then.
pub fn plan(when: &When, anchor: Timestamp, next_at: Timestamp, missed: Missed, now: Timestamp) -> Plan {
    let before = next_at
        .checked_sub(SignedDuration::from_nanos(1))
        .unwrap_or(Timestamp::MIN);
    let all = when.newest(anchor, before, now, CATCH_UP);
    let split = all.partition_point(|at| now.duration_since(*at) > ON_TIME);
    let (late, on_time) = all.split_at(split);
    let (due, told) = match missed {
        Missed::Skip => (on_time.to_vec(), late.to_vec()),
        Missed::Once if on_time.is_empty() => match late.split_last() {
            Some((last, rest)) => (vec![*last], rest.to_vec()),
            None => (Vec::new(), Vec::new()),
        },
        // The run that is on time is the one for them.
        Missed::Once => (on_time.to_vec(), late.to_vec()),
        Missed::All => (all.clone(), Vec::new()),
    };
    Plan {
        catching_up: missed == Missed::All && !late.is_empty(),
        due,
        missed: told,
        next_at: if next_at > now {
            Some(next_at)
        } else {
            when.next(anchor, now)
        },
    }
}
