//! Every API that a sandbox may speak against every kind of provider, streamed and whole: text, tools and
//! their results, usage, and what the provider is sent.

use creel_domain::{MicroUsd, ProviderKind};
use creel_models::{Api, Outcome};
use creel_testkit::Plan;
use http::StatusCode;
use insta::assert_json_snapshot;
use serde_json::{Value, json};

use crate::{
    client::{Answer, read, request},
    world::{KEY, World, reported},
};

const KINDS: [ProviderKind; 4] = [
    ProviderKind::Openai,
    ProviderKind::OpenaiCompatible,
    ProviderKind::Anthropic,
    ProviderKind::Gemini,
];

fn pairs() -> impl Iterator<Item = (Api, ProviderKind, bool)> {
    let streamed = |api, kind| [true, false].map(|streamed| (api, kind, streamed));
    Api::ALL
        .into_iter()
        .flat_map(move |api| KINDS.into_iter().flat_map(move |kind| streamed(api, kind)))
}

async fn ask(world: &mut World, api: Api, streamed: bool, body: &Value) -> Answer {
    let got = world.ask(api, body).await;
    assert_eq!(
        (got.status, got.end.outcome),
        (StatusCode::OK, Outcome::Completed),
        "{api}: {}",
        got.text
    );
    assert_eq!(got.end.usage, reported(), "{api}: what the provider reported");
    read(api, streamed, &got.text)
}

/// The word of each API for an answer that is complete, and for one that calls tools.
fn finish(api: Api, calls: bool) -> &'static str {
    match (api, calls) {
        (Api::ChatCompletions, false) => "stop",
        (Api::ChatCompletions, true) => "tool_calls",
        (Api::Responses, _) => "completed",
        (Api::Messages, false) => "end_turn",
        (Api::Messages, true) => "tool_use",
    }
}

#[tokio::test]
async fn text_comes_through_every_pair_with_the_providers_own_usage() {
    for (api, kind, streamed) in pairs() {
        let mut world = World::new(kind).await;
        let answer = ask(
            &mut world,
            api,
            streamed,
            &request(api, streamed, "hello there", &[]),
        )
        .await;
        let pair = format!("{api} to {kind}, streamed: {streamed}");
        assert_eq!(answer.text, "You said: hello there", "{pair}");
        assert_eq!(answer.finish, finish(api, false), "{pair}");
        assert_eq!(answer.calls, [], "{pair}");
        let input = match api {
            Api::ChatCompletions => &answer.usage["prompt_tokens"],
            Api::Responses => &answer.usage["input_tokens"],
            Api::Messages => &json!(
                answer.usage["input_tokens"].as_u64().expect("a count")
                    + answer.usage["cache_read_input_tokens"].as_u64().expect("a count")
            ),
        };
        assert_eq!(*input, 1234, "{pair}");
        let sum = world.fake.reported();
        assert_eq!((sum.input, sum.cached, sum.output), (1234, 1000, 20), "{pair}");
    }
}

#[tokio::test]
async fn a_tool_is_called_and_its_result_comes_back_through_every_pair() {
    for (api, kind, streamed) in pairs() {
        let mut world = World::new(kind).await;
        let pair = format!("{api} to {kind}, streamed: {streamed}");
        let body = request(api, streamed, "@exec ls -l", &[]);
        let answer = ask(&mut world, api, streamed, &body).await;
        let [call] = answer.calls.as_slice() else {
            panic!("{pair}: {answer:?}")
        };
        assert_eq!(call.name, "exec", "{pair}");
        assert_eq!(call.arguments, json!({"command": "ls -l"}), "{pair}");
        assert!(!call.id.is_empty(), "{pair}");
        assert_eq!(answer.finish, finish(api, true), "{pair}");

        let mut call = call.clone();
        // As OpenClaw does when it repeats a conversation.
        call.id.retain(|c| c.is_ascii_alphanumeric());
        let body = request(api, streamed, "@exec ls -l", &[(call, "a.txt")]);
        let answer = ask(&mut world, api, streamed, &body).await;
        assert_eq!(answer.text, "The tool gave: a.txt", "{pair}");
    }
}

#[tokio::test]
async fn two_calls_at_once_stay_two() {
    for (api, kind, streamed) in pairs() {
        let mut world = World::new(kind).await;
        let pair = format!("{api} to {kind}, streamed: {streamed}");
        let both = ["one", "two"].map(|command| ("exec".to_owned(), json!({ "command": command })));
        world.fake.next(Plan::UseBoth(both));
        let body = request(api, streamed, "both", &[]);
        let answer = ask(&mut world, api, streamed, &body).await;
        let commands: Vec<_> = answer
            .calls
            .iter()
            .map(|call| &call.arguments["command"])
            .collect();
        assert_eq!(commands, ["one", "two"], "{pair}");
        assert_ne!(answer.calls[0].id, answer.calls[1].id, "{pair}");
        let results: Vec<_> = answer.calls.into_iter().zip(["1", "2"]).collect();
        let answer = ask(
            &mut world,
            api,
            streamed,
            &request(api, streamed, "both", &results),
        )
        .await;
        assert_eq!(answer.text, "The tool gave: 2", "{pair}");
    }
}

#[tokio::test]
async fn the_key_goes_where_each_provider_looks_for_it_and_nowhere_else() {
    for (kind, path, header, value) in [
        (
            ProviderKind::Openai,
            "/v1/chat/completions",
            "authorization",
            format!("Bearer {KEY}"),
        ),
        (
            ProviderKind::OpenaiCompatible,
            "/v1/chat/completions",
            "authorization",
            format!("Bearer {KEY}"),
        ),
        (
            ProviderKind::Anthropic,
            "/v1/messages",
            "x-api-key",
            KEY.to_owned(),
        ),
        (
            ProviderKind::Gemini,
            "/v1beta/models/m1:streamGenerateContent",
            "x-goog-api-key",
            KEY.to_owned(),
        ),
    ] {
        let mut world = World::new(kind).await;
        ask(
            &mut world,
            Api::ChatCompletions,
            true,
            &request(Api::ChatCompletions, true, "hi", &[]),
        )
        .await;
        let heard = world.fake.heard().remove(0);
        assert_eq!(heard.path, path);
        assert_eq!(heard.headers.get(header), Some(&value), "{kind}");
        let with_key: Vec<_> = heard
            .headers
            .iter()
            .filter(|(_, value)| value.contains(KEY))
            .collect();
        assert_eq!(with_key.len(), 1, "{kind}: {with_key:?}");
        assert!(!heard.query.contains(KEY) && !heard.body.to_string().contains(KEY));
        assert_eq!(
            heard.headers.get("accept-encoding"),
            None,
            "answers are read as they are"
        );
    }
}

/// What a provider is sent for a conversation with a result in it.
async fn sent(api: Api, kind: ProviderKind) -> Value {
    let mut world = World::new(kind).await;
    let call = crate::client::Call {
        id: "call_1".to_owned(),
        name: "exec".to_owned(),
        arguments: json!({"command": "ls"}),
    };
    let body = request(api, true, "list it", &[(call, "a.txt")]);
    ask(&mut world, api, true, &body).await;
    world.fake.heard().remove(0).body
}

#[tokio::test]
async fn anthropic_is_sent_its_own_format() {
    let body = sent(Api::ChatCompletions, ProviderKind::Anthropic).await;
    assert_eq!(
        body,
        sent(Api::Responses, ProviderKind::Anthropic).await,
        "whatever the sandbox speaks"
    );
    assert_json_snapshot!(body);
}

#[tokio::test]
async fn gemini_is_sent_its_own_format() {
    let body = sent(Api::ChatCompletions, ProviderKind::Gemini).await;
    assert_eq!(
        body,
        sent(Api::Responses, ProviderKind::Gemini).await,
        "whatever the sandbox speaks"
    );
    assert_eq!(
        body,
        sent(Api::Messages, ProviderKind::Gemini).await,
        "whatever the sandbox speaks"
    );
    assert_json_snapshot!(body);
}

#[tokio::test]
async fn openai_is_sent_chat_completions_for_messages() {
    assert_json_snapshot!(sent(Api::Messages, ProviderKind::Openai).await);
}

#[tokio::test]
async fn what_the_provider_speaks_itself_passes_untouched() {
    for (api, kind) in [
        (Api::ChatCompletions, ProviderKind::Openai),
        (Api::ChatCompletions, ProviderKind::OpenaiCompatible),
        (Api::Responses, ProviderKind::Openai),
        (Api::Messages, ProviderKind::Anthropic),
    ] {
        let mut world = World::new(kind).await;
        let mut body = request(api, true, "hi", &[]);
        body["a_field_of_tomorrow"] = json!({"deep": [1, 2.5, "three"]});
        ask(&mut world, api, true, &body).await;
        let mut heard = world.fake.heard().remove(0).body;
        assert_eq!(heard["model"], "m1");
        heard["model"] = json!("default");
        assert_eq!(heard, body, "{api} to {kind}");
    }
}

#[tokio::test]
async fn usage_that_the_sandbox_did_not_ask_for_is_kept_from_it() {
    let mut world = World::new(ProviderKind::OpenaiCompatible).await;
    let mut body = request(Api::ChatCompletions, true, "hi", &[]);
    body.as_object_mut().expect("an object").remove("stream_options");
    let answer = ask(&mut world, Api::ChatCompletions, true, &body).await;
    assert_eq!(answer.usage, Value::Null);
}

#[tokio::test]
async fn what_cannot_be_translated_is_refused_by_name() {
    for (api, kind, field, value, word) in [
        (
            Api::ChatCompletions,
            ProviderKind::Anthropic,
            "n",
            json!(2),
            "`n`",
        ),
        (
            Api::ChatCompletions,
            ProviderKind::Gemini,
            "response_format",
            json!({"type": "json_object"}),
            "`response_format`",
        ),
        (
            Api::Responses,
            ProviderKind::Gemini,
            "tools",
            json!([{"type": "local_shell"}]),
            "local_shell",
        ),
        (
            Api::Messages,
            ProviderKind::Openai,
            "tools",
            json!([{"type": "bash_20250124", "name": "bash"}]),
            "bash_20250124",
        ),
        (
            Api::Messages,
            ProviderKind::Openai,
            "messages",
            json!([]),
            "no message",
        ),
    ] {
        let mut world = World::new(kind).await;
        let mut body = request(api, true, "hi", &[]);
        body[field] = value;
        let (status, error) = world.refused(api.path(), body.to_string()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        let message = error["error"]["message"].as_str().expect("a sentence");
        assert!(message.contains(word), "{message}");
        assert!(world.fake.heard().is_empty());
    }
}

#[tokio::test]
async fn the_demo_speaks_every_api_uses_tools_and_costs_nothing() {
    for api in Api::ALL {
        for streamed in [true, false] {
            let mut world = World::new(ProviderKind::Demo).await;
            let got = world.ask(api, &request(api, streamed, "hello", &[])).await;
            assert_eq!(
                (got.end.outcome, got.end.cost),
                (Outcome::Completed, Some(MicroUsd(0)))
            );
            assert!(
                got.end
                    .usage
                    .is_some_and(|usage| usage.input > 0 && usage.output > 0)
            );
            assert!(
                read(api, streamed, &got.text).text.contains("demo model"),
                "{api}"
            );

            let got = world
                .ask(api, &request(api, streamed, "please run: ls", &[]))
                .await;
            let answer = read(api, streamed, &got.text);
            assert_eq!(answer.calls.len(), 1, "{api}: {answer:?}");
            assert_eq!(answer.calls[0].arguments, json!({"command": "ls"}));
            let call = answer.calls.into_iter().next().expect("one");
            let got = world
                .ask(api, &request(api, streamed, "run: ls", &[(call, "a.txt")]))
                .await;
            assert!(read(api, streamed, &got.text).text.ends_with("a.txt"), "{api}");
            assert!(world.fake.heard().is_empty());
        }
    }
}
