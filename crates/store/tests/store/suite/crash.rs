//! Killed in the middle of writing, again and again: what was acknowledged is there, and nothing is half.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    sync::Arc,
};

use crate::engine::Engine;
use crate::world::{key, new_agent, session};
use creel_daemon::SystemClock;

const PLACE: &str = "CREEL_STORE_CRASH_PLACE";

/// Not a test by itself: what [`acknowledged_turns_survive_kill_9`] starts and kills.
#[tokio::test]
async fn writes_until_it_is_killed() {
    let Ok(place) = std::env::var(PLACE) else { return };
    let store = Engine::open_at(&place, key(), Arc::new(SystemClock))
        .await
        .expect("opens");
    let owner = store.platform().first_owner().await.expect("made");
    let org = store.org(owner.org);
    let agent = match org.agent_by_name("scout".parse().expect("a name")).await {
        Ok(agent) => agent,
        Err(_) => org.create_agent(new_agent("scout")).await.expect("made"),
    };
    // Several at once, so that batches are killed and not only single writes.
    let writers: Vec<_> = (0..4)
        .map(|_| {
            let (org, agent) = (org.clone(), agent.id);
            tokio::spawn(async move {
                loop {
                    let turn = org
                        .begin_turn(agent, session(), "x".repeat(2000))
                        .await
                        .expect("accepted");
                    println!("accepted {}", turn.id);
                }
            })
        })
        .collect();
    // None of them ends by itself: waiting for one is waiting for the kill.
    let first = writers.into_iter().next().expect("there are writers");
    first.await.expect("never ends");
}

#[tokio::test]
async fn acknowledged_turns_survive_kill_9() {
    let engine = Engine::new();
    let mut accepted = Vec::new();
    let rounds = creel_testkit::rounds(12, 500);
    for round in 0..rounds {
        let mut child = Command::new(std::env::current_exe().expect("ourselves"))
            .args([
                "--exact",
                "suite::crash::writes_until_it_is_killed",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(PLACE, engine.place())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        // Another moment in each round, in a fixed order; what it still wrote before it died is read too.
        let until = 3 + (round * 7) % 23;
        let mut killed = false;
        for line in lines {
            let Ok(line) = line else { break };
            let Some((_, id)) = line.split_once("accepted ") else {
                continue;
            };
            if let Ok(id) = id.parse::<creel_domain::TurnId>() {
                accepted.push(id);
            }
            if accepted.len() % 50 > until && !killed {
                child.kill().expect("killed");
                killed = true;
            }
        }
        child.wait().expect("reaped");

        let store = Engine::open_at(&engine.place(), key(), Arc::new(SystemClock))
            .await
            .expect("opens after a kill");
        let org = store.org(store.platform().first_owner().await.expect("found").org);
        let kept = store.platform().running_turns().await.expect("a list");
        for id in &accepted {
            assert!(
                kept.iter().any(|turn| turn.turn.id == *id),
                "round {round}: {id} is lost"
            );
        }
        // A turn and its event are one: as many of the one as of the other, numbered without gaps.
        let events = org.events(0, 100_000).await.expect("events");
        let started = events.iter().filter(|event| event.kind == "turn.started").count();
        assert_eq!(started, kept.len(), "round {round}");
        let numbers: Vec<_> = events.iter().map(|event| event.sequence).collect();
        assert_eq!(
            numbers,
            (1..=events.len() as u64).collect::<Vec<_>>(),
            "round {round}"
        );
        store.close().await;
    }
    assert!(
        accepted.len() >= rounds,
        "the children hardly wrote anything: {}",
        accepted.len()
    );
}
