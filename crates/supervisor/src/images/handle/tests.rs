//! Builds of a made-up image: what becomes of them when steps fail, crash, hang, compete or are no longer wanted.

use std::{
    fs,
    path::Path,
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use super::{super::recipe::Step, *};
use crate::images::{
    bench::Bench,
    child::{Apart, Program},
};

const NAME: ImageName = ImageName::Lite;
const DEADLINE: Duration = Duration::from_secs(30);
/// Set in the process that is to die in the middle: the directory, and the step that ends it.
const CRASH: &str = "CREEL_TEST_CRASH_IN_STEP";
/// The same for the process that is to be killed: the directory, and how long its program sleeps.
const KILLED: &str = "CREEL_TEST_KILLED_WHILE_SLEEPING";

fn step(sentence: &str, act: impl Fn(&Bench) -> Result<(), Error> + Send + Sync + 'static) -> Step {
    Step::new(sentence, 1, DEADLINE, act)
}

fn recipe(digest: &str, steps: Vec<Step>) -> Recipe {
    let (version, digest) = ("7".to_owned(), digest.to_owned());
    Recipe {
        name: NAME,
        version,
        digest,
        room_bytes: 1,
        steps,
    }
}

fn open(directory: &Path, digest: &str, steps: Vec<Step>) -> Images {
    Images::with_recipes(directory.to_owned(), vec![recipe(digest, steps)], false).expect("opens")
}

fn writes(file: &'static str) -> Step {
    step(file, move |bench| bench_file(bench, file, "made"))
}

fn bench_file(bench: &Bench, file: &str, text: &str) -> Result<(), Error> {
    fs::write(bench.rootfs.join(file), text).expect("writes");
    Ok(())
}

/// What is in the image's place, hidden things included, but for the lock.
fn left(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory.join(NAME.as_str())).expect("a place");
    let mut names: Vec<String> = entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.retain(|name| name != ".lock");
    names.sort();
    names
}

#[tokio::test]
async fn a_build_tells_each_step_and_then_stands_there_whole() {
    let directory = tempfile::tempdir().expect("a directory");
    let (go, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let waits = step("waiting", move |_| {
        gate.lock().expect("ours").recv().expect("told to go on");
        Ok(())
    });
    let images = open(directory.path(), "a", vec![writes("one"), waits, writes("two")]);
    assert_eq!(images.list()[0].state, ImageState::Absent);
    let mut state = images.watch(NAME).expect("known");

    images.build(NAME).expect("starts");
    let waiting = ImageState::Building {
        percent: 33,
        step: "waiting".into(),
    };
    state
        .wait_for(|state| *state == waiting)
        .await
        .expect("gets there");
    assert_eq!(images.list()[0].state, waiting);
    assert_eq!(images.lookup(NAME), None);
    assert!(matches!(images.remove(NAME), Err(Error::Busy(NAME))));
    go.send(()).expect("listens");
    let image = images.built(NAME).await.expect("builds");

    assert_eq!(
        images.list()[0].state,
        ImageState::Ready {
            built_at: image.built_at,
            bytes: image.bytes
        }
    );
    assert_eq!(images.lookup(NAME).as_ref(), Some(&image));
    assert_eq!(
        fs::read_to_string(image.rootfs.join("two")).expect("is there"),
        "made"
    );
    assert_eq!(left(directory.path()), ["7", "build.log"]);

    images.remove(NAME).expect("removes");
    assert_eq!(images.list()[0].state, ImageState::Absent);
    assert_eq!(left(directory.path()), ["build.log"]);
}

#[tokio::test]
async fn a_failed_build_says_why_and_can_be_repeated() {
    let directory = tempfile::tempdir().expect("a directory");
    let tries = AtomicUsize::new(0);
    let fails_once = step("fails once", move |bench| {
        match tries.fetch_add(1, Ordering::Relaxed) {
            0 => Program::new(Apart::Alone, "sh")
                .args(["-c", "echo the disk is on strike; exit 3"])
                .run(bench),
            _ => Ok(()),
        }
    });
    let images = open(directory.path(), "a", vec![writes("one"), fails_once]);

    let error = images.built(NAME).await.expect_err("fails").to_string();
    assert!(
        error.contains("sh failed (exit code 3)") && error.contains("the disk is on strike"),
        "{error}"
    );
    assert_eq!(images.list()[0].state, ImageState::Failed { reason: error });
    assert_eq!(left(directory.path()), ["build.log"]);

    images.built(NAME).await.expect("builds the second time");
    assert_eq!(left(directory.path()), ["7", "build.log"]);
}

#[tokio::test]
async fn a_step_that_panics_is_a_failed_build() {
    let directory = tempfile::tempdir().expect("a directory");
    let images = open(directory.path(), "a", vec![step("breaks", |_| panic!("a bug"))]);
    let error = images.built(NAME).await.expect_err("fails").to_string();
    assert_eq!(error, "building image lite met a bug in Creel: please report it");
}

/// Not a test of its own: the process that [`a_crash_in_any_step_leaves_nothing_behind`] starts and that dies.
#[tokio::test]
async fn the_process_that_crashes() {
    let Ok(told) = std::env::var(CRASH) else { return };
    let (directory, at) = told.rsplit_once(':').expect("two parts");
    let at: usize = at.parse().expect("a number");
    let dies = |index: usize, file: &'static str| {
        step(file, move |bench| {
            bench_file(bench, file, "half")?;
            if index == at {
                std::process::abort()
            } else {
                Ok(())
            }
        })
    };
    let _ = open(
        Path::new(directory),
        "a",
        vec![dies(0, "one"), dies(1, "two"), dies(2, "three")],
    )
    .built(NAME)
    .await;
    unreachable!("some step ends the process");
}

#[tokio::test]
async fn a_crash_in_any_step_leaves_nothing_behind() {
    for at in 0..3 {
        let directory = tempfile::tempdir().expect("a directory");
        let status = std::process::Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "images::handle::tests::the_process_that_crashes"])
            .env(CRASH, format!("{}:{at}", directory.path().display()))
            .output()
            .expect("runs")
            .status;
        assert!(!status.success());
        let crashed = left(directory.path());
        assert!(
            crashed.iter().any(|name| name.starts_with(".build-7-")),
            "step {at} left {crashed:?}"
        );

        let images = open(directory.path(), "a", vec![writes("one")]);
        assert_eq!(left(directory.path()), ["build.log"], "swept at the start");
        assert_eq!(images.lookup(NAME), None);
        images.built(NAME).await.expect("builds after all");
    }
}

#[tokio::test]
async fn two_builders_make_one_image() {
    let directory = tempfile::tempdir().expect("a directory");
    let builds = Arc::new(AtomicUsize::new(0));
    let counts = || {
        let builds = builds.clone();
        step("counting", move |_| {
            builds.fetch_add(1, Ordering::Relaxed);
            Ok(())
        })
    };
    let (one, two) = (
        open(directory.path(), "a", vec![counts()]),
        open(directory.path(), "a", vec![counts()]),
    );
    let (one, two) = tokio::join!(one.built(NAME), two.built(NAME));
    assert_eq!(one.expect("builds"), two.expect("finds it built"));
    assert_eq!(builds.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_new_recipe_replaces_the_image_and_spares_who_still_uses_the_old() {
    let directory = tempfile::tempdir().expect("a directory");
    let old = open(directory.path(), "a", vec![writes("old")])
        .built(NAME)
        .await
        .expect("builds");
    let in_use = fs::File::open(&old.rootfs).expect("opens");

    let images = open(directory.path(), "b", vec![writes("new")]);
    assert_eq!(images.lookup(NAME), Some(old), "the old image serves until then");
    let new = images.built(NAME).await.expect("builds");
    assert!(new.rootfs.join("new").exists() && !new.rootfs.join("old").exists());

    drop(images);
    drop(open(directory.path(), "b", vec![]));
    let names = left(directory.path());
    assert!(
        names[0].starts_with(".old-") && names[1..] == ["7", "build.log"],
        "kept until the next boot: {names:?}"
    );
    assert!(rustix::fs::statat(&in_use, "old", rustix::fs::AtFlags::empty()).is_ok());
    // What an earlier boot replaced cannot be mounted any more.
    let place = directory.path().join(NAME.as_str());
    fs::rename(place.join(&names[0]), place.join(".old-0123456789ab-1")).expect("renames");
    drop(open(directory.path(), "b", vec![]));
    assert_eq!(left(directory.path()), ["7", "build.log"]);
}

#[tokio::test]
async fn dropping_the_last_handle_kills_what_the_build_runs() {
    let directory = tempfile::tempdir().expect("a directory");
    let seconds = format!("9{}", std::process::id());
    let sleeps = {
        let seconds = seconds.clone();
        step("sleeping", move |bench| {
            // In a session of its own, as an installer's helpers may be.
            Program::new(Apart::Alone, "setsid")
                .args(["sh", "-c", &format!("sleep {seconds} & sleep {seconds}")])
                .run(bench)
        })
    };
    let images = open(directory.path(), "a", vec![sleeps]);
    images.build(NAME).expect("starts");
    until(
        || sleeping(&seconds) == 2,
        || format!("{} are sleeping", sleeping(&seconds)),
    );

    drop(images);
    until(
        || sleeping(&seconds) == 0,
        || format!("{} are still sleeping", sleeping(&seconds)),
    );
    assert_eq!(left(directory.path()), ["build.log"]);
}

/// Not a test of its own: the process that [`a_creel_killed_while_building_takes_its_programs_along`] starts and kills.
#[tokio::test]
async fn the_process_that_is_killed() {
    let Ok(told) = std::env::var(KILLED) else { return };
    let (directory, seconds) = told.rsplit_once(':').expect("two parts");
    let seconds = seconds.to_owned();
    let sleeps = step("sleeping", move |bench| {
        Program::new(Apart::Fetching, "sleep").arg(&seconds).run(bench)
    });
    let _ = open(Path::new(directory), "a", vec![sleeps]).built(NAME).await;
    unreachable!("it is killed first");
}

#[test]
fn a_creel_killed_while_building_takes_its_programs_along() {
    let directory = tempfile::tempdir().expect("a directory");
    let seconds = format!("7{}", std::process::id());
    let mut creel = std::process::Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "images::handle::tests::the_process_that_is_killed"])
        .env(KILLED, format!("{}:{seconds}", directory.path().display()))
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("runs");
    until(
        || sleeping(&seconds) == 1,
        || format!("{} are sleeping", sleeping(&seconds)),
    );

    creel.kill().expect("kills");
    creel.wait().expect("ends");
    until(
        || sleeping(&seconds) == 0,
        || format!("{} are still sleeping", sleeping(&seconds)),
    );
    drop(open(directory.path(), "a", vec![]));
    assert_eq!(left(directory.path()), ["build.log"]);
}

#[tokio::test]
async fn a_program_that_hangs_is_stopped_at_its_bound() {
    let directory = tempfile::tempdir().expect("a directory");
    let seconds = format!("8{}", std::process::id());
    let hangs = {
        let seconds = seconds.clone();
        Step::new("hanging", 1, Duration::from_secs(1), move |bench: &Bench| {
            Program::new(Apart::Fetching, "sh")
                .args(["-c", &format!("echo started; sleep {seconds}; true")])
                .run(bench)
        })
    };
    let error = open(directory.path(), "a", vec![hangs])
        .built(NAME)
        .await
        .expect_err("fails")
        .to_string();
    assert!(
        error.starts_with("sh was not done after 1 s and was stopped: == hanging\nstarted\n"),
        "{error}"
    );
    until(
        || sleeping(&seconds) == 0,
        || format!("{} are still sleeping", sleeping(&seconds)),
    );
}

#[tokio::test]
async fn a_disk_too_small_is_said_before_anything_is_done() {
    let directory = tempfile::tempdir().expect("a directory");
    let recipe = Recipe {
        room_bytes: u64::MAX,
        ..recipe("a", vec![step("never", |_| panic!("nothing runs"))])
    };
    let images = Images::with_recipes(directory.path().to_owned(), vec![recipe], false).expect("opens");
    let error = images.built(NAME).await.expect_err("fails").to_string();
    assert!(error.contains("make room, then build again"), "{error}");
}

/// How many processes run `sleep SECONDS`.
fn sleeping(seconds: &str) -> usize {
    let wanted = format!("sleep\0{seconds}\0");
    let processes = fs::read_dir("/proc").expect("proc").flatten();
    processes
        .filter(|entry| fs::read(entry.path().join("cmdline")).is_ok_and(|line| line == wanted.as_bytes()))
        .count()
}

fn until(reached: impl Fn() -> bool, seen: impl Fn() -> String) {
    let start = Instant::now();
    while !reached() {
        assert!(start.elapsed() < DEADLINE, "{}", seen());
        std::thread::sleep(Duration::from_millis(5));
    }
}
