//! Who belongs to an org: invited, let in, given a role, sent away.

use std::collections::BTreeSet;

use creel_domain::{MemberRole, Scope};
use creel_store::{Error, INVITATION_FOR, MAX_INVITATIONS, NewInvitation, NewToken};
use jiff::SignedDuration;

use crate::world::World;

fn invitation(world: &World, role: MemberRole, code: u8) -> NewInvitation {
    NewInvitation {
        role,
        by: world.user,
        hash: [code; 32],
    }
}

#[tokio::test]
async fn of_64_who_accept_one_invitation_at_once_one_is_let_in() {
    let world = World::new().await;
    world
        .org()
        .invite(invitation(&world, MemberRole::Developer, 1))
        .await
        .expect("invited");
    let platform = world.store.platform();
    let tries = (0..64_u8).map(|number| {
        let platform = platform.clone();
        tokio::spawn(async move {
            let token = [100 + number; 32];
            platform
                .accept_invitation([1; 32], None, format!("guest-{number}"), token)
                .await
        })
    });
    let tries: Vec<_> = tries.collect();
    let mut won = Vec::new();
    for one in tries {
        won.extend(one.await.expect("ran").expect("no error"));
    }
    assert_eq!(won.len(), 1, "{won:?}");
    assert_eq!(won[0].role, MemberRole::Developer);
    let members = world.org().members().await.expect("members");
    assert_eq!(members.len(), 2, "{members:?}");
    assert_eq!(members[1].name, won[0].user_name);
    assert_eq!(world.org().tokens(None).await.expect("tokens").len(), 1);
}

#[tokio::test]
async fn an_invitation_ends_by_age_by_use_and_by_being_revoked() {
    let world = World::new().await;
    let (org, platform) = (world.org(), world.store.platform());
    let accept = |code: u8, token: u8| {
        let platform = platform.clone();
        async move {
            platform
                .accept_invitation([code; 32], None, "guest".to_owned(), [token; 32])
                .await
                .expect("no error")
        }
    };
    org.invite(invitation(&world, MemberRole::Viewer, 1))
        .await
        .expect("invited");
    assert!(accept(2, 50).await.is_none(), "another code");
    assert!(accept(1, 51).await.is_some());
    assert!(accept(1, 52).await.is_none(), "used");

    let second = org
        .invite(invitation(&world, MemberRole::Viewer, 3))
        .await
        .expect("invited");
    org.revoke_invitation(second.id).await.expect("revoked");
    assert!(accept(3, 53).await.is_none(), "revoked");
    assert!(matches!(
        org.revoke_invitation(second.id).await,
        Err(Error::NotFound("invitation"))
    ));

    org.invite(invitation(&world, MemberRole::Viewer, 4))
        .await
        .expect("invited");
    world.clock.advance(INVITATION_FOR);
    assert!(accept(4, 54).await.is_none(), "too old");
    assert_eq!(org.invitations().await.expect("open"), []);
}

#[tokio::test]
async fn invitations_are_bounded_and_old_ones_make_room() {
    let world = World::new().await;
    for number in 0..MAX_INVITATIONS {
        let mut new = invitation(&world, MemberRole::Viewer, 0);
        new.hash[..8].copy_from_slice(&number.to_be_bytes());
        world.org().invite(new).await.expect("invited");
    }
    let one_more = async || {
        world
            .org()
            .invite(invitation(&world, MemberRole::Viewer, 255))
            .await
    };
    assert!(matches!(one_more().await, Err(Error::LimitReached { .. })));
    world.clock.advance(INVITATION_FOR);
    one_more().await.expect("there is room");
}

#[tokio::test]
async fn an_org_keeps_an_owner_and_nobody_reaches_above_themselves() {
    let world = World::new().await;
    let (org, platform) = (world.org(), world.store.platform());
    org.invite(invitation(&world, MemberRole::Admin, 1))
        .await
        .expect("invited");
    let admin = platform
        .accept_invitation([1; 32], None, "admin".to_owned(), [9; 32])
        .await
        .expect("no error")
        .expect("let in");
    let last = org
        .set_role(world.user, MemberRole::Viewer, MemberRole::Owner)
        .await;
    assert!(matches!(last, Err(Error::LastOwner)), "{last:?}");
    let leaves = org.remove_member(world.user, None).await;
    assert!(matches!(leaves, Err(Error::LastOwner)), "{leaves:?}");
    for outcome in [
        org.set_role(world.user, MemberRole::Viewer, MemberRole::Admin)
            .await
            .map(|_| ()),
        org.set_role(admin.user, MemberRole::Owner, MemberRole::Admin)
            .await
            .map(|_| ()),
        org.remove_member(world.user, Some(MemberRole::Admin)).await,
        org.remove_member(admin.user, Some(MemberRole::Developer)).await,
    ] {
        assert!(matches!(outcome, Err(Error::NotYours)), "{outcome:?}");
    }
    org.set_role(admin.user, MemberRole::Owner, MemberRole::Owner)
        .await
        .expect("promoted");
    org.remove_member(world.user, None)
        .await
        .expect("one owner stays");
    let members = org.members().await.expect("members");
    assert_eq!(
        members
            .iter()
            .map(|member| (member.user, member.role))
            .collect::<Vec<_>>(),
        [(admin.user, MemberRole::Owner)]
    );
}

#[tokio::test]
async fn whoever_is_removed_is_out_at_once_and_only_there() {
    let world = World::new().await;
    let (org, platform) = (world.org(), world.store.platform());
    let (elsewhere, host) = platform.create_org("elsewhere".to_owned()).await.expect("made");
    org.invite(invitation(&world, MemberRole::Viewer, 1))
        .await
        .expect("invited");
    let guest = platform
        .accept_invitation([1; 32], Some(host), "host".to_owned(), [2; 32])
        .await
        .expect("no error")
        .expect("let in");
    assert_eq!(
        (guest.org, guest.user, guest.role),
        (world.org, host, MemberRole::Viewer)
    );
    let home = NewToken::whole(host, "home", [3; 32]);
    world.store.org(elsewhere).add_token(home).await.expect("added");
    let session = |session: u8| {
        let platform = platform.clone();
        async move { platform.by_browser_session([session; 32]).await.expect("looked") }
    };
    let minutes = SignedDuration::from_mins(15);
    platform
        .add_sign_in_link(world.org, host, [4; 32], minutes)
        .await
        .expect("added");
    platform
        .use_sign_in_link([4; 32], crate::world::browser_session(5))
        .await
        .expect("used");
    assert!(session(5).await.is_some());

    org.invite(invitation(&world, MemberRole::Owner, 6))
        .await
        .expect("invited");
    let again = platform
        .accept_invitation([6; 32], Some(host), "again".to_owned(), [7; 32])
        .await;
    assert!(matches!(again, Err(Error::AlreadyMember)), "{again:?}");
    assert_eq!(
        org.invitations().await.expect("open").len(),
        1,
        "it is not used up"
    );

    org.remove_member(host, Some(MemberRole::Owner))
        .await
        .expect("removed");
    assert_eq!(platform.by_token([2; 32]).await.expect("looked"), None);
    assert_eq!(session(5).await, None);
    let at_home = platform
        .by_token([3; 32])
        .await
        .expect("looked")
        .expect("lets in");
    assert_eq!((at_home.org, at_home.role), (elsewhere, MemberRole::Owner));
}

#[tokio::test]
async fn a_token_has_its_scopes_and_its_end() {
    let world = World::new().await;
    let (org, platform) = (world.org(), world.store.platform());
    let scopes: BTreeSet<_> = [Scope::AgentsRead, Scope::ChatWrite].into();
    let token = NewToken {
        scopes: Some(scopes.clone()),
        expires_at: Some(world.now() + SignedDuration::from_mins(1)),
        ..NewToken::whole(world.user, "ci", [1; 32])
    };
    let stored = org.add_token(token).await.expect("added");
    assert_eq!(org.tokens(Some(world.user)).await.expect("tokens"), [stored]);
    let access = platform
        .by_token([1; 32])
        .await
        .expect("looked")
        .expect("lets in");
    assert_eq!((access.scopes, access.operator), (Some(scopes), true));
    world.clock.advance(SignedDuration::from_mins(1));
    assert_eq!(
        platform.by_token([1; 32]).await.expect("looked"),
        None,
        "its time is up"
    );
}
