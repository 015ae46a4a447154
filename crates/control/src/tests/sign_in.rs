//! Tokens, one-time links, sessions, and the wall between orgs.

use axum::{
    body::Body,
    http::{Method, Request},
};
use creel_store::{NewAgent, NewToken};
use serde_json::json;

use super::{Reply, World};

async fn with_cookie(
    world: &World,
    method: Method,
    path: &str,
    cookie: &str,
    headers: &[(&str, &str)],
) -> Reply {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("cookie", cookie)
        .header("host", "creel.test");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    world.send(request.body(Body::empty()).expect("a request")).await
}

#[tokio::test]
async fn every_route_of_the_description_wants_to_know_who_asks() {
    let world = World::new().await;
    let document = serde_json::to_value(crate::openapi()).expect("JSON");
    let paths = document["paths"].as_object().expect("paths");
    let mut asked = 0;
    for (path, operations) in paths {
        for (method, operation) in operations.as_object().expect("operations") {
            if operation["security"] == json!([{}]) {
                continue;
            }
            let path = path
                .replace("{agent}", "scout")
                .replace("{turn}", "trn_00000000000000000000000007")
                .replace("{port}", "3000")
                .replace("{domain}", "chat.example.com");
            let path = path
                .replace("{session}", "main")
                .replace("{image}", "lite")
                .replace("{name}", "demo");
            let method = method.to_uppercase();
            for authorization in [
                None,
                Some("Bearer wrong"),
                Some("Basic abc"),
                Some("Bearer "),
                Some(""),
            ] {
                let mut request = Request::builder().method(method.as_str()).uri(&path);
                if let Some(value) = authorization {
                    request = request.header("authorization", value);
                }
                let reply = world.send(request.body(Body::empty()).expect("a request")).await;
                assert_eq!(reply.status, 401, "{method} {path} {authorization:?}");
                reply.problem("unauthenticated").await;
                asked += 1;
            }
        }
    }
    assert!(asked > 100, "only {asked} requests were made");
}

#[tokio::test]
async fn a_link_opens_the_page_once() {
    let world = World::new().await;
    let link = world.post("/v1/sign-in-links", json!({})).await.expect(201).await;
    let path = link["path"].as_str().expect("a path");
    let open = |path: String| {
        let world = &world;
        async move {
            world
                .send(Request::get(path).body(Body::empty()).expect("a request"))
                .await
        }
    };
    let reply = open(path.to_owned()).await;
    assert_eq!((reply.status.as_u16(), reply.header("location")), (303, "/"));
    let cookie = reply.header("set-cookie").to_owned();
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"),
        "{cookie}"
    );
    let cookie = cookie.split(';').next().expect("a pair");
    let me = with_cookie(&world, Method::GET, "/v1/whoami", cookie, &[])
        .await
        .expect(200)
        .await;
    assert_eq!(me["user_name"], "owner");
    let again = open(path.to_owned()).await;
    assert_eq!(
        (again.status.as_u16(), again.header("set-cookie")),
        (303, ""),
        "used up"
    );
    let wrong = open("/sign-in?code=wrong".to_owned()).await;
    assert_eq!((wrong.status.as_u16(), wrong.header("set-cookie")), (303, ""));
    open("/sign-in".to_owned()).await.problem("invalid_request").await;

    let ours = [("sec-fetch-site", "same-origin")];
    let out = with_cookie(&world, Method::POST, "/v1/sign-out", cookie, &ours).await;
    assert_eq!(out.status, 204);
    with_cookie(&world, Method::GET, "/v1/whoami", cookie, &[])
        .await
        .problem("unauthenticated")
        .await;
}

#[tokio::test]
async fn a_link_that_is_too_old_opens_nothing() {
    let world = World::new().await;
    let path = world.handle().sign_in_path().await.expect("a path");
    tokio::time::advance(std::time::Duration::from_secs(15 * 60 + 1)).await;
    let reply = world
        .send(Request::get(path).body(Body::empty()).expect("a request"))
        .await;
    assert_eq!((reply.status.as_u16(), reply.header("set-cookie")), (303, ""));
}

#[tokio::test]
async fn another_sites_page_cannot_use_a_session() {
    let world = World::new().await;
    let path = world.handle().sign_in_path().await.expect("a path");
    let reply = world
        .send(Request::get(path).body(Body::empty()).expect("a request"))
        .await;
    let cookie = reply
        .header("set-cookie")
        .split(';')
        .next()
        .expect("a pair")
        .to_owned();
    for headers in [
        &[][..],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("origin", "http://evil.test")],
        &[("origin", "null")],
    ] {
        let reply = with_cookie(&world, Method::POST, "/v1/sign-in-links", &cookie, headers).await;
        reply.problem("forbidden").await;
        let upgrade: Vec<_> = headers
            .iter()
            .copied()
            .chain([("upgrade", "websocket")])
            .collect();
        let reply = with_cookie(&world, Method::GET, "/v1/agents/a/exec", &cookie, &upgrade).await;
        reply.problem("forbidden").await;
    }
    let ours = [("origin", "http://creel.test")];
    let reply = with_cookie(&world, Method::POST, "/v1/sign-in-links", &cookie, &ours).await;
    assert_eq!(reply.status, 201);
}

#[tokio::test]
async fn a_good_token_is_kept_and_a_bad_one_replaced() {
    let world = World::new().await;
    let kept = world
        .handle()
        .owner_token(Some(&world.token))
        .await
        .expect("an answer");
    assert_eq!(kept, None);
    let new = world
        .handle()
        .owner_token(Some("creel_old"))
        .await
        .expect("an answer");
    assert!(new.is_some_and(|token| token.starts_with("creel_") && token != world.token));
}

#[tokio::test]
async fn another_orgs_agent_does_not_exist() {
    let world = World::new().await;
    let mine = world.create("mine").await;
    let platform = world.store().platform();
    let (other, user) = platform.create_org("other".to_owned()).await.expect("an org");
    let spec = creel_domain::AgentSpec {
        runtime: creel_domain::Runtime::Lite,
        model: "demo/demo".parse().expect("a model"),
        files: Default::default(),
        limits: creel_domain::Limits::default_for(creel_domain::Runtime::Lite),
        rest: creel_domain::Rest::default(),
    };
    let name = "theirs".parse().expect("a name");
    let theirs = world
        .store()
        .org(other)
        .create_agent(NewAgent { name, spec })
        .await
        .expect("an agent");
    for agent in [theirs.id.to_string(), "theirs".to_owned()] {
        for path in [
            "",
            "/sessions",
            "/sessions/main/messages",
            "/files",
            "/files/content?path=a",
            "/logs",
        ] {
            world
                .get(&format!("/v1/agents/{agent}{path}"))
                .await
                .problem("not_found")
                .await;
        }
        for (path, body) in [
            ("/chat", json!({"message": "hi"})),
            ("/exec", json!({"argv": ["echo"]})),
            ("/restart", json!({})),
        ] {
            world
                .post(&format!("/v1/agents/{agent}{path}"), body)
                .await
                .problem("not_found")
                .await;
        }
        world
            .delete(&format!("/v1/agents/{agent}"))
            .await
            .problem("not_found")
            .await;
        let headers = [("content-type", "application/json"), ("if-match", "*")];
        let path = format!("/v1/agents/{agent}");
        world
            .ask("PATCH", &path, &headers, r#"{"intent":"stop"}"#)
            .await
            .problem("not_found")
            .await;
    }
    let hash = crate::operations::sign_in::hash("their-token");
    world
        .store
        .org(other)
        .add_token(NewToken::whole(user, "test", hash))
        .await
        .expect("a token");
    let request = Request::get("/v1/agents").header("authorization", "Bearer their-token");
    let seen = world
        .send(request.body(Body::empty()).expect("a request"))
        .await
        .expect(200)
        .await;
    let names: Vec<_> = seen["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|agent| agent["name"].clone())
        .collect();
    assert_eq!(names, ["theirs"], "and not {}", mine.name);
}
