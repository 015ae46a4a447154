//! The audit trail: every change leaves an entry in the same transaction, and whatever is done to the rows
//! behind the store's back is found.

use std::sync::Arc;

use creel_domain::{Act, Actor, ActorKind, Intent, MemberRole, OrgId};
use creel_store::{
    AuditFault, AuditFaultKind::*, AuditFilter, Error, NewInvitation, NewToken, Org, StoredEntry,
};
use proptest::prelude::*;

use crate::{
    engine::Engine,
    world::{World, intent, new_agent},
};

/// `2 token.create by platform: tok…`, the oldest first.
async fn told(org: &Org) -> Vec<String> {
    let entries = org.audit_after(0, 1000).await.expect("entries");
    entries
        .iter()
        .map(|StoredEntry { entry, .. }| {
            let (actor, act) = (&entry.actor, &entry.act);
            let who = if actor.name.is_empty() {
                actor.kind.as_str()
            } else {
                &actor.name
            };
            format!("{} {} by {who}: {}", entry.sequence, act.action, act.target_name)
        })
        .collect()
}

async fn fault(org: &Org) -> Option<AuditFault> {
    org.verify_audit().await.expect("a verdict").fault
}

/// How an id is written in the engine's own SQL.
fn id(org: OrgId) -> String {
    let engine_writes_uuids = std::any::type_name::<Engine>().starts_with("postgres");
    if engine_writes_uuids {
        format!("'{}'", org.uuid())
    } else {
        format!("x'{}'", org.uuid().simple())
    }
}

/// The trail of an org with a few entries: 1 to 8.
async fn eight() -> World {
    let world = World::new().await;
    for name in ["a", "b", "c", "d", "e", "f", "g"] {
        world.agent(name).await;
    }
    assert_eq!(told(&world.org()).await.len(), 8);
    assert_eq!(fault(&world.org()).await, None);
    world
}

#[tokio::test]
async fn each_change_is_told_in_the_name_of_whoever_made_it() {
    let world = World::new().await;
    let actor = Actor {
        via: "token tok_x".into(),
        address: "192.0.2.7".into(),
        request: "r1".into(),
        rule: "agents:write".into(),
        ..Actor::user(world.user, "ann")
    };
    let org = world.org().acting(Arc::new(actor.clone()));
    let agent = org.create_agent(new_agent("scout")).await.expect("made");
    org.change_agent(agent.id, None, intent(Intent::Stop))
        .await
        .expect("stopped");
    let token = org
        .add_token(NewToken::whole(world.user, "ci", [1; 32]))
        .await
        .expect("made");
    org.revoke_token(token.id, None).await.expect("revoked");
    let invitation = NewInvitation {
        role: MemberRole::Viewer,
        by: world.user,
        hash: [2; 32],
    };
    org.invite(invitation).await.expect("invited");
    // Whoever accepts is nobody before, and somebody after.
    let guest = world.store.platform().acting(Arc::new(Actor::anonymous()));
    let joined = guest
        .accept_invitation([2; 32], None, "bob".into(), [3; 32])
        .await;
    let joined = joined.expect("no error").expect("let in");
    org.set_role(joined.user, MemberRole::Admin, MemberRole::Owner)
        .await
        .expect("set");
    org.remove_member(joined.user, Some(MemberRole::Owner))
        .await
        .expect("removed");
    // What was refused or changed nothing leaves nothing.
    org.revoke_token(token.id, None).await.expect_err("gone");
    org.change_agent(agent.id, None, intent(Intent::Stop))
        .await
        .expect("stopped already");
    assert_eq!(
        told(&world.org()).await,
        [
            "1 org.create by platform: default",
            "2 agent.create by ann: scout",
            "3 agent.stop by ann: scout",
            "4 token.create by ann: ci",
            "5 token.revoke by ann: ci",
            "6 invitation.create by ann: ",
            "7 invitation.accept by bob: ",
            "8 token.create by bob: joined",
            "9 member.role by ann: bob",
            "10 member.remove by ann: bob",
        ]
    );
    let all = org.audit_after(0, 1000).await.expect("entries");
    assert_eq!(all[1].entry.actor, actor);
    assert_eq!(all[6].entry.actor.kind, ActorKind::User);
    assert_eq!(fault(&org).await, None);
    let filter = |actor: &str, action: &str| AuditFilter {
        since: Some(world.now()),
        actor: Some(actor.into()),
        action: Some(action.into()),
    };
    let found = async |actor: &str, action: &str| {
        let found = org.audit(filter(actor, action), None, 9).await.expect("entries");
        found.iter().map(|found| found.entry.sequence).collect::<Vec<_>>()
    };
    assert_eq!(found("ann", "token.").await, [5, 4]);
    assert_eq!(found(&joined.user.to_string(), "token.create").await, [8]);
    assert_eq!(found("platform", "org.create").await, [1]);
    assert_eq!(found("ann", "token").await, [0; 0], "a noun needs its dot");
    let page = org
        .audit(AuditFilter::default(), Some(3), 1)
        .await
        .expect("entries");
    assert_eq!(page[0].entry.sequence, 2);
}

#[tokio::test]
async fn any_field_that_is_changed_is_found() {
    let world = eight().await;
    let org = id(world.org);
    let columns = [
        ("at", "at + 1"),
        ("actor_kind", "'operator'"),
        ("actor_id", "'usr_other'"),
        ("actor_name", "'eve'"),
        ("via", "'session'"),
        ("address", "'198.51.100.1'"),
        ("request", "'x'"),
        ("rule", "'x'"),
        ("action", "'agent.delete'"),
        ("target_kind", "'token'"),
        ("target", "'agt_other'"),
        ("target_name", "'other'"),
        ("result", "'refused'"),
        ("repeats", "2"),
        ("details", "'{}'"),
        ("previous", "hash"),
        ("hash", "previous"),
        ("mac", "hash"),
    ];
    let kept = [
        "CREATE TABLE kept AS SELECT * FROM audit",
        "DELETE FROM audit",
        "INSERT INTO audit SELECT * FROM kept",
    ];
    world.engine.meddle(kept[0]);
    for (column, value) in columns {
        world.engine.meddle(&format!(
            "UPDATE audit SET {column} = {value} WHERE org_id = {org} AND sequence = 5"
        ));
        let found = fault(&world.org())
            .await
            .unwrap_or_else(|| panic!("{column}: nothing was found"));
        assert_eq!(found.sequence, 5, "{column}: {found:?}");
        world.engine.meddle(kept[1]);
        world.engine.meddle(kept[2]);
        assert_eq!(fault(&world.org()).await, None, "put back");
    }
    world.engine.meddle("DROP TABLE kept");
}

/// What somebody does to the rows, and what is found.
async fn meddled(sql: &[&str], sequence: u64, kind: creel_store::AuditFaultKind) {
    let world = eight().await;
    for sql in sql {
        world.engine.meddle(&sql.replace("ORG", &id(world.org)));
    }
    let expected = Some(AuditFault { sequence, kind });
    assert_eq!(fault(&world.org()).await, expected, "{sql:?}");
    // Nobody covers it up by going on: work is done and told as before, and the fault stays.
    world.agent("after").await;
    let found = fault(&world.org()).await.expect("still wrong");
    assert_eq!(found.sequence, sequence, "{sql:?}: after more entries {found:?}");
}

#[tokio::test]
async fn rows_that_are_taken_away_moved_or_cut_off_are_found() {
    meddled(
        &["DELETE FROM audit WHERE org_id = ORG AND sequence = 4"],
        4,
        Missing,
    )
    .await;
    meddled(&["DELETE FROM audit WHERE org_id = ORG AND sequence > 5"], 6, Cut).await;
    meddled(&["DELETE FROM audit WHERE org_id = ORG"], 1, Cut).await;
    meddled(
        &[
            "UPDATE audit SET sequence = 99 WHERE org_id = ORG AND sequence = 3",
            "UPDATE audit SET sequence = 3 WHERE org_id = ORG AND sequence = 6",
            "UPDATE audit SET sequence = 6 WHERE org_id = ORG AND sequence = 99",
        ],
        3,
        OutOfOrder,
    )
    .await;
    // The numbers are closed up behind it.
    meddled(
        &[
            "DELETE FROM audit WHERE org_id = ORG AND sequence = 4",
            "UPDATE audit SET sequence = sequence - 101 WHERE org_id = ORG AND sequence > 4",
            "UPDATE audit SET sequence = sequence + 100 WHERE org_id = ORG AND sequence < 0",
        ],
        4,
        OutOfOrder,
    )
    .await;
}

#[tokio::test]
async fn a_head_that_is_taken_away_or_set_back_is_found() {
    meddled(&["DELETE FROM audit_heads WHERE org_id = ORG"], 1, Head).await;
    // The last rows are cut off, and the head says that there never were more.
    meddled(
        &[
            "DELETE FROM audit WHERE org_id = ORG AND sequence > 5",
            "UPDATE audit_heads SET sequence = 5, hash = (SELECT hash FROM audit WHERE org_id = ORG AND sequence = 5)
             WHERE org_id = ORG",
        ],
        6,
        Head,
    )
    .await;
    meddled(
        &[
            "DELETE FROM audit WHERE org_id = ORG AND sequence < 4",
            "UPDATE audit_heads SET removed = 3, removed_hash = (SELECT previous FROM audit WHERE org_id = ORG
             AND sequence = 4) WHERE org_id = ORG",
        ],
        4,
        Beginning,
    )
    .await;
    meddled(
        &["UPDATE audit_heads SET sealed_key = seal WHERE org_id = ORG"],
        1,
        Head,
    )
    .await;
}

#[tokio::test]
async fn a_trail_that_somebody_else_made_is_found() {
    // Every hash is right, and each covers the one before it; only the key was not there.
    let ours = eight().await;
    let org = ours.org();
    let entries = org.audit_after(0, 9).await.expect("entries");
    let mut previous = [0; 32];
    for stored in &entries {
        let mut entry = stored.entry.clone();
        entry.actor.name = "somebody else".into();
        let hash = creel_store::audit_hash(ours.org, &entry, &previous);
        let bytes = |bytes: &[u8; 32]| {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            if id(ours.org).starts_with('x') {
                format!("x'{hex}'")
            } else {
                format!("'\\x{hex}'")
            }
        };
        ours.engine.meddle(&format!(
            "UPDATE audit SET actor_name = 'somebody else', previous = {}, hash = {} WHERE org_id = {} AND sequence = {}",
            bytes(&previous), bytes(&hash), id(ours.org), entry.sequence
        ));
        previous = hash;
    }
    let expected = AuditFault {
        sequence: 1,
        kind: Forged,
    };
    assert_eq!(fault(&org).await, Some(expected));
}

#[tokio::test]
async fn a_trail_that_was_wiped_out_whole_does_not_begin_anew() {
    let mut world = eight().await;
    world.engine.meddle("DELETE FROM audit; DELETE FROM audit_heads");
    world.reopen().await;
    assert_eq!(fault(&world.org()).await.map(|fault| fault.kind), Some(Head));
    world.agent("after").await;
    assert_eq!(fault(&world.org()).await.map(|fault| fault.kind), Some(Head));
}

#[tokio::test]
async fn two_controls_never_fork_the_chain() {
    let world = World::new().await;
    let other = world.open().await.expect("opens");
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..40 {
        let store = if number % 2 == 0 {
            world.store.clone()
        } else {
            other.clone()
        };
        let (org, user) = (world.org, world.user);
        tasks.spawn(async move {
            if number % 3 == 0 {
                // The platform's own transactions do not take the org's lock.
                let span = jiff::SignedDuration::from_mins(1);
                store
                    .platform()
                    .add_sign_in_link(org, user, [number; 32], span)
                    .await
                    .map(drop)
            } else {
                store
                    .org(org)
                    .record(Act::new("test.act").with("n", number))
                    .await
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("no panic").expect("recorded");
    }
    let verdict = world.org().verify_audit().await.expect("a verdict");
    assert_eq!((verdict.fault, verdict.good), (None, 41));
}

#[tokio::test]
async fn old_entries_go_and_what_is_left_verifies() {
    let world = eight().await;
    let org = world.org();
    let day = jiff::SignedDuration::from_hours(24);
    let removed = org.trim_audit(world.now()).await.expect("nothing is that old");
    assert_eq!(removed, 0);
    world.clock.advance(day * 10);
    world.agent("young").await;
    let before = world.now() - day * 5;
    assert_eq!(org.trim_audit(before).await.expect("trimmed"), 8);
    let verdict = org.verify_audit().await.expect("a verdict");
    assert_eq!((verdict.fault, verdict.removed, verdict.good), (None, 8, 2));
    assert_eq!(
        told(&org).await,
        ["9 agent.create by platform: young", "10 audit.trim by platform: "]
    );
    // However old, the newest stays: the next one follows it.
    assert_eq!(org.trim_audit(world.now() + day).await.expect("trimmed"), 1);
    world.agent("next").await;
    assert_eq!(fault(&org).await, None);
    // Housekeeping removes nothing for somebody who makes entries look old.
    world.engine.meddle("UPDATE audit SET at = 0 WHERE sequence = 10");
    assert_eq!(org.trim_audit(before).await.expect("no error"), 0);
    let found = Some(AuditFault {
        sequence: 10,
        kind: Changed,
    });
    assert_eq!(fault(&org).await, found);
}

#[tokio::test]
async fn an_org_that_is_not_there_has_no_trail() {
    let world = World::new().await;
    let nowhere = world.store.org(creel_daemon::mint(&*world.clock));
    for outcome in [
        nowhere.record(Act::new("a.b")).await,
        nowhere.verify_audit().await.map(drop),
    ] {
        assert!(matches!(outcome, Err(Error::NotFound("org"))), "{outcome:?}");
    }
}

/// One step of a random life.
#[derive(Debug, Clone)]
enum Step {
    Agent,
    Token,
    Record(String),
    Refused,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Agent),
        Just(Step::Token),
        "(?s).{0,300}".prop_map(Step::Record),
        Just(Step::Refused),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is done and in whatever words, the trail verifies; and without any one of its rows it does not.
    #[test]
    fn any_life_verifies_and_lacks_nothing(steps in prop::collection::vec(step(), 1..12), gone in any::<prop::sample::Index>()) {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let world = World::new().await;
            let org = world.org();
            for (number, step) in (1_u8..).zip(&steps) {
                match step {
                    Step::Agent => drop(world.agent(&format!("a{number}")).await),
                    Step::Token => drop(org.add_token(NewToken::whole(world.user, "t", [number; 32])).await.expect("made")),
                    Step::Record(text) => {
                        let act = Act::new(text).on(text, text).named(text).with(text, text);
                        org.record(act).await.expect("recorded");
                    }
                    Step::Refused => drop(org.revoke_token(creel_daemon::mint(&*world.clock), None).await.expect_err("no such")),
                }
            }
            let verdict = org.verify_audit().await.expect("a verdict");
            assert_eq!(verdict.fault, None, "{steps:?}");
            let gone = gone.index(usize::try_from(verdict.good).expect("few")) + 1;
            world.engine.meddle(&format!("DELETE FROM audit WHERE sequence = {gone}"));
            let found = fault(&org).await.expect("found");
            assert_eq!(found.sequence, gone as u64, "{steps:?}");
        });
    }
}
