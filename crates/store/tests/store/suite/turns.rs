//! Turns, sessions, and what is told of them.

use crate::world::{World, session};
use creel_domain::{ToolRecord, TurnFailure, TurnStatus};
use creel_store::Error;
use jiff::SignedDuration;

#[tokio::test]
async fn a_turn_ends_once_with_all_that_came_of_it() {
    let mut world = World::new().await;
    let agent = world.agent("scout").await;
    let turn = world
        .org()
        .begin_turn(agent.id, session(), "hello".into())
        .await
        .expect("accepted");
    world.reopen().await;
    let running = world.store.platform().running_turns().await.expect("a list");
    assert_eq!(
        running.iter().map(|it| &it.turn).collect::<Vec<_>>(),
        [&turn],
        "it outlives the process"
    );

    let tool = ToolRecord {
        name: "shell".into(),
        arguments: r#"{"command":"date"}"#.into(),
        output: None,
        ok: None,
    };
    let finished_at = turn.created_at + SignedDuration::from_secs(2);
    let failed = TurnStatus::Failed {
        failure: TurnFailure {
            code: "agent_failed".into(),
            message: "It broke.".into(),
        },
        finished_at,
    };
    let org = world.org();
    let first = org
        .finish_turn(turn.id, failed.clone(), "half an ans".into(), vec![tool.clone()])
        .await;
    assert!(first.expect("ended"));
    let late = TurnStatus::Done {
        text: "late".into(),
        finished_at,
    };
    let second = org.finish_turn(turn.id, late, String::new(), Vec::new()).await;
    assert!(!second.expect("no error"), "it had ended");

    let kept = org.turn(agent.id, turn.id).await.expect("there");
    assert_eq!(
        (kept.turn.status, kept.text.as_str(), kept.tools),
        (failed, "half an ans", vec![tool])
    );
    assert!(
        world
            .store
            .platform()
            .running_turns()
            .await
            .expect("a list")
            .is_empty()
    );
    let kinds: Vec<_> = org
        .events(0, 10)
        .await
        .expect("events")
        .into_iter()
        .map(|event| event.kind)
        .collect();
    assert_eq!(kinds, ["agent.created", "turn.started", "turn.finished"]);
}

#[tokio::test]
async fn a_message_for_nobody_is_not_accepted() {
    let world = World::new().await;
    let gone = world.agent("scout").await;
    let other = world
        .store
        .platform()
        .create_org("other".into())
        .await
        .expect("made")
        .0;
    let refused = world
        .store
        .org(other)
        .begin_turn(gone.id, session(), "hello".into())
        .await;
    assert!(matches!(refused, Err(Error::NotFound("agent"))));
    assert!(
        world
            .store
            .platform()
            .running_turns()
            .await
            .expect("a list")
            .is_empty()
    );
}

#[tokio::test]
async fn history_is_paged_by_session_and_sessions_are_counted() {
    let world = World::new().await;
    let (org, agent) = (world.org(), world.agent("scout").await);
    let side: creel_domain::SessionName = "side".parse().expect("a session");
    let mut expected = Vec::new();
    for number in 0..5 {
        world.clock.advance(SignedDuration::from_secs(1));
        let turn = org
            .begin_turn(agent.id, session(), number.to_string())
            .await
            .expect("accepted");
        expected.insert(0, turn.id);
    }
    world.clock.advance(SignedDuration::from_secs(1));
    let aside = org
        .begin_turn(agent.id, side.clone(), "aside".into())
        .await
        .expect("accepted");
    let first = org.turns(agent.id, session(), None, 3).await.expect("a page");
    let second = org
        .turns(agent.id, session(), Some(first[2].turn.id), 3)
        .await
        .expect("a page");
    let seen: Vec<_> = first.iter().chain(&second).map(|turn| turn.turn.id).collect();
    assert_eq!(seen, expected);

    let sessions = org.sessions(agent.id).await.expect("sessions");
    let seen: Vec<_> = sessions
        .iter()
        .map(|it| (it.session.as_str(), it.turns))
        .collect();
    assert_eq!(seen, [("side", 1), ("main", 5)]);
    assert_eq!(sessions[0].last_at, aside.created_at);
}
