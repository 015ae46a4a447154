//! One build, from lock to rename. Blocking: it runs on a thread of its own.

use std::{fs, path::Path, time::Duration};

use creel_protocol::ImageState;
use jiff::Timestamp;

use super::{
    bench::{Bench, Cancel, Log},
    error::{Error, OrIo},
    recipe::Recipe,
    shelf::{Image, Manifest, Shelf, remove},
    tree,
};

/// How often to ask whether another process has finished the same image.
const LOCK_EVERY: Duration = Duration::from_millis(200);
/// How long another process may hold the lock; longer than any build can take.
const LOCK_AT_MOST: Duration = Duration::from_secs(60 * 60);
/// The trial run prints its figures as a line that begins so.
const TRIAL: &str = "{\"mode\":\"accept\"";

/// Builds, or waits for whoever builds the same, and tells `progress` about it. A failure or a crash leaves no image.
pub(super) fn build(
    shelf: &Shelf,
    recipe: &Recipe,
    cancel: &Cancel,
    progress: &dyn Fn(ImageState),
) -> Result<Image, Error> {
    let name = recipe.name;
    let lock = loop_until_locked(shelf, recipe, cancel, progress)?;
    if let Some(image) = current(shelf, recipe) {
        return Ok(image);
    }
    shelf.sweep(name, &lock)?;
    let free = shelf.free_bytes()?;
    if free < recipe.room_bytes {
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        let path = shelf.path().to_owned();
        return Err(Error::NoRoom {
            path,
            need_mib: mib(recipe.room_bytes),
            free_mib: mib(free),
        });
    }

    let directory = shelf.begin(name, &recipe.version, &lock)?;
    let result = run_steps(shelf, recipe, cancel, progress, &directory)
        .and_then(|manifest| shelf.finish(&directory, &manifest, &lock));
    // A failed build keeps its log and nothing else.
    let swept = remove(&directory);
    result.and(swept)?;
    current(shelf, recipe)
        .ok_or_else(|| Error::Unusable(format!("image {name} is gone right after it was built")))
}

/// The image that this recipe makes, if it is there.
pub(super) fn current(shelf: &Shelf, recipe: &Recipe) -> Option<Image> {
    shelf
        .find(recipe.name, &recipe.version)
        .filter(|image| image.digest == recipe.digest)
}

fn loop_until_locked(
    shelf: &Shelf,
    recipe: &Recipe,
    cancel: &Cancel,
    progress: &dyn Fn(ImageState),
) -> Result<super::shelf::Lock, Error> {
    let mut waited = Duration::ZERO;
    loop {
        if let Some(lock) = shelf.try_lock(recipe.name)? {
            return Ok(lock);
        }
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        if waited >= LOCK_AT_MOST {
            return Err(Error::Busy(recipe.name));
        }
        progress(ImageState::Building {
            percent: 0,
            step: "waiting for another Creel that builds it".into(),
        });
        std::thread::sleep(LOCK_EVERY);
        waited += LOCK_EVERY;
    }
}

fn run_steps(
    shelf: &Shelf,
    recipe: &Recipe,
    cancel: &Cancel,
    progress: &dyn Fn(ImageState),
    directory: &Path,
) -> Result<Manifest, Error> {
    let log = Log::create(shelf.log(recipe.name))?;
    let mut bench = Bench::new(directory, log, cancel.clone())?;
    for (index, step) in recipe.steps.iter().enumerate() {
        progress(ImageState::Building {
            percent: recipe.percent(index),
            step: step.sentence.clone(),
        });
        bench.begin(&step.sentence, step.bound)?;
        (step.act)(&bench)?;
    }
    progress(ImageState::Building {
        percent: 99,
        step: "writing everything to disk".into(),
    });
    bench.begin("writing everything to disk", LOCK_AT_MOST)?;
    let bytes = tree::seal(&bench.rootfs)?;
    Ok(Manifest {
        name: recipe.name,
        version: recipe.version.clone(),
        built_at: Timestamp::now(),
        bytes,
        digest: recipe.digest.clone(),
        trial: trial(bench.log().path())?,
    })
}

fn trial(log: &Path) -> Result<Option<serde_json::Value>, Error> {
    let text = fs::read(log).or_io("read", log)?;
    let text = String::from_utf8_lossy(&text);
    Ok(text
        .lines()
        .rev()
        .find(|line| line.starts_with(TRIAL))
        .and_then(|line| serde_json::from_str(line).ok()))
}
