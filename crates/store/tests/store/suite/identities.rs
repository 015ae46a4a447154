//! Who somebody is elsewhere: known again, linked, and never taken for another.

use creel_domain::MemberRole;
use creel_store::{Error, MAX_IDENTITIES, Met, NewIdentity, Newcomers};

use crate::world::{World, email, password};

fn ada(subject: &str) -> NewIdentity {
    NewIdentity {
        issuer: "https://issuer.test".to_owned(),
        subject: subject.to_owned(),
        name: "Ada".to_owned(),
        email: None,
    }
}

#[tokio::test]
async fn whoever_comes_again_is_the_same_and_strangers_stay_out() {
    let world = World::new().await;
    let platform = world.store.platform();
    let stranger = platform
        .meet(ada("1"), Newcomers::Nobody)
        .await
        .expect("no error");
    assert_eq!(stranger, Met::Stranger);
    let newcomers = Newcomers::Join(world.org, MemberRole::Viewer);
    let tries = (0..16).map(|_| {
        let (platform, newcomers) = (platform.clone(), newcomers.clone());
        tokio::spawn(async move { platform.meet(ada("1"), newcomers).await })
    });
    let mut new = Vec::new();
    let mut known = Vec::new();
    for one in tries.collect::<Vec<_>>() {
        match one.await.expect("ran").expect("no error") {
            Met::New(user) => new.push(user),
            Met::Known(user) => known.push(user),
            Met::Stranger => panic!("newcomers are let in"),
        }
    }
    assert_eq!((new.len(), known.len()), (1, 15));
    assert!(known.iter().all(|user| *user == new[0]));
    let access = platform
        .access_of(world.org, new[0], None)
        .await
        .expect("looked")
        .expect("a member");
    assert_eq!(
        (access.role, access.user_name.as_str()),
        (MemberRole::Viewer, "Ada")
    );
    let elsewhere = platform.by_identity("https://other.test".to_owned(), "1".to_owned());
    assert_eq!(elsewhere.await.expect("looked"), None);
}

#[tokio::test]
async fn only_an_address_that_both_sides_verified_makes_two_one() {
    let world = World::new().await;
    let platform = world.store.platform();
    let with_email = |subject: &str| NewIdentity {
        email: Some(email("ada@example.com")),
        ..ada(subject)
    };
    platform
        .set_email(world.user, email("ada@example.com"), false)
        .await
        .expect("set");
    let met = platform
        .meet(with_email("1"), Newcomers::Nobody)
        .await
        .expect("no error");
    assert_eq!(met, Met::Stranger, "nobody showed here that it is theirs");
    platform
        .set_email(world.user, email("ada@example.com"), true)
        .await
        .expect("set");
    assert_eq!(
        platform
            .meet(ada("1"), Newcomers::Nobody)
            .await
            .expect("no error"),
        Met::Stranger,
        "the issuer did not verify it"
    );
    let met = platform
        .meet(with_email("1"), Newcomers::Nobody)
        .await
        .expect("no error");
    assert_eq!(met, Met::Known(world.user));
}

#[tokio::test]
async fn identities_are_linked_and_the_last_way_in_stays() {
    let world = World::new().await;
    let platform = world.store.platform();
    let other = platform.create_org("other".to_owned()).await.expect("made").1;
    for (user, subject, linked) in [
        (world.user, "1", true),
        (world.user, "1", true),
        (other, "1", false),
        (world.user, "2", true),
    ] {
        let done = platform.link_identity(user, ada(subject)).await;
        assert_eq!(done.expect("no error"), linked, "{subject}");
    }
    let all = platform.identities(world.user).await.expect("a list");
    assert_eq!(
        all.iter().map(|one| one.subject.as_str()).collect::<Vec<_>>(),
        ["1", "2"]
    );
    let foreign = platform.unlink_identity(other, all[0].id).await;
    assert!(matches!(foreign, Err(Error::NotFound("identity"))), "{foreign:?}");
    platform
        .unlink_identity(world.user, all[0].id)
        .await
        .expect("one is left");
    let last = platform.unlink_identity(world.user, all[1].id).await;
    assert!(matches!(last, Err(Error::LastWayIn)), "{last:?}");
    assert_eq!(platform.identities(world.user).await.expect("a list").len(), 1);
    platform
        .set_password(world.user, password(1), None)
        .await
        .expect("set");
    let nameless = platform.unlink_identity(world.user, all[1].id).await;
    assert!(
        matches!(nameless, Err(Error::LastWayIn)),
        "one signs in with an address and a password: {nameless:?}"
    );
    platform
        .set_email(world.user, email("ada@example.com"), true)
        .await
        .expect("set");
    platform
        .unlink_identity(world.user, all[1].id)
        .await
        .expect("a password is left");
    for number in 0..MAX_IDENTITIES {
        let one = ada(&format!("many {number}"));
        platform.link_identity(world.user, one).await.expect("linked");
    }
    let more = platform.link_identity(world.user, ada("more")).await;
    assert!(matches!(more, Err(Error::LimitReached { .. })), "{more:?}");
}
