//! Keys for access tokens: the same for every control, and sealed.

use creel_store::NewSigningKey;
use jiff::SignedDuration;
use zeroize::Zeroizing;

use crate::world::World;

fn key(world: &World, text: &str, hours: i64) -> NewSigningKey {
    NewSigningKey {
        private: Zeroizing::new(text.to_owned()),
        signs_from: world.now() + SignedDuration::from_hours(hours),
    }
}

#[tokio::test]
async fn of_16_controls_that_make_a_key_one_does() {
    let world = World::new().await;
    let platform = world.store.platform();
    let tries = (0..16).map(|number| {
        let (platform, key) = (platform.clone(), key(&world, &format!("key {number}"), 0));
        tokio::spawn(async move { platform.add_signing_key(key, None).await })
    });
    let mut made = 0;
    for one in tries.collect::<Vec<_>>() {
        made += usize::from(one.await.expect("ran").expect("no error"));
    }
    assert_eq!(made, 1);
    let first = platform.signing_keys().await.expect("keys");
    assert_eq!(first.len(), 1);
    let next = key(&world, "next", 24);
    let stale = platform.add_signing_key(next.clone(), None).await;
    assert!(!stale.expect("no error"));
    let known = Some(first[0].id.clone());
    assert!(platform.add_signing_key(next, known).await.expect("no error"));
    let both = platform.signing_keys().await.expect("keys");
    let texts: Vec<_> = both.iter().map(|key| key.private.as_str()).collect();
    assert_eq!(texts, [first[0].private.as_str(), "next"]);
    platform
        .remove_signing_key(first[0].id.clone())
        .await
        .expect("removed");
    assert_eq!(platform.signing_keys().await.expect("keys").len(), 1);
}
