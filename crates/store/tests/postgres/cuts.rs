//! Connections that are cut at the worst moment, by a proxy that reads along.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use creel_daemon::SystemClock;
use creel_store::{Address, Error, Store};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
};

use crate::world::{World, key, new_agent};

/// Where PostgreSQL's socket is in its directory.
const SOCKET: &str = ".s.PGSQL.5432";

/// Passes everything on, and cuts a connection whose client says `word`, as long as there are cuts to make.
async fn cut_at(home: &Path, server: String, word: &'static [u8], pass_on: bool, cuts: Arc<AtomicUsize>) {
    let listener = UnixListener::bind(home.join(SOCKET)).expect("a socket");
    loop {
        let (client, _) = listener.accept().await.expect("a client");
        let upstream = UnixStream::connect(format!("{server}/{SOCKET}"))
            .await
            .expect("the server");
        let cuts = Arc::clone(&cuts);
        tokio::spawn(async move {
            let ((mut from, mut to), (mut back, mut answer)) = (client.into_split(), upstream.into_split());
            let down = tokio::spawn(async move { tokio::io::copy(&mut back, &mut to).await });
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(read @ 1..) = from.read(&mut buffer).await {
                let said = &buffer[..read];
                let hit = said.windows(word.len()).any(|window| window == word);
                let less_one = |left: usize| left.checked_sub(1);
                if hit
                    && cuts
                        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less_one)
                        .is_ok()
                {
                    down.abort();
                    let _ = down.await;
                    if pass_on {
                        let _ = answer.write_all(said).await;
                        // The server does as it was told before it notices that nobody is there.
                        let _ = answer.shutdown().await;
                    }
                    return;
                }
                if answer.write_all(said).await.is_err() {
                    return;
                }
            }
        });
    }
}

/// A store behind such a proxy.
async fn behind(
    world: &World,
    word: &'static [u8],
    pass_on: bool,
) -> (Store, Arc<AtomicUsize>, tempfile::TempDir) {
    let home = tempfile::tempdir().expect("a directory");
    let address = world.engine.0.address();
    let server = address
        .split("host=")
        .nth(1)
        .and_then(|rest| rest.split('&').next())
        .expect("a host");
    let cuts = Arc::new(AtomicUsize::new(0));
    let (own, server_home, counter) = (home.path().to_owned(), server.to_owned(), Arc::clone(&cuts));
    tokio::spawn(async move { cut_at(&own, server_home, word, pass_on, counter).await });
    let through = address.replace(server, &home.path().display().to_string());
    // The proxy listens a moment after it was started.
    while !home.path().join(SOCKET).exists() {
        tokio::task::yield_now().await;
    }
    let address = Address::parse(&through).expect("an address");
    let store = Store::connect(address, key(), Arc::new(SystemClock))
        .await
        .expect("opens");
    (store, cuts, home)
}

#[tokio::test]
async fn a_transaction_that_is_cut_before_its_end_is_done_once() {
    let world = World::new().await;
    let (store, cuts, _home) = behind(&world, b"BEGIN", false).await;
    let org = store.org(world.org);
    for (round, name) in ["a", "b", "c"].into_iter().enumerate() {
        cuts.store(2, Ordering::SeqCst);
        org.create_agent(new_agent(name)).await.expect("tried again");
        cuts.store(2, Ordering::SeqCst);
        assert_eq!(org.agents(None, 9).await.expect("tried again").len(), round + 1);
    }
    assert_eq!(org.last_event().await.expect("a number"), 3, "each was done once");
    cuts.store(usize::MAX, Ordering::SeqCst);
    let error = org
        .create_agent(new_agent("d"))
        .await
        .expect_err("cut again and again");
    assert!(matches!(error, Error::Unreachable(_)), "{error:?}");
    assert!(matches!(org.agents(None, 9).await, Err(Error::Unreachable(_))));
    assert_eq!(world.org().agents(None, 9).await.expect("a list").len(), 3);
}

#[tokio::test]
async fn a_commit_that_nobody_answers_is_not_tried_again_and_not_called_done() {
    for pass_on in [false, true] {
        let world = World::new().await;
        let (store, cuts, _home) = behind(&world, b"COMMIT\0", pass_on).await;
        cuts.store(1, Ordering::SeqCst);
        let error = store
            .org(world.org)
            .create_agent(new_agent("scout"))
            .await
            .expect_err("cut");
        assert!(matches!(error, Error::Unsettled(_)), "{error:?}");
        // Done or not, it is whole: an agent and its event, or neither. The next write waits for the server to
        // have decided.
        world.agent("other").await;
        let made = usize::from(pass_on) + 1;
        assert_eq!(world.org().agents(None, 9).await.expect("a list").len(), made);
        assert_eq!(world.org().last_event().await.expect("a number"), made as u64);
        store
            .org(world.org)
            .create_agent(new_agent("later"))
            .await
            .expect("a new connection");
    }
}
