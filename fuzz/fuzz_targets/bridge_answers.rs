//! A bridge is the guest's to replace. Whatever its socket says to control, control gets an answer or an
//! error, soon, and nothing else.
#![no_main]

use std::{cell::LazyCell, time::Duration};

use creel_protocol::{Bridge as _, BridgeClient, TurnRequest};
use futures_util::StreamExt as _;
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

thread_local! {
    static RUNTIME: LazyCell<tokio::runtime::Runtime> = LazyCell::new(|| {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
    });
    static PLACE: LazyCell<tempfile::TempDir> = LazyCell::new(|| tempfile::tempdir().expect("a directory"));
}

fuzz_target!(|bytes: (u8, Vec<u8>)| {
    let (what, mut answer) = bytes;
    // Most of the time what follows a good head.
    if what & 0x80 == 0 {
        let mut head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n".to_vec();
        head.append(&mut answer);
        answer = head;
    }
    let place = PLACE.with(|place| place.path().to_owned());
    RUNTIME.with(|runtime| {
        runtime.block_on(async {
            let socket = place.join("bridge.sock");
            let _ = std::fs::remove_file(&socket);
            let listener = tokio::net::UnixListener::bind(&socket).expect("a socket");
            let server = async {
                let Ok((mut stream, _)) = listener.accept().await else { return };
                let mut asked = [0; 4096];
                let _ = stream.read(&mut asked).await;
                let _ = stream.write_all(&answer).await;
                let _ = stream.shutdown().await;
            };
            let client = BridgeClient::new(&place);
            let ask = async {
                match what % 5 {
                    0 => drop(client.health().await),
                    1 => drop(client.sessions().await),
                    2 => drop(client.history("main".parse().expect("a name"), 10).await),
                    3 => drop(client.list("x".to_owned()).await),
                    _ => {
                        let turn = "trn_00000000000000000000000007".parse().expect("an id");
                        let request = TurnRequest {
                            session: "main".parse().expect("a name"),
                            message: "hi".to_owned(),
                            own_jobs: false,
                        };
                        if let Ok(mut events) = client.turn(turn, request, 0).await {
                            while let Some(Ok(_)) = events.next().await {}
                        }
                    }
                }
            };
            tokio::time::timeout(Duration::from_secs(5), async { tokio::join!(server, ask) })
                .await
                .expect("an answer or an error, soon");
        });
    });
});
