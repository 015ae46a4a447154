//! Listeners, with errors that say what to do.

use std::{
    fs,
    io::{self, ErrorKind},
    net::SocketAddr,
    os::{
        fd::AsRawFd as _,
        unix::fs::{FileTypeExt as _, PermissionsExt as _, chown},
    },
    path::{Path, PathBuf},
};

use tokio::net::{TcpListener, UnixListener};

#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("{address} is taken by another program: stop it, or choose another address with --listen")]
    Taken { address: SocketAddr },
    #[error("cannot listen on {address}: choose an address of this host with --listen")]
    NoAddress {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("cannot listen on the socket {path}")]
    Socket {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

pub async fn bind_tcp(address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| match source.kind() {
            ErrorKind::AddrInUse => ListenError::Taken { address },
            _ => ListenError::NoAddress { address, source },
        })
}

/// Binds a Unix socket, replacing one that a dead process left. `owner` is uid and gid.
///
/// Bound through its directory's descriptor, so the path may be longer than a socket address holds.
/// A file of another kind at the path is left alone and is an error.
pub fn bind_unix(path: &Path, mode: u32, owner: Option<(u32, u32)>) -> Result<UnixListener, ListenError> {
    let listener = bind_unix_std(path, mode, owner)?;
    UnixListener::from_std(listener).map_err(|source| ListenError::Socket {
        path: path.to_owned(),
        source,
    })
}

/// As [`bind_unix`], for whoever hands the listener on. It does not block.
pub fn bind_unix_std(
    path: &Path,
    mode: u32,
    owner: Option<(u32, u32)>,
) -> Result<std::os::unix::net::UnixListener, ListenError> {
    let bind = || -> io::Result<std::os::unix::net::UnixListener> {
        match fs::symlink_metadata(path) {
            Ok(found) if found.file_type().is_socket() => fs::remove_file(path)?,
            Ok(_) => return Err(ErrorKind::AlreadyExists.into()),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(ErrorKind::InvalidInput.into());
        };
        let directory = fs::File::open(parent)?;
        let short = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd())).join(name);
        let listener = std::os::unix::net::UnixListener::bind(&short)?;
        fs::set_permissions(&short, fs::Permissions::from_mode(mode))?;
        if let Some((uid, gid)) = owner {
            chown(&short, Some(uid), Some(gid))?;
        }
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    bind().map_err(|source| ListenError::Socket {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_named() {
        let first = bind_tcp(([127, 0, 0, 1], 0).into()).await.expect("a free port");
        let address = first.local_addr().expect("bound");
        let error = bind_tcp(address).await.expect_err("taken");
        assert!(error.to_string().contains(&address.to_string()), "{error}");
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_file_is_not() {
        let home = tempfile::tempdir().expect("a directory");
        let deep = home.path().join("d".repeat(150));
        fs::create_dir(&deep).expect("made");
        let path = deep.join("a.sock");
        drop(bind_unix(&path, 0o600, None).expect("bound"));
        drop(bind_unix(&path, 0o660, None).expect("bound again"));
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o660);
        fs::write(deep.join("file"), "mine").expect("written");
        bind_unix(&deep.join("file"), 0o600, None).expect_err("a file is in the way");
        assert_eq!(
            fs::read_to_string(deep.join("file")).expect("still there"),
            "mine"
        );
    }
}
