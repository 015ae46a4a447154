//! Files that must survive the host losing power, and directories with exact modes.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read as _, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use crate::Error;

/// Writes a file so that after any crash it is either the old or the new one, whole.
pub(crate) fn write_durably(path: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&beside)?;
    file.write_all(content)?;
    file.sync_data()?;
    drop(file);
    fs::rename(&beside, path)?;
    sync_parent(path)
}

/// Writes a file so that readers see either the old or the new one; not for what must survive power loss.
pub(crate) fn replace(path: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::write(&beside, content)?;
    fs::set_permissions(&beside, fs::Permissions::from_mode(mode))?;
    fs::rename(&beside, path)
}

/// Removes a file so that it does not come back after a crash; a missing one is fine.
pub(crate) fn remove_durably(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    sync_parent(path)
}

pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

/// Makes a directory with this mode; one that exists is put right.
pub(crate) fn directory(path: &Path, mode: u32) -> Result<(), Error> {
    fs::create_dir_all(path)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(mode)))
        .map_err(Error::io("make directory", path))
}

/// Names in a directory; none when it is not there.
pub(crate) fn names(path: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(path) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

/// Removes a directory and all in it; a missing one is fine.
pub(crate) fn remove_tree(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The directory on the way to `path` that others cannot pass, if there is one.
pub(crate) fn no_way_in(path: &Path) -> Option<&Path> {
    path.ancestors().find(|directory| {
        fs::metadata(directory)
            .is_ok_and(|metadata| metadata.is_dir() && metadata.permissions().mode() & 1 == 0)
    })
}

/// The beginning of a file that somebody hostile may have put there: no link is followed, nothing is
/// waited for, and what a terminal would obey is left out.
pub(crate) fn hostile_text(path: &Path, most: u64) -> Option<String> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty()).ok()?);
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes).ok()?;
    let text: String = String::from_utf8_lossy(&bytes)
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_sandbox_wrote_is_read_with_care() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = |name: &str| directory.path().join(name);
        fs::write(path("text"), "no \x1b[31mmodel\nset").expect("a file");
        std::os::unix::fs::symlink("/etc/passwd", path("link")).expect("a link");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            path("pipe"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RWXU,
            0,
        )
        .expect("a pipe");
        assert_eq!(
            hostile_text(&path("text"), 100).as_deref(),
            Some("no  [31mmodel set")
        );
        assert_eq!(hostile_text(&path("text"), 2).as_deref(), Some("no"));
        for name in ["link", "pipe", ".", "missing"] {
            assert_eq!(hostile_text(&path(name), 100), None, "{name}");
        }
    }

    #[test]
    fn a_closed_directory_on_the_way_is_found() {
        let directory = tempfile::tempdir().expect("a directory");
        let inner = directory.path().join("a/b");
        fs::create_dir_all(&inner).expect("directories");
        let set = |mode| {
            let mode = fs::Permissions::from_mode(mode);
            fs::set_permissions(directory.path(), mode).expect("ours");
        };
        set(0o700);
        assert_eq!(no_way_in(&inner), Some(directory.path()));
        set(0o711);
        assert_eq!(no_way_in(&inner), None);
    }
}
