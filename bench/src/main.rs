//! `just bench [start|memory|turn|wake|edge|herd|store]`: what Creel costs, as ratios to the least that anybody could pay for the same.
//!
//! Machines are noisy, so each measure is taken in turns with its floor; what counts is the median of the
//! ratios of neighbours, not the milliseconds.

mod bare;
mod edge;
mod figures;
mod herd;
mod memory;
mod start;
mod store;
mod turn;
mod wake;

use anyhow::{Context, Result, bail};
use creel_domain::ImageName;
use creel_supervisor::images::Images;
use creel_tests::Platform;

#[tokio::main]
async fn main() -> Result<()> {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    for name in &wanted {
        if !["start", "memory", "turn", "wake", "edge", "herd", "store"].contains(&name.as_str()) {
            bail!("there is no bench `{name}`: start, memory, turn, wake, edge, herd and store are");
        }
    }
    let wants = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    figures::head();
    if wants("store") {
        store::run().await?;
    }
    if wanted == ["store"] {
        return Ok(());
    }
    images().await?;
    if wants("start") {
        start::run(&platform().await?).await?;
    }
    if wants("memory") {
        memory::run(&platform().await?).await?;
    }
    if wants("turn") {
        turn::run(&platform().await?).await?;
    }
    if wants("wake") {
        wake::run(&platform().await?).await?;
    }
    if wants("edge") {
        edge::run(&platform().await?).await?;
    }
    if wants("herd") {
        herd::run(&platform().await?).await?;
    }
    Ok(())
}

/// Makes the images that are missing: minutes, once.
async fn images() -> Result<()> {
    let directory = std::env::var_os("CREEL_TEST_IMAGES").context("run `just bench`")?;
    let images = Images::open(directory)?;
    for name in ImageName::ALL {
        if images.lookup(name).is_none() {
            eprintln!("making the image {name}");
        }
        images.built(name).await?;
    }
    Ok(())
}

/// A Creel of its own for each bench; dropped, it is gone.
async fn platform() -> Result<Platform> {
    Platform::start()
        .await
        .context("run `just bench`, which builds what is measured")
}
