//! Sign-in providers and sign-ins under way: sealed, bounded, good once.

use std::sync::Arc;

use creel_domain::{SsoKind, SsoNewcomers, SsoProviderId};
use creel_store::{
    Error, MAX_SSO_ATTEMPTS_OF_ONE, MAX_SSO_PROVIDERS, NewSsoAttempt, NewSsoProvider, SSO_ATTEMPT_FOR,
};
use zeroize::Zeroizing;

use crate::world::World;

fn provider(name: &str) -> NewSsoProvider {
    NewSsoProvider {
        name: name.parse().expect("a name"),
        label: name.to_uppercase(),
        kind: SsoKind::Oidc,
        issuer: format!("https://{name}.test"),
        client_id: "client".to_owned(),
        client_secret: Some(Zeroizing::new("planted-secret".to_owned())),
        newcomers: SsoNewcomers::Invited,
        email_domains: vec!["example.com".to_owned()],
    }
}

fn attempt(provider: SsoProviderId, mark: u16, network: Option<&str>) -> NewSsoAttempt {
    let mut hash = [0; 32];
    hash[..2].copy_from_slice(&mark.to_be_bytes());
    NewSsoAttempt {
        hash,
        provider,
        browser: [7; 32],
        network: network.map(str::to_owned),
        invitation: Some([8; 32]),
        return_to: "/device".to_owned(),
        link: None,
    }
}

#[tokio::test]
async fn a_client_secret_comes_back_whole_and_for_its_own_issuer_alone() {
    let world = World::new().await;
    let platform = world.store.platform();
    let added = platform
        .add_sso_provider(world.org, provider("a"))
        .await
        .expect("added");
    let (found, secret) = platform
        .sso_provider(added.name.clone())
        .await
        .expect("read")
        .expect("there");
    assert_eq!(found, added);
    assert_eq!(secret.expect("a secret").as_str(), "planted-secret");
    assert!(!format!("{found:?}").contains("planted"));
    world
        .engine
        .meddle("UPDATE sso_providers SET issuer = 'https://evil.test'");
    let moved = platform.sso_provider(added.name.clone()).await;
    assert!(matches!(moved, Err(Error::WrongKey)), "{moved:?}");
}

#[tokio::test]
async fn each_name_and_issuer_is_there_once_and_there_are_so_many() {
    let world = World::new().await;
    let platform = world.store.platform();
    platform
        .add_sso_provider(world.org, provider("a"))
        .await
        .expect("added");
    let same = platform.add_sso_provider(world.org, provider("a")).await;
    assert!(matches!(same, Err(Error::IssuerTaken(_))), "{same:?}");
    let named = NewSsoProvider {
        issuer: "https://b.test".to_owned(),
        ..provider("a")
    };
    let named = platform.add_sso_provider(world.org, named).await;
    assert!(matches!(named, Err(Error::NameTaken(_))), "{named:?}");
    for number in 1..MAX_SSO_PROVIDERS {
        let one = provider(&format!("n{number}"));
        platform.add_sso_provider(world.org, one).await.expect("added");
    }
    let more = platform.add_sso_provider(world.org, provider("more")).await;
    assert!(matches!(more, Err(Error::LimitReached { .. })), "{more:?}");
    let first = "a".parse().expect("a name");
    platform
        .remove_sso_provider(world.org, first)
        .await
        .expect("removed");
    platform
        .add_sso_provider(world.org, provider("more"))
        .await
        .expect("added");
}

#[tokio::test]
async fn of_64_who_finish_a_sign_in_one_does() {
    let world = World::new().await;
    // Two controls.
    let other = Arc::new(world.open().await.expect("opens"));
    let platform = world.store.platform();
    let provider = platform
        .add_sso_provider(world.org, provider("a"))
        .await
        .expect("added")
        .id;
    let new = attempt(provider, 1, None);
    platform.begin_sso(new.clone()).await.expect("begun");
    for (hash, browser, at) in [
        ([9; 32], new.browser, provider),
        (new.hash, [9; 32], provider),
        (
            new.hash,
            new.browser,
            SsoProviderId::from_uuid(uuid::Uuid::from_u128(7)),
        ),
    ] {
        assert_eq!(
            platform.finish_sso(hash, browser, at).await.expect("no error"),
            None
        );
    }
    let tries = (0..64).map(|number| {
        let platform = match number % 2 {
            0 => world.store.platform(),
            _ => other.platform(),
        };
        tokio::spawn(async move { platform.finish_sso(new_hash(), [7; 32], provider).await })
    });
    let mut finished = Vec::new();
    for one in tries.collect::<Vec<_>>() {
        finished.extend(one.await.expect("ran").expect("no error"));
    }
    assert_eq!(finished.len(), 1);
    assert_eq!(
        (finished[0].return_to.as_str(), finished[0].invitation),
        ("/device", Some([8; 32]))
    );
    other.close().await;
}

fn new_hash() -> [u8; 32] {
    attempt(SsoProviderId::from_uuid(uuid::Uuid::nil()), 1, None).hash
}

#[tokio::test]
async fn sign_ins_under_way_end_with_their_time_and_their_provider_and_are_bounded() {
    let world = World::new().await;
    let platform = world.store.platform();
    let added = platform
        .add_sso_provider(world.org, provider("a"))
        .await
        .expect("added");
    let most = u16::try_from(MAX_SSO_ATTEMPTS_OF_ONE).expect("small");
    for mark in 0..most {
        let one = attempt(added.id, mark, Some("192.0.2.7"));
        platform.begin_sso(one).await.expect("begun");
    }
    let more = platform
        .begin_sso(attempt(added.id, most, Some("192.0.2.7")))
        .await;
    assert!(matches!(more, Err(Error::TooManySignIns)), "{more:?}");
    let elsewhere = attempt(added.id, most, Some("192.0.2.8"));
    platform
        .begin_sso(elsewhere.clone())
        .await
        .expect("another network");
    world.clock.advance(SSO_ATTEMPT_FOR);
    let late = platform.finish_sso(elsewhere.hash, [7; 32], added.id).await;
    assert_eq!(late.expect("no error"), None);
    let again = attempt(added.id, most + 1, Some("192.0.2.7"));
    platform
        .begin_sso(again.clone())
        .await
        .expect("the old ones are gone");
    platform
        .remove_sso_provider(world.org, added.name)
        .await
        .expect("removed");
    assert_eq!(
        platform
            .finish_sso(again.hash, [7; 32], added.id)
            .await
            .expect("no error"),
        None
    );
    let nowhere = platform.begin_sso(again).await;
    assert!(matches!(nowhere, Err(Error::NotFound(_))), "{nowhere:?}");
}
