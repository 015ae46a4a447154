//! May a sandbox reach this place? Nothing may be reached yet: the model endpoint is the one way out,
//! and it is not part of this decision.

use std::fmt;

use crate::Destination;

/// The name of the rule that decided, as people read it in a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Rule(&'static str);

impl Rule {
    /// No rule allowed it.
    pub const DEFAULT_DENY: Self = Self("default-deny");

    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// What was decided. One variant, because nothing can be allowed: when that changes, the compiler
/// shows every place that has to act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Denied { rule: Rule },
}

/// What one sandbox may reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EgressPolicy {
    DenyAll,
}

impl EgressPolicy {
    pub fn decide(&self, _to: &Destination) -> Decision {
        match self {
            Self::DenyAll => Decision::Denied {
                rule: Rule::DEFAULT_DENY,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_denied_by_a_rule_with_a_name() {
        for place in [
            "example.org:443",
            "127.0.0.1:80",
            "[::1]:22",
            "169.254.169.254:80",
        ] {
            let to = place.parse().expect("a destination");
            let Decision::Denied { rule } = EgressPolicy::DenyAll.decide(&to);
            assert_eq!(rule.to_string(), "default-deny", "{place}");
        }
    }
}
