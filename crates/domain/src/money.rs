//! Money as integer micro-dollars: one US dollar is 1 000 000.

use std::{fmt, iter::Sum, ops::Add};

use serde::{Deserialize, Serialize};

/// An amount in millionths of a US dollar. Never a float: sums must be exact.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(transparent)]
pub struct MicroUsd(pub i64);

impl Add for MicroUsd {
    type Output = Self;

    /// Saturates: a sum that would overflow is reported as the largest amount, never wrapped.
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sum for MicroUsd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self(0), Add::add)
    }
}

impl fmt::Display for MicroUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let whole = self.0.unsigned_abs();
        write!(f, "{sign}${}.{:06}", whole / 1_000_000, whole % 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_print_all_six_places() {
        assert_eq!(MicroUsd(1_234_567).to_string(), "$1.234567");
        assert_eq!(MicroUsd(-20).to_string(), "-$0.000020");
        assert_eq!(
            [MicroUsd(i64::MAX), MicroUsd(1)].into_iter().sum::<MicroUsd>(),
            MicroUsd(i64::MAX)
        );
    }
}
