//! Builds an image without a running Creel, for packagers and for the cache of a test machine:
//! `cargo run -p creel-supervisor --example build_image -- DIRECTORY lite|openclaw`

use std::time::Instant;

use anyhow::Context as _;
use creel_domain::ImageName;
use creel_protocol::ImageState;
use creel_supervisor::images::Images;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let (directory, name) = args
        .next()
        .zip(args.next())
        .context("give a directory and the name of an image")?;
    let name: ImageName = name.parse().map_err(anyhow::Error::msg)?;
    let images = Images::open(directory)?;
    let mut state = images.watch(name).context("there is no such image")?;
    let start = Instant::now();
    tokio::spawn(async move {
        while state.changed().await.is_ok() {
            if let ImageState::Building { percent, step } = &*state.borrow_and_update() {
                eprintln!("{:6.1} s  {percent:2} %  {step}", start.elapsed().as_secs_f32());
            }
        }
    });
    let image = images.built(name).await?;
    let (mib, seconds) = (image.bytes >> 20, start.elapsed().as_secs_f32());
    println!(
        "{} is ready after {seconds:.1} s, {mib} MiB",
        image.rootfs.display()
    );
    Ok(())
}
