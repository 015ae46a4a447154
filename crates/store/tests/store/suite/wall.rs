//! Two orgs on one file: whatever one asks, it neither sees nor touches what is the other's.

use creel_domain::{Depth, Intent, Name, TurnStatus};
use creel_store::{Claim, Error, NewProvider, NewToken, Org, TurnWord, UsageBy};
use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::world::{World, intent, new_agent, session};

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn provider() -> NewProvider {
    NewProvider {
        name: name("box"),
        kind: creel_domain::ProviderKind::OpenaiCompatible,
        base_url: Some("http://models.example/v1".into()),
        key: Some(Zeroizing::new("sk-of-one".into())),
        key_secret: None,
    }
}

fn absent<T: std::fmt::Debug>(what: &str, outcome: Result<T, Error>) {
    assert!(matches!(outcome, Err(Error::NotFound(_))), "{what}: {outcome:?}");
}

/// Everything that org `one` could show, by every method of [`Org`] that reads.
async fn portrait(org: &Org, agent: creel_domain::AgentId, turn: creel_domain::TurnId) -> String {
    let range = (Timestamp::UNIX_EPOCH, Timestamp::MAX);
    let calls = org.usage(range.0, range.1, None, UsageBy::Agent).await;
    format!(
        "{:#?}",
        (
            (
                org.agent(agent).await,
                org.agents(None, 9).await,
                org.turn(agent, turn).await
            ),
            (
                org.turns(agent, session(), None, 9).await,
                org.sessions(agent).await,
                calls
            ),
            (
                org.provider(name("box")).await,
                org.providers().await,
                org.tokens(None).await,
                org.devices(None).await
            ),
            (org.events(0, 99).await, org.egress_decisions(agent, 9).await),
        )
    )
}

#[tokio::test]
async fn nothing_leaks_and_nothing_is_touched_by_any_method() {
    let world = World::new().await;
    let one = world.org();
    let platform = world.store.platform();
    let two = world
        .store
        .org(platform.create_org("two".into()).await.expect("made").0);

    let agent = world.agent("scout").await;
    let turn = one
        .begin_turn(agent.id, session(), "mine".into())
        .await
        .expect("accepted");
    one.add_provider(provider()).await.expect("added");
    one.record_egress(agent.id, "example.com:443".into(), "deny all".into(), 1)
        .await
        .expect("kept");
    let token = one
        .add_token(NewToken::whole(world.user, "t", [1; 32]))
        .await
        .expect("added")
        .id;
    let device = crate::suite::devices::let_in(&world, 1).await.device;
    let call = creel_store::NewCall {
        id: creel_daemon::mint(&*world.clock),
        org: world.org,
        agent: agent.id,
        turn: Some(turn.id),
        provider: "box".into(),
        model: "box/m".parse().expect("a model"),
        started_at: world.now(),
        key_of: None,
    };
    platform.begin_call(call).await.expect("opened");
    platform.interrupt_open_calls().await.expect("closed");
    assert_eq!(
        one.claim_key("k".into(), [1; 32]).await.expect("no error"),
        Claim::Mine
    );
    let before = portrait(&one, agent.id, turn.id).await;

    // Reads.
    let range = (Timestamp::UNIX_EPOCH, Timestamp::MAX);
    absent("agent", two.agent(agent.id).await);
    absent("agent_by_name", two.agent_by_name(agent.name.clone()).await);
    assert_eq!(two.agents(None, 9).await.expect("a list"), []);
    absent("turn", two.turn(agent.id, turn.id).await);
    assert_eq!(two.turns(agent.id, session(), None, 9).await.expect("a list"), []);
    for state in [TurnWord::Running, TurnWord::Failed] {
        assert_eq!(two.turns_in(state, None, None, 9).await.expect("a list"), []);
        assert_eq!(
            two.turns_in(state, Some(agent.id), None, 9)
                .await
                .expect("a list"),
            []
        );
    }
    assert_eq!(two.sessions(agent.id).await.expect("a list"), []);
    assert_eq!(two.providers().await.expect("a list"), []);
    assert!(two.provider(name("box")).await.expect("no error").is_none());
    assert_eq!(two.events(0, 99).await.expect("a list"), []);
    assert_eq!(two.last_event().await.expect("a number"), 0);
    assert_eq!(two.tokens(None).await.expect("a list"), []);
    assert_eq!(two.devices(None).await.expect("a list"), []);
    assert_eq!(two.egress_decisions(agent.id, 9).await.expect("a list"), []);
    for by in [UsageBy::Agent, UsageBy::Model, UsageBy::Day] {
        assert_eq!(two.usage(range.0, range.1, None, by).await.expect("sums"), []);
        assert_eq!(
            two.usage(range.0, range.1, Some(agent.id), by)
                .await
                .expect("sums"),
            []
        );
    }
    assert_eq!(
        two.usage_total(range.0, range.1, Some(agent.id))
            .await
            .expect("a sum")
            .calls,
        0
    );

    // Writes.
    absent(
        "change_agent",
        two.change_agent(agent.id, None, intent(Intent::Delete)).await,
    );
    absent(
        "put_to_rest",
        two.put_to_rest(agent.id, agent.generation, Depth::Frozen).await,
    );
    absent("wake_agent", two.wake_agent(agent.id).await);
    two.forget_agent(agent.id).await.expect("nothing to forget");
    absent(
        "begin_turn",
        two.begin_turn(agent.id, session(), "yours".into()).await,
    );
    let done = TurnStatus::Done {
        text: "forged".into(),
        finished_at: world.now(),
    };
    let ended = two.finish_turn(turn.id, done, String::new(), Vec::new()).await;
    assert!(!ended.expect("no error"));
    absent("remove_provider", two.remove_provider(name("box")).await);
    absent("revoke_token", two.revoke_token(token, None).await);
    absent("remove_device", two.remove_device(device, None).await);
    two.record_egress(agent.id, "forged:1".into(), "allow".into(), 1)
        .await
        .expect("no error");
    let key = two.claim_key("k".into(), [2; 32]).await.expect("no error");
    assert_eq!(key, Claim::Mine, "keys are the org's own");
    two.release_key("k".into()).await.expect("its own");
    two.answer_key("k".into(), 200, "forged".into())
        .await
        .expect("nothing to answer");
    absent(
        "add_token",
        two.add_token(NewToken::whole(world.user, "t", [3; 32])).await,
    );
    let span = jiff::SignedDuration::from_mins(1);
    absent(
        "link",
        platform
            .add_sign_in_link(two.id(), world.user, [4; 32], span)
            .await,
    );

    assert_eq!(portrait(&one, agent.id, turn.id).await, before);
    assert_eq!(
        one.claim_key("k".into(), [1; 32]).await.expect("no error"),
        Claim::InProgress
    );

    // The same names are free on the other side, and the same key does not open there.
    two.create_agent(new_agent("scout")).await.expect("its own");
    two.add_provider(provider()).await.expect("its own");
}

#[tokio::test]
async fn an_org_that_is_not_there_takes_nothing() {
    let world = World::new().await;
    let nowhere = world.store.org(creel_daemon::mint(&*world.clock));
    absent("create_agent", nowhere.create_agent(new_agent("scout")).await);
    absent("add_provider", nowhere.add_provider(provider()).await);
    absent("last_event", nowhere.last_event().await);
}
