//! What an org owns: a specification, and what is wanted of it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    AgentId, Depth, Generation, ImageName, Limits, ModelName, Name, OrgId, Rest, SandboxId, SandboxSpec,
    Target,
};

/// An agent as the store knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Agent {
    pub id: AgentId,
    pub org: OrgId,
    pub name: Name,
    pub spec: AgentSpec,
    pub intent: Intent,
    /// How deeply it sleeps, where that is the intent.
    pub depth: Depth,
    /// Since when; none: it does not sleep.
    pub asleep_since: Option<Timestamp>,
    /// Grows with every change of `spec`, `intent`, `depth` or `incarnation`; fences everything done on its behalf.
    pub generation: Generation,
    /// Grows with what its owner changes, and not when it falls asleep or wakes.
    pub revision: Generation,
    /// Grows when the sandbox is to be made anew though nothing else changed.
    pub incarnation: u64,
    /// Where it runs.
    pub sandbox: SandboxId,
    pub created_at: Timestamp,
    /// When the owner last changed something.
    pub changed_at: Timestamp,
    /// When its runtime wants to be awake for a job that it has planned itself, as far as it has said.
    pub runtime_wake_at: Option<Timestamp>,
    /// Somebody keeps it awake until then.
    pub held_until: Option<Timestamp>,
}

impl Agent {
    /// What the supervisor is to be told.
    pub fn target(&self) -> Target {
        match self.intent {
            Intent::Run => Target::Running {
                spec: Box::new(self.sandbox_spec()),
            },
            Intent::Sleep => Target::Asleep {
                depth: self.depth,
                image: self.spec.runtime.image(),
            },
            Intent::Stop => Target::Stopped,
            Intent::Delete => Target::Gone,
        }
    }

    fn sandbox_spec(&self) -> SandboxSpec {
        SandboxSpec {
            agent: self.id,
            name: self.name.clone(),
            runtime: self.spec.runtime,
            model: self.spec.model.clone(),
            files: self.spec.files.clone(),
            limits: self.spec.limits,
            incarnation: self.incarnation,
        }
    }
}

/// What the owner decides about an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentSpec {
    pub runtime: Runtime,
    pub model: ModelName,
    #[serde(default)]
    pub files: AgentFiles,
    pub limits: Limits,
    /// When it is put to rest, and what wakes it.
    #[serde(default)]
    pub rest: Rest,
}

/// What runs in the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Runtime {
    /// The real OpenClaw.
    Openclaw,
    /// Creel's own small loop.
    Lite,
}

impl Runtime {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Openclaw => "openclaw",
            Self::Lite => "lite",
        }
    }

    pub const ALL: [Self; 2] = [Self::Openclaw, Self::Lite];

    /// The port of its own web page inside; none: it has no page.
    pub const fn page(self) -> Option<u16> {
        match self {
            Self::Openclaw => Some(18_789),
            Self::Lite => None,
        }
    }

    /// What it runs from.
    pub const fn image(self) -> ImageName {
        match self {
            Self::Openclaw => ImageName::Openclaw,
            Self::Lite => ImageName::Lite,
        }
    }
}

impl std::str::FromStr for Runtime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|runtime| runtime.as_str() == text)
            .ok_or_else(|| format!("there is no runtime `{text}`: the runtimes are `openclaw` and `lite`"))
    }
}

/// The files that make an agent who it is, put into its workspace. Each at most 64 KiB; an empty one
/// is not written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AgentFiles {
    /// SOUL.md: who the agent is and how it speaks.
    pub soul: String,
    /// USER.md: whom it works for.
    pub user: String,
    /// IDENTITY.md: its name and outward appearance.
    pub identity: String,
}

/// A file of an agent is longer than it may be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} is {bytes} bytes long; at most {} are taken", AgentFiles::MAX_BYTES)]
pub struct FileTooLong {
    name: &'static str,
    bytes: usize,
}

impl AgentFiles {
    pub const MAX_BYTES: usize = 64 * 1024;

    /// Each file's name in the workspace and its text.
    pub fn named(&self) -> [(&'static str, &str); 3] {
        [
            ("SOUL.md", &self.soul),
            ("USER.md", &self.user),
            ("IDENTITY.md", &self.identity),
        ]
    }

    pub fn check(&self) -> Result<(), FileTooLong> {
        match self
            .named()
            .into_iter()
            .find(|(_, text)| text.len() > Self::MAX_BYTES)
        {
            Some((name, text)) => Err(FileTooLong {
                name,
                bytes: text.len(),
            }),
            None => Ok(()),
        }
    }
}

/// What the owner wants of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Intent {
    Run,
    /// At rest, until somebody needs it.
    Sleep,
    /// Nothing runs; the volume is kept.
    Stop,
    /// Nothing is kept.
    Delete,
}

/// Where an agent stands, as people are told. Derived, never stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum AgentState {
    /// On its way to running; `waiting` says for what.
    Starting {
        waiting: String,
        since: Timestamp,
    },
    /// Its runtime answers.
    Running {
        since: Timestamp,
    },
    /// At rest; a knock wakes it, unless its owner has said otherwise.
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
    /// It did not come up, or does not answer. `retry_at` is when it is tried again, if it is.
    Faulted {
        reason: String,
        attempts: u32,
        since: Timestamp,
        retry_at: Option<Timestamp>,
    },
    Deleting {
        since: Timestamp,
    },
}

impl AgentState {
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Starting { .. } => "starting",
            Self::Running { .. } => "running",
            Self::Asleep { .. } => "asleep",
            Self::Stopping { .. } => "stopping",
            Self::Stopped { .. } => "stopped",
            Self::Faulted { .. } => "faulted",
            Self::Deleting { .. } => "deleting",
        }
    }
}
