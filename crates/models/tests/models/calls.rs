//! What a sandbox may ask, what it is told when it is refused, and the bounds.

use std::time::{Duration, Instant};

use creel_domain::{Name, ProviderKind};
use creel_models::{Api, BaseUrl, Key, Outcome, Provider, limits};
use creel_testkit::{Plan, Reported};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};

use crate::{
    client::request,
    world::{KEY, World, read, waits},
};

const CHAT: Api = Api::ChatCompletions;

#[tokio::test]
async fn refusals_of_the_provider_become_400_in_the_apis_own_shape() {
    for (status, code, attempts) in [
        (400, "model_refused", 1),
        (401, "model_key_refused", 1),
        (402, "model_billing", 1),
        (403, "model_key_refused", 1),
        (404, "model_refused", 1),
        (408, "model_failed", 3),
        (418, "model_failed", 1),
        (429, "model_failed", 3),
        (302, "model_failed", 1),
        (500, "model_failed", 3),
        (503, "model_failed", 3),
        (529, "model_failed", 3),
    ] {
        for (api, kind) in [
            (CHAT, ProviderKind::Openai),
            (Api::Responses, ProviderKind::Anthropic),
            (Api::Messages, ProviderKind::Gemini),
        ] {
            let mut world = World::new(kind).await;
            let got = world
                .ask(api, &request(api, true, &format!("@status {status}"), &[]))
                .await;
            let case = format!("{status}, {api} to {kind}: {}", got.text);
            assert_eq!(got.status, StatusCode::BAD_REQUEST, "{case}");
            assert_eq!(got.end.outcome, Outcome::UpstreamError { status }, "{case}");
            assert_eq!((got.end.attempts, got.end.usage), (attempts, None), "{case}");
            let error: Value = serde_json::from_str(&got.text).expect("JSON");
            assert_eq!(error["error"]["code"], code, "{case}");
            assert_eq!(error["type"] == "error", api == Api::Messages, "{case}");
        }
    }
}

#[tokio::test]
async fn a_passing_fault_is_not_noticed_by_the_sandbox() {
    let mut world = World::new(ProviderKind::Openai).await;
    world.fake.next(Plan::Status(503));
    world.fake.next(Plan::RetryAfter(429, 0));
    let got = world.ask(CHAT, &request(CHAT, true, "hi", &[])).await;
    assert_eq!(
        (got.status, got.end.outcome, got.end.attempts),
        (StatusCode::OK, Outcome::Completed, 3)
    );
}

#[tokio::test]
async fn a_provider_that_asks_for_a_long_wait_is_not_asked_again() {
    let mut world = World::new(ProviderKind::Openai).await;
    world.fake.next(Plan::RetryAfter(429, 3600));
    let began = Instant::now();
    let got = world.ask(CHAT, &request(CHAT, true, "hi", &[])).await;
    assert_eq!((got.status, got.end.attempts), (StatusCode::BAD_REQUEST, 1));
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_provider_that_is_not_there_is_said_to_be() {
    let world = World::new(ProviderKind::Openai).await;
    let nowhere = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("its address")
    };
    let provider = provider(ProviderKind::Openai, &format!("http://{nowhere}"), KEY);
    let verdict = world.models.test(&provider).await;
    assert!(
        !verdict.ok && verdict.detail.contains("Nothing answers"),
        "{verdict:?}"
    );
}

fn provider(kind: ProviderKind, address: &str, key: &str) -> Provider {
    Provider {
        id: None,
        name: "tested".parse::<Name>().expect("a name"),
        kind,
        base_url: BaseUrl::parse(kind, Some(address)).expect("an address"),
        key: Some(Key::new(key.to_owned()).expect("a key")),
        key_of: None,
    }
}

#[tokio::test]
async fn a_test_of_a_provider_tells_a_good_key_from_a_bad_one() {
    let world = World::new(ProviderKind::Openai).await;
    for kind in [
        ProviderKind::Openai,
        ProviderKind::OpenaiCompatible,
        ProviderKind::Anthropic,
        ProviderKind::Gemini,
    ] {
        let good = world
            .models
            .test(&provider(kind, &world.fake.origin(), KEY))
            .await;
        assert!(good.ok, "{kind}: {good:?}");
        assert_eq!(good.models, ["m1"], "{kind}");
        let bad = world
            .models
            .test(&provider(kind, &world.fake.origin(), "bad-key"))
            .await;
        assert!(
            !bad.ok && bad.detail.contains("refuses the key"),
            "{kind}: {bad:?}"
        );
        let elsewhere = provider(kind, &format!("{}/elsewhere/x", world.fake.origin()), KEY);
        // The fake shows its list at any path that ends so; a path without one is told by its status.
        assert!(world.models.test(&elsewhere).await.ok);
    }
}

#[tokio::test]
async fn usage_is_summed_as_the_provider_reports_it_and_priced() {
    let mut world = World::new(ProviderKind::Openai).await;
    world.caller.model = "fake/gpt-5-mini".parse().expect("a model");
    let (mut input, mut cached, mut output, mut cost) = (0, 0, 0, 0);
    for number in 1..=5 {
        world.fake.report(Reported {
            input: 1000 * number,
            cached: 100 * number,
            output: 7 * number,
        });
        let got = world.ask(CHAT, &request(CHAT, number % 2 == 0, "hi", &[])).await;
        let usage = got.end.usage.expect("reported");
        input += usage.input;
        cached += usage.cached_input;
        output += usage.output;
        cost += got.end.cost.expect("a known model").0;
    }
    let sum = world.fake.reported();
    assert_eq!((input, cached, output), (sum.input, sum.cached, sum.output));
    // 900 at 0.25 $, 100 at 0.025 $ and 7 at 2 $ per million, each call rounded up, for 1 to 5 of each.
    let exact = (225_000_000 + 2_500_000 + 14_000_000) * 15;
    assert!(
        cost >= exact / 1_000_000 && cost <= exact / 1_000_000 + 5,
        "{cost}"
    );
}

#[tokio::test]
async fn only_its_own_model_and_only_good_requests() {
    let mut world = World::new(ProviderKind::OpenaiCompatible).await;
    for (body, code) in [
        (r#"{"model":"fake/other","messages":[]}"#, "model_not_allowed"),
        (r#"{"model":"m1","messages":[]}"#, "model_not_allowed"),
        (r#"{"messages":[]}"#, "invalid_request"),
        (r#"{"model":7}"#, "invalid_request"),
        (r#"{"model":"default","stream":"yes"}"#, "invalid_request"),
        (r#"["#, "invalid_request"),
        ("", "invalid_request"),
        ("\u{0}\u{1}", "invalid_request"),
    ] {
        let (status, error) = world.refused(CHAT.path(), body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert_eq!(error["error"]["code"], code, "{body}: {error}");
    }
    let deep = format!(
        r#"{{"model":"default","messages":{}{}}}"#,
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    let (status, _) = world.refused(CHAT.path(), deep).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(world.fake.heard().is_empty());
}

#[tokio::test]
async fn a_request_cannot_make_the_provider_a_way_out() {
    let mut world = World::new(ProviderKind::Openai).await;
    let mut body = request(Api::Responses, true, "hi", &[]);
    body["tools"] = json!([{"type": "web_search"}]);
    let (status, error) = world.refused(Api::Responses.path(), body.to_string()).await;
    assert_eq!(
        (status, &error["error"]["code"]),
        (StatusCode::BAD_REQUEST, &json!("not_allowed"))
    );
    assert!(world.fake.heard().is_empty());
}

#[tokio::test]
async fn other_paths_methods_and_the_list_of_models() {
    let world = World::new(ProviderKind::Openai).await;
    let ask = async |method: &str, path: &str| {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .body(Full::<bytes::Bytes>::default())
            .expect("a request");
        let answer = world.models.serve(world.caller.clone(), request).await;
        (
            answer.status().as_u16(),
            serde_json::from_str::<Value>(&read(answer).await).expect("JSON"),
        )
    };
    assert_eq!(ask("POST", "/v1/embeddings").await.0, 404);
    assert_eq!(ask("POST", "/v1/../v1/messages").await.0, 404);
    assert_eq!(ask("GET", "/v1/messages").await.0, 405);
    let (status, list) = ask("GET", "/v1/models").await;
    let ids: Vec<_> = list["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|model| &model["id"])
        .collect();
    assert_eq!((status, ids), (200, vec![&json!("default"), &json!("fake/m1")]));
}

#[tokio::test]
async fn nothing_is_sent_when_the_ledger_refuses_or_the_provider_is_unknown() {
    let mut world = World::with(ProviderKind::Openai, waits(), true).await;
    let (status, error) = world
        .refused(CHAT.path(), request(CHAT, true, "hi", &[]).to_string())
        .await;
    assert_eq!(
        (status, &error["error"]["code"]),
        (StatusCode::BAD_REQUEST, &json!("no_turn"))
    );

    let mut world = World::new(ProviderKind::Openai).await;
    world.caller.model = "gone/m1".parse().expect("a model");
    let (status, error) = world
        .refused(CHAT.path(), request(CHAT, true, "hi", &[]).to_string())
        .await;
    assert_eq!(
        (status, &error["error"]["code"]),
        (StatusCode::BAD_REQUEST, &json!("provider_not_found"))
    );
    assert!(world.fake.heard().is_empty());
}

#[tokio::test]
async fn a_request_that_is_too_large_is_refused() {
    let mut world = World::new(ProviderKind::Openai).await;
    let (status, error) = world
        .refused(CHAT.path(), vec![b' '; limits::REQUEST_BYTES + 1])
        .await;
    assert_eq!(
        (status, &error["error"]["code"]),
        (StatusCode::BAD_REQUEST, &json!("too_large"))
    );
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_cut() {
    let mut world = World::new(ProviderKind::Openai).await;
    let word = "x".repeat(500_000) + " ";
    world.fake.next(Plan::Say(word.repeat(70), 0));
    let got = world.ask(CHAT, &request(CHAT, true, "hi", &[])).await;
    assert_eq!(got.end.outcome, Outcome::TooLarge);
    assert!(got.text.len() <= limits::RESPONSE_BYTES + 1000);
}

#[tokio::test]
async fn one_sandbox_has_so_many_calls_and_another_is_not_held_up() {
    let mut world = World::new(ProviderKind::Openai).await;
    let body = request(CHAT, true, "@slow 1000", &[]).to_string();
    let mut open = Vec::new();
    for _ in 0..limits::CALLS_PER_SANDBOX {
        open.push(world.send(CHAT.path(), body.clone()).await);
    }
    let (status, error) = world.refused(CHAT.path(), body.clone()).await;
    assert_eq!(
        (status, &error["error"]["code"]),
        (StatusCode::BAD_REQUEST, &json!("busy"))
    );
    let own = world.caller.sandbox;
    world.caller.sandbox = creel_domain::SandboxId::from_uuid(uuid::Uuid::from_u128(2));
    assert_eq!(
        world.send(CHAT.path(), body.clone()).await.status(),
        StatusCode::OK
    );
    world.caller.sandbox = own;
    drop(open.pop());
    assert_eq!(world.send(CHAT.path(), body).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_hostile_body_that_never_ends_is_left() {
    let mut waits = waits();
    waits.request = Duration::from_millis(100);
    let world = World::with(ProviderKind::Openai, waits, false).await;
    let never = http_body_util::StreamBody::new(futures_util::stream::pending::<
        Result<http_body::Frame<bytes::Bytes>, std::convert::Infallible>,
    >());
    let request = Request::post(CHAT.path()).body(never).expect("a request");
    let answer = world.models.serve(world.caller.clone(), request).await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    let body = answer.into_body().collect().await.expect("infallible").to_bytes();
    assert!(String::from_utf8_lossy(&body).contains("not sent in time"));
}
