//! Signing in from the command line, and what somebody keeps about themselves.

use creel_api::{ErrorCode, Me, Problem, Secret, SignInResult, SignedIn, TotpEnrolment};
use creel_domain::{MemberRole, OrgId, UserId};
use jiff::Timestamp;

use crate::world::World;

fn id<Id: From<uuid::Uuid>>() -> Id {
    uuid::Uuid::from_u128(7).into()
}

fn signed_in() -> SignInResult {
    SignInResult::SignedIn(SignedIn {
        user: id::<UserId>(),
        org: id::<OrgId>(),
        org_name: "acme".to_owned(),
        role: MemberRole::Developer,
        secret: Some(Secret::new("creel_new")),
    })
}

fn me(password: bool) -> Me {
    Me {
        user: id(),
        user_name: "Ada".to_owned(),
        email: None,
        email_verified: false,
        password,
        second_factor: false,
        recovery_codes_left: 0,
        passkeys: 0,
        org: id(),
        orgs: Vec::new(),
    }
}

fn settings(world: &World) -> String {
    let path = world.home.path().join(".config/creel/config.toml");
    std::fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn login_keeps_a_token_and_asks_for_a_second_factor_where_there_is_one() {
    let world = World::new();
    let half = SignInResult::SecondFactorRequired {
        ticket: Secret::new("ticket"),
        expires_at: Timestamp::UNIX_EPOCH,
    };
    world
        .json("POST /v1/sign-in", 200, &half)
        .json("POST /v1/sign-in/second-factor", 200, &signed_in());
    let args = ["login", "--email", "Ada@example.com", "--password-stdin"];
    let said = world.run_with_stdin(&args, "the password\n123 456\n");
    assert!(
        said.starts_with("exit 0\nout: you are developer of acme\n"),
        "{said}"
    );
    let seen = world.seen();
    assert!(
        seen[0].contains(r#""email":"ada@example.com","password":"the password""#)
            && seen[0].contains(r#""expires_in_seconds":7776000"#),
        "{seen:?}"
    );
    assert!(
        seen[1].contains(r#""ticket":"ticket","code":"123 456""#),
        "{seen:?}"
    );
    assert_eq!(
        world.tokens(),
        Vec::<String>::new(),
        "nobody signs in with a token"
    );
    let kept = settings(&world);
    assert!(
        kept.contains(&world.url()) && kept.contains("creel_new"),
        "{kept}"
    );
}

#[test]
fn a_login_that_fails_changes_nothing() {
    let world = World::new();
    let problem = Problem::new(
        ErrorCode::Unauthenticated,
        "The address or the password is not right.",
    );
    world.json("POST /v1/sign-in", 401, &problem);
    let args = ["login", "--email", "ada@example.com", "--password-stdin"];
    let said = world.run_with_stdin(&args, "wrong\n");
    assert!(
        said.starts_with("exit 1\nerr: error: The address or the password"),
        "{said}"
    );
    assert_eq!(settings(&world), "");
    insta::assert_snapshot!(world.run(&["login", "--email", "ada@example.com"]), @r"
    exit 2
    err: error: there is no terminal to ask for Password: see the options with --help
    ");
    insta::assert_snapshot!(world.run(&["login", "--email", "ada"]), @r"
    exit 2
    err: error: invalid value 'ada' for '--email <ADDRESS>': `ada` is not an e-mail address: it should look like ada@example.com
    err: 
    err: For more information, try '--help'.
    ");
}

#[test]
fn the_current_password_is_asked_for_where_one_is_set() {
    let world = World::new();
    world
        .json("GET /v1/me", 200, &me(false))
        .json("GET /v1/me", 200, &me(true))
        .raw("PUT /v1/me/password", 204, "text/plain", "");
    let args = ["password", "--password-stdin"];
    let first = world.run_with_stdin(&args, "a new one, quite long\n");
    let second = world.run_with_stdin(&args, "the old one\na new one, quite long\n");
    for said in [first, second] {
        assert!(said.starts_with("exit 0\n"), "{said}");
    }
    let set: Vec<_> = world
        .seen()
        .into_iter()
        .filter(|seen| seen.starts_with("PUT"))
        .collect();
    assert_eq!(
        set,
        [
            r#"PUT /v1/me/password {"new":"a new one, quite long"}"#,
            r#"PUT /v1/me/password {"current":"the old one","new":"a new one, quite long"}"#
        ]
    );
}

#[test]
fn a_second_factor_is_enrolled_with_its_recovery_codes_on_standard_output() {
    let world = World::new();
    let enrolment = TotpEnrolment {
        secret: Secret::new("JBSWY3DP"),
        uri: Secret::new("otpauth://totp/x"),
    };
    let codes = serde_json::json!({"recovery_codes": ["AAAA-BBBB", "CCCC-DDDD"]});
    world
        .json("GET /v1/me", 200, &me(true))
        .json("POST /v1/me/totp", 201, &enrolment)
        .json("POST /v1/me/totp/confirm", 200, &codes);
    let said = world.run_with_stdin(&["totp", "enrol", "--password-stdin"], "the password\n123456\n");
    assert!(
        said.starts_with("exit 0\nout: AAAA-BBBB\nout: CCCC-DDDD\n"),
        "{said}"
    );
    assert!(said.contains("JBSWY3DP"), "{said}");
}

#[test]
fn sessions_are_ended_on_confirmation_only() {
    let world = World::new();
    world.raw("POST /v1/sign-out-everywhere", 204, "text/plain", "");
    let said = world.run(&["session", "revoke", "--all", "--tokens"]);
    assert!(said.starts_with("exit 2\n") && said.contains("--yes"), "{said}");
    assert_eq!(world.seen(), Vec::<String>::new());
    let said = world.run(&["session", "revoke", "--all", "--tokens", "--yes"]);
    assert!(said.starts_with("exit 0\n"), "{said}");
    assert_eq!(world.seen(), [r#"POST /v1/sign-out-everywhere {"tokens":true}"#]);
    for wrong in [
        &["session", "revoke"][..],
        &["session", "revoke", "--tokens"],
        &["session", "revoke", "x"],
    ] {
        let said = world.run(wrong);
        assert!(said.starts_with("exit 2\n"), "{said}");
    }
}

#[test]
fn sessions_are_listed_in_80_columns() {
    let world = World::new();
    let session = |browser: &str| creel_api::BrowserSession {
        id: id(),
        org: id(),
        org_name: "default".to_owned(),
        browser: browser.to_owned(),
        current: false,
        created_at: Timestamp::UNIX_EPOCH,
        seen_at: Timestamp::UNIX_EPOCH,
        expires_at: Timestamp::UNIX_EPOCH,
    };
    let items = vec![session("curl/7.88.1")];
    world.json(
        "GET /v1/browser-sessions",
        200,
        &creel_api::BrowserSessionList { items },
    );
    insta::assert_snapshot!(world.run(&["session", "ls"]), @r"
    exit 0
    out: SESSION                         ORG      BROWSER      LAST SEEN
    out: bse_00000000000000000000000007  default  curl/7.88.1  1970-01-01 00:00
    ");
}
