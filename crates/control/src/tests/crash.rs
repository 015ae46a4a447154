//! The control dies at every point it passes, and another one takes over.

use serde_json::json;

use super::{World, wait};

/// More points than any of these stories has.
const MOST: usize = 200;

/// Runs `story` with a crash at its first point, its second, and so on, until it gets by without one.
async fn at_each_point(
    world: &mut World,
    what: &str,
    prepare: &str,
    act: fn(&str) -> (String, String, String),
) -> usize {
    for point in 1..MOST {
        let name = format!("{what}-{point}");
        if prepare == "running" {
            world.running_agent(&name).await;
        }
        world.points.arm(point);
        let (method, path, body) = act(&name);
        let headers = [("content-type", "application/json"), ("if-match", "*")];
        let reply = world.ask(&method, &path, &headers, body).await;
        assert!(reply.status.is_success(), "{}", reply.status);
        let done = async {
            if prepare == "running" {
                wait("the agent to go", || async {
                    let agents = world.store().platform().all_agents().await.expect("agents");
                    (agents.is_empty(), format!("{agents:?}"))
                })
                .await;
            } else {
                world.until(&name, "running").await;
            }
        };
        let crashed = tokio::select! {
            () = world.points.hit() => true,
            () = done => false,
        };
        world.kill().await;
        world.points.disarm();
        world.start().await;
        if prepare != "running" {
            world.until(&name, "running").await;
            assert_eq!(world.delete(&format!("/v1/agents/{name}")).await.status, 202);
        }
        world.until_gone().await;
        if !crashed {
            return point;
        }
    }
    panic!("{what} passes more than {MOST} points");
}

#[tokio::test]
async fn a_create_survives_a_crash_at_any_point() {
    let mut world = World::new().await;
    let points = at_each_point(&mut world, "create", "nothing", |name| {
        let body = json!({"name": name, "runtime": "lite"}).to_string();
        ("POST".to_owned(), "/v1/agents".to_owned(), body)
    })
    .await;
    assert!(points > 4, "only {points} points were passed");
}

#[tokio::test]
async fn a_delete_survives_a_crash_at_any_point() {
    let mut world = World::new().await;
    let points = at_each_point(&mut world, "delete", "running", |name| {
        ("DELETE".to_owned(), format!("/v1/agents/{name}"), String::new())
    })
    .await;
    assert!(points > 3, "only {points} points were passed");
}

#[tokio::test]
async fn two_controls_at_once_do_no_harm() {
    let mut world = World::new().await;
    let first = world.running.take().expect("running");
    world.start().await;
    for number in 0..10 {
        world.create(&format!("a{number}")).await;
    }
    for number in 0..10 {
        world.until(&format!("a{number}"), "running").await;
    }
    assert_eq!(world.supervisor.reports().len(), 10);
    for number in 0..10 {
        assert_eq!(world.delete(&format!("/v1/agents/a{number}")).await.status, 202);
    }
    world.until_gone().await;
    assert!(!first.task.is_finished(), "the first one lives");
    first.shutdown.begin();
    first.task.abort();
}

#[tokio::test]
async fn a_supervisor_that_restarts_is_found_again() {
    let world = World::new().await;
    world.running_agent("scout").await;
    let down = creel_protocol::SupervisorError::Unreachable {
        reason: "connection refused".to_owned(),
    };
    world.supervisor.fail(Some(down));
    world.supervisor.drop_watchers();
    world.create("other").await;
    world.get("/readyz").await.problem("supervisor_unreachable").await;
    world.supervisor.fail(None);
    world.until("other", "running").await;
    world.until("scout", "running").await;
}
