//! The queue of mails: leased, tried again, given up, bounded.

use creel_store::MailKind;
use jiff::SignedDuration;

use crate::world::{World, email};

const MINUTE: SignedDuration = SignedDuration::from_mins(1);

#[tokio::test]
async fn a_mail_is_one_senders_until_its_lease_is_over() {
    let mut world = World::new().await;
    let platform = world.store.platform();
    for name in ["first@example.com", "second@example.com"] {
        platform
            .enqueue_mail(email(name), MailKind::Reset)
            .await
            .expect("queued");
        world.clock.advance(SignedDuration::from_secs(1));
    }
    world.reopen().await;
    let platform = world.store.platform();
    let first = platform.lease_mail(MINUTE).await.expect("leased").expect("one");
    assert_eq!((first.address.as_str(), first.attempts), ("first@example.com", 1));
    let second = platform.lease_mail(MINUTE).await.expect("leased").expect("one");
    assert_eq!(second.address.as_str(), "second@example.com");
    assert_eq!(platform.lease_mail(MINUTE).await.expect("looked"), None);
    platform.mail_done(second.id).await.expect("done");
    world.clock.advance(MINUTE);
    // Whoever had the first one died.
    let again = platform.lease_mail(MINUTE).await.expect("leased").expect("one");
    assert_eq!((again.id, again.attempts), (first.id, 2));
    assert_eq!(platform.lease_mail(MINUTE).await.expect("looked"), None);
}

#[tokio::test]
async fn of_many_senders_each_gets_another_mail() {
    let world = World::new().await;
    let other = world.open().await.expect("another control");
    for each in 0..20 {
        let address = email(&format!("p{each}@example.com"));
        let platform = world.store.platform();
        platform
            .enqueue_mail(address, MailKind::Reset)
            .await
            .expect("queued");
    }
    let senders = (0..40).map(|each| {
        let store = if each % 2 == 0 { &world.store } else { &other };
        let platform = store.platform();
        tokio::spawn(async move { platform.lease_mail(MINUTE).await })
    });
    let mut leased = std::collections::BTreeSet::new();
    for each in senders.collect::<Vec<_>>() {
        if let Some(mail) = each.await.expect("ran").expect("no error") {
            assert!(leased.insert(mail.id), "twice");
        }
    }
    assert_eq!(leased.len(), 20);
}

#[tokio::test]
async fn a_mail_that_fails_waits_and_is_given_up_in_the_end() {
    let world = World::new().await;
    let platform = world.store.platform();
    let queue = async |name: &str| {
        let queued = platform.enqueue_mail(email(name), MailKind::Reset).await;
        queued.expect("queued");
        platform.lease_mail(MINUTE).await.expect("leased").expect("one")
    };
    let mail = queue("ada@example.com").await;
    let dead = platform
        .mail_failed(&mail, "no route".into(), Some(MINUTE * 5))
        .await;
    assert!(!dead.expect("noted"));
    world.clock.advance(MINUTE * 4);
    assert_eq!(platform.lease_mail(MINUTE).await.expect("looked"), None);
    world.clock.advance(MINUTE);
    let mail = platform.lease_mail(MINUTE).await.expect("leased").expect("again");
    let late = platform
        .mail_failed(&mail, "no route".into(), Some(MINUTE * 60 * 24))
        .await;
    assert!(late.expect("noted"), "who waited has asked again by then");
    assert_eq!(platform.mail_counts().await.expect("counted"), (0, 1));
    let mail = queue("bob@example.com").await;
    assert!(
        platform
            .mail_failed(&mail, "no such mailbox".into(), None)
            .await
            .expect("noted")
    );
    assert_eq!(platform.mail_counts().await.expect("counted"), (0, 2));
    world.clock.advance(MINUTE * 60);
    assert_eq!(platform.lease_mail(MINUTE).await.expect("looked"), None);
}
