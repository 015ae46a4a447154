//! From nothing to an agent that talks and works.

use creel_api::{Role, TurnState, client::UsageQuery};
use creel_domain::{Runtime, TurnEvent};
use creel_tests::Platform;

async fn a_conversation(runtime: Runtime) {
    let Some(platform) = Platform::start().await else {
        return;
    };
    platform.agent("scout", runtime).await;

    let heard = platform.hear("scout", "@slow 20").await;
    let expected = (0..20)
        .map(|number| format!("w{number}"))
        .collect::<Vec<_>>()
        .join(" ");
    assert_eq!(heard.done().map(str::trim), Some(expected.as_str()), "{heard:?}");
    assert_eq!(heard.text().trim(), expected, "the pieces are the whole");
    let pieces = heard
        .events
        .iter()
        .filter(|event| matches!(event, TurnEvent::Text { .. }));
    assert!(pieces.count() > 2, "it was streamed: {heard:?}");

    let heard = platform
        .hear("scout", "@write notes/hello.txt kept for later")
        .await;
    let tools: Vec<_> = heard
        .events
        .iter()
        .filter_map(|event| match event {
            TurnEvent::ToolStarted { name, .. } => Some(name.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(tools, ["write"], "{heard:?}");
    assert!(
        heard
            .done()
            .is_some_and(|text| text.starts_with("The tool gave: ")),
        "{heard:?}"
    );
    assert_eq!(
        platform.file("scout", "notes/hello.txt").await.expect("a file"),
        "kept for later"
    );
    // The same address of the file, as the agent's own commands see it.
    assert_eq!(
        platform.shell("scout", "cat notes/hello.txt").await.stdout,
        "kept for later"
    );

    let turn = platform.say("scout", "@exec wc -c < notes/hello.txt").await;
    assert_eq!(turn.state, TurnState::Done, "{turn:?}");
    assert!(turn.text.contains("14"), "{turn:?}");
    assert_eq!(turn.tools.len(), 1, "{turn:?}");

    let history = platform.history("scout").await;
    let said: Vec<_> = history
        .iter()
        .filter(|message| message.role == Role::User)
        .map(|message| message.text.as_str())
        .collect();
    assert_eq!(
        said,
        [
            "@slow 20",
            "@write notes/hello.txt kept for later",
            "@exec wc -c < notes/hello.txt"
        ]
    );
    let answers: Vec<_> = history
        .iter()
        .filter(|message| message.role == Role::Agent)
        .collect();
    assert_eq!(answers.len(), 3);
    assert!(
        answers.iter().all(|answer| answer.state == Some(TurnState::Done)),
        "{answers:?}"
    );
    assert_eq!(answers[0].text.trim(), expected);

    let heard = platform.provider().heard();
    let usage = platform
        .client()
        .usage(&UsageQuery::default())
        .await
        .expect("usage");
    let reported = platform.provider().reported();
    assert_eq!(usage.total.calls, heard.len() as u64);
    assert_eq!(
        (
            usage.total.input_tokens,
            usage.total.cached_input_tokens,
            usage.total.output_tokens
        ),
        (reported.input, reported.cached, reported.output)
    );
    assert_eq!(usage.total.calls_without_usage, 0);
    assert!(
        heard.len() >= 5,
        "one call, and two turns of two: {}",
        heard.len()
    );
    for call in &heard {
        assert_eq!(
            call.authorization.as_deref(),
            Some(format!("Bearer {}", creel_tests::KEY).as_str())
        );
        assert_eq!(call.body["model"], "m1");
    }

    platform.client().delete_agent("scout").await.expect("deleted");
    platform
        .until("it is gone", async || {
            platform
                .client()
                .all_agents()
                .await
                .expect("agents")
                .is_empty()
                .then_some(())
        })
        .await
        .expect("it is gone");
    let volumes = std::fs::read_dir(platform.data().join("volumes"))
        .expect("volumes")
        .count();
    assert_eq!(volumes, 0, "the volume goes with its agent");
    platform.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn lite_talks_works_and_is_counted() {
    a_conversation(Runtime::Lite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn openclaw_talks_works_and_is_counted() {
    a_conversation(Runtime::Openclaw).await;
}
