//! Domains: any org may claim one, one has it, and what was seen too late changes nothing.

use creel_domain::{Agent, DomainName, DomainState, Intent, OrgId};
use creel_store::{
    AccessBy, DomainSighting, Error, MAX_DOMAINS, MAX_DOMAINS_OF_AGENT, NewShareLink, Org, StoredDomain,
    StoredHost,
};
use jiff::SignedDuration;

use crate::world::{World, browser_session, intent, new_agent};

const DAY: SignedDuration = SignedDuration::from_hours(24);

fn name(text: &str) -> DomainName {
    text.parse().expect("a domain")
}

fn chat() -> DomainName {
    name("chat.example.com")
}

async fn claim(org: &Org, agent: &Agent) -> StoredDomain {
    let claimed = org.put_domain(agent.id, chat(), None, format!("creel-{}", org.id()));
    claimed.await.expect("claimed")
}

async fn check(org: &Org, domain: &StoredDomain, proven: bool) -> StoredDomain {
    let sighting = DomainSighting {
        proven,
        seen: "It was looked at.".to_owned(),
        asked: false,
    };
    let checked = org.check_domain(domain.name.clone(), domain.revision, sighting);
    checked.await.expect("checked").expect("not changed meanwhile")
}

async fn leads_to(world: &World, host: &str) -> Option<StoredHost> {
    world.store.platform().host(host).await.expect("a look")
}

/// Another org, with an agent of its own.
async fn other(world: &World) -> (Org, Agent) {
    let (other, _) = world
        .store
        .platform()
        .create_org("other".into())
        .await
        .expect("made");
    let org = world.store.org(other);
    let agent = org.create_agent(new_agent("scout")).await.expect("made");
    (org, agent)
}

async fn events(org: &Org) -> Vec<String> {
    let events = org.events(0, 200).await.expect("a list");
    let domains = events
        .into_iter()
        .filter(|event| event.kind.starts_with("domain."));
    domains.map(|event| event.kind).collect()
}

#[tokio::test]
async fn a_domain_leads_to_its_agent_once_it_is_proven_and_no_longer_when_it_is_removed() {
    let world = World::new().await;
    let (org, agent) = (world.org(), world.agent("scout").await);
    let pending = claim(&org, &agent).await;
    assert_eq!(claim(&org, &agent).await, pending, "claimed again it is the same");
    let missed = check(&org, &pending, false).await;
    assert!(matches!(missed.course.state, DomainState::Pending { .. }));
    assert_eq!(
        (missed.course.misses, missed.seen.as_str()),
        (1, "It was looked at.")
    );
    assert_eq!(leads_to(&world, "chat.example.com").await, None);
    let verified = check(&org, &missed, true).await;
    assert!(verified.course.state.is_verified());
    let there = |port| {
        Some(StoredHost {
            org: world.org,
            agent: agent.id,
            port,
        })
    };
    assert_eq!(leads_to(&world, "chat.example.com").await, there(None));
    let moved = org.put_domain(agent.id, chat(), Some(3000), "another".to_owned());
    let moved = moved.await.expect("moved");
    assert_eq!((moved.port, &moved.token), (Some(3000), &pending.token));
    assert!(moved.course.state.is_verified(), "it stays proven");
    assert_eq!(leads_to(&world, "chat.example.com").await, there(Some(3000)));
    let second = world.agent("second").await;
    let elsewhere = org.put_domain(second.id, chat(), None, String::new()).await;
    assert!(
        matches!(elsewhere, Err(Error::DomainElsewhere { .. })),
        "{elsewhere:?}"
    );
    assert_eq!(
        org.domains(None).await.expect("a list"),
        std::slice::from_ref(&moved)
    );
    assert_eq!(org.domains(Some(second.id)).await.expect("a list"), []);
    let not_its = org.remove_domain(second.id, chat()).await;
    assert!(matches!(not_its, Err(Error::NotFound(_))));
    org.remove_domain(agent.id, chat()).await.expect("removed");
    assert_eq!(leads_to(&world, "chat.example.com").await, None);
    // What was seen before counts for nothing.
    let late = org
        .check_domain(
            chat(),
            moved.revision,
            DomainSighting {
                proven: true,
                seen: String::new(),
                asked: false,
            },
        )
        .await;
    assert!(matches!(late, Err(Error::NotFound(_))), "{late:?}");
    assert_eq!(
        events(&org).await,
        [
            "domain.added",
            "domain.verified",
            "domain.changed",
            "domain.removed"
        ]
    );
}

#[tokio::test]
async fn of_two_orgs_that_prove_a_name_at_once_one_has_it() {
    let world = World::new().await;
    let (first, agent) = (world.org(), world.agent("scout").await);
    let (second, theirs) = other(&world).await;
    let (one, two) = (claim(&first, &agent).await, claim(&second, &theirs).await);
    let (one, two) = tokio::join!(check(&first, &one, true), check(&second, &two, true));
    assert_ne!(one.course.state.is_verified(), two.course.state.is_verified());
    let has: OrgId = leads_to(&world, "chat.example.com").await.expect("somebody").org;
    assert_eq!(has == world.org, one.course.state.is_verified());
    let without = if one.course.state.is_verified() {
        &two
    } else {
        &one
    };
    assert!(
        without.seen.contains("another org has the name"),
        "{}",
        without.seen
    );
}

#[tokio::test]
async fn who_proves_a_name_later_takes_it_over_and_a_stale_look_takes_nothing() {
    let world = World::new().await;
    let (first, agent) = (world.org(), world.agent("scout").await);
    let (second, theirs) = other(&world).await;
    let verified = check(&first, &claim(&first, &agent).await, true).await;
    let claimed = claim(&second, &theirs).await;
    let renewed = check(&first, &verified, true).await;
    let late = DomainSighting {
        proven: false,
        seen: "Gone.".to_owned(),
        asked: true,
    };
    let late = first.check_domain(chat(), verified.revision, late).await;
    assert_eq!(late.expect("a look"), None, "it was looked at later");
    let stale = first.lose_domain(chat(), verified.revision, "Lost.".to_owned());
    assert!(!stale.await.expect("a look"), "it was proven meanwhile");
    let lost = first.lose_domain(chat(), renewed.revision, "Lost.".to_owned());
    assert!(lost.await.expect("a look"));
    // Whoever dies here leaves a name that leads nowhere, and the next check goes on.
    assert_eq!(leads_to(&world, "chat.example.com").await, None);
    assert!(check(&second, &claimed, true).await.course.state.is_verified());
    let has = leads_to(&world, "chat.example.com").await.expect("somebody");
    assert_eq!((has.org, has.agent), (second.id(), theirs.id));
    let failed = first.domain(chat()).await.expect("there");
    assert_eq!(
        (failed.course.state.as_str(), failed.seen.as_str()),
        ("failed", "Lost.")
    );
    assert_eq!(
        events(&first).await,
        ["domain.added", "domain.verified", "domain.failed"]
    );
    // It may be claimed and proven back.
    assert!(!check(&first, &failed, true).await.course.state.is_verified());
}

#[tokio::test]
async fn a_proof_that_is_gone_for_a_week_takes_the_name_out_of_service() {
    let world = World::new().await;
    let (org, agent) = (world.org(), world.agent("scout").await);
    let mut domain = check(&org, &claim(&org, &agent).await, true).await;
    let began = world.now();
    while let Some(next) = domain.course.next_check_at {
        assert!(leads_to(&world, "chat.example.com").await.is_some(), "it goes on");
        world
            .clock
            .advance(next.duration_since(world.now()).max(SignedDuration::ZERO));
        let due = world
            .store
            .platform()
            .due_domains(world.now(), None, 10)
            .await
            .expect("a list");
        assert_eq!(due.len(), 1);
        domain = check(&org, &domain, false).await;
    }
    assert_eq!(domain.course.state.as_str(), "failed");
    assert!(world.now().duration_since(began) >= DAY * 8);
    assert_eq!(leads_to(&world, "chat.example.com").await, None);
    assert_eq!(
        events(&org).await,
        [
            "domain.added",
            "domain.verified",
            "domain.failing",
            "domain.failed"
        ]
    );
    assert_eq!(
        world
            .store
            .platform()
            .next_domain_check_at()
            .await
            .expect("a look"),
        None
    );
}

#[tokio::test]
async fn what_is_due_is_found_page_by_page_and_after_a_clock_went_back() {
    let world = World::new().await;
    let (org, agent) = (world.org(), world.agent("scout").await);
    for number in 0..5 {
        let name = name(&format!("n{number}.example.com"));
        org.put_domain(agent.id, name, None, "t".to_owned())
            .await
            .expect("claimed");
    }
    let platform = world.store.platform();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = platform.due_domains(world.now(), after, 2).await.expect("a list");
        after = page.last().cloned();
        seen.extend(page.into_iter().map(|due| due.name.to_string()));
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 5, "{seen:?}");
    let first = org.domain(name("n0.example.com")).await.expect("there");
    check(&org, &first, true).await;
    let due = async || {
        platform
            .due_domains(world.now(), None, 10)
            .await
            .expect("a list")
            .len()
    };
    assert_eq!(due().await, 4);
    world.clock.advance(-(DAY * 100));
    assert_eq!(due().await, 5, "planned by a clock that was wrong");
}

#[tokio::test]
async fn past_their_bounds_domains_are_refused() {
    let world = World::new().await;
    let org = world.org();
    let claim = async |agent: &Agent, number: u64| {
        let name = name(&format!("n{number}-{}.example.com", agent.name));
        org.put_domain(agent.id, name, None, "t".to_owned()).await
    };
    for full in 0..MAX_DOMAINS / MAX_DOMAINS_OF_AGENT {
        let agent = world.agent(&format!("a{full}")).await;
        for number in 0..MAX_DOMAINS_OF_AGENT {
            claim(&agent, number).await.expect("claimed");
        }
        let past = claim(&agent, MAX_DOMAINS_OF_AGENT).await;
        assert!(matches!(past, Err(Error::LimitReached { .. })), "{past:?}");
    }
    let one_more = world.agent("more").await;
    let past = claim(&one_more, 0).await;
    assert!(
        matches!(
            past,
            Err(Error::LimitReached {
                most: MAX_DOMAINS,
                ..
            })
        ),
        "{past:?}"
    );
}

#[tokio::test]
async fn what_a_browser_got_under_one_name_is_worth_nothing_under_another() {
    let world = World::new().await;
    let (org, agent) = (world.org(), world.agent("scout").await);
    let verified = check(&org, &claim(&org, &agent).await, true).await;
    org.publish_port(agent.id, 3000, creel_domain::PortAccess::Private, true)
        .await
        .expect("published");
    let platform = world.store.platform();
    let session = platform.open_browser_session(world.org, world.user, browser_session(1));
    let session = session.await.expect("opened");
    let (here, there) = (|| "chat.example.com".to_owned(), || "scout".to_owned());
    let ticket = async |mark: u8| {
        let added = org.add_ticket(agent.id, 3000, here(), session, [mark; 32]);
        added.await.expect("added");
    };
    let used = async |host: String, mark: u8| {
        let used = org.use_ticket(agent.id, host, [mark; 32], [mark + 100; 32]);
        used.await.expect("a look")
    };
    ticket(1).await;
    assert_eq!(used(there(), 1).await, None, "another name of the same agent");
    assert_eq!(used(here(), 1).await, Some(3000));
    let access = async |host: String, mark: u8| {
        let found = org.access(agent.id, 3000, host, [mark; 32]).await;
        found.expect("a look")
    };
    assert_eq!(access(there(), 101).await, None);
    assert_eq!(access(here(), 101).await, Some(AccessBy::Session(session)));
    let link = NewShareLink {
        port: 3000,
        name: String::new(),
        hash: [9; 32],
        expires_at: world.now() + DAY,
    };
    let link = org.add_share_link(agent.id, link).await.expect("made");
    org.use_share_link(agent.id, &link, here(), [109; 32])
        .await
        .expect("let in");
    assert_eq!(access(there(), 109).await, None);
    assert_eq!(access(here(), 109).await, Some(AccessBy::Link(link.id)));
    ticket(2).await;
    // The name leads to another port: whoever was let in there comes in again.
    org.put_domain(agent.id, chat(), Some(3000), String::new())
        .await
        .expect("moved");
    assert_eq!((access(here(), 101).await, used(here(), 2).await), (None, None));
    assert!(verified.course.state.is_verified());
}

#[tokio::test]
async fn with_an_agent_its_domains_go() {
    let world = World::new().await;
    let (org, agent) = (world.org(), world.agent("scout").await);
    check(&org, &claim(&org, &agent).await, true).await;
    org.change_agent(agent.id, None, intent(Intent::Delete))
        .await
        .expect("asked");
    let late = org
        .put_domain(agent.id, name("late.example.com"), None, String::new())
        .await;
    assert!(matches!(late, Err(Error::Deleting)), "{late:?}");
    org.forget_agent(agent.id).await.expect("gone");
    assert_eq!(leads_to(&world, "chat.example.com").await, None);
    assert_eq!(org.domains(None).await.expect("a list"), []);
    let (second, theirs) = other(&world).await;
    assert!(
        check(&second, &claim(&second, &theirs).await, true)
            .await
            .course
            .state
            .is_verified()
    );
}
