//! What the first releases sealed, with keys derived from the master key, opens after an upgrade and is sealed anew.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, RandomizedNonceKey},
    hkdf::{HKDF_SHA256, KeyType, Salt},
};
use creel_domain::OrgId;
use creel_store::{Error, MasterKey, NewProvider, NewTotp, Tended};
use zeroize::Zeroizing;

use super::vault::FakeVault;
use crate::{
    engine::Engine,
    world::{World, key},
};

struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        32
    }
}

/// As they did it, written down once more: as hexadecimal digits.
fn sealed(org: uuid::Uuid, place: &str, value: &str) -> String {
    let mut derived = [0; 32];
    Salt::new(HKDF_SHA256, b"creel org key 1")
        .extract(&[7; 32])
        .expand(&[org.as_bytes()], Length)
        .and_then(|okm| okm.fill(&mut derived))
        .expect("derived");
    let key = RandomizedNonceKey::new(&AES_256_GCM, &derived).expect("a key");
    let mut text = value.as_bytes().to_vec();
    let nonce = key.seal_in_place_append_tag(Aad::from(place.as_bytes()), &mut text);
    let nonce = nonce.expect("sealed");
    let all = nonce.as_ref().iter().chain(&text);
    all.map(|byte| format!("{byte:02x}")).collect()
}

/// A database as the migration leaves it.
async fn old() -> World {
    let world = World::new().await;
    let (org, platform) = (world.org(), world.store.platform());
    let new = NewProvider {
        name: "box".parse().expect("a name"),
        kind: creel_domain::ProviderKind::Openai,
        base_url: None,
        key: Some(Zeroizing::new("replaced below".into())),
        key_secret: None,
    };
    let provider = org.add_provider(new).await.expect("added").id;
    let secret = Zeroizing::new("replaced below".to_owned());
    platform
        .begin_totp(world.user, NewTotp { secret })
        .await
        .expect("begun");
    world.store.close().await;
    let nobody = uuid::Uuid::nil();
    let user = world.user.uuid();
    let put = |table: &str, column: &str, org, place: &str, value: &str| {
        let bytes = Engine::bytes(&sealed(org, place, value));
        world
            .engine
            .meddle(&format!("UPDATE {table} SET {column} = {bytes}, key_version = 0"));
    };
    let org = world.org.uuid();
    put(
        "providers",
        "sealed_key",
        org,
        &format!("providers/{provider}/key"),
        "sk-old",
    );
    put("totps", "sealed", nobody, &format!("totps/{user}/sealed"), "OLD");
    put("key_check", "sealed", nobody, "key_check/sealed", "creel");
    // From before there was a trail.
    world.engine.meddle("DELETE FROM audit");
    world.engine.meddle("DELETE FROM audit_heads");
    for table in ["platform_keys", "org_keys", "master_key"] {
        world.engine.meddle(&format!("DELETE FROM {table}"));
    }
    world
}

async fn check(world: &World) {
    let (_, key) = world
        .org()
        .provider("box".parse().expect("a name"))
        .await
        .expect("read")
        .expect("there");
    assert_eq!(key.expect("a key").as_str(), "sk-old");
    let totp = world
        .store
        .platform()
        .totp(world.user)
        .await
        .expect("read")
        .expect("there");
    assert_eq!(totp.secret.as_str(), "OLD");
    assert_eq!(world.org().verify_audit().await.expect("a verdict").fault, None);
}

async fn settle(world: &World) {
    let platform = world.store.platform();
    while platform.tend_master_key().await.expect("tended") == Tended::More {}
    let orgs: Vec<OrgId> = platform.orgs_to_tend(None).await.expect("a list");
    assert_eq!(orgs, [world.org]);
    while world.org().tend_keys().await.expect("tended") == Tended::More {}
    assert_eq!(platform.orgs_to_tend(None).await.expect("a list"), []);
}

fn left(world: &World) -> u64 {
    let sql = "SELECT (SELECT COUNT(*) FROM providers WHERE key_version = 0)
               + (SELECT COUNT(*) FROM totps WHERE key_version = 0)
               + (SELECT COUNT(*) FROM audit_heads WHERE key_version = 0)
               + (SELECT COUNT(*) FROM key_check WHERE key_version = 0)";
    world.engine.ask(sql).parse().expect("a number")
}

#[tokio::test]
async fn an_old_database_opens_with_its_key_and_is_sealed_anew() {
    let mut world = old().await;
    let wrong = world.open_with(MasterKey::from_bytes([8; 32])).await;
    assert!(matches!(wrong, Err(Error::WrongKey)));
    world.reopen().await;
    check(&world).await;
    world.reopen().await;
    check(&world).await;
    // Its trail begins once.
    let act = creel_domain::Act::new("test.act");
    world.org().record(act).await.expect("recorded");
    let verdict = world.org().verify_audit().await.expect("a verdict");
    assert_eq!((verdict.fault, verdict.good), (None, 1));
    settle(&world).await;
    assert_eq!(left(&world), 0);
    check(&world).await;
    world.reopen().await;
    check(&world).await;
}

#[tokio::test]
async fn an_old_database_goes_to_a_vault_at_once() {
    let mut world = old().await;
    let vault = FakeVault::default();
    let alone = world.open_with(vault.keys()).await.err().expect("refused");
    assert!(alone.to_string().contains("--previous-master-key"), "{alone}");
    let both = || vault.keys().before_file(key());
    world.reopen_with(both()).await.expect("opens");
    check(&world).await;
    // Not before everything is sealed anew.
    let early = world.open_with(vault.keys()).await;
    assert!(matches!(early, Err(Error::MasterKey(_))));
    settle(&world).await;
    world.reopen_with(vault.keys()).await.expect("opens alone");
    check(&world).await;
}
