//! What the bridge needs of a runtime: take a turn, remember sessions, say how it is, stop.

use creel_domain::{RuntimeHealth, SessionName, TurnEvent, TurnFailure, TurnId};
use creel_protocol::{HistoryEntry, SessionSummary, TurnRequest};
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{refusal::Refusal, visitors::Visit};

pub(crate) trait Runtime: Send + Sync {
    /// Does the whole turn and gives its last event. Dropping the future ends the turn.
    fn turn(&self, turn: Assignment) -> BoxFuture<'static, TurnEvent>;

    fn sessions(&self) -> BoxFuture<'_, Result<Vec<SessionSummary>, Refusal>>;

    fn history(
        &self,
        session: SessionName,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<HistoryEntry>, Refusal>>;

    fn health(&self) -> BoxFuture<'_, RuntimeHealth>;

    /// Somebody outside connects to a port inside. Where that is the runtime's own page, what it does while they are
    /// there is theirs.
    fn visited(&self, port: u16) -> Option<Visit> {
        let _ = port;
        None
    }

    /// Ends what runs, in bounded time.
    fn shutdown(&self) -> BoxFuture<'_, ()>;
}

/// A turn handed to a runtime.
pub(crate) struct Assignment {
    pub(crate) id: TurnId,
    pub(crate) request: TurnRequest,
    /// Every event but the last goes here.
    pub(crate) events: mpsc::Sender<TurnEvent>,
    /// To be answered by [`TurnEvent::Cancelled`], soon.
    pub(crate) cancel: CancellationToken,
}

impl Assignment {
    /// Tells an event; nobody left to hear it is no reason to stop.
    pub(crate) async fn tell(&self, event: TurnEvent) {
        let _ = self.events.send(event).await;
    }
}

/// Ways a turn fails; each has its page in docs/errors.
pub(crate) mod failure {
    use super::{TurnEvent, TurnFailure};

    fn failed(code: &str, message: impl Into<String>) -> TurnEvent {
        TurnEvent::Failed(TurnFailure {
            code: code.to_owned(),
            message: message.into(),
        })
    }

    /// The model, or the way to it.
    pub(crate) fn model(message: impl Into<String>) -> TurnEvent {
        failed("model_failed", message)
    }

    /// The runtime died under the turn.
    pub(crate) fn crashed(message: impl Into<String>) -> TurnEvent {
        failed("runtime_crashed", message)
    }

    /// A bound was reached.
    pub(crate) fn too_long(message: impl Into<String>) -> TurnEvent {
        failed("turn_too_long", message)
    }

    /// The runtime did not come up in time.
    pub(crate) fn not_ready(message: impl Into<String>) -> TurnEvent {
        failed("agent_not_ready", message)
    }

    /// The volume has no room for what must be remembered.
    pub(crate) fn volume(message: impl Into<String>) -> TurnEvent {
        failed("disk_full", message)
    }
}
