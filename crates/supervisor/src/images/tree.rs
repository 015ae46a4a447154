//! Acts on a whole directory tree: seal it for sharing, and count what it takes.

use std::{
    collections::HashSet,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, lchown},
    path::Path,
};

use super::error::{Error, OrIo};

/// Makes every file root's, readable by all and writable by nobody else, without set-id bits; returns the bytes on disk.
///
/// Sticky directories that all may write, such as `/tmp`, stay so: sandboxes mount over them.
pub(super) fn seal(root: &Path) -> Result<u64, Error> {
    let mut seen = HashSet::new();
    let mut bytes = 0;
    let mut todo = vec![root.to_owned()];
    while let Some(path) = todo.pop() {
        let data = fs::symlink_metadata(&path).or_io("look at", &path)?;
        if data.uid() != 0 || data.gid() != 0 {
            lchown(&path, Some(0), Some(0)).or_io("give to root", &path)?;
        }
        if !data.is_symlink() {
            let mode = data.mode() & 0o7777;
            let sealed = sealed_mode(mode, data.is_dir());
            if sealed != mode {
                fs::set_permissions(&path, fs::Permissions::from_mode(sealed))
                    .or_io("set the mode of", &path)?;
            }
        }
        if data.nlink() == 1 || data.is_dir() || seen.insert((data.dev(), data.ino())) {
            bytes += data.blocks() * 512;
        }
        if data.is_dir() {
            for entry in fs::read_dir(&path).or_io("list", &path)? {
                todo.push(entry.or_io("list", &path)?.path());
            }
        }
    }
    Ok(bytes)
}

/// Gives a tree to one user, for a step that must write into it; sealing takes it back.
pub(super) fn give(root: &Path, uid: u32) -> Result<(), Error> {
    let mut todo = vec![root.to_owned()];
    while let Some(path) = todo.pop() {
        lchown(&path, Some(uid), Some(uid)).or_io("give away", &path)?;
        if fs::symlink_metadata(&path).or_io("look at", &path)?.is_dir() {
            for entry in fs::read_dir(&path).or_io("list", &path)? {
                todo.push(entry.or_io("list", &path)?.path());
            }
        }
    }
    Ok(())
}

fn sealed_mode(mode: u32, directory: bool) -> u32 {
    if directory && mode & 0o1777 == 0o1777 {
        return 0o1777;
    }
    let run = if directory || mode & 0o100 != 0 { 0o111 } else { 0 };
    (mode & 0o755) | 0o444 | run
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealing_opens_to_readers_and_closes_to_writers() {
        let cases = [
            (0o640, false, 0o644),
            (0o4755, false, 0o755),
            (0o2750, true, 0o755),
            (0o700, false, 0o755),
            (0o1777, true, 0o1777),
            (0o666, false, 0o644),
        ];
        for (mode, directory, sealed) in cases {
            assert_eq!(sealed_mode(mode, directory), sealed, "{mode:o}");
        }
    }
}
