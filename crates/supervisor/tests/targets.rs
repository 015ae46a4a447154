//! Targets over the fake backend: fencing, restarts, changes, and a crash after every step.

mod common;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use common::{
    DEADLINE, StopAt, World, asleep, id, put, running, spec, until, until_asleep, until_gone, until_running,
    until_stopped,
};
use creel_domain::{Depth, Generation, ImageName, SandboxState, Target, Waiting};
use creel_protocol::{ImageState, ImageStatus, Supervisor as _, SupervisorError};
use creel_sandbox::Ended;
use creel_supervisor::{Error, ImageSource, Service};
use tokio::sync::watch;

#[tokio::test]
async fn a_sandbox_starts_stops_and_goes() {
    let world = World::new();
    let service = world.service().await;
    let handle = service.handle();
    put(&handle, id(1), 1, running(&spec())).await;
    let out = world.options.layout.outbound(id(1));
    assert!(
        out.is_dir(),
        "control may bind its socket as soon as the target is taken"
    );
    let report = until_running(&handle, id(1), 1).await;
    let bundle = world.fake.running(id(1)).expect("it runs");
    assert_eq!(report.uid_base, Some(bundle.uid_base));
    let written = std::fs::read(world.options.layout.spec_dir(id(1)).join("spec.json")).expect("a file");
    assert_eq!(
        serde_json::from_slice::<creel_domain::SandboxSpec>(&written).expect("JSON"),
        spec()
    );

    put(&handle, id(1), 2, Target::Stopped).await;
    until_stopped(&handle, id(1), 2).await;
    assert!(world.fake.running(id(1)).is_none());
    assert!(out.is_dir(), "it stays until the end");

    put(&handle, id(1), 3, running(&spec())).await;
    assert_eq!(
        until_running(&handle, id(1), 3).await.uid_base,
        report.uid_base,
        "its volume's owner"
    );

    put(&handle, id(1), 4, Target::Gone).await;
    until_gone(&handle, id(1)).await;
    assert!(world.fake.is_empty());
    assert_eq!(world.left(id(1)), Vec::<std::path::PathBuf>::new());
    service.stop().await;
}

#[tokio::test]
async fn the_last_report_of_a_deleted_sandbox_has_converged() {
    let world = World::new();
    let service = world.service().await;
    let handle = service.handle();
    put(&handle, id(1), 1, Target::Stopped).await;
    until_stopped(&handle, id(1), 1).await;
    let gone = until(&handle, id(1), "gone", |report| {
        report.generation == Generation(2) && report.converged
    });
    let (_, ()) = tokio::join!(gone, put(&handle, id(1), 2, Target::Gone));
    service.stop().await;
}

#[tokio::test]
async fn older_generations_are_refused_and_equal_ones_change_nothing() {
    let world = World::new();
    let service = world.service().await;
    let handle = service.handle();
    put(&handle, id(1), 5, running(&spec())).await;
    until_running(&handle, id(1), 5).await;
    let stale = handle.put_target(id(1), Generation(4), Target::Gone).await;
    assert_eq!(stale, Err(SupervisorError::Stale { given: 4, newest: 5 }));
    put(&handle, id(1), 5, Target::Stopped).await;
    put(&handle, id(1), 6, running(&spec())).await;
    until_running(&handle, id(1), 6).await;
    assert_eq!(world.fake.starts(), 1, "the same specification goes on running");
    service.stop().await;
}

#[tokio::test]
async fn a_deleted_id_never_comes_back_not_even_after_a_restart() {
    let world = World::new();
    let service = world.service().await;
    let handle = service.handle();
    put(&handle, id(1), 1, running(&spec())).await;
    put(&handle, id(1), 2, Target::Gone).await;
    let refused = Err(SupervisorError::Gone { sandbox: id(1) });
    assert_eq!(
        handle.put_target(id(1), Generation(3), Target::Stopped).await,
        refused
    );
    until_gone(&handle, id(1)).await;
    service.stop().await;
    let service = world.service().await;
    let handle = service.handle();
    assert_eq!(
        handle.put_target(id(1), Generation(9), running(&spec())).await,
        refused
    );
    put(&handle, id(1), 10, Target::Gone).await;
    // One that never was may be deleted too.
    put(&handle, id(2), 1, Target::Gone).await;
    until_gone(&handle, id(2)).await;
    assert_eq!(world.left(id(2)), Vec::<std::path::PathBuf>::new());
    service.stop().await;
}

#[tokio::test]
async fn another_specification_or_incarnation_makes_it_anew() {
    let world = World::new();
    let service = world.service().await;
    let handle = service.handle();
    put(&handle, id(1), 1, running(&spec())).await;
    until_running(&handle, id(1), 1).await;
    let mut larger = spec();
    larger.limits.memory_bytes *= 2;
    put(&handle, id(1), 2, running(&larger)).await;
    until_running(&handle, id(1), 2).await;
    assert_eq!(world.fake.running(id(1)).expect("runs").limits, larger.limits);
    larger.incarnation += 1;
    put(&handle, id(1), 3, running(&larger)).await;
    until_running(&handle, id(1), 3).await;
    assert_eq!(world.fake.starts(), 3);
    service.stop().await;
}

#[tokio::test]
async fn another_name_model_or_files_are_told_to_what_runs_or_rests() {
    let world = World::new();
    let service = world.service().await;
    let handle = service.handle();
    put(&handle, id(1), 1, running(&spec())).await;
    until_running(&handle, id(1), 1).await;
    let written = || {
        let path = world.options.layout.spec_dir(id(1)).join("spec.json");
        let text = std::fs::read(path).expect("a file");
        serde_json::from_slice::<creel_domain::SandboxSpec>(&text).expect("JSON")
    };
    let mut told = spec();
    told.files.soul = "kind".to_owned();
    told.model = "openai/gpt".parse().expect("a model");
    put(&handle, id(1), 2, running(&told)).await;
    until_running(&handle, id(1), 2).await;
    assert_eq!(written(), told);

    put(&handle, id(1), 3, asleep(Depth::Frozen)).await;
    until_asleep(&handle, id(1), 3, Depth::Frozen).await;
    told.agent = creel_domain::AgentId::from_uuid(uuid::Uuid::from_u128(77));
    told.name = "other".parse().expect("a name");
    put(&handle, id(1), 4, running(&told)).await;
    until_running(&handle, id(1), 4).await;
    assert_eq!(written(), told);
    assert_eq!(world.fake.running(id(1)).expect("runs").hostname, "other");
    assert!(!world.fake.is_frozen(id(1)));
    assert_eq!(world.fake.starts(), 1, "it was never interrupted");
    service.stop().await;
}

#[tokio::test]
async fn one_at_rest_is_held_still_woken_at_once_and_rests_again_unless_somebody_says_otherwise() {
    let world = World::new();
    let service = world.service().await;
    let handle = service.handle();
    put(&handle, id(1), 1, running(&spec())).await;
    until_running(&handle, id(1), 1).await;
    put(&handle, id(1), 2, asleep(Depth::Frozen)).await;
    until_asleep(&handle, id(1), 2, Depth::Frozen).await;
    assert!(world.fake.is_frozen(id(1)));
    let error = handle
        .remove_image(ImageName::Lite)
        .await
        .expect_err("it is used");
    assert!(matches!(error, SupervisorError::ImageInUse { .. }), "{error}");

    // A supervisor that comes back leaves it as it is.
    service.stop().await;
    let service = world.service().await;
    let handle = service.handle();
    until_asleep(&handle, id(1), 2, Depth::Frozen).await;

    assert!(handle.wake(id(1)).await.expect("woken"));
    assert!(!world.fake.is_frozen(id(1)), "at once");
    put(&handle, id(1), 3, running(&spec())).await;
    until_running(&handle, id(1), 3).await;
    assert_eq!(world.fake.starts(), 1, "it was never started anew");

    put(&handle, id(1), 4, asleep(Depth::OnDisk)).await;
    until_asleep(&handle, id(1), 4, Depth::OnDisk).await;
    assert!(world.fake.running(id(1)).is_none());
    assert!(
        !handle.wake(id(1)).await.expect("no error"),
        "there is nothing to thaw"
    );
    assert!(!handle.wake(id(7)).await.expect("no error"), "nobody knows it");
    put(&handle, id(1), 5, running(&spec())).await;
    until_running(&handle, id(1), 5).await;
    assert_eq!(world.fake.starts(), 2);

    // What dies at rest is found dead, and rests on.
    put(&handle, id(1), 6, asleep(Depth::Frozen)).await;
    until_asleep(&handle, id(1), 6, Depth::Frozen).await;
    world.fake.die(id(1), Ended::default());
    until_asleep(&handle, id(1), 6, Depth::OnDisk).await;
    service.stop_all().await.expect("stopped");
}

#[tokio::test]
async fn one_that_is_paged_out_was_never_let_go_on_and_wakes_as_what_is_frozen() {
    let world = World::new();
    let service = world.service().await;
    let handle = service.handle();
    put(&handle, id(1), 1, running(&spec())).await;
    until_running(&handle, id(1), 1).await;
    put(&handle, id(1), 2, asleep(Depth::Frozen)).await;
    until_asleep(&handle, id(1), 2, Depth::Frozen).await;
    put(&handle, id(1), 3, asleep(Depth::PagedOut)).await;
    until_asleep(&handle, id(1), 3, Depth::PagedOut).await;
    assert!(world.fake.is_paged_out(id(1)));
    let memory = handle.memory(id(1)).await.expect("it is told");
    assert!(
        memory.resident_bytes == 0 && memory.swapped_bytes > 0,
        "{memory:?}"
    );
    assert_eq!(world.fake.thaws(), 0, "it was not let go on in between");
    let error = handle
        .remove_image(ImageName::Lite)
        .await
        .expect_err("it is used");
    assert!(matches!(error, SupervisorError::ImageInUse { .. }), "{error}");

    // A supervisor that comes back finds it so.
    service.stop().await;
    let service = world.service().await;
    let handle = service.handle();
    until_asleep(&handle, id(1), 3, Depth::PagedOut).await;

    assert!(handle.wake(id(1)).await.expect("woken"));
    assert!(!world.fake.is_frozen(id(1)), "at once");
    put(&handle, id(1), 4, running(&spec())).await;
    until_running(&handle, id(1), 4).await;

    // From awake, and from there to disk.
    put(&handle, id(1), 5, asleep(Depth::PagedOut)).await;
    until_asleep(&handle, id(1), 5, Depth::PagedOut).await;
    put(&handle, id(1), 6, asleep(Depth::OnDisk)).await;
    until_asleep(&handle, id(1), 6, Depth::OnDisk).await;
    assert_eq!(world.fake.starts(), 1, "it was never started anew");
    service.stop_all().await.expect("stopped");
}

#[tokio::test]
async fn whoever_is_woken_in_the_middle_of_being_paged_out_goes_on_at_once() {
    let world = World::new();
    world.fake.hold_paging(true);
    let service = world.service().await;
    let handle = service.handle();
    put(&handle, id(1), 1, running(&spec())).await;
    until_running(&handle, id(1), 1).await;
    let mut generation = 1;
    for told_first in [false, true] {
        put(&handle, id(1), generation + 1, asleep(Depth::PagedOut)).await;
        until(&handle, id(1), "on its way out", |report| {
            !report.converged && matches!(report.state, SandboxState::Asleep { .. })
        })
        .await;
        if !told_first {
            assert!(handle.wake(id(1)).await.expect("woken"));
            assert!(!world.fake.is_frozen(id(1)), "at once");
        }
        put(&handle, id(1), generation + 2, running(&spec())).await;
        until_running(&handle, id(1), generation + 2).await;
        generation += 2;
    }
    world.fake.hold_paging(false);
    put(&handle, id(1), generation + 1, asleep(Depth::PagedOut)).await;
    until_asleep(&handle, id(1), generation + 1, Depth::PagedOut).await;
    service.stop_all().await.expect("stopped");
}

#[tokio::test]
async fn where_nothing_can_be_paged_out_it_stays_frozen_and_the_host_says_so() {
    let world = World::new();
    world.fake.refuse_paging(Some("There is no swap.".to_owned()));
    let service = world.service().await;
    let handle = service.handle();
    put(&handle, id(1), 1, running(&spec())).await;
    until_running(&handle, id(1), 1).await;
    put(&handle, id(1), 2, asleep(Depth::PagedOut)).await;
    until_asleep(&handle, id(1), 2, Depth::Frozen).await;
    assert!(world.fake.is_frozen(id(1)) && !world.fake.is_paged_out(id(1)));
    let paging = handle.host().await.expect("a host").paging;
    assert_eq!(
        (paging.works, paging.found.as_str()),
        (false, "There is no swap.")
    );
    assert!(!paging.next.is_empty(), "it says what to do");
    assert!(handle.wake(id(1)).await.expect("woken"));
    put(&handle, id(1), 3, running(&spec())).await;
    until_running(&handle, id(1), 3).await;
    service.stop_all().await.expect("stopped");
}

#[tokio::test]
async fn one_that_does_not_end_when_asked_is_killed() {
    let world = World::new();
    world.fake.ignore_terminate();
    let service = world.service().await;
    let handle = service.handle();
    put(&handle, id(1), 1, running(&spec())).await;
    until_running(&handle, id(1), 1).await;
    put(&handle, id(1), 2, Target::Stopped).await;
    until_stopped(&handle, id(1), 2).await;
    service.stop().await;
}

#[tokio::test]
async fn bad_limits_files_and_a_smaller_volume_are_refused_with_a_sentence() {
    let world = World::new();
    let service = world.service().await;
    let handle = service.handle();
    let refusal = async |change: &dyn Fn(&mut creel_domain::SandboxSpec), generation| {
        let mut spec = spec();
        change(&mut spec);
        let outcome = handle
            .put_target(id(1), Generation(generation), running(&spec))
            .await;
        outcome.expect_err("refused").to_string()
    };
    let said = refusal(&|spec| spec.limits.pids = 0, 1).await;
    assert!(said.contains("pids must be between"), "{said}");
    let said = refusal(&|spec| spec.files.soul = "x".repeat(65 * 1024), 1).await;
    assert!(said.contains("SOUL.md is"), "{said}");
    assert_eq!(handle.list().await.expect("a list"), [], "nothing came of it");
    let mut large = spec();
    large.limits.disk_bytes = 64 << 20;
    put(&handle, id(1), 1, running(&large)).await;
    until_running(&handle, id(1), 1).await;
    let said = refusal(&|_| {}, 2).await;
    assert!(said.contains("cannot shrink to 16777216"), "{said}");
    until_running(&handle, id(1), 1).await;
    service.stop().await;
}

#[tokio::test]
async fn failures_are_told_with_their_reason_and_tried_again() {
    let world = World::new();
    world.fake.fail_starts(["the disk is on fire".to_owned()]);
    let service = world.service().await;
    let handle = service.handle();
    put(&handle, id(1), 1, running(&spec())).await;
    let report = until(&handle, id(1), "faulted", |report| {
        matches!(report.state, SandboxState::Faulted { .. })
    })
    .await;
    let SandboxState::Faulted {
        reason,
        attempts: 1,
        since,
        retry_at,
    } = report.state
    else {
        panic!("{report:?}");
    };
    assert_eq!(reason, "the disk is on fire");
    assert_eq!(retry_at.duration_since(since).as_secs(), 1);
    until_running(&handle, id(1), 1).await;

    let out_of_memory = Ended {
        status: Some(137),
        out_of_memory: true,
    };
    world.fake.die(id(1), out_of_memory);
    let report = until(&handle, id(1), "faulted", |report| {
        matches!(report.state, SandboxState::Faulted { .. })
    })
    .await;
    assert!(format!("{report:?}").contains("out of memory"), "{report:?}");
    // Another generation is not made to wait for what went wrong before.
    put(&handle, id(1), 2, running(&spec())).await;
    until_running(&handle, id(1), 2).await;
    service.stop().await;
}

#[tokio::test]
async fn a_supervisor_that_comes_back_finds_its_sandboxes_and_a_second_one_is_refused() {
    let world = World::new();
    let service = world.service().await;
    put(&service.handle(), id(1), 1, running(&spec())).await;
    let before = until_running(&service.handle(), id(1), 1).await;
    let error = Service::start(world.options.clone())
        .await
        .err()
        .expect("refused");
    assert!(matches!(error, Error::AlreadyRunning { .. }), "{error}");
    service.stop().await;
    let service = world.service().await;
    assert_eq!(until_running(&service.handle(), id(1), 1).await, before);
    assert_eq!(world.fake.starts(), 1, "it was never interrupted");
    service.stop().await;

    world.fake.reboot();
    let service = world.service().await;
    until_running(&service.handle(), id(1), 1).await;
    assert_eq!(world.fake.starts(), 2);
    service.stop_all().await.expect("stopped");
    assert!(world.fake.running(id(1)).is_none());
}

#[tokio::test]
async fn sandboxes_that_nobody_remembers_are_cleared_away_but_not_their_volumes() {
    let world = World::new();
    let service = world.service().await;
    put(&service.handle(), id(1), 1, running(&spec())).await;
    until_running(&service.handle(), id(1), 1).await;
    service.stop().await;
    let record = world.options.layout.supervisor().join(format!("{}.json", id(1)));
    std::fs::remove_file(record).expect("a record");
    let service = world.service().await;
    assert!(world.fake.running(id(1)).is_none());
    assert!(!world.options.layout.sandbox(id(1)).exists());
    assert!(!world.fake.is_empty(), "the volume stays");
    service.stop().await;
}

#[tokio::test]
async fn a_crash_after_each_step_of_create_stop_change_and_delete_converges_and_leaves_nothing() {
    let mut world = World::new();
    let mut crashes = 0;
    for step in 0.. {
        assert!(step < 300, "the loop ends");
        let sandbox = id(1000 + step as u128);
        let stop = StopAt::new(step);
        world.options.steps = stop.clone();
        let service = world.service().await;
        let handle = service.handle();
        let mut changed = spec();
        changed.incarnation = 2;
        let mut told = spec();
        told.files.soul = "kind".to_owned();
        let story = async {
            put(&handle, sandbox, 1, running(&spec())).await;
            until_running(&handle, sandbox, 1).await;
            put(&handle, sandbox, 2, running(&told)).await;
            until_running(&handle, sandbox, 2).await;
            put(&handle, sandbox, 3, running(&changed)).await;
            until_running(&handle, sandbox, 3).await;
            put(&handle, sandbox, 4, Target::Stopped).await;
            until_stopped(&handle, sandbox, 4).await;
            put(&handle, sandbox, 5, running(&changed)).await;
            until_running(&handle, sandbox, 5).await;
            put(&handle, sandbox, 6, asleep(Depth::Frozen)).await;
            until_asleep(&handle, sandbox, 6, Depth::Frozen).await;
            put(&handle, sandbox, 7, running(&changed)).await;
            until_running(&handle, sandbox, 7).await;
            put(&handle, sandbox, 8, asleep(Depth::PagedOut)).await;
            until_asleep(&handle, sandbox, 8, Depth::PagedOut).await;
            put(&handle, sandbox, 9, running(&changed)).await;
            until_running(&handle, sandbox, 9).await;
            put(&handle, sandbox, 10, asleep(Depth::OnDisk)).await;
            until_asleep(&handle, sandbox, 10, Depth::OnDisk).await;
            put(&handle, sandbox, 11, Target::Gone).await;
            until_gone(&handle, sandbox).await;
        };
        let crashed = tokio::select! {
            () = story => false,
            () = stop.stopped() => true,
        };
        service.stop().await;

        // The next process knows only what was written down and what it sees.
        world.options.steps = Arc::new(creel_sandbox::NoSteps);
        let service = world.service().await;
        let handle = service.handle();
        if crashed {
            crashes += 1;
            match handle
                .put_target(sandbox, Generation(12), running(&changed))
                .await
            {
                Ok(()) => {
                    until_running(&handle, sandbox, 12).await;
                    assert!(world.fake.running(sandbox).is_some(), "step {step}");
                }
                Err(SupervisorError::Gone { .. }) => {}
                Err(error) => panic!("step {step}: {error}"),
            }
        }
        put(&handle, sandbox, 13, Target::Gone).await;
        until_gone(&handle, sandbox).await;
        service.stop().await;
        assert!(world.fake.is_empty(), "step {step}");
        assert_eq!(
            world.left(sandbox),
            Vec::<std::path::PathBuf>::new(),
            "step {step}"
        );
        if !crashed {
            break;
        }
    }
    assert!(crashes >= 30, "every step was crashed at: {crashes}");
}

/// Images whose state the test sets.
#[derive(Clone)]
struct Workshop {
    state: watch::Sender<ImageState>,
    built: Arc<Mutex<BTreeMap<ImageName, u32>>>,
    rootfs: std::path::PathBuf,
}

impl ImageSource for Workshop {
    fn list(&self) -> Vec<ImageStatus> {
        vec![ImageStatus {
            name: ImageName::Lite,
            version: "1".to_owned(),
            state: self.state.borrow().clone(),
        }]
    }

    fn rootfs(&self, _: ImageName) -> Option<std::path::PathBuf> {
        matches!(*self.state.borrow(), ImageState::Ready { .. }).then(|| self.rootfs.clone())
    }

    fn watch(&self, _: ImageName) -> Option<watch::Receiver<ImageState>> {
        Some(self.state.subscribe())
    }

    fn build(&self, image: ImageName) -> Result<(), String> {
        *self.built.lock().expect("a lock").entry(image).or_default() += 1;
        self.state.send_replace(ImageState::Building {
            percent: 0,
            step: String::new(),
        });
        Ok(())
    }

    fn remove(&self, _: ImageName) -> Result<(), String> {
        self.state.send_replace(ImageState::Absent);
        Ok(())
    }
}

#[tokio::test]
async fn a_sandbox_waits_visibly_for_its_image_which_is_built_once() {
    let mut world = World::new();
    let workshop = Workshop {
        state: watch::Sender::new(ImageState::Absent),
        built: Arc::default(),
        rootfs: world.data.path().join("root"),
    };
    world.options.images = Arc::new(workshop.clone());
    let service = world.service().await;
    let handle = service.handle();
    put(&handle, id(1), 1, running(&spec())).await;
    let waits = async |waiting: Waiting| {
        until(&handle, id(1), "waiting", |report| {
            matches!(&report.state, SandboxState::Requested { waiting: seen, .. } if *seen == waiting)
        })
        .await
    };
    let image = ImageName::Lite;
    waits(Waiting::Image { image, percent: 0 }).await;
    workshop.state.send_replace(ImageState::Building {
        percent: 43,
        step: String::new(),
    });
    waits(Waiting::Image { image, percent: 43 }).await;
    let reason = "no network: connect the host, then build again".to_owned();
    workshop.state.send_replace(ImageState::Failed {
        reason: reason.clone(),
    });
    waits(Waiting::NoImage { image, reason }).await;
    workshop.state.send_replace(ImageState::Ready {
        built_at: jiff::Timestamp::UNIX_EPOCH,
        bytes: 1,
    });
    until_running(&handle, id(1), 1).await;
    assert_eq!(
        *workshop.built.lock().expect("a lock"),
        BTreeMap::from([(image, 1)])
    );
    let refused = handle.remove_image(image).await;
    assert_eq!(refused, Err(SupervisorError::ImageInUse { image, sandboxes: 1 }));
    service.stop().await;
}

#[tokio::test]
async fn many_at_once_all_arrive() {
    let world = World::new();
    let service = world.service().await;
    let handle = service.handle();
    let puts = (1..=200).map(|number| {
        let handle = handle.clone();
        async move {
            put(&handle, id(number), 1, running(&spec())).await;
            until_running(&handle, id(number), 1).await.uid_base
        }
    });
    let all = tokio::time::timeout(DEADLINE, futures_util::future::join_all(puts))
        .await
        .expect("in time");
    let ranges: std::collections::BTreeSet<_> = all.into_iter().collect();
    assert_eq!(ranges.len(), 200, "no two share uids");
    assert_eq!(handle.host().await.expect("a host").sandboxes, 200);
    service.stop().await;
}
