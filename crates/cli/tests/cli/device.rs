//! A computer becomes a device, and a person decides about one.

use creel_api::{ErrorCode, Problem};

use crate::world::World;

const REQUEST: &str = r#"{"name":"build-box","address":"192.0.2.7","scopes":["agents:read"],
    "created_at":"2026-11-21T10:00:00Z","expires_at":"2026-11-21T10:15:00Z"}"#;

#[test]
fn a_computer_shows_its_code_and_keeps_its_token() {
    let world = World::new();
    world.raw(
        "POST /v1/devices/authorize",
        200,
        "application/json",
        r#"{"device_code":"kept","user_code":"BDWP-HQPK","verification_uri":"https://creel.test/device",
            "verification_uri_complete":"https://creel.test/device?code=BDWP-HQPK","expires_in":900,"interval":0}"#,
    );
    let pending = Problem::new(ErrorCode::AuthorizationPending, "Nobody has approved it yet.");
    world.json("POST /v1/devices/token", 400, &pending).raw(
        "POST /v1/devices/token",
        200,
        "application/json",
        r#"{"access_token":"creel_secret","token_type":"Bearer","device":"dev_00000000000000000000000007",
            "org":"org_00000000000000000000000007","org_name":"default","user":"usr_00000000000000000000000007"}"#,
    );
    let url = world.url();
    insta::assert_snapshot!(world.run(&["pair", &url, "--name", "build-box"]).replace(&world.home.path().display().to_string(), "HOME"), @r"
    exit 0
    out: dev_00000000000000000000000007 is a device of default now
    err: Code: BDWP-HQPK
    err: Approve it within 15 minutes at https://creel.test/device
    err: or with: creel device approve BDWP-HQPK
    err: Its token is in HOME/.config/creel/config.toml.
    ");
    assert_eq!(
        world.seen(),
        [
            r#"POST /v1/devices/authorize {"name":"build-box"}"#,
            r#"POST /v1/devices/token {"device_code":"kept"}"#,
            r#"POST /v1/devices/token {"device_code":"kept"}"#,
        ]
    );
    assert_eq!(world.tokens(), [""; 0], "it is nobody yet");
    let settings = std::fs::read_to_string(world.home.path().join(".config/creel/config.toml")).unwrap();
    assert!(settings.contains("creel_secret"), "{settings}");
}

#[test]
fn a_computer_that_is_turned_away_says_so() {
    let world = World::new();
    world.raw(
        "POST /v1/devices/authorize",
        200,
        "application/json",
        r#"{"device_code":"kept","user_code":"BDWP-HQPK","verification_uri":"https://creel.test/device",
            "verification_uri_complete":"https://creel.test/device?code=BDWP-HQPK","expires_in":900,"interval":0}"#,
    );
    world.json(
        "POST /v1/devices/token",
        400,
        &Problem::new(ErrorCode::AccessDenied, "It was denied."),
    );
    insta::assert_snapshot!(world.run(&["pair", "--name", "box", "--print"]), @r"
    exit 1
    err: Code: BDWP-HQPK
    err: Approve it within 15 minutes at https://creel.test/device
    err: or with: creel device approve BDWP-HQPK
    err: error: It was denied. (access_denied)
    ");
}

#[test]
fn nothing_is_approved_without_a_yes() {
    let world = World::new();
    world
        .raw("POST /v1/devices/inspect", 200, "application/json", REQUEST)
        .raw("POST /v1/devices/approve", 200, "application/json", REQUEST);
    insta::assert_snapshot!(world.run(&["device", "approve", "BDWP-HQPK"]), @r"
    exit 2
    err: error: this would let `build-box` in, which asked from 192.0.2.7 at 2026-11-21 10:00:00 UTC, and may then do agents:read: confirm it with --yes
    ");
    insta::assert_snapshot!(world.run(&["device", "approve", "BDWP-HQPK", "--scope", "agents:read", "--yes"]), @r"
    exit 0
    out: build-box is let in
    ");
    assert_eq!(
        world.seen()[1],
        r#"POST /v1/devices/approve {"user_code":"BDWP-HQPK","scopes":["agents:read"]}"#
    );
}
