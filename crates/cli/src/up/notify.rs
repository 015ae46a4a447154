//! Tells systemd that Creel is ready (`Type=notify`), where systemd asked to be told.

use std::os::{
    linux::net::SocketAddrExt,
    unix::{
        ffi::OsStrExt,
        net::{SocketAddr, UnixDatagram},
    },
};

/// Does nothing without `NOTIFY_SOCKET`; nobody to tell is no failure.
pub(super) fn ready() {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    let address = match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        path => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(path)),
    };
    if let (Ok(address), Ok(us)) = (address, UnixDatagram::unbound()) {
        let _ = us.send_to_addr(b"READY=1", &address);
    }
}
