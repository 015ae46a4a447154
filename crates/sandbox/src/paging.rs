//! Pushing the memory of processes that are held still out to swap, from outside, and stopping in the middle of it
//! when somebody wants them.
//!
//! By `process_madvise` and not by the control group's `memory.reclaim`: that is missing where the memory controller is
//! of version 1, and in one call it does as much as it is told, while whoever wakes the sandbox waits for its pages.

use std::{
    io,
    os::fd::AsRawFd as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::io::Errno;

use crate::{mappings, memory::MOST_PROCESSES, pid::Held};

/// So much is asked of the kernel at once; then we look whether to go on.
const PIECE_BYTES: u64 = 16 << 20;
/// After so much we look whether there is still room.
const LOOK_EVERY_BYTES: u64 = 64 << 20;
/// What is not out by then stays.
const DEADLINE: Duration = Duration::from_secs(60);

/// Ends the work when dropped.
#[derive(Debug, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    pub(crate) fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// How far it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Swept {
    /// Everything was asked for. What the kernel keeps, it keeps.
    Whole,
    Stopped,
    /// There was no more room.
    Full,
    Refused(Errno),
}

/// Pages out what the processes have, one after another, as long as nobody says stop and there is `room` for so many
/// bytes more.
pub(crate) fn page_out(pids: &[u32], room: impl Fn(u64) -> bool, stop: &AtomicBool) -> Swept {
    let give_up = Instant::now() + DEADLINE;
    let mut since_look = 0;
    for pid in pids.iter().take(MOST_PROCESSES) {
        // Held before its mappings are read: they are its own, or it is gone.
        let Ok(Some(process)) = Held::open(*pid) else {
            continue;
        };
        let Ok(mappings) = mappings::of(*pid) else {
            continue;
        };
        for mapping in mappings {
            let mut start = mapping.start;
            while start < mapping.end {
                if stop.load(Ordering::Relaxed) {
                    return Swept::Stopped;
                }
                if Instant::now() >= give_up {
                    return Swept::Whole;
                }
                let bytes = PIECE_BYTES.min(mapping.end - start);
                match advise(&process, start, bytes) {
                    Ok(()) => {}
                    // Ended in the meantime.
                    Err(Errno::SRCH) => break,
                    // Locked, or of a device, or changed by whoever runs on: this piece stays.
                    Err(Errno::INVAL | Errno::NOMEM | Errno::INTR | Errno::AGAIN | Errno::FAULT) => {}
                    Err(errno) => return Swept::Refused(errno),
                }
                start += bytes;
                since_look += bytes;
                if since_look >= LOOK_EVERY_BYTES {
                    since_look = 0;
                    if !room(0) {
                        return Swept::Full;
                    }
                }
            }
        }
    }
    Swept::Whole
}

fn advise(process: &Held, start: u64, bytes: u64) -> Result<(), Errno> {
    let (Ok(base), Ok(length)) = (usize::try_from(start), usize::try_from(bytes)) else {
        return Err(Errno::INVAL);
    };
    let range = libc::iovec {
        iov_base: std::ptr::without_provenance_mut(base),
        iov_len: length,
    };
    #[expect(unsafe_code, reason = "a system call that rustix does not have")]
    // SAFETY: the kernel reads one `iovec`, which lives through the call. Its range is of another process and never
    // looked at here; paging out changes nothing that any process can see.
    let outcome = unsafe {
        libc::syscall(
            libc::SYS_process_madvise,
            process.fd().as_raw_fd(),
            &raw const range,
            1_usize,
            libc::MADV_PAGEOUT,
            0_u32,
        )
    };
    if outcome >= 0 {
        return Ok(());
    }
    Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::INVAL))
}
