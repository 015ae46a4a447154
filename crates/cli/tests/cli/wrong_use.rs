//! Wrong use is exit status 2 and says what would be right; settings keep their secret.

use std::os::unix::fs::PermissionsExt;

use crate::world::{World, creel, show};

fn run(args: &[&str]) -> String {
    let home = tempfile::tempdir().unwrap();
    show(&creel(home.path()).args(args).output().unwrap())
}

#[test]
fn a_slip_of_the_finger_is_understood() {
    insta::assert_snapshot!(run(&["agnet", "ls"]), @r"
    exit 2
    err: error: unrecognized subcommand 'agnet'
    err: 
    err:   tip: a similar subcommand exists: 'agent'
    err: 
    err: Usage: creel [OPTIONS] <COMMAND>
    err: 
    err: For more information, try '--help'.
    ");
    insta::assert_snapshot!(run(&["agent", "create", "Scout"]), @r"
    exit 2
    err: error: invalid value 'Scout' for '<NAME>': `Scout` is not a name: use 1 to 40 of a-z, 0-9 and `-`, beginning and ending with a letter or digit
    err: 
    err: For more information, try '--help'.
    ");
    insta::assert_snapshot!(run(&["agent", "create", "scout", "--memory", "much"]), @r"
    exit 2
    err: error: invalid value 'much' for '--memory <SIZE>': `much` is not a size: write for example 512M or 1.5G
    err: 
    err: For more information, try '--help'.
    ");
}

#[test]
fn every_command_has_help_that_fits() {
    let commands = [
        "up",
        "down",
        "doctor",
        "agent create",
        "agent ls",
        "agent show",
        "agent set",
        "agent start",
        "agent stop",
        "agent restart",
        "agent rm",
        "chat",
        "logs",
        "exec",
        "cp",
        "usage",
        "events",
        "provider add",
        "provider ls",
        "provider test",
        "provider rm",
        "schedule add",
        "schedule ls",
        "schedule set",
        "schedule runs",
        "secrets set",
        "secrets ls",
        "secrets rm",
        "secrets rotate",
        "secrets key show",
        "secrets key set",
        "secrets key rm",
        "master-key show",
        "master-key rotate",
        "image ls",
        "image build",
        "image rm",
        "login",
        "password",
        "email",
        "totp enrol",
        "totp disable",
        "session ls",
        "session revoke",
        "pair",
        "device approve",
        "device deny",
        "device ls",
        "device rm",
        "sso add",
        "sso ls",
        "sso test",
        "sso rm",
        "identity ls",
        "identity unlink",
        "sign-in",
        "version",
        "completions",
    ];
    for command in commands {
        let args: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        let help = run(&args);
        assert!(help.starts_with("exit 0\n"), "{help}");
        let wide = help
            .lines()
            .find(|line| line.chars().count() > 80 + "out: ".len());
        assert_eq!(wide, None, "creel {command} --help");
    }
}

#[test]
fn the_token_of_one_server_is_not_sent_to_another() {
    let world = World::new();
    world.raw("GET /v1/agents", 200, "application/json", r#"{"items":[]}"#);
    let directory = world.home.path().join(".config/creel");
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(
        directory.join("config.toml"),
        "url = \"http://elsewhere:1\"\ntoken = \"private\"\n",
    )
    .unwrap();
    let output = creel(world.home.path())
        .args(["agent", "ls"])
        .env("CREEL_URL", world.url())
        .output()
        .unwrap();
    assert!(output.status.success());
    assert_eq!(world.tokens(), Vec::<String>::new());

    std::fs::write(
        directory.join("config.toml"),
        format!("url = \"{}\"\ntoken = \"private\"\n", world.url()),
    )
    .unwrap();
    let output = creel(world.home.path()).args(["agent", "ls"]).output().unwrap();
    assert!(output.status.success());
    assert_eq!(world.tokens(), ["Bearer private"]);
}

#[test]
fn settings_that_make_no_sense_are_named() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("creel");
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("config.toml"), "adress = 1\n").unwrap();
    let output = creel(home.path())
        .env("XDG_CONFIG_HOME", home.path())
        .args(["agent", "ls"])
        .output()
        .unwrap();
    let shown = show(&output).replace(home.path().to_str().unwrap(), "CONFIG");
    insta::assert_snapshot!(shown, @r"
    exit 1
    err: error: CONFIG/creel/config.toml is not valid: unknown field `adress`, expected `url` or `token`. Correct or remove it
    ");
}

#[test]
fn completions_are_a_script() {
    let home = tempfile::tempdir().unwrap();
    let output = creel(home.path()).args(["completions", "bash"]).output().unwrap();
    let script = home.path().join("creel.bash");
    std::fs::write(&script, &output.stdout).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o600)).unwrap();
    let checked = std::process::Command::new("bash")
        .arg("-n")
        .arg(&script)
        .status()
        .unwrap();
    assert!(output.status.success() && checked.success() && output.stdout.len() > 1000);
}
