//! A bridge's way to ports, without a sandbox: a connection to one becomes a connection to whatever listens here.

use std::{io, path::Path};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UnixListener, UnixStream},
    task::JoinHandle,
};

/// Serves `bridge.sock` in a directory until it is dropped. Ports are those of this host.
#[derive(Debug)]
pub struct FakePorts(JoinHandle<()>);

impl FakePorts {
    pub fn serve(inbound: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(inbound)?;
        let listener = UnixListener::bind(inbound.join("bridge.sock"))?;
        Ok(Self(tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(connect(stream));
            }
        })))
    }
}

impl Drop for FakePorts {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn connect(mut outer: UnixStream) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(outer.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head);
    let port = head
        .strip_prefix("GET /v1/ports/")
        .and_then(|rest| rest.split(' ').next())
        .and_then(|port| port.parse::<u16>().ok())
        .ok_or(io::ErrorKind::InvalidData)?;
    let Ok(mut inner) = TcpStream::connect(("127.0.0.1", port)).await else {
        let body = r#"{"code":"not_found","message":"nothing listens"}"#;
        let refusal = format!(
            "HTTP/1.1 404 Not Found\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        return outer.write_all(refusal.as_bytes()).await;
    };
    inner.set_nodelay(true)?;
    let answer = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: creel-port\r\n\r\n";
    outer.write_all(answer).await?;
    tokio::io::copy_bidirectional(&mut outer, &mut inner).await?;
    Ok(())
}
