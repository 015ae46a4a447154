//! One turn: sent with its id as OpenClaw's idempotency key, its events told in our words, through the
//! gateway's deaths.

use std::{collections::HashSet, time::Duration};

use creel_domain::{SessionName, TurnEvent, TurnId};
use creel_protocol::HistoryEntry;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    Shared,
    link::{Link, Trouble},
    past::{entries, text_of},
};
use crate::runtime::{Assignment, failure};

pub(super) const SESSION_PREFIX: &str = "agent:main:";
/// The gateway's deaths in the middle of a turn, after which the turn fails.
const LIVES: u32 = 3;
/// So often a turn is tried again that could not begin for a reason that passes.
const ATTEMPTS: u128 = 4;
const ATTEMPT_PAUSE: Duration = Duration::from_secs(1);
/// While it says that it is busy, for example with taking up what a crash interrupted.
const SEND_TIMEOUT: Duration = Duration::from_secs(90);
const SEND_PAUSE: Duration = Duration::from_millis(500);
/// Silence after which a message that OpenClaw had already is taken for answered.
const QUIET: Duration = Duration::from_secs(20);

pub(super) fn session_key(session: &SessionName) -> String {
    format!("{SESSION_PREFIX}{session}")
}

/// How following a turn ended.
enum Came {
    /// The turn is over.
    Last(TurnEvent),
    /// The gateway ended first.
    Died,
    /// OpenClaw could not begin for a reason that passes; what it would be told as otherwise.
    Busy(TurnEvent),
}

pub(super) async fn run(shared: &Shared, turn: &Assignment) -> TurnEvent {
    let mut heard = Heard::default();
    let (mut deaths, mut attempt) = (0, 0);
    loop {
        let link = tokio::select! {
            link = shared.ready() => link,
            () = turn.cancel.cancelled() => return TurnEvent::Cancelled,
        };
        let Some(link) = link else {
            return failure::not_ready("OpenClaw did not become ready within two minutes. Try again later.");
        };
        if (deaths, attempt) == (0, 0) {
            turn.tell(TurnEvent::Started).await;
        }
        let came = follow(&link, turn, attempt, &mut heard, deaths > 0).await;
        if turn.cancel.is_cancelled() {
            return TurnEvent::Cancelled;
        }
        match came {
            Came::Last(event) => return event,
            Came::Busy(event) if attempt == ATTEMPTS => return event,
            Came::Busy(_) => {
                attempt += 1;
                shared
                    .logs
                    .bridge("OpenClaw's state was in use; the turn is tried again".to_owned());
                tokio::select! {
                    () = tokio::time::sleep(ATTEMPT_PAUSE) => {}
                    () = turn.cancel.cancelled() => return TurnEvent::Cancelled,
                }
            }
            Came::Died => {
                deaths += 1;
                if deaths == LIVES {
                    break;
                }
                shared.logs.bridge(
                    "OpenClaw ended in the middle of a turn; the turn goes on when it is back".to_owned(),
                );
                heard.begin_anew();
            }
        }
    }
    failure::crashed(
        "OpenClaw ended again and again in the middle of the turn. Look at the agent's logs, or give it more \
         memory; then send the message again.",
    )
}

/// A message's key: the turn's id, so that it is not taken twice. OpenClaw answers a key that failed with that
/// failure for ever, so each further attempt has a key of its own.
fn message_key(turn: TurnId, attempt: u128) -> String {
    uuid::Uuid::from_u128(turn.uuid().as_u128() ^ attempt).to_string()
}

/// The turn in one life of the gateway.
///
/// Sent again with the same key after a crash, a message is not taken twice: OpenClaw goes on with what it
/// has of it, in a run with an id of its own.
async fn follow(link: &Link, turn: &Assignment, attempt: u128, heard: &mut Heard, again: bool) -> Came {
    let session = session_key(&turn.request.session);
    let id = message_key(turn.id, attempt);
    let mut listener = link.listen(session.clone());
    // Whether a run with another id may be the turn's.
    let mut adopts = match send(link, turn, &session, &id).await {
        Ok(answer) => again || answer["status"] != "started",
        Err(Trouble::Lost) => return Came::Died,
        Err(trouble) => {
            let event = failure::model(format!("OpenClaw did not take the message: {trouble}"));
            return match trouble {
                Trouble::Refused(reason) if passes(&reason) => Came::Busy(event),
                _ => Came::Last(event),
            };
        }
    };
    let (mut under_way, mut foreign) = (HashSet::new(), HashSet::new());
    let mut aborting = false;
    loop {
        let told = tokio::select! {
            told = listener.next() => match told {
                Some(told) => told,
                None => return Came::Died,
            },
            () = turn.cancel.cancelled(), if !aborting => {
                aborting = true;
                under_way.insert(id.clone());
                for run in &under_way {
                    link.abort(&session, run).await;
                }
                continue;
            }
            () = tokio::time::sleep(QUIET), if adopts && under_way.is_empty() => {
                return Came::Last(answered_already(link, &session, turn).await);
            }
        };
        if told.run != id && !adopts {
            if !told.is_last() && foreign.insert(told.run.clone()) && !link.is_visited() {
                link.abort(&session, &told.run).await;
            }
            continue;
        }
        if foreign.contains(&told.run) {
            continue;
        }
        if !told.is_last() {
            under_way.insert(told.run.clone());
        } else {
            under_way.remove(&told.run);
            // Taken in by a run that was there already, or waiting behind it: its answer comes from there.
            if told.run == id && heard.nothing() && says_nothing(&told.payload) {
                adopts = true;
                continue;
            }
        }
        let passes = told.payload["errorMessage"].as_str().is_some_and(passes) && heard.nothing();
        for event in heard.take(&told.event, &told.payload) {
            if event.is_last() {
                return if passes {
                    Came::Busy(event)
                } else {
                    Came::Last(event)
                };
            }
            turn.tell(event).await;
        }
    }
}

async fn send(link: &Link, turn: &Assignment, session: &str, id: &str) -> Result<Value, Trouble> {
    let message = json!({
        "sessionKey": session, "message": turn.request.message, "idempotencyKey": id, "queueMode": "interrupt",
    });
    let deadline = Instant::now() + SEND_TIMEOUT;
    loop {
        match link.request("chat.send", message.clone()).await {
            Err(Trouble::Later(_)) if Instant::now() < deadline && !turn.cancel.is_cancelled() => {
                tokio::time::sleep(SEND_PAUSE).await;
            }
            answer => return answer,
        }
    }
}

/// What became of a message that OpenClaw had taken before, and is not working on.
async fn answered_already(link: &Link, session: &str, turn: &Assignment) -> TurnEvent {
    let asked = json!({"sessionKey": session, "limit": 50});
    let history = link.request("chat.history", asked).await.unwrap_or_default();
    match answer_to(&turn.request.message, made_at(turn.id), &entries(&history)) {
        Some(text) => TurnEvent::Done { text },
        None => failure::crashed("OpenClaw lost the turn when it ended. Send the message again."),
    }
}

/// A turn's id begins with the time at which it was made.
pub(super) fn made_at(turn: TurnId) -> Timestamp {
    let millis = turn.uuid().as_u128() >> 80;
    i64::try_from(millis)
        .ok()
        .and_then(|millis| Timestamp::from_millisecond(millis).ok())
        .unwrap_or_default()
}

/// The answer to a message that was taken since then, if that is the newest. OpenClaw puts the time before
/// a message.
fn answer_to(message: &str, since: Timestamp, history: &[HistoryEntry]) -> Option<String> {
    let asked = history.iter().rposition(|entry| {
        matches!(entry, HistoryEntry::User { text, at: Some(at) }
            if *at >= since && text.trim_end().ends_with(message.trim()))
    })?;
    match &history[asked + 1..] {
        [.., HistoryEntry::Agent { text, .. }] => Some(text.clone()),
        _ => None,
    }
}

/// Whether OpenClaw failed because a process of its own held its state for longer than it waits: on a busy host the
/// one that it starts after a crash does.
fn passes(reason: &str) -> bool {
    [
        "StateDatabaseCoordinatorContentionError",
        "another OpenClaw process owns",
        "SQLITE_BUSY",
        "database is locked",
    ]
    .iter()
    .any(|sign| reason.contains(sign))
}

fn says_nothing(payload: &Value) -> bool {
    payload["state"] == "final" && text_of(&payload["message"]["content"]).is_empty()
}

/// What has been told of the run.
#[derive(Default)]
struct Heard {
    text: String,
    /// The next piece of text begins a paragraph.
    gap: bool,
    /// A tool was used in this life.
    worked: bool,
}

impl Heard {
    fn nothing(&self) -> bool {
        self.text.is_empty() && !self.worked
    }

    /// The run begins again in another life: what it says from now on is the answer.
    fn begin_anew(&mut self) {
        self.gap |= !self.text.is_empty();
        self.text.clear();
        self.worked = false;
    }

    fn take(&mut self, event: &str, payload: &Value) -> Vec<TurnEvent> {
        match (event, payload["state"].as_str().or(payload["stream"].as_str())) {
            ("chat", Some("delta")) => self.delta(payload),
            ("chat", Some("final")) => {
                let text = text_of(&payload["message"]["content"]);
                let text = if text.is_empty() {
                    std::mem::take(&mut self.text)
                } else {
                    text
                };
                vec![TurnEvent::Done { text }]
            }
            ("chat", Some("error")) => {
                let reason = payload["errorMessage"].as_str().unwrap_or("it gave no reason");
                vec![failure::model(format!(
                    "OpenClaw failed: {}",
                    reason.chars().take(500).collect::<String>()
                ))]
            }
            ("chat", Some("aborted")) => vec![failure::crashed(
                "OpenClaw gave the turn up. Send the message again.",
            )],
            ("agent", Some("tool")) => self.tool(&payload["data"]),
            _ => Vec::new(),
        }
    }

    fn delta(&mut self, payload: &Value) -> Vec<TurnEvent> {
        let Some(delta) = payload["deltaText"].as_str().filter(|delta| !delta.is_empty()) else {
            return Vec::new();
        };
        let gap = if std::mem::take(&mut self.gap) { "\n\n" } else { "" };
        if !self.text.is_empty() {
            self.text.push_str(gap);
        }
        self.text.push_str(delta);
        vec![TurnEvent::Text {
            delta: format!("{gap}{delta}"),
        }]
    }

    fn tool(&mut self, data: &Value) -> Vec<TurnEvent> {
        self.worked = true;
        let tool_id = data["toolCallId"].as_str().unwrap_or_default().to_owned();
        match data["phase"].as_str() {
            Some("start") => vec![TurnEvent::ToolStarted {
                tool_id,
                name: data["name"].as_str().unwrap_or_default().to_owned(),
                arguments: data["args"].to_string(),
            }],
            Some("result") => {
                self.gap = !self.text.is_empty();
                let result = &data["result"];
                let text = text_of(&result["content"]);
                let output = if text.is_empty() { result.to_string() } else { text };
                vec![TurnEvent::ToolFinished {
                    tool_id,
                    ok: data["isError"] != true,
                    output,
                }]
            }
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_answer_to_this_message_counts() {
        let at = |second| Timestamp::from_second(second).ok();
        let user = |second, text: &str| HistoryEntry::User {
            text: text.to_owned(),
            at: at(second),
        };
        let agent = |text: &str| HistoryEntry::Agent {
            text: text.to_owned(),
            tools: Vec::new(),
            at: None,
        };
        let since = |second| at(second).expect("a time");
        let before = [user(10, "[Sat 2026-11-21 08:15 UTC] hi"), agent("Hello.")];
        assert_eq!(answer_to("hi", since(9), &before), Some("Hello.".to_owned()));
        assert_eq!(answer_to("and now?", since(9), &before), None, "it never arrived");
        assert_eq!(
            answer_to("hi", since(11), &before),
            None,
            "said twice, arrived once"
        );
        let waiting = [user(10, "hi"), agent("Hello."), user(12, "and now?")];
        assert_eq!(
            answer_to("and now?", since(11), &waiting),
            None,
            "nobody answered it"
        );
        let resumed = [
            user(12, "and now?"),
            user(13, "[System] You were interrupted."),
            agent("Now."),
        ];
        assert_eq!(
            answer_to("and now?", since(11), &resumed),
            Some("Now.".to_owned())
        );
    }

    #[test]
    fn a_turns_id_tells_when_it_was_made() {
        let turn = TurnId::from_uuid(uuid::Uuid::from_u128(1_795_248_279_930 << 80));
        assert_eq!(made_at(turn).as_millisecond(), 1_795_248_279_930);
    }

    #[test]
    fn a_run_in_our_words() {
        let mut heard = Heard::default();
        let mut told = Vec::new();
        for (event, payload) in [
            (
                "agent",
                json!({"stream": "lifecycle", "data": {"phase": "start"}}),
            ),
            ("chat", json!({"state": "delta", "deltaText": "Let me look."})),
            (
                "agent",
                json!({"stream": "tool", "data": {"phase": "start", "name": "exec", "toolCallId": "c1", "args": {"command": "ls"}}}),
            ),
            (
                "agent",
                json!({"stream": "tool", "data": {"phase": "result", "toolCallId": "c1", "isError": false,
                "result": {"content": [{"type": "text", "text": "a.txt"}]}}}),
            ),
            ("chat", json!({"state": "delta", "deltaText": "One file."})),
            (
                "chat",
                json!({"state": "final", "message": {"content": [{"type": "text", "text": "One file."}]}}),
            ),
        ] {
            told.extend(heard.take(event, &payload));
        }
        assert_eq!(
            told,
            [
                TurnEvent::Text {
                    delta: "Let me look.".into()
                },
                TurnEvent::ToolStarted {
                    tool_id: "c1".into(),
                    name: "exec".into(),
                    arguments: "{\"command\":\"ls\"}".into()
                },
                TurnEvent::ToolFinished {
                    tool_id: "c1".into(),
                    ok: true,
                    output: "a.txt".into()
                },
                TurnEvent::Text {
                    delta: "\n\nOne file.".into()
                },
                TurnEvent::Done {
                    text: "One file.".into()
                },
            ]
        );
    }
}
