//! What flows: bodies of any size, events, WebSockets, trailers, ends of all kinds.

use std::{convert::Infallible, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, WebSocketUpgrade, ws::Message},
    routing::{get, post},
};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_tungstenite::tungstenite::{self, client::IntoClientRequest as _};

use crate::world::{Mood, World, bare, behind, status};

const GIB: usize = 1 << 30;
const PIECE: usize = 64 * 1024;

fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("readable");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .expect("there");
    line.split_whitespace()
        .nth(1)
        .and_then(|kib| kib.parse().ok())
        .expect("a number")
}

fn bytes(count: usize) -> impl futures_util::Stream<Item = Result<Bytes, Infallible>> {
    let piece = Bytes::from(vec![0x5a; PIECE]);
    futures_util::stream::iter((0..count / PIECE).map(move |_| Ok(piece.clone())))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gibibyte_passes_each_way_and_nothing_is_kept() {
    let counts = post(async |request: Request| {
        let mut pieces = request.into_body().into_data_stream();
        let mut count = 0_usize;
        while let Some(piece) = pieces.next().await {
            let piece = piece.expect("whole");
            assert!(piece.iter().all(|byte| *byte == 0x5a));
            count += piece.len();
        }
        count.to_string()
    });
    let gives = get(async || Body::from_stream(bytes(GIB)));
    let world = World::new(Router::new()).await;
    let port = behind(Router::new().route("/up", counts).route("/down", gives)).await;
    world.control.say("scout", Mood::Ready(port));
    let before = resident_kib();
    let mut stream = world.connect().await;
    let head = format!(
        "POST /up HTTP/1.1\r\nhost: scout.agents.test\r\ncontent-length: {GIB}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    let piece = vec![0x5a; PIECE];
    for _ in 0..GIB / PIECE {
        stream.write_all(&piece).await.expect("sent");
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.ends_with(&GIB.to_string()), "{answer}");
    let mut stream = world.connect().await;
    let head = "GET /down HTTP/1.0\r\nhost: scout.agents.test\r\n\r\n";
    stream.write_all(head.as_bytes()).await.expect("sent");
    let (mut count, mut buffer) = (0, vec![0; PIECE]);
    loop {
        match stream.read(&mut buffer).await.expect("read") {
            0 => break,
            read => count += read,
        }
    }
    assert!((GIB..GIB + 1024).contains(&count), "{count}");
    let grown = resident_kib() - before;
    assert!(grown < 64 * 1024, "{grown} KiB more were needed");
    world.end().await;
}

async fn websocket(
    address: std::net::SocketAddr,
    host: &str,
) -> tokio_tungstenite::WebSocketStream<TcpStream> {
    let stream = TcpStream::connect(address).await.expect("connected");
    let request = format!("ws://{host}/ws")
        .into_client_request()
        .expect("a request");
    let (socket, _) = tokio_tungstenite::client_async(request, stream)
        .await
        .expect("upgraded");
    socket
}

fn echo() -> Router {
    let ws = get(async |upgrade: WebSocketUpgrade| {
        upgrade.on_upgrade(async |mut socket| {
            while let Some(Ok(message)) = socket.recv().await {
                if matches!(message, Message::Text(_) | Message::Binary(_))
                    && socket.send(message).await.is_err()
                {
                    return;
                }
            }
        })
    });
    Router::new().route("/ws", ws)
}

#[tokio::test]
async fn a_websocket_echoes_as_it_does_directly() {
    let world = World::new(Router::new()).await;
    let port = behind(echo()).await;
    world.control.say("scout", Mood::Ready(port));
    let mut through = websocket(world.address, "scout.agents.test").await;
    let mut direct = websocket(([127, 0, 0, 1], port).into(), "scout.agents.test").await;
    for size in [0, 1, 125, 126, 65_535, 65_536, 1 << 20] {
        let message = tungstenite::Message::binary(vec![size as u8; size]);
        for socket in [&mut through, &mut direct] {
            socket.send(message.clone()).await.expect("sent");
        }
        let (one, other) = tokio::join!(through.next(), direct.next());
        assert_eq!(
            one.expect("one").expect("good"),
            other.expect("one").expect("good")
        );
    }
    through.close(None).await.expect("closed");
    world.end().await;
}

#[tokio::test]
async fn a_websocket_ends_when_who_came_may_no_longer() {
    let world = World::new(Router::new()).await;
    world.control.say("scout", Mood::Ready(behind(echo()).await));
    let mut socket = websocket(world.address, "scout.agents.test").await;
    socket.send("hello".into()).await.expect("sent");
    assert_eq!(socket.next().await.expect("one").expect("good"), "hello".into());
    world.control.say("scout", Mood::Refused(crate::world::failed()));
    let end = tokio::time::timeout(Duration::from_secs(10), socket.next()).await;
    assert!(!matches!(
        end.expect("an end"),
        Some(Ok(tungstenite::Message::Text(_)))
    ));
    world.end().await;
}

#[tokio::test]
async fn events_come_one_by_one_and_byte_for_byte() {
    let (listener, port) = bare().await;
    let world = World::new(Router::new()).await;
    world.control.say("scout", Mood::Ready(port));
    let mut client = world.connect().await;
    let ask = b"GET /events HTTP/1.1\r\nhost: scout.agents.test\r\naccept: text/event-stream\r\n\r\n";
    client.write_all(ask).await.expect("sent");
    let (mut server, _) = listener.accept().await.expect("accepted");
    let mut head = vec![0; 4096];
    let read = server.read(&mut head).await.expect("read");
    assert!(head[..read].starts_with(b"GET /events"));
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    server.write_all(head.as_bytes()).await.expect("sent");
    let mut seen = Vec::new();
    for number in 0..20 {
        let event = format!("id: {number}\ndata: \u{fffd}\r\n\n");
        let chunk = format!("{:x}\r\n{event}\r\n", event.len());
        server.write_all(chunk.as_bytes()).await.expect("sent");
        let before = seen.len();
        // Each is there before the next one is written.
        while !String::from_utf8_lossy(&seen[before..]).contains(&format!("id: {number}\n")) {
            let mut piece = vec![0; 4096];
            let read = client.read(&mut piece).await.expect("read");
            assert!(read > 0, "it ended early");
            seen.extend_from_slice(&piece[..read]);
        }
    }
    drop(client);
    // Whoever hangs up is not waited for: the server behind hears of it.
    let gone = tokio::time::timeout(Duration::from_secs(10), server.read(&mut [0; 16])).await;
    assert!(matches!(gone.expect("it hears of it"), Ok(0) | Err(_)));
    world.end().await;
}

#[tokio::test]
async fn trailers_pass() {
    let (listener, port) = bare().await;
    let world = World::new(Router::new()).await;
    world.control.say("scout", Mood::Ready(port));
    let serve = async {
        let (mut server, _) = listener.accept().await.expect("accepted");
        let mut seen = Vec::new();
        while !seen.ends_with(b"0\r\nx-sum: 1\r\n\r\n") {
            seen.push(server.read_u8().await.expect("more"));
        }
        let answer = "HTTP/1.1 200 OK\r\ntrailer: x-end\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-end: 2\r\n\r\n";
        server.write_all(answer.as_bytes()).await.expect("sent");
        String::from_utf8_lossy(&seen).into_owned()
    };
    let ask = async {
        let mut client = world.connect().await;
        let request = "POST / HTTP/1.1\r\nhost: scout.agents.test\r\nte: trailers\r\ntrailer: x-sum\r\n\
            transfer-encoding: chunked\r\nconnection: close\r\n\r\n2\r\nhi\r\n0\r\nx-sum: 1\r\n\r\n";
        client.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.expect("an answer");
        answer
    };
    let (seen, answer) = tokio::join!(serve, ask);
    assert!(seen.contains("te: trailers\r\n"), "{seen}");
    assert!(
        status(&answer) == 200 && answer.ends_with("2\r\nok\r\n0\r\nx-end: 2\r\n\r\n"),
        "{answer}"
    );
    world.end().await;
}

#[tokio::test]
async fn a_tunnel_passes_half_closes_on() {
    let (listener, port) = bare().await;
    let world = World::new(Router::new()).await;
    world.control.say("scout", Mood::Ready(port));
    let serve = async {
        let (mut server, _) = listener.accept().await.expect("accepted");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(server.read_u8().await.expect("more"));
        }
        let switch = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: lines\r\n\r\n";
        server.write_all(switch.as_bytes()).await.expect("sent");
        let mut asked = String::new();
        server
            .read_to_string(&mut asked)
            .await
            .expect("the end of what was asked");
        server
            .write_all(asked.to_uppercase().as_bytes())
            .await
            .expect("still open");
    };
    let ask = async {
        let mut client = world.connect().await;
        let request =
            "GET / HTTP/1.1\r\nhost: scout.agents.test\r\nconnection: upgrade\r\nupgrade: lines\r\n\r\n";
        client.write_all(request.as_bytes()).await.expect("sent");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.read_u8().await.expect("more"));
        }
        client.write_all(b"hello").await.expect("sent");
        client.shutdown().await.expect("half closed");
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.expect("an answer");
        assert_eq!(answer, "HELLO");
    };
    tokio::join!(serve, ask);
    world.end().await;
}

#[tokio::test]
async fn http2_is_spoken_where_the_client_begins_with_it() {
    let world = World::new(Router::new()).await;
    let router =
        Router::new().fallback(async |request: Request| format!("{:?}", request.headers().get("host")));
    world.control.say("scout", Mood::Ready(behind(router).await));
    let io = hyper_util::rt::TokioIo::new(world.connect().await);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (sender, connection) = hyper::client::conn::http2::handshake(executor, io)
        .await
        .expect("spoken");
    tokio::spawn(connection);
    let asks = (0..50).map(|_| {
        let mut sender = sender.clone();
        async move {
            let request =
                http::Request::get("http://scout.agents.test/").body(http_body_util::Empty::<Bytes>::new());
            let answer = sender
                .send_request(request.expect("a request"))
                .await
                .expect("an answer");
            assert_eq!(
                (answer.status(), answer.version()),
                (http::StatusCode::OK, http::Version::HTTP_2)
            );
            let body = http_body_util::BodyExt::collect(answer.into_body())
                .await
                .expect("whole")
                .to_bytes();
            assert_eq!(body, "Some(\"scout.agents.test\")");
        }
    });
    futures_util::future::join_all(asks).await;
    world.end().await;
}
