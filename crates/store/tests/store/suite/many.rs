//! Many at once, through two stores on one database where the engine has several writers: whatever one reads
//! before it writes still holds when it does.

use creel_domain::Intent;
use creel_store::{Error, MAX_PROVIDERS, NewProvider, Store};

use crate::world::{World, intent, new_agent, session};

const WRITERS: usize = 32;

/// Each writer's store: two in turn.
async fn stores(world: &World) -> Vec<Store> {
    let other = world.open().await.expect("a second store");
    (0..WRITERS)
        .map(|number| {
            if number % 2 == 0 {
                world.store.clone()
            } else {
                other.clone()
            }
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn events_are_numbered_without_gaps_and_in_the_order_of_their_turns() {
    const EACH: usize = 8;
    let world = World::new().await;
    let agent = world.agent("scout").await.id;
    let writers = stores(&world).await.into_iter().map(|store| {
        let org = store.org(world.org);
        tokio::spawn(async move {
            for number in 0..EACH {
                let turn = org
                    .begin_turn(agent, session(), number.to_string())
                    .await
                    .expect("accepted");
                // What was acknowledged is seen by the next read.
                org.turn(agent, turn.id).await.expect("there");
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.expect("ran");
    }
    let events = world.org().events(0, 1000).await.expect("events");
    let numbers: Vec<_> = events.iter().map(|event| event.sequence).collect();
    assert_eq!(numbers, (1..=1 + (WRITERS * EACH) as u64).collect::<Vec<_>>());
    let turns = world.store.platform().running_turns().await.expect("a list");
    assert_eq!(turns.len(), WRITERS * EACH);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_equal_names_one_is_made_and_the_others_are_told() {
    let world = World::new().await;
    let writers = stores(&world).await.into_iter().map(|store| {
        let org = store.org(world.org);
        tokio::spawn(async move { org.create_agent(new_agent("scout")).await })
    });
    let mut made = 0;
    for writer in writers.collect::<Vec<_>>() {
        match writer.await.expect("ran") {
            Ok(_) => made += 1,
            Err(error) => assert!(matches!(error, Error::NameTaken(_)), "{error:?}"),
        }
    }
    assert_eq!(made, 1);
    assert_eq!(
        world.org().last_event().await.expect("a number"),
        1,
        "one was told"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_limit_holds_for_those_who_come_together() {
    let world = World::new().await;
    let provider = |number: usize| NewProvider {
        name: format!("p{number}").parse().expect("a name"),
        kind: creel_domain::ProviderKind::Openai,
        base_url: None,
        key: None,
        key_secret: None,
    };
    let room = 5;
    for number in 0..MAX_PROVIDERS as usize - room {
        world.org().add_provider(provider(number)).await.expect("room");
    }
    let writers = stores(&world)
        .await
        .into_iter()
        .enumerate()
        .map(|(number, store)| {
            let (org, new) = (store.org(world.org), provider(1000 + number));
            tokio::spawn(async move { org.add_provider(new).await })
        });
    let mut made = 0;
    for writer in writers.collect::<Vec<_>>() {
        match writer.await.expect("ran") {
            Ok(_) => made += 1,
            Err(error) => assert!(matches!(error, Error::LimitReached { .. }), "{error:?}"),
        }
    }
    assert_eq!(made, room);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn changes_count_up_one_by_one_whoever_makes_them() {
    let world = World::new().await;
    let agent = world.agent("scout").await.id;
    let writers = stores(&world)
        .await
        .into_iter()
        .enumerate()
        .map(|(number, store)| {
            let org = store.org(world.org);
            tokio::spawn(async move {
                let wanted = if number % 2 == 0 {
                    Intent::Stop
                } else {
                    Intent::Run
                };
                let renew = creel_store::AgentChange {
                    renew: true,
                    ..intent(wanted)
                };
                org.change_agent(agent, None, renew)
                    .await
                    .expect("changed")
                    .generation
                    .0
            })
        });
    let mut generations = Vec::new();
    for writer in writers.collect::<Vec<_>>() {
        generations.push(writer.await.expect("ran"));
    }
    generations.sort_unstable();
    assert_eq!(generations, (2..=1 + WRITERS as u64).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_installation_has_one_first_owner() {
    let world = World::new().await;
    world
        .engine
        .meddle("DELETE FROM members; DELETE FROM users; DELETE FROM orgs");
    let starts = stores(&world).await.into_iter().map(|store| {
        tokio::spawn(async move { store.platform().first_owner().await.expect("made or found") })
    });
    let (mut owners, mut made) = (std::collections::HashSet::new(), 0);
    for start in starts.collect::<Vec<_>>() {
        let owner = start.await.expect("ran");
        made += usize::from(owner.created);
        owners.insert((owner.org, owner.user));
    }
    assert_eq!((owners.len(), made), (1, 1));
}
