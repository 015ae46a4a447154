//! Operators of the platform and orgs that are not theirs: what they do is done, and told to the org.

use axum::{body::Body, http::Request};
use creel_domain::{ActorKind, Intent, OrgId};
use creel_store::{NewToken, NewTotp};
use serde_json::json;

use super::{Reply, World, wait};
use crate::operations::sign_in::hash;

const TENANT: &str = "a-tenants-token";

async fn tenant(world: &World) -> OrgId {
    let made = world.store().platform().create_org("tenant".into()).await;
    let (org, user) = made.expect("an org");
    let token = NewToken::whole(user, "theirs", hash(TENANT));
    world.store().org(org).add_token(token).await.expect("a token");
    org
}

/// What an operator must have before any of this.
pub(super) async fn owner_has_a_second_factor(world: &World) {
    let platform = world.store().platform();
    let owner = platform.first_owner().await.expect("an owner").user;
    let totp = NewTotp {
        secret: "JBSWY3DPEHPK3PXP".to_owned().into(),
    };
    assert!(platform.begin_totp(owner, totp).await.expect("begun"));
    let confirmed = platform.confirm_totp(owner, 1, Vec::new()).await;
    assert!(confirmed.expect("confirmed"));
}

async fn ask(world: &World, token: &str, method: &str, path: &str) -> Reply {
    let request = Request::builder().method(method).uri(path);
    let request = request.header("authorization", format!("Bearer {token}"));
    world.send(request.body(Body::empty()).expect("a request")).await
}

async fn until_wanted(world: &World, intent: Intent) {
    wait(&format!("the agent to be wanted {intent:?}"), || async {
        let agents = world.store().platform().all_agents().await.expect("agents");
        let reports = world.supervisor.reports();
        let seen = reports
            .iter()
            .all(|report| report.generation == agents[0].generation);
        (
            agents[0].intent == intent && seen,
            format!("{agents:?} {reports:?}"),
        )
    })
    .await;
}

#[tokio::test]
async fn a_suspended_org_does_nothing_until_it_is_resumed_and_knows_who_did_it() {
    let world = World::new().await;
    owner_has_a_second_factor(&world).await;
    let org = tenant(&world).await;
    let agent = json!({"name": "scout", "runtime": "lite"});
    world.post_as(TENANT, "/v1/agents", agent).await.expect(201).await;
    let shown = world.get(&format!("/v1/orgs/{org}")).await.expect(200).await;
    assert_eq!((&shown["name"], &shown["agents"]), (&json!("tenant"), &json!(1)));
    let suspend = format!("/v1/orgs/{org}/suspend");
    assert_eq!(world.post(&suspend, json!({})).await.status, 204);
    until_wanted(&world, Intent::Stop).await;
    for (method, path) in [
        ("GET", "/v1/agents"),
        ("POST", "/v1/agents/scout/restart"),
        ("GET", "/v1/audit"),
    ] {
        ask(&world, TENANT, method, path)
            .await
            .problem("org_suspended")
            .await;
    }
    assert_eq!(ask(&world, TENANT, "GET", "/v1/whoami").await.status, 200);
    assert_eq!(
        world.get("/v1/agents").await.status,
        200,
        "nobody else is concerned"
    );
    let resume = format!("/v1/orgs/{org}/resume");
    assert_eq!(world.post(&resume, json!({})).await.status, 204);
    until_wanted(&world, Intent::Run).await;
    let trail = ask(&world, TENANT, "GET", "/v1/audit?actor=operator")
        .await
        .expect(200)
        .await;
    let told: Vec<_> = trail["items"].as_array().expect("items").iter().collect();
    let actions: Vec<_> = told
        .iter()
        .map(|entry| entry["act"]["action"].as_str().expect("text"))
        .collect();
    assert_eq!(actions, ["org.resume", "org.suspend", "org.show"]);
    assert!(
        told.iter().all(|entry| entry["actor"]["name"] == "owner"),
        "{told:?}"
    );
    let ours = world.get("/v1/whoami").await.expect(200).await;
    let ours = world
        .store()
        .org(ours["org"].as_str().expect("an id").parse().expect("an id"));
    let entries = ours.audit_after(0, 100).await.expect("entries");
    assert!(
        entries
            .iter()
            .all(|stored| stored.entry.actor.kind != ActorKind::Operator)
    );
}

#[tokio::test]
async fn only_an_operator_enters_another_org_and_not_with_a_token_that_does_less() {
    let world = World::new().await;
    owner_has_a_second_factor(&world).await;
    let org = tenant(&world).await;
    let less = json!({"name": "less", "scopes": ["platform:write"]});
    let less = world.post("/v1/tokens", less).await.expect(201).await;
    let less = less["secret"].as_str().expect("a secret").to_owned();
    for path in ["suspend", "resume"] {
        let path = format!("/v1/orgs/{org}/{path}");
        for token in [TENANT, &less] {
            ask(&world, token, "POST", &path).await.problem("forbidden").await;
        }
    }
    ask(&world, TENANT, "GET", "/v1/orgs")
        .await
        .problem("forbidden")
        .await;
    let nobody = "/v1/orgs/org_00000000000000000000000007/suspend";
    world.post(nobody, json!({})).await.problem("not_found").await;
    let listed = world.get("/v1/orgs?limit=1").await.expect(200).await;
    assert_eq!(listed["items"][0]["id"], org.to_string());
    let cursor = listed["next_cursor"].as_str().expect("more").to_owned();
    let rest = world
        .get(&format!("/v1/orgs?cursor={cursor}"))
        .await
        .expect(200)
        .await;
    assert_eq!(rest["items"].as_array().expect("items").len(), 1);
}
