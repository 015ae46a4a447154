//! Secrets: set, listed, never shown; an agent's own come first and go with it.

use creel_domain::{AgentId, Intent, SecretName};
use creel_store::{Error, KeySource, MAX_SECRETS, NewProvider, Org};
use zeroize::Zeroizing;

use crate::{
    engine::Engine,
    world::{World, intent},
};

pub(crate) fn name(text: &str) -> SecretName {
    text.parse().expect("a name")
}

pub(crate) async fn set(org: &Org, agent: Option<AgentId>, text: &str, value: &str) -> u64 {
    let set = org.set_secret(agent, name(text), Zeroizing::new(value.to_owned()));
    set.await.expect("set").version
}

pub(crate) async fn value(org: &Org, agent: Option<AgentId>, text: &str) -> Option<String> {
    let found = org.secret_for(agent, name(text)).await.expect("read");
    found.map(|(_, value)| value.to_string())
}

#[tokio::test]
async fn a_secret_is_set_anew_listed_without_its_value_and_removed() {
    let world = World::new().await;
    let org = world.org();
    assert_eq!(set(&org, None, "TOKEN", "first").await, 1);
    let span = jiff::SignedDuration::from_hours(1);
    world.clock.advance(span);
    let long = "é".repeat(32 * 1024);
    assert_eq!(set(&org, None, "TOKEN", &long).await, 2);
    assert_eq!(value(&org, None, "TOKEN").await.as_deref(), Some(long.as_str()));
    let listed = org.secrets(None).await.expect("a list");
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].version, listed[0].agent), (2, None));
    assert_eq!(listed[0].changed_at.duration_since(listed[0].created_at), span);
    assert_eq!(listed[0].changed_by, "platform");
    org.remove_secret(None, name("TOKEN")).await.expect("removed");
    assert_eq!(value(&org, None, "TOKEN").await, None);
    let gone = org.remove_secret(None, name("TOKEN")).await;
    assert!(matches!(gone, Err(Error::NotFound(_))));
    let told: Vec<_> = org.events(0, 99).await.expect("events");
    let kinds: Vec<_> = told.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["secret.set", "secret.set", "secret.removed"]);
    assert!(!format!("{told:?}").contains("first"));
    let trail = org.audit_after(0, 99).await.expect("entries");
    assert!(!format!("{trail:?}").contains("first"));
}

#[tokio::test]
async fn an_agents_own_secret_comes_first_and_goes_with_the_agent() {
    let world = World::new().await;
    let org = world.org();
    let (scout, other) = (world.agent("scout").await.id, world.agent("other").await.id);
    set(&org, None, "TOKEN", "the org's").await;
    set(&org, Some(scout), "TOKEN", "the agent's").await;
    assert_eq!(
        value(&org, Some(scout), "TOKEN").await.as_deref(),
        Some("the agent's")
    );
    assert_eq!(
        value(&org, Some(other), "TOKEN").await.as_deref(),
        Some("the org's")
    );
    assert_eq!(org.secrets(Some(scout)).await.expect("a list").len(), 1);
    assert_eq!(org.secrets(None).await.expect("a list").len(), 1);

    let new = NewProvider {
        name: "box".parse().expect("a name"),
        kind: creel_domain::ProviderKind::Openai,
        base_url: None,
        key: None,
        key_secret: Some(name("TOKEN")),
    };
    org.add_provider(new).await.expect("added");
    for (agent, expected, whose) in [
        (scout, "the agent's", KeySource::Agent),
        (other, "the org's", KeySource::Org),
    ] {
        let found = org.provider_for(Some(agent), "box".parse().expect("a name"));
        let found = found.await.expect("read").expect("there");
        assert_eq!(found.key.expect("a key").as_str(), expected);
        assert_eq!(found.key_of, Some(whose));
    }
    set(&org, None, "TOKEN", "another").await;
    let found = org.provider("box".parse().expect("a name")).await;
    let (_, key) = found.expect("read").expect("there");
    assert_eq!(
        key.expect("a key").as_str(),
        "another",
        "it is looked up at each call"
    );
    org.remove_secret(None, name("TOKEN")).await.expect("removed");
    let found = org.provider("box".parse().expect("a name")).await;
    assert!(matches!(found, Err(Error::NoSecret(_))));

    org.change_agent(scout, None, intent(Intent::Delete))
        .await
        .expect("deleted");
    assert_eq!(value(&org, Some(scout), "TOKEN").await, None, "at once");
    let late = org.set_secret(Some(scout), name("LATE"), Zeroizing::new("x".into()));
    assert!(matches!(late.await, Err(Error::Deleting)));
    org.forget_agent(scout).await.expect("forgotten");
    assert_eq!(value(&org, Some(scout), "TOKEN").await, None);
    assert_eq!(world.engine.ask("SELECT COUNT(*) FROM secrets"), "0");
    let nobody = org.set_secret(Some(scout), name("TOKEN"), Zeroizing::new("x".into()));
    assert!(matches!(nobody.await, Err(Error::NotFound(_))));
}

#[tokio::test]
async fn an_org_has_so_many_and_no_more() {
    let world = World::new().await;
    let org = world.org();
    set(&org, None, "FIRST", "x").await;
    // The rest behind the store's back: a thousand writes take their time.
    let columns = "org_id, version, sealed, key_version, created_at, changed_at, changed_by";
    let uuids = Engine::bytes("00").contains("bytea");
    let all = (1..MAX_SECRETS).map(|number| {
        let id = uuid::Uuid::from_u128(number.into());
        let id = if uuids {
            format!("'{id}'")
        } else {
            Engine::bytes(&id.simple().to_string())
        };
        format!(
            "INSERT INTO secrets (id, name, {columns}) SELECT {id}, 'N{number}', {columns} FROM secrets
             WHERE name = 'FIRST'"
        )
    });
    for some in all.collect::<Vec<_>>().chunks(200) {
        world
            .engine
            .meddle(&format!("BEGIN; {}; COMMIT", some.join("; ")));
    }
    let full = org
        .set_secret(None, name("LAST"), Zeroizing::new("x".into()))
        .await;
    assert!(
        matches!(
            full,
            Err(Error::LimitReached {
                most: MAX_SECRETS,
                ..
            })
        ),
        "{full:?}"
    );
    assert_eq!(
        set(&org, None, "FIRST", "y").await,
        2,
        "what is there can be set anew"
    );
}

#[tokio::test]
async fn nobody_elses_org_has_them() {
    let world = World::new().await;
    let one = world.org();
    let agent = world.agent("scout").await.id;
    set(&one, None, "TOKEN", "mine").await;
    set(&one, Some(agent), "TOKEN", "mine").await;
    let two = world
        .store
        .platform()
        .create_org("two".into())
        .await
        .expect("made")
        .0;
    let two = world.store.org(two);
    assert_eq!(value(&two, None, "TOKEN").await, None);
    assert_eq!(value(&two, Some(agent), "TOKEN").await, None);
    assert_eq!(two.secrets(Some(agent)).await.expect("a list"), []);
    let forged = two.set_secret(Some(agent), name("TOKEN"), Zeroizing::new("forged".into()));
    assert!(matches!(forged.await, Err(Error::NotFound(_))));
    for agent in [None, Some(agent)] {
        let removed = two.remove_secret(agent, name("TOKEN")).await;
        assert!(matches!(removed, Err(Error::NotFound(_))));
    }
    two.rotate_keys().await.expect("its own");
    two.destroy_keys().await.expect("its own");
    assert_eq!(value(&one, Some(agent), "TOKEN").await.as_deref(), Some("mine"));
}
