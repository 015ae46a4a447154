//! Passkeys, by the real page in a real browser with an authenticator.

use creel_tests::Platform;

#[tokio::test]
async fn a_passkey_is_added_signs_in_is_renamed_and_removed() {
    let Some(platform) = Platform::start().await else {
        return;
    };
    platform.in_a_browser("passkeys").await;
    platform.end();
}
