//! How long to wait after failed attempts: the lock-out of sign-in, and whatever else must not be tried for ever.
//!
//! An attempt is counted before it is made and forgiven when it goes well, so that many at once are no way around.

use jiff::{SignedDuration, Timestamp};

/// What is known of earlier attempts on one key: an account, an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempts {
    pub failures: u32,
    pub last_at: Timestamp,
}

/// How many are free, and how waits grow after them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// So many in a row cost nothing.
    pub free: u32,
    /// After one more; each further one doubles it.
    pub first: SignedDuration,
    pub most: SignedDuration,
    /// After so long without an attempt all is forgotten.
    pub forget: SignedDuration,
}

impl Patience {
    /// Guesses at one account's password or second factor.
    pub const ACCOUNT: Self = Self {
        free: 10,
        first: SignedDuration::from_secs(30),
        most: SignedDuration::from_mins(15),
        forget: SignedDuration::from_hours(24),
    };
    /// Guesses from one network address, at whichever accounts: many people may share it.
    pub const ADDRESS: Self = Self {
        free: 50,
        first: SignedDuration::from_secs(30),
        most: SignedDuration::from_mins(15),
        forget: SignedDuration::from_hours(24),
    };
    /// Mails of one kind to one address that somebody asks for. A stranger who uses them up fills a mailbox with
    /// codes that are good for longer than the longest wait: its owner always has one.
    pub const MAILBOX: Self = Self {
        free: 3,
        first: SignedDuration::from_mins(5),
        most: SignedDuration::from_mins(30),
        forget: SignedDuration::from_hours(24),
    };
    /// Mails that one network address asks for.
    pub const SENDER: Self = Self {
        free: 20,
        first: SignedDuration::from_mins(1),
        most: SignedDuration::from_hours(1),
        forget: SignedDuration::from_hours(24),
    };

    /// Invitations that one org mails.
    pub const INVITING: Self = Self {
        free: 100,
        first: SignedDuration::from_mins(1),
        most: SignedDuration::from_hours(1),
        forget: SignedDuration::from_hours(24),
    };

    /// How long after the last of so many attempts the next one has to wait.
    pub fn wait(&self, failures: u32) -> SignedDuration {
        let over = failures.saturating_sub(self.free);
        if over == 0 {
            return SignedDuration::ZERO;
        }
        // Past 2^30 every first wait is over the most.
        let factor = 1_i32 << (over - 1).min(30);
        self.first.checked_mul(factor).unwrap_or(self.most).min(self.most)
    }

    /// Whether another attempt may be made now. A clock that was set back or forth by more than the wait locks
    /// nobody out.
    pub fn allows(&self, before: Option<Attempts>, now: Timestamp) -> bool {
        before.is_none_or(|before| now.duration_since(before.last_at).abs() >= self.wait(before.failures))
    }

    /// What is known once another attempt is made.
    pub fn count(&self, before: Option<Attempts>, now: Timestamp) -> Attempts {
        let remembered = before.filter(|before| !self.forgets(*before, now));
        Attempts {
            failures: remembered.map_or(0, |before| before.failures).saturating_add(1),
            last_at: now,
        }
    }

    pub fn forgets(&self, before: Attempts, now: Timestamp) -> bool {
        now.duration_since(before.last_at) >= self.forget
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Patience; 5] = [
        Patience::ACCOUNT,
        Patience::ADDRESS,
        Patience::MAILBOX,
        Patience::SENDER,
        Patience::INVITING,
    ];

    fn start() -> Timestamp {
        Timestamp::from_second(1_800_000_000).expect("in range")
    }

    #[test]
    fn waits_double_up_to_their_most() {
        let waits: Vec<_> = (9..=18)
            .map(|failures| Patience::ACCOUNT.wait(failures).as_secs())
            .collect();
        assert_eq!(waits, [0, 0, 30, 60, 120, 240, 480, 900, 900, 900]);
        assert_eq!(Patience::ACCOUNT.wait(u32::MAX), Patience::ACCOUNT.most);
    }

    proptest! {
        /// Whoever tries whenever they may, and at moments in between, is let through no more often than the
        /// waits say; and never has to wait longer than the most.
        #[test]
        fn nobody_tries_more_often_than_the_waits_say(which in 0..5_usize, pauses in prop::collection::vec(0..2000_i64, 1..300)) {
            let patience = ALL[which];
            let (mut now, mut known, mut waited) = (start(), None, SignedDuration::ZERO);
            let mut made = 0_u32;
            for pause in pauses {
                let pause = SignedDuration::from_secs(pause);
                now += pause;
                waited += pause;
                if patience.allows(known, now) {
                    let counted = patience.count(known, now);
                    prop_assert!(waited >= patience.wait(made.min(counted.failures - 1)) || made == 0);
                    made = counted.failures;
                    known = Some(counted);
                    waited = SignedDuration::ZERO;
                } else {
                    prop_assert!(made > patience.free, "the first {} are free", patience.free);
                    prop_assert!(patience.allows(known, now + patience.most));
                }
            }
        }

        #[test]
        fn waits_only_grow_and_are_bounded(which in 0..5_usize, a: u32, b: u32) {
            let patience = ALL[which];
            let (few, many) = (a.min(b), a.max(b));
            prop_assert!(patience.wait(few) <= patience.wait(many));
            prop_assert!(patience.wait(many) <= patience.most);
        }

        #[test]
        fn no_jump_of_the_clock_locks_for_longer_than_the_most(which in 0..5_usize, failures: u32, jump in -10_000_000..10_000_000_i64) {
            let patience = ALL[which];
            let known = Some(Attempts { failures, last_at: start() });
            let now = start() + SignedDuration::from_secs(jump);
            prop_assert!(patience.allows(known, now) || patience.allows(known, now + patience.most + patience.most));
        }

        #[test]
        fn what_is_long_ago_is_forgotten(which in 0..5_usize, failures: u32) {
            let patience = ALL[which];
            let known = Attempts { failures, last_at: start() };
            let counted = patience.count(Some(known), start() + patience.forget);
            prop_assert_eq!(counted.failures, 1);
        }
    }
}
