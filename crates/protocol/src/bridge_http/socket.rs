//! Opens `bridge.sock`. The directory it is in can be written from inside the sandbox: what has the name
//! of the socket may be a link to a socket of ours, a FIFO, or a thousand other things.

use std::{io, os::fd::AsRawFd as _, path::Path, time::Duration};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2};
use tokio::net::UnixStream;

use crate::BridgeError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Connects without following a link in any part that the sandbox may write. The file is found once and
/// then spoken to by descriptor, so nothing can be swapped in between, and no path is too long.
pub(crate) async fn connect(inbound: &Path) -> Result<UnixStream, BridgeError> {
    let socket = find(inbound).map_err(|error| BridgeError::Unreachable(sentence(&error)))?;
    let path = format!("/proc/self/fd/{}", socket.as_raw_fd());
    match tokio::time::timeout(CONNECT_TIMEOUT, UnixStream::connect(path)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(BridgeError::Unreachable(sentence(&error))),
        Err(_) => Err(BridgeError::Unreachable(
            "its bridge takes no connections".to_owned(),
        )),
    }
}

fn find(inbound: &Path) -> io::Result<rustix::fd::OwnedFd> {
    let here = OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let directory = openat(CWD, inbound, here | OFlags::DIRECTORY, Mode::empty())?;
    let socket = openat2(
        &directory,
        "bridge.sock",
        here,
        Mode::empty(),
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS,
    )?;
    match FileType::from_raw_mode(fstat(&socket)?.st_mode) {
        FileType::Socket => Ok(socket),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "what lies in its place is not a socket",
        )),
    }
}

fn sentence(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "its bridge is not there yet".to_owned(),
        io::ErrorKind::ConnectionRefused => "nobody listens on its socket".to_owned(),
        io::ErrorKind::WouldBlock => "its bridge has too many waiting connections".to_owned(),
        _ if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            "a link lies in the place of its socket, which is never followed".to_owned()
        }
        _ => error.to_string(),
    }
}
