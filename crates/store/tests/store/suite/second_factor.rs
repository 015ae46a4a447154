//! The second factor: confirmed once, each code used once, waiting sign-ins bounded.

use creel_store::NewTotp;
use jiff::SignedDuration;
use zeroize::Zeroizing;

use crate::world::World;

fn totp(secret: &str) -> NewTotp {
    NewTotp {
        secret: Zeroizing::new(secret.to_owned()),
    }
}

#[tokio::test]
async fn it_counts_once_it_is_confirmed_and_no_step_is_used_twice() {
    let world = World::new().await;
    let (platform, user) = (world.store.platform(), world.user);
    assert!(platform.totp(user).await.expect("looked").is_none());
    assert!(platform.begin_totp(user, totp("first")).await.expect("begun"));
    assert!(
        platform
            .begin_totp(user, totp("PLANTED"))
            .await
            .expect("begun anew")
    );
    assert!(!platform.person(user).await.expect("there").second_factor);
    assert!(
        !platform.use_totp_step(user, 5).await.expect("no error"),
        "not confirmed"
    );
    let codes = vec![[1; 32], [2; 32]];
    assert!(
        platform
            .confirm_totp(user, 10, codes.clone())
            .await
            .expect("confirmed")
    );
    assert!(
        !platform.confirm_totp(user, 11, codes).await.expect("no error"),
        "once"
    );
    assert!(platform.person(user).await.expect("there").second_factor);
    let stored = platform.totp(user).await.expect("looked").expect("there");
    assert_eq!(
        (stored.secret.as_str(), stored.last_step, stored.confirmed),
        ("PLANTED", 10, true)
    );
    assert!(!platform.begin_totp(user, totp("other")).await.expect("refused"));

    assert!(
        !platform.use_totp_step(user, 10).await.expect("no error"),
        "used to confirm"
    );
    let tries = (0..20).map(|_| {
        let platform = platform.clone();
        tokio::spawn(async move { platform.use_totp_step(user, 11).await })
    });
    let mut good = 0;
    for each in tries.collect::<Vec<_>>() {
        good += usize::from(each.await.expect("ran").expect("no error"));
    }
    assert_eq!(good, 1);
    assert!(platform.use_recovery_code(user, [1; 32]).await.expect("used"));
    assert!(!platform.use_recovery_code(user, [1; 32]).await.expect("no error"));
    assert_eq!(platform.recovery_codes_left(user).await.expect("counted"), 1);
    platform.disable_totp(user).await.expect("disabled");
    assert!(platform.totp(user).await.expect("looked").is_none());
    assert!(!platform.use_recovery_code(user, [2; 32]).await.expect("no error"));
}

#[tokio::test]
async fn a_waiting_sign_in_bears_five_tries_and_five_minutes() {
    let world = World::new().await;
    let (platform, user) = (world.store.platform(), world.user);
    platform.open_half_session(user, [1; 32]).await.expect("opened");
    for _ in 0..5 {
        let tried = platform.try_half_session([1; 32]).await.expect("no error");
        assert_eq!(tried.map(|half| half.user), Some(user));
    }
    assert_eq!(platform.try_half_session([1; 32]).await.expect("no error"), None);
    platform.open_half_session(user, [2; 32]).await.expect("opened");
    assert!(platform.end_half_session([2; 32]).await.expect("ended"));
    assert!(
        !platform.end_half_session([2; 32]).await.expect("no error"),
        "once"
    );
    platform.open_half_session(user, [3; 32]).await.expect("opened");
    world.clock.advance(SignedDuration::from_mins(5));
    assert_eq!(platform.try_half_session([3; 32]).await.expect("no error"), None);
    for mark in 10..40 {
        world.clock.advance(SignedDuration::from_millis(10));
        platform
            .open_half_session(user, [mark; 32])
            .await
            .expect("opened");
    }
    let mut left = Vec::new();
    for mark in 10..40 {
        let tried = platform.try_half_session([mark; 32]).await.expect("no error");
        left.extend(tried.map(|_| mark));
    }
    assert_eq!(left, (30..40).collect::<Vec<_>>());
}
