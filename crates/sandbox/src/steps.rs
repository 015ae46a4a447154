//! A seam for crash tests: whoever acts says how far it got.

use creel_domain::SandboxId;

use crate::Work;

/// Told after each step of a start or of a removal. In production nobody listens; a test can stop the
/// world there for good, which is what `kill -9` at that point would leave behind.
pub trait Steps: Send + Sync + 'static {
    fn reached(&self, sandbox: SandboxId, step: &'static str) -> Work<'_, ()>;
}

/// Nobody listens.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSteps;

impl Steps for NoSteps {
    fn reached(&self, _sandbox: SandboxId, _step: &'static str) -> Work<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}
