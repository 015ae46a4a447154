//! Certificates: wanted once, got by one, kept sealed.

use creel_store::{Error, MAX_CERTIFICATES_OF_ORG, NewCertificate};
use jiff::SignedDuration;

use crate::world::World;

const HOST: &str = "chat.example.com";
const LEASE: SignedDuration = SignedDuration::from_secs(150);

fn host() -> String {
    HOST.to_owned()
}

fn got(world: &World) -> NewCertificate {
    let days = |days: i64| world.now() + SignedDuration::from_hours(24 * days);
    NewCertificate {
        pem: "-----BEGIN PLANTED KEY-----".to_owned().into(),
        issued_at: world.now(),
        not_after: days(90),
        renew_at: days(60),
    }
}

#[tokio::test]
async fn a_certificate_is_got_by_one_and_got_anew_in_time() {
    let world = World::new().await;
    let platform = world.store.platform();
    for _ in 0..2 {
        platform
            .want_certificate(host(), Some(world.org))
            .await
            .expect("wanted");
    }
    let due = async || platform.due_certificates(10).await.expect("a list");
    assert_eq!(due().await, [HOST]);
    let leased = async || {
        platform
            .lease_certificate(host(), LEASE, 50)
            .await
            .expect("a try")
    };
    assert!(leased().await && !leased().await, "one is at it");
    assert_eq!(due().await, Vec::<String>::new());
    platform
        .set_challenge(host(), "token".into(), "proof".into())
        .await
        .expect("set");
    let challenge = async || platform.challenge(HOST).await.expect("a look");
    assert_eq!(challenge().await, Some(("token".to_owned(), "proof".to_owned())));
    // Whoever was at it has died.
    world.clock.advance(LEASE);
    assert_eq!(due().await, [HOST]);
    assert!(leased().await);
    platform
        .keep_certificate(host(), got(&world))
        .await
        .expect("kept");
    assert_eq!(challenge().await, None);
    let there = platform.certificate(HOST).await.expect("a look").expect("there");
    assert_eq!(there.pem.expect("got").as_str(), "-----BEGIN PLANTED KEY-----");
    assert_eq!(due().await, Vec::<String>::new());
    world.clock.advance(SignedDuration::from_hours(24 * 60));
    assert_eq!(due().await, [HOST]);
    let later = world.now() + LEASE;
    platform
        .fail_certificate(host(), "It is refused.".into(), later)
        .await
        .expect("told");
    let there = platform.certificate(HOST).await.expect("a look").expect("there");
    assert!(there.pem.is_some(), "the one before goes on");
    assert_eq!(
        (there.failures, there.next_at, there.problem.as_str()),
        (1, later, "It is refused.")
    );
    let state = platform
        .certificate_state(HOST)
        .await
        .expect("a look")
        .expect("there");
    assert_eq!((state.not_after, state.problem), (there.not_after, there.problem));
    platform.forget_certificate(host()).await.expect("forgotten");
    assert!(platform.certificate(HOST).await.expect("a look").is_none());
}

#[tokio::test]
async fn orders_and_names_are_bounded() {
    let world = World::new().await;
    let platform = world.store.platform();
    for number in 0..MAX_CERTIFICATES_OF_ORG {
        let host = format!("n{number}.example.com");
        platform
            .want_certificate(host.clone(), Some(world.org))
            .await
            .expect("wanted");
        let leased = platform.lease_certificate(host, LEASE, 3).await.expect("a try");
        assert_eq!(leased, number < 3, "{number}");
    }
    let past = platform.want_certificate(host(), Some(world.org)).await;
    assert!(matches!(past, Err(Error::LimitReached { .. })), "{past:?}");
    platform
        .want_certificate(host(), None)
        .await
        .expect("Creel's own");
    world.clock.advance(SignedDuration::from_hours(1));
    assert!(platform.lease_certificate(host(), LEASE, 3).await.expect("a try"));
}

#[tokio::test]
async fn who_we_are_at_an_authority_is_made_once() {
    let mut world = World::new().await;
    let directory = "https://acme.example/directory";
    let first = world.store.platform().add_acme_account(directory, "first").await;
    assert_eq!(first.expect("kept").as_str(), "first");
    let second = world.store.platform().add_acme_account(directory, "second").await;
    assert_eq!(
        second.expect("kept").as_str(),
        "first",
        "another control was faster"
    );
    world.reopen().await;
    let kept = world
        .store
        .platform()
        .acme_account(directory)
        .await
        .expect("a look");
    assert_eq!(kept.expect("there").as_str(), "first");
}
