//! What Creel adds to a turn: through its API, against the same words straight to a bare OpenClaw.

use std::time::Instant;

use anyhow::{Result, ensure};
use creel_domain::Runtime;
use creel_tests::Platform;

use crate::{bare::Bare, figures};

const ROUNDS: usize = 60;

pub(crate) async fn run(platform: &Platform) -> Result<()> {
    let began = Instant::now();
    let mut bare = Bare::start(&platform.image("openclaw"), &platform.provider().base_url()).await?;
    bare.turn("hello").await?;
    let floor = began.elapsed();
    let began = Instant::now();
    platform.create("scout", Runtime::Openclaw).await;
    let first = platform.hear("scout", "hello").await;
    ensure!(first.done().is_some(), "{first:?}");
    figures::pairs(
        "openclaw: create to answer, against bare",
        &[(began.elapsed(), floor)],
    );
    let mut pairs = Vec::new();
    for round in 0..ROUNDS {
        let message = format!("message {round}");
        let began = Instant::now();
        let heard = platform.hear("scout", &message).await;
        let ours = began.elapsed();
        ensure!(heard.done().is_some(), "{heard:?}");
        pairs.push((ours, bare.turn(&message).await?));
    }
    figures::pairs("openclaw: a turn, against straight to it", &pairs);
    Ok(())
}
