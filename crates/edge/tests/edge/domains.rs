//! Owners' own names: they lead to agents by the same rules as any other, and names that nobody has cost control little.

use std::sync::atomic::Ordering;

use axum::{Router, extract::Request};
use creel_protocol::edge::Shown;

use crate::world::{Mood, World, behind, nowhere, status};

const CHAT: &str = "chat.example.com";

/// Says which host it was asked for, and by whom.
fn mirror() -> Router {
    Router::new().fallback(async |request: Request| {
        let said = |name: &str| {
            let value = request.headers().get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or("-").to_owned()
        };
        let names = ["host", "x-forwarded-host", "x-creel-user", "cookie"];
        format!("{} {}", request.uri(), names.map(said).join(" "))
    })
}

fn asked(world: &World) -> usize {
    world.control.names.load(Ordering::SeqCst)
}

#[tokio::test]
async fn an_owners_name_leads_to_its_agent_by_the_same_rules() {
    let world = World::new(Router::new()).await;
    world.control.say(CHAT, Mood::Private(behind(mirror()).await));
    let host = format!("Chat.example.com:{}", world.address.port());
    let sent = world.get(&host, "/p?q=1", "accept: text/html\r\n").await;
    let back = format!(
        "/sign-in/page?to=http%3A%2F%2Fchat.example.com%3A{}%2Fp%3Fq%3D1",
        world.address.port()
    );
    assert!(status(&sent) == 303 && sent.contains(&back), "{sent}");
    let entered = world.get(&host, "/.creel/enter?ticket=good&to=%2Fp", "").await;
    assert!(
        status(&entered) == 303 && entered.contains("creel_access=access-secret; Max-Age=60; Path=/;"),
        "{entered}"
    );
    let cookie = "cookie: creel_access=access-secret; creel_session=planted; theme=dark\r\n";
    let seen = world.get(&host, "/p", cookie).await;
    let host = host.to_lowercase();
    assert!(
        seen.ends_with(&format!("/p {host} {host} usr_1 theme=dark")),
        "{seen}"
    );
    for elsewhere in [
        "sec-fetch-site: same-site\r\nsec-fetch-mode: cors\r\n",
        "origin: http://scout.agents.test\r\n",
    ] {
        let refused = world.get(&host, "/p", &format!("{cookie}{elsewhere}")).await;
        assert_eq!(status(&refused), 403, "{elsewhere}");
    }
    assert_eq!(asked(&world), 1, "what is known is not asked again");
    for knock in world.control.knocks.lock().expect("no panic").iter() {
        assert_eq!((knock.face.label.as_str(), knock.face.port), (CHAT, None));
        assert!(
            !matches!(knock.shown, Shown::Session(_)),
            "a session is Creel's own name's"
        );
    }
    // Creel's own paths are not found there.
    assert!(world.get(&host, "/a/scout/", cookie).await.contains("/a/scout/ "));
    world.end().await;
}

#[tokio::test]
async fn a_name_that_leads_nowhere_is_asked_for_once_in_a_while() {
    let world = World::new(Router::new()).await;
    for _ in 0..20 {
        let refused = world.get("evil.example.com", "/", "").await;
        assert!(
            status(&refused) == 421 && refused.contains("unknown_host"),
            "{refused}"
        );
    }
    assert_eq!(asked(&world), 1);
    for odd in ["a_b.example.com", "intranet", "agents.test"] {
        assert_eq!(status(&world.get(odd, "/", "").await), 421, "{odd}");
    }
    assert_eq!(asked(&world), 1, "what can be nobody's is not asked for");
    assert!(world.control.knocks.lock().expect("no panic").is_empty());
    world.end().await;
}

#[tokio::test]
async fn a_flood_of_names_stops_at_the_edge_and_stands_in_no_known_names_way() {
    let world = World::new(Router::new()).await;
    world.control.say(CHAT, Mood::Ready(behind(mirror()).await));
    assert_eq!(status(&world.get(CHAT, "/", "").await), 200);
    let began = std::time::Instant::now();
    let mut refused = 0;
    for number in 0..300 {
        let answer = world.get(&format!("n{number}.example.com"), "/", "").await;
        match status(&answer) {
            421 => {}
            429 => refused += 1,
            other => panic!("{other}: {answer}"),
        }
    }
    // 50 at once, and then 10 a second.
    let most = 51 + usize::try_from(began.elapsed().as_millis() / 100).expect("short");
    assert!(
        asked(&world) <= most && refused >= 300 - most,
        "{} {refused}",
        asked(&world)
    );
    assert!(refused > 0, "it took longer than a flood does");
    assert_eq!(status(&world.get(CHAT, "/", "").await), 200);
    world.end().await;
}

#[tokio::test]
async fn what_is_known_is_served_while_control_is_away() {
    let world = World::new(Router::new()).await;
    world.control.say(CHAT, Mood::Ready(behind(mirror()).await));
    assert_eq!(status(&world.get(CHAT, "/", "").await), 200);
    world.control.names_away.store(true, Ordering::SeqCst);
    assert_eq!(status(&world.get(CHAT, "/", "").await), 200);
    let unsure = world.get("new.example.com", "/", "").await;
    assert_eq!(status(&unsure), 503, "{unsure}");
    world.control.names_away.store(false, Ordering::SeqCst);
    assert_eq!(status(&world.get("new.example.com", "/", "").await), 421);
    world.end().await;
}

#[tokio::test]
async fn a_name_that_was_taken_away_is_asked_for_anew() {
    let world = World::new(Router::new()).await;
    let port = behind(mirror()).await;
    world.control.say(CHAT, Mood::Ready(port));
    assert_eq!(status(&world.get(CHAT, "/", "").await), 200);
    world.control.say(CHAT, Mood::Refused(nowhere()));
    while status(&world.get(CHAT, "/", "").await) != 421 {}
    world.control.say(CHAT, Mood::Ready(port));
    assert_eq!(status(&world.get(CHAT, "/", "").await), 200);
    assert_eq!(asked(&world), 2);
    world.end().await;
}
