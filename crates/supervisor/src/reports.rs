//! What was last seen of each sandbox, and telling those who watch.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use creel_domain::{SandboxId, SandboxReport};
use creel_protocol::ReportStream;
use futures_util::{StreamExt as _, stream};
use tokio::sync::broadcast::{self, error::RecvError};

/// Reports that a slow watcher may lag behind; past that its stream ends and it looks again.
const BACKLOG: usize = 4096;

#[derive(Debug)]
pub(crate) struct Reports {
    last: Mutex<BTreeMap<SandboxId, SandboxReport>>,
    changes: broadcast::Sender<SandboxReport>,
}

impl Reports {
    pub(crate) fn new() -> Self {
        Self {
            last: Mutex::default(),
            changes: broadcast::Sender::new(BACKLOG),
        }
    }

    /// Tells it to those who watch, unless it is what they know.
    pub(crate) fn publish(&self, report: SandboxReport) {
        let mut last = self.last();
        if last.get(&report.sandbox) != Some(&report) {
            last.insert(report.sandbox, report.clone());
            // Sent under the lock, so that a new watcher misses none and sees none before its own beginning.
            let _ = self.changes.send(report);
        }
    }

    /// The sandbox is gone: its last report, and it is listed no more.
    pub(crate) fn close(&self, report: SandboxReport) {
        let mut last = self.last();
        last.remove(&report.sandbox);
        let _ = self.changes.send(report);
    }

    pub(crate) fn of(&self, sandbox: SandboxId) -> Option<SandboxReport> {
        self.last().get(&sandbox).cloned()
    }

    pub(crate) fn all(&self) -> Vec<SandboxReport> {
        self.last().values().cloned().collect()
    }

    /// All there are, then each change. Ends for a watcher that does not keep up.
    pub(crate) fn watch(&self) -> ReportStream {
        let last = self.last();
        let changes = self.changes.subscribe();
        let now: Vec<SandboxReport> = last.values().cloned().collect();
        drop(last);
        let later = stream::unfold(changes, |mut changes| async move {
            match changes.recv().await {
                Ok(report) => Some((report, changes)),
                Err(RecvError::Lagged(_) | RecvError::Closed) => None,
            }
        });
        stream::iter(now).chain(later).boxed()
    }

    fn last(&self) -> MutexGuard<'_, BTreeMap<SandboxId, SandboxReport>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use creel_domain::{Generation, SandboxState};

    use super::*;

    fn report(id: u8, generation: u64) -> SandboxReport {
        SandboxReport {
            sandbox: format!("sbx_0000000000000000000000000{id}")
                .parse()
                .expect("an id"),
            generation: Generation(generation),
            converged: true,
            state: SandboxState::Stopped {
                since: jiff::Timestamp::UNIX_EPOCH,
            },
            uid_base: None,
        }
    }

    #[tokio::test]
    async fn a_watcher_sees_all_there_are_and_then_changes() {
        let reports = Reports::new();
        reports.publish(report(1, 1));
        reports.publish(report(2, 1));
        let watch = reports.watch();
        reports.publish(report(1, 1));
        reports.publish(report(1, 2));
        reports.close(report(2, 2));
        let seen: Vec<_> = watch.take(4).collect().await;
        assert_eq!(seen, [report(1, 1), report(2, 1), report(1, 2), report(2, 2)]);
        assert_eq!(reports.all(), [report(1, 2)]);
    }

    #[tokio::test]
    async fn a_watcher_that_lags_is_cut_off() {
        let reports = Reports::new();
        let watch = reports.watch();
        for generation in 0..=BACKLOG as u64 {
            reports.publish(report(1, generation));
        }
        assert_eq!(
            watch.count().await,
            0,
            "it looks again instead of missing something"
        );
    }
}
