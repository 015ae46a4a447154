//! Schedules: each planned time is acted upon once, whoever plans it, and told.

use creel_domain::{
    Agent, Intent, Missed, Overlap, ScheduleSpec, SessionName, Turn, TurnStatus, When, plan_schedule,
};
use creel_store::{
    AgentChange, DueSchedule, Error, KEPT_RUNS, MAX_SCHEDULES, MAX_WAITING_TURNS, NewSchedule, Org,
    RunOutcome, RuntimeWake, StoredRun, StoredSchedule,
};
use jiff::{SignedDuration, Timestamp};

use crate::world::{World, intent, spec};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

fn hourly() -> ScheduleSpec {
    ScheduleSpec {
        when: When::Every { seconds: 3600 },
        message: "Write the report".into(),
        session: "report".parse().expect("a session"),
        enabled: true,
        missed: Missed::Once,
        overlap: Overlap::Queue,
    }
}

fn new(name: &str, spec: ScheduleSpec) -> NewSchedule {
    NewSchedule {
        name: name.parse().expect("a name"),
        spec,
    }
}

async fn with(spec: ScheduleSpec) -> (World, Agent, StoredSchedule) {
    let world = World::new().await;
    let agent = world.agent("scout").await;
    let made = world
        .org()
        .create_schedule(agent.id, new("daily", spec))
        .await
        .expect("made");
    (world, agent, made)
}

async fn due(world: &World) -> Vec<DueSchedule> {
    world
        .store
        .platform()
        .due_schedules(world.now(), None, 100)
        .await
        .expect("a list")
}

/// What a control does when a schedule's time has come.
async fn fire(org: &Org, due: DueSchedule, now: Timestamp) -> Option<Vec<Turn>> {
    let plan = plan_schedule(&due.when, due.anchor_at, due.next_at, due.missed, now);
    org.fire_schedule(due, plan).await.expect("no error")
}

async fn finish(org: &Org, turn: &Turn, at: Timestamp) {
    let done = TurnStatus::Done {
        text: "done".into(),
        finished_at: at,
    };
    assert!(
        org.finish_turn(turn.id, done, "done".into(), Vec::new())
            .await
            .expect("finished")
    );
}

fn reasons(runs: &[StoredRun]) -> Vec<&'static str> {
    let word = |run: &StoredRun| match &run.outcome {
        RunOutcome::Turn {
            status: TurnStatus::Running,
            ..
        } => "running",
        RunOutcome::Turn {
            status: TurnStatus::Done { .. },
            ..
        } => "done",
        RunOutcome::Turn { .. } => "ended",
        RunOutcome::NotRun(reason) => reason.as_str(),
    };
    runs.iter().map(word).collect()
}

#[tokio::test]
async fn a_planned_time_is_one_turn_and_one_run_and_the_next_one_follows() {
    let (world, agent, made) = with(hourly()).await;
    let (org, id) = (world.org(), made.schedule.id);
    assert_eq!(made.schedule.next_at, Some(world.now() + HOUR));
    assert_eq!(due(&world).await, []);
    let next = world.store.platform().next_schedule_at().await.expect("a time");
    assert_eq!(next, made.schedule.next_at);

    world.clock.advance(HOUR);
    let [first] = &due(&world).await[..] else {
        panic!("one is due")
    };
    let turns = fire(&org, first.clone(), world.now()).await.expect("mine");
    assert_eq!((turns.len(), turns[0].message.as_str()), (1, "Write the report"));
    assert_eq!(turns[0].session.as_str(), "report");
    assert_eq!(
        fire(&org, first.clone(), world.now()).await,
        None,
        "another control has done it"
    );
    let stored = org.schedule(agent.id, id).await.expect("there");
    assert_eq!(stored.schedule.next_at, Some(world.now() + HOUR));
    assert_eq!(reasons(stored.last_run.as_slice()), ["running"]);
    finish(&org, &turns[0], world.now()).await;
    let runs = org.schedule_runs(id, None, 9).await.expect("a list");
    assert_eq!(
        (reasons(&runs), runs[0].planned_at),
        (vec!["done"], Some(world.now()))
    );
    let listed = org.schedules(agent.id).await.expect("a list");
    assert_eq!(listed, [org.schedule(agent.id, id).await.expect("there")]);
}

#[tokio::test]
async fn of_many_controls_that_fire_at_once_one_does() {
    let (world, _, made) = with(hourly()).await;
    world.clock.advance(HOUR);
    let first = due(&world).await.remove(0);
    let second = world.open().await.expect("another store");
    let tasks: Vec<_> = (0..32)
        .map(|number| {
            let store = if number % 2 == 0 {
                world.store.clone()
            } else {
                second.clone()
            };
            let (org, due, now) = (store.org(world.org), first.clone(), world.now());
            tokio::spawn(async move { fire(&org, due, now).await })
        })
        .collect();
    let mut fired = 0;
    for task in tasks {
        fired += usize::from(task.await.expect("ran").is_some());
    }
    assert_eq!(fired, 1);
    let runs = world
        .org()
        .schedule_runs(made.schedule.id, None, 99)
        .await
        .expect("a list");
    assert_eq!(reasons(&runs), ["running"]);
    second.close().await;
}

#[tokio::test]
async fn a_clock_that_is_set_back_fires_nothing_twice() {
    let (world, agent, made) = with(hourly()).await;
    let (org, id) = (world.org(), made.schedule.id);
    world.clock.advance(HOUR);
    fire(&org, due(&world).await.remove(0), world.now())
        .await
        .expect("mine");
    world.clock.advance(-HOUR * 5);
    assert_eq!(due(&world).await, []);
    // Paused and resumed it counts from the clock as it is now: the time that has run is known.
    for enabled in [false, true] {
        let spec = ScheduleSpec { enabled, ..hourly() };
        org.change_schedule(agent.id, id, None, spec)
            .await
            .expect("changed");
    }
    world.clock.advance(HOUR * 5);
    let again = due(&world).await.remove(0);
    assert_eq!(Some(again.next_at), made.schedule.next_at);
    assert_eq!(
        fire(&org, again, world.now()).await,
        Some(vec![]),
        "and not again"
    );
    assert_eq!(org.schedule_runs(id, None, 9).await.expect("a list").len(), 1);
}

#[tokio::test]
async fn missed_times_are_told_and_made_up_as_asked() {
    for (missed, fired, told) in [
        (Missed::Skip, 0, vec!["missed", "missed", "missed"]),
        (Missed::Once, 1, vec!["running", "missed", "missed"]),
        (Missed::All, 3, vec!["running", "running", "running"]),
    ] {
        let overlap = Overlap::Skip;
        let (world, _, made) = with(ScheduleSpec {
            missed,
            overlap,
            ..hourly()
        })
        .await;
        world.clock.advance(HOUR * 3 + SignedDuration::from_mins(5));
        let turns = fire(&world.org(), due(&world).await.remove(0), world.now()).await;
        assert_eq!(turns.expect("mine").len(), fired, "{missed}");
        let runs = world
            .org()
            .schedule_runs(made.schedule.id, None, 9)
            .await
            .expect("a list");
        assert_eq!(reasons(&runs), told, "{missed}");
        assert_eq!(due(&world).await, []);
    }
}

#[tokio::test]
async fn a_run_over_another_is_left_out_or_waits() {
    for (overlap, told) in [
        (Overlap::Skip, vec!["overlap", "running"]),
        (Overlap::Queue, vec!["running", "running"]),
    ] {
        let (world, _, made) = with(ScheduleSpec { overlap, ..hourly() }).await;
        for _ in 0..2 {
            world.clock.advance(HOUR);
            fire(&world.org(), due(&world).await.remove(0), world.now())
                .await
                .expect("mine");
        }
        let runs = world
            .org()
            .schedule_runs(made.schedule.id, None, 9)
            .await
            .expect("a list");
        assert_eq!(reasons(&runs), told);
    }
}

#[tokio::test]
async fn what_stands_in_the_way_is_told_as_the_reason() {
    let (world, agent, made) = with(hourly()).await;
    let (org, id) = (world.org(), made.schedule.id);
    let round = async |what: &str| {
        world.clock.advance(HOUR);
        let turns = fire(&org, due(&world).await.remove(0), world.now())
            .await
            .expect("mine");
        assert_eq!(turns, [], "{what}");
        reasons(&org.schedule_runs(id, None, 1).await.expect("a list"))[0]
    };
    org.change_agent(agent.id, None, intent(Intent::Stop))
        .await
        .expect("stopped");
    assert_eq!(round("stopped").await, "stopped");
    let rest = creel_domain::Rest {
        autostart: false,
        ..Default::default()
    };
    let asleep = AgentChange {
        spec: Some(creel_domain::AgentSpec { rest, ..spec() }),
        ..intent(Intent::Sleep)
    };
    org.change_agent(agent.id, None, asleep).await.expect("asleep");
    assert_eq!(round("asleep").await, "asleep");
    org.suspend().await.expect("suspended");
    assert_eq!(round("suspended").await, "suspended");
    org.resume().await.expect("resumed");
    for _ in 0..MAX_WAITING_TURNS {
        let session = SessionName::default();
        org.begin_turn(agent.id, session, "hello".into())
            .await
            .expect("begun");
    }
    assert_eq!(round("busy").await, "busy");
    let told = org.events(0, 9999).await.expect("events");
    let skipped = told.iter().filter(|event| event.kind == "schedule.skipped");
    let why: Vec<_> = skipped.map(|event| event.data["reason"].clone()).collect();
    assert_eq!(why, ["stopped", "asleep", "suspended", "busy"]);
}

#[tokio::test]
async fn a_change_counts_from_now_and_needs_the_revision_that_was_read() {
    let (world, agent, made) = with(hourly()).await;
    let (org, id) = (world.org(), made.schedule.id);
    world.clock.advance(SignedDuration::from_mins(30));
    let same = org
        .change_schedule(agent.id, id, None, hourly())
        .await
        .expect("no change");
    assert_eq!(same, made);
    let seen = Some(made.schedule.revision);
    let spec = ScheduleSpec {
        message: "another".into(),
        ..hourly()
    };
    let changed = org
        .change_schedule(agent.id, id, seen, spec.clone())
        .await
        .expect("changed");
    assert_eq!(
        changed.schedule.next_at, made.schedule.next_at,
        "its times are the same"
    );
    let stale = org.change_schedule(agent.id, id, seen, hourly()).await;
    assert!(
        matches!(stale, Err(Error::RevisionMismatch { current }) if current == changed.schedule.revision)
    );

    let paused = ScheduleSpec {
        enabled: false,
        ..spec.clone()
    };
    let paused = org
        .change_schedule(agent.id, id, None, paused)
        .await
        .expect("paused");
    assert_eq!(paused.schedule.next_at, None);
    world.clock.advance(HOUR * 10);
    assert_eq!(due(&world).await, []);
    let resumed = org
        .change_schedule(agent.id, id, None, spec.clone())
        .await
        .expect("resumed");
    assert_eq!(
        resumed.schedule.next_at,
        Some(made.schedule.created_at + HOUR * 11),
        "what was missed is not made up"
    );
    let other = ScheduleSpec {
        when: When::Every { seconds: 600 },
        ..spec
    };
    let other = org
        .change_schedule(agent.id, id, None, other)
        .await
        .expect("changed");
    assert_eq!(
        other.schedule.next_at,
        Some(world.now() + SignedDuration::from_mins(10))
    );

    let trail = org
        .audit(creel_store::AuditFilter::default(), None, 99)
        .await
        .expect("a trail");
    let actions: Vec<_> = trail
        .iter()
        .map(|stored| stored.entry.act.action.as_str())
        .collect();
    assert_eq!(
        actions[..5],
        [
            "schedule.change",
            "schedule.resume",
            "schedule.pause",
            "schedule.change",
            "schedule.create"
        ]
    );
    assert!(
        !format!("{trail:?}").contains("Write the report"),
        "what is said stays out of the trail"
    );
}

#[tokio::test]
async fn names_are_an_agents_own_numbers_are_bounded_and_history_as_well() {
    let (world, agent, made) = with(hourly()).await;
    let (org, id) = (world.org(), made.schedule.id);
    let taken = org.create_schedule(agent.id, new("daily", hourly())).await;
    assert!(matches!(taken, Err(Error::NameTaken(_))));
    let other = world.agent("other").await;
    org.create_schedule(other.id, new("daily", hourly()))
        .await
        .expect("another agent's");
    for number in 1..MAX_SCHEDULES {
        org.create_schedule(agent.id, new(&format!("s{number}"), hourly()))
            .await
            .expect("made");
    }
    let past = org.create_schedule(agent.id, new("past", hourly())).await;
    assert!(matches!(past, Err(Error::LimitReached { .. })));

    for _ in 0..KEPT_RUNS + 5 {
        let (_, turn) = org.run_schedule(agent.id, id).await.expect("run");
        finish(&org, &turn, world.now()).await;
    }
    let runs = org.schedule_runs(id, None, 1000).await.expect("a list");
    assert_eq!(runs.len(), KEPT_RUNS as usize);
    assert!(runs.is_sorted_by(|a, b| a.id > b.id));
    let page = org.schedule_runs(id, Some(runs[1].id), 2).await.expect("a page");
    assert_eq!(page, runs[2..4]);
    org.remove_schedule(agent.id, id).await.expect("removed");
    assert_eq!(org.schedule_runs(id, None, 9).await.expect("a list"), []);
    assert!(matches!(
        org.schedule(agent.id, id).await,
        Err(Error::NotFound(_))
    ));
}

#[tokio::test]
async fn schedules_go_with_their_agent() {
    let (world, agent, made) = with(hourly()).await;
    let org = world.org();
    org.run_schedule(agent.id, made.schedule.id).await.expect("run");
    org.change_agent(agent.id, None, intent(Intent::Delete))
        .await
        .expect("deleting");
    world.clock.advance(HOUR);
    assert_eq!(due(&world).await, []);
    let refused = org.create_schedule(agent.id, new("late", hourly())).await;
    assert!(matches!(refused, Err(Error::Deleting)));
    org.forget_agent(agent.id).await.expect("forgotten");
    assert_eq!(
        org.schedule_runs(made.schedule.id, None, 9)
            .await
            .expect("a list"),
        []
    );
}

#[tokio::test]
async fn what_one_asks_twice_under_a_key_runs_once() {
    let (world, agent, made) = with(hourly()).await;
    let org = world.org();
    org.claim_key("k".into(), [1; 32]).await.expect("mine");
    let first = org
        .under_key("k".into())
        .run_schedule(agent.id, made.schedule.id)
        .await
        .expect("run");
    let second = org
        .under_key("k".into())
        .run_schedule(agent.id, made.schedule.id)
        .await;
    assert!(matches!(second, Err(Error::KeyLost)));
    let runs = org
        .schedule_runs(made.schedule.id, None, 9)
        .await
        .expect("a list");
    assert_eq!((runs.len(), runs[0].planned_at), (1, None));
    assert_eq!(org.schedule_run(first.0.id).await.expect("there"), first.0);
}

#[tokio::test]
async fn a_runtimes_own_jobs_are_a_turn_once_and_not_too_often() {
    let world = World::new().await;
    let (org, agent) = (world.org(), world.agent("scout").await);
    let platform = world.store.platform();
    let at = world.now() + HOUR;
    assert!(org.set_runtime_wake(agent.id, Some(at)).await.expect("kept"));
    assert!(!org.set_runtime_wake(agent.id, Some(at)).await.expect("the same"));
    assert_eq!(
        org.agent(agent.id).await.expect("there").runtime_wake_at,
        Some(at)
    );
    assert_eq!(platform.next_runtime_wake().await.expect("a time"), Some(at));
    assert_eq!(platform.runtime_wakes(world.now(), 9).await.expect("a list"), []);
    let wake = RuntimeWake {
        org: world.org,
        agent: agent.id,
        at,
        from_disk: false,
    };
    assert_eq!(platform.runtime_wakes(at, 9).await.expect("a list"), [wake]);

    let begin = || org.begin_own_jobs(wake, "own-jobs".parse().expect("a session"), "jobs".into());
    let (first, second) = tokio::join!(begin(), begin());
    let begun: Vec<_> = [first, second]
        .into_iter()
        .filter_map(|turn| turn.expect("no error"))
        .collect();
    assert!(matches!(&begun[..], [turn] if turn.own_jobs), "{begun:?}");
    // While it does them, what it says of them is old news; then it is not let at once again.
    assert!(!org.set_runtime_wake(agent.id, Some(at)).await.expect("no error"));
    finish(&org, &begun[0], world.now()).await;
    assert!(
        org.set_runtime_wake(agent.id, Some(world.now()))
            .await
            .expect("kept")
    );
    let next = org.agent(agent.id).await.expect("there").runtime_wake_at;
    assert_eq!(next, Some(world.now() + SignedDuration::from_secs(60)));

    // One that its owner has stopped is not woken.
    org.change_agent(agent.id, None, intent(Intent::Stop))
        .await
        .expect("stopped");
    let wake = RuntimeWake {
        at: next.expect("a time"),
        ..wake
    };
    let turn = org
        .begin_own_jobs(wake, SessionName::default(), "jobs".into())
        .await;
    assert_eq!(turn.expect("no error"), None);
    assert_eq!(platform.next_runtime_wake().await.expect("none"), None);
}

#[tokio::test]
async fn another_org_neither_sees_nor_touches_them() {
    let (world, agent, made) = with(hourly()).await;
    let id = made.schedule.id;
    let (run, _) = world.org().run_schedule(agent.id, id).await.expect("run");
    let two = world
        .store
        .platform()
        .create_org("two".into())
        .await
        .expect("made")
        .0;
    let two = world.store.org(two);
    let absent = |what: &str, missing: bool| assert!(missing, "{what}");
    absent(
        "schedule",
        matches!(two.schedule(agent.id, id).await, Err(Error::NotFound(_))),
    );
    let name = made.schedule.name.clone();
    absent(
        "by name",
        matches!(
            two.schedule_by_name(agent.id, name).await,
            Err(Error::NotFound(_))
        ),
    );
    absent("list", two.schedules(agent.id).await.expect("a list").is_empty());
    absent(
        "runs",
        two.schedule_runs(id, None, 9).await.expect("a list").is_empty(),
    );
    absent(
        "run",
        matches!(two.schedule_run(run.id).await, Err(Error::NotFound(_))),
    );
    absent(
        "create",
        two.create_schedule(agent.id, new("mine", hourly()))
            .await
            .is_err(),
    );
    absent(
        "change",
        two.change_schedule(agent.id, id, None, hourly()).await.is_err(),
    );
    absent("run now", two.run_schedule(agent.id, id).await.is_err());
    absent("remove", two.remove_schedule(agent.id, id).await.is_err());
    absent(
        "wake",
        two.set_runtime_wake(agent.id, Some(world.now())).await.is_err(),
    );
    world.clock.advance(HOUR);
    let theirs = due(&world).await.remove(0);
    absent("fire", fire(&two, theirs, world.now()).await.is_none());
    assert_eq!(
        world
            .org()
            .schedule_runs(id, None, 9)
            .await
            .expect("a list")
            .len(),
        1
    );
}
