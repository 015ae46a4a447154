//! Who may come in, and who no longer.

use creel_store::{Error, NewToken};
use jiff::SignedDuration;

use crate::world::{World, browser_session as session};

const MINUTES: SignedDuration = SignedDuration::from_mins(15);

#[tokio::test]
async fn the_first_owner_is_made_once() {
    let mut world = World::new().await;
    world.reopen().await;
    let again = world.store.platform().first_owner().await.expect("found");
    assert_eq!(
        (again.org, again.user, again.created),
        (world.org, world.user, false)
    );
}

#[tokio::test]
async fn a_token_lets_in_until_it_is_revoked_and_remembers_its_use_coarsely() {
    let world = World::new().await;
    let (platform, org) = (world.store.platform(), world.org());
    let token = org
        .add_token(NewToken::whole(world.user, "laptop", [1; 32]))
        .await
        .expect("added")
        .id;
    assert_eq!(platform.by_token([2; 32]).await.expect("looked"), None);
    let first_use = world.now();
    let access = platform
        .by_token([1; 32])
        .await
        .expect("looked")
        .expect("lets in");
    assert_eq!(
        (access.org, access.user, access.user_name.as_str()),
        (world.org, world.user, "owner")
    );

    world.clock.advance(SignedDuration::from_mins(9));
    platform
        .by_token([1; 32])
        .await
        .expect("looked")
        .expect("lets in");
    let listed = org.tokens(None).await.expect("listed");
    assert_eq!(
        (listed[0].id, listed[0].last_used_at),
        (token, Some(first_use)),
        "not written at each use"
    );
    world.clock.advance(SignedDuration::from_mins(1));
    platform
        .by_token([1; 32])
        .await
        .expect("looked")
        .expect("lets in");
    assert_eq!(
        org.tokens(None).await.expect("listed")[0].last_used_at,
        Some(world.now())
    );

    org.revoke_token(token, None).await.expect("revoked");
    assert!(matches!(
        org.revoke_token(token, None).await,
        Err(Error::NotFound("token"))
    ));
    assert_eq!(platform.by_token([1; 32]).await.expect("looked"), None);
}

#[tokio::test]
async fn a_sign_in_link_is_used_once_however_many_try() {
    let world = World::new().await;
    let platform = world.store.platform();
    platform
        .add_sign_in_link(world.org, world.user, [1; 32], MINUTES)
        .await
        .expect("added");
    let tries = (10..20).map(|mark| {
        let platform = platform.clone();
        tokio::spawn(async move { platform.use_sign_in_link([1; 32], session(mark)).await })
    });
    let mut let_in = 0;
    for each in tries.collect::<Vec<_>>() {
        let_in += usize::from(each.await.expect("ran").expect("no error").is_some());
    }
    assert_eq!(let_in, 1);
}

#[tokio::test]
async fn links_end_with_their_time() {
    let world = World::new().await;
    let platform = world.store.platform();
    platform
        .add_sign_in_link(world.org, world.user, [1; 32], MINUTES)
        .await
        .expect("added");
    world.clock.advance(MINUTES);
    let late = platform.use_sign_in_link([1; 32], session(8)).await;
    assert_eq!(late.expect("no error"), None, "the link's time is over");
}

#[tokio::test]
async fn of_too_many_links_the_oldest_go() {
    let world = World::new().await;
    let platform = world.store.platform();
    for link in 1..=60 {
        world.clock.advance(SignedDuration::from_secs(1));
        platform
            .add_sign_in_link(world.org, world.user, [link; 32], MINUTES)
            .await
            .expect("added");
    }
    let mut good = Vec::new();
    for link in 1..=60 {
        let used = platform
            .use_sign_in_link([link; 32], session(link))
            .await
            .expect("no error");
        good.extend(used.map(|_| link));
    }
    assert_eq!(good, (11..=60).collect::<Vec<_>>());
}
