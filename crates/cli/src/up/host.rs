//! Whether this host can run sandboxes: the supervisor's own checks, the last of which really runs one.

use std::{
    fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use creel_protocol::Layout;
use creel_sandbox::{
    Places,
    checks::{self, Finding as Checked, Verdict as Judged},
};

use super::preflight::{Finding, Verdict};
use crate::failure::Result;

/// Where the trial takes place: apart from any data directory, so that it may run beside Creel.
const TRIALS: &str = "/var/tmp";

/// Findings about kernel, tools and OCI runtime. Nothing stays behind.
pub(crate) fn host_findings(data: &Path) -> Result<Vec<Finding>> {
    let trial = Trial::new();
    let places = trial.as_ref().map(|trial| trial.places());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let checked = runtime.block_on(checks::check(data, places.as_ref()));
    // Free space is judged by what `creel up` asks for.
    let mut findings: Vec<_> = checked
        .into_iter()
        .filter(|one| one.name != "disk")
        .map(shown)
        .collect();
    if trial.is_none() {
        findings.push(Finding {
            name: "runtime".to_owned(),
            verdict: Verdict::Warn,
            found: "No sandbox was tried: only root can.".to_owned(),
            next: "Run: sudo creel doctor".to_owned(),
        });
    }
    Ok(findings)
}

fn shown(checked: Checked) -> Finding {
    Finding {
        name: checked.name.to_owned(),
        verdict: match checked.verdict {
            Judged::Good => Verdict::Ok,
            Judged::Poor => Verdict::Warn,
            Judged::Bad => Verdict::Fail,
        },
        found: checked.found,
        next: checked.next,
    }
}

/// A directory for one trial, gone with it.
struct Trial {
    directory: PathBuf,
}

impl Trial {
    fn new() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        let directory = Path::new(TRIALS).join(format!("creel-doctor-{}", uuid::Uuid::now_v7()));
        fs::DirBuilder::new().mode(0o711).create(&directory).ok()?;
        Some(Self { directory })
    }

    fn places(&self) -> Places {
        let layout = Layout::new(&self.directory);
        Places {
            volumes: layout.volumes(),
            sandboxes: layout.sandboxes(),
            bundles: layout.supervisor().join("bundles"),
            runtime: layout.supervisor().join("runtime"),
            cgroup: Places::cgroup_for(&self.directory),
        }
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}
