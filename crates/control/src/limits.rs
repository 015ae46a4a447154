//! Who has asked how often: for each token or session, each org, and each address of those who are nobody yet.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
};

use creel_domain::{Allowance, OrgId, RateClass, Rates, UserId};
use jiff::{SignedDuration, Timestamp};

/// An org may do so many times as much as one of its tokens.
const ORG_TIMES: u32 = 10;
/// Callers remembered at a time; those past it share what one may.
pub(crate) const KEYS: usize = 100_000;
/// Those who have all their requests again are forgotten at most so often.
const FORGET_EVERY: SignedDuration = SignedDuration::from_secs(1);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Caller(OrgId, UserId, String),
    Org(OrgId),
    Address(IpAddr),
    /// All for whom there is no place.
    Others,
}

pub(crate) struct Limits {
    /// None: as often as they like.
    rates: Option<Rates>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    until: HashMap<(Key, RateClass), Timestamp>,
    forgot_at: Option<Timestamp>,
}

impl Seen {
    fn entry(&mut self, key: (Key, RateClass), now: Timestamp) -> (Key, RateClass) {
        if self.until.len() < KEYS || self.until.contains_key(&key) {
            return key;
        }
        let rested = |at: Timestamp| now.duration_since(at) >= FORGET_EVERY;
        if self.forgot_at.is_none_or(rested) {
            self.forgot_at = Some(now);
            self.until.retain(|_, until| *until > now);
        }
        if self.until.len() < KEYS {
            key
        } else {
            (Key::Others, key.1)
        }
    }
}

impl Limits {
    pub(crate) fn new(rates: Option<Rates>) -> Self {
        Self {
            rates,
            seen: Mutex::default(),
        }
    }

    fn take(&self, key: Key, times: u32, class: RateClass, now: Timestamp) -> Option<Allowance> {
        let rate = self.rates?.of(class).times(times);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let key = seen.entry((key, class), now);
        let mut until = seen.until.get(&key).copied();
        let allowance = rate.take(&mut until, now);
        if let Some(until) = until {
            seen.until.insert(key, until);
        }
        Some(allowance)
    }

    /// Counts a request of somebody who is known; none: nothing is limited.
    pub(crate) fn caller(
        &self,
        org: OrgId,
        user: UserId,
        via: &str,
        class: RateClass,
        now: Timestamp,
    ) -> Option<Allowance> {
        let own = self.take(Key::Caller(org, user, via.to_owned()), 1, class, now)?;
        if own.wait_seconds.is_some() {
            return Some(own);
        }
        let all = self.take(Key::Org(org), ORG_TIMES, class, now)?;
        Some(if all.left < own.left { all } else { own })
    }

    /// Counts a request of nobody that is known.
    pub(crate) fn address(
        &self,
        address: Option<IpAddr>,
        class: RateClass,
        now: Timestamp,
    ) -> Option<Allowance> {
        // What stands in front of us on the same host stands for everybody.
        let address = address.filter(|address| !address.is_loopback())?;
        self.take(Key::Address(network(address)), 1, class, now)
    }
}

/// Whoever has one IPv6 address has 64 bits of them.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_addresses_come_the_memory_is_bounded() {
        let limits = Limits::new(Some("sign-in=2".parse().expect("rates")));
        let now = Timestamp::UNIX_EPOCH;
        let address = |number: u32| Some(IpAddr::V4(number.into()));
        for number in 0..u32::try_from(KEYS).expect("few") + 10 {
            limits.address(address(number), RateClass::SignIn, now);
        }
        let remembered = || limits.seen.lock().expect("whole").until.len();
        assert!(remembered() <= KEYS + 4, "{}", remembered());
        let refused = limits
            .address(address(u32::MAX), RateClass::SignIn, now)
            .expect("limited");
        assert!(refused.wait_seconds.is_some(), "those without a place share one");
        let later = now + SignedDuration::from_mins(2);
        let taken = limits
            .address(address(u32::MAX), RateClass::SignIn, later)
            .expect("limited");
        assert_eq!(
            (taken.wait_seconds, remembered()),
            (None, 1),
            "the idle ones are forgotten"
        );
    }

    #[test]
    fn one_ipv6_network_is_one_caller() {
        let parse = |text: &str| text.parse::<IpAddr>().expect("an address");
        assert_eq!(
            network(parse("2001:db8:1:2:3::4")),
            network(parse("2001:db8:1:2::ffff"))
        );
        assert_ne!(
            network(parse("2001:db8:1:2::1")),
            network(parse("2001:db8:1:3::1"))
        );
    }
}
