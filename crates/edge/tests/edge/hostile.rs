//! Requests that are meant to be understood in two ways, and clients that mean no good.

use std::time::Duration;

use axum::Router;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};

use crate::world::{Mood, World, bare, status};

/// What a server behind gets to see, byte for byte, and what the client is answered.
async fn seen_behind(world: &World, listener: &tokio::net::TcpListener, bytes: &[u8]) -> (Vec<u8>, String) {
    const QUIET: Duration = Duration::from_millis(250);
    let serve = async {
        let mut seen = Vec::new();
        while let Ok(Ok((mut server, _))) = timeout(QUIET, listener.accept()).await {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(Ok(read)) = timeout(QUIET, server.read(&mut buffer)).await {
                if read == 0 {
                    break;
                }
                seen.extend_from_slice(&buffer[..read]);
                let _ = server
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                    .await;
            }
        }
        seen
    };
    let ask = async {
        let mut client = world.connect().await;
        let _ = client.write_all(bytes).await;
        let mut answer = vec![0; 64 * 1024];
        let mut there = 0;
        while let Ok(Ok(read)) = timeout(QUIET * 2, client.read(&mut answer[there..])).await {
            if read == 0 {
                break;
            }
            there += read;
        }
        String::from_utf8_lossy(&answer[..there]).into_owned()
    };
    tokio::join!(serve, ask)
}

/// The requests in a stream, read by the strictest rules: of each its target. Whatever could be read in two ways is none.
fn requests(stream: &[u8]) -> Option<Vec<String>> {
    let mut rest = std::str::from_utf8(stream).ok()?;
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (head, body) = rest.split_once("\r\n\r\n")?;
        let mut lines = head.split("\r\n");
        found.push(lines.next()?.split(' ').nth(1)?.to_owned());
        let framing: Vec<_> = lines
            .map(|line| line.split_once(": "))
            .collect::<Option<Vec<_>>>()?
            .into_iter()
            .filter(|(name, _)| matches!(*name, "content-length" | "transfer-encoding"))
            .collect();
        rest = match framing.as_slice() {
            [] => body,
            [("content-length", length)] if length.bytes().all(|byte| byte.is_ascii_digit()) => {
                body.get(length.parse().ok()?..)?
            }
            [("transfer-encoding", "chunked")] => {
                let mut body = body;
                loop {
                    let (size, after) = body.split_once("\r\n")?;
                    let size = usize::from_str_radix(size, 16).ok()?;
                    body = after.get(size..)?.strip_prefix("\r\n")?;
                    if size == 0 {
                        break body;
                    }
                }
            }
            _ => return None,
        };
    }
    Some(found)
}

#[tokio::test]
async fn no_request_hides_in_another() {
    let (listener, port) = bare().await;
    let world = World::new(Router::new()).await;
    world.control.say("scout", Mood::Ready(port));
    let hidden = "GET /hidden HTTP/1.1\r\nhost: scout.agents.test\r\n\r\n";
    let post = "POST / HTTP/1.1\r\nhost: scout.agents.test\r\n";
    let size = hidden.len();
    for (name, request) in [
        (
            "length and chunks",
            format!(
                "{post}content-length: {}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{hidden}",
                size + 5
            ),
        ),
        (
            "chunks and length",
            format!(
                "{post}transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n{size:x}\r\n{hidden}\r\n0\r\n\r\n"
            ),
        ),
        (
            "two lengths",
            format!("{post}content-length: 0\r\ncontent-length: {size}\r\n\r\n{hidden}"),
        ),
        (
            "a list of lengths",
            format!("{post}content-length: 0, {size}\r\n\r\n{hidden}"),
        ),
        (
            "a signed length",
            format!("{post}content-length: +{size}\r\n\r\n{hidden}"),
        ),
        (
            "chunks twice",
            format!(
                "{post}transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n{hidden}"
            ),
        ),
        (
            "chunks in disguise",
            format!("{post}transfer-encoding: xchunked\r\n\r\n0\r\n\r\n{hidden}"),
        ),
        (
            "chunks by tab",
            format!("{post}transfer-encoding:\tchunked\r\n\r\n0\r\n\r\n{hidden}"),
        ),
        (
            "a space before the colon",
            format!("{post}transfer-encoding : chunked\r\ncontent-length: {size}\r\n\r\n{hidden}"),
        ),
        (
            "a folded line",
            format!("{post}x: y\r\n transfer-encoding: chunked\r\ncontent-length: {size}\r\n\r\n{hidden}"),
        ),
        (
            "a bare return",
            format!("{post}x: y\rtransfer-encoding: chunked\r\ncontent-length: {size}\r\n\r\n{hidden}"),
        ),
        (
            "a chunk's extension",
            format!("{post}transfer-encoding: chunked\r\n\r\n1;x=\n\nGET\r\na\r\n0\r\n\r\n{hidden}"),
        ),
        (
            "an upgrade to HTTP/2",
            format!(
                "GET / HTTP/1.1\r\nhost: scout.agents.test\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n\r\n{hidden}"
            ),
        ),
    ] {
        let (seen, answer) = seen_behind(&world, &listener, request.as_bytes()).await;
        let shown = String::from_utf8_lossy(&seen);
        let behind =
            requests(&seen).unwrap_or_else(|| panic!("{name}: it can be read in two ways:\n{shown}"));
        // Each request that goes on is one that is answered; none is made of another's body.
        let answers = answer.matches("HTTP/1.1 ").count();
        assert!(
            behind.len() <= answers,
            "{name}: {behind:?}, {answers} answers\n{shown}\n{answer}"
        );
        if behind.iter().any(|path| path == "/hidden") {
            let first = answer.split("\r\n").next().unwrap_or_default();
            assert!(
                first.contains("200") && behind.len() == 2,
                "{name}: {behind:?}\n{answer}"
            );
        }
    }
    world.end().await;
}

#[tokio::test]
async fn a_request_that_names_two_hosts_is_refused() {
    let world = World::new(Router::new()).await;
    for request in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a.agents.test\r\nhost: b.agents.test\r\n\r\n",
        "GET http://a.agents.test/ HTTP/1.1\r\nhost: b.agents.test\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a.agents.test@b.agents.test\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a.agents.test, b\r\n\r\n",
        "GET / HTTP/1.1\r\nhost:\r\n\r\n",
    ] {
        let request = request.replacen("\r\n\r\n", "\r\nconnection: close\r\n\r\n", 1);
        assert_eq!(status(&world.raw(&request).await), 400, "{request}");
    }
    for method in ["CONNECT a.agents.test:80", "TRACE /"] {
        let request = format!("{method} HTTP/1.1\r\nhost: a.agents.test:80\r\nconnection: close\r\n\r\n");
        assert_eq!(status(&world.raw(&request).await), 405, "{method}");
    }
    world.end().await;
}

#[tokio::test]
async fn header_bombs_are_refused() {
    let world = World::new(Router::new()).await;
    let many: String = (0..200).map(|number| format!("x-{number}: 1\r\n")).collect();
    let long = format!("x: {}\r\n", "a".repeat(1 << 20));
    for lines in [many, long] {
        let answer = world.get("creel.test", "/", &lines).await;
        assert!(answer.is_empty() || status(&answer) == 431, "{answer}");
    }
    let path = format!("/{}", "a".repeat(1 << 20));
    let answer = world.get("creel.test", &path, "").await;
    assert!(
        answer.is_empty() || matches!(status(&answer), 414 | 431),
        "{answer}"
    );
    world.end().await;
}

#[tokio::test]
async fn an_agent_that_answers_nonsense_is_the_agents_failure() {
    let (listener, port) = bare().await;
    let world = World::new(Router::new()).await;
    world.control.say("scout", Mood::Ready(port));
    for nonsense in [
        "",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
    ] {
        let serve = async {
            let (mut server, _) = listener.accept().await.expect("accepted");
            let _ = server.read(&mut [0; 4096]).await;
            let _ = server.write_all(nonsense.as_bytes()).await;
        };
        let ask = world.get("scout.agents.test", "/", "");
        let ((), answer) = tokio::join!(serve, ask);
        assert!(
            status(&answer) == 502 && answer.contains("agent_unreachable"),
            "{nonsense}: {answer}"
        );
    }
    world.end().await;
}

#[tokio::test]
async fn nothing_is_served_to_an_agent_that_lies_about_its_socket() {
    let world = World::new(Router::new()).await;
    world.control.say("scout", Mood::Ready(1));
    let layout = world.layout();
    let inbound = layout.inbound(creel_domain::SandboxId::from_uuid(uuid::Uuid::from_u128(7)));
    let socket = inbound.join("bridge.sock");
    std::fs::remove_file(&socket).expect("removed");
    std::os::unix::fs::symlink(layout.control_socket(), &socket).expect("linked");
    let answer = world.get("scout.agents.test", "/", "").await;
    assert_eq!(status(&answer), 502, "{answer}");
    world.end().await;
}
