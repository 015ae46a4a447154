//! When an agent is put to rest, how deeply, and whether a knock wakes it.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::Depth;

/// What happens to an agent that nobody needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rest {
    pub autostop: Autostop,
    /// So long without a turn, a command or an open stream, in seconds: 1 to 2 592 000 (30 days).
    pub idle_s: u32,
    /// The memory of one that is frozen is paged out after so long, in seconds, 1 to 31 536 000 (a year); none: never. On
    /// a host without swap it stays frozen.
    pub page_after_s: Option<u32>,
    /// One that is frozen is stopped after so long, in seconds, 1 to 31 536 000 (a year); none: never. Frozen it holds its
    /// memory.
    pub stop_after_s: Option<u32>,
    /// Whether whoever needs it wakes it. Otherwise only its owner does.
    pub autostart: bool,
}

/// How an agent that nobody needs is put to rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Autostop {
    /// Not at all.
    Off,
    /// Held still in memory: it wakes in milliseconds.
    Suspend,
    /// Its processes end, its volume is kept: it wakes by starting.
    Stop,
}

/// What a rest says that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} must be 1 to {most} seconds")]
pub struct BadRest {
    field: &'static str,
    most: u32,
}

impl Default for Rest {
    fn default() -> Self {
        Self {
            autostop: Autostop::Suspend,
            idle_s: 5 * 60,
            page_after_s: Some(10 * 60),
            stop_after_s: Some(12 * 60 * 60),
            autostart: true,
        }
    }
}

impl Rest {
    const LONGEST_IDLE_S: u32 = 30 * 24 * 60 * 60;
    const LONGEST_FROZEN_S: u32 = 365 * 24 * 60 * 60;

    pub fn check(&self) -> Result<(), BadRest> {
        let bad = |field, most| BadRest { field, most };
        if !(1..=Self::LONGEST_IDLE_S).contains(&self.idle_s) {
            return Err(bad("idle_s", Self::LONGEST_IDLE_S));
        }
        for (field, after) in [
            ("page_after_s", self.page_after_s),
            ("stop_after_s", self.stop_after_s),
        ] {
            if after.is_some_and(|seconds| !(1..=Self::LONGEST_FROZEN_S).contains(&seconds)) {
                return Err(bad(field, Self::LONGEST_FROZEN_S));
            }
        }
        Ok(())
    }

    /// How deeply it should sleep that nobody has needed for so long; none: not at all.
    pub fn after_idle(&self, idle: SignedDuration) -> Option<Depth> {
        let due = idle >= SignedDuration::from_secs(self.idle_s.into());
        match self.autostop {
            _ if !due => None,
            Autostop::Off => None,
            Autostop::Suspend => Some(Depth::Frozen),
            Autostop::Stop => Some(Depth::OnDisk),
        }
    }

    /// How deeply it should sleep that has slept for so long; never less deeply than it does.
    pub fn after_sleep(&self, depth: Depth, slept: SignedDuration) -> Depth {
        let due = self
            .deeper()
            .filter(|(_, after)| slept >= *after)
            .map(|(deeper, _)| deeper);
        due.fold(depth, Depth::max)
    }

    /// How long until it should sleep deeper that has slept for so long; none: never.
    pub fn until_deeper(&self, depth: Depth, slept: SignedDuration) -> Option<SignedDuration> {
        let later = self
            .deeper()
            .filter(|(deeper, after)| *deeper > depth && slept < *after)
            .map(|(_, after)| after.saturating_sub(slept));
        later.min()
    }

    fn deeper(&self) -> impl Iterator<Item = (Depth, SignedDuration)> {
        [
            (Depth::PagedOut, self.page_after_s),
            (Depth::OnDisk, self.stop_after_s),
        ]
        .into_iter()
        .filter_map(|(depth, after)| Some((depth, SignedDuration::from_secs(after?.into()))))
    }

    /// How deeply it sleeps whose owner says so.
    pub fn when_told(&self) -> Depth {
        match self.autostop {
            Autostop::Off | Autostop::Suspend => Depth::Frozen,
            Autostop::Stop => Depth::OnDisk,
        }
    }
}

impl Autostop {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Suspend => "suspend",
            Self::Stop => "stop",
        }
    }
}

impl std::fmt::Display for Autostop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Autostop {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Off, Self::Suspend, Self::Stop]
            .into_iter()
            .find(|autostop| autostop.as_str() == text)
            .ok_or_else(|| format!("there is no autostop `{text}`: it is off, suspend or stop"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: i64) -> SignedDuration {
        SignedDuration::from_secs(seconds)
    }

    #[test]
    fn it_rests_when_its_time_has_come_and_deeper_later() {
        let suspend = Rest::default();
        assert_eq!(suspend.after_idle(seconds(299)), None);
        assert_eq!(suspend.after_idle(seconds(300)), Some(Depth::Frozen));
        assert_eq!(suspend.after_sleep(Depth::Frozen, seconds(599)), Depth::Frozen);
        assert_eq!(suspend.after_sleep(Depth::Frozen, seconds(600)), Depth::PagedOut);
        for depth in [Depth::Frozen, Depth::PagedOut] {
            assert_eq!(suspend.after_sleep(depth, seconds(43_199)), Depth::PagedOut);
            assert_eq!(suspend.after_sleep(depth, seconds(43_200)), Depth::OnDisk);
        }
        // A clock that was set back brings nobody up again.
        assert_eq!(suspend.after_sleep(Depth::PagedOut, seconds(-5)), Depth::PagedOut);
        assert_eq!(suspend.after_sleep(Depth::OnDisk, seconds(700)), Depth::OnDisk);
        let stop = Rest {
            autostop: Autostop::Stop,
            ..suspend
        };
        assert_eq!(stop.after_idle(seconds(300)), Some(Depth::OnDisk));
        let off = Rest {
            autostop: Autostop::Off,
            page_after_s: None,
            stop_after_s: None,
            ..suspend
        };
        assert_eq!(off.after_idle(seconds(1_000_000)), None);
        assert_eq!(off.after_sleep(Depth::Frozen, seconds(1_000_000)), Depth::Frozen);
    }

    #[test]
    fn the_next_depth_is_waited_for_and_no_longer_when_it_is_reached() {
        let rest = Rest::default();
        assert_eq!(rest.until_deeper(Depth::Frozen, seconds(590)), Some(seconds(10)));
        assert_eq!(
            rest.until_deeper(Depth::PagedOut, seconds(600)),
            Some(seconds(42_600))
        );
        assert_eq!(rest.until_deeper(Depth::OnDisk, seconds(0)), None);
        let never = Rest {
            page_after_s: None,
            stop_after_s: None,
            ..rest
        };
        assert_eq!(never.until_deeper(Depth::Frozen, seconds(0)), None);
        // Stopped before it would be paged out: it never is.
        let quick = Rest {
            page_after_s: Some(60),
            stop_after_s: Some(30),
            ..rest
        };
        assert_eq!(quick.after_sleep(Depth::Frozen, seconds(30)), Depth::OnDisk);
        assert_eq!(quick.after_sleep(Depth::OnDisk, seconds(60)), Depth::OnDisk);
    }

    #[test]
    fn what_cannot_be_is_refused_in_words() {
        let never = Rest {
            idle_s: 0,
            ..Rest::default()
        };
        let error = never.check().expect_err("refused").to_string();
        assert_eq!(error, "idle_s must be 1 to 2592000 seconds");
        let for_ever = Rest {
            stop_after_s: Some(u32::MAX),
            ..Rest::default()
        };
        assert!(for_ever.check().is_err());
        let at_once = Rest {
            page_after_s: Some(0),
            ..Rest::default()
        };
        let error = at_once.check().expect_err("refused").to_string();
        assert_eq!(error, "page_after_s must be 1 to 31536000 seconds");
        assert_eq!(Rest::default().check(), Ok(()));
    }
}
