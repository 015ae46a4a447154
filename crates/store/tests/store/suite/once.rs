//! The same request sent twice makes one thing, whoever dies in between.

use creel_store::{Claim, Error};
use jiff::SignedDuration;

use crate::world::{World, new_agent, session};

const REQUEST: [u8; 32] = [1; 32];

#[tokio::test]
async fn of_many_equal_requests_at_once_one_is_the_first() {
    let world = World::new().await;
    let tries = (0..20).map(|_| {
        let org = world.org();
        tokio::spawn(async move { org.claim_key("k".into(), REQUEST).await.expect("no error") })
    });
    let mut claims = Vec::new();
    for each in tries.collect::<Vec<_>>() {
        claims.push(each.await.expect("ran"));
    }
    claims.sort_by_key(|claim| *claim != Claim::Mine);
    assert_eq!(claims[0], Claim::Mine);
    assert!(
        claims[1..].iter().all(|claim| *claim == Claim::InProgress),
        "{claims:?}"
    );
}

#[tokio::test]
async fn the_answer_comes_again_for_a_day_and_for_the_same_request_only() {
    let mut world = World::new().await;
    assert_eq!(
        world
            .org()
            .claim_key("k".into(), REQUEST)
            .await
            .expect("no error"),
        Claim::Mine
    );
    world
        .org()
        .answer_key("k".into(), 201, "{}".into())
        .await
        .expect("kept");
    world.reopen().await;
    let org = world.org();
    let answered = Claim::Answered {
        status: 201,
        body: "{}".into(),
    };
    assert_eq!(
        org.claim_key("k".into(), REQUEST).await.expect("no error"),
        answered
    );
    assert_eq!(
        org.claim_key("k".into(), [2; 32]).await.expect("no error"),
        Claim::Mismatch
    );
    world
        .clock
        .advance(SignedDuration::from_hours(24) + SignedDuration::from_secs(1));
    assert_eq!(
        org.claim_key("k".into(), [2; 32]).await.expect("no error"),
        Claim::Mine
    );
}

#[tokio::test]
async fn work_that_failed_may_be_tried_again() {
    let world = World::new().await;
    let org = world.org();
    assert_eq!(
        org.claim_key("k".into(), REQUEST).await.expect("no error"),
        Claim::Mine
    );
    org.release_key("k".into()).await.expect("given back");
    assert_eq!(
        org.claim_key("k".into(), REQUEST).await.expect("no error"),
        Claim::Mine
    );
}

#[tokio::test]
async fn a_crash_between_work_and_answer_makes_nothing_twice() {
    let mut world = World::new().await;
    let agent = world.agent("scout").await;
    assert_eq!(
        world
            .org()
            .claim_key("k".into(), REQUEST)
            .await
            .expect("no error"),
        Claim::Mine
    );
    let org = world.org().under_key("k".into());
    let turn = org
        .begin_turn(agent.id, session(), "hello".into())
        .await
        .expect("accepted");
    world.reopen().await;
    world.clock.advance(SignedDuration::from_mins(10));
    let claim = world
        .org()
        .claim_key("k".into(), REQUEST)
        .await
        .expect("no error");
    assert_eq!(
        claim,
        Claim::Made {
            subject: turn.id.to_string()
        }
    );
}

#[tokio::test]
async fn a_claim_that_made_nothing_is_taken_over_and_its_first_owner_comes_too_late() {
    let world = World::new().await;
    assert_eq!(
        world
            .org()
            .claim_key("k".into(), REQUEST)
            .await
            .expect("no error"),
        Claim::Mine
    );
    let slow = world.org().under_key("k".into());
    world.clock.advance(SignedDuration::from_mins(3));
    assert_eq!(
        world
            .org()
            .claim_key("k".into(), REQUEST)
            .await
            .expect("no error"),
        Claim::Mine
    );
    let fast = world.org().under_key("k".into());
    fast.create_agent(new_agent("fast")).await.expect("made");
    let late = slow.create_agent(new_agent("slow")).await;
    assert!(matches!(late, Err(Error::KeyLost)), "{late:?}");
    let there: Vec<_> = world.org().agents(None, 9).await.expect("a list");
    assert_eq!(
        there.iter().map(|agent| agent.name.as_str()).collect::<Vec<_>>(),
        ["fast"]
    );
}
