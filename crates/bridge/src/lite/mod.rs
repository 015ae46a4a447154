//! `lite`: our own small runtime. A loop of model calls and tools, with the session's memory on disk.
//!
//! ```text
//! message ─▶ model ─▶ answer
//!             ▲  └─▶ tools ─┐
//!             └─────────────┘   bounded in calls, time and repetition
//! ```

mod memory;
mod model;
mod tools;

use std::{sync::Arc, time::Duration};

use creel_domain::{RuntimeHealth, RuntimeState, SessionName, TurnEvent};
use creel_protocol::{HistoryEntry, SessionSummary};
use futures_util::{FutureExt as _, future::BoxFuture};
use jiff::Timestamp;
use serde_json::{Value, json};

use self::{
    memory::{Memory, Remembered, UsedTool},
    model::{Model, Said},
    tools::Tools,
};
use crate::{
    paths::Paths,
    processes::Processes,
    refusal::Refusal,
    runtime::{Assignment, Runtime, failure},
};

/// Model calls in one turn.
const MODEL_CALLS: usize = 25;
/// The whole turn.
const TURN_TIMEOUT: Duration = Duration::from_secs(600);
/// The same tool with the same arguments, in a row.
const REPEATS: usize = 4;
/// Of each of the agent's files that is read into the system prompt.
const FILE_BYTES: usize = 64 * 1024;

const INTRODUCTION: &str = "You are an agent with a computer of your own. Its workspace is your working directory \
and is kept between conversations. Use the tools to act on it; say briefly what you did.";

#[derive(Clone)]
pub(crate) struct Lite {
    inner: Arc<Inner>,
}

struct Inner {
    paths: Paths,
    memory: Memory,
    model: Model,
    tools: Tools,
}

impl Lite {
    pub(crate) fn new(paths: Paths, processes: Processes) -> Self {
        let inner = Inner {
            memory: Memory::new(paths.bridge_state.join("sessions")),
            model: Model::new(paths.uplink_socket.clone()),
            tools: Tools::new(paths.clone(), processes),
            paths,
        };
        Self {
            inner: Arc::new(inner),
        }
    }
}

impl Runtime for Lite {
    fn turn(&self, turn: Assignment) -> BoxFuture<'static, TurnEvent> {
        let inner = Arc::clone(&self.inner);
        async move {
            let cancel = turn.cancel.clone();
            if turn.request.own_jobs {
                // It plans none.
                return TurnEvent::Done { text: String::new() };
            }
            tokio::select! {
                biased;
                () = cancel.cancelled() => TurnEvent::Cancelled,
                last = inner.run(&turn) => last,
                () = tokio::time::sleep(TURN_TIMEOUT) => {
                    failure::too_long("The turn was ended after ten minutes. Ask for less at a time.")
                }
            }
        }
        .boxed()
    }

    fn sessions(&self) -> BoxFuture<'_, Result<Vec<SessionSummary>, Refusal>> {
        async {
            self.inner
                .memory
                .sessions()
                .map_err(|error| Refusal::failed(error.to_string()))
        }
        .boxed()
    }

    fn history(
        &self,
        session: SessionName,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<HistoryEntry>, Refusal>> {
        async move {
            let turns = self
                .inner
                .memory
                .load(&session)
                .map_err(|error| Refusal::failed(error.to_string()))?;
            let mut entries: Vec<_> = turns.iter().flat_map(Remembered::entries).collect();
            entries.drain(..entries.len().saturating_sub(limit));
            Ok(entries)
        }
        .boxed()
    }

    fn health(&self) -> BoxFuture<'_, RuntimeHealth> {
        // The loop lives in this process: whoever is answered here is answered there.
        async {
            RuntimeHealth {
                state: RuntimeState::Ready,
                detail: String::new(),
                restarts: 0,
                own_jobs: None,
            }
        }
        .boxed()
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        async {}.boxed()
    }
}

impl Inner {
    async fn run(&self, turn: &Assignment) -> TurnEvent {
        turn.tell(TurnEvent::Started).await;
        let session = &turn.request.session;
        let remembered = match self.memory.load(session) {
            Ok(remembered) => remembered,
            Err(error) => return failure::volume(format!("The session could not be read: {error}")),
        };
        // Asked again after a crash that came after the end: the answer is on disk.
        if let Some(done) = remembered.iter().find(|done| done.turn == turn.id) {
            return TurnEvent::Done {
                text: done.text.clone(),
            };
        }
        let mut messages = vec![json!({"role": "system", "content": self.system_prompt()})];
        messages.extend(memory::recent(&remembered));
        let first = messages.len();
        messages.push(json!({"role": "user", "content": turn.request.message}));
        let (mut text, mut used, mut last_calls) = (String::new(), Vec::new(), Vec::new());
        for _ in 0..MODEL_CALLS {
            let said = match self.model.ask(&messages, &self.tools.schemas(), turn).await {
                Ok(said) => said,
                Err(sentence) => return failure::model(sentence),
            };
            if !text.is_empty() && !said.text.is_empty() {
                text.push_str("\n\n");
            }
            text.push_str(&said.text);
            messages.push(said.message());
            if said.calls.is_empty() {
                return self.end(turn, text, messages.split_off(first), used);
            }
            if let Some(end) = self
                .use_tools(turn, &said, &mut messages, &mut used, &mut last_calls)
                .await
            {
                return end;
            }
        }
        failure::too_long(format!(
            "The turn was ended after {MODEL_CALLS} model calls. Ask for less at a time."
        ))
    }

    async fn use_tools(
        &self,
        turn: &Assignment,
        said: &Said,
        messages: &mut Vec<Value>,
        used: &mut Vec<UsedTool>,
        last_calls: &mut Vec<String>,
    ) -> Option<TurnEvent> {
        for call in &said.calls {
            let same = format!("{} {}", call.name, call.arguments);
            last_calls.retain(|last| *last == same);
            last_calls.push(same);
            if last_calls.len() > REPEATS {
                let sentence = format!(
                    "The turn was ended because the model called `{}` again and again.",
                    call.name
                );
                return Some(failure::too_long(sentence));
            }
            turn.tell(TurnEvent::ToolStarted {
                tool_id: call.id.clone(),
                name: call.name.clone(),
                arguments: call.arguments.clone(),
            })
            .await;
            let (ok, output) = self.tools.call(&call.name, &call.arguments).await;
            turn.tell(TurnEvent::ToolFinished {
                tool_id: call.id.clone(),
                ok,
                output: output.clone(),
            })
            .await;
            messages.push(json!({"role": "tool", "tool_call_id": call.id, "content": output}));
            used.push(UsedTool {
                name: call.name.clone(),
                arguments: call.arguments.clone(),
                output,
            });
        }
        None
    }

    fn end(&self, turn: &Assignment, text: String, messages: Vec<Value>, tools: Vec<UsedTool>) -> TurnEvent {
        let remembered = Remembered {
            turn: turn.id,
            message: turn.request.message.clone(),
            text: text.clone(),
            tools,
            messages,
            at: Timestamp::now(),
        };
        match self.memory.append(&turn.request.session, &remembered) {
            Ok(()) => TurnEvent::Done { text },
            Err(error) => failure::volume(format!("The answer could not be remembered: {error}")),
        }
    }

    fn system_prompt(&self) -> String {
        let mut prompt = INTRODUCTION.to_owned();
        for name in ["SOUL.md", "IDENTITY.md", "USER.md"] {
            let path = self.paths.workspace.join(name);
            // A link could lead to a device that never ends.
            let plain = std::fs::symlink_metadata(&path).is_ok_and(|found| found.is_file());
            if plain && let Ok(bytes) = std::fs::read(&path) {
                let text = String::from_utf8_lossy(&bytes[..bytes.len().min(FILE_BYTES)]).into_owned();
                prompt.push_str(&format!("\n\n# {name}\n\n{text}"));
            }
        }
        prompt
    }
}
