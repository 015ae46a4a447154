//! Agents: revisions, names, limits, pages, and how they go.

use crate::world::{World, intent, new_agent, session, spec};
use creel_domain::{Generation, Intent};
use creel_store::{AgentChange, Error, MAX_AGENTS, Unchanged};
use jiff::SignedDuration;

#[tokio::test]
async fn what_was_made_is_what_is_found_also_after_a_restart() {
    let mut world = World::new().await;
    let made = world.agent("scout").await;
    assert_eq!(world.org().agent(made.id).await.expect("there"), made);
    world.reopen().await;
    assert_eq!(
        world.org().agent_by_name(made.name.clone()).await.expect("there"),
        made
    );
    assert_eq!(world.store.platform().all_agents().await.expect("a list"), [made]);
}

#[tokio::test]
async fn a_name_is_taken_once_and_free_again_when_the_agent_is_gone() {
    let world = World::new().await;
    let org = world.org();
    let scout = world.agent("scout").await;
    let error = org.create_agent(new_agent("scout")).await.expect_err("taken");
    assert_eq!(error.to_string(), "`scout` is taken: choose another name");

    org.forget_agent(scout.id)
        .await
        .expect("not asked to be deleted: nothing happens");
    assert!(
        org.agent(scout.id).await.is_ok(),
        "only what is being deleted is forgotten"
    );
    org.change_agent(scout.id, None, intent(Intent::Delete))
        .await
        .expect("deletes");
    org.forget_agent(scout.id).await.expect("forgotten");
    org.forget_agent(scout.id).await.expect("twice is no error");
    assert!(matches!(org.agent(scout.id).await, Err(Error::NotFound("agent"))));
    org.create_agent(new_agent("scout"))
        .await
        .expect("the name is free");
}

#[tokio::test]
async fn one_of_two_changes_at_the_same_revision_wins() {
    let world = World::new().await;
    let agent = world.agent("scout").await;
    let change = |to| {
        let org = world.org();
        async move {
            org.change_agent(agent.id, Some(Unchanged::Revision(Generation(1))), intent(to))
                .await
        }
    };
    let (stop, delete) = tokio::join!(change(Intent::Stop), change(Intent::Delete));
    let lost = [&stop, &delete]
        .into_iter()
        .filter(|it| {
            matches!(
                it,
                Err(Error::RevisionMismatch {
                    current: Generation(2)
                })
            )
        })
        .count();
    assert_eq!(lost, 1, "{stop:?} {delete:?}");
}

#[tokio::test]
async fn the_generation_counts_changes_and_only_changes() {
    let world = World::new().await;
    let (org, made) = (world.org(), world.agent("scout").await);
    world.clock.advance(SignedDuration::from_secs(9));
    let same = AgentChange {
        spec: Some(spec()),
        intent: Some(Intent::Run),
        renew: false,
    };
    let same = org.change_agent(made.id, None, same).await.expect("fine");
    assert_eq!(same, made, "nothing changed");

    let renew = AgentChange {
        renew: true,
        ..AgentChange::default()
    };
    let renewed = org.change_agent(made.id, None, renew).await.expect("renewed");
    assert_eq!((renewed.generation, renewed.incarnation), (Generation(2), 2));
    assert_eq!(renewed.changed_at, made.changed_at, "the owner changed nothing");

    let stopped = org
        .change_agent(made.id, None, intent(Intent::Stop))
        .await
        .expect("stopped");
    assert_eq!(stopped.generation, Generation(3));
    assert!(stopped.changed_at > made.changed_at);
}

#[tokio::test]
async fn an_agent_being_deleted_takes_nothing_else() {
    let world = World::new().await;
    let (org, agent) = (world.org(), world.agent("scout").await);
    let deleting = org
        .change_agent(agent.id, None, intent(Intent::Delete))
        .await
        .expect("deletes");
    assert!(matches!(
        org.change_agent(agent.id, None, intent(Intent::Run)).await,
        Err(Error::Deleting)
    ));
    assert!(matches!(
        org.begin_turn(agent.id, session(), "hello".into()).await,
        Err(Error::Deleting)
    ));
    let again = org
        .change_agent(agent.id, None, intent(Intent::Delete))
        .await
        .expect("twice is fine");
    assert_eq!(again, deleting);
}

#[tokio::test]
async fn pages_hold_every_agent_once_newest_first() {
    let world = World::new().await;
    let mut made = Vec::new();
    for number in 0..7 {
        made.push(world.agent(&format!("agent-{number}")).await.id);
    }
    made.reverse();
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let page = world.org().agents(before, 3).await.expect("a page");
        let Some(last) = page.last() else { break };
        before = Some(last.id);
        seen.extend(page.iter().map(|agent| agent.id));
    }
    assert_eq!(seen, made);
}

#[tokio::test]
async fn an_org_has_so_many_agents_and_no_more() {
    let world = World::new().await;
    for number in 0..MAX_AGENTS {
        world.agent(&format!("a{number}")).await;
    }
    let error = world
        .org()
        .create_agent(new_agent("more"))
        .await
        .expect_err("full");
    assert!(
        matches!(error, Error::LimitReached { most: MAX_AGENTS, .. }),
        "{error}"
    );
    let other = world
        .store
        .platform()
        .create_org("other".into())
        .await
        .expect("made");
    world
        .store
        .org(other.0)
        .create_agent(new_agent("more"))
        .await
        .expect("another org is not concerned");
}

#[tokio::test]
async fn a_long_history_goes_with_its_agent() {
    let world = World::new().await;
    let (org, agent, other) = (
        world.org(),
        world.agent("scout").await,
        world.agent("other").await,
    );
    for number in 0..1100 {
        org.begin_turn(agent.id, session(), number.to_string())
            .await
            .expect("accepted");
    }
    org.begin_turn(other.id, session(), "mine".into())
        .await
        .expect("accepted");
    org.change_agent(agent.id, None, intent(Intent::Delete))
        .await
        .expect("deletes");
    org.forget_agent(agent.id).await.expect("forgotten");
    let left = world.store.platform().running_turns().await.expect("a list");
    assert_eq!(
        left.iter().map(|turn| turn.turn.agent).collect::<Vec<_>>(),
        [other.id]
    );
}
