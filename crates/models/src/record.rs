//! One open call. Whatever happens to the task that holds it, it is closed exactly once.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use creel_domain::{CallId, ModelName, ProviderKind};

use crate::{CallEnd, Ledger, Outcome, Usage, cost};

pub(crate) struct Record {
    ledger: Arc<dyn Ledger>,
    call: CallId,
    kind: ProviderKind,
    model: ModelName,
    began: Instant,
    pub(crate) usage: Option<Usage>,
    pub(crate) attempts: u32,
    first_byte: Option<Duration>,
    if_dropped: Outcome,
    closed: bool,
}

impl Record {
    pub(crate) fn new(ledger: Arc<dyn Ledger>, call: CallId, kind: ProviderKind, model: ModelName) -> Self {
        Self {
            ledger,
            call,
            kind,
            model,
            began: Instant::now(),
            usage: None,
            attempts: 0,
            first_byte: None,
            if_dropped: Outcome::ClientGone,
            closed: false,
        }
    }

    pub(crate) fn heard(&mut self) {
        self.first_byte.get_or_insert_with(|| self.began.elapsed());
    }

    pub(crate) fn age(&self) -> Duration {
        self.began.elapsed()
    }

    /// What it means when the record is dropped open. Within a request: that the sandbox hung up.
    pub(crate) fn if_dropped(&mut self, outcome: Outcome) {
        self.if_dropped = outcome;
    }

    pub(crate) fn close(mut self, outcome: Outcome) {
        self.end(outcome);
    }

    fn end(&mut self, outcome: Outcome) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        let cost = self
            .usage
            .and_then(|usage| cost(self.kind, self.model.model(), &usage));
        self.ledger.finish(
            self.call,
            CallEnd {
                outcome,
                usage: self.usage,
                cost,
                duration: self.began.elapsed(),
                first_byte: self.first_byte,
                attempts: self.attempts,
            },
        );
    }
}

/// Dropped without a word: the sandbox hung up, or our task was torn down.
impl Drop for Record {
    fn drop(&mut self) {
        self.end(if std::thread::panicking() {
            Outcome::Aborted
        } else {
            self.if_dropped
        });
    }
}
