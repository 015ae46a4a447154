//! Where finished images stand: looked up by name, put there by one rename, swept after a crash.

use std::{
    fs::{self, File},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use creel_domain::ImageName;
use jiff::Timestamp;
use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};
use serde::{Deserialize, Serialize};

use super::error::{Error, OrIo};

const BUILDING: &str = ".build-";
const REPLACED: &str = ".old-";

/// A finished image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    pub name: ImageName,
    pub version: String,
    /// The root directory to mount read-only.
    pub rootfs: PathBuf,
    pub built_at: Timestamp,
    /// Disk that it takes.
    pub bytes: u64,
    /// The recipe it was made from; see [`super::recipe_digest`].
    pub digest: String,
}

/// `image.json` beside the root directory.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) name: ImageName,
    pub(super) version: String,
    pub(super) built_at: Timestamp,
    pub(super) bytes: u64,
    pub(super) digest: String,
    /// Milliseconds of each part of the trial run, where the recipe has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) trial: Option<serde_json::Value>,
}

#[derive(Debug, Clone)]
pub(super) struct Shelf(PathBuf);

/// Held by the one who builds, sweeps or removes an image; the kernel lets go when the process dies.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "closing the file is what unlocks")] File);

impl Shelf {
    pub(super) fn open(directory: PathBuf) -> Result<Self, Error> {
        let shelf = Self(directory);
        for name in ImageName::ALL {
            let path = shelf.place(name);
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o755)
                .create(&path)
                .or_io("create", &path)?;
            // Whoever holds the lock sweeps for itself.
            if let Some(lock) = shelf.try_lock(name)? {
                shelf.sweep(name, &lock)?;
            }
        }
        Ok(shelf)
    }

    pub(super) fn log(&self, name: ImageName) -> PathBuf {
        self.place(name).join("build.log")
    }

    /// The image of this version, when it is complete. A directory without a readable manifest is not an image.
    pub(super) fn find(&self, name: ImageName, version: &str) -> Option<Image> {
        let directory = self.place(name).join(version);
        let text = fs::read(directory.join("image.json")).ok()?;
        let manifest: Manifest = serde_json::from_slice(&text).ok()?;
        let Manifest {
            version,
            built_at,
            bytes,
            digest,
            ..
        } = manifest;
        let rootfs = directory.join("rootfs");
        Some(Image {
            name,
            version,
            rootfs,
            built_at,
            bytes,
            digest,
        })
    }

    /// `None` while somebody else holds it.
    pub(super) fn try_lock(&self, name: ImageName) -> Result<Option<Lock>, Error> {
        let path = self.place(name).join(".lock");
        let file = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .or_io("open", &path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Lock(file))),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error).or_io("lock", &path),
        }
    }

    /// Removes what crashed builds left, and what was replaced before this boot and so cannot be mounted any more.
    pub(super) fn sweep(&self, name: ImageName, _lock: &Lock) -> Result<(), Error> {
        let ours = format!("{REPLACED}{}-", boot());
        for entry in self.entries(name)? {
            let left =
                entry.starts_with(BUILDING) || (entry.starts_with(REPLACED) && !entry.starts_with(&ours));
            if left {
                remove(&self.place(name).join(entry))?;
            }
        }
        Ok(())
    }

    /// A fresh directory for one build.
    pub(super) fn begin(&self, name: ImageName, version: &str, _lock: &Lock) -> Result<PathBuf, Error> {
        let path = self
            .place(name)
            .join(format!("{BUILDING}{version}-{}", std::process::id()));
        remove(&path)?;
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .or_io("create", &path)?;
        Ok(path)
    }

    /// Makes the image in `build` the one that is found, durably and at once.
    pub(super) fn finish(&self, build: &Path, manifest: &Manifest, _lock: &Lock) -> Result<(), Error> {
        let staged = build.join("image");
        let path = staged.join("image.json");
        let text = serde_json::to_vec_pretty(manifest)
            .map_err(std::io::Error::from)
            .or_io("write", &path)?;
        fs::write(&path, text).or_io("write", &path)?;
        // One flush for the whole filesystem is far cheaper than one for each of thirty thousand files.
        let directory = File::open(&staged).or_io("open", &staged)?;
        rustix::fs::syncfs(&directory).or_io("flush", &staged)?;

        let place = self.place(manifest.name);
        let target = place.join(&manifest.version);
        if target.exists() {
            renameat_with(CWD, &staged, CWD, &target, RenameFlags::EXCHANGE).or_io("replace", &target)?;
            let old = place.join(format!(
                "{REPLACED}{}-{}",
                boot(),
                manifest.built_at.as_nanosecond()
            ));
            fs::rename(&staged, &old).or_io("put aside", &staged)?;
        } else {
            fs::rename(&staged, &target).or_io("put in place", &target)?;
        }
        File::open(&place)
            .and_then(|directory| directory.sync_all())
            .or_io("flush", &place)
    }

    /// Removes every version of the image. The caller knows that no sandbox uses it.
    pub(super) fn remove(&self, name: ImageName, lock: &Lock) -> Result<(), Error> {
        for entry in self.entries(name)? {
            let path = self.place(name).join(&entry);
            if !entry.starts_with('.') && path.is_dir() {
                // Renamed first: an image is never seen half removed.
                let gone = self.place(name).join(format!("{BUILDING}gone-{entry}"));
                remove(&gone)?;
                fs::rename(&path, &gone).or_io("remove", &path)?;
            } else if entry.starts_with(REPLACED) {
                remove(&path)?;
            }
        }
        self.sweep(name, lock)
    }

    pub(super) fn free_bytes(&self) -> Result<u64, Error> {
        let room = rustix::fs::statvfs(&self.0).or_io("look at the free room of", &self.0)?;
        Ok(room.f_bavail.saturating_mul(room.f_frsize))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    fn place(&self, name: ImageName) -> PathBuf {
        self.0.join(name.as_str())
    }

    fn entries(&self, name: ImageName) -> Result<Vec<String>, Error> {
        let place = self.place(name);
        let mut names = Vec::new();
        for entry in fs::read_dir(&place).or_io("list", &place)? {
            names.extend(entry.or_io("list", &place)?.file_name().into_string());
        }
        Ok(names)
    }
}

/// Removes a directory with all that is in it; that it is not there is as good.
pub(super) fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        result => result.or_io("remove", path),
    }
}

/// Tells one boot of this machine from the next.
fn boot() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.chars().filter(char::is_ascii_hexdigit).take(12).collect()
}
