//! The server: what it refuses, and what happens when it goes away.

use std::{sync::Arc, time::Duration};

use creel_daemon::SystemClock;
use creel_store::{Address, Error, MasterKey, Place, Store};
use creel_testkit::PostgresDatabase;

use crate::world::{World, key, new_agent};

async fn connect(address: &str) -> Result<Store, Error> {
    Store::connect(Address::parse(address)?, key(), Arc::new(SystemClock)).await
}

#[tokio::test]
async fn refusals_are_sentences() {
    let database = PostgresDatabase::fresh();
    let nowhere = "postgres:///creel?host=/nowhere&user=creel";
    let said = connect(nowhere).await.err().expect("refused").to_string();
    assert!(said.contains("cannot be reached"), "{said}");
    let missing = database.address().replace(database.name(), "missing");
    let said = connect(&missing).await.err().expect("refused").to_string();
    assert!(said.contains("user, password and database"), "{said}");

    database.ask("CREATE ROLE stranger LOGIN; CREATE ROLE bare LOGIN");
    let said = connect(&database.address().replace("user=creel", "user=stranger"))
        .await
        .err()
        .expect("refused")
        .to_string();
    assert!(said.contains("make it the database's owner"), "{said}");
    database.ask(&format!("ALTER DATABASE {} OWNER TO bare", database.name()));
    let said = connect(&database.address().replace("user=creel", "user=bare"))
        .await
        .err()
        .expect("refused")
        .to_string();
    assert!(
        said.contains("CREATEROLE") && said.contains("CREATE ROLE"),
        "{said}"
    );
}

#[tokio::test]
async fn a_newer_schema_a_changed_one_and_another_master_key_are_refused() {
    let world = World::new().await;
    let ask = |sql: &str| world.engine.0.ask(sql);
    ask("INSERT INTO migrations VALUES (99, '')");
    let error = world.open().await.err().expect("refused");
    assert!(matches!(error, Error::NewerSchema { found: 99, .. }), "{error:?}");
    ask("DELETE FROM migrations WHERE version = 99; UPDATE migrations SET checksum = '' WHERE version = 1");
    assert!(matches!(world.open().await, Err(Error::ChangedMigration(1))));

    let world = World::new().await;
    let address = Address::parse(&world.engine.0.address()).expect("an address");
    let wrong = Store::connect(address, MasterKey::from_bytes([8; 32]), Arc::new(SystemClock)).await;
    assert!(matches!(wrong, Err(Error::WrongKey)));
}

#[tokio::test]
async fn several_that_start_at_once_migrate_once() {
    let database = PostgresDatabase::fresh();
    let address = database.address();
    let starts: Vec<_> = (0..6)
        .map(|_| {
            let address = address.clone();
            tokio::spawn(async move { connect(&address).await })
        })
        .collect();
    for start in starts {
        start.await.expect("ran").expect("opens").close().await;
    }
    assert_eq!(database.ask("SELECT count(*) FROM key_check"), "1");
}

#[tokio::test]
async fn connections_that_were_cut_are_replaced_and_nobody_notices() {
    let world = World::new().await;
    world.agent("scout").await;
    for round in 0..5 {
        let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                   WHERE application_name = 'creel' AND datname = current_database()";
        assert_ne!(world.engine.0.ask(cut), "0");
        assert_eq!(world.org().agents(None, 9).await.expect("read").len(), 1 + round);
        world
            .org()
            .create_agent(new_agent(&format!("a{round}")))
            .await
            .expect("written");
    }
}

#[tokio::test]
async fn another_controls_changes_are_news_here() {
    let world = World::new().await;
    let other = world.open().await.expect("a second store");
    let mut news = other.news();
    // The first look after connecting is over before something happens.
    let heard = tokio::time::timeout(Duration::from_secs(10), async {
        let mut number = 0;
        loop {
            world.agent(&format!("a{number}")).await;
            number += 1;
            if tokio::time::timeout(Duration::from_millis(500), news.changed())
                .await
                .is_ok()
                && number > 3
            {
                return;
            }
        }
    });
    heard.await.expect("woken long before the next look");
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
    let database = PostgresDatabase::fresh();
    let place = Place::parse(Some(&database.address()), "/nowhere".as_ref()).expect("a place");
    let known = Store::schema_version();
    assert_eq!(place.schema().await.expect("nothing there").found, 0);
    assert_eq!(
        database.ask("SELECT to_regnamespace('creel') IS NULL"),
        "t",
        "looking makes nothing"
    );
    place.migrate().await.expect("made");
    let schema = place.schema().await.expect("there");
    assert_eq!((schema.found, schema.known), (known, known));
    place.open(key(), Arc::new(SystemClock)).await.expect("opens");
}
