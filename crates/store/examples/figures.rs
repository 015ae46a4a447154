//! How fast accepting a turn and reading it back is, in the given PostgreSQL database, or on the disk that holds
//! the given directory (the temporary one when none is given):
//! `cargo run --release -p creel-store --example figures -- DIR | postgres://…`.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use creel_daemon::SystemClock;
use creel_domain::{AgentFiles, AgentSpec, Limits, Runtime, SessionName, TurnId};
use creel_store::{MasterKey, NewAgent, Org, Place};

const RUN: Duration = Duration::from_secs(3);

#[tokio::main]
async fn main() {
    let named = std::env::args().nth(1);
    let server = named.as_deref().filter(|named| named.starts_with("postgres"));
    let parent = match (&named, server) {
        (Some(named), None) => named.into(),
        _ => std::env::temp_dir(),
    };
    let home = tempfile::tempdir_in(parent).expect("a directory");
    let place = Place::parse(server, &home.path().join("figures.db")).expect("a place");
    let key = MasterKey::from_bytes([7; 32]);
    let store = place.open(key, Arc::new(SystemClock)).await.expect("opens");
    let org = store.org(store.platform().first_owner().await.expect("made").org);
    let spec = AgentSpec {
        runtime: Runtime::Lite,
        model: "demo/demo".parse().expect("a model"),
        files: AgentFiles::default(),
        limits: Limits::default_for(Runtime::Lite),
        rest: creel_domain::Rest::default(),
    };
    let name = "scout".parse().expect("a name");
    let agent = org.create_agent(NewAgent { name, spec }).await.expect("made").id;

    let accept = move |org: Org| async move {
        let turn = org
            .begin_turn(agent, SessionName::default(), "hello".into())
            .await;
        turn.expect("accepted").id
    };
    let turn = repeat("accept a turn", 1, &org, accept).await;
    repeat("accept a turn", 16, &org, accept).await;
    repeat("accept a turn", 64, &org, accept).await;
    let read = move |org: Org| async move { org.turn(agent, turn).await.expect("there").turn.id };
    repeat("read a turn", 1, &org, read).await;
    repeat("read a turn", 16, &org, read).await;
    store.close().await;
}

/// Runs `act` over and over from so many tasks, and prints what came of it.
async fn repeat<F>(
    what: &str,
    callers: usize,
    org: &Org,
    act: impl Fn(Org) -> F + Copy + Send + 'static,
) -> TurnId
where
    F: Future<Output = TurnId> + Send,
{
    let began = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            let org = org.clone();
            tokio::spawn(async move {
                let mut waits = Vec::new();
                loop {
                    let start = Instant::now();
                    let turn = act(org.clone()).await;
                    waits.push(start.elapsed());
                    if began.elapsed() > RUN {
                        return (turn, waits);
                    }
                }
            })
        })
        .collect();
    let (mut last, mut waits) = (None, Vec::new());
    for task in tasks {
        let (turn, waited) = task.await.expect("ran");
        last = Some(turn);
        waits.extend(waited);
    }
    let rate = waits.len() as f64 / began.elapsed().as_secs_f64();
    waits.sort_unstable();
    let at = |share: usize| waits[(waits.len() - 1) * share / 100];
    println!(
        "{what}, {callers:>2} at once: {rate:>7.0} /s, median {:?}, 99 % below {:?}",
        at(50),
        at(99)
    );
    last.expect("at least one")
}
