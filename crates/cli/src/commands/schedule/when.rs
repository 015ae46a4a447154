//! When, as people say it: a cron expression, an interval or a time, with the zone whose clocks are meant.

use creel_domain::{CronExpr, When, Zone};
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

use crate::{
    commands::token,
    failure::{Failure, Result},
};

#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct WhenArgs {
    #[command(flatten)]
    which: Which,
    /// Whose clocks show these times, for example Europe/Berlin; this computer's zone when absent
    #[arg(long, value_name = "ZONE")]
    zone: Option<Zone>,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// At the times of a cron expression: "minute hour day month weekday"
    #[arg(long, value_name = "EXPR")]
    cron: Option<CronExpr>,
    /// At an interval, for example 30m, 6h or 1d; at least 60s
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    every: Option<u32>,
    /// Once, for example 2026-12-24T18:00
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
}

/// The same, where what is not named stays.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct ChangedWhen {
    /// At the times of a cron expression: "minute hour day month weekday"
    #[arg(long, value_name = "EXPR", conflicts_with_all = ["every", "at"])]
    cron: Option<CronExpr>,
    /// At an interval, for example 30m, 6h or 1d; at least 60s
    #[arg(long, value_name = "TIME", value_parser = seconds, conflicts_with_all = ["at", "zone"])]
    every: Option<u32>,
    /// Once, for example 2026-12-24T18:00
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Whose clocks show these times
    #[arg(long, value_name = "ZONE")]
    zone: Option<Zone>,
}

fn seconds(text: &str) -> std::result::Result<u32, String> {
    let seconds = token::seconds(text)?;
    u32::try_from(seconds).map_err(|_| format!("`{text}` is too long"))
}

impl WhenArgs {
    pub(super) fn when(self) -> Result<When> {
        let zone = self.zone;
        match (self.which.cron, self.which.every, self.which.at) {
            (Some(expr), _, _) => Ok(When::Cron {
                expr,
                zone: zone.unwrap_or_else(here),
            }),
            (None, Some(_), _) if zone.is_some() => Err(Failure::wrong_use(
                "an interval is the same in every zone: leave --zone out",
            )),
            (None, Some(seconds), _) => Ok(When::Every { seconds }),
            (None, None, at) => Ok(When::At {
                at: time(&at.unwrap_or_default(), &zone.unwrap_or_else(here))?,
            }),
        }
    }
}

impl ChangedWhen {
    /// None: the times stay as they are.
    pub(super) fn when(self, before: &When) -> Result<Option<When>> {
        let kept = match before {
            When::Cron { zone, .. } => Some(zone.clone()),
            When::Every { .. } | When::At { .. } => None,
        };
        let zone = self.zone.clone().or(kept).unwrap_or_else(here);
        Ok(match (self.cron, self.every, self.at, self.zone) {
            (Some(expr), ..) => Some(When::Cron { expr, zone }),
            (None, Some(seconds), ..) => Some(When::Every { seconds }),
            (None, None, Some(at), _) => Some(When::At {
                at: time(&at, &zone)?,
            }),
            (None, None, None, Some(zone)) => match before {
                When::Cron { expr, .. } => Some(When::Cron {
                    expr: expr.clone(),
                    zone,
                }),
                When::Every { .. } | When::At { .. } => {
                    return Err(Failure::wrong_use(
                        "only a cron expression has a zone of its own: name --cron or --at as well",
                    ));
                }
            },
            (None, None, None, None) => None,
        })
    }
}

/// This computer's zone, if it has a name.
pub(super) fn here() -> Zone {
    let system = TimeZone::system();
    system
        .iana_name()
        .and_then(|name| name.parse().ok())
        .unwrap_or_default()
}

/// `2026-12-24T18:00` by the clocks of a zone, or a time that says its own offset.
fn time(text: &str, zone: &Zone) -> Result<Timestamp> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let bad = || {
        Failure::wrong_use(format!(
            "`{text}` is no time: write 2026-12-24T18:00, or with an offset 2026-12-24T18:00:00+01:00"
        ))
    };
    let civil: DateTime = text.parse().map_err(|_| bad())?;
    let at = civil.to_zoned(zone.time_zone()).map_err(|_| bad())?;
    Ok(at.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_by_the_clocks_of_its_zone_unless_it_says_otherwise() {
        let berlin: Zone = "Europe/Berlin".parse().expect("a zone");
        let read = |text: &str| time(text, &berlin).map(|at| at.to_string()).ok();
        assert_eq!(read("2026-12-24T18:00").as_deref(), Some("2026-12-24T17:00:00Z"));
        assert_eq!(read("2026-07-24 18:00").as_deref(), Some("2026-07-24T16:00:00Z"));
        assert_eq!(
            read("2026-12-24T18:00:00Z").as_deref(),
            Some("2026-12-24T18:00:00Z")
        );
        assert_eq!(
            read("2026-12-24T18:00:00-05:00").as_deref(),
            Some("2026-12-24T23:00:00Z")
        );
        for bad in ["", "tomorrow", "18:00", "2026-13-01T00:00"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_not_named_stays() {
        let before = When::Cron {
            expr: "0 9 * * *".parse().expect("an expression"),
            zone: "Asia/Kolkata".parse().expect("a zone"),
        };
        let nothing = || ChangedWhen {
            cron: None,
            every: None,
            at: None,
            zone: None,
        };
        assert_eq!(nothing().when(&before).ok(), Some(None));
        let expr = ChangedWhen {
            cron: "0 8 * * *".parse().ok(),
            ..nothing()
        };
        let changed = expr.when(&before).ok().flatten().map(|when| when.to_string());
        assert_eq!(changed.as_deref(), Some("0 8 * * * Asia/Kolkata"));
        let zone = || ChangedWhen {
            zone: "UTC".parse().ok(),
            ..nothing()
        };
        let changed = zone().when(&before).ok().flatten().map(|when| when.to_string());
        assert_eq!(changed.as_deref(), Some("0 9 * * * UTC"));
        assert!(zone().when(&When::Every { seconds: 60 }).is_err());
    }
}
