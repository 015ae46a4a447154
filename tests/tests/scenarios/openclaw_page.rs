//! OpenClaw's own page, in a real browser over the real edge.

use creel_domain::Runtime;
use creel_tests::Platform;

#[tokio::test]
async fn a_person_talks_to_openclaw_at_its_own_page_awake_or_not() {
    let Some(platform) = Platform::start().await else {
        return;
    };
    platform.agent("claw", Runtime::Openclaw).await;
    platform.in_a_browser("openclaw").await;
    let heard = platform.provider().heard();
    assert!(
        heard
            .iter()
            .any(|heard| heard.body.to_string().contains("hello at the page")),
        "the message reached its model"
    );
    platform.end();
}
