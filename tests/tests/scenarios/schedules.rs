//! Schedules over real sandboxes: what the clock says reaches agents that sleep, once, whatever dies.

use std::time::Duration;

use creel_api::{CreateSchedule, PatchAgent, Role, RunState, ScheduleRun, Turn, TurnState};
use creel_domain::{AgentState, Autostop, Depth, Intent, Runtime, When};
use creel_testkit::rounds;
use creel_tests::{Part, Platform};
use jiff::{SignedDuration, Timestamp};

/// Tells it to sleep, and waits until it does.
async fn asleep(platform: &Platform, name: &str, autostop: Autostop) -> Depth {
    let client = platform.client();
    let agent = client.agent(name).await.expect("it is there");
    let rest = creel_api::RestPatch {
        autostop: Some(autostop),
        ..Default::default()
    };
    let patch = PatchAgent {
        intent: Some(Intent::Sleep),
        rest: Some(rest),
        ..PatchAgent::default()
    };
    client
        .patch_agent(name, agent.revision, &patch)
        .await
        .expect("told to sleep");
    let depth = platform
        .until("it sleeps", async || {
            match client.agent(name).await.expect("it is there").status {
                AgentState::Asleep { depth, .. } => Some(depth),
                _ => None,
            }
        })
        .await;
    depth.unwrap_or_else(|| panic!("it does not sleep\n{}", platform.logs()))
}

async fn once(platform: &Platform, agent: &str, name: &str, at: Timestamp, message: &str) {
    let create = CreateSchedule {
        name: name.parse().expect("a name"),
        when: When::At { at },
        message: message.to_owned(),
        session: None,
        enabled: None,
        missed: None,
        overlap: None,
    };
    let made = platform
        .client()
        .create_schedule(agent, &create, &format!("{agent}-{name}"))
        .await;
    made.unwrap_or_else(|error| panic!("{error}\n{}", platform.logs()));
}

/// Its runs, when the first of them is over.
async fn runs(platform: &Platform, agent: &str, name: &str) -> Vec<ScheduleRun> {
    let over = platform
        .until("it has run", async || {
            // While a control is being replaced nobody answers.
            let page = platform
                .client()
                .schedule_runs(agent, name, 50, None)
                .await
                .ok()?;
            let over = page.items.iter().all(|run| run.state != RunState::Running);
            (!page.items.is_empty() && over).then_some(page.items)
        })
        .await;
    over.unwrap_or_else(|| panic!("`{name}` has not run\n{}", platform.logs()))
}

/// Plans a job with OpenClaw's own command, as the agent itself may: with what its gateway knows.
const ADD: &str = r#"
import glob, os, sys
for path in glob.glob("/proc/[0-9]*/environ"):
    try:
        env = dict(pair.split("=", 1) for pair in open(path).read().split(chr(0)) if "=" in pair)
    except OSError:
        continue
    if "OPENCLAW_GATEWAY_PASSWORD" in env:
        entry = "/opt/openclaw/node_modules/openclaw/dist/index.js"
        os.execve("/opt/node/bin/node", ["node", entry, "cron", "add", "--name", "remember", "--at", sys.argv[1],
            "--session", "isolated", "--message", "sesame", "--no-deliver"], env)
sys.exit("there is no gateway")
"#;

fn in_seconds(seconds: i64) -> Timestamp {
    Timestamp::now() + SignedDuration::from_secs(seconds)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_wakes_what_is_frozen_and_what_is_on_disk() {
    let Some(platform) = Platform::start().await else {
        return;
    };
    for (name, autostop, expected) in [
        ("frozen", Autostop::Suspend, Depth::Frozen),
        ("stopped", Autostop::Stop, Depth::OnDisk),
    ] {
        platform.agent(name, Runtime::Lite).await;
        assert_eq!(asleep(&platform, name, autostop).await, expected);
        once(
            &platform,
            name,
            "report",
            in_seconds(2),
            "@write report.txt by the clock",
        )
        .await;
    }
    for name in ["frozen", "stopped"] {
        let runs = runs(&platform, name, "report").await;
        assert_eq!(
            (runs.len(), runs[0].state),
            (1, RunState::Done),
            "{runs:?}\n{}",
            platform.logs()
        );
        assert_eq!(
            platform.file(name, "report.txt").await.expect("a file"),
            "by the clock"
        );
        let said = platform
            .client()
            .messages(name, "report", None)
            .await
            .expect("a history");
        assert_eq!(said.items.len(), 2, "{said:?}");
    }
    platform.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_control_that_is_killed_around_a_planned_time_runs_it_once() {
    let Some(platform) = Platform::start().await else {
        return;
    };
    platform.agent("scout", Runtime::Lite).await;
    for round in 0..rounds(5, 200) {
        asleep(&platform, "scout", Autostop::Suspend).await;
        let name = format!("r{round}");
        let at = in_seconds(2);
        once(&platform, "scout", &name, at, &format!("hello {round}")).await;
        // From just before to just after, in an order that is the same each time.
        let offset = SignedDuration::from_millis((round as i64 * 13) % 60 - 10);
        let wait = (at + offset).duration_since(Timestamp::now());
        tokio::time::sleep(Duration::try_from(wait).unwrap_or_default()).await;
        platform.kill(Part::Control).await;
        let runs = runs(&platform, "scout", &name).await;
        let seen = (
            runs.len(),
            runs[0].state,
            runs[0].planned_at.map(|at| at.as_millisecond()),
        );
        assert_eq!(
            seen,
            (1, RunState::Done, Some(at.as_millisecond())),
            "round {round}: {runs:?}\n{}",
            platform.logs()
        );
        let said = platform
            .client()
            .messages("scout", &name, None)
            .await
            .expect("a history");
        let asked = said.items.iter().filter(|message| message.role == Role::User);
        assert_eq!(asked.count(), 1, "round {round}: {said:?}");
    }
    platform.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn openclaws_own_job_runs_although_it_is_frozen() {
    let Some(platform) = Platform::start().await else {
        return;
    };
    platform.agent("scout", Runtime::Openclaw).await;
    let at = in_seconds(30);
    let added = platform.shell("scout", &format!("python3 -c '{ADD}' {at}")).await;
    assert_eq!(added.exit_status, 0, "{added:?}\n{}", platform.logs());
    assert_eq!(asleep(&platform, "scout", Autostop::Suspend).await, Depth::Frozen);
    let agent = platform.client().agent("scout").await.expect("it is there");
    let told = agent.runtime_wake_at.map(|at| at.as_second());
    assert_eq!(told, Some(at.as_second()), "{added:?}");

    let done = platform
        .until("its job is through", async || {
            let page = platform
                .client()
                .turns(TurnState::Done, Some("scout"), None)
                .await
                .ok()?;
            page.items
                .into_iter()
                .find(|turn: &Turn| turn.session.as_str() == "own-jobs")
        })
        .await;
    let done = done.unwrap_or_else(|| panic!("its job has not run\n{}", platform.logs()));
    assert!(
        done.text.starts_with("remember: ") && done.text.contains("sesame"),
        "{done:?}"
    );
    let early = at.duration_since(done.created_at);
    assert!(
        early <= SignedDuration::from_secs(3) && !early.is_negative(),
        "begun {early:?} before its time"
    );
    let agent = platform.client().agent("scout").await.expect("it is there");
    assert_eq!(agent.runtime_wake_at, None);
    platform.end();
}
