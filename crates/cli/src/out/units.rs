//! Numbers as people read them.

use creel_domain::MicroUsd;
use jiff::Timestamp;

/// `512 B`, `1.5 MiB`, `4 GiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut unit = 0;
    let mut tenths = u128::from(bytes) * 10;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths = (tenths + 512) / 1024;
        unit += 1;
    }
    let (whole, rest) = (tenths / 10, tenths % 10);
    if rest == 0 || whole >= 100 {
        format!("{whole} {}", UNITS[unit])
    } else {
        format!("{whole}.{rest} {}", UNITS[unit])
    }
}

/// `12s`, `3m`, `5h`, `2d`: the two ends of a span, roughly.
pub(crate) fn age(from: Timestamp, to: Timestamp) -> String {
    let seconds = to.as_second().saturating_sub(from.as_second()).max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// `45s`, `5m`, `12h`, `90m`: a span that somebody chose, exactly.
pub(crate) fn seconds(seconds: u64) -> String {
    match seconds {
        0 => "0s".to_owned(),
        _ if seconds.is_multiple_of(86_400) => format!("{}d", seconds / 86_400),
        _ if seconds.is_multiple_of(3600) => format!("{}h", seconds / 3600),
        _ if seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        _ => format!("{seconds}s"),
    }
}

/// `12 345 678`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// `$0.0123`: four places are enough to read; JSON has them all.
pub(crate) fn money(amount: MicroUsd) -> String {
    let sign = if amount.0 < 0 { "-" } else { "" };
    let rounded = (amount.0.unsigned_abs() + 50) / 100;
    format!("{sign}${}.{:04}", rounded / 10_000, rounded % 10_000)
}

/// `512M`, `1.5G`, `1073741824`: what `--memory` and `--disk` take. Units are powers of 1024.
pub(crate) fn parse_bytes(text: &str) -> Result<u64, String> {
    let bad = || format!("`{text}` is not a size: write for example 512M or 1.5G");
    let lower = text.trim().to_ascii_lowercase();
    let number = lower.trim_end_matches("ib").trim_end_matches('b');
    let (number, shift) = match number.as_bytes().last() {
        Some(b'k') => (&number[..number.len() - 1], 10),
        Some(b'm') => (&number[..number.len() - 1], 20),
        Some(b'g') => (&number[..number.len() - 1], 30),
        Some(b't') => (&number[..number.len() - 1], 40),
        _ => (number, 0),
    };
    let (whole, rest) = number.trim().split_once('.').unwrap_or((number.trim(), ""));
    if rest.len() > 3 || !rest.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(bad());
    }
    let whole: u64 = whole.parse().map_err(|_| bad())?;
    let thousandths: u64 = format!("{rest:0<3}").parse().map_err(|_| bad())?;
    let scaled = (u128::from(whole) * 1000 + u128::from(thousandths)) << shift;
    u64::try_from(scaled / 1000).map_err(|_| bad())
}

/// `1`, `0.5`: cores as thousandths.
pub(crate) fn parse_cpus(text: &str) -> Result<u32, String> {
    let bad = || format!("`{text}` is not a number of cores: write for example 2 or 0.5");
    let cores: f64 = text.parse().map_err(|_| bad())?;
    let millis = (cores * 1000.0).round();
    if (1.0..=256_000.0).contains(&millis) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "within the range checked above"
        )]
        Ok(millis as u32)
    } else {
        Err(bad())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(
            [0, 1023, 1024, 1536, 1 << 30, 1_610_612_736]
                .map(bytes)
                .join(" | "),
            "0 B | 1023 B | 1 KiB | 1.5 KiB | 1 GiB | 1.5 GiB"
        );
        assert_eq!(
            [0, 999, 1000, 12_345_678].map(count).join(" | "),
            "0 | 999 | 1 000 | 12 345 678"
        );
        assert_eq!(
            [0, 49, 50, 1_234_567, -20_000]
                .map(|a| money(MicroUsd(a)))
                .join(" "),
            "$0.0000 $0.0000 $0.0001 $1.2346 -$0.0200"
        );
    }

    #[test]
    fn sizes_are_read() {
        let sizes = ["512M", "1.5G", "1024", "2 GiB", "0.25k"].map(parse_bytes);
        assert_eq!(
            sizes,
            [Ok(512 << 20), Ok(3 << 29), Ok(1024), Ok(2 << 30), Ok(256)]
        );
        for bad in ["", "G", "-1", "1.5.5G", "99999999999999T", "1e9", "1.+5G"] {
            assert!(parse_bytes(bad).is_err(), "{bad}");
        }
        assert_eq!((parse_cpus("0.5"), parse_cpus("2")), (Ok(500), Ok(2000)));
        assert!(parse_cpus("0").is_err() && parse_cpus("NaN").is_err() && parse_cpus("-1").is_err());
    }

    proptest! {
        #[test]
        fn no_size_panics(text: String) {
            let _ = (parse_bytes(&text), parse_cpus(&text));
        }
    }
}
