//! `cargo xtask images DIR`: makes the images there that are missing, or whose recipe has changed.

use std::path::Path;

use anyhow::{Context, Result};
use creel_domain::ImageName;
use creel_protocol::ImageState;
use creel_supervisor::images::Images;
use tokio::sync::watch;

pub(crate) fn build(directory: &Path) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let images = Images::open(directory)?;
        for name in ImageName::ALL {
            let state = images.watch(name).context("a recipe for every name")?;
            let teller = tokio::spawn(tell(name, state));
            let image = images.built(name).await;
            teller.abort();
            let image = image?;
            println!(
                "image {name} {}: {} MiB at {}",
                image.version,
                image.bytes >> 20,
                image.rootfs.display()
            );
        }
        Ok(())
    })
}

/// A line for each step: a build takes minutes.
async fn tell(name: ImageName, mut state: watch::Receiver<ImageState>) {
    let mut told = String::new();
    while state.changed().await.is_ok() {
        let now = state.borrow_and_update().clone();
        if let ImageState::Building { percent, step } = now
            && step != told
        {
            println!("image {name}: {percent} %, {step}");
            told = step;
        }
    }
}
