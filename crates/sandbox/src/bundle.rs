//! Everything a backend has to know to make one sandbox.

use std::path::PathBuf;

use creel_domain::{Limits, SandboxId};

/// A sandbox as it is to be made. Paths are absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    pub sandbox: SandboxId,
    /// What `hostname` says inside; a host name label.
    pub hostname: String,
    /// The read-only root, shared with other sandboxes. Every directory above it lets others pass.
    pub rootfs: PathBuf,
    /// First of the 65 536 host uids and gids that are this sandbox's 0 to 65 535.
    pub uid_base: u32,
    /// User and group of every process inside.
    pub uid: u32,
    pub limits: Limits,
    pub argv: Vec<String>,
    /// `NAME=value` each.
    pub env: Vec<String>,
    pub volume: Volume,
    pub inbound: Inbound,
    /// What else of the host can be seen inside.
    pub read_only: Vec<ReadOnly>,
}

/// The only place that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    pub inside: PathBuf,
}

/// A tiny tmpfs on which the inside may make sockets for us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inbound {
    /// Where it is mounted on the host.
    pub host: PathBuf,
    pub inside: PathBuf,
    /// The group, besides the sandbox, that gets at what is in it.
    pub gid: u32,
}

/// A file or directory of the host, bound read-only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadOnly {
    pub host: PathBuf,
    pub inside: PathBuf,
    /// Whether programs in it may be run.
    pub executable: bool,
}

impl Bundle {
    /// Where the root must have something to mount on: directories, then files.
    pub fn mount_points(&self) -> (Vec<PathBuf>, Vec<PathBuf>) {
        let mut directories: Vec<PathBuf> = ["/proc", "/dev", "/tmp"].map(PathBuf::from).to_vec();
        directories.extend([self.volume.inside.clone(), self.inbound.inside.clone()]);
        let mut files = Vec::new();
        for bind in &self.read_only {
            if bind.host.is_file() {
                files.push(bind.inside.clone());
            } else {
                directories.push(bind.inside.clone());
            }
        }
        (directories, files)
    }
}
