//! Sessions of browsers: secrets that are exchanged, sessions that end.

use creel_domain::{BrowserSessionAge, Shown, Verdict};
use creel_store::Error;
use jiff::SignedDuration;

use crate::world::{World, browser_session};

async fn shown(world: &World, mark: u8) -> Option<(Shown, Verdict)> {
    let found = world.store.platform().by_browser_session([mark; 32]).await;
    found
        .expect("looked")
        .map(|found| (found.shown, found.age.verdict(found.shown, world.now())))
}

async fn open(world: &World, mark: u8) -> creel_domain::BrowserSessionId {
    let platform = world.store.platform();
    platform
        .open_browser_session(world.org, world.user, browser_session(mark))
        .await
        .expect("opened")
}

/// What a control does with a request that shows the secret `mark`.
async fn request(world: &World, mark: u8, fresh: u8) -> bool {
    let platform = world.store.platform();
    let found = platform.by_browser_session([mark; 32]).await.expect("looked");
    let Some(found) = found else { return false };
    match found.age.verdict(found.shown, world.now()) {
        Verdict::Good {
            rotate: false,
            note: false,
        } => true,
        Verdict::Good { rotate, .. } => {
            let fresh = rotate.then_some([fresh; 32]);
            platform
                .note_browser_session(&found, [mark; 32], fresh)
                .await
                .expect("noted");
            true
        }
        Verdict::Over | Verdict::Copied => {
            platform
                .note_browser_session(&found, [mark; 32], None)
                .await
                .expect("ended");
            false
        }
    }
}

#[tokio::test]
async fn a_secret_is_exchanged_and_the_old_one_is_good_until_the_new_one_was_seen() {
    let world = World::new().await;
    open(&world, 1).await;
    world.clock.advance(BrowserSessionAge::ROTATE_EVERY);
    assert!(request(&world, 1, 2).await);
    assert_eq!(
        shown(&world, 1).await.map(|(shown, _)| shown),
        Some(Shown::Previous)
    );
    // The answer was lost: the old one goes on, and is exchanged again.
    world.clock.advance(BrowserSessionAge::ROTATE_AGAIN);
    assert!(request(&world, 1, 3).await);
    assert_eq!(shown(&world, 2).await, None, "it never arrived");
    // The new one is seen; the old one has a minute, and then ends the session for both.
    assert!(request(&world, 3, 0).await);
    assert!(request(&world, 1, 0).await);
    world.clock.advance(BrowserSessionAge::GRACE);
    assert!(!request(&world, 1, 0).await);
    assert_eq!(shown(&world, 3).await, None);
}

#[tokio::test]
async fn of_many_at_once_one_exchanges_the_secret() {
    let world = World::new().await;
    open(&world, 1).await;
    world.clock.advance(BrowserSessionAge::ROTATE_EVERY);
    let platform = world.store.platform();
    let found = platform
        .by_browser_session([1; 32])
        .await
        .expect("looked")
        .expect("there");
    let tries = (10..30).map(|fresh| {
        let (platform, found) = (platform.clone(), found.clone());
        tokio::spawn(async move {
            platform
                .note_browser_session(&found, [1; 32], Some([fresh; 32]))
                .await
        })
    });
    let mut exchanged = 0;
    for each in tries.collect::<Vec<_>>() {
        exchanged += usize::from(each.await.expect("ran").expect("no error"));
    }
    assert_eq!(exchanged, 1);
    assert_eq!(
        shown(&world, 1).await.map(|(shown, _)| shown),
        Some(Shown::Previous)
    );
}

#[tokio::test]
async fn sessions_end_unused_and_however_used() {
    let world = World::new().await;
    open(&world, 1).await;
    world.clock.advance(BrowserSessionAge::IDLE);
    assert_eq!(shown(&world, 1).await, Some((Shown::Current, Verdict::Over)));
    assert!(!request(&world, 1, 0).await);
    assert_eq!(shown(&world, 1).await, None);

    open(&world, 2).await;
    let day = SignedDuration::from_hours(24);
    for each in 0..29 {
        world.clock.advance(day);
        assert!(request(&world, each + 2, each + 3).await, "day {each}");
    }
    world.clock.advance(day);
    assert!(!request(&world, 31, 0).await, "thirty days are over");
}

#[tokio::test]
async fn a_renewed_secret_leaves_no_grace_to_the_old_one() {
    let world = World::new().await;
    let id = open(&world, 1).await;
    let platform = world.store.platform();
    assert!(
        platform
            .renew_browser_session(id, [2; 32], true)
            .await
            .expect("renewed")
    );
    assert_eq!(shown(&world, 1).await, None);
    assert!(shown(&world, 2).await.is_some());
    platform.end_browser_session([2; 32]).await.expect("ended");
    assert!(
        !platform
            .renew_browser_session(id, [3; 32], false)
            .await
            .expect("nothing there")
    );
}

#[tokio::test]
async fn a_session_goes_on_in_another_org_of_its_user_and_in_no_other() {
    let world = World::new().await;
    let platform = world.store.platform();
    let (other, _) = platform.create_org("other".into()).await.expect("made");
    let id = open(&world, 1).await;
    let refused = platform
        .switch_browser_session(id, world.user, other, [2; 32])
        .await;
    assert!(matches!(refused, Err(Error::NotFound("org"))), "{refused:?}");
    let theirs = platform.create_org("third".into()).await.expect("made");
    let invitation = creel_store::NewInvitation {
        role: creel_domain::MemberRole::Viewer,
        by: theirs.1,
        hash: [50; 32],
    };
    world
        .store
        .org(theirs.0)
        .invite(invitation)
        .await
        .expect("invited");
    platform
        .accept_invitation([50; 32], Some(world.user), "me".into(), [51; 32])
        .await
        .expect("no error")
        .expect("let in");
    platform
        .switch_browser_session(id, world.user, theirs.0, [2; 32])
        .await
        .expect("switched");
    let found = platform
        .by_browser_session([2; 32])
        .await
        .expect("looked")
        .expect("there");
    assert_eq!(
        (found.access.org, found.access.org_name.as_str()),
        (theirs.0, "third")
    );
    let orgs = platform.memberships(world.user).await.expect("listed");
    let names: Vec<_> = orgs.iter().map(|org| org.org_name.as_str()).collect();
    assert_eq!(names, ["default", "third"]);
}

#[tokio::test]
async fn a_user_lists_and_ends_their_own_sessions_only() {
    let world = World::new().await;
    let platform = world.store.platform();
    let (other, stranger) = platform.create_org("other".into()).await.expect("made");
    let first = open(&world, 1).await;
    world.clock.advance(SignedDuration::from_secs(1));
    let second = open(&world, 2).await;
    let theirs = platform
        .open_browser_session(other, stranger, browser_session(3))
        .await
        .expect("opened");
    let listed = platform.browser_sessions(world.user).await.expect("listed");
    let seen: Vec<_> = listed
        .iter()
        .map(|session| (session.id, session.browser.as_str()))
        .collect();
    assert_eq!(seen, [(second, "browser 2"), (first, "browser 1")]);
    let refused = platform.end_browser_session_of(world.user, theirs).await;
    assert!(matches!(refused, Err(Error::NotFound("session"))), "{refused:?}");
    platform
        .end_browser_session_of(world.user, first)
        .await
        .expect("ended");
    assert_eq!(shown(&world, 1).await, None);
    assert_eq!(platform.end_browser_sessions(world.user).await.expect("ended"), 1);
    assert_eq!(shown(&world, 2).await, None);
    assert!(shown(&world, 3).await.is_some(), "somebody else's");
    let nobody = platform
        .open_browser_session(other, world.user, browser_session(4))
        .await;
    assert!(matches!(nobody, Err(Error::NotFound(_))), "not a member there");
}

#[tokio::test]
async fn of_too_many_sessions_the_oldest_end() {
    let world = World::new().await;
    for mark in 1..=60 {
        world.clock.advance(SignedDuration::from_secs(1));
        open(&world, mark).await;
    }
    let mut left = Vec::new();
    for mark in 1..=60 {
        left.extend(shown(&world, mark).await.map(|_| mark));
    }
    assert_eq!(left, (11..=60).collect::<Vec<_>>());
}
