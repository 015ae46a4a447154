//! Agents at rest: put there only when nobody needs them, and woken once.

use creel_domain::{Depth, Generation, Intent, TurnStatus};
use creel_store::{AgentChange, Unchanged};
use jiff::SignedDuration;

use crate::world::{World, intent, session, spec};

#[tokio::test]
async fn an_agent_rests_goes_deeper_and_wakes_without_its_owner_having_changed_anything() {
    let world = World::new().await;
    let (org, made) = (world.org(), world.agent("scout").await);
    let rested = org.put_to_rest(made.id, made.generation, Depth::Frozen).await;
    let rested = rested.expect("no error").expect("rested");
    assert_eq!((rested.intent, rested.depth), (Intent::Sleep, Depth::Frozen));
    assert_eq!(rested.asleep_since, Some(world.now()));
    assert_eq!(
        (rested.generation, rested.revision),
        (Generation(2), Generation(1))
    );
    assert_eq!(org.agent(made.id).await.expect("there"), rested);

    world.clock.advance(SignedDuration::from_secs(60));
    let paged = org.put_to_rest(made.id, rested.generation, Depth::PagedOut).await;
    let paged = paged.expect("no error").expect("deeper");
    assert_eq!(
        (paged.depth, paged.asleep_since),
        (Depth::PagedOut, rested.asleep_since)
    );
    assert_eq!(org.agent(made.id).await.expect("there"), paged);
    let deeper = org.put_to_rest(made.id, paged.generation, Depth::OnDisk).await;
    let deeper = deeper.expect("no error").expect("deeper");
    assert_eq!(
        (deeper.depth, deeper.asleep_since),
        (Depth::OnDisk, rested.asleep_since)
    );
    for depth in [Depth::Frozen, Depth::PagedOut] {
        let shallower = org.put_to_rest(made.id, deeper.generation, depth).await;
        assert_eq!(shallower.expect("no error"), None);
    }

    let woken = org.wake_agent(made.id).await.expect("woken");
    assert_eq!((woken.intent, woken.asleep_since), (Intent::Run, None));
    assert_eq!((woken.generation, woken.revision), (Generation(5), Generation(1)));
    assert_eq!(
        org.wake_agent(made.id).await.expect("no error"),
        woken,
        "it is awake"
    );

    // Whoever read it before it slept still changes what they read.
    let change = AgentChange {
        spec: Some(creel_domain::AgentSpec {
            model: "demo/other".parse().expect("a model"),
            ..spec()
        }),
        ..AgentChange::default()
    };
    let changed = org
        .change_agent(made.id, Some(Unchanged::Revision(made.revision)), change)
        .await
        .expect("changed");
    assert_eq!(changed.revision, Generation(2));
}

#[tokio::test]
async fn nobody_falls_asleep_with_a_turn_under_way_or_after_another_change() {
    let world = World::new().await;
    let (org, agent) = (world.org(), world.agent("scout").await);
    let turn = org
        .begin_turn(agent.id, session(), "hello".into())
        .await
        .expect("begun");
    let rest = || org.put_to_rest(agent.id, agent.generation, Depth::Frozen);
    assert_eq!(rest().await.expect("no error"), None, "a turn is under way");
    let done = TurnStatus::Done {
        text: "hi".into(),
        finished_at: world.now(),
    };
    org.finish_turn(turn.id, done, "hi".into(), Vec::new())
        .await
        .expect("finished");
    org.change_agent(agent.id, None, intent(Intent::Stop))
        .await
        .expect("stopped");
    assert_eq!(rest().await.expect("no error"), None, "it is another generation");
    let stopped = org.agent(agent.id).await.expect("there");
    let stopped = org.put_to_rest(agent.id, stopped.generation, Depth::Frozen).await;
    assert_eq!(stopped.expect("no error"), None, "what is stopped stays so");
}

#[tokio::test]
async fn of_64_who_wake_it_at_once_one_does() {
    let world = World::new().await;
    let agent = world.agent("scout").await;
    let rested = world
        .org()
        .put_to_rest(agent.id, agent.generation, Depth::Frozen)
        .await;
    let rested = rested.expect("no error").expect("rested");
    let wakes: Vec<_> = (0..64)
        .map(|_| {
            let org = world.org();
            tokio::spawn(async move { org.wake_agent(agent.id).await })
        })
        .collect();
    for wake in wakes {
        let woken = wake.await.expect("ran").expect("woken");
        assert_eq!(woken.generation, rested.generation.next());
    }
}
