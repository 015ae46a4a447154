//! Small acts on files, each with an error that names the path.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{ErrorKind, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use crate::Error;

/// Names in a directory that can be written as text; none when it is not there.
pub(crate) fn names(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

/// Makes a directory with exactly this mode, whatever the umask; an existing one is put right.
pub(crate) fn directory(path: &Path, mode: u32) -> Result<(), Error> {
    match DirBuilder::new().mode(mode).create(path) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => {}
        Err(error) => return Err(Error::io(format!("make directory {}", path.display()))(error)),
    }
    let permissions = fs::Permissions::from_mode(mode);
    fs::set_permissions(path, permissions).map_err(Error::io(format!("set the mode of {}", path.display())))
}

/// Makes a mount point; one on which something is mounted keeps the mode of that.
pub(crate) fn directory_unless_mounted(path: &Path, mode: u32) -> Result<(), Error> {
    match DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(Error::io(format!("make directory {}", path.display()))(error))
        }
        _ => Ok(()),
    }
}

/// Writes a file whole, or leaves the old one.
pub(crate) fn replace(path: &Path, mode: u32, content: &[u8]) -> Result<(), Error> {
    let beside = path.with_extension("new");
    let doing = || format!("write {}", path.display());
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&beside)
        .map_err(Error::io(doing()))?;
    file.write_all(content).map_err(Error::io(doing()))?;
    drop(file);
    fs::rename(&beside, path).map_err(Error::io(doing()))
}

/// Removes a file; a missing one is fine.
pub(crate) fn remove_file(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Error::io(format!("remove {}", path.display()))(error))
        }
        _ => Ok(()),
    }
}

/// Removes a directory with all in it; a missing one is fine. Follows no links.
pub(crate) fn remove_tree(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Error::io(format!("remove {}", path.display()))(error))
        }
        _ => Ok(()),
    }
}

/// Makes changes of names in a directory last.
pub(crate) fn sync_directory(path: &Path) -> Result<(), Error> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(Error::io(format!("sync {}", path.display())))
}
