//! Real zones on the days on which they jump, and what holds for all of them.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;

fn time(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn cron(expr: &str, zone: &str) -> When {
    When::Cron {
        expr: expr.parse().expect("an expression"),
        zone: zone.parse().expect("a zone"),
    }
}

/// The next times as the zone's own clocks show them, with their offset.
fn shown(expr: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let tz = zone.parse::<Zone>().expect("a zone").time_zone();
    let times = cron(expr, zone).upcoming(Timestamp::UNIX_EPOCH, time(after), count);
    let show = |at: Timestamp| at.to_zoned(tz.clone()).strftime("%m-%d %H:%M%:z").to_string();
    times.into_iter().map(show).collect()
}

#[test]
fn a_time_of_day_that_does_not_exist_comes_once_at_the_moment_of_the_jump() {
    let berlin = shown("30 2 * * *", "Europe/Berlin", "2027-03-27T00:00:00Z", 3);
    assert_eq!(
        berlin,
        ["03-27 02:30+01:00", "03-28 03:00+02:00", "03-29 02:30+02:00"]
    );
    let new_york = shown("30 2 * * *", "America/New_York", "2027-03-13T12:00:00Z", 2);
    assert_eq!(new_york, ["03-14 03:00-04:00", "03-15 02:30-04:00"]);
    // Half an hour on Lord Howe: from 02:00 to 02:30.
    let lord_howe = shown("15 2 * * *", "Australia/Lord_Howe", "2027-10-02T00:00:00Z", 2);
    assert_eq!(lord_howe, ["10-03 02:30+11:00", "10-04 02:15+11:00"]);
    // Several that do not exist come as one, and not once more at a time of their own.
    let several = shown("0,20,40 2,3 * * *", "Europe/Berlin", "2027-03-27T23:00:00Z", 4);
    assert_eq!(
        several,
        [
            "03-28 03:00+02:00",
            "03-28 03:20+02:00",
            "03-28 03:40+02:00",
            "03-29 02:00+02:00"
        ]
    );
}

#[test]
fn a_time_of_day_that_comes_twice_comes_once() {
    let berlin = shown("30 2 * * *", "Europe/Berlin", "2027-10-30T12:00:00Z", 2);
    assert_eq!(berlin, ["10-31 02:30+02:00", "11-01 02:30+01:00"]);
    let twice_a_day = shown("30 2,14 * * *", "Europe/Berlin", "2027-10-30T22:00:00Z", 3);
    assert_eq!(
        twice_a_day,
        ["10-31 02:30+02:00", "10-31 14:30+01:00", "11-01 02:30+01:00"]
    );
    let new_york = shown("*/30 1 * * *", "America/New_York", "2027-11-07T00:00:00Z", 3);
    assert_eq!(
        new_york,
        ["11-07 01:00-04:00", "11-07 01:30-04:00", "11-08 01:00-05:00"]
    );
    let lord_howe = shown("45 1 * * *", "Australia/Lord_Howe", "2027-04-03T12:00:00Z", 2);
    assert_eq!(lord_howe, ["04-04 01:45+11:00", "04-05 01:45+10:30"]);
    // Asked in the second pass of the hour, the first one is over.
    let second_pass = shown("30,40 2 * * *", "Europe/Berlin", "2027-10-31T01:10:00Z", 1);
    assert_eq!(second_pass, ["11-01 02:30+01:00"]);
}

#[test]
fn an_expression_for_every_hour_goes_by_the_hours_that_pass() {
    let back = shown("0 * * * *", "Europe/Berlin", "2027-10-30T23:30:00Z", 4);
    assert_eq!(
        back,
        [
            "10-31 02:00+02:00",
            "10-31 02:00+01:00",
            "10-31 03:00+01:00",
            "10-31 04:00+01:00"
        ]
    );
    let forward = shown("30 * * * *", "Europe/Berlin", "2027-03-28T00:00:00Z", 3);
    assert_eq!(
        forward,
        ["03-28 01:30+01:00", "03-28 03:30+02:00", "03-28 04:30+02:00"]
    );
    let india = shown("0 * * * *", "Asia/Kolkata", "2027-03-28T00:00:00Z", 2);
    assert_eq!(india, ["03-28 06:00+05:30", "03-28 07:00+05:30"]);
}

#[test]
fn weekdays_last_days_and_short_forms() {
    let workdays = shown("0 9 * * 1-5", "Asia/Kolkata", "2027-01-01T00:00:00Z", 3);
    assert_eq!(
        workdays,
        ["01-01 09:00+05:30", "01-04 09:00+05:30", "01-05 09:00+05:30"]
    );
    let last = shown("0 0 l 2 *", "UTC", "2027-01-01T00:00:00Z", 2);
    assert_eq!(last, ["02-28 00:00+00:00", "02-29 00:00+00:00"]);
    let friday_13 = shown("0 0 13 * +fri", "UTC", "2027-01-01T00:00:00Z", 1);
    assert_eq!(friday_13, ["08-13 00:00+00:00"]);
    assert_eq!(
        shown("@weekly", "UTC", "2027-01-01T00:00:00Z", 1),
        ["01-03 00:00+00:00"]
    );
    // Every 40 years a leap day is a Sunday twelve times rarer than that: it is found.
    let leap = cron("0 0 29 2 *", "UTC").next(Timestamp::UNIX_EPOCH, time("2097-01-01T00:00:00Z"));
    assert_eq!(leap, Some(time("2104-02-29T00:00:00Z")));
}

#[test]
fn a_bad_expression_says_which_field_is_wrong_and_what_it_may_be() {
    for (expr, part) in [
        ("61 * * * *", "the minute is `61`, and may be 0-59"),
        ("* 24 * * *", "the hour is `24`, and may be 0-23"),
        ("* * 0 * *", "the day of the month is `0`, and may be 1-31"),
        ("* * * FOO *", "the month is `FOO`, and may be 1-12 or JAN-DEC"),
        ("* * * * 8", "the weekday is `8`, and may be 0-7 or SUN-SAT"),
        ("*/0 * * * *", "the minute is `*/0`"),
        ("5-1 * * * *", "the minute is `5-1`"),
        ("@daily * * * *", "the short forms are @hourly"),
        ("* @daily * * *", "the hour is `@daily`"),
        ("@reboot", "the short forms are @hourly, @daily"),
        ("0 9 * *", "it has 4 fields, and needs 5"),
        ("0 0 9 * * 1-5", "it has 6 fields, and needs 5"),
        ("", "it has 0 fields, and needs 5"),
        ("0 0 30 2 *", "it names no day that ever comes"),
        (&"1,".repeat(500), "is no cron expression"),
    ] {
        let error = expr.parse::<CronExpr>().expect_err(expr).to_string();
        assert!(error.contains(part), "{expr}: {error}");
    }
}

#[test]
fn an_interval_does_not_drift_and_once_is_once() {
    let (anchor, every) = (time("2027-01-01T00:00:07Z"), When::Every { seconds: 1800 });
    assert_eq!(
        every.next(anchor, time("2027-01-01T05:29:00Z")),
        Some(time("2027-01-01T05:30:07Z"))
    );
    assert_eq!(
        every.next(anchor, time("2027-01-01T05:30:07Z")),
        Some(time("2027-01-01T06:00:07Z"))
    );
    assert_eq!(
        every.next(anchor, time("2020-01-01T00:00:00Z")),
        Some(time("2027-01-01T00:30:07Z"))
    );
    assert_eq!(every.check(anchor), Ok(()));
    assert_eq!(When::Every { seconds: 59 }.check(anchor), Err(BadWhen::Interval));
    let once = When::At { at: anchor };
    assert_eq!(once.check(anchor), Err(BadWhen::Past));
    assert_eq!(once.next(anchor, anchor), None);
}

#[test]
fn what_was_missed_is_left_out_made_up_once_or_made_up_whole() {
    let (hourly, anchor) = (When::Every { seconds: 3600 }, time("2027-01-01T00:00:00Z"));
    let planned = |missed, now: &str| plan(&hourly, anchor, time("2027-01-01T01:00:00Z"), missed, time(now));
    let hours = |plan: &[Timestamp]| {
        plan.iter()
            .map(|at| at.duration_since(anchor).as_hours())
            .collect::<Vec<_>>()
    };

    // On time, each policy is the same.
    for missed in [Missed::Skip, Missed::Once, Missed::All] {
        let plan = planned(missed, "2027-01-01T01:00:30Z");
        assert_eq!((hours(&plan.due), hours(&plan.missed)), (vec![1], vec![]));
        assert_eq!(
            (plan.next_at, plan.catching_up),
            (Some(time("2027-01-01T02:00:00Z")), false)
        );
    }
    let late = "2027-01-01T03:30:00Z";
    let skip = planned(Missed::Skip, late);
    assert_eq!((hours(&skip.due), hours(&skip.missed)), (vec![], vec![1, 2, 3]));
    let once = planned(Missed::Once, late);
    assert_eq!((hours(&once.due), hours(&once.missed)), (vec![3], vec![1, 2]));
    let all = planned(Missed::All, late);
    assert_eq!((hours(&all.due), all.catching_up), (vec![1, 2, 3], true));
    assert_eq!(all.next_at, Some(time("2027-01-01T04:00:00Z")));
    // Where one is on time, it is the one for all of them.
    let both = planned(Missed::Once, "2027-01-01T03:00:10Z");
    assert_eq!((hours(&both.due), hours(&both.missed)), (vec![3], vec![1, 2]));
    // A year of them is the newest 24.
    let year = planned(Missed::All, "2028-01-01T00:30:00Z");
    assert_eq!(year.due.len(), CATCH_UP);
    assert_eq!(year.due.last(), Some(&time("2028-01-01T00:00:00Z")));
    // A clock that was set back plans nothing, and forgets nothing.
    let back = planned(Missed::All, "2026-12-01T00:00:00Z");
    assert_eq!(
        (back.due, back.next_at),
        (vec![], Some(time("2027-01-01T01:00:00Z")))
    );
}

fn whens() -> impl Strategy<Value = When> {
    let exprs = prop::sample::select(vec![
        "* * * * *",
        "*/7 * * * *",
        "0 * * * *",
        "30 2 * * *",
        "*/20 1-3 * * *",
        "0 9 * * 1-5",
        "15 2 L * *",
        "0 0 1 1 *",
        "59 23 * * SUN",
        "0,30 0-23/2 * * *",
    ]);
    let zones = prop::sample::select(vec![
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
        "Asia/Kolkata",
        "America/Sao_Paulo",
        "Africa/Casablanca",
        "Pacific/Apia",
        "Antarctica/Troll",
    ]);
    prop_oneof![
        (exprs, zones).prop_map(|(expr, zone)| cron(expr, zone)),
        (60_u32..100_000).prop_map(|seconds| When::Every { seconds }),
        times().prop_map(|at| When::At { at }),
    ]
}

/// In 2026 to 2028, often near a jump.
fn times() -> impl Strategy<Value = Timestamp> {
    let jumps = prop::sample::select(vec![
        1_806_195_600_i64,
        1_824_944_400,
        1_805_007_600,
        1_825_567_200,
        1_822_491_000,
    ]);
    prop_oneof![
        1_780_000_000_i64..1_840_000_000,
        (jumps, -10_000_i64..10_000).prop_map(|(jump, around)| jump + around),
    ]
    .prop_map(|second| Timestamp::from_second(second).expect("in range"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn times_go_forward_and_backward_the_same_way(when in whens(), anchor in times(), after in times()) {
        let ahead = when.upcoming(anchor, after, 30);
        prop_assert!(ahead.iter().all(|at| *at > after));
        prop_assert!(ahead.is_sorted_by(|a, b| a < b), "{ahead:?}");
        if let Some(last) = ahead.last() {
            prop_assert_eq!(when.newest(anchor, after, *last, 30), ahead.clone());
            let most = ahead.len().min(5);
            prop_assert_eq!(when.newest(anchor, after, *last, most), ahead[ahead.len() - most..].to_vec());
        }
    }

    /// However the clock jumps: each time at most once, in order, and bounded.
    #[test]
    fn no_time_is_planned_twice(
        when in whens(), missed in prop::sample::select(vec![Missed::Skip, Missed::Once, Missed::All]),
        start in times(), steps in prop::collection::vec(-200_000_i64..400_000, 1..20),
    ) {
        let (mut now, mut next_at, mut seen) = (start, when.next(start, start), Vec::new());
        for step in steps {
            now += SignedDuration::from_secs(step);
            let Some(at) = next_at else { break };
            let plan = plan(&when, start, at, missed, now);
            prop_assert!(plan.due.len() + plan.missed.len() <= CATCH_UP);
            prop_assert!(plan.next_at.is_none_or(|next| next >= at && next > now.min(at)));
            let mut told = [plan.missed.clone(), plan.due.clone()].concat();
            told.sort();
            prop_assert!(told.iter().all(|told| *told <= now && *told >= at));
            seen.extend(told);
            next_at = plan.next_at;
        }
        prop_assert!(seen.is_sorted_by(|a, b| a < b), "{seen:?}");
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,60}", fields in prop::collection::vec("[0-9*,/#LW+@A-Z?-]{1,6}", 5)) {
        for text in [text, fields.join(" ")] {
            let zone = Zone::default();
            if let Ok(expr) = text.parse::<CronExpr>() {
                let when = When::Cron { expr, zone };
                prop_assert!(when.next(Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH).is_some(), "{when}");
            }
        }
    }
}
