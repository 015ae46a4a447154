//! The isolated place where one agent runs, as the supervisor is told of it and tells of it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{AgentFiles, AgentId, Limits, ModelName, Name, Runtime, SandboxId};

/// Grows by one with every change of what is wanted. Whoever acts refuses an older one.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(transparent)]
pub struct Generation(pub u64);

impl Generation {
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// What is wanted of a sandbox: the one verb's object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "target", deny_unknown_fields)]
pub enum Target {
    Running {
        spec: Box<SandboxSpec>,
    },
    /// At rest until it is wanted: whatever runs is held still or ended. What does not run is not started.
    Asleep {
        depth: Depth,
        /// What it runs from, to be kept for it while it is frozen.
        image: ImageName,
    },
    /// No process; the volume is kept.
    Stopped,
    /// Nothing is kept.
    Gone,
}

/// How deeply a sandbox sleeps: what it still costs, and how long it takes to wake.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Depth {
    /// Its processes are held still, in memory. Wakes in milliseconds.
    Frozen,
    /// Held still, and its memory pushed out to the host's swap. Wakes as quickly, and fetches what it needs from
    /// there. Where the host cannot do that, it stays frozen.
    PagedOut,
    /// Its processes are gone, its volume is kept. Wakes by starting.
    OnDisk,
}

impl Depth {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Frozen => "frozen",
            Self::PagedOut => "paged_out",
            Self::OnDisk => "on_disk",
        }
    }
}

impl std::str::FromStr for Depth {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Frozen, Self::PagedOut, Self::OnDisk]
            .into_iter()
            .find(|depth| depth.as_str() == text)
            .ok_or_else(|| format!("there is no depth `{text}`: it is frozen, paged_out or on_disk"))
    }
}

impl std::fmt::Display for Depth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Everything needed to make a sandbox. Holds no secret: all of it can be read from inside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SandboxSpec {
    pub agent: AgentId,
    pub name: Name,
    pub runtime: Runtime,
    /// The model by name; which provider and key stand behind it is decided outside.
    pub model: ModelName,
    pub files: AgentFiles,
    pub limits: Limits,
    /// Another value than the running one means: make the sandbox anew, even if all else is equal.
    pub incarnation: u64,
}

impl SandboxSpec {
    /// The image this runtime runs from.
    pub fn image(&self) -> ImageName {
        self.runtime.image()
    }

    /// Whether a sandbox that was made from the other specification can become this one while it runs: whose it is,
    /// what it is called, its model and its files are read anew by what runs inside; the rest is built in.
    pub fn can_be_told_to(&self, other: &Self) -> bool {
        let Self {
            agent: _,
            name: _,
            runtime,
            model: _,
            files: _,
            limits,
            incarnation,
        } = self;
        (runtime, limits, incarnation) == (&other.runtime, &other.limits, &other.incarnation)
    }
}

/// A read-only root directory shared by all sandboxes of a runtime.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ImageName {
    Openclaw,
    Lite,
}

impl ImageName {
    pub const ALL: [Self; 2] = [Self::Lite, Self::Openclaw];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Openclaw => "openclaw",
            Self::Lite => "lite",
        }
    }
}

impl std::fmt::Display for ImageName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for ImageName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|image| image.as_str() == text)
            .ok_or_else(|| format!("there is no image `{text}`: the images are `lite` and `openclaw`"))
    }
}

/// What the supervisor last saw of a sandbox. A sandbox that is gone is simply not listed.
///
/// ```text
/// Requested → Starting → Running ⇄ Asleep
///                 │         ↓         ↓
///                 │      Stopping → Stopped
///                 ↘ Faulted (retried at `retry_at`) ↙
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxReport {
    pub sandbox: SandboxId,
    /// The newest generation the supervisor has accepted.
    pub generation: Generation,
    /// Whether `state` is already the one that this generation asks for.
    pub converged: bool,
    pub state: SandboxState,
    /// First of the 65 536 host uids that belong to this sandbox: who may speak on its uplink socket.
    pub uid_base: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum SandboxState {
    /// Accepted, waiting for something of the host.
    Requested {
        waiting: Waiting,
        since: Timestamp,
    },
    Starting {
        attempt: u32,
        since: Timestamp,
    },
    /// Its first process runs. Whether the runtime answers is the bridge's to say.
    Running {
        since: Timestamp,
    },
    /// It rests, as it was told to.
    Asleep {
        depth: Depth,
        since: Timestamp,
    },
    Stopping {
        since: Timestamp,
    },
    Stopped {
        since: Timestamp,
    },
    /// It failed to start, or ended by itself, `attempts` times in a row.
    Faulted {
        reason: String,
        attempts: u32,
        since: Timestamp,
        retry_at: Timestamp,
    },
}

/// What a requested sandbox waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "waiting")]
pub enum Waiting {
    /// Its turn.
    Turn,
    /// An image that is being built.
    Image { image: ImageName, percent: u8 },
    /// An image that nobody is building, with what is known about why.
    NoImage { image: ImageName, reason: String },
}
