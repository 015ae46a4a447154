//! The agent's files, below the volume and nowhere else.
//!
//! Every path is opened below the volume's own directory with links refused on the way, so neither `..`
//! nor a planted link leads out. Files are replaced whole.

use std::{
    fs::File,
    io,
    os::fd::{AsFd as _, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use creel_protocol::{FileEntry, FileKind, limits};
use jiff::Timestamp;
use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, mkdirat, openat2, renameat, statat, unlinkat},
    io::Errno,
};

use crate::{paths::Paths, refusal::Refusal};

const BENEATH: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS);
const PATH_BYTES: usize = 4096;
/// How deep a directory is removed with all that is in it.
const DEPTH: usize = 128;

#[derive(Clone)]
pub(crate) struct Volume {
    root: Arc<OwnedFd>,
    /// The paths of the volume and of the workspace, as people write them.
    volume: String,
    workspace: String,
    unique: Arc<AtomicU64>,
}

/// A path below the volume, split where the last name begins.
struct Place {
    parent: String,
    name: String,
}

fn refusal(error: Errno, path: &str) -> Refusal {
    let (code, what) = match error {
        Errno::NOENT => ("not_found", "is not there"),
        Errno::EXIST => ("exists", "exists already"),
        Errno::NOTDIR => ("not_a_directory", "is not a directory, or leads through a file"),
        Errno::ISDIR => ("is_a_directory", "is a directory"),
        Errno::NOTEMPTY => ("not_empty", "is not empty"),
        Errno::LOOP | Errno::XDEV => ("path_outside", "leads through a link or out of the volume"),
        Errno::NOSPC | Errno::DQUOT => ("disk_full", "does not fit: the volume is full"),
        Errno::NAMETOOLONG => ("invalid", "has a name that is too long"),
        Errno::ACCESS | Errno::PERM => ("forbidden", "may not be touched by the agent"),
        _ => return Refusal::failed(format!("`{path}`: {error}")),
    };
    Refusal::new(code, format!("`{path}` {what}"))
}

impl Volume {
    pub(crate) fn open(paths: &Paths) -> io::Result<Self> {
        let root = File::open(&paths.volume)?;
        Ok(Self {
            root: Arc::new(root.into()),
            volume: creel_protocol::inside::VOLUME.to_owned(),
            workspace: creel_protocol::inside::WORKSPACE.to_owned(),
            unique: Arc::default(),
        })
    }

    /// The path relative to the volume; empty for the volume itself.
    fn inner(&self, path: &str) -> Result<String, Refusal> {
        if path.len() > PATH_BYTES || path.contains('\0') {
            return Err(Refusal::invalid(
                "a path has at most 4096 bytes, none of them zero",
            ));
        }
        let whole = if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("{}/{path}", self.workspace)
        };
        let outside = || Refusal::new("path_outside", format!("`{path}` is not below {}", self.volume));
        let inner = whole
            .strip_prefix(&self.volume)
            .filter(|rest| rest.is_empty() || rest.starts_with('/'));
        let mut names = Vec::new();
        for name in inner.ok_or_else(outside)?.split('/') {
            match name {
                "" | "." => {}
                ".." => return Err(outside()),
                name => names.push(name),
            }
        }
        Ok(names.join("/"))
    }

    fn place(&self, path: &str) -> Result<Place, Refusal> {
        let inner = self.inner(path)?;
        if inner.is_empty() {
            return Err(Refusal::invalid(
                "the volume itself cannot be changed: name something in it",
            ));
        }
        let (parent, name) = inner.rsplit_once('/').unwrap_or((".", &inner));
        Ok(Place {
            parent: parent.to_owned(),
            name: name.to_owned(),
        })
    }

    fn open_at(&self, inner: &str, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
        let inner = if inner.is_empty() { "." } else { inner };
        openat2(&self.root, inner, flags | OFlags::CLOEXEC, mode, BENEATH)
    }

    fn directory(&self, inner: &str) -> Result<OwnedFd, Errno> {
        self.open_at(inner, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())
    }

    pub(crate) fn list(&self, path: &str) -> Result<Vec<FileEntry>, Refusal> {
        let bad = |error| refusal(error, path);
        let directory = self.directory(&self.inner(path)?).map_err(bad)?;
        let mut entries = Vec::new();
        for entry in Dir::read_from(&directory).map_err(bad)? {
            let entry = entry.map_err(bad)?;
            let name = entry.file_name();
            if name.to_bytes() == b"." || name.to_bytes() == b".." {
                continue;
            }
            if entries.len() == limits::DIRECTORY_ENTRIES {
                break;
            }
            // What went away meanwhile is not listed.
            let Ok(stat) = statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW) else {
                continue;
            };
            let kind = match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile => FileKind::File,
                FileType::Directory => FileKind::Directory,
                FileType::Symlink => FileKind::Symlink,
                _ => FileKind::Other,
            };
            entries.push(FileEntry {
                name: name.to_string_lossy().into_owned(),
                kind,
                bytes: u64::try_from(stat.st_size).unwrap_or_default(),
                modified_at: Timestamp::from_second(stat.st_mtime).ok(),
                mode: stat.st_mode & 0o7777,
            });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// A regular file, opened for reading, and its length.
    pub(crate) fn read(&self, path: &str) -> Result<(File, u64), Refusal> {
        let inner = self.inner(path)?;
        // Non-blocking: opening a FIFO must not wait for its other end.
        let opened = self
            .open_at(
                &inner,
                OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY,
                Mode::empty(),
            )
            .map_err(|error| refusal(error, path))?;
        let stat = rustix::fs::fstat(&opened).map_err(|error| refusal(error, path))?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok((opened.into(), u64::try_from(stat.st_size).unwrap_or_default())),
            FileType::Directory => Err(refusal(Errno::ISDIR, path)),
            _ => Err(Refusal::invalid(format!(
                "`{path}` is not a file that can be read"
            ))),
        }
    }

    /// A new file beside the one it is to replace.
    pub(crate) fn begin_write(&self, path: &str) -> Result<NewFile, Refusal> {
        let place = self.place(path)?;
        let bad = |error| refusal(error, path);
        let directory = self.directory(&place.parent).map_err(bad)?;
        if let Ok(stat) = statat(&directory, &place.name, AtFlags::SYMLINK_NOFOLLOW) {
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile => {}
                FileType::Directory => return Err(refusal(Errno::ISDIR, path)),
                _ => {
                    return Err(Refusal::new(
                        "path_outside",
                        format!("`{path}` is a link or no file"),
                    ));
                }
            }
        }
        let number = self.unique.fetch_add(1, Ordering::Relaxed);
        let temporary = format!(".creel-upload-{}-{number}", std::process::id());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let file = openat2(
            &directory,
            &temporary,
            flags | OFlags::CLOEXEC,
            Mode::from(0o644),
            BENEATH,
        )
        .map_err(bad)?;
        Ok(NewFile {
            directory,
            temporary,
            name: place.name,
            path: path.to_owned(),
            file: file.into(),
            kept: false,
        })
    }

    pub(crate) fn mkdir(&self, path: &str) -> Result<(), Refusal> {
        let place = self.place(path)?;
        let bad = |error| refusal(error, path);
        let directory = self.directory(&place.parent).map_err(bad)?;
        mkdirat(&directory, &place.name, Mode::from(0o755)).map_err(bad)
    }

    pub(crate) fn rename(&self, from: &str, to: &str) -> Result<(), Refusal> {
        let (source, target) = (self.place(from)?, self.place(to)?);
        let source_dir = self
            .directory(&source.parent)
            .map_err(|error| refusal(error, from))?;
        let target_dir = self
            .directory(&target.parent)
            .map_err(|error| refusal(error, to))?;
        renameat(&source_dir, &source.name, &target_dir, &target.name).map_err(|error| match error {
            Errno::INVAL => Refusal::invalid(format!("`{from}` cannot be moved into itself")),
            Errno::NOENT => refusal(error, from),
            other => refusal(other, to),
        })
    }

    pub(crate) fn remove(&self, path: &str, recursive: bool) -> Result<(), Refusal> {
        let place = self.place(path)?;
        let bad = |error| refusal(error, path);
        let directory = self.directory(&place.parent).map_err(bad)?;
        match unlinkat(&directory, &place.name, AtFlags::empty()) {
            Err(Errno::ISDIR) => {}
            other => return other.map_err(bad),
        }
        if recursive {
            empty(&directory, &place.name, DEPTH).map_err(bad)?;
        }
        unlinkat(&directory, &place.name, AtFlags::REMOVEDIR).map_err(bad)
    }
}

/// Removes what is in a directory, following no link.
fn empty(parent: &OwnedFd, name: &str, depth: usize) -> Result<(), Errno> {
    if depth == 0 {
        return Err(Errno::NAMETOOLONG);
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = openat2(parent.as_fd(), name, flags, Mode::empty(), BENEATH)?;
    for entry in Dir::read_from(&directory)? {
        let entry = entry?;
        let inner = entry.file_name();
        if inner.to_bytes() == b"." || inner.to_bytes() == b".." {
            continue;
        }
        match unlinkat(&directory, inner, AtFlags::empty()) {
            Err(Errno::ISDIR) => {
                let inner = inner.to_str().map_err(|_| Errno::ILSEQ)?;
                empty(&directory, inner, depth - 1)?;
                unlinkat(&directory, inner, AtFlags::REMOVEDIR)?;
            }
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A file on its way. Dropped before [`NewFile::keep`] it leaves nothing.
pub(crate) struct NewFile {
    directory: OwnedFd,
    temporary: String,
    name: String,
    path: String,
    pub(crate) file: File,
    kept: bool,
}

impl NewFile {
    pub(crate) fn refuse(&self, error: &io::Error) -> Refusal {
        match Errno::from_io_error(error) {
            Some(errno) => refusal(errno, &self.path),
            None => Refusal::failed(format!("`{}`: {error}", self.path)),
        }
    }

    /// Puts the file in its place, on disk.
    pub(crate) fn keep(mut self) -> Result<(), Refusal> {
        self.file.sync_all().map_err(|error| self.refuse(&error))?;
        renameat(&self.directory, &self.temporary, &self.directory, &self.name)
            .map_err(|error| refusal(error, &self.path))?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.kept {
            // A crash leaves it; it is an ordinary file of the agent's then.
            let _ = unlinkat(&self.directory, &self.temporary, AtFlags::empty());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _, os::unix::fs::symlink};

    use super::*;

    fn volume() -> (tempfile::TempDir, Volume) {
        let root = tempfile::tempdir().expect("a directory");
        let paths = Paths::below(root.path());
        fs::create_dir_all(&paths.workspace).expect("made");
        let volume = Volume::open(&paths).expect("opened");
        (root, volume)
    }

    fn write(volume: &Volume, path: &str, text: &str) -> Result<(), Refusal> {
        let mut new = volume.begin_write(path)?;
        new.file
            .write_all(text.as_bytes())
            .map_err(|error| new.refuse(&error))?;
        new.keep()
    }

    #[test]
    fn written_listed_moved_read_and_removed() {
        let (_root, volume) = volume();
        volume.mkdir("notes").expect("made");
        write(&volume, "notes/a.txt", "one").expect("written");
        write(&volume, "/data/workspace/notes/a.txt", "two").expect("written again");
        volume.rename("notes/a.txt", "b.txt").expect("moved");
        let (file, bytes) = volume.read("b.txt").expect("read");
        assert_eq!(
            (io::read_to_string(file).expect("text").as_str(), bytes),
            ("two", 3)
        );
        assert_eq!(volume.list("").expect("listed").len(), 2);
        write(&volume, "notes/deep", "x").expect("written");
        assert_eq!(
            volume.remove("notes", false).expect_err("not empty").code,
            "not_empty"
        );
        volume.remove("notes", true).expect("removed");
        assert_eq!(volume.list("").expect("listed").len(), 1);
    }

    #[test]
    fn no_way_leads_out() {
        let (root, volume) = volume();
        fs::write(root.path().join("secret"), "s").expect("written");
        let workspace = root.path().join("data/workspace");
        symlink(root.path().join("secret"), workspace.join("link")).expect("planted");
        symlink("../..", workspace.join("up")).expect("planted");
        for path in [
            "link",
            "up/secret",
            "../../secret",
            "/etc/passwd",
            "/database",
            "a/../../../secret",
        ] {
            let code = volume.read(path).expect_err(path).code;
            assert_eq!(code, "path_outside", "{path}");
            assert!(volume.begin_write(path).is_err(), "{path}");
        }
        assert_eq!(volume.read("a\0b").expect_err("a zero").code, "invalid");
        assert_eq!(volume.read(&"x/".repeat(4000)).expect_err("long").code, "invalid");
        volume.remove("up", true).expect("the link itself goes");
        assert!(root.path().join("secret").exists());
    }

    #[test]
    fn a_fifo_holds_nobody_up() {
        let (root, volume) = volume();
        let fifo = root.path().join("data/workspace/fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, Mode::from(0o600), 0).expect("made");
        assert_eq!(volume.read("fifo").expect_err("no file").code, "invalid");
    }

    #[test]
    fn half_a_file_leaves_the_old_one() {
        let (_root, volume) = volume();
        write(&volume, "a", "old").expect("written");
        let mut new = volume.begin_write("a").expect("begun");
        new.file.write_all(b"ne").expect("written");
        drop(new);
        assert_eq!(
            io::read_to_string(volume.read("a").expect("there").0).expect("text"),
            "old"
        );
        assert_eq!(volume.list("").expect("listed").len(), 1);
    }
}
