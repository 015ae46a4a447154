//! When a schedule's times are: by a cron expression, at an interval, or once.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{CronExpr, Zone};

/// The shortest interval, in seconds.
pub const SHORTEST_INTERVAL_S: u32 = 60;
/// The longest: a year.
const LONGEST_INTERVAL_S: u32 = 365 * 24 * 60 * 60;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum When {
    /// At the times that a cron expression names.
    Cron {
        /// `minute hour day month weekday`.
        expr: CronExpr,
        /// Whose clocks show these times; UTC when absent.
        #[serde(default)]
        zone: Zone,
    },
    /// At an interval, counted from when it was set, so that it does not drift.
    Every {
        /// 60 to 31 536 000 (a year).
        seconds: u32,
    },
    /// Once.
    At { at: Timestamp },
}

/// What cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadWhen {
    #[error("`when.seconds` must be {SHORTEST_INTERVAL_S} to {LONGEST_INTERVAL_S}")]
    Interval,
    #[error("`when.at` is over: name a time to come")]
    Past,
}

impl When {
    /// Whether somebody may set it at `now`.
    pub fn check(&self, now: Timestamp) -> Result<(), BadWhen> {
        match self {
            Self::Every { seconds } if !(SHORTEST_INTERVAL_S..=LONGEST_INTERVAL_S).contains(seconds) => {
                Err(BadWhen::Interval)
            }
            Self::At { at } if *at <= now => Err(BadWhen::Past),
            Self::Cron { .. } | Self::Every { .. } | Self::At { .. } => Ok(()),
        }
    }

    /// The first planned time after `after`.
    pub fn next(&self, anchor: Timestamp, after: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Cron { expr, zone } => expr.next(&zone.time_zone(), after),
            Self::Every { seconds } => {
                let seconds = i64::from(*seconds);
                let passed = intervals(anchor, after, seconds);
                step(anchor, passed + 1, seconds)
            }
            Self::At { at } => (*at > after).then_some(*at),
        }
    }

    /// The next `count` planned times after `after`.
    pub fn upcoming(&self, anchor: Timestamp, after: Timestamp, count: usize) -> Vec<Timestamp> {
        let next = |at: &Timestamp| self.next(anchor, *at);
        std::iter::successors(self.next(anchor, after), next)
            .take(count)
            .collect()
    }

    /// The newest `most` planned times after `after` up to `until`, oldest first.
    pub fn newest(
        &self,
        anchor: Timestamp,
        after: Timestamp,
        until: Timestamp,
        most: usize,
    ) -> Vec<Timestamp> {
        let mut found = match self {
            Self::Cron { expr, zone } => expr.newest(&zone.time_zone(), after, until, most),
            Self::Every { seconds } => {
                let seconds = i64::from(*seconds);
                let last = intervals(anchor, until, seconds);
                let steps = (0..).map(|back| last - back).take_while(|number| *number >= 1);
                steps
                    .map_while(|number| step(anchor, number, seconds))
                    .take_while(|at| *at > after)
                    .take(most)
                    .collect()
            }
            Self::At { at } => (*at > after && *at <= until && most > 0)
                .then_some(*at)
                .into_iter()
                .collect(),
        };
        found.reverse();
        found
    }
}

/// How many whole intervals lie between; none before the anchor.
fn intervals(anchor: Timestamp, at: Timestamp, seconds: i64) -> i64 {
    let passed = at.duration_since(anchor);
    if passed.is_negative() {
        return 0;
    }
    passed.as_secs() / seconds
}

fn step(anchor: Timestamp, number: i64, seconds: i64) -> Option<Timestamp> {
    let after = SignedDuration::from_secs(number.checked_mul(seconds)?);
    anchor.checked_add(after).ok()
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cron { expr, zone } => write!(f, "{expr} {zone}"),
            Self::Every { seconds } => {
                let units = [(86_400, "d"), (3600, "h"), (60, "m"), (1, "s")];
                let fits = units.into_iter().find(|(unit, _)| seconds % unit == 0);
                let (unit, letter) = fits.unwrap_or((1, "s"));
                write!(f, "every {}{letter}", seconds / unit)
            }
            Self::At { at } => write!(f, "at {at}"),
        }
    }
}
