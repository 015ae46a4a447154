//! A Vault behind the master key, and an org's own: over real sockets, in every mood.

use std::{sync::Arc, time::Duration};

use creel_domain::TransitKey;
use creel_store::{KeyEncryption, MasterKeys, WrapError};
use creel_testkit::{FakeVault, VaultMood};
use serde_json::json;
use zeroize::Zeroizing;

use super::{
    World,
    secrets::{put, set},
    wait,
};
use crate::{Transit, VaultToken};

pub(super) const TOKEN: &str = "hvs.good-token";

fn transit(vault: &FakeVault, token: VaultToken) -> Transit {
    let key = TransitKey::new(&vault.address(), "transit", "creel").expect("a key");
    Transit::new(key, token).expect("a client")
}

fn given(text: &str) -> VaultToken {
    VaultToken::Given(Zeroizing::new(text.to_owned()))
}

pub(super) fn keys(vault: &FakeVault) -> MasterKeys {
    MasterKeys::by(Arc::new(transit(vault, given(TOKEN))))
}

#[tokio::test]
async fn transit_wraps_unwraps_and_rewraps_and_each_failure_has_its_name() {
    let vault = FakeVault::start(TOKEN).await.expect("a vault");
    let key = transit(&vault, given(TOKEN));
    let wrapped = key.wrap(b"a key").await.expect("wrapped");
    assert_eq!(wrapped.by, "vault:transit/creel");
    vault.set_key("transit/creel", Some(2));
    let again = key.rewrap(&wrapped.by, &wrapped.bytes).await.expect("rewrapped");
    assert!(again.bytes.starts_with(b"vault:v2:"));
    for bytes in [&wrapped.bytes, &again.bytes] {
        let plain = key.unwrap(&wrapped.by, bytes).await.expect("unwrapped");
        assert_eq!(plain.as_slice(), b"a key");
    }
    for foreign in [b"vault:v1:bm8=".as_slice(), &[0xff]] {
        let foreign = key.unwrap(&wrapped.by, foreign).await;
        assert!(matches!(foreign, Err(WrapError::WrongKey { .. })), "{foreign:?}");
    }

    type Is = fn(&WrapError) -> bool;
    let elsewhere = FakeVault::start(TOKEN).await.expect("another vault");
    let moods: [(VaultMood, Is); 9] = [
        (VaultMood::Status(403), |e| matches!(e, WrapError::Denied { .. })),
        (VaultMood::Status(404), |e| matches!(e, WrapError::NoKey { .. })),
        (VaultMood::Status(429), |e| matches!(e, WrapError::Busy { .. })),
        (VaultMood::Status(500), |e| {
            matches!(e, WrapError::Unreachable { .. })
        }),
        (VaultMood::Status(503), |e| matches!(e, WrapError::Sealed { .. })),
        (VaultMood::Garbage, |e| matches!(e, WrapError::Garbage { .. })),
        (VaultMood::Half, |e| matches!(e, WrapError::Unreachable { .. })),
        (VaultMood::Endless, |e| matches!(e, WrapError::Garbage { .. })),
        (VaultMood::Redirects(elsewhere.address()), |e| {
            matches!(e, WrapError::Garbage { .. })
        }),
    ];
    for (mood, is) in moods {
        vault.set_mood(mood.clone());
        let failed = key.unwrap(&again.by, &again.bytes).await.expect_err("refused");
        assert!(is(&failed), "{mood:?}: {failed:?}");
        assert!(!failed.to_string().contains(TOKEN));
    }
    assert_eq!(elsewhere.asked(), Vec::<String>::new(), "no token goes elsewhere");
    vault.set_mood(VaultMood::Empty);
    let empty = key.wrap(b"a key").await;
    assert!(matches!(empty, Err(WrapError::Garbage { .. })), "{empty:?}");
    vault.set_mood(VaultMood::Works);
    vault.set_key("transit/creel", None);
    let gone = key.unwrap(&again.by, &again.bytes).await;
    assert!(matches!(gone, Err(WrapError::NoKey { .. })), "{gone:?}");
    vault.set_token("another");
    let denied = key.wrap(b"a key").await;
    assert!(matches!(denied, Err(WrapError::Denied { .. })), "{denied:?}");
    drop(vault);
    let down = key.wrap(b"a key").await;
    assert!(matches!(down, Err(WrapError::Unreachable { .. })), "{down:?}");
}

#[tokio::test]
async fn a_vault_that_hangs_is_given_up_in_seconds() {
    let vault = FakeVault::start(TOKEN).await.expect("a vault");
    let key = transit(&vault, given(TOKEN));
    vault.set_mood(VaultMood::Hangs);
    let hung = tokio::time::timeout(Duration::from_secs(20), key.wrap(b"a key")).await;
    assert!(matches!(hung, Ok(Err(WrapError::Unreachable { .. }))), "{hung:?}");
}

#[tokio::test]
async fn a_token_in_a_file_is_read_at_each_use() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("token");
    let vault = FakeVault::start(TOKEN).await.expect("a vault");
    let key = transit(&vault, VaultToken::File(path.clone()));
    let missing = key.wrap(b"a key").await;
    assert!(matches!(missing, Err(WrapError::File { .. })), "{missing:?}");
    std::fs::write(&path, format!("{TOKEN}\n")).expect("written");
    key.wrap(b"a key").await.expect("wrapped");
    vault.set_token("renewed");
    std::fs::write(&path, "renewed").expect("written");
    key.wrap(b"a key").await.expect("wrapped with the new one");
}

#[tokio::test]
async fn with_its_vault_sealed_creel_says_so_and_goes_on_with_the_rest() {
    let vault = FakeVault::start(TOKEN).await.expect("a vault");
    let world = World::with_keys(keys(&vault)).await;
    vault.set_mood(VaultMood::Status(503));
    // Nothing was sealed yet, so a key has to be made.
    let refused = set(&world, "/v1/secrets/X", "x").await;
    let sentence = refused.problem("master_key_unavailable").await;
    assert!(
        !sentence.contains("127.0.0.1"),
        "who asks need not know where it is: {sentence}"
    );
    world.create("scout").await;
    world.get("/v1/audit/verify").await.expect(200).await;
    vault.set_mood(VaultMood::Works);
    wait("the vault to be asked again", || async {
        let reply = set(&world, "/v1/secrets/X", "x").await;
        (reply.status == 200, reply.status.to_string())
    })
    .await;
    let asked = vault.asked().len();
    for _ in 0..20 {
        set(&world, "/v1/secrets/X", "y").await.expect(200).await;
    }
    assert_eq!(vault.asked().len(), asked, "the key stays open for a while");
}

#[tokio::test]
async fn an_orgs_own_key_is_set_changed_and_removed_and_told_of() {
    const KEY: &str = "/v1/secrets/key";
    let vault = FakeVault::start(TOKEN).await.expect("a vault");
    let theirs = FakeVault::start("theirs").await.expect("their vault");
    let world = World::with_keys(keys(&vault)).await;
    set(&world, "/v1/secrets/X", "x").await.expect(200).await;
    let body = |token: &str| json!({"address": theirs.address(), "name": "creel", "token": token});
    let refused = put(&world, KEY, body("wrong")).await;
    let sentence = refused.problem("own_key_unavailable").await;
    assert!(
        sentence.contains("token") && !sentence.contains("wrong"),
        "{sentence}"
    );
    for address in ["http://10.0.0.1", "https://v/path", "file:///etc/passwd", ""] {
        let bad = json!({"address": address, "name": "creel", "token": "t"});
        let refused = put(&world, KEY, bad).await;
        refused.problem("invalid_request").await;
    }
    let key = put(&world, KEY, body("theirs")).await.expect(200).await;
    assert_eq!((key.get("problem"), key.get("token")), (None, None), "{key}");
    set(&world, "/v1/secrets/Y", "y").await.expect(200).await;
    theirs.set_key("transit/creel", None);
    let shown = world.get(KEY).await.expect(200).await;
    assert_eq!(shown["problem"]["code"], "own_key_unavailable", "{shown}");
    let refused = world.delete(KEY).await;
    refused.problem("own_key_unavailable").await;
    theirs.set_key("transit/creel", Some(1));
    assert_eq!(world.delete(KEY).await.status, 204);
    world.get(KEY).await.problem("not_found").await;
    put(&world, KEY, body("theirs")).await.expect(200).await;
    theirs.set_mood(VaultMood::Status(503));
    let destroyed = world.delete("/v1/secrets/key?destroy=true").await;
    assert_eq!(destroyed.status, 204);
    let listed = world.get("/v1/secrets").await.expect(200).await;
    assert_eq!(listed["items"], json!([]));
    set(&world, "/v1/secrets/X", "anew").await.expect(200).await;
    let trail = world.get("/v1/audit?limit=200").await.expect(200).await;
    let entries = trail["items"].as_array().expect("items");
    for action in ["own_key.set", "own_key.remove", "secrets.destroy"] {
        let told = entries.iter().find(|entry| entry["act"]["action"] == action);
        let told = told.unwrap_or_else(|| panic!("{action}: {trail}"));
        let who = told["actor"]["id"].as_str().expect("who");
        assert!(who.starts_with("usr_"), "{told}");
    }
}
