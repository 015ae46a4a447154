//! `kill -9` of one part after another in the middle of a turn.

use creel_api::{Role, TurnState};
use creel_domain::{Runtime, TurnEvent};
use creel_testkit::rounds;
use creel_tests::{Heard, Part, Platform};
use futures_util::StreamExt as _;

/// What is killed; none is the parent of all.
async fn after_a_kill(platform: &mut Platform, round: usize, part: Option<Part>) {
    let file = format!("before-{round}.txt");
    platform
        .say("scout", &format!("@write {file} kept {round}"))
        .await;

    let mut turn = platform.begin("scout", "@slow 60").await;
    let mut begun = Vec::new();
    while !begun.iter().any(|event| matches!(event, TurnEvent::Text { .. })) {
        begun.push(turn.next().await.expect("it goes on").expect("it holds").event);
    }
    match part {
        Some(part) => platform.kill(part).await,
        None => platform.crash_and_start_again(),
    }
    // Whatever died, the turn goes on and comes to its end.
    let heard = Heard::of(turn).await;
    assert!(
        heard.done().is_some_and(|text| text.trim_end().ends_with("w59")),
        "{part:?}: {heard:?}\n{}",
        platform.logs()
    );

    platform.running("scout").await;
    let after = platform.say("scout", &format!("@exec cat {file}")).await;
    assert_eq!(
        after.state,
        TurnState::Done,
        "{part:?}: {after:?}\n{}",
        platform.logs()
    );
    assert!(
        after.text.contains(&format!("kept {round}")),
        "{part:?}: {after:?}"
    );

    let history = platform.history("scout").await;
    let mine = history
        .iter()
        .filter(|message| message.role == Role::User)
        .count();
    assert_eq!(
        mine,
        3 * (round + 1),
        "{part:?}: every message once: {history:#?}"
    );
    assert!(
        history
            .iter()
            .all(|message| message.state != Some(TurnState::Running)),
        "{part:?}: every turn ended: {history:#?}"
    );
}

async fn survives(runtime: Runtime, parts: &[Option<Part>]) {
    survives_on(Platform::start().await, runtime, parts).await;
}

async fn survives_on(platform: Option<Platform>, runtime: Runtime, parts: &[Option<Part>]) {
    let Some(mut platform) = platform else { return };
    platform.agent("scout", runtime).await;
    for (round, part) in parts.repeat(rounds(1, 20)).iter().enumerate() {
        after_a_kill(&mut platform, round, *part).await;
    }
    platform.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn lite_is_there_again_after_every_kill() {
    let parts = [Part::Control, Part::Edge, Part::Supervisor, Part::Bridge].map(Some);
    survives(Runtime::Lite, &[&parts[..], &[None]].concat()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn openclaw_is_there_again_after_every_kill() {
    let parts = [Part::Openclaw, Part::Control, Part::Supervisor, Part::Bridge].map(Some);
    survives(Runtime::Openclaw, &[&parts[..], &[None]].concat()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_its_state_in_postgres() {
    let platform = Platform::start_on_postgres().await;
    let database = platform.as_ref().and_then(Platform::database).cloned();
    survives_on(platform, Runtime::Lite, &[Some(Part::Control), None]).await;
    if let Some(database) = database {
        let turns = database.ask("SELECT status, count(*) FROM turns GROUP BY status");
        assert_eq!(turns, "done|6", "it was there that everything was kept");
    }
}
