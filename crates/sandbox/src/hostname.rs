//! Another host name for a sandbox whose processes run already.

use std::{fs::File, os::fd::AsFd as _, os::unix::fs::MetadataExt as _};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::{Error, pid::Held};

const DOING: &str = "rename a sandbox";

/// Changes the name in the namespace of this process. One that shares ours has no name of its own, and keeps ours.
pub(crate) fn change(pid: u32, held: &Held, hostname: &str) -> Result<(), Error> {
    let theirs = match File::open(format!("/proc/{pid}/ns/uts")) {
        Ok(theirs) => theirs,
        Err(_) if held.has_ended() => return Ok(()),
        Err(error) => return Err(Error::io(DOING)(error)),
    };
    let ours = std::fs::metadata("/proc/self/ns/uts").map_err(Error::io(DOING))?;
    let inode = theirs.metadata().map_err(Error::io(DOING))?.ino();
    // Only of one that still lives is it certain that the number, and so the namespace, was its own.
    if inode == ours.ino() || held.has_ended() {
        return Ok(());
    }
    let hostname = hostname.as_bytes().to_vec();
    // Moves itself there, and nobody else: it ends with that.
    let thread = std::thread::spawn(move || {
        move_into_link_name_space(theirs.as_fd(), Some(LinkNameSpaceType::HostNameAndNISDomainName))?;
        rustix::system::sethostname(&hostname)
    });
    match thread.join() {
        Ok(outcome) => outcome.map_err(Error::errno(DOING)),
        Err(_) => Err(Error::Io {
            doing: DOING.to_owned(),
            source: std::io::Error::other("its thread failed"),
        }),
    }
}
