//! From nothing to an answer: a `lite` agent made and spoken to, against `runc run` of one `true`.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use creel_domain::Runtime;
use creel_tests::Platform;
use serde_json::{Value, json};

use crate::figures;

const ROUNDS: usize = 20;

pub(crate) async fn run(platform: &Platform) -> Result<()> {
    let floor = Floor::new(&platform.image("lite"), &["/bin/true"])?;
    let mut pairs = Vec::new();
    for round in 0..ROUNDS {
        let name = format!("agent-{round}");
        let began = Instant::now();
        platform.create(&name, Runtime::Lite).await;
        let turn = platform.say(&name, "hello").await;
        let ours = began.elapsed();
        ensure!(turn.text.contains("hello"), "{turn:?}");
        pairs.push((ours, floor.run()?));
        platform.client().delete_agent(&name).await?;
    }
    figures::pairs("lite: create to answer, against runc run", &pairs);
    Ok(())
}

/// A bundle of runc's own making, changed as little as possible.
pub(crate) struct Floor {
    bundle: tempfile::TempDir,
}

impl Floor {
    pub(crate) fn new(rootfs: &Path, argv: &[&str]) -> Result<Self> {
        let bundle = tempfile::tempdir()?;
        let made = Command::new("runc")
            .arg("spec")
            .current_dir(bundle.path())
            .status()?;
        ensure!(made.success(), "runc spec: {made}");
        let file = bundle.path().join("config.json");
        let mut config: Value = serde_json::from_slice(&fs::read(&file)?)?;
        config["root"] = json!({"path": rootfs, "readonly": true});
        config["process"]["terminal"] = false.into();
        config["process"]["args"] = json!(argv);
        fs::write(&file, config.to_string())?;
        Ok(Self { bundle })
    }

    pub(crate) fn command(&self, name: &str) -> Command {
        let mut command = Command::new("runc");
        command
            .args(["run", "--bundle"])
            .arg(self.bundle.path())
            .arg(name)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    }

    fn run(&self) -> Result<Duration> {
        let name = format!("creel-bench-{}", std::process::id());
        let began = Instant::now();
        let status = self.command(&name).status().context("runc is installed")?;
        ensure!(status.success(), "runc run: {status}");
        Ok(began.elapsed())
    }
}
