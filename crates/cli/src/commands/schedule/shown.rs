//! Schedules and their runs for people: times by the clocks that were meant.

use creel_api::{Schedule, ScheduleRun};
use creel_domain::When;
use jiff::{Timestamp, tz::TimeZone};

use super::when::here;
use crate::out::{style, table::Table, units};

fn zone(when: &When) -> TimeZone {
    match when {
        When::Cron { zone, .. } => zone.time_zone(),
        When::Every { .. } | When::At { .. } => here().time_zone(),
    }
}

fn shown(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%a %F %H:%M %Z").to_string()
}

/// `Next: Mon 2026-11-30 09:00 CET, …`
pub(super) fn next(schedule: &Schedule) -> String {
    let zone = zone(&schedule.when);
    let times: Vec<_> = schedule.upcoming.iter().map(|at| shown(*at, &zone)).collect();
    match (times.is_empty(), schedule.enabled) {
        (false, _) => format!("Next: {}", times.join(", ")),
        (true, false) => "It is paused.".to_owned(),
        (true, true) => "Its time is over.".to_owned(),
    }
}

fn last(run: Option<&ScheduleRun>, now: Timestamp) -> String {
    run.map_or_else(String::new, |run| {
        format!("{} {} ago", run.state.as_str(), units::age(run.at, now))
    })
}

pub(super) fn list(schedules: &[Schedule]) -> String {
    let now = Timestamp::now();
    let mut table = Table::new(&["NAME", "WHEN", "NEXT", "LAST", "MESSAGE"]).gives_way(4);
    for schedule in schedules {
        let next = match schedule.upcoming.first() {
            Some(at) => shown(*at, &zone(&schedule.when)),
            None if schedule.enabled => "over".to_owned(),
            None => "paused".to_owned(),
        };
        table.row([
            schedule.name.to_string(),
            schedule.when.to_string(),
            next,
            last(schedule.last_run.as_ref(), now),
            schedule.message.lines().next().unwrap_or_default().to_owned(),
        ]);
    }
    table.render()
}

pub(super) fn whole(schedule: &Schedule) -> String {
    let now = Timestamp::now();
    let zone = zone(&schedule.when);
    let mut lines = vec![
        ("name", schedule.name.to_string()),
        ("id", schedule.id.to_string()),
        ("when", schedule.when.to_string()),
        (
            "state",
            if schedule.enabled { "enabled" } else { "paused" }.to_owned(),
        ),
        ("session", schedule.session.to_string()),
        ("missed", schedule.missed.to_string()),
        ("overlap", schedule.overlap.to_string()),
    ];
    lines.extend(schedule.upcoming.iter().map(|at| ("next", shown(*at, &zone))));
    if schedule.last_run.is_some() {
        lines.push(("last run", last(schedule.last_run.as_ref(), now)));
    }
    lines.push(("revision", schedule.revision.0.to_string()));
    lines.push(("message", schedule.message.clone()));
    let lines = lines
        .iter()
        .map(|(label, value)| format!("{label:<12} {}", style::plain(value)));
    lines.collect::<Vec<_>>().join("\n")
}

pub(super) fn runs(runs: &[ScheduleRun]) -> String {
    let zone = here().time_zone();
    let mut table = Table::new(&["PLANNED", "STATE", "TURN", "WHY"]).gives_way(3);
    for run in runs {
        let planned = run
            .planned_at
            .map_or_else(|| "asked for".to_owned(), |at| shown(at, &zone));
        let failure = run.failure.as_ref().map(|failure| &failure.message);
        let why = failure.or(run.detail.as_ref());
        table.row([
            planned,
            run.state.as_str().to_owned(),
            run.turn.map(|turn| turn.to_string()).unwrap_or_default(),
            why.cloned().unwrap_or_default(),
        ]);
    }
    table.render()
}
