//! Loopback ports that lead to the uplink socket, byte for byte. Half-closes are passed on.

use std::{io, net::Ipv4Addr, path::PathBuf, sync::Arc};

use creel_protocol::tunnel;
use tokio::{
    net::{TcpListener, UnixStream},
    sync::Semaphore,
};

use crate::logs::Logs;

/// Connections under way on both ports together; the next ones wait in the kernel's queue.
pub(crate) const CONNECTIONS: usize = 256;
const BUFFER_BYTES: usize = 16 * 1024;

pub(crate) struct Splice {
    uplink: PathBuf,
    slots: Arc<Semaphore>,
    logs: Logs,
}

impl Splice {
    pub(crate) fn new(uplink: PathBuf, logs: Logs) -> Arc<Self> {
        Arc::new(Self {
            uplink,
            slots: Arc::new(Semaphore::new(CONNECTIONS)),
            logs,
        })
    }

    /// Listens on a port of 127.0.0.1; gives the port.
    pub(crate) async fn listen(self: &Arc<Self>, port: u16) -> io::Result<u16> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let port = listener.local_addr()?.port();
        tokio::spawn(Arc::clone(self).accept(listener));
        Ok(port)
    }

    async fn accept(self: Arc<Self>, listener: TcpListener) {
        loop {
            let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else {
                return;
            };
            let inner = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of descriptors, most likely: some must be closed first.
                    self.logs
                        .bridge(format!("a loopback connection was not taken: {error}"));
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    continue;
                }
            };
            let this = Arc::clone(&self);
            tokio::spawn(async move {
                let _slot = slot;
                let _ = inner.set_nodelay(true);
                match UnixStream::connect(&this.uplink).await {
                    Ok(outer) => tunnel(inner, outer, BUFFER_BYTES).await,
                    Err(error) => this
                        .logs
                        .bridge(format!("the uplink takes no connection: {error}")),
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpStream, UnixListener},
    };

    use super::*;

    #[tokio::test]
    async fn bytes_and_half_closes_pass() {
        let dir = tempfile::tempdir().expect("a directory");
        let uplink = dir.path().join("uplink.sock");
        let listener = UnixListener::bind(&uplink).expect("a socket");
        let port = Splice::new(uplink, Logs::new()).listen(0).await.expect("a port");
        let mut inner = TcpStream::connect(("127.0.0.1", port)).await.expect("connected");
        let (mut outer, _) = listener.accept().await.expect("accepted");
        inner.write_all(b"ask").await.expect("written");
        inner.shutdown().await.expect("half closed");
        let mut seen = Vec::new();
        outer
            .read_to_end(&mut seen)
            .await
            .expect("the half-close arrives");
        assert_eq!(seen, b"ask");
        outer.write_all(b"answer").await.expect("the other half is open");
        drop(outer);
        seen.clear();
        inner.read_to_end(&mut seen).await.expect("read");
        assert_eq!(seen, b"answer");
    }

    #[tokio::test]
    async fn more_than_the_bound_wait_until_one_ends() {
        let dir = tempfile::tempdir().expect("a directory");
        let uplink = dir.path().join("uplink.sock");
        let listener = UnixListener::bind(&uplink).expect("a socket");
        let port = Splice::new(uplink, Logs::new()).listen(0).await.expect("a port");
        let mut held = Vec::new();
        for _ in 0..CONNECTIONS {
            let inner = TcpStream::connect(("127.0.0.1", port)).await.expect("connected");
            held.push((inner, listener.accept().await.expect("accepted")));
        }
        let _one_more = TcpStream::connect(("127.0.0.1", port))
            .await
            .expect("queued by the kernel");
        let wait = std::time::Duration::from_millis(200);
        assert!(
            tokio::time::timeout(wait, listener.accept()).await.is_err(),
            "it has to wait"
        );
        held.pop();
        let wait = std::time::Duration::from_secs(10);
        assert!(
            tokio::time::timeout(wait, listener.accept()).await.is_ok(),
            "its turn has come"
        );
    }
}
