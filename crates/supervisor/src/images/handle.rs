//! [`Images`]: what the rest of the supervisor sees of images.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
};

use creel_domain::ImageName;
use creel_protocol::{ImageState, ImageStatus};
use tokio::sync::watch;

use super::{
    bench::Cancel,
    builder::{self, current},
    error::Error,
    needs::{MissingTool, needs},
    recipe::{self, Recipe},
    shelf::{Image, Shelf},
};

/// The images of one directory. Clones share everything; when the last one is dropped, builds under way are stopped
/// and their programs killed.
#[derive(Clone)]
pub struct Images(Arc<Inner>);

struct Inner {
    shelf: Shelf,
    lines: Vec<Line>,
    /// Whether the host has what the recipes need.
    check_host: bool,
}

/// One image: its recipe and the build under way, if any.
struct Line {
    recipe: Arc<Recipe>,
    state: watch::Sender<ImageState>,
    build: Mutex<Option<Build>>,
}

impl Line {
    /// As told by the build itself, whose last word is how it ended.
    fn is_building(&self) -> bool {
        matches!(*self.state.borrow(), ImageState::Building { .. })
    }
}

/// A build that was started; it may have ended.
struct Build {
    cancel: Cancel,
    thread: JoinHandle<()>,
}

impl Images {
    /// Opens a directory of images, creating it when missing, and sweeps what crashed builds left. Several
    /// installations may share one directory.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self, Error> {
        Self::with_recipes(directory.into(), ImageName::ALL.map(recipe::of).into(), true)
    }

    fn with_recipes(directory: PathBuf, recipes: Vec<Recipe>, check_host: bool) -> Result<Self, Error> {
        let shelf = Shelf::open(directory)?;
        let lines = recipes.into_iter().map(|recipe| Line {
            state: watch::Sender::new(on_disk(&shelf, &recipe)),
            recipe: Arc::new(recipe),
            build: Mutex::new(None),
        });
        Ok(Self(Arc::new(Inner {
            lines: lines.collect(),
            shelf,
            check_host,
        })))
    }

    /// Every image this Creel knows, built or not.
    pub fn list(&self) -> Vec<ImageStatus> {
        self.0
            .lines
            .iter()
            .filter_map(|line| self.status(line.recipe.name))
            .collect()
    }

    fn status(&self, name: ImageName) -> Option<ImageStatus> {
        let line = self.line(name).ok()?;
        let told = line.state.borrow().clone();
        // The disk knows better than we do, because another process may have built it or removed it.
        let state = match (told, on_disk(&self.0.shelf, &line.recipe)) {
            (building @ ImageState::Building { .. }, _) => building,
            (failed @ ImageState::Failed { .. }, ImageState::Absent) => failed,
            (_, seen) => seen,
        };
        Some(ImageStatus {
            name,
            version: line.recipe.version.clone(),
            state,
        })
    }

    /// The image to start sandboxes from, when it is there. Made from an older recipe of the same version, it still serves.
    pub fn lookup(&self, name: ImageName) -> Option<Image> {
        let line = self.line(name).ok()?;
        self.0.shelf.find(name, &line.recipe.version)
    }

    /// How the image is doing, as it changes. `None` for a name without a recipe.
    pub fn watch(&self, name: ImageName) -> Option<watch::Receiver<ImageState>> {
        self.line(name).ok().map(|line| line.state.subscribe())
    }

    /// Starts to build in the background, unless the image of the present recipe is there or under way.
    pub fn build(&self, name: ImageName) -> Result<(), Error> {
        let line = self.line(name)?;
        let mut build = lock(&line.build);
        if line.is_building() || current(&self.0.shelf, &line.recipe).is_some() {
            return Ok(());
        }
        if self.0.check_host {
            let missing: Vec<MissingTool> = needs(name);
            if !missing.is_empty() {
                return Err(Error::MissingTools(missing));
            }
            if !rustix::process::geteuid().is_root() {
                return Err(Error::NotRoot);
            }
        }
        let cancel = Cancel::default();
        let work = Work {
            shelf: self.0.shelf.clone(),
            recipe: line.recipe.clone(),
            state: line.state.clone(),
            cancel: cancel.clone(),
        };
        let before = line.state.send_replace(ImageState::Building {
            percent: 0,
            step: "starting".into(),
        });
        let thread = std::thread::Builder::new()
            .name(format!("image-{name}"))
            .spawn(move || work.run())
            .map_err(|source| {
                line.state.send_replace(before);
                Error::Io {
                    doing: "start a thread for",
                    path: name.as_str().into(),
                    source,
                }
            })?;
        *build = Some(Build { cancel, thread });
        Ok(())
    }

    /// Builds unless it is there, and waits for the outcome.
    pub async fn built(&self, name: ImageName) -> Result<Image, Error> {
        let mut state = self.line(name)?.state.subscribe();
        self.build(name)?;
        let state = state
            .wait_for(|state| !matches!(state, ImageState::Building { .. }))
            .await;
        if let Ok(ImageState::Failed { reason }) = state.as_deref() {
            return Err(Error::Failed {
                name,
                reason: reason.clone(),
            });
        }
        self.lookup(name)
            .ok_or_else(|| Error::Unusable(format!("image {name} is gone again: build it once more")))
    }

    /// Removes the image with all its versions. The caller knows that no sandbox uses it.
    pub fn remove(&self, name: ImageName) -> Result<(), Error> {
        let line = self.line(name)?;
        // So that no build of ours begins meanwhile.
        let _held = lock(&line.build);
        if line.is_building() {
            return Err(Error::Busy(name));
        }
        let file = self.0.shelf.try_lock(name)?.ok_or(Error::Busy(name))?;
        self.0.shelf.remove(name, &file)?;
        line.state.send_replace(ImageState::Absent);
        Ok(())
    }

    fn line(&self, name: ImageName) -> Result<&Line, Error> {
        let found = self.0.lines.iter().find(|line| line.recipe.name == name);
        found.ok_or_else(|| Error::Unusable(format!("there is no recipe for image {name}")))
    }
}

/// What a build's thread owns: never the handle itself, or the handle would outlive its owners.
struct Work {
    shelf: Shelf,
    recipe: Arc<Recipe>,
    state: watch::Sender<ImageState>,
    cancel: Cancel,
}

impl Work {
    fn run(self) {
        let name = self.recipe.name;
        let tell = |state| drop(self.state.send_replace(state));
        let built = catch_unwind(AssertUnwindSafe(|| {
            builder::build(&self.shelf, &self.recipe, &self.cancel, &tell)
        }));
        let state = match built {
            Ok(Ok(image)) => {
                tracing::info!(image = %name, version = image.version, bytes = image.bytes, "the image is ready");
                ImageState::Ready {
                    built_at: image.built_at,
                    bytes: image.bytes,
                }
            }
            Ok(Err(Error::Cancelled)) => on_disk(&self.shelf, &self.recipe),
            Ok(Err(error)) => {
                tracing::warn!(image = %name, %error, "the image could not be built");
                ImageState::Failed {
                    reason: error.to_string(),
                }
            }
            Err(_) => ImageState::Failed {
                reason: format!("building image {name} met a bug in Creel: please report it"),
            },
        };
        tell(state);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let builds: Vec<Build> = self
            .lines
            .iter()
            .filter_map(|line| lock(&line.build).take())
            .collect();
        for build in &builds {
            build.cancel.cancel();
        }
        for build in builds {
            let _ = build.thread.join();
        }
    }
}

fn on_disk(shelf: &Shelf, recipe: &Recipe) -> ImageState {
    match shelf.find(recipe.name, &recipe.version) {
        Some(image) => ImageState::Ready {
            built_at: image.built_at,
            bytes: image.bytes,
        },
        None => ImageState::Absent,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
