//! The table.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result};

pub(crate) fn head() {
    println!("{:<46} {:>10} {:>10} {:>8}", "what", "ours", "floor", "ratio");
}

/// Pairs of neighbours: ours and its floor.
pub(crate) fn pairs(what: &str, pairs: &[(Duration, Duration)]) {
    let millis = |duration: Duration| duration.as_secs_f64() * 1e3;
    let ours = median(pairs.iter().map(|(ours, _)| millis(*ours)));
    let floor = median(pairs.iter().map(|(_, floor)| millis(*floor)));
    let mut ratios: Vec<f64> = pairs
        .iter()
        .map(|(ours, floor)| millis(*ours) / millis(*floor))
        .collect();
    ratios.sort_by(f64::total_cmp);
    let quarter = ratios.len() / 4;
    println!(
        "{what:<46} {ours:>7.1} ms {floor:>7.1} ms {:>7.2}x  {} pairs, half of them {:.2} to {:.2}",
        median(ratios.iter().copied()),
        pairs.len(),
        ratios[quarter],
        ratios[ratios.len() - 1 - quarter],
    );
}

/// Pairs of neighbours, of so many acts each: acts per second. The ratio is of rates: 1 is as fast as the floor,
/// less is slower.
pub(crate) fn rates(what: &str, acts: usize, pairs: &[(Duration, Duration)]) {
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let rate = |duration: Duration| acts as f64 / duration.as_secs_f64();
    let ours = median(pairs.iter().map(|(ours, _)| rate(*ours)));
    let floor = median(pairs.iter().map(|(_, floor)| rate(*floor)));
    let mut ratios: Vec<f64> = pairs
        .iter()
        .map(|(ours, floor)| rate(*ours) / rate(*floor))
        .collect();
    ratios.sort_by(f64::total_cmp);
    let quarter = ratios.len() / 4;
    println!(
        "{what:<46} {ours:>8.0}/s {floor:>8.0}/s {:>7.2}x  {} pairs, half of them {:.2} to {:.2}",
        median(ratios.iter().copied()),
        pairs.len(),
        ratios[quarter],
        ratios[ratios.len() - 1 - quarter],
    );
}

pub(crate) fn bytes(what: &str, ours: u64, floor: u64, of_floor: &str) {
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let mebi = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!(
        "{what:<46} {:>6.1} MiB {:>6.1} MiB {:>7.2}x  floor: {of_floor}",
        mebi(ours),
        mebi(floor),
        mebi(ours) / mebi(floor)
    );
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// What processes have used of processors so far.
pub(crate) fn cpu(pids: &[i32]) -> Result<Duration> {
    let mut ticks = 0_u64;
    for pid in pids {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let fields = stat.rsplit_once(')').context("a process")?.1;
        let number = |at: usize| {
            fields
                .split_whitespace()
                .nth(at)
                .and_then(|text| text.parse::<u64>().ok())
        };
        ticks += number(11).unwrap_or(0) + number(12).unwrap_or(0);
    }
    Ok(Duration::from_millis(ticks * 10))
}
