//! The real OpenClaw.
use crate::{
    logs::Logs,
    paths::Paths,
    processes::Processes,
    refusal::Refusal,
    runtime::{Assignment, Runtime, failure},
};
use creel_domain::{RuntimeHealth, RuntimeState, SessionName, TurnEvent};
use creel_protocol::{HistoryEntry, SessionSummary};
use futures_util::{FutureExt as _, future::BoxFuture};
pub(crate) struct Openclaw;
impl Openclaw {
    pub(crate) fn start(_: Paths, _: Processes, _: Logs) -> Self {
        Self
    }
}
impl Runtime for Openclaw {
    fn turn(&self, _: Assignment) -> BoxFuture<'static, TurnEvent> {
        async { failure::not_ready("no") }.boxed()
    }
    fn sessions(&self) -> BoxFuture<'_, Result<Vec<SessionSummary>, Refusal>> {
        async { Ok(vec![]) }.boxed()
    }
    fn history(&self, _: SessionName, _: usize) -> BoxFuture<'_, Result<Vec<HistoryEntry>, Refusal>> {
        async { Ok(vec![]) }.boxed()
    }
    fn health(&self) -> BoxFuture<'_, RuntimeHealth> {
        async {
            RuntimeHealth {
                state: RuntimeState::Starting,
                detail: String::new(),
                restarts: 0,
            }
        }
        .boxed()
    }
    fn shutdown(&self) -> BoxFuture<'_, ()> {
        async {}.boxed()
    }
}
