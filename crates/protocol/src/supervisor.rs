//! What control asks of whoever owns sandboxes: make each match its target, say what is seen.

use creel_domain::{Generation, ImageName, SandboxId, SandboxReport, Target};
use futures_util::{future::BoxFuture, stream::BoxStream};
use serde::{Deserialize, Serialize};

use crate::ImageStatus;

/// Changes as they are seen; starts with every sandbox once. The last report of a sandbox that was told
/// to be gone has converged; it is listed no more. Ends when the connection does: look again.
pub type ReportStream = BoxStream<'static, SandboxReport>;

/// The owner of the local sandboxes. Later also each provider of sandboxes elsewhere.
pub trait Supervisor: Send + Sync + 'static {
    /// The one verb. Start, stop, delete, retry and recovery are all this call.
    ///
    /// Returns once the target is durably remembered, long before it is reached. The same generation
    /// may be sent again and is then a no-op. Bounds: the specification is checked as if it came from
    /// an enemy.
    fn put_target(
        &self,
        sandbox: SandboxId,
        generation: Generation,
        target: Target,
    ) -> BoxFuture<'_, Result<(), SupervisorError>>;

    /// Lets a sandbox that is held still go on, at once and for some seconds; whoever asks says what is wanted by
    /// [`Supervisor::put_target`] meanwhile. Nothing is remembered. Whether it has processes: one that sleeps on disk
    /// has none, and wakes by its target alone.
    fn wake(&self, sandbox: SandboxId) -> BoxFuture<'_, Result<bool, SupervisorError>>;

    /// What all its processes have in memory and in swap; one that is not there has nothing.
    fn memory(&self, sandbox: SandboxId) -> BoxFuture<'_, Result<SandboxMemory, SupervisorError>>;

    /// Every sandbox there is. One that is gone is not listed.
    fn list(&self) -> BoxFuture<'_, Result<Vec<SandboxReport>, SupervisorError>>;

    /// Reports as they change.
    fn watch(&self) -> BoxFuture<'_, Result<ReportStream, SupervisorError>>;

    fn images(&self) -> BoxFuture<'_, Result<Vec<ImageStatus>, SupervisorError>>;

    /// Builds an image in the background, unless it is there or under way.
    fn build_image(&self, image: ImageName) -> BoxFuture<'_, Result<(), SupervisorError>>;

    /// Removes an image that no sandbox uses.
    fn remove_image(&self, image: ImageName) -> BoxFuture<'_, Result<(), SupervisorError>>;

    fn host(&self) -> BoxFuture<'_, Result<HostReport, SupervisorError>>;
}

/// What the supervisor found out about its host by trying.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostReport {
    /// `runc`, `crun`, `runsc` or `fake`.
    pub backend: String,
    /// How the backend was chosen, a sentence for each one tried.
    pub tried: Vec<String>,
    pub sandboxes: u32,
    pub paging: PagingReport,
}

/// Whether sandboxes that sleep can be paged out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PagingReport {
    pub works: bool,
    /// A sentence.
    pub found: String,
    /// What to do about it; empty when it works.
    pub next: String,
}

/// Of what a sandbox's processes wrote themselves; files that they read are not counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxMemory {
    pub resident_bytes: u64,
    pub swapped_bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case", tag = "error")]
pub enum SupervisorError {
    /// Somebody newer has spoken: whoever gets this works with stale knowledge and must look again.
    #[error("generation {given} is older than {newest}, which was accepted before")]
    Stale { given: u64, newest: u64 },
    /// The sandbox was deleted; its id is never used again.
    #[error("sandbox {sandbox} was deleted")]
    Gone { sandbox: SandboxId },
    #[error("{reason}")]
    Invalid { reason: String },
    #[error("image {image} is used by {sandboxes} sandboxes: stop or delete their agents first")]
    ImageInUse { image: ImageName, sandboxes: u32 },
    /// No more sandboxes fit on this host.
    #[error("{reason}")]
    Full { reason: String },
    #[error("the supervisor does not answer: {reason}")]
    Unreachable { reason: String },
    #[error("the supervisor failed: {reason}")]
    Failed { reason: String },
}
