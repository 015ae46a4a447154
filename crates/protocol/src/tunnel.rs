//! Bytes both ways between two connections, so that nothing which one side said is lost because the other hung up.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// What nobody takes any more is thrown away for so long: a connection closed with something unread is reset, and its
/// other end may then lose what it has not read yet.
const LINGER: Duration = Duration::from_secs(2);
/// One side takes nothing more, and may still have something to say.
const LAST_WORDS: Duration = Duration::from_secs(30);

/// A connection broke.
struct Lost;

/// Copies until both sides are done; a side that is done for one direction is told so at the other end, and the other
/// direction goes on. Each direction holds `buffer` bytes at most.
pub async fn tunnel(
    a: impl AsyncRead + AsyncWrite + Unpin,
    b: impl AsyncRead + AsyncWrite + Unpin,
    buffer: usize,
) {
    let ((mut a_reads, mut a_writes), (mut b_reads, mut b_writes)) =
        (tokio::io::split(a), tokio::io::split(b));
    let forth = one_way(&mut a_reads, &mut b_writes, buffer);
    let back = one_way(&mut b_reads, &mut a_writes, buffer);
    if tokio::try_join!(forth, back).is_err() {
        // One is gone, and with it whoever would hear the other.
        let _ = tokio::join!(a_writes.shutdown(), b_writes.shutdown());
        tokio::join!(
            thrown_away(&mut a_reads, LINGER),
            thrown_away(&mut b_reads, LINGER)
        );
    }
}

async fn one_way(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    buffer: usize,
) -> Result<(), Lost> {
    let mut bytes = vec![0; buffer];
    loop {
        let count = from.read(&mut bytes).await.map_err(|_| Lost)?;
        if count == 0 {
            // That it is gone already is for the other direction to find.
            let _ = to.shutdown().await;
            return Ok(());
        }
        let written = async {
            to.write_all(&bytes[..count]).await?;
            to.flush().await
        };
        if written.await.is_err() {
            thrown_away(from, LAST_WORDS).await;
            return Ok(());
        }
    }
}

/// Until it is done, or for so long.
async fn thrown_away(from: &mut (impl AsyncRead + Unpin), most: Duration) {
    let mut bytes = vec![0; 4096];
    let all = async { while matches!(from.read(&mut bytes).await, Ok(count) if count > 0) {} };
    let _ = tokio::time::timeout(most, all).await;
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream, UnixStream};

    use super::*;

    async fn tcp() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let near = TcpStream::connect(listener.local_addr().expect("an address"));
        let (near, far) = tokio::join!(near, listener.accept());
        (near.expect("connected"), far.expect("accepted").0)
    }

    #[tokio::test]
    async fn half_closes_pass() {
        let (mut client, ours) = tcp().await;
        let (theirs, mut server) = UnixStream::pair().expect("a pair");
        let tunnel = tokio::spawn(tunnel(ours, theirs, 1024));
        client.write_all(b"ask").await.expect("written");
        client.shutdown().await.expect("half closed");
        let mut seen = Vec::new();
        server
            .read_to_end(&mut seen)
            .await
            .expect("the half-close arrives");
        assert_eq!(seen, b"ask");
        server.write_all(b"answer").await.expect("the other half is open");
        drop(server);
        seen.clear();
        client.read_to_end(&mut seen).await.expect("read");
        assert_eq!(seen, b"answer");
        tunnel.await.expect("it ends");
    }

    /// A server that has said all and goes, with something of the client's unread or still on its way.
    #[tokio::test]
    async fn whoever_hangs_up_is_heard_to_the_end() {
        const LAST: usize = 1 << 20;
        for round in 0..50 {
            let (mut client, ours) = tcp().await;
            let (theirs, mut server) = UnixStream::pair().expect("a pair");
            let tunnel = tokio::spawn(tunnel(ours, theirs, 1024));
            client.write_all(b"ask").await.expect("written");
            let (mut reads, mut writes) = client.into_split();
            let talking = tokio::spawn(async move {
                // Until nobody is there any more.
                while writes.write_all(&[1; 512]).await.is_ok() {
                    tokio::task::yield_now().await;
                }
            });
            let serving = tokio::spawn(async move {
                let mut first = [0; 3];
                server.read_exact(&mut first).await.expect("read");
                server.write_all(&vec![7; LAST]).await.expect("written");
            });
            let mut seen = Vec::new();
            reads.read_to_end(&mut seen).await.expect("to the end");
            assert_eq!(seen.len(), LAST, "{round}");
            serving.await.expect("served");
            talking.abort();
            tunnel.await.expect("it ends");
        }
    }

    #[tokio::test]
    async fn a_client_that_is_gone_is_gone_for_the_server() {
        let (client, ours) = tcp().await;
        let (theirs, mut server) = UnixStream::pair().expect("a pair");
        let tunnel = tokio::spawn(tunnel(ours, theirs, 1024));
        drop(client);
        let mut seen = Vec::new();
        server.read_to_end(&mut seen).await.expect("the end");
        drop(server);
        tunnel.await.expect("it ends");
    }
}
