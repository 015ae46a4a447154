//! Where the backends of one data directory keep things.

use std::path::{Path, PathBuf};

use creel_domain::SandboxId;

/// Directories and names that belong to one installation, so that two on one host never meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// Volumes, one directory a sandbox. Others may pass through.
    pub volumes: PathBuf,
    /// `SANDBOX/in` and the like. Others may pass through.
    pub sandboxes: PathBuf,
    /// Bundles: what the runtime was told. Root's.
    pub bundles: PathBuf,
    /// The runtime's own state. Root's.
    pub runtime: PathBuf,
    /// Parent of all our cgroups, `/creel-1f0c…`.
    pub cgroup: String,
}

impl Places {
    /// `data` is what makes the installation one of its own; it is resolved, so that two ways of writing
    /// one directory are one installation.
    pub fn cgroup_for(data: &Path) -> String {
        let data = data.canonicalize().unwrap_or_else(|_| data.to_owned());
        format!(
            "/creel-{:012x}",
            fnv1a(data.as_os_str().as_encoded_bytes()) & 0xffff_ffff_ffff
        )
    }

    pub fn volume(&self, sandbox: SandboxId) -> PathBuf {
        self.volumes.join(sandbox.to_string())
    }

    pub fn sandbox(&self, sandbox: SandboxId) -> PathBuf {
        self.sandboxes.join(sandbox.to_string())
    }

    pub fn inbound(&self, sandbox: SandboxId) -> PathBuf {
        self.sandbox(sandbox).join("in")
    }

    pub fn bundle(&self, sandbox: SandboxId) -> PathBuf {
        self.bundles.join(sandbox.to_string())
    }

    pub(crate) fn cgroup_of(&self, sandbox: SandboxId) -> String {
        format!("{}/{sandbox}", self.cgroup)
    }

    /// Every sandbox of which any of our directories knows.
    pub(crate) fn known(&self) -> Vec<SandboxId> {
        [&self.sandboxes, &self.bundles, &self.runtime]
            .into_iter()
            .flat_map(|directory| crate::fs::names(directory))
            .filter_map(|name| name.parse().ok())
            .collect()
    }
}

/// A short stable hash; it has to tell a handful of directories apart, not to withstand anyone.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_data_directory_has_a_cgroup_of_its_own() {
        let one = Places::cgroup_for(Path::new("/var/lib/creel"));
        assert_eq!(one, Places::cgroup_for(Path::new("/var/lib/creel")));
        assert_ne!(one, Places::cgroup_for(Path::new("/var/lib/creel2")));
        assert_eq!(
            Places::cgroup_for(Path::new("/usr")),
            Places::cgroup_for(Path::new("/usr/../usr"))
        );
    }
}
