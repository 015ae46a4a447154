//! Bad input at every border of the real thing: callers, guests, providers. A clear error each; nothing lost.

use creel_api::{ErrorCode, TurnState, client::Error};
use creel_domain::Runtime;
use creel_tests::{KEY, Platform};
use reqwest::{Method, RequestBuilder};

fn raw(platform: &Platform, method: Method, path: &str) -> RequestBuilder {
    reqwest::Client::new()
        .request(method, format!("{}{path}", platform.client().url()))
        .bearer_auth(platform.token())
}

/// The error's code and sentence.
async fn refused(request: RequestBuilder) -> (String, String) {
    let response = request.send().await.expect("an answer");
    let kind = response.headers()["content-type"]
        .to_str()
        .expect("text")
        .to_owned();
    assert_eq!(kind, "application/problem+json", "{response:?}");
    let problem: serde_json::Value = response.json().await.expect("a problem");
    let field = |name: &str| problem[name].as_str().expect("a string").to_owned();
    (field("code"), field("detail"))
}

fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> ErrorCode {
    let error = result.expect_err("it is refused");
    error.code().unwrap_or_else(|| panic!("no problem: {error}"))
}

async fn callers(platform: &Platform) {
    let chat = "/v1/agents/scout/chat";
    let json = |path: &str, body: String| {
        raw(platform, Method::POST, path)
            .header("content-type", "application/json")
            .body(body)
    };
    for (body, expected) in [
        ("{".to_owned(), "invalid_json"),
        ("{\"message\": 7}".to_owned(), "invalid_request"),
        (
            "{\"message\": \"hi\", \"volume\": 11}".to_owned(),
            "invalid_request",
        ),
        ("{\"message\": \"\"}".to_owned(), "invalid_request"),
        (
            format!("{{\"message\": \"{}\"}}", "x".repeat(300 << 10)),
            "too_large",
        ),
        (
            format!("{{\"message\": \"{}\"}}", "x".repeat(9 << 20)),
            "too_large",
        ),
    ] {
        let what: String = body.chars().take(40).collect();
        let (code, detail) = refused(json(chat, body)).await;
        assert_eq!(code, expected, "{what}: {detail}");
        assert!(
            detail.len() > 20 && detail.contains(' '),
            "{what}: a sentence: {detail}"
        );
    }
    let (code, _) = refused(json("/v1/agents", "{\"name\": \"../up\"}".to_owned())).await;
    assert_eq!(code, "invalid_request");
    let stranger = reqwest::Client::new().get(format!("{}/v1/agents", platform.client().url()));
    assert_eq!(refused(stranger).await.0, "unauthenticated");
    assert!(
        platform.history("scout").await.is_empty(),
        "nothing of it was taken for a message"
    );
}

async fn paths(platform: &Platform) {
    for path in [
        "../../etc/passwd",
        "/etc/passwd",
        "/data/../etc/passwd",
        "a\0b",
        "/proc/1/environ",
        "",
    ] {
        let code = code(platform.file("scout", path).await);
        assert!(
            matches!(
                code,
                ErrorCode::PathOutside | ErrorCode::InvalidRequest | ErrorCode::IsADirectory
            ),
            "{path:?}: {code:?}"
        );
    }
    // Links that the guest made, to what is none of its caller's business.
    let made = platform
        .shell(
            "scout",
            "ln -s /etc/passwd out; ln -s / root; ln -s out out2; ln -s loop loop; mkfifo pipe; echo in > in; ln -s in link; echo ok",
        )
        .await;
    assert_eq!(made.stdout, "ok\n", "{made:?}");
    for path in ["out", "root/etc/passwd", "out2", "root/proc/self/environ"] {
        assert_eq!(
            code(platform.file("scout", path).await),
            ErrorCode::PathOutside,
            "{path}"
        );
    }
    for path in ["loop", "pipe"] {
        let code = code(platform.file("scout", path).await);
        assert!(
            matches!(
                code,
                ErrorCode::InvalidRequest | ErrorCode::PathOutside | ErrorCode::Conflict
            ),
            "{path}: {code:?}"
        );
    }
    let planted = raw(
        platform,
        Method::PUT,
        "/v1/agents/scout/files/content?path=root/tmp/planted",
    )
    .body("x");
    assert_eq!(refused(planted).await.0, "path_outside");
}

async fn providers(platform: &Platform) {
    for (message, state) in [
        ("@half", TurnState::Failed),
        ("@break", TurnState::Failed),
        ("@garbage", TurnState::Failed),
        ("@error", TurnState::Failed),
        ("@status 401", TurnState::Failed),
        ("@status 503", TurnState::Failed),
    ] {
        let turn = platform.say("scout", message).await;
        assert_eq!(turn.state, state, "{message}: {turn:?}");
        let failure = turn.failure.expect("why");
        assert_eq!(failure.code, "model_failed", "{message}: {failure:?}");
        assert!(
            failure.message.contains(' ') && !failure.message.contains(KEY),
            "{message}: {failure:?}"
        );
    }
    let turn = platform.say("scout", "and now?").await;
    assert!(turn.text.trim().ends_with("and now?"), "{turn:?}");
    // Each of them is in the books, none of them open.
    let usage = platform
        .client()
        .usage(&creel_api::client::UsageQuery::default())
        .await
        .expect("usage");
    let reported = platform.provider().reported();
    assert_eq!(usage.total.input_tokens, reported.input);
    assert_eq!(usage.total.output_tokens, reported.output);
    assert!(usage.total.calls_without_usage > 0, "{usage:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_named_and_does_no_harm_to_lite() {
    let Some(platform) = Platform::start().await else {
        return;
    };
    platform.agent("scout", Runtime::Lite).await;
    callers(&platform).await;
    paths(&platform).await;
    providers(&platform).await;
    platform.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_answers_of_a_provider_do_no_harm_to_openclaw() {
    let Some(platform) = Platform::start().await else {
        return;
    };
    platform.agent("scout", Runtime::Openclaw).await;
    providers(&platform).await;
    platform.end();
}
