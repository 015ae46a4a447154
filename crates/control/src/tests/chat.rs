//! Turns: streamed, resumed, queued, stopped; through crashes on both sides and bridges that lie.

use creel_domain::{RuntimeState, TurnEvent, TurnFailure};
use creel_testkit::{Act, Gate};
use serde_json::{Value, json};

use super::{Reply, World, told, wait};

const EVENTS: [(&str, &str); 2] = [
    ("content-type", "application/json"),
    ("accept", "text/event-stream"),
];

async fn say(world: &World, message: &str) -> Reply {
    let body = json!({"message": message}).to_string();
    world.ask("POST", "/v1/agents/scout/chat", &EVENTS, body).await
}

async fn resume(world: &World, address: &str, after: &str) -> Reply {
    let headers = [("accept", "text/event-stream"), ("last-event-id", after)];
    world.ask("GET", address, &headers, "").await
}

fn tool(name: &str) -> [Act; 2] {
    [
        Act::Say(TurnEvent::ToolStarted {
            tool_id: "1".to_owned(),
            name: name.to_owned(),
            arguments: "{\"command\":\"ls\"}".to_owned(),
        }),
        Act::Say(TurnEvent::ToolFinished {
            tool_id: "1".to_owned(),
            ok: true,
            output: "SOUL.md".to_owned(),
        }),
    ]
}

#[tokio::test]
async fn an_answer_is_streamed_and_kept() {
    let world = World::new().await;
    let (agent, _) = world.running_agent("scout").await;
    let reply = say(&world, "hello").await;
    let address = reply.header("location").to_owned();
    assert!(
        address.starts_with(&format!("/v1/agents/{}/turns/trn_", agent.id)),
        "{address}"
    );
    assert_eq!(
        told(&reply.events().all().await),
        r#"1 started, 2 text "You said: ", 3 text "hello", 4 done "You said: hello""#
    );
    let turn = world.get(&address).await.expect(200).await;
    assert_eq!(
        (&turn["state"], &turn["text"]),
        (&json!("done"), &json!("You said: hello"))
    );
    let sessions = world.get("/v1/agents/scout/sessions").await.expect(200).await;
    assert_eq!(
        (&sessions["items"][0]["name"], &sessions["items"][0]["turns"]),
        (&json!("main"), &json!(1))
    );
}

#[tokio::test]
async fn without_a_stream_the_finished_turn_is_the_answer() {
    let world = World::new().await;
    world.running_agent("scout").await;
    world.bridges.set_script(|_| {
        let mut acts = vec![Act::started()];
        acts.extend(tool("shell"));
        acts.push(Act::done("There is a soul."));
        acts
    });
    let turn = world
        .post(
            "/v1/agents/scout/chat",
            json!({"message": "look", "session": "work"}),
        )
        .await;
    let turn = turn.expect(200).await;
    assert_eq!(
        (&turn["text"], &turn["session"]),
        (&json!("There is a soul."), &json!("work"))
    );
    assert_eq!(
        turn["tools"],
        json!([{"name": "shell", "arguments": "{\"command\":\"ls\"}", "output": "SOUL.md", "ok": true}])
    );
    let messages = world
        .get("/v1/agents/scout/sessions/work/messages")
        .await
        .expect(200)
        .await;
    let roles: Vec<_> = messages["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|m| m["role"].clone())
        .collect();
    assert_eq!(roles, ["user", "agent"]);
}

#[tokio::test]
async fn a_message_right_after_create_waits_for_the_agent() {
    let world = World::new().await;
    world.supervisor.hold();
    world.create("scout").await;
    let reply = say(&world, "early").await;
    let mut events = reply.events();
    let supervisor = world.supervisor.clone();
    tokio::spawn(async move {
        tokio::time::sleep(std::time::Duration::from_secs(60)).await;
        supervisor.settle();
    });
    assert_eq!(
        events.next().await.map(|event| event.name),
        Some("started".to_owned())
    );
}

#[tokio::test]
async fn an_agent_that_does_not_come_up_fails_the_turn_with_what_it_waits_for() {
    let world = World::new().await;
    world.supervisor.hold();
    world.create("scout").await;
    let turn = world
        .post("/v1/agents/scout/chat", json!({"message": "hello"}))
        .await
        .expect(200)
        .await;
    assert_eq!(
        (&turn["state"], &turn["failure"]["code"]),
        (&json!("failed"), &json!("agent_not_ready"))
    );
    let sentence = turn["failure"]["message"].as_str().expect("a sentence");
    assert!(
        sentence.contains("120 seconds") && sentence.contains("its turn to start"),
        "{sentence}"
    );
}

#[tokio::test]
async fn a_stopped_agent_is_not_talked_to() {
    let world = World::new().await;
    world.running_agent("scout").await;
    let headers = [("content-type", "application/json"), ("if-match", "*")];
    world
        .ask("PATCH", "/v1/agents/scout", &headers, r#"{"intent":"stop"}"#)
        .await
        .expect(200)
        .await;
    let sentence = say(&world, "hello").await.problem("agent_not_running").await;
    assert!(sentence.contains("creel agent start scout"), "{sentence}");
}

#[tokio::test]
async fn messages_are_bounded() {
    let world = World::new().await;
    world.create("scout").await;
    say(&world, "").await.problem("invalid_request").await;
    say(&world, &"x".repeat(256 * 1024 + 1))
        .await
        .problem("too_large")
        .await;
    say(&world, &"x".repeat(2 << 20)).await.problem("too_large").await;
    let body = json!({"message": "hi", "session": "../x"});
    let sentence = world
        .post("/v1/agents/scout/chat", body)
        .await
        .problem("invalid_request")
        .await;
    assert!(sentence.contains("at `session`"), "{sentence}");
}

#[tokio::test]
async fn hanging_up_does_not_stop_a_turn_and_a_reader_comes_back() {
    let world = World::new().await;
    world.running_agent("scout").await;
    let gate = Gate::default();
    let waits = gate.clone();
    world.bridges.set_script(move |_| {
        vec![
            Act::started(),
            Act::text("a"),
            Act::Wait(waits.clone()),
            Act::text("b"),
            Act::done("ab"),
        ]
    });
    let reply = say(&world, "go").await;
    let address = reply.header("location").to_owned();
    let mut events = reply.events();
    events.next().await.expect("started");
    let heard = events.next().await.expect("text");
    drop(events);
    gate.open();
    let rest = resume(&world, &address, &heard.id.to_string())
        .await
        .events()
        .all()
        .await;
    assert_eq!(told(&rest), r#"3 text "b", 4 done "ab""#);
    let again = resume(&world, &address, "").await.events().all().await;
    assert_eq!(told(&again), r#"1 started, 2 text "a", 3 text "b", 4 done "ab""#);
}

#[tokio::test]
async fn a_session_takes_one_turn_at_a_time_in_order_and_an_agent_only_so_many() {
    let world = World::new().await;
    let (_, sandbox) = world.running_agent("scout").await;
    let gate = Gate::default();
    let waits = gate.clone();
    world.bridges.set_script(move |request| {
        vec![
            Act::started(),
            Act::Wait(waits.clone()),
            Act::done(&request.message),
        ]
    });
    let mut replies = Vec::new();
    for number in 0..16 {
        replies.push(say(&world, &number.to_string()).await);
    }
    say(&world, "one too many").await.problem("busy").await;
    wait("the first to be with the bridge", || async {
        (!world.bridges.requests(sandbox).is_empty(), String::new())
    })
    .await;
    assert_eq!(world.bridges.requests(sandbox).len(), 1, "the others wait for it");
    gate.open();
    for reply in replies {
        assert!(told(&reply.events().all().await).contains("done"));
    }
    let order: Vec<_> = world
        .bridges
        .requests(sandbox)
        .into_iter()
        .map(|(_, request)| request.message)
        .collect();
    let expected: Vec<_> = (0..16).map(|number| number.to_string()).collect();
    assert_eq!(order, expected);
}

#[tokio::test]
async fn a_turn_can_be_stopped() {
    let world = World::new().await;
    world.running_agent("scout").await;
    world
        .bridges
        .set_script(|_| vec![Act::started(), Act::text("for ever"), Act::Wait(Gate::default())]);
    let reply = say(&world, "go").await;
    let address = reply.header("location").to_owned();
    let queued = say(&world, "behind it").await;
    let queued_address = queued.header("location").to_owned();
    let mut events = reply.events();
    events.next().await.expect("started");
    assert_eq!(world.delete(&queued_address).await.status, 202);
    assert_eq!(told(&queued.events().all().await), "1 cancelled");
    assert_eq!(world.delete(&address).await.status, 202);
    assert_eq!(told(&events.all().await), r#"2 text "for ever", 3 cancelled"#);
    let turn = world.get(&address).await.expect(200).await;
    assert_eq!(
        (&turn["state"], &turn["text"]),
        (&json!("cancelled"), &json!("for ever"))
    );
    assert_eq!(
        world.delete(&address).await.status,
        202,
        "an ended turn is left as it is"
    );
}

#[tokio::test]
async fn a_broken_connection_is_found_again_and_nothing_is_heard_twice() {
    let world = World::new().await;
    world.running_agent("scout").await;
    world.bridges.set_script(|_| {
        vec![
            Act::started(),
            Act::text("a"),
            Act::Break,
            Act::text("b"),
            Act::HangUp,
            Act::Garbage,
            Act::done("ab"),
        ]
    });
    let told = told(&say(&world, "go").await.events().all().await);
    assert_eq!(told, r#"1 started, 2 text "a", 3 text "b", 4 done "ab""#);
}

#[tokio::test]
async fn a_bridge_that_was_killed_is_given_the_turn_again_under_its_id() {
    let world = World::new().await;
    let (_, sandbox) = world.running_agent("scout").await;
    let gate = Gate::default();
    let waits = gate.clone();
    world
        .bridges
        .set_script(move |_| vec![Act::started(), Act::text("half an ans"), Act::Wait(waits.clone())]);
    let mut events = say(&world, "go").await.events();
    events.next().await.expect("started");
    events.next().await.expect("text");
    world
        .bridges
        .set_script(|_| vec![Act::started(), Act::text("whole"), Act::done("whole")]);
    world.bridges.restart(sandbox);
    // A second `started` says that what came before is void.
    assert_eq!(
        told(&events.all().await),
        r#"3 started, 4 text "whole", 5 done "whole""#
    );
    let requests = world.bridges.requests(sandbox);
    assert_eq!((requests.len(), requests[0].0), (2, requests[1].0));
}

#[tokio::test]
async fn control_takes_a_turn_up_again_after_its_own_death() {
    let mut world = World::new().await;
    let (_, sandbox) = world.running_agent("scout").await;
    let gate = Gate::default();
    let waits = gate.clone();
    world.bridges.set_script(move |_| {
        vec![
            Act::started(),
            Act::text("a"),
            Act::Wait(waits.clone()),
            Act::done("ab"),
        ]
    });
    let reply = say(&world, "go").await;
    let address = reply.header("location").to_owned();
    let mut events = reply.events();
    events.next().await.expect("started");
    let heard = events.next().await.expect("text");
    world.kill().await;
    drop(events);
    world.start().await;
    gate.open();
    let rest = resume(&world, &address, &heard.id.to_string())
        .await
        .events()
        .all()
        .await;
    assert_eq!(told(&rest), r#"3 done "ab""#);
    let ids: Vec<_> = world
        .bridges
        .requests(sandbox)
        .into_iter()
        .map(|(id, _)| id)
        .collect();
    assert!(ids.len() >= 2 && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

#[tokio::test]
async fn a_turn_of_the_past_is_told_from_the_store() {
    let mut world = World::new().await;
    world.running_agent("scout").await;
    let reply = say(&world, "hello").await;
    let address = reply.header("location").to_owned();
    reply.events().all().await;
    world.kill().await;
    world.start().await;
    let whole = resume(&world, &address, "0").await.events().all().await;
    assert_eq!(
        told(&whole),
        r#"1 started, 2 text "You said: hello", 3 done "You said: hello""#
    );
    let late = resume(&world, &address, "9").await.events().all().await;
    assert!(told(&late).starts_with("10 started"), "{}", told(&late));
}

#[tokio::test]
async fn lies_of_a_bridge_end_the_turn_with_a_failure() {
    type Script = fn() -> Vec<Act>;
    let scripts: [(&str, &str, Script); 6] = [
        ("numbers that jump", "agent_failed", || {
            vec![Act::started(), Act::SayNumbered(9, TurnEvent::Started)]
        }),
        ("nothing but garbage", "agent_failed", || vec![Act::Garbage; 50]),
        ("an end without a last event", "agent_failed", || {
            vec![Act::HangUp; 50]
        }),
        ("an answer without end", "turn_too_long", || {
            vec![Act::text(&"x".repeat(1 << 20)); 6]
        }),
        ("more events than are kept", "turn_too_long", || {
            vec![Act::text("x"); 17_000]
        }),
        ("a failure of its own", "model_failed", || {
            let failure = TurnFailure {
                code: "model_failed".to_owned(),
                message: "The model said no.".to_owned(),
            };
            vec![Act::started(), Act::Say(TurnEvent::Failed(failure))]
        }),
    ];
    let world = World::new().await;
    world.running_agent("scout").await;
    // A bridge that lies does so to each new connection.
    world.bridges.set_forgetful();
    for (what, code, script) in scripts {
        world.bridges.set_script(move |_| script());
        let turn = world
            .post("/v1/agents/scout/chat", json!({"message": "go"}))
            .await
            .expect(200)
            .await;
        assert_eq!(turn["failure"]["code"], code, "{what}: {}", turn["failure"]);
    }
}

#[tokio::test]
async fn a_bridge_that_never_answers_is_given_up() {
    let world = World::new().await;
    let (_, sandbox) = world.running_agent("scout").await;
    world
        .bridges
        .set_script(|_| vec![Act::started(), Act::Wait(Gate::default())]);
    let mut events = say(&world, "go").await.events();
    events.next().await.expect("started");
    tokio::time::advance(std::time::Duration::from_secs(20 * 60)).await;
    tokio::time::sleep(std::time::Duration::from_secs(31)).await;
    assert_eq!(
        world.bridges.requests(sandbox).len(),
        1,
        "a bridge that says it lives is waited for"
    );
    tokio::time::advance(std::time::Duration::from_secs(5 * 60)).await;
    assert_eq!(told(&events.all().await), "2 failed \"turn_too_long\"");
}

#[tokio::test]
async fn a_runtime_that_crashes_in_the_middle_is_waited_for() {
    let world = World::new().await;
    let (_, sandbox) = world.running_agent("scout").await;
    world
        .bridges
        .set_script(|_| vec![Act::started(), Act::Wait(Gate::default())]);
    let mut events = say(&world, "go").await.events();
    events.next().await.expect("started");
    world
        .bridges
        .set_script(|_| vec![Act::started(), Act::done("at last")]);
    world.bridges.set_runtime(sandbox, RuntimeState::Starting, "");
    world.bridges.restart(sandbox);
    world.until("scout", "starting").await;
    world.bridges.set_runtime(sandbox, RuntimeState::Ready, "");
    let rest = told(&events.all().await);
    assert!(rest.ends_with(r#"done "at last""#), "{rest}");
}

#[tokio::test]
async fn deleting_an_agent_ends_its_turns() {
    let world = World::new().await;
    world.running_agent("scout").await;
    world
        .bridges
        .set_script(|_| vec![Act::started(), Act::Wait(Gate::default())]);
    let mut events = say(&world, "go").await.events();
    events.next().await.expect("started");
    assert_eq!(world.delete("/v1/agents/scout").await.status, 202);
    assert!(
        events
            .all()
            .await
            .last()
            .is_some_and(|event| event.name == "cancelled")
    );
    world.until_gone().await;
}

#[tokio::test]
async fn history_comes_in_pages_from_the_newest_on() {
    let world = World::new().await;
    world.running_agent("scout").await;
    for number in 0..5 {
        say(&world, &number.to_string()).await.events().all().await;
    }
    let texts = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().expect("items");
        let users = items.iter().filter(|message| message["role"] == "user");
        users
            .map(|message| message["text"].as_str().expect("text").to_owned())
            .collect()
    };
    let path = "/v1/agents/scout/sessions/main/messages?limit=2";
    let first = world.get(path).await.expect(200).await;
    assert_eq!(texts(&first), ["3", "4"]);
    let cursor = first["next_cursor"].as_str().expect("more");
    let second = world
        .get(&format!("{path}&cursor={cursor}"))
        .await
        .expect(200)
        .await;
    assert_eq!(texts(&second), ["1", "2"]);
    let cursor = second["next_cursor"].as_str().expect("more");
    let third = world
        .get(&format!("{path}&cursor={cursor}"))
        .await
        .expect(200)
        .await;
    assert_eq!(
        (texts(&third), third.get("next_cursor")),
        (vec!["0".to_owned()], None)
    );
    let agents_cursor = "01000000000000000000000000000000000000";
    world
        .get(&format!("{path}&cursor={agents_cursor}"))
        .await
        .problem("invalid_request")
        .await;
}

#[tokio::test]
async fn a_message_sent_again_under_its_key_is_one_turn() {
    let world = World::new().await;
    let (_, sandbox) = world.running_agent("scout").await;
    let body = json!({"message": "hello"}).to_string();
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", "event-7"),
    ];
    let say = || world.ask("POST", "/v1/agents/scout/chat", &headers, body.clone());
    let first = say().await.expect(200).await;
    let again = say().await.expect(200).await;
    assert_eq!((&first["id"], &first["state"]), (&again["id"], &json!("done")));
    // In whatever form the answer is wanted.
    let streamed = [headers[0], headers[1], EVENTS[1]];
    let reply = world
        .ask("POST", "/v1/agents/scout/chat", &streamed, body.clone())
        .await;
    assert!(
        reply
            .header("location")
            .ends_with(first["id"].as_str().expect("an id"))
    );
    assert!(told(&reply.events().all().await).contains("done"));
    assert_eq!(world.bridges.requests(sandbox).len(), 1);
    let other = json!({"message": "something else"}).to_string();
    world
        .ask("POST", "/v1/agents/scout/chat", &headers, other)
        .await
        .problem("idempotency_mismatch")
        .await;
}

#[tokio::test]
async fn whoever_does_not_wait_is_told_at_once_that_the_message_is_safe() {
    let world = World::new().await;
    world.running_agent("scout").await;
    let gate = Gate::default();
    let waits = gate.clone();
    world
        .bridges
        .set_script(move |_| vec![Act::started(), Act::Wait(waits.clone()), Act::done("at last")]);
    let headers = [
        ("content-type", "application/json"),
        ("prefer", "wait=9, Respond-Async"),
    ];
    let body = json!({"message": "take your time"}).to_string();
    let reply = world.ask("POST", "/v1/agents/scout/chat", &headers, body).await;
    assert_eq!(reply.header("preference-applied"), "respond-async");
    let address = reply.header("location").to_owned();
    let begun = reply.expect(202).await;
    assert_eq!(begun["state"], "running");
    let waiting = world.get("/v1/turns?state=running").await.expect(200).await;
    assert_eq!(waiting["items"][0]["id"], begun["id"]);
    gate.open();
    wait("the turn to end", || async {
        let turn = world.get(&address).await.json().await;
        (turn["state"] == "done", turn.to_string())
    })
    .await;
    let waiting = world.get("/v1/turns?state=running&agent=scout").await;
    assert_eq!(waiting.expect(200).await["items"], json!([]));
}

#[tokio::test]
async fn what_came_to_nothing_is_listed_and_said_once_more() {
    let world = World::new().await;
    world.running_agent("scout").await;
    world.bridges.set_script(|_| {
        let failure = TurnFailure {
            code: "model_failed".to_owned(),
            message: "It was out.".to_owned(),
        };
        vec![Act::started(), Act::Say(TurnEvent::Failed(failure))]
    });
    let turn = world
        .post(
            "/v1/agents/scout/chat",
            json!({"message": "hello", "session": "news"}),
        )
        .await
        .expect(200)
        .await;
    assert_eq!(turn["state"], "failed");
    let dead = world
        .get("/v1/turns?state=failed&agent=scout")
        .await
        .expect(200)
        .await;
    assert_eq!(
        (&dead["items"][0]["id"], &dead["items"][0]["message"]),
        (&turn["id"], &json!("hello"))
    );
    world
        .bridges
        .set_script(|_| vec![Act::started(), Act::done("hello to you")]);
    let retry = format!(
        "/v1/agents/scout/turns/{}/retry",
        turn["id"].as_str().expect("an id")
    );
    let reply = world.post(&retry, json!({})).await;
    let address = reply.header("location").to_owned();
    assert_eq!(reply.expect(202).await["session"], "news");
    wait("the turn to end", || async {
        let turn = world.get(&address).await.json().await;
        (turn["state"] == "done", turn.to_string())
    })
    .await;
    // Whoever is done with it takes it off the list; what was said stays.
    let failed = || async {
        let failed = world.get("/v1/turns?state=failed").await.expect(200).await;
        failed["items"].as_array().expect("a list").len()
    };
    let drop = retry.replace("/retry", "/drop");
    assert_eq!(failed().await, 1);
    for _ in 0..2 {
        assert_eq!(world.post(&drop, json!({})).await.status, 204);
        assert_eq!(failed().await, 0);
    }
    let path = format!("/v1/agents/scout/turns/{}", turn["id"].as_str().expect("an id"));
    assert_eq!(world.get(&path).await.expect(200).await["state"], "failed");
    let trail = world.get("/v1/audit?action=turn.drop").await.expect(200).await;
    assert_eq!(trail["items"][0]["action"], "turn.drop", "{trail}");
    let answered = format!("{address}/drop");
    world.post(&answered, json!({})).await.problem("conflict").await;
    let again = format!("{}/retry", address);
    world.post(&again, json!({})).await.problem("conflict").await;
    world.get("/v1/turns").await.problem("invalid_request").await;
    world
        .get("/v1/turns?state=failed&agent=nobody")
        .await
        .problem("not_found")
        .await;
}
