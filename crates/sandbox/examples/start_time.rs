//! How long a sandbox takes to start, beside the same program under a bare `runc run`, in turns so that
//! both meet the same host. Prints medians and their ratio. Root; wants `runc` and `busybox`.
//!
//! `cargo run --release -p creel-sandbox --example start_time -- [ROUNDS]`

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use creel_domain::{Limits, Runtime, SandboxId};
use creel_sandbox::{BackendChoice, Bundle, Inbound, NoSteps, Places, Volume, choose};

#[tokio::main]
async fn main() -> Result<()> {
    let rounds: u32 = std::env::args().nth(1).map_or(Ok(20), |text| text.parse())?;
    let data = tempfile::Builder::new()
        .prefix("creel-bench-")
        .permissions(fs::Permissions::from_mode(0o711))
        .tempdir()?;
    let path = data.path();
    let places = Places {
        volumes: path.join("volumes"),
        sandboxes: path.join("sandboxes"),
        bundles: path.join("bundles"),
        runtime: path.join("runtime"),
        cgroup: Places::cgroup_for(path),
    };
    let rootfs = path.join("root");
    fs::create_dir_all(rootfs.join("bin"))?;
    fs::copy("/bin/busybox", rootfs.join("bin/busybox"))?;
    let bare = bare_bundle(path)?;

    let mut ours = [Vec::new(), Vec::new()];
    let mut floor = Vec::new();
    let choices = [BackendChoice::Auto, BackendChoice::Runc];
    let mut backends = Vec::new();
    for choice in choices {
        backends.push(choose(choice, &places).await?.backend);
    }
    for round in 0..rounds {
        floor.push(bare_run(&bare, round)?);
        for (backend, times) in backends.iter().zip(&mut ours) {
            let sandbox = SandboxId::from_uuid(uuid::Uuid::from_u128(u128::from(round) + 1));
            let bundle = bundle(sandbox, &rootfs, &places);
            // A new volume each time: this is a first start.
            let began = Instant::now();
            backend.start(&bundle, &NoSteps).await?;
            times.push(began.elapsed());
            backend.erase(sandbox, &NoSteps).await?;
        }
    }
    let floor = median(&mut floor);
    println!("runc run of a program that ends at once: {floor:.1} ms");
    for (backend, times) in backends.iter().zip(&mut ours) {
        let median = median(times);
        println!(
            "first start of a sandbox, volume and all, with {}: {median:.1} ms, {:.2} of it",
            backend.name(),
            median / floor
        );
    }
    Ok(())
}

fn median(times: &mut [Duration]) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1000.0
}

fn bundle(sandbox: SandboxId, rootfs: &Path, places: &Places) -> Bundle {
    Bundle {
        sandbox,
        hostname: "bench".to_owned(),
        rootfs: rootfs.to_owned(),
        uid_base: 0x7200_0000,
        uid: 1000,
        limits: Limits::default_for(Runtime::Lite),
        argv: ["/bin/busybox", "sleep", "1000"].map(str::to_owned).to_vec(),
        env: Vec::new(),
        volume: Volume {
            inside: PathBuf::from("/data"),
        },
        inbound: Inbound {
            host: places.inbound(sandbox),
            inside: PathBuf::from("/run/creel/in"),
            gid: 0,
        },
        read_only: Vec::new(),
    }
}

/// What `runc spec` writes, with another program: what anybody would start from.
fn bare_bundle(data: &Path) -> Result<PathBuf> {
    let bare = data.join("bare");
    fs::create_dir_all(bare.join("rootfs/bin"))?;
    fs::copy("/bin/busybox", bare.join("rootfs/bin/busybox"))?;
    let status = Command::new("runc").arg("spec").current_dir(&bare).status()?;
    ensure!(status.success(), "runc spec: {status}");
    let file = bare.join("config.json");
    let mut config: serde_json::Value = serde_json::from_slice(&fs::read(&file)?)?;
    config["process"]["args"] = serde_json::json!(["/bin/busybox", "true"]);
    config["process"]["terminal"] = false.into();
    fs::write(&file, config.to_string())?;
    Ok(bare)
}

fn bare_run(bundle: &Path, round: u32) -> Result<Duration> {
    let began = Instant::now();
    let status = Command::new("runc")
        .args(["run", "--bundle"])
        .arg(bundle)
        .arg(format!("creel-bench-{}-{round}", std::process::id()))
        .stdin(Stdio::null())
        .status()
        .context("runc is not installed")?;
    ensure!(status.success(), "runc run: {status}");
    Ok(began.elapsed())
}
