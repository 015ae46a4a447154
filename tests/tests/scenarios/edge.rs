//! Agents' own ports, reached from outside over the real edge and real sandboxes.

use std::time::{Duration, Instant};

use creel_api::{CreateShareLink, PatchAgent, PublishPort};
use creel_domain::{AgentState, Intent, PortAccess, Runtime};
use creel_testkit::rounds;
use creel_tests::{Browser, Part, Platform};
use futures_util::future::join_all;
use reqwest::{StatusCode, header};

const PORT: u16 = 3000;
/// The server goes on by itself before it listens.
const LISTENS: &str = "until wget -Y off -q -O /dev/null http://127.0.0.1:3000/; do sleep 0.01; done";

/// A small web server of the agent's own, with a file in it.
async fn serves(platform: &Platform, name: &str) {
    let command = format!(
        "mkdir -p www && echo 'page of {name}' > www/index.html && head -c 67108864 /dev/urandom > www/large && \
         (httpd -p 127.0.0.1:{PORT} -h www >/dev/null 2>&1) && {LISTENS}"
    );
    let started = platform.shell(name, &command).await;
    assert_eq!(started.exit_status, 0, "{started:?}");
}

async fn published(platform: &Platform, name: &str, access: PortAccess) {
    let how = PublishPort { access, page: false };
    let port = platform
        .client()
        .publish_port(name, PORT, &how)
        .await
        .expect("published");
    assert!(
        port.url.starts_with(&format!("http://{name}--{PORT}.localhost:")),
        "{port:?}"
    );
}

/// Asks an agent's port, with the token or as nobody.
async fn ask(platform: &Platform, name: &str, path: &str, known: bool) -> reqwest::Response {
    let url = platform.client().url();
    let (_, authority) = url.split_once("//").expect("an address");
    let port = authority.rsplit_once(':').expect("a port").1;
    let host = format!("{name}--{PORT}.localhost:{port}");
    let mut request = reqwest::Client::new()
        .get(format!("{url}{path}"))
        .header(header::HOST, host);
    if known {
        request = request.bearer_auth(platform.token());
    }
    request.send().await.expect("an answer")
}

async fn asleep(platform: &Platform, name: &str) {
    let agent = platform.client().agent(name).await.expect("it is there");
    let patch = PatchAgent {
        intent: Some(Intent::Sleep),
        ..PatchAgent::default()
    };
    let told = platform.client().patch_agent(name, agent.revision, &patch).await;
    told.expect("told to sleep");
    let slept = platform
        .until("it sleeps", async || {
            let status = platform.client().agent(name).await.expect("it is there").status;
            matches!(status, AgentState::Asleep { .. }).then_some(())
        })
        .await;
    if slept.is_none() {
        let agent = platform.client().agent(name).await.expect("it is there");
        panic!("`{name}` does not sleep: {agent:?}\n{}", platform.logs());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agents_port_is_reached_asleep_or_awake_by_whoever_may() {
    let Some(platform) = Platform::start().await else {
        return;
    };
    platform.agent("scout", Runtime::Lite).await;
    serves(&platform, "scout").await;
    assert_eq!(
        ask(&platform, "scout", "/", true).await.status(),
        StatusCode::NOT_FOUND
    );
    published(&platform, "scout", PortAccess::Private).await;
    assert_eq!(
        ask(&platform, "scout", "/", false).await.status(),
        StatusCode::UNAUTHORIZED
    );
    for round in 0..rounds(5, 200) {
        if round % 2 == 1 {
            asleep(&platform, "scout").await;
        }
        let answer = ask(&platform, "scout", "/", true).await;
        let (status, text) = (answer.status(), answer.text().await.expect("whole"));
        let seen = (status, text.as_str());
        assert_eq!(
            seen,
            (StatusCode::OK, "page of scout\n"),
            "{round}\n{}",
            platform.logs()
        );
    }
    let large = ask(&platform, "scout", "/large", true)
        .await
        .bytes()
        .await
        .expect("whole");
    let direct = platform.shell("scout", "sha256sum www/large").await;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &large);
    let digest: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(direct.stdout.starts_with(&digest), "{direct:?}");

    // A browser that is signed in comes by Creel's own page; one with a link comes by the link, until it is ended.
    let url = platform.client().url().to_owned();
    let link = platform.client().sign_in_link().await.expect("a link");
    let mut browser = Browser::default();
    browser.open(&format!("{url}{}", link.path)).await;
    let there = platform.client().ports("scout").await.expect("a list").items[0]
        .url
        .clone();
    let page = browser.open(&there).await;
    assert_eq!(
        (page.status, page.text.as_str()),
        (StatusCode::OK, "page of scout\n")
    );
    let share = CreateShareLink {
        port: PORT,
        name: "a friend".to_owned(),
        expires_in_seconds: None,
    };
    let made = platform
        .client()
        .create_share_link("scout", &share)
        .await
        .expect("made");
    let mut friend = Browser::default();
    let page = friend.open(made.url.reveal()).await;
    assert_eq!(
        (page.status, page.text.as_str()),
        (StatusCode::OK, "page of scout\n")
    );
    platform
        .client()
        .remove_share_link("scout", made.link.id)
        .await
        .expect("removed");
    let out = platform
        .until("the friend is out", async || {
            let page = friend.open(&there).await;
            (page.status != StatusCode::OK || page.url.as_str().starts_with(&url)).then_some(())
        })
        .await;
    assert!(out.is_some(), "the link was ended, and still lets in");
    platform.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_waits_outlives_a_kill_of_control_and_the_edge_comes_back() {
    let Some(platform) = Platform::start().await else {
        return;
    };
    platform.agent("scout", Runtime::Lite).await;
    serves(&platform, "scout").await;
    published(&platform, "scout", PortAccess::Public).await;
    for round in 0..rounds(2, 50) {
        asleep(&platform, "scout").await;
        let (answer, ()) = tokio::join!(ask(&platform, "scout", "/", false), platform.kill(Part::Control));
        assert_eq!(answer.status(), StatusCode::OK, "{round}\n{}", platform.logs());
        // Its leases are gone with it: the next one is free to sleep, and to wake.
        asleep(&platform, "scout").await;
        platform.kill(Part::Edge).await;
        let answer = ask(&platform, "scout", "/", false).await;
        assert_eq!(answer.status(), StatusCode::OK, "{round}\n{}", platform.logs());
    }
    platform.end();
}

/// All of them asleep, all of them knocked at within a tenth of a second.
#[tokio::test(flavor = "multi_thread")]
async fn a_herd_is_answered() {
    let Some(platform) = Platform::start().await else {
        return;
    };
    let names: Vec<String> = (0..rounds(12, 100))
        .map(|number| format!("agent-{number}"))
        .collect();
    for name in &names {
        platform.agent(name, Runtime::Lite).await;
        let started = platform
            .shell(
                name,
                &format!(
                    "mkdir www && echo {name} > www/index.html && httpd -p 127.0.0.1:{PORT} -h www && {LISTENS}"
                ),
            )
            .await;
        assert_eq!(started.exit_status, 0, "{started:?}");
        published(&platform, name, PortAccess::Public).await;
        asleep(&platform, name).await;
    }
    let began = Instant::now();
    let knocks = names.iter().enumerate().map(|(number, name)| {
        let platform = &platform;
        let count = names.len();
        async move {
            tokio::time::sleep(Duration::from_micros((100_000 * number / count) as u64)).await;
            let answer = ask(platform, name, "/", false).await;
            assert_eq!(answer.status(), StatusCode::OK, "{name}");
            assert_eq!(answer.text().await.expect("whole").trim(), name);
        }
    });
    join_all(knocks).await;
    eprintln!(
        "{} agents were answered within {:?}",
        names.len(),
        began.elapsed()
    );
    platform.end();
}
