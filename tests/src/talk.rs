//! Talking to an agent, and what comes of it.

use creel_api::{ChatRequest, Exec, ExecResult, Message, Turn, client::TurnStream};
use creel_domain::TurnEvent;
use futures_util::{StreamExt as _, TryStreamExt as _};

use crate::{DEADLINE, Platform};

/// A turn as it was streamed.
#[derive(Debug)]
pub struct Heard {
    pub events: Vec<TurnEvent>,
}

impl Heard {
    /// Collects the rest of a turn.
    pub async fn of(stream: TurnStream) -> Self {
        let events = stream.map_ok(|numbered| numbered.event).try_collect();
        let events = tokio::time::timeout(DEADLINE, events)
            .await
            .expect("the turn ends in time")
            .expect("the stream holds");
        Self { events }
    }

    /// The pieces put together.
    pub fn text(&self) -> String {
        let pieces = self.events.iter().filter_map(|event| match event {
            TurnEvent::Text { delta } => Some(delta.as_str()),
            _ => None,
        });
        pieces.collect()
    }

    /// The answer as it ended, if it did well.
    pub fn done(&self) -> Option<&str> {
        match self.events.last() {
            Some(TurnEvent::Done { text }) => Some(text),
            _ => None,
        }
    }
}

fn request(message: &str) -> ChatRequest {
    ChatRequest {
        message: message.to_owned(),
        session: creel_domain::SessionName::default(),
    }
}

impl Platform {
    /// Says it and gives the turn as it goes on.
    pub async fn begin(&self, agent: &str, message: &str) -> TurnStream {
        self.client()
            .chat(agent, &request(message))
            .await
            .unwrap_or_else(|error| panic!("{error}\n{}", self.logs()))
    }

    /// Says it and gives all that was streamed.
    pub async fn hear(&self, agent: &str, message: &str) -> Heard {
        Heard::of(self.begin(agent, message).await).await
    }

    /// Says it and gives the turn when it has ended.
    pub async fn say(&self, agent: &str, message: &str) -> Turn {
        self.client()
            .chat_to_end(agent, &request(message))
            .await
            .unwrap_or_else(|error| panic!("{error}\n{}", self.logs()))
    }

    /// The session `main`, oldest first.
    pub async fn history(&self, agent: &str) -> Vec<Message> {
        self.client()
            .messages(agent, "main", None)
            .await
            .expect("a history")
            .items
    }

    /// Runs a shell command in the agent's workspace.
    pub async fn shell(&self, agent: &str, command: &str) -> ExecResult {
        let exec = Exec {
            argv: ["sh", "-c", command].map(str::to_owned).to_vec(),
            cwd: None,
            env: std::collections::BTreeMap::new(),
            stdin: None,
            timeout_ms: None,
        };
        self.client()
            .exec(agent, &exec)
            .await
            .unwrap_or_else(|error| panic!("{error}\n{}", self.logs()))
    }

    /// A file of the agent as text.
    pub async fn file(&self, agent: &str, path: &str) -> Result<String, creel_api::client::Error> {
        let (_, mut content) = self.client().read_file(agent, path).await?;
        let mut bytes = Vec::new();
        while let Some(chunk) = content.next().await {
            bytes.extend_from_slice(&chunk?);
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}
