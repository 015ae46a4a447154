//! Both sides hang up, fall silent and talk nonsense: the other is told, and the record says how it ended.

use std::time::{Duration, Instant};

use bytes::Bytes;
use creel_domain::ProviderKind;
use creel_models::{Api, CallEnd, Outcome};
use creel_testkit::Plan;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;

use crate::{
    client::{events, request},
    world::{World, short_waits, waits},
};

const KINDS: [ProviderKind; 4] = [
    ProviderKind::Openai,
    ProviderKind::OpenaiCompatible,
    ProviderKind::Anthropic,
    ProviderKind::Gemini,
];

/// The sentence of an error event, in the API's own shape.
fn error_of(api: Api, event: &Value) -> String {
    let (code, message) = match api {
        Api::ChatCompletions => (&event["error"]["code"], &event["error"]["message"]),
        Api::Responses => {
            assert_eq!(event["type"], "error");
            (&event["code"], &event["message"])
        }
        Api::Messages => {
            assert_eq!(event["type"], "error");
            (&event["error"]["code"], &event["error"]["message"])
        }
    };
    assert_eq!(code, "model_failed", "{event}");
    message.as_str().expect("a sentence").to_owned()
}

#[tokio::test]
async fn every_way_to_break_a_stream_ends_it_with_an_error_event() {
    for (plan, outcome, word) in [
        (Plan::Half, Outcome::CutOff, "hung up"),
        (Plan::Break, Outcome::CutOff, "hung up"),
        (Plan::Hang, Outcome::TimedOut, "fell silent"),
        (Plan::Garbage, Outcome::CutOff, "no sense"),
        (
            Plan::Error,
            Outcome::UpstreamError { status: 200 },
            "as you asked",
        ),
        (Plan::Big((1 << 20) + 10), Outcome::TooLarge, "larger"),
    ] {
        for api in Api::ALL {
            for kind in KINDS {
                // A hang before the first byte is another matter.
                if plan == Plan::Hang && kind == ProviderKind::Gemini {
                    continue;
                }
                let waits = if plan == Plan::Hang {
                    short_waits()
                } else {
                    waits()
                };
                let mut world = World::with(kind, waits, false).await;
                world.fake.next(plan.clone());
                let got = world.ask(api, &request(api, true, "hi", &[])).await;
                let case = format!(
                    "{plan:?}, {api} to {kind}: {}",
                    got.text.chars().take(500).collect::<String>()
                );
                assert_eq!(got.status, StatusCode::OK, "{case}");
                assert_eq!(
                    (got.end.outcome, got.end.usage, got.end.cost),
                    (outcome, None, None),
                    "{case}"
                );
                let last = events(&got.text).pop().expect("an event");
                assert!(error_of(api, &last).contains(word), "{case}");
            }
        }
    }
}

#[tokio::test]
async fn every_way_to_break_a_whole_answer_is_a_400() {
    for (plan, outcome) in [
        (Plan::Half, Outcome::CutOff),
        (Plan::Break, Outcome::CutOff),
        (Plan::Hang, Outcome::TimedOut),
        (Plan::Garbage, Outcome::CutOff),
    ] {
        for (api, kind) in [
            (Api::ChatCompletions, ProviderKind::Openai),
            (Api::Messages, ProviderKind::Anthropic),
            (Api::Messages, ProviderKind::Openai),
            (Api::ChatCompletions, ProviderKind::Anthropic),
        ] {
            let waits = if plan == Plan::Hang {
                short_waits()
            } else {
                waits()
            };
            let mut world = World::with(kind, waits, false).await;
            world.fake.next(plan.clone());
            let got = world.ask(api, &request(api, false, "hi", &[])).await;
            let case = format!("{plan:?}, {api} to {kind}: {}", got.text);
            assert_eq!(got.status, StatusCode::BAD_REQUEST, "{case}");
            let broken = matches!(got.end.outcome, Outcome::CutOff | Outcome::TimedOut);
            assert!(broken && got.end.usage.is_none(), "{case}");
            // Half a line of no JSON looks the same as nonsense.
            if outcome == Outcome::TimedOut {
                assert_eq!(got.end.outcome, outcome, "{case}");
            }
            assert!(got.text.contains("model_failed"), "{case}");
        }
    }
}

#[tokio::test]
async fn a_provider_that_never_begins_is_left_after_the_first_byte_wait() {
    let mut world = World::with(ProviderKind::Openai, short_waits(), false).await;
    world.fake.next(Plan::Mute);
    let got = world
        .ask(
            Api::ChatCompletions,
            &request(Api::ChatCompletions, true, "hi", &[]),
        )
        .await;
    assert_eq!(
        (got.status, got.end.outcome),
        (StatusCode::BAD_REQUEST, Outcome::TimedOut)
    );
    assert_eq!((got.end.attempts, got.end.first_byte), (1, None));
    world.fake_lost(1).await;
}

#[tokio::test]
async fn a_call_that_takes_too_long_as_a_whole_ends() {
    let mut waits = waits();
    waits.call = Duration::from_millis(400);
    let mut world = World::with(ProviderKind::Openai, waits, false).await;
    let began = Instant::now();
    let got = world
        .ask(
            Api::ChatCompletions,
            &request(Api::ChatCompletions, true, "@slow 1000", &[]),
        )
        .await;
    assert_eq!(got.end.outcome, Outcome::TimedOut);
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_provider_that_leaves_the_last_marks_out_has_still_answered() {
    for kind in [ProviderKind::Openai, ProviderKind::OpenaiCompatible] {
        for api in [Api::ChatCompletions, Api::Messages] {
            let mut world = World::new(kind).await;
            world.fake.next(Plan::Bare("enough".to_owned()));
            let got = world.ask(api, &request(api, true, "hi", &[])).await;
            assert_eq!(
                (got.end.outcome, got.end.usage),
                (Outcome::Completed, None),
                "{}",
                got.text
            );
            let answer = crate::client::read(api, true, &got.text);
            assert_eq!(answer.text, "enough");
        }
    }
}

async fn gone(world: &mut World, callers: usize) -> CallEnd {
    let end = world.next_end().await;
    assert_eq!((end.outcome, end.usage), (Outcome::ClientGone, None));
    world.fake_lost(callers).await;
    end
}

#[tokio::test]
async fn a_sandbox_that_hangs_up_takes_the_provider_with_it() {
    for (api, kind) in [
        (Api::ChatCompletions, ProviderKind::Openai),
        (Api::ChatCompletions, ProviderKind::Gemini),
        (Api::Messages, ProviderKind::OpenaiCompatible),
    ] {
        let mut world = World::new(kind).await;
        // In the middle of a stream.
        let body = request(api, true, "@slow 1000", &[]);
        let mut answer = world.send(api.path(), body.to_string()).await.into_body();
        answer.frame().await.expect("a first piece").expect("infallible");
        drop(answer);
        gone(&mut world, 1).await;
        // Before the first byte.
        world.fake.next(Plan::Mute);
        let waiting = world.send(api.path(), body.to_string());
        assert!(
            tokio::time::timeout(Duration::from_millis(100), waiting)
                .await
                .is_err()
        );
        let end = gone(&mut world, 2).await;
        assert_eq!(end.first_byte, None);
    }
}

#[tokio::test]
async fn a_sandbox_that_stops_reading_has_hung_up() {
    let mut waits = waits();
    waits.idle = Duration::from_millis(200);
    let mut world = World::with(ProviderKind::Openai, waits, false).await;
    world.fake.next(Plan::Say("word ".repeat(10_000), 0));
    let body = request(Api::ChatCompletions, true, "hi", &[]);
    let answer = world.send(Api::ChatCompletions.path(), body.to_string()).await;
    gone(&mut world, 1).await;
    drop(answer);
}

/// Through a real HTTP connection: its end must reach the call also before the answer has begun.
#[tokio::test]
async fn a_closed_connection_ends_the_call() {
    for plan in [Plan::Mute, Plan::Hang] {
        let mut world = World::new(ProviderKind::Openai).await;
        world.fake.next(plan);
        let (near, far) = tokio::io::duplex(64 * 1024);
        let (models, caller) = (world.models.clone(), world.caller.clone());
        let server = tokio::spawn(async move {
            let service = hyper::service::service_fn(move |request| {
                let (models, caller) = (models.clone(), caller.clone());
                async move { Ok::<_, std::convert::Infallible>(models.serve(caller, request).await) }
            });
            // An end in the middle is what is tested.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(far), service)
                .await;
        });
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(near))
            .await
            .expect("a connection");
        let connection = tokio::spawn(connection);
        let body = request(Api::ChatCompletions, true, "hi", &[]).to_string();
        let request = Request::post("/v1/chat/completions")
            .header("host", "models")
            .body(Full::<Bytes>::from(body))
            .expect("a request");
        let asked = tokio::spawn(async move { sender.send_request(request).await });
        while world.fake.heard().is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        connection.abort();
        gone(&mut world, 1).await;
        asked.abort();
        server.await.expect("the server ends with its connection");
    }
}

#[tokio::test]
async fn a_task_that_is_torn_down_leaves_no_call_open() {
    let mut world = World::new(ProviderKind::Openai).await;
    world.fake.next(Plan::Mute);
    let (models, caller) = (world.models.clone(), world.caller.clone());
    let task = tokio::spawn(async move {
        let body = request(Api::ChatCompletions, true, "hi", &[]).to_string();
        let request = Request::post("/v1/chat/completions")
            .body(Full::<Bytes>::from(body))
            .expect("a request");
        models.serve(caller, request).await
    });
    while world.fake.heard().is_empty() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    task.abort();
    gone(&mut world, 1).await;
}
