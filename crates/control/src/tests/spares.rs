//! Sandboxes made ahead of need: kept ready, handed out once, made up for, and never left behind.

use std::collections::BTreeSet;

use creel_domain::{Limits, Runtime, RuntimeState, SandboxId, SparePool, SpareState};
use creel_store::NewAgent;
use serde_json::json;

use super::{World, wait};

/// A control that keeps so many of `lite` ready.
async fn with_spares(lite: u32) -> World {
    let mut world = World::new().await;
    again_with(&mut world, lite).await;
    world
}

async fn again_with(world: &mut World, lite: u32) {
    world.kill().await;
    world.spares = SparePool { openclaw: 0, lite };
    world.start().await;
    until_ready(world, lite as usize).await;
}

/// Waits until so many are ready and rest, and nothing else is under way; their sandboxes.
async fn until_ready(world: &World, count: usize) -> BTreeSet<SandboxId> {
    wait(&format!("{count} spares to be ready"), || async {
        let spares = world.store().platform().spares().await.expect("spares");
        let rests = |sandbox| {
            let reports = world.supervisor.reports();
            let report = reports.iter().find(|report| report.sandbox == sandbox);
            report.is_some_and(|report| matches!(report.state, creel_domain::SandboxState::Asleep { .. }))
        };
        let ready = spares
            .iter()
            .all(|spare| spare.state == SpareState::Ready && rests(spare.sandbox));
        (ready && spares.len() == count, format!("{spares:?}"))
    })
    .await;
    let spares = world.store().platform().spares().await.expect("spares");
    spares.into_iter().map(|spare| spare.sandbox).collect()
}

/// Every sandbox is an agent's or the pool's, and none is both.
async fn nothing_is_left_over(world: &World) {
    wait("each sandbox to be somebody's", || async {
        let platform = world.store().platform();
        let (spares, agents) = (platform.spares().await, platform.all_agents().await);
        let spares: BTreeSet<_> = spares
            .expect("spares")
            .iter()
            .map(|spare| spare.sandbox)
            .collect();
        let agents: BTreeSet<_> = agents
            .expect("agents")
            .iter()
            .map(|agent| agent.sandbox)
            .collect();
        let there: BTreeSet<_> = world
            .supervisor
            .reports()
            .iter()
            .map(|report| report.sandbox)
            .collect();
        let known: BTreeSet<_> = spares.union(&agents).copied().collect();
        assert!(spares.is_disjoint(&agents), "{spares:?} {agents:?}");
        (known == there, format!("{spares:?} {agents:?} {there:?}"))
    })
    .await;
}

#[tokio::test]
async fn a_new_agent_gets_the_sandbox_that_was_ready_and_another_is_made() {
    let world = with_spares(1).await;
    let ready = until_ready(&world, 1).await;
    let agent = json!({"name": "scout", "runtime": "lite", "files": {"soul": "kind"}});
    world.post("/v1/agents", agent).await.expect(201).await;
    let sandbox = world.sandbox("scout").await;
    assert!(ready.contains(&sandbox));
    world.until("scout", "running").await;
    let spec = world.supervisor.spec(sandbox).expect("it runs");
    assert_eq!((spec.name.as_str(), spec.files.soul.as_str()), ("scout", "kind"));
    let turn = world
        .post("/v1/agents/scout/chat", json!({"message": "hello"}))
        .await
        .expect(200)
        .await;
    assert_eq!(turn["state"], "done", "{turn}");
    let next = until_ready(&world, 1).await;
    assert!(next.is_disjoint(&ready));
    nothing_is_left_over(&world).await;

    let host = world.get("/v1/host").await.expect(200).await;
    let pool = json!([{"runtime": "lite", "wanted": 1, "ready": 1, "preparing": 0}]);
    assert_eq!(host["spares"], pool);

    assert_eq!(world.delete("/v1/agents/scout").await.status, 202);
    wait("its sandbox to go", || async {
        let there = world.supervisor.reports();
        (
            there.iter().all(|report| report.sandbox != sandbox),
            format!("{there:?}"),
        )
    })
    .await;
}

#[tokio::test]
async fn other_limits_or_another_runtime_get_a_sandbox_of_their_own() {
    let world = with_spares(1).await;
    let ready = until_ready(&world, 1).await;
    for (name, body) in [
        (
            "small",
            json!({"name": "small", "runtime": "lite", "limits": {"pids": 64}}),
        ),
        ("claw", json!({"name": "claw", "runtime": "openclaw"})),
    ] {
        world.post("/v1/agents", body).await.expect(201).await;
        assert!(!ready.contains(&world.sandbox(name).await), "{name}");
        world.until(name, "running").await;
    }
    assert_eq!(until_ready(&world, 1).await, ready);
}

#[tokio::test]
async fn many_at_once_never_share_one() {
    let world = with_spares(4).await;
    let ready = until_ready(&world, 4).await;
    let create = |number: u32| {
        let name = format!("a{number}");
        let body = json!({"name": name, "runtime": "lite"});
        async { world.post("/v1/agents", body).await.expect(201).await }
    };
    futures_util::future::join_all((0..12).map(create)).await;
    let agents = world.store().platform().all_agents().await.expect("agents");
    let sandboxes: BTreeSet<_> = agents.iter().map(|agent| agent.sandbox).collect();
    assert_eq!(sandboxes.len(), 12);
    assert!(sandboxes.is_superset(&ready), "whoever comes first gets them");
    for number in 0..12 {
        world.until(&format!("a{number}"), "running").await;
    }
    until_ready(&world, 4).await;
    nothing_is_left_over(&world).await;
}

#[tokio::test]
async fn an_agent_that_cannot_be_made_takes_none() {
    let world = with_spares(1).await;
    world.create("scout").await;
    let ready = until_ready(&world, 1).await;
    let org = world
        .store()
        .platform()
        .first_owner()
        .await
        .expect("an owner")
        .org;
    let again = NewAgent {
        name: "scout".parse().expect("a name"),
        spec: creel_domain::AgentSpec {
            runtime: Runtime::Lite,
            model: creel_domain::ModelName::demo(),
            files: Default::default(),
            limits: Limits::default_for(Runtime::Lite),
            rest: Default::default(),
        },
    };
    world
        .store()
        .org(org)
        .create_agent(again)
        .await
        .expect_err("the name is taken");
    assert_eq!(until_ready(&world, 1).await, ready);
}

#[tokio::test]
async fn they_are_nobodys_but_not_strangers() {
    let world = with_spares(2).await;
    let ready = until_ready(&world, 2).await;
    tokio::time::sleep(std::time::Duration::from_secs(300)).await;
    assert_eq!(until_ready(&world, 2).await, ready);
}

#[tokio::test]
async fn one_that_is_lost_is_made_up_for_and_a_smaller_pool_is_emptied() {
    let mut world = with_spares(2).await;
    let lost = *until_ready(&world, 2).await.first().expect("one");
    world.supervisor.lose(lost);
    world.supervisor.drop_watchers();
    wait("another one", || async {
        let spares = world.store().platform().spares().await.expect("spares");
        let there = spares.iter().any(|spare| spare.sandbox == lost);
        (!there && spares.len() == 2, format!("{spares:?}"))
    })
    .await;
    until_ready(&world, 2).await;
    again_with(&mut world, 0).await;
    world.until_gone().await;
}

#[tokio::test]
async fn a_runtime_that_does_not_come_up_is_given_up_and_said_so() {
    let mut world = World::new().await;
    world.kill().await;
    world.spares = SparePool { openclaw: 0, lite: 1 };
    world.bridges.set_newcomers(RuntimeState::Starting);
    world.start().await;
    // It is waited for that long.
    tokio::time::sleep(std::time::Duration::from_secs(10 * 60)).await;
    wait("it to be given up", || async {
        let host = world.get("/v1/host").await.json().await;
        let waiting = host["spares"][0]["waiting"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        (
            waiting.starts_with("the last one failed: its runtime did not answer in time"),
            waiting,
        )
    })
    .await;
    world.bridges.set_newcomers(RuntimeState::Ready);
    until_ready(&world, 1).await;
    nothing_is_left_over(&world).await;
}

#[tokio::test]
async fn without_an_image_none_is_made() {
    let mut world = World::new().await;
    world.kill().await;
    world.spares = SparePool { openclaw: 0, lite: 1 };
    let absent = creel_protocol::ImageState::Absent;
    world.supervisor.set_image(creel_domain::ImageName::Lite, absent);
    world.start().await;
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    assert!(world.supervisor.reports().is_empty());
    let host = world.get("/v1/host").await.json().await;
    assert_eq!(host["spares"][0]["waiting"], "the image lite is not built yet");
}

#[tokio::test]
async fn a_crash_at_any_point_leaves_no_sandbox_that_is_nobodys() {
    const MOST: usize = 200;
    let mut world = World::new().await;
    for point in 1..MOST {
        world.kill().await;
        world.spares = SparePool { openclaw: 0, lite: 1 };
        world.points.arm(point);
        world.start().await;
        let name = format!("agent-{point}");
        let story = async {
            until_ready(&world, 1).await;
            let body = json!({"name": name, "runtime": "lite"});
            world.post("/v1/agents", body).await.expect(201).await;
            world.until(&name, "running").await;
            until_ready(&world, 1).await;
        };
        let crashed = tokio::select! {
            () = world.points.hit() => true,
            () = story => false,
        };
        world.kill().await;
        world.points.disarm();
        world.start().await;
        until_ready(&world, 1).await;
        nothing_is_left_over(&world).await;
        for agent in world.store().platform().all_agents().await.expect("agents") {
            let name = agent.name.as_str();
            world.until(name, "running").await;
            assert_eq!(world.delete(&format!("/v1/agents/{name}")).await.status, 202);
        }
        wait("the agents to go", || async {
            let agents = world.store().platform().all_agents().await.expect("agents");
            (agents.is_empty(), format!("{agents:?}"))
        })
        .await;
        if !crashed {
            assert!(point > 8, "only {point} points were passed");
            return;
        }
        // From nothing each time.
        again_with(&mut world, 0).await;
        world.until_gone().await;
    }
    panic!("it passes more than {MOST} points");
}
