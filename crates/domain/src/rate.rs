//! How many requests a minute: the generic cell rate algorithm, on a clock that the caller brings.
//!
//! All of a minute's requests may come at once; then one at a time as the minute goes by. What has to be
//! remembered of a caller is one moment, and nothing once that is past.

use std::{fmt, str::FromStr};

use jiff::Timestamp;

const MINUTE_MICROS: i64 = 60_000_000;

/// So many a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate(u32);

/// What is left after a request was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    pub rate: Rate,
    /// Requests that may still come at once.
    pub left: u32,
    /// Until all of them may again, in seconds.
    pub full_in_seconds: u64,
    /// None: it was counted. Otherwise it was not, and may be tried again after so many seconds.
    pub wait_seconds: Option<u64>,
}

impl Rate {
    pub const fn per_minute(requests: u32) -> Self {
        Self(if requests == 0 { 1 } else { requests })
    }

    pub fn requests(self) -> u32 {
        self.0
    }

    /// Several times as many.
    pub fn times(self, times: u32) -> Self {
        Self(self.0.saturating_mul(times))
    }

    /// Counts a request. `until` is what is remembered of the caller: none at first.
    pub fn take(self, until: &mut Option<Timestamp>, now: Timestamp) -> Allowance {
        let each = (MINUTE_MICROS / i64::from(self.0)).max(1);
        let now = now.as_microsecond();
        let ahead = until.map_or(0, |until| (until.as_microsecond() - now).clamp(0, MINUTE_MICROS));
        let after = ahead + each;
        let good = after <= MINUTE_MICROS;
        let used = if good { after } else { ahead };
        if good {
            *until = Timestamp::from_microsecond(now + after).ok();
        }
        Allowance {
            rate: self,
            left: u32::try_from((MINUTE_MICROS - used) / each).unwrap_or(0),
            full_in_seconds: seconds(used),
            wait_seconds: (!good).then(|| seconds(after - MINUTE_MICROS).max(1)),
        }
    }
}

/// Begun seconds count.
fn seconds(micros: i64) -> u64 {
    u64::try_from(micros).unwrap_or(0).div_ceil(1_000_000)
}

/// What is counted apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RateClass {
    Reads,
    Writes,
    Chat,
    /// By those who have not shown who they are.
    SignIn,
}

impl RateClass {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reads => "reads",
            Self::Writes => "writes",
            Self::Chat => "chat",
            Self::SignIn => "sign-in",
        }
    }
}

/// What one token or session may, and one address that is nobody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    pub reads: Rate,
    pub writes: Rate,
    pub chat: Rate,
    pub sign_in: Rate,
}

impl Rates {
    pub fn of(&self, class: RateClass) -> Rate {
        match class {
            RateClass::Reads => self.reads,
            RateClass::Writes => self.writes,
            RateClass::Chat => self.chat,
            RateClass::SignIn => self.sign_in,
        }
    }
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            reads: Rate::per_minute(1200),
            writes: Rate::per_minute(600),
            chat: Rate::per_minute(120),
            sign_in: Rate::per_minute(60),
        }
    }
}

/// `reads=1200,writes=600,chat=120,sign-in=60`
impl fmt::Display for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "reads={},writes={},chat={},sign-in={}",
            self.reads.0, self.writes.0, self.chat.0, self.sign_in.0
        )
    }
}

/// The text names no rates.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "write requests a minute such as `reads=1200,writes=600,chat=120,sign-in=60`, each from 1 to 1000000"
)]
pub struct BadRates;

impl FromStr for Rates {
    type Err = BadRates;

    /// What is left out is as by default.
    fn from_str(text: &str) -> Result<Self, BadRates> {
        let mut rates = Self::default();
        for part in text.split(',') {
            let (name, number) = part.trim().split_once('=').ok_or(BadRates)?;
            let number: u32 = number.parse().map_err(|_| BadRates)?;
            if !(1..=1_000_000).contains(&number) {
                return Err(BadRates);
            }
            let rate = match name {
                "reads" => &mut rates.reads,
                "writes" => &mut rates.writes,
                "chat" => &mut rates.chat,
                "sign-in" => &mut rates.sign_in,
                _ => return Err(BadRates),
            };
            *rate = Rate(number);
        }
        Ok(rates)
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_minutes_worth_at_once_then_one_at_a_time() {
        let rate = Rate::per_minute(60);
        let start = Timestamp::UNIX_EPOCH;
        let mut until = None;
        for left in (0..60).rev() {
            let allowance = rate.take(&mut until, start);
            assert_eq!((allowance.left, allowance.wait_seconds), (left, None));
        }
        assert_eq!(rate.take(&mut until, start).wait_seconds, Some(1));
        let later = start + SignedDuration::from_secs(2);
        assert_eq!(rate.take(&mut until, later).left, 1);
        assert_eq!(rate.take(&mut until, later).wait_seconds, None);
        assert_eq!(rate.take(&mut until, later).wait_seconds, Some(1));
        // A clock that was set back locks nobody out for longer than a minute.
        let before = start - SignedDuration::from_hours(24);
        assert!(
            rate.take(&mut until, before)
                .wait_seconds
                .is_some_and(|wait| wait <= 60)
        );
    }

    proptest! {
        #[test]
        fn never_more_than_twice_the_rate_in_a_minute(requests in 1_u32..500, gaps in prop::collection::vec(0_i64..500_000, 1..600)) {
            let rate = Rate::per_minute(requests);
            let (mut until, mut now, mut taken) = (None, Timestamp::UNIX_EPOCH, Vec::new());
            for gap in gaps {
                now += SignedDuration::from_micros(gap);
                if rate.take(&mut until, now).wait_seconds.is_none() {
                    taken.push(now);
                }
            }
            for (index, first) in taken.iter().enumerate() {
                let within = taken[index..].iter().take_while(|at| at.duration_since(*first) < SignedDuration::from_secs(60));
                prop_assert!(within.count() <= 2 * requests as usize);
            }
        }

        #[test]
        fn no_text_panics(text in ".{0,60}") {
            let _ = text.parse::<Rates>();
        }
    }

    #[test]
    fn rates_are_read_as_they_are_written() {
        let rates = Rates::default();
        assert_eq!(rates.to_string().parse(), Ok(rates));
        assert_eq!("chat=5".parse::<Rates>().expect("good").chat, Rate(5));
        for bad in ["", "reads", "reads=0", "speed=1", "reads=1,", "reads=9999999"] {
            assert_eq!(bad.parse::<Rates>(), Err(BadRates), "{bad}");
        }
    }
}
