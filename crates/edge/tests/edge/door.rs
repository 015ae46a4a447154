//! Who comes where, and what they see when they may not.

use axum::{Router, extract::Request, routing::get};

use crate::world::{Mood, World, behind, failed, status};

/// Says what it was sent.
fn mirror() -> Router {
    Router::new().fallback(async |request: Request| {
        let headers = request.headers().iter();
        let headers = headers.map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap_or("?")));
        format!(
            "{} {}\n{}",
            request.method(),
            request.uri(),
            headers.collect::<String>()
        )
    })
}

#[tokio::test]
async fn each_host_leads_to_its_own() {
    let world = World::new(Router::new().route("/v1/version", get(async || "control"))).await;
    world.control.say("scout", Mood::Ready(behind(mirror()).await));
    assert!(
        world
            .get("creel.test", "/v1/version", "")
            .await
            .ends_with("control")
    );
    assert!(
        world
            .get("127.0.0.1:1", "/v1/version", "")
            .await
            .ends_with("control")
    );
    let seen = world
        .get("scout.agents.test:99", "/a?b=c", "x-forwarded-for: 6.6.6.6\r\n")
        .await;
    assert!(seen.contains("GET /a?b=c"), "{seen}");
    assert!(seen.contains("host: scout.agents.test:99\n"), "{seen}");
    assert!(
        seen.contains("x-forwarded-for: 127.0.0.1\n") && !seen.contains("6.6.6.6"),
        "{seen}"
    );
    let seen = world.get("creel.test", "/a/scout/x?y", "").await;
    assert!(
        seen.contains("GET /x?y") && seen.contains("x-forwarded-prefix: /a/scout\n"),
        "{seen}"
    );
    assert!(seen.contains("content-security-policy: sandbox"), "{seen}");
    assert_eq!(status(&world.get("creel.test", "/a/scout", "").await), 303);
    let unknown = world.get("evil.test", "/", "").await;
    assert_eq!(status(&unknown), 421);
    assert!(unknown.contains("unknown_host"), "{unknown}");
    assert_eq!(status(&world.get("other.agents.test", "/", "").await), 404);
    world.end().await;
}

#[tokio::test]
async fn control_learns_whose_a_request_is_and_from_nobody_else() {
    let world = World::with(mirror(), None, "127.0.0.1").await;
    let lines =
        "x-creel-peer: 6.6.6.6:6\r\nx-forwarded-for: 1.1.1.1, 203.0.113.9\r\nx-forwarded-proto: https\r\n";
    let seen = world.get("creel.test", "/", lines).await;
    assert!(seen.contains("x-creel-peer: 203.0.113.9:0\n"), "{seen}");
    assert!(
        seen.contains("x-forwarded-proto: https\n") && !seen.contains("6.6.6.6"),
        "{seen}"
    );
    world.end().await;
    let world = World::new(mirror()).await;
    let seen = world.get("creel.test", "/", lines).await;
    assert!(
        seen.contains("x-creel-peer: 127.0.0.1:") && seen.contains("x-forwarded-proto: http\n"),
        "{seen}"
    );
    world.end().await;
}

#[tokio::test]
async fn a_person_signs_in_and_comes_back_and_the_agent_sees_no_secret_of_theirs() {
    let world = World::new(Router::new()).await;
    world.control.say("scout", Mood::Private(behind(mirror()).await));
    let host = format!("scout.agents.test:{}", world.address.port());
    let refused = world.get(&host, "/p", "").await;
    assert_eq!(status(&refused), 401, "{refused}");
    let sent = world.get(&host, "/p?q=1", "accept: text/html\r\n").await;
    assert_eq!(status(&sent), 303, "{sent}");
    let back = format!(
        "/sign-in/page?to=http%3A%2F%2Fscout.agents.test%3A{}%2Fp%3Fq%3D1",
        world.address.port()
    );
    assert!(sent.contains(&back), "{sent}");
    assert_eq!(
        status(&world.get(&host, "/.creel/enter?ticket=bad", "").await),
        401
    );
    for to in ["%2Fp%3Fq%3D1", "https%3A%2F%2Fevil.test"] {
        let entered = world
            .get(&host, &format!("/.creel/enter?ticket=good&to={to}"), "")
            .await;
        let there = if to.starts_with("%2F") {
            "location: /p?q=1\r\n"
        } else {
            "location: /\r\n"
        };
        assert!(status(&entered) == 303 && entered.contains(there), "{entered}");
        assert!(
            entered.contains(
                "set-cookie: creel_access=access-secret; Max-Age=60; Path=/; HttpOnly; SameSite=Lax\r\n"
            ),
            "{entered}"
        );
    }
    let cookie = "cookie: theme=dark; creel_access=access-secret\r\n";
    let seen = world.get(&host, "/p", cookie).await;
    assert!(
        status(&seen) == 200 && seen.contains("cookie: theme=dark\n"),
        "{seen}"
    );
    assert!(
        seen.contains("x-creel-user: usr_1\n") && !seen.contains("access-secret"),
        "{seen}"
    );
    assert!(seen.contains("frame-ancestors 'self'"), "{seen}");
    let elsewhere = format!("{cookie}sec-fetch-site: same-site\r\nsec-fetch-mode: cors\r\n");
    assert_eq!(status(&world.get(&host, "/p", &elsewhere).await), 403);
    let token = "authorization: Bearer creel_abc\r\n";
    let seen = world.get(&host, "/p", token).await;
    assert!(status(&seen) == 200 && !seen.contains("creel_abc"), "{seen}");
    world.end().await;
}

#[tokio::test]
async fn a_person_sees_that_it_wakes_and_a_program_waits() {
    let world = World::new(Router::new()).await;
    let port = behind(mirror()).await;
    world.control.say("scout", Mood::Waking);
    let page = world.get("scout.agents.test", "/", "accept: text/html\r\n").await;
    assert_eq!(status(&page), 503);
    assert!(
        page.contains("scout is waking up") && page.contains("retry-after: 1"),
        "{page}"
    );
    let told = world.get("scout.agents.test", "/.creel/waiting", "");
    let answered = world.get("scout.agents.test", "/late", "");
    let ready = async {
        world
            .until("both wait", || {
                !world.control.knocks.lock().expect("no panic").is_empty()
            })
            .await;
        world.control.say("scout", Mood::Ready(port));
    };
    let (told, answered, ()) = tokio::join!(told, answered, ready);
    assert!(told.contains(r#"{"state":"ready"}"#), "{told}");
    assert!(answered.contains("GET /late"), "{answered}");
    world.end().await;
}

#[tokio::test]
async fn a_wake_that_fails_says_why() {
    let world = World::new(Router::new()).await;
    world.control.say("scout", Mood::Refused(failed()));
    let problem = world.get("scout.agents.test", "/", "").await;
    assert!(
        status(&problem) == 502 && problem.contains(r#""code":"agent_failed""#),
        "{problem}"
    );
    let page = world.get("scout.agents.test", "/", "accept: text/html\r\n").await;
    assert!(
        page.contains("<h1>agent_failed</h1>") && page.contains("It is agent_failed."),
        "{page}"
    );
    world.control.say("quiet", Mood::Ready(1));
    let closed = world.get("quiet.agents.test", "/", "").await;
    assert!(
        status(&closed) == 502 && closed.contains("port_closed"),
        "{closed}"
    );
    world.end().await;
}

#[tokio::test]
async fn an_agent_is_held_while_somebody_is_there_and_let_go_after() {
    let world = World::new(Router::new()).await;
    world.control.say("scout", Mood::Ready(behind(mirror()).await));
    for _ in 0..20 {
        assert_eq!(status(&world.get("scout.agents.test", "/", "").await), 200);
    }
    assert_eq!(
        world.control.knocks.lock().expect("no panic").len(),
        1,
        "one lease for all of them"
    );
    let open = || world.control.open.load(std::sync::atomic::Ordering::SeqCst);
    world.until("it is let go", || open() == 0).await;
    world.end().await;
}
