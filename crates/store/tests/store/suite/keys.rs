//! Keys are exchanged while everything goes on, whoever dies in between, and what wraps them may fail.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    sync::Arc,
};

use creel_daemon::SystemClock;
use creel_store::{
    Error, KEY_OPEN_FOR, MasterKey, MasterKeys, NewProvider, NewSigningKey, NewTotp, Org, Platform, Store,
    Tended, WrapError,
};
use jiff::SignedDuration;
use zeroize::Zeroizing;

use super::{
    secrets::{name, set, value},
    vault::{FakeVault, FakeVaults, denied, own_key, unreachable},
};
use crate::{
    engine::Engine,
    world::{World, key},
};

const PLACE: &str = "CREEL_STORE_KEYS_PLACE";
const VALUES: usize = 45;

fn good() -> Zeroizing<String> {
    Zeroizing::new("good".to_owned())
}

fn past_the_cache(world: &World) {
    world.clock.advance(KEY_OPEN_FOR);
}

/// More values than are sealed anew at once, an agent's and a provider's among them.
async fn fill(world: &World) {
    let org = world.org();
    let agent = world.agent("scout").await.id;
    for number in 0..VALUES {
        let agent = (number % 3 == 0).then_some(agent);
        set(&org, agent, &format!("S{number}"), &format!("value {number}")).await;
    }
    let new = NewProvider {
        name: "box".parse().expect("a name"),
        kind: creel_domain::ProviderKind::Openai,
        base_url: None,
        key: Some(Zeroizing::new("sk-of-box".into())),
        key_secret: None,
    };
    org.add_provider(new).await.expect("added");
}

/// Every value opens and is what it was.
async fn check(org: &Org) {
    let agent = org
        .agent_by_name("scout".parse().expect("a name"))
        .await
        .expect("there")
        .id;
    for number in 0..VALUES {
        let agent = (number % 3 == 0).then_some(agent);
        let found = value(org, agent, &format!("S{number}")).await;
        assert_eq!(found, Some(format!("value {number}")));
    }
    let (_, key) = org
        .provider("box".parse().expect("a name"))
        .await
        .expect("read")
        .expect("there");
    assert_eq!(key.expect("a key").as_str(), "sk-of-box");
}

async fn settle(org: &Org) {
    while org.tend_keys().await.expect("tended") == Tended::More {}
}

async fn settle_master(platform: &Platform) {
    while platform.tend_master_key().await.expect("tended") == Tended::More {}
}

fn count(world: &World, sql: &str) -> u64 {
    world.engine.ask(sql).parse().expect("a number")
}

#[tokio::test]
async fn a_rotation_that_dies_after_each_step_ends_and_nothing_is_ever_unreadable() {
    let mut world = World::new().await;
    fill(&world).await;
    let begun = world.org().rotate_keys().await.expect("begun");
    assert_eq!(
        (begun.key_version, begun.rotating, begun.remaining),
        (2, true, VALUES as u64 + 1)
    );
    let again = world.org().rotate_keys().await.expect("joined");
    assert_eq!(again.key_version, 2, "one at a time");
    let mut steps = 0;
    loop {
        check(&world.org()).await;
        let done = world.org().tend_keys().await.expect("tended");
        world.reopen().await;
        steps += 1;
        if done == Tended::Idle {
            break;
        }
    }
    assert!(steps > 3, "{steps} steps");
    check(&world.org()).await;
    let rotation = world.org().rotation().await.expect("looked");
    assert_eq!(
        (rotation.key_version, rotation.rotating, rotation.remaining),
        (2, false, 0)
    );
    assert_eq!(
        count(&world, "SELECT COUNT(*) FROM org_keys"),
        1,
        "the old key is destroyed"
    );
    let events = world.org().events(0, 999).await.expect("events");
    let told = |kind: &str| events.iter().filter(|event| event.kind == kind).count();
    assert_eq!((told("secrets.rotating"), told("secrets.rotated")), (1, 1));
    assert_eq!(world.org().verify_audit().await.expect("a verdict").fault, None);
}

#[tokio::test]
async fn what_is_set_during_a_rotation_is_never_lost() {
    let world = World::new().await;
    fill(&world).await;
    let other = world.open().await.expect("another control");
    let writers = (0..4).map(|writer| {
        let org = if writer % 2 == 0 {
            world.org()
        } else {
            other.org(world.org)
        };
        tokio::spawn(async move {
            for round in 0..20 {
                set(&org, None, &format!("W{writer}"), &format!("{writer} {round}")).await;
                let found = value(&org, None, &format!("W{writer}")).await;
                assert_eq!(found, Some(format!("{writer} {round}")));
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    for store in [&world.store, &other, &world.store] {
        let org = store.org(world.org);
        org.rotate_keys().await.expect("begun");
        let (one, two) = (world.org(), other.org(world.org));
        // Both controls at it at once.
        tokio::join!(settle(&one), settle(&two));
    }
    for writer in writers {
        writer.await.expect("wrote");
    }
    settle(&world.org()).await;
    for org in [world.org(), other.org(world.org)] {
        check(&org).await;
        for writer in 0..4 {
            let found = value(&org, None, &format!("W{writer}")).await;
            assert_eq!(found, Some(format!("{writer} 19")));
        }
    }
    assert_eq!(count(&world, "SELECT COUNT(*) FROM org_keys"), 1);
    other.close().await;
}

/// Not a test by itself: what [`a_rotation_survives_kill_9`] starts and kills.
#[tokio::test]
async fn rotates_until_it_is_killed() {
    let Ok(place) = std::env::var(PLACE) else { return };
    let store = Engine::open_at(&place, key(), Arc::new(SystemClock))
        .await
        .expect("opens");
    let org = store.org(store.platform().first_owner().await.expect("there").org);
    loop {
        org.rotate_keys().await.expect("begun");
        println!("rotating");
        while org.tend_keys().await.expect("tended") == Tended::More {
            println!("step");
        }
        store.platform().tend_master_key().await.expect("tended");
    }
}

#[tokio::test]
async fn a_rotation_survives_kill_9() {
    let world = World::new().await;
    fill(&world).await;
    for round in 0..creel_testkit::rounds(6, 200) {
        let mut child = Command::new(std::env::current_exe().expect("ourselves"))
            .args([
                "--exact",
                "suite::keys::rotates_until_it_is_killed",
                "--nocapture",
            ])
            .env(PLACE, world.engine.place())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let steps = lines.map_while(Result::ok).filter(|line| line.contains("step"));
        assert!(steps.take(1 + round * 2).count() > round, "it worked");
        child.kill().expect("killed");
        child.wait().expect("reaped");
        check(&world.org()).await;
    }
    settle(&world.org()).await;
    check(&world.org()).await;
    assert_eq!(count(&world, "SELECT COUNT(*) FROM org_keys"), 1);
}

#[tokio::test]
async fn what_was_tampered_with_keeps_its_key_and_stops_nothing_else() {
    let world = World::new().await;
    fill(&world).await;
    let nonsense = Engine::bytes(&"00".repeat(40));
    world.engine.meddle(&format!(
        "UPDATE secrets SET sealed = {nonsense} WHERE name = 'S1'"
    ));
    let opened = world.org().secret_for(None, name("S1")).await;
    assert!(matches!(opened, Err(Error::WrongKey)));
    world.org().rotate_keys().await.expect("begun");
    settle(&world.org()).await;
    let rotation = world.org().rotation().await.expect("looked");
    assert_eq!((rotation.rotating, rotation.remaining), (true, 1));
    set(&world.org(), None, "S1", "value 1").await;
    settle(&world.org()).await;
    check(&world.org()).await;
    assert_eq!(count(&world, "SELECT COUNT(*) FROM org_keys"), 1);
    // A value that is moved to another row opens there no more than nonsense does.
    world.engine.meddle(
        "UPDATE secrets SET sealed = (SELECT sealed FROM secrets WHERE name = 'S2') WHERE name = 'S1'",
    );
    let opened = world.org().secret_for(None, name("S1")).await;
    assert!(matches!(opened, Err(Error::WrongKey)));
}

#[tokio::test]
async fn without_its_keys_nothing_of_an_org_opens_and_it_can_begin_anew() {
    let world = World::new().await;
    fill(&world).await;
    let org = world.org();
    let old = world.open().await.expect("another control");
    assert!(
        value(&old.org(world.org), None, "S1").await.is_some(),
        "its key is open there"
    );
    world.engine.meddle("CREATE TABLE kept AS SELECT * FROM secrets");
    org.destroy_keys().await.expect("destroyed");
    assert_eq!(org.secrets(None).await.expect("a list"), []);
    let (_, key) = org
        .provider("box".parse().expect("a name"))
        .await
        .expect("read")
        .expect("there");
    assert!(key.is_none());
    // Somebody had kept the rows.
    world.engine.meddle("INSERT INTO secrets SELECT * FROM kept");
    let opened = org.secret_for(None, name("S1")).await;
    assert!(matches!(opened, Err(Error::KeyGone)), "{:?}", opened.err());
    set(&org, None, "NEW", "value").await;
    for store in [&world.store, &old] {
        let found = value(&store.org(world.org), None, "NEW").await;
        assert_eq!(found.as_deref(), Some("value"));
    }
    set(&old.org(world.org), None, "NEWER", "value").await;
    assert!(
        value(&org, None, "NEWER").await.is_some(),
        "no old key under a new number"
    );
    old.close().await;
}

/// Something of each kind that the platform's keys seal.
async fn platform_values(world: &World) {
    let platform = world.store.platform();
    let secret = Zeroizing::new("TOTP".to_owned());
    platform
        .begin_totp(world.user, NewTotp { secret })
        .await
        .expect("begun");
    let signing = NewSigningKey {
        private: Zeroizing::new("signing".into()),
        signs_from: world.now(),
    };
    assert!(platform.add_signing_key(signing, None).await.expect("added"));
    let new = NewProvider {
        name: "shared".parse().expect("a name"),
        kind: creel_domain::ProviderKind::Openai,
        base_url: None,
        key: Some(Zeroizing::new("sk-shared".into())),
        key_secret: None,
    };
    platform
        .add_platform_provider(world.org, new)
        .await
        .expect("added");
    let sso = creel_store::NewSsoProvider {
        name: "sso".parse().expect("a name"),
        label: "SSO".to_owned(),
        kind: creel_domain::SsoKind::Oidc,
        issuer: "https://issuer.test".to_owned(),
        client_id: "client".to_owned(),
        client_secret: Some(Zeroizing::new("client secret".to_owned())),
        newcomers: creel_domain::SsoNewcomers::Invited,
        email_domains: Vec::new(),
    };
    platform.add_sso_provider(world.org, sso).await.expect("added");
}

async fn check_platform(store: &Store, world: &World) {
    let platform = store.platform();
    let totp = platform.totp(world.user).await.expect("read").expect("there");
    assert_eq!(totp.secret.as_str(), "TOTP");
    assert_eq!(
        platform.signing_keys().await.expect("read")[0].private.as_str(),
        "signing"
    );
    let sso = platform.sso_provider("sso".parse().expect("a name")).await;
    let (_, secret) = sso.expect("read").expect("there");
    assert_eq!(secret.expect("a secret").as_str(), "client secret");
    let org = store.org(world.org);
    let (_, key) = org
        .provider("shared".parse().expect("a name"))
        .await
        .expect("read")
        .expect("there");
    assert_eq!(key.expect("a key").as_str(), "sk-shared");
    let verdict = org.verify_audit().await.expect("a verdict");
    assert_eq!(verdict.fault, None);
}

#[tokio::test]
async fn the_master_key_is_exchanged_while_two_controls_work() {
    let vault = FakeVault::default();
    let mut world = World::with(vault.keys()).await;
    fill(&world).await;
    platform_values(&world).await;
    let other = world.open_with(vault.keys()).await.expect("another control");
    vault.rotate();
    let begun = world
        .store
        .platform()
        .rotate_master_key(world.org)
        .await
        .expect("begun");
    assert!(begun.finished_at.is_none() && begun.remaining > 2, "{begun:?}");
    loop {
        check_platform(&world.store, &world).await;
        check_platform(&other, &world).await;
        // Each of them changes something that both have to be able to tell of.
        set(&world.org(), None, "ONE", "1").await;
        set(&other.org(world.org), None, "TWO", "2").await;
        let done = world.store.platform().tend_master_key().await.expect("tended");
        world.reopen_with(vault.keys()).await.expect("opens");
        if done == Tended::Idle {
            break;
        }
    }
    let state = world.store.platform().master_key().await.expect("looked");
    assert!(state.finished_at.is_some() && state.remaining == 0, "{state:?}");
    vault.trim();
    past_the_cache(&world);
    world
        .reopen_with(vault.keys())
        .await
        .expect("opens without the old version");
    check(&world.org()).await;
    check_platform(&world.store, &world).await;
    check(&other.org(world.org)).await;
    // The platform's old key goes when no control can still be sealing with it.
    assert_eq!(count(&world, "SELECT COUNT(*) FROM platform_keys"), 2);
    world.clock.advance(SignedDuration::from_mins(11));
    settle_master(&world.store.platform()).await;
    assert_eq!(count(&world, "SELECT COUNT(*) FROM platform_keys"), 1);
    check_platform(&world.store, &world).await;
    check_platform(&other, &world).await;
    other.close().await;
}

#[tokio::test]
async fn a_file_gives_way_to_a_vault_and_back() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("master.key");
    let file = || MasterKey::load_or_create(&path).expect("a key");
    let vault = FakeVault::default();
    let mut world = World::with(file()).await;
    fill(&world).await;
    platform_values(&world).await;
    // A new key in the same file.
    world
        .store
        .platform()
        .rotate_master_key(world.org)
        .await
        .expect("begun");
    assert_eq!(std::fs::metadata(&path).expect("there").len(), 64);
    world.reopen_with(file()).await.expect("opens in between");
    settle_master(&world.store.platform()).await;
    assert_eq!(
        std::fs::metadata(&path).expect("there").len(),
        32,
        "the old one is destroyed"
    );
    check(&world.org()).await;

    let alone = world.open_with(vault.keys()).await.err().expect("refused");
    assert!(alone.to_string().contains("--previous-master-key"), "{alone}");
    let both = || vault.keys().before_file(file());
    world.reopen_with(both()).await.expect("opens with both");
    check_platform(&world.store, &world).await;
    while world.store.platform().tend_master_key().await.expect("tended") == Tended::More {
        world.reopen_with(both()).await.expect("opens in between");
    }
    world
        .reopen_with(vault.keys())
        .await
        .expect("opens with the vault alone");
    check(&world.org()).await;
    check_platform(&world.store, &world).await;

    let back = || MasterKeys::from(file()).before(Arc::new(vault.clone()));
    world.reopen_with(back()).await.expect("opens with both");
    settle_master(&world.store.platform()).await;
    vault.fail(Some(unreachable()));
    world
        .reopen_with(file())
        .await
        .expect("opens with the file alone");
    check(&world.org()).await;
    check_platform(&world.store, &world).await;
}

#[tokio::test]
async fn a_vault_is_asked_once_for_many_and_not_at_all_while_the_key_is_open() {
    let vault = FakeVault::default();
    let world = World::with(vault.keys()).await;
    let org = world.org();
    set(&org, None, "TOKEN", "x").await;
    past_the_cache(&world);
    let before = vault.asked();
    let readers = (0..50).map(|_| {
        let org = org.clone();
        tokio::spawn(async move { value(&org, None, "TOKEN").await })
    });
    for reader in readers.collect::<Vec<_>>() {
        assert_eq!(reader.await.expect("read").as_deref(), Some("x"));
    }
    assert_eq!(vault.asked(), before + 1);
}

#[tokio::test]
async fn while_a_vault_is_down_everything_goes_on_that_needs_no_secret() {
    let vault = FakeVault::default();
    let mut world = World::with(vault.keys()).await;
    fill(&world).await;
    for failure in [
        unreachable(),
        denied(),
        WrapError::Sealed { at: "v".into() },
        WrapError::Garbage { at: "v".into() },
    ] {
        vault.fail(Some(failure.clone()));
        check(&world.org()).await;
        past_the_cache(&world);
        let org = world.store.org(world.org);
        let asked = vault.asked();
        for _ in 0..20 {
            let refused = org.secret_for(None, name("S1")).await.expect_err("refused");
            assert!(
                matches!(&refused, Error::MasterKey(found) if *found == failure),
                "{refused}"
            );
        }
        assert_eq!(vault.asked(), asked + 1, "a vault that failed is left in peace");
        let agent = world.agent(&format!("agent-{asked}")).await;
        org.begin_turn(agent.id, Default::default(), "hello".into())
            .await
            .expect("accepted");
        world
            .store
            .platform()
            .create_org("new".into())
            .await
            .expect("made");
        assert!(org.rotate_keys().await.is_err());
        assert!(org.set_secret(None, name("S1"), good()).await.is_err());
        assert_eq!(org.verify_audit().await.expect("a verdict").fault, None);
        vault.fail(None);
        tokio::time::sleep(std::time::Duration::from_millis(2100)).await;
        check(&world.org()).await;
    }
    vault.fail(Some(unreachable()));
    let refused = world.open_with(vault.keys()).await.err().expect("no start");
    assert!(matches!(refused, Error::MasterKey(_)), "{refused}");
    vault.fail(None);
    world.reopen_with(vault.keys()).await.expect("opens again");
    check(&world.org()).await;
}

#[tokio::test]
async fn an_orgs_own_key_that_is_disabled_closes_its_secrets_and_nobody_elses() {
    let (vault, theirs) = (FakeVault::default(), FakeVaults::default());
    let keys = || vault.keys().own_keys(Arc::new(theirs.clone()));
    let mut world = World::with(keys()).await;
    fill(&world).await;
    let org = world.org();
    let two = world
        .store
        .platform()
        .create_org("two".into())
        .await
        .expect("made")
        .0;
    set(&world.store.org(two), None, "TOKEN", "two").await;
    let own = own_key("one");
    let bad = org.set_own_key(own.clone(), Zeroizing::new("bad".into())).await;
    assert!(matches!(bad, Err(Error::OwnKey(_))));
    org.set_own_key(own.clone(), good()).await.expect("set");
    assert_eq!(org.own_key().await.expect("read").expect("there").key, own);
    check(&org).await;
    // What is sealed from now on was never sealed by a key that the master key alone opens.
    settle(&org).await;
    assert_eq!(
        count(&world, "SELECT MIN(version) FROM org_keys WHERE own > 0"),
        2
    );
    check(&org).await;

    let disabled = WrapError::NoKey { at: "theirs".into() };
    theirs.vault(&own).fail(Some(disabled.clone()));
    check(&org).await;
    past_the_cache(&world);
    let refused = org.secret_for(None, name("S1")).await.expect_err("closed");
    assert!(
        matches!(&refused, Error::OwnKey(found) if *found == disabled),
        "{refused}"
    );
    let refused = org.provider("box".parse().expect("a name")).await;
    assert!(matches!(refused, Err(Error::OwnKey(_))));
    assert!(org.set_secret(None, name("S1"), good()).await.is_err());
    assert!(org.remove_own_key().await.is_err(), "it needs the key once more");
    let rotation = org.rotate_keys().await;
    assert!(matches!(rotation, Err(Error::OwnKey(_))));
    assert_eq!(
        value(&world.store.org(two), None, "TOKEN").await.as_deref(),
        Some("two")
    );
    // The platform's own exchange needs nobody's key.
    vault.rotate();
    world
        .store
        .platform()
        .rotate_master_key(world.org)
        .await
        .expect("begun");
    settle_master(&world.store.platform()).await;
    vault.trim();
    world.reopen_with(keys()).await.expect("opens");
    assert_eq!(world.org().verify_audit().await.expect("a verdict").fault, None);

    theirs.vault(&own).fail(None);
    check(&world.org()).await;
    let another = own_key("another");
    world
        .org()
        .set_own_key(another.clone(), good())
        .await
        .expect("changed");
    settle(&world.org()).await;
    theirs.vault(&own).fail(Some(disabled));
    past_the_cache(&world);
    check(&world.org()).await;
    world.org().remove_own_key().await.expect("removed");
    assert!(world.org().own_key().await.expect("read").is_none());
    theirs.vault(&another).fail(Some(denied()));
    past_the_cache(&world);
    check(&world.org()).await;
    assert_eq!(count(&world, "SELECT COUNT(*) FROM org_keys WHERE own > 0"), 0);
}

#[tokio::test]
async fn an_org_whose_own_key_is_lost_can_begin_anew() {
    let (vault, theirs) = (FakeVault::default(), FakeVaults::default());
    let world = World::with(vault.keys().own_keys(Arc::new(theirs.clone()))).await;
    fill(&world).await;
    let (org, own) = (world.org(), own_key("one"));
    org.set_own_key(own.clone(), good()).await.expect("set");
    theirs.vault(&own).fail(Some(denied()));
    past_the_cache(&world);
    assert!(org.set_secret(None, name("S1"), good()).await.is_err());
    org.destroy_keys().await.expect("destroyed");
    set(&org, None, "S1", "anew").await;
    assert_eq!(value(&org, None, "S1").await.as_deref(), Some("anew"));
    assert!(org.own_key().await.expect("read").is_none());
}
