//! Attempts that get slow, for every control at once.

use creel_domain::Patience;
use jiff::SignedDuration;

use crate::world::World;

const ACCOUNT: Patience = Patience::ACCOUNT;

async fn may(world: &World, marks: &[u8]) -> bool {
    let keys = marks.iter().map(|mark| ([*mark; 32], ACCOUNT)).collect();
    world.store.platform().may_try(keys).await.expect("counted")
}

#[tokio::test]
async fn after_the_free_ones_attempts_wait_and_what_goes_well_is_forgiven() {
    let mut world = World::new().await;
    for attempt in 0..=ACCOUNT.free {
        assert!(may(&world, &[1]).await, "attempt {attempt} is free");
    }
    assert!(!may(&world, &[1]).await);
    assert!(may(&world, &[2]).await, "another key");
    world.reopen().await;
    assert!(!may(&world, &[1]).await, "a restart forgets nothing");
    world.clock.advance(ACCOUNT.first);
    assert!(may(&world, &[1]).await);
    world.clock.advance(ACCOUNT.first);
    assert!(!may(&world, &[1]).await, "twice as long");
    world.clock.advance(ACCOUNT.first);
    assert!(may(&world, &[1]).await);
    let platform = world.store.platform();
    platform
        .forgive(vec![[1; 32]], vec![[2; 32]])
        .await
        .expect("forgiven");
    for _ in 0..=ACCOUNT.free {
        assert!(may(&world, &[1]).await);
    }
}

#[tokio::test]
async fn where_one_key_waits_none_is_counted() {
    let world = World::new().await;
    for _ in 0..=ACCOUNT.free {
        assert!(may(&world, &[1]).await);
    }
    for _ in 0..50 {
        assert!(!may(&world, &[2, 1]).await);
    }
    for _ in 0..=ACCOUNT.free {
        assert!(may(&world, &[2]).await, "nothing was counted on it");
    }
}

#[tokio::test]
async fn many_at_once_are_no_way_around() {
    let world = World::new().await;
    let other = world.open().await.expect("another control");
    let tries = (0..100).map(|each| {
        let store = if each % 2 == 0 { &world.store } else { &other };
        let platform = store.platform();
        tokio::spawn(async move { platform.may_try(vec![([7; 32], ACCOUNT)]).await })
    });
    let mut let_through = 0;
    for each in tries.collect::<Vec<_>>() {
        let_through += u32::from(each.await.expect("ran").expect("no error"));
    }
    assert_eq!(let_through, ACCOUNT.free + 1);
}

#[tokio::test]
async fn what_is_long_ago_is_removed() {
    let world = World::new().await;
    for _ in 0..=ACCOUNT.free {
        assert!(may(&world, &[1]).await);
    }
    world.clock.advance(ACCOUNT.forget + SignedDuration::from_secs(1));
    assert!(may(&world, &[2]).await);
    assert!(may(&world, &[1]).await && may(&world, &[1]).await, "counted anew");
}
