//! The record of model calls: opened before a provider is asked, closed exactly once.

use std::time::Duration;

use creel_domain::{AgentId, CallId, MicroUsd, ModelName, OrgId, ProviderId, ProviderKind, SandboxId};
use futures_util::future::BoxFuture;
use jiff::Timestamp;

use crate::{Api, Usage};

/// Keeps calls.
pub trait Ledger: Send + Sync + 'static {
    /// Opens a call, or refuses it: no turn is under way, or the money is spent. The row must be on disk
    /// before this returns: a call without an end is one whose process died.
    fn begin(&self, start: CallStart) -> BoxFuture<'_, Result<(), Refusal>>;

    /// Closes a call. Comes exactly once for every call that was begun, before the caller sees the end of
    /// the answer, also when the caller hangs up or the task is dropped. Not async because it is also called while
    /// a task is torn down; it must not block for long.
    fn finish(&self, call: CallId, end: CallEnd);
}

/// Why a call may not be made: a code and a sentence, both shown to the sandbox.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({code})")]
pub struct Refusal {
    pub code: &'static str,
    pub message: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallStart {
    pub call: CallId,
    pub org: OrgId,
    pub agent: AgentId,
    pub sandbox: SandboxId,
    /// None for the built-in provider.
    pub provider: Option<ProviderId>,
    pub kind: ProviderKind,
    /// Whose key it is made with; none: with no key.
    pub key_of: Option<&'static str>,
    pub model: ModelName,
    /// What the sandbox spoke.
    pub api: Api,
    pub streamed: bool,
    pub started_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallEnd {
    pub outcome: Outcome,
    /// What the provider reported at the end of its answer. None: it did not, and nobody knows.
    pub usage: Option<Usage>,
    /// None: the usage or the model's price is unknown.
    pub cost: Option<MicroUsd>,
    pub duration: Duration,
    /// From the start to the first byte of the provider's answer.
    pub first_byte: Option<Duration>,
    /// Requests made to the provider: 1, and 1 for each retry; 0 when it was never asked.
    pub attempts: u32,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The whole answer was there.
    Completed,
    /// The provider answered with an error of this HTTP status; 200 when it came within a stream.
    UpstreamError { status: u16 },
    /// No connection to the provider came about.
    Unreachable,
    /// The provider's answer ended before its end, or was no answer at all.
    CutOff,
    /// The provider was silent for too long, or the call took too long as a whole.
    TimedOut,
    /// The answer was larger than is taken.
    TooLarge,
    /// The sandbox hung up, or stopped reading.
    ClientGone,
    /// Our own process gave the call up.
    Aborted,
}

impl Outcome {
    /// The name in the store and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::UpstreamError { .. } => "upstream_error",
            Self::Unreachable => "unreachable",
            Self::CutOff => "cut_off",
            Self::TimedOut => "timed_out",
            Self::TooLarge => "too_large",
            Self::ClientGone => "client_gone",
            Self::Aborted => "aborted",
        }
    }
}
