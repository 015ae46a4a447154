//! The file itself: who may read it, what is in it, and which ones are refused.

use std::{os::unix::fs::PermissionsExt as _, sync::Arc};

use creel_daemon::SystemClock;
use creel_store::{Error, MasterKey, NewProvider, Store};
use zeroize::Zeroizing;

use crate::world::{World, key};

const PLANTED: &str = "sk-planted-4f9a2c77d1";

async fn open(world: &World, key: MasterKey) -> Result<Store, Error> {
    Store::open(&world.engine.path(), key, Arc::new(SystemClock)).await
}

#[tokio::test]
async fn a_providers_key_is_in_no_file_and_comes_back_whole() {
    let mut world = World::new().await;
    let new = NewProvider {
        name: "box".parse().expect("a name"),
        kind: creel_domain::ProviderKind::Openai,
        base_url: None,
        key: Some(Zeroizing::new(PLANTED.into())),
        key_secret: None,
    };
    world.org().add_provider(new).await.expect("added");
    let seen = || {
        let files =
            std::fs::read_dir(world.engine.path().parent().expect("its directory")).expect("a directory");
        let all: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
        assert!(all.iter().any(|path| path.ends_with("creel.db-wal")), "{all:?}");
        let holds = |path: &std::path::PathBuf| {
            let bytes = std::fs::read(path).expect("readable");
            bytes
                .windows(PLANTED.len())
                .any(|window| window == PLANTED.as_bytes())
        };
        let hits: Vec<_> = all.iter().filter(|path| holds(path)).cloned().collect();
        for path in &all {
            let mode = std::fs::metadata(path).expect("there").permissions().mode();
            assert_eq!(mode & 0o077, 0, "others may look into {}", path.display());
        }
        hits
    };
    assert_eq!(seen(), Vec::<std::path::PathBuf>::new());
    world.reopen().await;
    let (provider, key) = world
        .org()
        .provider("box".parse().expect("a name"))
        .await
        .expect("read")
        .expect("there");
    assert!(provider.has_key && !format!("{provider:?}").contains(PLANTED));
    assert_eq!(key.expect("a key").as_str(), PLANTED);
}

#[tokio::test]
async fn another_master_key_is_refused_at_the_door() {
    let world = World::new().await;
    world.store.close().await;
    let error = open(&world, MasterKey::from_bytes([8; 32]))
        .await
        .err()
        .expect("refused");
    assert!(error.to_string().contains("restore `master.key`"), "{error}");
    open(&world, key()).await.expect("the right one opens");
}

#[tokio::test]
async fn a_newer_schema_and_a_changed_one_are_refused_and_left_alone() {
    let world = World::new().await;
    world.store.close().await;
    let file = rusqlite::Connection::open(world.engine.path()).expect("opens");
    file.execute("INSERT INTO migrations VALUES (99, x'00')", [])
        .expect("inserted");
    let error = open(&world, key()).await.err().expect("refused");
    let known = Store::schema_version();
    assert_eq!(
        error.to_string(),
        format!(
            "the database has schema version 99, this Creel knows versions up to {known}: install the newer Creel again"
        )
    );
    file.execute("DELETE FROM migrations WHERE version = 99", [])
        .expect("deleted");
    file.execute("UPDATE migrations SET checksum = x'00'", [])
        .expect("changed");
    assert!(matches!(
        open(&world, key()).await,
        Err(Error::ChangedMigration(1))
    ));
}

#[tokio::test]
async fn what_is_no_database_is_called_damaged_and_no_directory_is_named() {
    let world = World::new().await;
    world.store.close().await;
    std::fs::write(world.engine.path(), [b'x'; 8192]).expect("written");
    // It could be made whole from what is not yet written back.
    std::fs::remove_file(world.engine.path().with_extension("db-wal")).expect("removed");
    let error = open(&world, key()).await.err().expect("refused");
    assert!(matches!(error, Error::Damaged(_)), "{error:?}");
    let path = world
        .engine
        .path()
        .parent()
        .expect("its directory")
        .join("nowhere/creel.db");
    let error = Store::open(&path, key(), Arc::new(SystemClock))
        .await
        .err()
        .expect("refused");
    assert!(error.to_string().contains("nowhere/creel.db"), "{error}");
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let world = World::new().await;
    world.store.close().await;
    world.store.close().await;
    assert!(matches!(
        world.org().agents(None, 1).await,
        Err(Error::Interrupted)
    ));
    assert!(matches!(
        world.store.platform().first_owner().await,
        Err(Error::Interrupted)
    ));
}

#[tokio::test]
async fn the_schema_is_looked_at_without_a_change_and_brought_up_to_date() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("creel.db");
    let place = creel_store::Place::parse(None, &path).expect("a place");
    let known = Store::schema_version();
    assert_eq!(place.schema().await.expect("nothing there").found, 0);
    assert!(!path.exists(), "looking makes nothing");
    place.migrate().await.expect("made");
    let schema = place.schema().await.expect("there");
    assert_eq!((schema.found, schema.known), (known, known));
    place.open(key(), Arc::new(SystemClock)).await.expect("opens");
}
