//! Addresses, passwords, and becoming somebody by a mailed code.

use creel_domain::{MemberRole, OrgId, UserId};
use creel_store::{MailKind, NewInvitation, NewPerson, Prepared, Purpose, SignedUp};
use jiff::SignedDuration;

use crate::world::{World, browser_session, email, password};

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Has a mail of this kind prepared; its code has the mark.
async fn mail(world: &World, address: &str, kind: MailKind, mark: u8) -> Prepared {
    let platform = world.store.platform();
    platform.enqueue_mail(email(address), kind).await.expect("queued");
    let mail = platform.lease_mail(DAY).await.expect("leased").expect("a mail");
    let prepared = platform.prepare_mail(&mail, [mark; 32]).await.expect("prepared");
    platform.mail_done(mail.id).await.expect("done");
    prepared
}

fn person(code: u8, org_name: Option<&str>) -> NewPerson {
    NewPerson {
        code: [code; 32],
        name: "Ada".into(),
        password: password(code),
        session: browser_session(code),
        org_name: org_name.map(Into::into),
    }
}

async fn sign_up(world: &World, address: &str, code: u8) -> (OrgId, UserId) {
    let kind = MailKind::SignUp { invitation: None };
    let prepared = mail(world, address, kind, code).await;
    assert!(matches!(prepared, Prepared::Code { .. }), "{prepared:?}");
    let done = world
        .store
        .platform()
        .sign_up(person(code, Some("Ada's")))
        .await
        .expect("no error");
    match done {
        SignedUp::Done { org, user } => (org, user),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn one_address_is_one_persons_and_a_person_has_one() {
    let world = World::new().await;
    let platform = world.store.platform();
    let (_, other) = platform.create_org("other".into()).await.expect("made");
    let ada = email("ada@example.com");
    assert_eq!(platform.person_by_email(ada.clone()).await.expect("looked"), None);
    assert!(
        platform
            .set_email(world.user, ada.clone(), false)
            .await
            .expect("set")
    );
    assert!(
        !platform
            .set_email(other, ada.clone(), true)
            .await
            .expect("refused")
    );
    let found = platform
        .person_by_email(ada.clone())
        .await
        .expect("looked")
        .expect("there");
    assert_eq!(
        (found.user, found.verified_at, found.password),
        (world.user, None, None)
    );
    assert!(found.operator && !found.second_factor);
    let new = email("ada@engines.example");
    assert!(
        platform
            .set_email(world.user, new.clone(), true)
            .await
            .expect("set")
    );
    assert_eq!(platform.person_by_email(ada.clone()).await.expect("looked"), None);
    let found = platform.person(world.user).await.expect("there");
    assert_eq!((found.email, found.verified_at), (Some(new), Some(world.now())));
    assert!(platform.set_email(other, ada, false).await.expect("free again"));
}

#[tokio::test]
async fn a_new_password_ends_the_sessions_that_the_old_one_opened() {
    let world = World::new().await;
    let platform = world.store.platform();
    let mut ids = Vec::new();
    for mark in [1, 2] {
        let opened = platform
            .open_browser_session(world.org, world.user, browser_session(mark))
            .await;
        ids.push(opened.expect("opened"));
    }
    platform
        .set_password(world.user, password(9), Some(ids[0]))
        .await
        .expect("set");
    let left = platform.browser_sessions(world.user).await.expect("listed");
    assert_eq!(
        left.iter().map(|session| session.id).collect::<Vec<_>>(),
        [ids[0]]
    );
    let found = platform.person(world.user).await.expect("there");
    assert_eq!(found.password, Some(password(9)));
    let strong = creel_store::PasswordHash {
        passes: 3,
        ..password(9)
    };
    platform
        .rehash_password(world.user, password(8), strong)
        .await
        .expect("no error");
    let found = platform.person(world.user).await.expect("there");
    assert_eq!(found.password, Some(password(9)), "another one by now");
    platform
        .rehash_password(world.user, password(9), strong)
        .await
        .expect("no error");
    let found = platform.person(world.user).await.expect("there");
    assert_eq!(found.password, Some(strong));
}

#[tokio::test]
async fn a_mailed_code_makes_a_user_with_an_org_of_their_own_once() {
    let world = World::new().await;
    let platform = world.store.platform();
    let (org, user) = sign_up(&world, "ada@example.com", 1).await;
    let found = platform.person(user).await.expect("there");
    assert_eq!(found.email, Some(email("ada@example.com")));
    assert!(found.verified_at.is_some() && !found.operator);
    let orgs = platform.memberships(user).await.expect("listed");
    assert_eq!(
        (orgs[0].org, orgs[0].role, orgs.len()),
        (org, MemberRole::Owner, 1)
    );
    let session = platform
        .by_browser_session([1; 32])
        .await
        .expect("looked")
        .expect("open");
    assert_eq!(
        (session.access.user, session.access.user_name.as_str()),
        (user, "Ada")
    );

    let again = platform.sign_up(person(1, Some("x"))).await.expect("no error");
    assert_eq!(again, SignedUp::Unknown, "used up");
    let kind = MailKind::SignUp { invitation: None };
    assert_eq!(mail(&world, "ada@example.com", kind, 2).await, Prepared::Known);
}

#[tokio::test]
async fn of_two_codes_for_one_address_the_second_finds_it_taken_and_old_ones_are_not_good() {
    let world = World::new().await;
    let platform = world.store.platform();
    let kind = || MailKind::SignUp { invitation: None };
    mail(&world, "ada@example.com", kind(), 1).await;
    mail(&world, "ada@example.com", kind(), 2).await;
    let code = platform
        .code_address(Purpose::SignUp, [2; 32])
        .await
        .expect("looked");
    assert_eq!(code, Some(email("ada@example.com")));
    let other = platform
        .code_address(Purpose::Reset, [2; 32])
        .await
        .expect("looked");
    assert_eq!(other, None, "good for one purpose");
    let nobody = platform.sign_up(person(1, None)).await.expect("no error");
    assert_eq!(nobody, SignedUp::Unknown, "nobody comes uninvited");
    mail(&world, "ada@example.com", kind(), 3).await;
    let done = platform
        .sign_up(person(3, Some("Ada's")))
        .await
        .expect("no error");
    assert!(matches!(done, SignedUp::Done { .. }), "{done:?}");
    let taken = platform
        .sign_up(person(2, Some("Ada's")))
        .await
        .expect("no error");
    assert_eq!(taken, SignedUp::Taken);
    mail(&world, "bob@example.com", kind(), 4).await;
    world.clock.advance(DAY);
    let late = platform
        .sign_up(person(4, Some("Bob's")))
        .await
        .expect("no error");
    assert_eq!(late, SignedUp::Unknown);
}

fn invitation(world: &World, mark: u8) -> NewInvitation {
    NewInvitation {
        role: MemberRole::Developer,
        by: world.user,
        hash: [mark; 32],
    }
}

#[tokio::test]
async fn who_was_invited_by_mail_joins_with_that_code_alone() {
    let world = World::new().await;
    let platform = world.store.platform();
    world
        .org()
        .invite_by_mail(invitation(&world, 1), email("ada@example.com"))
        .await
        .expect("invited");
    let queued = platform.lease_mail(DAY).await.expect("leased").expect("a mail");
    let prepared = platform.prepare_mail(&queued, [2; 32]).await.expect("prepared");
    let Prepared::Invited { org_name, by, .. } = prepared else {
        panic!("{prepared:?}")
    };
    assert_eq!((org_name.as_str(), by.as_str()), ("default", "owner"));
    let first = platform
        .code_address(Purpose::SignUp, [1; 32])
        .await
        .expect("looked");
    assert_eq!(first, None, "whoever invited has no code");
    let done = platform.sign_up(person(2, None)).await.expect("no error");
    let SignedUp::Done { org, user } = done else {
        panic!("{done:?}")
    };
    assert_eq!(org, world.org);
    let members = world.org().members().await.expect("listed");
    assert!(
        members
            .iter()
            .any(|member| member.user == user && member.role == MemberRole::Developer)
    );
    assert!(platform.person(user).await.expect("there").verified_at.is_some());
    assert_eq!(world.org().invitations().await.expect("listed"), []);
}

#[tokio::test]
async fn an_invitation_by_hand_needs_a_mailed_code_of_their_own() {
    let world = World::new().await;
    let platform = world.store.platform();
    world.org().invite(invitation(&world, 1)).await.expect("invited");
    assert!(platform.is_invited([1; 32]).await.expect("looked"));
    let direct = platform.sign_up(person(1, Some("x"))).await.expect("no error");
    assert_eq!(direct, SignedUp::Unknown, "it says nothing of an address");
    let kind = MailKind::SignUp {
        invitation: Some([1; 32]),
    };
    mail(&world, "ada@example.com", kind.clone(), 2).await;
    mail(&world, "bob@example.com", kind, 3).await;
    let done = platform.sign_up(person(2, None)).await.expect("no error");
    assert!(
        matches!(done, SignedUp::Done { org, .. } if org == world.org),
        "{done:?}"
    );
    let second = platform.sign_up(person(3, None)).await.expect("no error");
    assert_eq!(second, SignedUp::Unknown, "good for one person");
    assert_eq!(
        platform
            .person_by_email(email("bob@example.com"))
            .await
            .expect("looked"),
        None
    );
}

#[tokio::test]
async fn of_64_who_sign_up_by_one_invitation_at_once_one_is_let_in() {
    let world = World::new().await;
    let platform = world.store.platform();
    world
        .org()
        .invite(invitation(&world, 200))
        .await
        .expect("invited");
    for code in 1..=64 {
        let kind = MailKind::SignUp {
            invitation: Some([200; 32]),
        };
        mail(&world, &format!("p{code}@example.com"), kind, code).await;
    }
    let tries = (1..=64).map(|code| {
        let platform = platform.clone();
        tokio::spawn(async move { platform.sign_up(person(code, None)).await })
    });
    let mut let_in = 0;
    for each in tries.collect::<Vec<_>>() {
        let done = each.await.expect("ran").expect("no error");
        let_in += usize::from(matches!(done, SignedUp::Done { .. }));
    }
    assert_eq!(let_in, 1);
    assert_eq!(world.org().members().await.expect("listed").len(), 2);
}

#[tokio::test]
async fn a_reset_sets_the_password_once_and_ends_everything_else() {
    let world = World::new().await;
    let platform = world.store.platform();
    let (_, user) = sign_up(&world, "ada@example.com", 1).await;
    assert_eq!(
        mail(&world, "nobody@example.com", MailKind::Reset, 2).await,
        Prepared::Nothing
    );
    mail(&world, "ada@example.com", MailKind::Reset, 3).await;
    mail(&world, "ada@example.com", MailKind::Reset, 4).await;
    platform.open_half_session(user, [70; 32]).await.expect("opened");
    let done = platform
        .reset_password([3; 32], password(30))
        .await
        .expect("no error");
    assert_eq!(done, Some((user, email("ada@example.com"))));
    assert_eq!(
        platform.person(user).await.expect("there").password,
        Some(password(30))
    );
    assert_eq!(platform.by_browser_session([1; 32]).await.expect("looked"), None);
    assert_eq!(platform.try_half_session([70; 32]).await.expect("looked"), None);
    for used in [3, 4] {
        let again = platform.reset_password([used; 32], password(31)).await;
        assert_eq!(again.expect("no error"), None, "{used}");
    }
    mail(&world, "ada@example.com", MailKind::Reset, 5).await;
    world.clock.advance(SignedDuration::from_hours(1));
    let late = platform
        .reset_password([5; 32], password(31))
        .await
        .expect("no error");
    assert_eq!(late, None);
    mail(&world, "ada@example.com", MailKind::Reset, 6).await;
    platform
        .set_email(user, email("new@example.com"), true)
        .await
        .expect("set");
    let moved = platform
        .reset_password([6; 32], password(31))
        .await
        .expect("no error");
    assert_eq!(moved, None, "the old address says nothing any more");
}

#[tokio::test]
async fn an_address_is_verified_by_its_own_code() {
    let world = World::new().await;
    let platform = world.store.platform();
    let kind = || MailKind::Verify { user: world.user };
    mail(&world, "ada@example.com", kind(), 1).await;
    let done = platform.verify_email([1; 32]).await.expect("no error");
    assert_eq!(done, Some((world.user, email("ada@example.com"))));
    assert!(
        platform
            .person(world.user)
            .await
            .expect("there")
            .verified_at
            .is_some()
    );
    assert_eq!(platform.verify_email([1; 32]).await.expect("no error"), None);
    // Somebody else was faster.
    mail(&world, "bob@example.com", kind(), 2).await;
    sign_up(&world, "bob@example.com", 3).await;
    assert_eq!(platform.verify_email([2; 32]).await.expect("no error"), None);
    let found = platform.person(world.user).await.expect("there");
    assert_eq!(found.email, Some(email("ada@example.com")));
    assert_eq!(mail(&world, "bob@example.com", kind(), 4).await, Prepared::Known);
}
