//! What a fake bridge does when it is given a turn.

use std::sync::Arc;

use creel_domain::TurnEvent;
use creel_protocol::TurnRequest;
use tokio::sync::watch;

/// One thing a scripted turn does.
#[derive(Debug, Clone)]
pub enum Act {
    /// Says this, with the next number.
    Say(TurnEvent),
    /// Says this with a number of the test's choice: what a hostile bridge would do.
    SayNumbered(u64, TurnEvent),
    /// Every reader's connection breaks; the turn goes on.
    Break,
    /// Every reader gets something that makes no sense.
    Garbage,
    /// Every reader's stream ends as if the turn had.
    HangUp,
    /// Goes on when the test opens the gate; never, if it does not.
    Wait(Gate),
}

impl Act {
    pub fn text(delta: &str) -> Self {
        Self::Say(TurnEvent::Text {
            delta: delta.to_owned(),
        })
    }

    pub fn done(text: &str) -> Self {
        Self::Say(TurnEvent::Done {
            text: text.to_owned(),
        })
    }

    pub fn started() -> Self {
        Self::Say(TurnEvent::Started)
    }
}

/// What to do for a request.
pub type Script = Arc<dyn Fn(&TurnRequest) -> Vec<Act> + Send + Sync>;

/// Answers every message with `You said: MESSAGE`, in two pieces.
pub fn echo() -> Script {
    Arc::new(|request| {
        let text = format!("You said: {}", request.message);
        let (first, second) = text.split_at("You said: ".len());
        vec![
            Act::started(),
            Act::text(first),
            Act::text(second),
            Act::done(&text),
        ]
    })
}

/// Closed until the test opens it; then open for ever.
#[derive(Debug, Clone)]
pub struct Gate(watch::Sender<bool>);

impl Default for Gate {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Gate {
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    pub async fn passed(&self) {
        // The sender lives as long as `self`.
        let _ = self.0.subscribe().wait_for(|open| *open).await;
    }
}
