//! The session of a browser: when it ends, and when its secret is exchanged for a new one.
//!
//! ```text
//!             rotate                      the new secret is seen
//! confirmed ──────────▶ both are good ─────────────────────────▶ confirmed; the old one has a minute
//! ```
//!
//! The old secret stays good until the browser has shown the new one: an answer that was lost on its way signs
//! nobody out. An old secret that comes later was copied by somebody, and the session ends for whoever has it.

use jiff::{SignedDuration, Timestamp};

/// What is known of a session, without its secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrowserSessionAge {
    /// When its secret was made.
    pub rotated_at: Timestamp,
    /// When that secret was first shown; none: not yet.
    pub confirmed_at: Option<Timestamp>,
    /// When it was last used, exact to [`BrowserSessionAge::SEEN_EVERY`].
    pub seen_at: Timestamp,
    /// However often it is used.
    pub expires_at: Timestamp,
}

/// Which of a session's secrets was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    Current,
    Previous,
}

/// What to do with a request that shows a session's secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Good {
        /// Give the browser a new secret.
        rotate: bool,
        /// Write down that it was seen.
        note: bool,
    },
    /// Its time is over.
    Over,
    /// A secret that was replaced long ago: end the session.
    Copied,
}

impl BrowserSessionAge {
    /// From sign-in to the end.
    pub const LASTS: SignedDuration = SignedDuration::from_hours(30 * 24);
    /// Unused for so long, it ends.
    pub const IDLE: SignedDuration = SignedDuration::from_hours(7 * 24);
    /// A secret is exchanged when it is this old.
    pub const ROTATE_EVERY: SignedDuration = SignedDuration::from_hours(1);
    /// When the browser goes on with the old secret, its answer was lost: it is given another.
    pub const ROTATE_AGAIN: SignedDuration = SignedDuration::from_mins(5);
    /// How long the old secret is good once the new one was seen: requests overtake each other.
    pub const GRACE: SignedDuration = SignedDuration::from_mins(1);
    /// A use is written down when the one on record is older.
    pub const SEEN_EVERY: SignedDuration = SignedDuration::from_mins(10);
    /// So soon after a password or another proof, the most important things may be changed without another.
    pub const FRESH: SignedDuration = SignedDuration::from_mins(15);

    pub fn verdict(&self, shown: Shown, now: Timestamp) -> Verdict {
        let since = |at: Timestamp| now.duration_since(at);
        if now >= self.expires_at || since(self.seen_at) >= Self::IDLE {
            return Verdict::Over;
        }
        let stale = since(self.seen_at) >= Self::SEEN_EVERY;
        match (shown, self.confirmed_at) {
            (Shown::Current, confirmed) => Verdict::Good {
                rotate: since(self.rotated_at) >= Self::ROTATE_EVERY,
                note: stale || confirmed.is_none(),
            },
            (Shown::Previous, None) => Verdict::Good {
                rotate: since(self.rotated_at) >= Self::ROTATE_AGAIN,
                note: stale,
            },
            (Shown::Previous, Some(at)) if since(at) < Self::GRACE => Verdict::Good {
                rotate: false,
                note: false,
            },
            (Shown::Previous, Some(_)) => Verdict::Copied,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).expect("in range")
    }

    fn age(rotated: i64, confirmed: Option<i64>, seen: i64) -> BrowserSessionAge {
        BrowserSessionAge {
            rotated_at: at(rotated),
            confirmed_at: confirmed.map(at),
            seen_at: at(seen),
            expires_at: at(0) + BrowserSessionAge::LASTS,
        }
    }

    #[test]
    fn each_case_has_its_verdict() {
        use Shown::{Current, Previous};
        let good = |rotate, note| Verdict::Good { rotate, note };
        let (hour, day) = (3600, 24 * 3600);
        for (what, session, shown, now, expected) in [
            ("fresh", age(0, Some(0), 0), Current, 1, good(false, false)),
            (
                "seen a while ago",
                age(0, Some(0), 0),
                Current,
                600,
                good(false, true),
            ),
            (
                "an hour old",
                age(0, Some(0), hour),
                Current,
                hour,
                good(true, false),
            ),
            (
                "the new one is shown",
                age(hour, None, hour),
                Current,
                hour + 1,
                good(false, true),
            ),
            (
                "the answer is on its way",
                age(hour, None, hour),
                Previous,
                hour + 9,
                good(false, false),
            ),
            (
                "the answer was lost",
                age(hour, None, hour),
                Previous,
                hour + 300,
                good(true, false),
            ),
            (
                "overtaken",
                age(hour, Some(hour), hour),
                Previous,
                hour + 59,
                good(false, false),
            ),
            (
                "copied",
                age(hour, Some(hour), hour),
                Previous,
                hour + 60,
                Verdict::Copied,
            ),
            (
                "idle for a week",
                age(0, Some(0), 0),
                Current,
                7 * day,
                Verdict::Over,
            ),
            (
                "thirty days",
                age(0, Some(0), 30 * day - 1),
                Current,
                30 * day,
                Verdict::Over,
            ),
            (
                "the clock was set back",
                age(hour, Some(hour), hour),
                Current,
                0,
                good(false, false),
            ),
        ] {
            assert_eq!(session.verdict(shown, at(now)), expected, "{what}");
        }
    }

    proptest! {
        /// A browser that shows what it was last given stays signed in, however many answers are lost.
        #[test]
        fn an_honest_browser_is_never_taken_for_a_thief(steps in prop::collection::vec((0..100_000_i64, any::<bool>()), 1..100)) {
            let (mut now, mut session) = (0, age(0, Some(0), 0));
            let mut has_current = true;
            for (pause, arrives) in steps {
                now += pause;
                let shown = if has_current { Shown::Current } else { Shown::Previous };
                match session.verdict(shown, at(now)) {
                    Verdict::Copied => prop_assert!(false, "{session:?} at {now}"),
                    Verdict::Over => break,
                    Verdict::Good { rotate, note } => {
                        if note {
                            session.seen_at = at(now);
                            if has_current {
                                session.confirmed_at.get_or_insert(at(now));
                            }
                        }
                        if rotate {
                            session.rotated_at = at(now);
                            session.confirmed_at = None;
                            has_current = arrives;
                        }
                    }
                }
            }
        }
    }
}
