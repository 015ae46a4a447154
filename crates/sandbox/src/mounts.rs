//! What is mounted, read from the kernel and nowhere else.

use std::{
    ffi::OsString,
    fs,
    os::unix::ffi::OsStringExt as _,
    path::{Path, PathBuf},
};

use rustix::{io::Errno, mount::UnmountFlags};

use crate::Error;

/// One line of mountinfo, as far as we care.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    pub(crate) point: PathBuf,
    pub(crate) kind: String,
    /// Options of the file system itself, where cgroup v1 names its controllers.
    pub(crate) options: String,
}

/// Everything mounted in our mount namespace.
pub(crate) fn all() -> Result<Vec<Mount>, Error> {
    let text = fs::read("/proc/self/mountinfo").map_err(Error::io("read /proc/self/mountinfo"))?;
    Ok(text.split(|byte| *byte == b'\n').filter_map(parse).collect())
}

pub(crate) fn is_mounted(point: &Path) -> Result<bool, Error> {
    Ok(all()?.iter().any(|mount| mount.point == point))
}

/// Unmounts whatever is on `point`, also when something is mounted there twice. What is still in use
/// somewhere is detached, and goes when its last user does.
pub(crate) fn unmount(point: &Path) -> Result<(), Error> {
    /// More mounts on one point than any crash of ours can stack.
    const MOST: usize = 8;
    for _ in 0..MOST {
        match rustix::mount::unmount(point, UnmountFlags::NOFOLLOW) {
            Ok(()) => {}
            Err(Errno::INVAL | Errno::NOENT) => return Ok(()),
            Err(Errno::BUSY) => rustix::mount::unmount(point, UnmountFlags::NOFOLLOW | UnmountFlags::DETACH)
                .map_err(Error::errno(format!("unmount {}", point.display())))?,
            Err(errno) => return Err(Error::errno(format!("unmount {}", point.display()))(errno)),
        }
    }
    Ok(())
}

/// `36 35 98:0 /root /point rw,… shared:1 - ext4 /dev/x rw,…`
fn parse(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let point = unescape(fields.nth(4)?);
    let mut after = fields.skip_while(|field| *field != b"-").skip(1);
    let kind = String::from_utf8_lossy(after.next()?).into_owned();
    let options = String::from_utf8_lossy(after.nth(1).unwrap_or_default()).into_owned();
    Some(Mount { point, kind, options })
}

/// The kernel writes space, tab, newline and backslash as `\ooo`.
fn unescape(field: &[u8]) -> PathBuf {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, tail)) = rest.split_first() {
        let octal = |digits: &[u8]| {
            digits.iter().try_fold(0u8, |value, digit| {
                let digit = digit.checked_sub(b'0').filter(|digit| *digit < 8)?;
                value.checked_mul(8)?.checked_add(digit)
            })
        };
        match (byte, tail.get(..3).and_then(octal)) {
            (b'\\', Some(value)) => {
                out.push(value);
                rest = &tail[3..];
            }
            _ => {
                out.push(byte);
                rest = tail;
            }
        }
    }
    PathBuf::from(OsString::from_vec(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_mountinfo() {
        let line =
            br"36 35 7:1 / /var/my\040data/mnt rw,nosuid shared:5 master:1 - ext4 /dev/loop1 rw,discard";
        let mount = Mount {
            point: PathBuf::from("/var/my data/mnt"),
            kind: "ext4".to_owned(),
            options: "rw,discard".to_owned(),
        };
        assert_eq!(parse(line), Some(mount));
        for broken in [&b""[..], b"1 2 3", b"1 2 3 4 /x rw", b"1 2 3 4 /x rw -"] {
            assert_eq!(parse(broken), None);
        }
    }

    #[test]
    fn broken_escapes_are_taken_as_they_are() {
        for (given, wanted) in [
            (r"a\04", r"a\04"),
            (r"a\999", r"a\999"),
            (r"\134x", r"\x"),
            (r"\", r"\"),
        ] {
            assert_eq!(unescape(given.as_bytes()), PathBuf::from(wanted));
        }
    }

    #[test]
    fn proc_is_mounted_and_nothing_is_not() {
        assert!(is_mounted(Path::new("/proc")).expect("mountinfo"));
        assert!(!is_mounted(Path::new("/nowhere")).expect("mountinfo"));
    }
}
