//! A name of somebody's own, from the command line to the page behind it, with DNS in the scenario's hand.

use creel_api::PublishPort;
use creel_domain::{PortAccess, Runtime};
use creel_testkit::FakeDns;
use creel_tests::{Part, Platform};
use reqwest::{StatusCode, header};

const NAME: &str = "chat.example.com";
const PLACE: &str = "_creel.chat.example.com";

/// What the command line says, and its exit status.
fn says(platform: &Platform, args: &[&str]) -> (String, Option<i32>) {
    let ran = platform.creel(args).output().expect("creel runs");
    let text = [ran.stdout, ran.stderr].concat();
    (String::from_utf8_lossy(&text).into_owned(), ran.status.code())
}

/// Asks for the name as a browser whose DNS leads it here.
async fn ask(platform: &Platform) -> (StatusCode, String) {
    let request = reqwest::Client::new().get(platform.client().url().to_string());
    let answer = request
        .header(header::HOST, NAME)
        .send()
        .await
        .expect("an answer");
    (answer.status(), answer.text().await.expect("whole"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_of_ones_own_leads_to_an_agent_while_dns_says_so() {
    let dns = FakeDns::serve().await.expect("a DNS server");
    let server = format!("--dns-server={}", dns.address());
    let Some(platform) = Platform::start_with(&[&server]).await else {
        return;
    };
    platform.agent("scout", Runtime::Lite).await;
    let serves = "mkdir www && echo hello > www/index.html && httpd -p 127.0.0.1:3000 -h www && \
                  until wget -Y off -q -O /dev/null http://127.0.0.1:3000/; do sleep 0.01; done";
    assert_eq!(platform.shell("scout", serves).await.exit_status, 0);
    let how = PublishPort {
        access: PortAccess::Public,
        page: true,
    };
    let published = platform.client().publish_port("scout", 3000, &how).await;
    published.expect("published");
    let (table, code) = says(&platform, &["domain", "add", "scout", NAME]);
    assert_eq!(code, Some(0), "{table}");
    let line = table.lines().find(|line| line.starts_with("TXT"));
    let token = line.and_then(|line| line.rsplit_once(' ')).expect("a record").1;
    let (seen, code) = says(&platform, &["domain", "verify", NAME]);
    assert!(
        code == Some(1) && seen.contains("there is none at _creel."),
        "{seen}"
    );
    assert_eq!(ask(&platform).await.0, StatusCode::MISDIRECTED_REQUEST);
    dns.set(PLACE, &[token]);
    let (seen, code) = says(&platform, &["domain", "verify", NAME]);
    assert_eq!(code, Some(0), "{seen}");
    let reached = platform
        .until("it is reached", async || {
            let (status, text) = ask(&platform).await;
            (status == StatusCode::OK).then_some(text)
        })
        .await;
    assert_eq!(reached.as_deref(), Some("hello\n"), "{}", platform.logs());
    for part in [Part::Control, Part::Edge] {
        platform.kill(part).await;
        let (status, text) = ask(&platform).await;
        assert_eq!(
            (status, text.as_str()),
            (StatusCode::OK, "hello\n"),
            "{}",
            platform.logs()
        );
    }
    let (listed, _) = says(&platform, &["domain", "ls"]);
    assert!(listed.contains("verified"), "{listed}");
    let (removed, code) = says(&platform, &["domain", "rm", "--yes", NAME]);
    assert_eq!(code, Some(0), "{removed}");
    // The edge may know it, and keep a visit open, for a little longer.
    let left = platform
        .until("it leads nowhere", async || {
            (ask(&platform).await.0 == StatusCode::MISDIRECTED_REQUEST).then_some(())
        })
        .await;
    assert!(left.is_some(), "it leads to the agent though it was removed");
    platform.end();
}
