//! Passkeys and their challenges: one of each credential, each challenge once and bounded, counters only forward.

use creel_store::{
    Error, MAX_PASSKEY_CHALLENGES_OF_NETWORK, MAX_PASSKEY_CHALLENGES_OF_USER, MAX_PASSKEYS, NewIdentity,
    NewPasskey, PASSKEY_CHALLENGE_FOR, PasskeyPurpose, PasskeyUse,
};
use jiff::SignedDuration;

use crate::world::{World, email, password};

fn passkey(mark: u8) -> NewPasskey {
    NewPasskey {
        credential_id: vec![mark; 16],
        public_key: vec![1, 2, 3],
        relying_party: "creel.example.com".to_owned(),
        name: format!("passkey {mark}"),
        transports: vec!["internal".to_owned()],
        sign_count: 0,
        backup_eligible: true,
        backed_up: false,
    }
}

fn hash(mark: u32) -> [u8; 32] {
    let mut hash = [0; 32];
    hash[..4].copy_from_slice(&mark.to_be_bytes());
    hash
}

#[tokio::test]
async fn a_challenge_is_good_once_for_one_purpose_and_one_user() {
    let world = World::new().await;
    let (platform, user) = (world.store.platform(), world.user);
    let other = platform.create_org("other".to_owned()).await.expect("made").1;
    let purposes = [
        PasskeyPurpose::SignIn,
        PasskeyPurpose::Add(user),
        PasskeyPurpose::Prove(user),
        PasskeyPurpose::Add(other),
        PasskeyPurpose::Prove(other),
    ];
    for (mark, purpose) in (1..).zip(purposes) {
        let until = platform
            .add_passkey_challenge(hash(mark), purpose, None)
            .await
            .expect("kept");
        assert_eq!(until, world.now() + PASSKEY_CHALLENGE_FOR);
        for wrong in purposes.into_iter().filter(|wrong| *wrong != purpose) {
            let used = platform
                .use_passkey_challenge(hash(mark), wrong)
                .await
                .expect("looked");
            assert!(!used, "{purpose:?} is not {wrong:?}");
        }
        for good in [true, false] {
            let used = platform
                .use_passkey_challenge(hash(mark), purpose)
                .await
                .expect("looked");
            assert_eq!(used, good, "{purpose:?}");
        }
    }
    platform
        .add_passkey_challenge(hash(9), PasskeyPurpose::SignIn, None)
        .await
        .expect("kept");
    world.clock.advance(PASSKEY_CHALLENGE_FOR);
    let late = platform
        .use_passkey_challenge(hash(9), PasskeyPurpose::SignIn)
        .await;
    assert!(!late.expect("looked"), "five minutes are over");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_who_use_one_challenge_through_two_controls_one_does() {
    let world = World::new().await;
    let other = world.open().await.expect("a second store");
    world
        .store
        .platform()
        .add_passkey_challenge(hash(1), PasskeyPurpose::SignIn, None)
        .await
        .expect("kept");
    let tries = (0..64).map(|number| {
        let store = if number % 2 == 0 {
            world.store.clone()
        } else {
            other.clone()
        };
        tokio::spawn(async move {
            let platform = store.platform();
            platform
                .use_passkey_challenge(hash(1), PasskeyPurpose::SignIn)
                .await
        })
    });
    let mut used = 0;
    for one in tries.collect::<Vec<_>>() {
        used += usize::from(one.await.expect("ran").expect("no error"));
    }
    assert_eq!(used, 1);
}

#[tokio::test]
async fn challenges_are_bounded_and_nobody_pushes_anothers_out() {
    let world = World::new().await;
    let (platform, user) = (world.store.platform(), world.user);
    let add = async |mark: u32, purpose, network: Option<[u8; 32]>| {
        world.clock.advance(SignedDuration::from_millis(1));
        platform
            .add_passkey_challenge(hash(mark), purpose, network)
            .await
            .expect("kept");
    };
    let sign_in = PasskeyPurpose::SignIn;
    add(1, sign_in, Some([1; 32])).await;
    add(2, PasskeyPurpose::Add(user), None).await;
    let (of_network, of_user) = (
        u32::try_from(MAX_PASSKEY_CHALLENGES_OF_NETWORK).expect("small"),
        u32::try_from(MAX_PASSKEY_CHALLENGES_OF_USER).expect("small"),
    );
    for mark in 0..=of_network {
        add(1000 + mark, sign_in, Some([2; 32])).await;
    }
    for mark in 0..=of_user {
        add(5000 + mark, PasskeyPurpose::Prove(user), None).await;
    }
    let used = async |mark, purpose| {
        platform
            .use_passkey_challenge(hash(mark), purpose)
            .await
            .expect("looked")
    };
    assert!(used(1, sign_in).await, "another network's");
    assert!(!used(1000, sign_in).await, "the oldest of its network");
    assert!(used(1001, sign_in).await);
    assert!(used(1000 + of_network, sign_in).await);
    assert!(
        !used(2, PasskeyPurpose::Add(user)).await,
        "the oldest of the user's"
    );
    assert!(!used(5000, PasskeyPurpose::Prove(user)).await);
    assert!(used(5001, PasskeyPurpose::Prove(user)).await);
}

#[tokio::test]
async fn a_credential_is_one_users_and_nobody_has_more_than_they_may() {
    let world = World::new().await;
    let (platform, user) = (world.store.platform(), world.user);
    let other = platform.create_org("other".to_owned()).await.expect("made").1;
    let first = platform.add_passkey(user, passkey(0)).await.expect("added");
    for whose in [user, other] {
        let again = platform.add_passkey(whose, passkey(0)).await;
        assert!(matches!(again, Err(Error::PasskeyTaken)), "{again:?}");
    }
    for mark in 1..MAX_PASSKEYS {
        let mark = u8::try_from(mark).expect("few");
        platform.add_passkey(user, passkey(mark)).await.expect("added");
    }
    let more = platform.add_passkey(user, passkey(99)).await;
    assert!(matches!(more, Err(Error::LimitReached { .. })), "{more:?}");
    assert_eq!(platform.person(user).await.expect("there").passkeys, MAX_PASSKEYS);
    let all = platform.passkeys(user).await.expect("a list");
    assert_eq!((all.len() as u64, &all[0]), (MAX_PASSKEYS, &first));
    assert_eq!(platform.passkeys(other).await.expect("a list"), []);
    let found = platform.passkey_by_credential(vec![0; 16]).await.expect("looked");
    assert_eq!(found, Some(first.clone()));
    let absent = platform.rename_passkey(other, first.id, "mine".to_owned()).await;
    assert!(matches!(absent, Err(Error::NotFound("passkey"))), "{absent:?}");
    let absent = platform.remove_passkey(other, first.id).await;
    assert!(matches!(absent, Err(Error::NotFound("passkey"))), "{absent:?}");
}

#[tokio::test]
async fn a_counter_goes_forward_or_stays_at_nothing() {
    let world = World::new().await;
    let (platform, user) = (world.store.platform(), world.user);
    let id = platform.add_passkey(user, passkey(1)).await.expect("added").id;
    let used = async |count| {
        platform
            .use_passkey(id, count, true, PasskeyPurpose::SignIn)
            .await
            .expect("looked")
    };
    for (count, outcome) in [
        (0, PasskeyUse::Good),
        (0, PasskeyUse::Good),
        (7, PasskeyUse::Good),
        (7, PasskeyUse::Copied),
        (6, PasskeyUse::Copied),
        (0, PasskeyUse::Copied),
        (8, PasskeyUse::Good),
        (u32::MAX, PasskeyUse::Good),
        (0, PasskeyUse::Copied),
    ] {
        assert_eq!(used(count).await, outcome, "{count}");
    }
    let stored = &platform.passkeys(user).await.expect("a list")[0];
    assert!(stored.backed_up && stored.last_used_at == Some(world.now()));
    platform
        .set_email(user, email("ada@example.com"), true)
        .await
        .expect("set");
    platform.set_password(user, password(1), None).await.expect("set");
    platform.remove_passkey(user, id).await.expect("removed");
    assert_eq!(used(9).await, PasskeyUse::Gone);
    let trail = world.org().audit_after(0, 1000).await.expect("entries");
    let told = |result: &str| {
        let here = trail.iter().filter(|stored| {
            stored.entry.act.action == "passkey.use" && stored.entry.act.result.as_str() == result
        });
        here.count()
    };
    assert_eq!((told("done"), told("refused")), (5, 4));
}

#[tokio::test]
async fn the_last_way_in_stays_whichever_it_is() {
    let world = World::new().await;
    let (platform, user) = (world.store.platform(), world.user);
    let one = platform.add_passkey(user, passkey(1)).await.expect("added").id;
    let two = platform.add_passkey(user, passkey(2)).await.expect("added").id;
    platform.remove_passkey(user, one).await.expect("another is left");
    let last = platform.remove_passkey(user, two).await;
    assert!(matches!(last, Err(Error::LastWayIn)), "{last:?}");
    assert_eq!(platform.passkeys(user).await.expect("a list").len(), 1);
    let identity = NewIdentity {
        issuer: "https://issuer.test".to_owned(),
        subject: "1".to_owned(),
        name: "Ada".to_owned(),
        email: None,
    };
    platform.link_identity(user, identity).await.expect("linked");
    platform
        .remove_passkey(user, two)
        .await
        .expect("an identity is left");
    let identity = platform.identities(user).await.expect("a list")[0].id;
    let last = platform.unlink_identity(user, identity).await;
    assert!(matches!(last, Err(Error::LastWayIn)), "{last:?}");
    platform.add_passkey(user, passkey(3)).await.expect("added");
    platform
        .unlink_identity(user, identity)
        .await
        .expect("a passkey is left");
}
