//! The commands over the API, against a server that answers as each test says.

use crate::world::World;
use creel_api::{Agent, AgentList, ErrorCode, Problem, UsageGroup, UsageReport, UsageRow};
use creel_domain::{
    AgentFiles, AgentId, AgentState, Generation, Intent, Limits, MicroUsd, Runtime, TurnEvent, TurnId,
};
use jiff::{SignedDuration, Timestamp};

fn agent(name: &str, status: impl FnOnce(Timestamp) -> AgentState) -> Agent {
    let then = Timestamp::now() - SignedDuration::from_mins(210);
    Agent {
        id: AgentId::from_uuid(uuid::Uuid::from_u128(7)),
        name: name.parse().unwrap(),
        runtime: Runtime::Lite,
        model: "demo/demo".parse().unwrap(),
        files: AgentFiles::default(),
        limits: Limits::default_for(Runtime::Lite),
        rest: creel_domain::Rest::default(),
        intent: Intent::Run,
        status: status(then),
        revision: Generation(3),
        created_at: then,
        changed_at: then,
        runtime_wake_at: None,
        held_until: None,
    }
}

fn running(name: &str) -> Agent {
    agent(name, |since| AgentState::Running { since })
}

fn starting(name: &str, waiting: &str) -> Agent {
    let waiting = waiting.to_owned();
    agent(name, |since| AgentState::Starting { waiting, since })
}

#[test]
fn agents_are_listed_in_80_columns() {
    let world = World::new();
    let items = vec![
        running("scout"),
        starting(
            "a-name-of-some-length",
            "preparing image openclaw 43 %: unpacking packages",
        ),
    ];
    world.json(
        "GET /v1/agents",
        200,
        &AgentList {
            items,
            next_cursor: None,
        },
    );
    insta::assert_snapshot!(world.run(&["agent", "ls"]), @r"
    exit 0
    out: NAME                   RUNTIME  MODEL      STATE                           SINCE
    out: scout                  lite     demo/demo  running                         3h
    out: a-name-of-some-length  lite     demo/demo  starting: preparing image ope…  3h
    ");
}

#[test]
fn all_pages_are_listed_and_json_is_json() {
    let world = World::new();
    let page = |name, next: Option<&str>| AgentList {
        items: vec![running(name)],
        next_cursor: next.map(str::to_owned),
    };
    world
        .json("GET /v1/agents", 200, &page("one", Some("more")))
        .json("GET /v1/agents", 200, &page("two", None));
    let output = world.command(&["--json", "agent", "ls"]).output().unwrap();
    let agents: Vec<Agent> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        agents.iter().map(|agent| agent.name.as_str()).collect::<Vec<_>>(),
        ["one", "two"]
    );
    assert_eq!(world.seen(), ["GET /v1/agents", "GET /v1/agents?cursor=more"]);
    assert_eq!(world.tokens()[0], "Bearer secret-token");
}

#[test]
fn create_waits_and_says_what_for() {
    let world = World::new();
    let path = format!("GET /v1/agents/{}", running("scout").id);
    world.json("POST /v1/agents", 201, &starting("scout", "its turn"));
    for _ in 0..12 {
        world.json(&path, 200, &starting("scout", "preparing image openclaw 42 %"));
    }
    world.json(&path, 200, &running("scout"));
    insta::assert_snapshot!(world.run(&["agent", "create", "scout"]), @r"
    exit 0
    out: scout
    err: scout: starting: preparing image openclaw 42 %
    err: Talk to it: creel chat scout
    ");
    assert_eq!(
        world.seen()[0],
        r#"POST /v1/agents {"name":"scout","runtime":"openclaw","model":"demo/demo","files":{"soul":"","user":"","identity":""},"limits":{},"rest":{}}"#
    );
}

#[test]
fn problems_are_sentences_with_a_code() {
    let world = World::new();
    let mut problem = Problem::new(
        ErrorCode::NameTaken,
        "An agent `scout` exists; choose another name.",
    );
    problem.request_id = Some("req_7".to_owned());
    world.raw(
        "POST /v1/agents",
        409,
        "application/problem+json",
        serde_json::to_string(&problem).unwrap(),
    );
    insta::assert_snapshot!(world.run(&["agent", "create", "scout"]), @r"
    exit 1
    err: error: An agent `scout` exists; choose another name. (name_taken, request req_7)
    ");
}

#[test]
fn what_is_not_creel_is_said_to_be() {
    let world = World::new();
    world.raw("GET /v1/agents", 404, "text/html", "<h1>nginx</h1>");
    insta::assert_snapshot!(world.run(&["agent", "ls"]), @r"
    exit 1
    err: error: what listens there answered with status 404, which is not an answer of Creel: check CREEL_URL
    ");
}

#[test]
fn set_writes_again_when_somebody_was_faster() {
    let world = World::new();
    let stale = Problem::new(ErrorCode::RevisionMismatch, "It was changed.");
    world.json("GET /v1/agents/scout", 200, &running("scout"));
    world
        .json("PATCH /v1/agents/scout", 412, &stale)
        .json("PATCH /v1/agents/scout", 200, &running("scout"));
    insta::assert_snapshot!(world.run(&["agent", "set", "scout", "--model", "a/b", "--memory", "1.5G"]), @r"
    exit 0
    out: scout
    ");
    assert_eq!(
        world.seen()[1],
        r#"PATCH /v1/agents/scout {"model":"a/b","limits":{"memory_bytes":1610612736}}"#
    );
    assert_eq!(world.seen().len(), 4);
}

#[test]
fn deleting_asks_and_without_a_terminal_wants_yes() {
    let world = World::new();
    insta::assert_snapshot!(world.run(&["agent", "rm", "scout"]), @r"
    exit 2
    err: error: this would delete scout with all files, for good: confirm it with --yes
    ");
    assert!(world.seen().is_empty());
    let gone = Problem::new(ErrorCode::NotFound, "There is no agent `scout`.");
    world.raw("DELETE /v1/agents/scout", 202, "application/json", "");
    world.json(
        "GET /v1/agents/scout",
        200,
        &agent("scout", |since| AgentState::Deleting { since }),
    );
    world.json("GET /v1/agents/scout", 404, &gone);
    insta::assert_snapshot!(world.run(&["agent", "rm", "--yes", "scout"]), @r"
    exit 0
    out: scout
    ");
}

fn events(numbered: &[(u64, TurnEvent)]) -> String {
    let event = |(number, event): &(u64, TurnEvent)| {
        format!(
            "id: {number}\nevent: {}\ndata: {}\n\n",
            event.name(),
            serde_json::to_string(event).unwrap()
        )
    };
    numbered.iter().map(event).collect()
}

#[test]
fn a_turn_goes_on_where_its_connection_broke() {
    let world = World::new();
    let turn = TurnId::from_uuid(uuid::Uuid::from_u128(9));
    let text = |delta: &str| TurnEvent::Text {
        delta: delta.to_owned(),
    };
    let tool = TurnEvent::ToolStarted {
        tool_id: "t".to_owned(),
        name: "shell".to_owned(),
        arguments: "{\n  \"command\": \"ls -l\"}".to_owned(),
    };
    let output = TurnEvent::ToolFinished {
        tool_id: "t".to_owned(),
        ok: true,
        output: "a\nb\n".to_owned(),
    };
    let done = TurnEvent::Done {
        text: "Hello, world".to_owned(),
    };
    world.location(&format!("/v1/agents/scout/turns/{turn}"));
    let first = events(&[
        (1, TurnEvent::Started),
        (2, tool),
        (3, output),
        (4, text("Hello")),
    ]) + "id: 5\ndata: {\"ty";
    world.raw("POST /v1/agents/scout/chat", 200, "text/event-stream", first);
    let route = format!("GET /v1/agents/scout/turns/{turn}");
    world.raw(&route, 503, "text/plain", "not yet");
    // One that was seen before comes again: it is shown once.
    world.raw(
        &route,
        200,
        "text/event-stream",
        events(&[(4, text("Hello")), (5, text(", world")), (6, done)]),
    );
    insta::assert_snapshot!(world.run(&["chat", "scout", "Hi"]), @r#"
    exit 0
    out: Hello, world
    err: shell { "command": "ls -l"}
    err:   = a b
    "#);
    assert_eq!(world.last_event_ids(), ["4", "4"]);
}

#[test]
fn a_failed_turn_is_exit_status_1() {
    let world = World::new();
    let turn = TurnId::from_uuid(uuid::Uuid::from_u128(9));
    world.location(&format!("/v1/agents/scout/turns/{turn}"));
    let failure = creel_domain::TurnFailure {
        code: "model_failed".to_owned(),
        message: "No\x1b[2J model.".to_owned(),
    };
    world.raw(
        "POST /v1/agents/scout/chat",
        200,
        "text/event-stream",
        events(&[(1, TurnEvent::Started), (2, TurnEvent::Failed(failure))]),
    );
    insta::assert_snapshot!(world.run_with_stdin(&["chat", "scout"], "Hi\n"), @r"
    exit 1
    err: error: No�[2J model. (model_failed)
    ");
}

#[test]
fn a_key_goes_in_by_standard_input_and_comes_out_nowhere() {
    let world = World::new();
    let provider = creel_api::Provider {
        id: None,
        name: "openai".parse().unwrap(),
        kind: creel_api::ProviderKind::Openai,
        base_url: None,
        has_key: true,
        created_at: None,
        key_secret: None,
        platform: false,
    };
    world.json("POST /v1/providers", 201, &provider);
    let shown = world.run_with_stdin(
        &["provider", "add", "openai", "--kind", "openai", "--key-stdin"],
        "sk-secret\n",
    );
    insta::assert_snapshot!(shown, @r"
    exit 0
    out: openai
    err: Try it: creel provider test openai
    ");
    assert_eq!(
        world.seen(),
        [r#"POST /v1/providers {"name":"openai","kind":"openai","key":"sk-secret"}"#]
    );
    insta::assert_snapshot!(world.run(&["provider", "add", "openai", "--kind", "openai"]), @r"
    exit 2
    err: error: this kind needs a key: give it on standard input with --key-stdin, or name a secret with --key-secret
    ");
    insta::assert_snapshot!(world.run(&["provider", "add", "local", "--kind", "openai-compatible"]), @r"
    exit 2
    err: error: the following required arguments were not provided:
    err:   --base-url <URL>
    err: 
    err: Usage: creel provider add --kind <KIND> --base-url <URL> <NAME>
    err: 
    err: For more information, try '--help'.
    ");
}

#[test]
fn a_secret_goes_in_by_standard_input_and_comes_out_nowhere() {
    let world = World::new();
    let at = "2026-11-29T12:00:00Z".parse().unwrap();
    let entry = creel_api::SecretEntry {
        name: "OPENAI_KEY".parse().unwrap(),
        agent: None,
        version: 2,
        created_at: at,
        changed_at: at,
        changed_by: "usr_00000000000000000000000007".to_owned(),
    };
    let list = creel_api::SecretList {
        items: vec![entry.clone()],
    };
    world
        .json("PUT /v1/secrets/OPENAI_KEY", 200, &entry)
        .json("PUT /v1/agents/scout/secrets/OPENAI_KEY", 200, &entry)
        .json("GET /v1/secrets", 200, &list);
    insta::assert_snapshot!(world.run_with_stdin(&["secrets", "set", "OPENAI_KEY"], "sk-secret\nline 2\n"), @r"
    exit 0
    out: OPENAI_KEY
    ");
    world.run_with_stdin(&["secrets", "set", "OPENAI_KEY", "--agent", "scout"], "x");
    insta::assert_snapshot!(world.run(&["secrets", "ls"]), @r"
    exit 0
    out: NAME        VERSION  CHANGED           BY
    out: OPENAI_KEY        2  2026-11-29 12:00  usr_00000000000000000000000007
    ");
    assert_eq!(
        world.seen(),
        [
            r#"PUT /v1/secrets/OPENAI_KEY {"value":"sk-secret\nline 2"}"#,
            r#"PUT /v1/agents/scout/secrets/OPENAI_KEY {"value":"x"}"#,
            "GET /v1/secrets",
        ]
    );
    insta::assert_snapshot!(world.run_with_stdin(&["secrets", "set", "OPENAI_KEY"], "\n"), @r"
    exit 2
    err: error: standard input holds no value
    ");
    let argument = world.run(&["secrets", "set", "OPENAI_KEY", "sk-secret"]);
    assert!(argument.contains("unexpected argument"), "{argument}");
}

#[test]
fn usage_says_what_its_sums_leave_out() {
    let world = World::new();
    let row = UsageRow {
        key: "agt_00000000000000000000000007".to_owned(),
        name: Some("scout".to_owned()),
        calls: 1234,
        calls_without_usage: 2,
        input_tokens: 1_234_567,
        output_tokens: 89,
        cost_micro_usd: MicroUsd(1_234_567),
        ..UsageRow::default()
    };
    let report = UsageReport {
        from: Timestamp::UNIX_EPOCH,
        to: Timestamp::UNIX_EPOCH,
        group: UsageGroup::Agent,
        items: vec![row.clone()],
        total: UsageRow {
            key: String::new(),
            name: None,
            ..row
        },
    };
    world.json("GET /v1/usage", 200, &report);
    insta::assert_snapshot!(world.run(&["usage", "--from", "2026-11-01"]), @r"
    exit 0
    out: AGENT  CALLS      INPUT  CACHED  OUTPUT     COST
    out: scout  1 234  1 234 567       0      89  $1.2346
    out: total  1 234  1 234 567       0      89  $1.2346
    err: 2 calls are not in the tokens and the cost: their provider reported no usage.
    ");
    assert_eq!(
        world.seen(),
        ["GET /v1/usage?group=agent&from=2026-11-01T00%3A00%3A00Z"]
    );
    insta::assert_snapshot!(world.run(&["usage", "--from", "yesterday"]), @r"
    exit 2
    err: error: invalid value 'yesterday' for '--from <DATE>': `yesterday` is no date: write for example 2026-11-01 or 2026-11-01T12:00:00Z
    err: 
    err: For more information, try '--help'.
    ");
}

#[test]
fn an_image_that_cannot_be_built_says_why() {
    let world = World::new();
    let list = |state: &str| format!(r#"{{"items":[{{"name":"openclaw","version":"2026.9.6",{state}}}]}}"#);
    world.raw("POST /v1/images/openclaw/build", 202, "application/json", "");
    world.raw(
        "GET /v1/images",
        200,
        "application/json",
        list(r#""state":"building","percent":43,"step":"unpacking""#),
    );
    world.raw(
        "GET /v1/images",
        200,
        "application/json",
        list(r#""state":"failed","reason":"The disk is full.""#),
    );
    insta::assert_snapshot!(world.run(&["image", "build", "openclaw"]), @r"
    exit 1
    err: error: image openclaw was not built: The disk is full.
    ");
    insta::assert_snapshot!(world.run(&["image", "build", "opencla"]), @r"
    exit 2
    err: error: invalid value 'opencla' for '<IMAGE>': there is no image `opencla`: the images are `lite` and `openclaw`
    err: 
    err: For more information, try '--help'.
    ");
}

#[test]
fn files_come_whole_or_not_at_all() {
    let world = World::new();
    let here = world.home.path().join("copy");
    let to = here.to_str().unwrap();
    let file = Problem::new(ErrorCode::NotADirectory, "It is a file.");
    world.json("GET /v1/agents/scout/files", 409, &file);
    world.raw(
        "GET /v1/agents/scout/files/content",
        200,
        "application/octet-stream",
        "content",
    );
    insta::assert_snapshot!(world.run(&["cp", "scout:a/b.txt", to]), @r"exit 0");
    assert_eq!(std::fs::read_to_string(&here).unwrap(), "content");
    // A listing that leads out of the directory is refused.
    let hostile = World::new();
    let list = r#"{"items":[{"name":"../escape","kind":"file","bytes":1,"mode":420}]}"#;
    hostile.raw("GET /v1/agents/scout/files", 200, "application/json", list);
    let out = hostile.home.path().join("out");
    insta::assert_snapshot!(hostile.run(&["cp", "-r", "scout:d", out.to_str().unwrap()]), @r#"
    exit 1
    err: error: d holds "../escape", which is no name of a file
    "#);
    assert!(!hostile.home.path().join("escape").exists());
}

#[test]
fn nobody_there_is_a_sentence_with_the_next_step() {
    let home = tempfile::tempdir().unwrap();
    let mut command = crate::world::creel(home.path());
    let output = command
        .args(["agent", "ls", "--url", "http://127.0.0.1:1"])
        .output()
        .unwrap();
    insta::assert_snapshot!(crate::world::show(&output), @r"
    exit 1
    err: error: Creel does not answer at http://127.0.0.1:1: start it with `creel up`, or set CREEL_URL
    ");
}
