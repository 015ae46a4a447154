//! Cron expressions of five fields, and the times that they name in a zone.
//!
//! `minute hour day month weekday`, as in every crontab: lists, ranges, steps, names of months and weekdays, `L` (last),
//! `W` (nearest weekday) and `#` (nth weekday); `@hourly` and its like. Where both a day and a weekday are named, either
//! is enough, and a `+` before the weekday asks for both.
//!
//! When clocks are set forward, a time of day that does not exist comes at the moment of the jump, once. When they are set
//! back, one that comes twice counts the first time. An expression for every hour goes by the hours that really pass.

use std::{fmt, str::FromStr};

use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use jiff::{
    Timestamp,
    civil::DateTime,
    tz::{AmbiguousOffset, TimeZone},
};
use serde::{Deserialize, Serialize};

/// An expression that names at least one time to come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, example = "0 9 * * 1-5")]
pub struct CronExpr(String);

/// The text is no cron expression; says which field is wrong and what it may be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no cron expression: {reason}")]
pub struct BadCron {
    text: String,
    reason: String,
}

/// Each field's name and what it takes.
const FIELDS: [(&str, &str); 5] = [
    ("minute", "0-59"),
    ("hour", "0-23"),
    (
        "day of the month",
        "1-31, L for the last, or 15W for the weekday nearest to the 15th",
    ),
    ("month", "1-12 or JAN-DEC"),
    (
        "weekday",
        "0-7 or SUN-SAT, where 0 and 7 are Sunday, 5L for the last Friday, or MON#2 for the second Monday",
    ),
];
const NICKNAMES: [&str; 6] = ["@hourly", "@daily", "@weekly", "@monthly", "@yearly", "@annually"];
/// The longest expression, in bytes.
const LONGEST: usize = 200;
/// Candidates in one search that were before its start: the length of the longest hour that comes twice, in minutes.
const REPEATED: usize = 400;

fn parse(text: &str) -> Option<Cron> {
    let parser = CronParser::builder()
        .seconds(Seconds::Disallowed)
        .year(Year::Disallowed)
        .build();
    parser.parse(text).ok()
}

impl CronExpr {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first time after `after`; none: there is none.
    pub(super) fn next(&self, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
        let cron = parse(&self.0)?;
        let from = after.to_zoned(zone.clone());
        if every_hour(&cron) {
            return cron
                .find_next_occurrence(&from, false)
                .ok()
                .map(|at| at.timestamp());
        }
        let mut at = from.datetime();
        for _ in 0..REPEATED {
            at = cron.find_next_occurrence(&at, false).ok()?;
            // In an hour that comes twice, the first one may be over.
            if let Some(instant) = instant(zone, at).filter(|instant| *instant > after) {
                return Some(instant);
            }
        }
        None
    }

    /// The newest `most` times after `after` up to `until`, the newest first.
    pub(super) fn newest(
        &self,
        zone: &TimeZone,
        after: Timestamp,
        until: Timestamp,
        most: usize,
    ) -> Vec<Timestamp> {
        let mut found = Vec::new();
        let Some(cron) = parse(&self.0) else { return found };
        let until = until.to_zoned(zone.clone());
        if every_hour(&cron) {
            let (mut from, mut inclusive) = (until, true);
            while found.len() < most
                && let Ok(at) = cron.find_previous_occurrence(&from, inclusive)
                && at.timestamp() > after
            {
                found.push(at.timestamp());
                (from, inclusive) = (at, false);
            }
            return found;
        }
        // In the second pass of an hour, all that the first pass had is behind as well.
        let Ok(mut at) = until.datetime().checked_add(jiff::Span::new().hours(3)) else {
            return found;
        };
        let (until, mut passed) = (until.timestamp(), 0);
        while found.len() < most && passed < REPEATED {
            let Ok(before) = cron.find_previous_occurrence(&at, false) else {
                break;
            };
            at = before;
            let Some(instant) = instant(zone, at) else { break };
            if instant > until {
                passed += 1;
            } else if instant <= after {
                break;
            } else if found.last() != Some(&instant) {
                // Several that do not exist come as one.
                found.push(instant);
            }
        }
        found
    }
}

/// Whether it names each hour of a day.
fn every_hour(cron: &Cron) -> bool {
    (0..24).all(|hour| cron.pattern.hour_match(hour).unwrap_or(false))
}

/// When a time of day comes: of one that comes twice the first, of one that does not exist the moment of the jump.
fn instant(zone: &TimeZone, at: DateTime) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(at);
    match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => ambiguous.earlier().ok(),
        AmbiguousOffset::Gap { .. } => {
            // Read with the offset of before it lies past the jump, which is then the last one before.
            let past = ambiguous.later().ok()?.max(ambiguous.earlier().ok()?);
            zone.preceding(past).next().map(|jump| jump.timestamp())
        }
    }
}

impl FromStr for CronExpr {
    type Err = BadCron;

    fn from_str(text: &str) -> Result<Self, BadCron> {
        let bad = |reason: String| BadCron {
            text: text.chars().take(80).collect(),
            reason,
        };
        let whole = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if whole.starts_with('@') {
            let nickname = whole.to_ascii_lowercase();
            return match NICKNAMES.contains(&nickname.as_str()) {
                true => Ok(Self(nickname)),
                false => Err(bad(format!("the short forms are {}", NICKNAMES.join(", ")))),
            };
        }
        let fields: Vec<_> = whole.split(' ').filter(|field| !field.is_empty()).collect();
        if whole.len() > LONGEST {
            return Err(bad(format!("it may be {LONGEST} bytes long")));
        }
        if fields.len() != FIELDS.len() {
            return Err(bad(format!(
                "it has {} fields, and needs 5: minute, hour, day of the month, month, weekday",
                fields.len()
            )));
        }
        for (position, ((name, allowed), field)) in FIELDS.iter().zip(&fields).enumerate() {
            let mut alone = ["*"; 5];
            alone[position] = field;
            // The parser knows short forms within expressions; nobody else does.
            if field.contains('@') || parse(&alone.join(" ")).is_none() {
                return Err(bad(format!(
                    "the {name} is `{field}`, and may be {allowed}; also * for every, lists (1,2), ranges (1-5) and \
                     steps (*/2)"
                )));
            }
        }
        let never = || bad("it names no day that ever comes".to_owned());
        let cron = parse(&whole).ok_or_else(|| bad("its fields do not go together".to_owned()))?;
        // Every leap year's 29 February lies on each weekday within these 40 years.
        let year = DateTime::constant(2000, 1, 1, 0, 0, 0, 0);
        match cron.find_next_occurrence(&year, true) {
            Ok(first) if first.year() <= 2040 => Ok(Self(whole.to_ascii_uppercase())),
            Ok(_) | Err(_) => Err(never()),
        }
    }
}

impl TryFrom<String> for CronExpr {
    type Error = BadCron;

    fn try_from(text: String) -> Result<Self, BadCron> {
        text.parse()
    }
}

impl From<CronExpr> for String {
    fn from(expr: CronExpr) -> Self {
        expr.0
    }
}

impl fmt::Display for CronExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
