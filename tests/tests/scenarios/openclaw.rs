//! OpenClaw's own ways, met through Creel.

use creel_api::TurnState;
use creel_domain::Runtime;
use creel_tests::Platform;

/// Holds every lock by which OpenClaw's processes take turns at its state, longer than they are patient.
const HOLD: &str = r#"
import glob, sqlite3, time
held = []
for path in glob.glob("/tmp/openclaw-state-locks-*/state-lifecycle.*.lock.sqlite"):
    lock = sqlite3.connect(path, isolation_level=None, timeout=30)
    lock.execute("BEGIN EXCLUSIVE")
    held.append(lock)
open("held.txt", "w").write(str(len(held)))
time.sleep(8)
"#;

#[tokio::test(flavor = "multi_thread")]
async fn openclaw_answers_although_its_state_was_held_for_a_while() {
    let Some(platform) = Platform::start().await else {
        return;
    };
    platform.agent("scout", Runtime::Openclaw).await;
    platform.say("scout", "hello").await;

    let hold = format!("python3 -c '{HOLD}'");
    let holder = platform.shell("scout", &hold);
    let turn = async {
        let held = platform.until("they are held", async || {
            platform.file("scout", "held.txt").await.ok()
        });
        assert_eq!(held.await.as_deref(), Some("1"));
        platform.say("scout", "@write kept.txt after all").await
    };
    let (_, turn) = tokio::join!(holder, turn);
    assert_eq!(turn.state, TurnState::Done, "{turn:?}\n{}", platform.logs());
    assert_eq!(
        platform.file("scout", "kept.txt").await.expect("a file"),
        "after all"
    );
    let history = platform.history("scout").await;
    assert_eq!(
        history.len(),
        4,
        "each message once, and its answer: {history:#?}"
    );
    platform.end();
}
