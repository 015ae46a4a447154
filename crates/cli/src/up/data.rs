//! The data directory: made with the right modes, checked for its version, held by one `creel up` at a time.

use std::{
    fs::{self, File},
    io::{Read, Seek, Write},
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use creel_protocol::Layout;
use rustix::fs::FlockOperation;

use super::account::Account;
use crate::failure::{Failure, Result};

/// The layout that this program reads and writes.
const VERSION: u32 = 1;
/// How long the processes of an earlier `creel up` may take to end.
const OTHERS_END_WITHIN: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Absolute, without links, so that all processes mean the same place.
pub(super) fn absolute(path: &Path) -> Result<PathBuf> {
    let path = std::path::absolute(path)?;
    Ok(fs::canonicalize(&path).unwrap_or(path))
}

/// Refuses a layout that a newer Creel wrote.
pub(super) fn check_version(layout: &Layout) -> Result<()> {
    let text = match fs::read_to_string(layout.version()) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(cannot("read", &layout.version(), &error)),
    };
    let data = layout.data().display();
    match text.trim().parse::<u32>() {
        Ok(version) if version <= VERSION => Ok(()),
        Ok(version) => Err(Failure::sentence(format!(
            "{data} was written by a newer Creel (layout {version}, this one knows {VERSION}): \
             install that version, or choose another directory with --data"
        ))),
        Err(_) => Err(Failure::sentence(format!(
            "{data}/version holds no version: this is no data directory of Creel. Choose another with --data"
        ))),
    }
}

/// Makes what is missing, with owners and modes as the layout says.
pub(super) fn prepare(layout: &Layout, account: Account) -> Result<()> {
    let directories = [
        (layout.data().to_path_buf(), 0o711, None),
        (layout.control(), 0o700, Some(account)),
        (layout.supervisor(), 0o700, None),
        (layout.volumes(), 0o711, None),
        (layout.run(), 0o711, None),
        (layout.sandboxes(), 0o711, None),
        (layout.edge(), 0o700, Some(account)),
        (layout.logs(), 0o700, None),
        (layout.mail(), 0o700, Some(account)),
    ];
    for (path, mode, owner) in directories {
        directory(&path, mode, owner).map_err(|error| cannot("make", &path, &error))?;
    }
    // It may be shared with others, who decided about it.
    if !layout.images().exists() {
        directory(layout.images(), 0o711, None).map_err(|error| cannot("make", layout.images(), &error))?;
    }
    let version = layout.version();
    if !version.exists() {
        fs::write(&version, format!("{VERSION}\n")).map_err(|error| cannot("write", &version, &error))?;
    }
    Ok(())
}

fn directory(path: &Path, mode: u32, owner: Option<Account>) -> std::io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o711).create(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    match owner {
        Some(account) => chown(path, Some(account.uid), Some(account.gid)),
        None => Ok(()),
    }
}

/// Refuses a place that the account cannot reach: it lacks the right to pass through a directory above.
pub(super) fn check_reachable(data: &Path, account: Account) -> Result<()> {
    for directory in data.ancestors().skip(1) {
        let Ok(about) = fs::metadata(directory) else {
            continue;
        };
        let right = match (about.uid() == account.uid, about.gid() == account.gid) {
            (true, _) => 0o100,
            (false, true) => 0o010,
            (false, false) => 0o001,
        };
        if about.mode() & right == 0 {
            let (directory, data) = (directory.display(), data.display());
            return Err(Failure::sentence(format!(
                "control runs without root's rights and cannot pass through {directory} to reach {data}: \
                 choose another place with --data, or run: chmod o+x {directory}"
            )));
        }
    }
    Ok(())
}

/// Held as long as this `creel up` lives. The kernel lets go of it however the process ends.
pub(super) struct Lock {
    file: File,
}

impl Lock {
    pub(super) fn take(layout: &Layout) -> Result<Self> {
        let path = layout.lock();
        let file = open_lock(&path).map_err(|error| cannot("open", &path, &error))?;
        if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            Life::wait_for_others(layout)?;
            return Ok(Self { file });
        }
        let data = layout.data().display();
        Err(Failure::sentence(match holder(file) {
            Some((pid, address)) => format!(
                "Creel is already running with {data}: process {pid}, at http://{address}. \
                 Stop it with `creel down`, or choose another directory with --data"
            ),
            None => format!("Creel is just starting or stopping with {data}: try again in a moment"),
        }))
    }

    /// For whoever meets the lock, and for `creel down`.
    pub(super) fn sign(&mut self, address: SocketAddr) -> Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        Ok(writeln!(self.file, "{} {address}", std::process::id())?)
    }
}

/// Held by each child of a `creel up`, together, as long as it lives. Control's listener is gone before it.
pub(super) struct Life {
    _file: File,
}

impl Life {
    pub(super) fn begin(layout: &Layout) -> Result<Self> {
        let path = layout.lives();
        let begun = open_lock(&path).and_then(|file| {
            rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared)?;
            Ok(file)
        });
        let file = begun.map_err(|error| cannot("lock", &path, &error))?;
        Ok(Self { _file: file })
    }

    /// Waits until no child of an earlier `creel up` is left: one that was killed leaves them ending, with its address
    /// still in use.
    fn wait_for_others(layout: &Layout) -> Result<()> {
        let path = layout.lives();
        let file = open_lock(&path).map_err(|error| cannot("open", &path, &error))?;
        let deadline = Instant::now() + OTHERS_END_WITHIN;
        while rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            if Instant::now() >= deadline {
                return Err(Failure::sentence(format!(
                    "processes of an earlier `creel up` with {} do not end: `pgrep -a creel` shows them; kill them, \
                     then try again",
                    layout.data().display()
                )));
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        Ok(())
    }
}

fn open_lock(path: &Path) -> std::io::Result<File> {
    let mut options = fs::OpenOptions::new();
    let options = options.read(true).write(true).create(true).truncate(false);
    options.mode(0o644).open(path)
}

/// Whether anybody holds the lock.
pub(super) fn held(layout: &Layout) -> bool {
    File::open(layout.lock())
        .is_ok_and(|file| rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared).is_err())
}

/// The pid and address of the `creel up` that holds the lock; none when nobody does.
pub(super) fn running(layout: &Layout) -> Option<(i32, SocketAddr)> {
    let file = File::open(layout.lock()).ok()?;
    if rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared).is_ok() {
        return None;
    }
    holder(file)
}

fn holder(file: File) -> Option<(i32, SocketAddr)> {
    let mut text = String::new();
    file.take(128).read_to_string(&mut text).ok()?;
    let (pid, address) = text.trim().split_once(' ')?;
    Some((pid.parse().ok()?, address.parse().ok()?))
}

fn cannot(verb: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::sentence(format!("cannot {verb} {}: {error}", path.display()))
}
