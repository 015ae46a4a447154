//! A time zone by its IANA name, from the database that is built into Creel.
//!
//! The host's own database may be older, newer or absent, and two hosts of one Creel would plan different times.

use std::{fmt, str::FromStr, sync::LazyLock};

use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Serialize};

static BUNDLED: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// `Europe/Berlin`, `America/New_York`, `UTC`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, example = "Europe/Berlin")]
pub struct Zone(String);

/// Nobody knows such a time zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no time zone: name one as IANA does, such as Europe/Berlin, America/New_York or UTC")]
pub struct BadZone(String);

impl Zone {
    /// The longest name, in bytes.
    const LONGEST: usize = 64;

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn time_zone(&self) -> TimeZone {
        // A name was looked up when it was taken; a later Creel whose database has lost it goes by UTC.
        BUNDLED.get(&self.0).unwrap_or(TimeZone::UTC)
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self("UTC".to_owned())
    }
}

impl FromStr for Zone {
    type Err = BadZone;

    fn from_str(text: &str) -> Result<Self, BadZone> {
        let bad = || BadZone(text.chars().take(Self::LONGEST).collect());
        if text.eq_ignore_ascii_case("UTC") {
            return Ok(Self::default());
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/_+-".contains(&byte);
        if text.is_empty() || text.len() > Self::LONGEST || !text.bytes().all(plain) {
            return Err(bad());
        }
        let zone = BUNDLED.get(text).map_err(|_| bad())?;
        // As IANA writes it, however it was typed.
        zone.iana_name().map(|name| Self(name.to_owned())).ok_or_else(bad)
    }
}

impl TryFrom<String> for Zone {
    type Error = BadZone;

    fn try_from(text: String) -> Result<Self, BadZone> {
        text.parse()
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.0
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_those_of_the_database_that_is_built_in() {
        for (typed, named) in [
            ("Europe/Berlin", "Europe/Berlin"),
            ("europe/berlin", "Europe/Berlin"),
            ("utc", "UTC"),
            ("Australia/Lord_Howe", "Australia/Lord_Howe"),
            ("America/Argentina/Buenos_Aires", "America/Argentina/Buenos_Aires"),
        ] {
            assert_eq!(typed.parse::<Zone>().map(String::from).as_deref(), Ok(named));
        }
        for bad in [
            "",
            "Berlin",
            "Europe/Nowhere",
            "../../etc/passwd",
            "UTC ",
            &"a".repeat(1000),
        ] {
            assert!(bad.parse::<Zone>().is_err(), "{bad}");
        }
    }
}
