//! When a key is made, signs and is forgotten: decided from the keys' times alone.
//!
//! ```text
//! key 1   ├─────────── signs ───────────┤─ still published ─┤ forgotten
//! key 2                    ├─ published ─┤─────────── signs ───────────┤
//! ```
//!
//! A key is published a day before it signs, so that whoever keeps the published keys for a while knows it when the
//! first token comes; and stays until the last token that it signed has ended.

use jiff::{SignedDuration, Timestamp};

/// How long one key signs.
pub(crate) const SIGNS_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);
/// How long it is published before.
pub(crate) const PUBLISHED_BEFORE: SignedDuration = SignedDuration::from_hours(24);
/// How long it is published after: longer than any token lives and clocks differ.
pub(crate) const KEPT_AFTER: SignedDuration = SignedDuration::from_hours(1);

/// What is to be done about keys, by their places in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// None: there is no key.
    pub(crate) signs: Option<usize>,
    /// A new key is needed, to sign from then on.
    pub(crate) make: Option<Timestamp>,
    pub(crate) forget: Vec<usize>,
}

/// `from` is since when each key signs, in order.
pub(crate) fn plan(from: &[Timestamp], now: Timestamp) -> Plan {
    let later = |at: Timestamp, by: SignedDuration| at.saturating_add(by).unwrap_or(Timestamp::MAX);
    let Some(last) = from.last().copied() else {
        // Nobody can have kept an older set.
        return Plan {
            signs: None,
            make: Some(now),
            forget: Vec::new(),
        };
    };
    // Where a clock was set back, the first key signs before its time rather than nobody.
    let signs = from.iter().rposition(|at| *at <= now).unwrap_or(0);
    let due = later(last, SIGNS_FOR - PUBLISHED_BEFORE) <= now;
    let next = later(last, SIGNS_FOR).max(later(now, PUBLISHED_BEFORE));
    let forget = (0..signs).filter(|place| later(from[place + 1], KEPT_AFTER) <= now);
    Plan {
        signs: Some(signs),
        make: due.then_some(next),
        forget: forget.collect(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day(day: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + day * 86_400).expect("in range")
    }

    #[test]
    fn keys_come_and_go_in_their_time() {
        let plan = |from: &[i64], now: i64| {
            let from: Vec<_> = from.iter().map(|at| day(*at)).collect();
            let plan = plan(&from, day(now));
            (plan.signs, plan.make, plan.forget)
        };
        for (from, now, signs, make, forget) in [
            (&[][..], 0, None, Some(0), &[][..]),
            (&[0], 0, Some(0), None, &[]),
            (&[0], 28, Some(0), None, &[]),
            (&[0], 29, Some(0), Some(30), &[]),
            // Nobody looked for a year: published first even so.
            (&[0], 365, Some(0), Some(366), &[]),
            (&[0, 30], 29, Some(0), None, &[]),
            (&[0, 30], 30, Some(1), None, &[]),
            (&[0, 30], 31, Some(1), None, &[0]),
            (&[0, 30, 60], 61, Some(2), None, &[0, 1]),
            // The clock was set back.
            (&[10], 0, Some(0), None, &[]),
        ] {
            assert_eq!(
                plan(from, now),
                (signs, make.map(day), forget.to_vec()),
                "{from:?} on day {now}"
            );
        }
    }

    proptest! {
        /// Whenever somebody looks, over years: whoever kept the set for less than a day knows the key that signs.
        #[test]
        fn no_key_signs_that_was_not_published_before(gaps in prop::collection::vec(1_i64..3_000_000, 1..60)) {
            let mut now = day(0);
            let mut keys: Vec<(Timestamp, Timestamp)> = Vec::new();
            for gap in gaps {
                let from: Vec<_> = keys.iter().map(|(from, _)| *from).collect();
                let plan = plan(&from, now);
                if let Some(signs) = plan.signs {
                    let (from, made) = keys[signs];
                    prop_assert!(signs == 0 || now.duration_since(made) >= PUBLISHED_BEFORE, "{from} {made} {now}");
                    prop_assert!(!plan.forget.contains(&signs));
                }
                if let Some(from) = plan.make {
                    keys.push((from, now));
                }
                for place in plan.forget.iter().rev() {
                    keys.remove(*place);
                }
                prop_assert!(keys.len() <= 3, "{keys:?}");
                now += SignedDuration::from_secs(gap);
            }
        }
    }
}
