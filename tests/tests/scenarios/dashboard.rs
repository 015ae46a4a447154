//! The dashboard, in a real browser over real sandboxes.

use creel_tests::Platform;

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_gets_from_the_sign_in_link_to_a_talking_agent() {
    let Some(platform) = Platform::start().await else {
        return;
    };
    platform.in_a_browser("first-visit").await;
    platform.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_about_one_agent_is_done_in_its_panels() {
    let Some(platform) = Platform::start().await else {
        return;
    };
    platform.in_a_browser("agent").await;
    platform.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_org_and_the_platform_are_kept_and_a_viewer_changes_nothing() {
    let Some(platform) = Platform::start().await else {
        return;
    };
    platform.in_a_browser("org").await;
    platform.end();
}
