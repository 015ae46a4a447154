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
        match self.stop_after_s {
            Some(seconds) if !(1..=Self::LONGEST_FROZEN_S).contains(&seconds) => {
                Err(bad("stop_after_s", Self::LONGEST_FROZEN_S))
            }
            _ => Ok(()),
        }
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

    /// How deeply it should sleep that has slept for so long.
    pub fn after_sleep(&self, depth: Depth, slept: SignedDuration) -> Depth {
        match self.stop_after_s {
            Some(seconds) if slept >= SignedDuration::from_secs(seconds.into()) => Depth::OnDisk,
            _ => depth,
        }
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
        assert_eq!(suspend.after_sleep(Depth::Frozen, seconds(43_199)), Depth::Frozen);
        assert_eq!(suspend.after_sleep(Depth::Frozen, seconds(43_200)), Depth::OnDisk);
        let stop = Rest {
            autostop: Autostop::Stop,
            ..suspend
        };
        assert_eq!(stop.after_idle(seconds(300)), Some(Depth::OnDisk));
        let off = Rest {
            autostop: Autostop::Off,
            stop_after_s: None,
            ..suspend
        };
        assert_eq!(off.after_idle(seconds(1_000_000)), None);
        assert_eq!(off.after_sleep(Depth::Frozen, seconds(1_000_000)), Depth::Frozen);
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
        assert_eq!(Rest::default().check(), Ok(()));
    }
}
