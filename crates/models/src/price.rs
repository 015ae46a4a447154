//! What a call cost, from a dated table of prices.
//!
//! Integers only, rounded up once per call. A model that the table does not know has no cost, which is not
//! a cost of zero: whoever adds up says how many calls had none.

use std::sync::LazyLock;

use creel_domain::MicroUsd;
use serde::Deserialize;

use crate::Usage;
use creel_domain::ProviderKind;

/// The table, as committed beside this file.
static TABLE: LazyLock<Prices> =
    LazyLock::new(|| toml::from_str(include_str!("prices.toml")).expect("a test reads the table"));

const MILLION: u128 = 1_000_000;

/// The cost of a call by the built-in table.
pub fn cost(kind: ProviderKind, model: &str, usage: &Usage) -> Option<MicroUsd> {
    if kind == ProviderKind::Demo {
        return Some(MicroUsd(0));
    }
    TABLE.find(kind, model, usage.input).map(|price| price.of(usage))
}

/// The day that the built-in table was true.
pub fn as_of() -> &'static str {
    &TABLE.as_of
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Prices {
    as_of: String,
    price: Vec<Price>,
}

/// Micro-dollars per million tokens.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Price {
    provider: String,
    model: String,
    #[serde(default)]
    above: u64,
    input: u64,
    cached: Option<u64>,
    cache_write: Option<u64>,
    output: u64,
}

impl Prices {
    fn find(&self, kind: ProviderKind, model: &str, input: u64) -> Option<&Price> {
        self.price
            .iter()
            .filter(|price| price.provider == kind.as_str() && is_the_model(&price.model, model))
            .filter(|price| price.above == 0 || input > price.above)
            .max_by_key(|price| (price.model.len(), price.above))
    }
}

/// Whether `asked` is `known` or a snapshot of it: `known-latest`, `known-2024-08-06`, `known-001`.
///
/// A first group of one or two digits is a version: `claude-sonnet-4-5` is no snapshot of `claude-sonnet-4`.
fn is_the_model(known: &str, asked: &str) -> bool {
    let Some(rest) = asked.strip_prefix(known) else {
        return false;
    };
    let Some(suffix) = rest.strip_prefix('-') else {
        return rest.is_empty();
    };
    let digits = |group: &str| !group.is_empty() && group.bytes().all(|b| b.is_ascii_digit());
    let first = suffix.split('-').next().unwrap_or_default();
    suffix == "latest" || (first.len() >= 3 && suffix.split('-').all(digits))
}

impl Price {
    fn of(&self, usage: &Usage) -> MicroUsd {
        let special = usage.cached_input.saturating_add(usage.cache_write);
        let plain = usage.input.saturating_sub(special);
        let parts = [
            (plain, self.input),
            (usage.cached_input, self.cached.unwrap_or(self.input)),
            (usage.cache_write, self.cache_write.unwrap_or(self.input)),
            (usage.output, self.output),
        ];
        let total = parts
            .into_iter()
            .map(|(tokens, price)| u128::from(tokens) * u128::from(price))
            .fold(0u128, u128::saturating_add)
            .div_ceil(MILLION);
        MicroUsd(i64::try_from(total).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn usage(input: u64, cached_input: u64, cache_write: u64, output: u64) -> Usage {
        Usage {
            input,
            cached_input,
            cache_write,
            output,
        }
    }

    #[test]
    fn the_table_reads_and_each_row_can_be_found() {
        assert_eq!(as_of().len(), "2026-01-31".len());
        for price in &TABLE.price {
            let kind = price.provider.parse().expect("a kind");
            let found = TABLE
                .find(kind, &price.model, price.above + 1)
                .expect("found by its own name");
            assert!(std::ptr::eq(found, price), "{price:?} is hidden by {found:?}");
            assert!(price.output >= price.input && price.cached.unwrap_or(0) <= price.input);
        }
    }

    #[test]
    fn snapshots_have_their_models_price_and_other_models_none() {
        use ProviderKind::{Anthropic, Gemini, Openai, OpenaiCompatible};
        let small = usage(1_000_000, 0, 0, 0);
        for (kind, model, expected) in [
            (Openai, "gpt-4o", Some(2_500_000)),
            (Openai, "gpt-4o-2024-08-06", Some(2_500_000)),
            (Openai, "gpt-4o-mini-2024-07-18", Some(150_000)),
            (Openai, "gpt-5-chat-latest", Some(1_250_000)),
            (Openai, "gpt-4o-audio-preview", None),
            (Openai, "gpt-5.9", None),
            (Openai, "gpt-5-9", None),
            (OpenaiCompatible, "gpt-4o", None),
            (Gemini, "gemini-2.0-flash-001", Some(100_000)),
        ] {
            assert_eq!(
                cost(kind, model, &small),
                expected.map(MicroUsd),
                "{kind} {model}"
            );
        }
        let long = usage(200_001, 0, 0, 0);
        assert_eq!(
            cost(Anthropic, "claude-sonnet-4-20250514", &long),
            Some(MicroUsd(1_200_006))
        );
        assert_eq!(
            cost(Anthropic, "claude-opus-4-5-20251101", &small),
            Some(MicroUsd(5_000_000))
        );
    }

    #[test]
    fn each_part_has_its_price_and_the_sum_is_rounded_up() {
        // 100 plain at 3 $, 200 cached at 0.30 $, 50 written at 3.75 $, 7 out at 15 $, per million.
        let one = usage(350, 200, 50, 7);
        assert_eq!(
            cost(ProviderKind::Anthropic, "claude-sonnet-4-5", &one),
            Some(MicroUsd(
                (300_000_000 + 60_000_000 + 187_500_000 + 105_000_000i64 + 999_999) / 1_000_000
            ))
        );
        assert_eq!(
            cost(ProviderKind::Openai, "gpt-5-nano", &usage(1, 0, 0, 0)),
            Some(MicroUsd(1))
        );
        assert_eq!(cost(ProviderKind::Demo, "demo", &one), Some(MicroUsd(0)));
    }

    proptest! {
        #[test]
        fn no_count_overflows_and_more_never_costs_less(
            input: u64, cached: u64, write: u64, output: u64, more in 0u64..1_000_000,
        ) {
            for price in &TABLE.price {
                let less = price.of(&usage(input, cached, write, output));
                prop_assert!(less.0 >= 0);
                let parts = price.of(&usage(input.saturating_add(more), cached, write, output.saturating_add(more)));
                prop_assert!(parts >= less);
            }
        }
    }
}
