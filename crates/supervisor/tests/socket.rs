//! The contract over its socket, with the real client.

#[expect(dead_code, reason = "each test program uses a part of it")]
mod common;

use std::sync::Arc;

use common::{World, id, put, running, spec, until_gone, until_running};
use creel_daemon::{Peer, Shutdown, bind_unix, serve};
use creel_domain::{Generation, ImageName, Target};
use creel_protocol::{Supervisor, SupervisorClient, SupervisorError};
use creel_supervisor::{SERVE_OPTIONS, router};
use futures_util::StreamExt as _;
use tower::ServiceExt as _;

#[tokio::test]
async fn the_whole_contract_passes_through_the_socket() {
    let world = World::new();
    let service = world.service().await;
    let socket = world.options.layout.supervisor_socket();
    let listener = bind_unix(&socket, 0o660, None).expect("bound");
    let shutdown = Shutdown::new();
    let routes = router(Arc::new(service.handle()), world.options.control_uid);
    let server = tokio::spawn(serve(listener, routes, SERVE_OPTIONS, shutdown.clone()));
    let client = SupervisorClient::new(&socket);

    let mut large = spec();
    large.files.soul = "\u{1}".repeat(64 * 1024);
    put(&client, id(1), 1, running(&large)).await;
    let report = until_running(&client, id(1), 1).await;
    assert_eq!(client.list().await.expect("a list"), [report]);
    assert_eq!(
        client.put_target(id(1), Generation(0), Target::Gone).await,
        Err(SupervisorError::Stale { given: 0, newest: 1 })
    );
    assert_eq!(client.host().await.expect("a host").backend, "fake");
    let nobody = client.memory(id(77)).await.expect("nothing");
    assert_eq!(nobody, creel_protocol::SandboxMemory::default());
    assert_eq!(client.images().await.expect("images")[0].name, ImageName::Lite);
    client.build_image(ImageName::Lite).await.expect("it is there");
    let refused = client
        .build_image(ImageName::Openclaw)
        .await
        .expect_err("no such image");
    assert!(
        refused.to_string().contains("there is no image openclaw"),
        "{refused}"
    );
    let refused = client.remove_image(ImageName::Lite).await.expect_err("in use");
    assert!(
        matches!(refused, SupervisorError::ImageInUse { sandboxes: 1, .. }),
        "{refused}"
    );
    put(&client, id(1), 2, Target::Gone).await;
    until_gone(&service.handle(), id(1)).await;
    let gone = client.put_target(id(1), Generation(3), Target::Stopped).await;
    assert_eq!(gone, Err(SupervisorError::Gone { sandbox: id(1) }));

    let watch = client.watch().await.expect("a watch");
    service.stop().await;
    assert_eq!(watch.count().await, 0, "the watch ends with the supervisor");
    shutdown.begin();
    server.await.expect("ends");
}

#[tokio::test]
async fn strangers_and_bad_requests_are_refused() {
    let world = World::new();
    let service = world.service().await;
    let socket = world.data.path().join("s");
    let ask = async |uid_allowed: u32, request: &str| {
        let listener = bind_unix(&socket, 0o666, None).expect("bound");
        let shutdown = Shutdown::new();
        let routes = router(Arc::new(service.handle()), uid_allowed);
        let server = tokio::spawn(serve(listener, routes, SERVE_OPTIONS, shutdown.clone()));
        let answer = exchange(&socket, request).await;
        shutdown.begin();
        server.await.expect("ends");
        answer
    };
    let put = |body: &str| {
        format!(
            "PUT /v1/sandboxes/{}/target HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            id(1),
            body.len()
        )
    };
    let me = world.options.control_uid;
    for body in [
        "{",
        "[]",
        "{\"generation\":1}",
        "{\"generation\":-1,\"target\":{\"target\":\"gone\"}}",
        "{\"generation\":1,\"target\":{\"target\":\"gone\"},\"more\":1}",
    ] {
        let answer = ask(me, &put(body)).await;
        assert!(
            answer.starts_with("HTTP/1.1 400") && answer.contains("\"error\":\"invalid\""),
            "{body}: {answer}"
        );
    }
    let huge = put(&" ".repeat(3 << 20));
    let answer = ask(me, &huge).await;
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    let answer = ask(
        me,
        "GET /v1/images/../host HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    )
    .await;
    assert!(
        answer.starts_with("HTTP/1.1 404") || answer.starts_with("HTTP/1.1 405"),
        "{answer}"
    );
    service.stop().await;
}

#[tokio::test]
async fn only_root_and_the_account_of_control_may_speak() {
    let world = World::new();
    let service = world.service().await;
    let ask = async |peer: Option<Peer>| {
        let mut request = http::Request::get("/v1/host")
            .body(axum::body::Body::empty())
            .expect("a request");
        request.extensions_mut().extend(
            peer.map(|peer| {
                let mut extensions = http::Extensions::new();
                extensions.insert(peer);
                extensions
            })
            .unwrap_or_default(),
        );
        let routes = router(Arc::new(service.handle()), 700);
        routes
            .oneshot(request)
            .await
            .expect("an answer")
            .status()
            .as_u16()
    };
    let unix = |uid| {
        Some(Peer::Unix {
            uid,
            gid: 0,
            pid: None,
        })
    };
    assert_eq!(ask(unix(0)).await, 200);
    assert_eq!(ask(unix(700)).await, 200);
    assert_eq!(ask(unix(701)).await, 403);
    assert_eq!(ask(unix(0x7000_0000 + 1000)).await, 403);
    assert_eq!(ask(Some(Peer::Tcp(([127, 0, 0, 1], 9).into()))).await, 403);
    assert_eq!(ask(None).await, 403);
    service.stop().await;
}

async fn exchange(socket: &std::path::Path, request: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::UnixStream::connect(socket).await.expect("connected");
    // A server that refuses early may close before all was sent.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}
