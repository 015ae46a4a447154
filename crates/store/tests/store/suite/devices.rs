//! Devices: asked for, approved by one, let in once, gone at once.

use std::collections::BTreeSet;

use creel_domain::{MemberRole, Scope};
use creel_store::{
    ApprovedDevice, DEVICE_REQUEST_FOR, DevicePoll, Error, GUESSES_OF_ONE, LetInDevice,
    MAX_DEVICE_REQUESTS_OF_ONE, NewDeviceRequest, NewInvitation,
};
use jiff::SignedDuration;

use crate::world::World;

fn request(mark: u8) -> NewDeviceRequest {
    NewDeviceRequest {
        device_hash: [mark; 32],
        user_hash: [100 + mark; 32],
        name: format!("box-{mark}"),
        address: "192.0.2.7".to_owned(),
        network: "192.0.2.7".to_owned(),
        wanted: Some([Scope::AgentsRead].into()),
    }
}

fn approved() -> ApprovedDevice {
    ApprovedDevice {
        scopes: Some([Scope::AgentsRead].into()),
        token_expires_at: None,
    }
}

/// A device of the first org, approved by its owner, whose token has the hash `[200 + mark; 32]`.
pub(crate) async fn let_in(world: &World, mark: u8) -> LetInDevice {
    let platform = world.store.platform();
    platform.ask_for_device(request(mark)).await.expect("asked");
    platform
        .decide_device(world.org, world.user, [100 + mark; 32], Some(approved()))
        .await
        .expect("no error")
        .expect("approved");
    match platform.poll_device([mark; 32], [200 + mark; 32]).await {
        Ok(DevicePoll::LetIn(device)) => device,
        other => panic!("not let in: {other:?}"),
    }
}

#[tokio::test]
async fn a_device_is_let_in_once_and_gone_at_once() {
    let world = World::new().await;
    let (org, platform) = (world.org(), world.store.platform());
    let device = let_in(&world, 1).await;
    assert_eq!(
        (device.org, device.user, device.scopes),
        (world.org, world.user, Some([Scope::AgentsRead].into()))
    );
    let again = platform.poll_device([1; 32], [9; 32]).await.expect("no error");
    assert_eq!(again, DevicePoll::Gone, "a code is good once");
    let access = platform
        .by_token([201; 32])
        .await
        .expect("looked")
        .expect("lets in");
    assert_eq!(access.scopes, Some(BTreeSet::from([Scope::AgentsRead])));
    let listed = org.devices(Some(world.user)).await.expect("a list");
    assert_eq!(
        (listed[0].id, listed[0].name.as_str(), listed[0].address.as_str()),
        (device.device, "box-1", "192.0.2.7")
    );
    org.remove_device(device.device, Some(world.user))
        .await
        .expect("removed");
    assert_eq!(platform.by_token([201; 32]).await.expect("looked"), None);
    assert_eq!(org.devices(None).await.expect("a list"), []);
    assert_eq!(org.tokens(None).await.expect("a list"), []);

    // A token that is revoked takes its device along.
    let_in(&world, 2).await;
    let token = org.tokens(None).await.expect("a list")[0].id;
    org.revoke_token(token, None).await.expect("revoked");
    assert_eq!(org.devices(None).await.expect("a list"), []);
}

#[tokio::test]
async fn of_64_who_decide_at_once_one_does_and_of_64_who_fetch_one_gets_the_token() {
    let world = World::new().await;
    let platform = world.store.platform();
    platform.ask_for_device(request(1)).await.expect("asked");
    let mut decided = 0;
    let tries = (0..64).map(|number| {
        let (platform, org, user) = (platform.clone(), world.org, world.user);
        // Half of them deny: what one says holds.
        let approved = (number % 2 == 0).then(approved);
        tokio::spawn(async move { platform.decide_device(org, user, [101; 32], approved).await })
    });
    for one in tries.collect::<Vec<_>>() {
        match one.await.expect("ran") {
            Ok(Some(_)) => decided += 1,
            // Those who came too late tried a code that nobody has.
            Ok(None) | Err(Error::TooManyGuesses { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(decided, 1);

    platform.ask_for_device(request(3)).await.expect("asked");
    let other = platform.create_org("other".to_owned()).await.expect("made");
    platform
        .decide_device(other.0, other.1, [103; 32], Some(approved()))
        .await
        .expect("no error")
        .expect("approved");
    let fetches = (0..64).map(|number| {
        let platform = platform.clone();
        tokio::spawn(async move { platform.poll_device([3; 32], [number; 32]).await })
    });
    let mut fetched = 0;
    for one in fetches.collect::<Vec<_>>() {
        match one.await.expect("ran").expect("no error") {
            DevicePoll::LetIn(device) => {
                assert_eq!(device.org, other.0);
                fetched += 1;
            }
            poll => assert_eq!(poll, DevicePoll::Gone),
        }
    }
    assert_eq!(fetched, 1);
    let tokens = world.store.org(other.0).tokens(None).await.expect("a list");
    assert_eq!(tokens.len(), 1);
}

#[tokio::test]
async fn who_asks_too_often_waits_longer_and_too_long_is_too_late() {
    let world = World::new().await;
    let platform = world.store.platform();
    platform.ask_for_device(request(1)).await.expect("asked");
    let poll = async || platform.poll_device([1; 32], [9; 32]).await.expect("no error");
    assert_eq!(poll().await, DevicePoll::Pending);
    for interval_seconds in [10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60, 60] {
        assert_eq!(poll().await, DevicePoll::TooSoon { interval_seconds });
    }
    world.clock.advance(SignedDuration::from_secs(60));
    assert_eq!(poll().await, DevicePoll::Pending);
    // A clock that was set back holds nobody up.
    world.clock.advance(SignedDuration::from_secs(-30));
    assert_eq!(poll().await, DevicePoll::Pending);
    platform
        .decide_device(world.org, world.user, [101; 32], None)
        .await
        .expect("no error")
        .expect("denied");
    assert_eq!(poll().await, DevicePoll::Denied);
    world.clock.advance(DEVICE_REQUEST_FOR);
    assert_eq!(poll().await, DevicePoll::Gone);

    platform.ask_for_device(request(2)).await.expect("asked");
    world.clock.advance(DEVICE_REQUEST_FOR);
    let late = platform
        .decide_device(world.org, world.user, [102; 32], Some(approved()))
        .await;
    assert_eq!(late.expect("no error"), None);
}

#[tokio::test]
async fn codes_cannot_be_guessed_and_requests_are_bounded() {
    let world = World::new().await;
    let platform = world.store.platform();
    platform.ask_for_device(request(1)).await.expect("asked");
    for guess in 0..GUESSES_OF_ONE {
        let mut code = [0; 32];
        code[..8].copy_from_slice(&guess.to_be_bytes());
        let found = platform.device_request(world.user, code).await;
        assert_eq!(found.expect("no error"), None);
    }
    let right = platform.device_request(world.user, [101; 32]).await;
    assert!(
        matches!(right, Err(Error::TooManyGuesses { .. })),
        "the right one is not told either: {right:?}"
    );
    let other = platform.create_org("other".to_owned()).await.expect("made").1;
    let found = platform.device_request(other, [101; 32]).await;
    assert!(found.expect("no error").is_some(), "others are not held up");

    for mark in 2..=MAX_DEVICE_REQUESTS_OF_ONE as u8 {
        platform.ask_for_device(request(mark)).await.expect("asked");
    }
    let more = platform.ask_for_device(request(90)).await;
    assert!(matches!(more, Err(Error::TooManyDevicesAsk)), "{more:?}");
    let elsewhere = NewDeviceRequest {
        network: "198.51.100.1".to_owned(),
        ..request(91)
    };
    platform.ask_for_device(elsewhere).await.expect("another network");
    world.clock.advance(DEVICE_REQUEST_FOR);
    platform.ask_for_device(request(90)).await.expect("there is room");
    let again = platform.device_request(world.user, [190; 32]).await;
    assert!(again.expect("no error").is_some(), "guesses are forgotten");
}

#[tokio::test]
async fn whoever_left_lets_nobody_in() {
    let world = World::new().await;
    let (org, platform) = (world.org(), world.store.platform());
    let invitation = NewInvitation {
        role: MemberRole::Admin,
        by: world.user,
        hash: [50; 32],
    };
    org.invite(invitation).await.expect("invited");
    let admin = platform
        .accept_invitation([50; 32], None, "admin".to_owned(), [51; 32])
        .await
        .expect("no error")
        .expect("let in");
    platform.ask_for_device(request(1)).await.expect("asked");
    platform
        .decide_device(world.org, admin.user, [101; 32], Some(approved()))
        .await
        .expect("no error")
        .expect("approved");
    org.remove_member(admin.user, None).await.expect("left");
    let polled = platform.poll_device([1; 32], [9; 32]).await;
    assert!(matches!(polled, Err(Error::NotFound("user"))), "{polled:?}");
    assert_eq!(org.devices(None).await.expect("a list"), []);
}
