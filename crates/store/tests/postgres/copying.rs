//! A SQLite installation moves to PostgreSQL: all of it, or nothing.

use std::sync::Arc;

use creel_daemon::ManualClock;
use creel_store::{Address, Error, MAX_PROVIDERS, NewProvider, Place, Store, copy};
use creel_testkit::PostgresDatabase;
use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::world::{key, new_agent, session};

#[tokio::test]
async fn everything_comes_along_and_goes_on() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("creel.db");
    let clock = Arc::new(ManualClock::at(
        Timestamp::from_second(1_800_000_000).expect("in range"),
    ));
    let store = Store::open(&path, key(), Arc::clone(&clock) as _)
        .await
        .expect("opens");
    let owner = store.platform().first_owner().await.expect("made");
    let org = store.org(owner.org);
    let agent = org.create_agent(new_agent("scout")).await.expect("made");
    for number in 0..1200 {
        let turn = org
            .begin_turn(agent.id, session(), format!("{number} \0 \u{1f980}"))
            .await;
        turn.expect("accepted");
    }
    org.record_egress(agent.id, "example.com:443".into(), "deny".into(), 1)
        .await
        .expect("kept");
    let new = NewProvider {
        name: "box".parse().expect("a name"),
        kind: creel_domain::ProviderKind::Openai,
        base_url: None,
        key: Some(Zeroizing::new("sk-planted".into())),
        key_secret: None,
    };
    org.add_provider(new).await.expect("added");
    let before = (
        org.turns(agent.id, session(), None, 2000).await.expect("turns"),
        org.events(0, 2000).await.expect("events"),
    );
    store.close().await;

    let database = PostgresDatabase::fresh();
    let address = Address::parse(&database.address()).expect("an address");
    let copied = copy(&path, &address).await.expect("copied");
    let rows = |name: &str| {
        copied
            .iter()
            .find(|table| table.name == name)
            .expect("a table")
            .rows
    };
    assert_eq!(
        (
            rows("turns"),
            rows("events"),
            rows("egress_decisions"),
            rows("key_check")
        ),
        (1200, 1202, 1, 1)
    );
    assert!(copied.iter().all(|table| table.hash.len() == 64));

    let place = Place::parse(Some(&database.address()), &path).expect("a place");
    let moved = place
        .open(key(), clock)
        .await
        .expect("the same master key opens it");
    let org = moved.org(owner.org);
    let after = (
        org.turns(agent.id, session(), None, 2000).await.expect("turns"),
        org.events(0, 2000).await.expect("events"),
    );
    assert!(after == before, "turns and events are the same");
    let (_, secret) = org
        .provider("box".parse().expect("a name"))
        .await
        .expect("read")
        .expect("there");
    assert_eq!(secret.expect("a key").as_str(), "sk-planted");
    assert!(!moved.platform().first_owner().await.expect("found").created);
    // Numbers that the engine gives go on after those that came along.
    org.record_egress(agent.id, "example.com:444".into(), "deny".into(), 1)
        .await
        .expect("kept");
    let decisions = org
        .egress_decisions(agent.id, MAX_PROVIDERS as u32)
        .await
        .expect("decisions");
    assert_eq!(
        decisions
            .iter()
            .map(|it| it.destination.as_str())
            .collect::<Vec<_>>(),
        ["example.com:444", "example.com:443"]
    );
    moved.close().await;

    let again = copy(&path, &address).await;
    assert!(matches!(again, Err(Error::NotEmpty)), "{again:?}");
}

#[tokio::test]
async fn what_does_not_fit_leaves_no_trace() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("creel.db");
    let clock = Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH));
    let store = Store::open(&path, key(), clock).await.expect("opens");
    let owner = store.platform().first_owner().await.expect("made");
    store
        .org(owner.org)
        .create_agent(new_agent("scout"))
        .await
        .expect("made");
    store.close().await;
    let file = rusqlite::Connection::open(&path).expect("opens");
    file.execute("UPDATE events SET org_id = x'00'", [])
        .expect("broken");
    drop(file);

    let database = PostgresDatabase::fresh();
    let address = Address::parse(&database.address()).expect("an address");
    copy(&path, &address).await.expect_err("an id that is none");
    assert_eq!(database.ask("SELECT count(*) FROM orgs"), "0");
    let nowhere = copy(&home.path().join("nowhere.db"), &address).await;
    assert!(matches!(nowhere, Err(Error::NotFound(_))));
}
