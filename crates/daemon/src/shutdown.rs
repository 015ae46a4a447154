//! The word to end: given once, heard by all.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Cheap to clone; all clones hear the same word.
#[derive(Debug, Clone, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins the end on SIGTERM or SIGINT. A second signal ends the process at once with status 1.
    pub fn on_signals() -> std::io::Result<Self> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let shutdown = Self::new();
        let begin = shutdown.clone();
        tokio::spawn(async move {
            for last in [false, true] {
                tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
                if last {
                    std::process::exit(1);
                }
                begin.begin();
            }
        });
        Ok(shutdown)
    }

    pub fn begin(&self) {
        self.0.cancel();
    }

    pub fn has_begun(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Returns when the end has begun.
    pub async fn begun(&self) {
        self.0.cancelled().await;
    }
}
