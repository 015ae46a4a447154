//! What a process has mapped, as the kernel tells it. The process is a stranger's: whatever it maps, in whatever
//! number and size, costs no more than a line at a time.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader},
};

/// Mappings of one process that are looked at; the kernel itself allows no more unless told to.
const MOST: usize = 65_536;

/// Memory that only this process can have filled: it lies nowhere but in memory or swap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mapping {
    pub(crate) start: u64,
    pub(crate) end: u64,
}

/// Of a process, in the order of their addresses.
pub(crate) fn of(pid: u32) -> io::Result<impl Iterator<Item = Mapping>> {
    let lines = BufReader::new(File::open(format!("/proc/{pid}/maps"))?).split(b'\n');
    Ok(lines
        .take(MOST)
        .map_while(Result::ok)
        .filter_map(|line| own(&String::from_utf8_lossy(&line))))
}

/// A line of `maps`, as in proc(5), if it is about memory of the process's own. What only shows a file costs nothing:
/// the kernel takes it back when it needs it, and reads it again.
fn own(line: &str) -> Option<Mapping> {
    let mut words = line.split_ascii_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let rights = words.next()?;
    let inode = words.nth(2)?;
    let is_kernels = words
        .next()
        .is_some_and(|name| name.starts_with("[v") || name == "[uprobes]");
    let is_own = rights.as_bytes().get(1) == Some(&b'w') || (inode == "0" && !rights.starts_with("---"));
    let address = |text| u64::from_str_radix(text, 16).ok();
    let mapping = Mapping {
        start: address(start)?,
        end: address(end)?,
    };
    (is_own && !is_kernels && mapping.start < mapping.end).then_some(mapping)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_its_own_is_told_from_files_reserves_and_the_kernels() {
        let own = |line| own(line).map(|mapping| mapping.end - mapping.start);
        #[rustfmt::skip]
        let table = [
            ("558f6a000000-558f6a021000 rw-p 00000000 00:00 0                          [heap]", Some(0x21000)),
            ("7f1c40000000-7f1c40001000 r-xp 00000000 00:00 0 ", Some(0x1000)),
            ("7f1c40000000-7f1c40002000 rw-p 0001c000 fe:01 1234 /usr/lib/libc.so.6", Some(0x2000)),
            ("7f1c40000000-7f1c40002000 rw-s 00000000 00:05 77 /memfd:x (deleted)", Some(0x2000)),
            ("7f1c40000000-7f1c40002000 r-xp 0001c000 fe:01 1234 /usr/lib/libc.so.6", None),
            ("7f1c40000000-7f5c40000000 ---p 00000000 00:00 0 ", None),
            ("7ffd1b5f2000-7ffd1b5f6000 r--p 00000000 00:00 0                          [vvar]", None),
            ("ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0          [vsyscall]", None),
            ("7f1c40002000-7f1c40000000 rw-p 00000000 00:00 0", None),
            ("rw-p", None),
            ("", None),
        ];
        for (line, bytes) in table {
            assert_eq!(own(line), bytes, "{line}");
        }
    }

    #[test]
    fn we_have_mapped_something_ourselves() {
        assert!(of(std::process::id()).expect("ours").count() > 3);
        assert!(of(u32::MAX).is_err());
    }
}
