//! Which database: a file, or a server's.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use creel_daemon::Clock;

use crate::{Address, Error, MasterKeys, Store, migrations, postgres, sqlite};

/// Where a store's data is.
#[derive(Debug, Clone)]
pub enum Place {
    File(PathBuf),
    Server(Box<Address>),
}

/// How far a database's schema is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schema {
    /// Of the database; 0 when nothing of ours is in it.
    pub found: u32,
    /// Of this Creel.
    pub known: u32,
}

impl Place {
    /// Reads `postgres://…`; anything else is a path, and nothing at all is `default`.
    pub fn parse(text: Option<&str>, default: &Path) -> Result<Self, Error> {
        match text.map(str::trim).filter(|text| !text.is_empty()) {
            None => Ok(Self::File(default.to_owned())),
            Some(text) if text.starts_with('/') => Ok(Self::File(text.into())),
            Some(text) => Ok(Self::Server(Box::new(Address::parse(text)?))),
        }
    }

    pub async fn open(self, keys: impl Into<MasterKeys>, clock: Arc<dyn Clock>) -> Result<Store, Error> {
        match self {
            Self::File(path) => Store::open(&path, keys, clock).await,
            Self::Server(address) => Store::connect(*address, keys, clock).await,
        }
    }

    /// Looks and changes nothing.
    pub async fn schema(&self) -> Result<Schema, Error> {
        let found = match self {
            Self::File(path) => sqlite::schema(path)?,
            Self::Server(address) => postgres::schema(address).await?,
        };
        let known = migrations::KNOWN;
        Ok(Schema { found, known })
    }

    /// Brings the schema up to date, and makes the database's tables when there are none.
    pub async fn migrate(&self) -> Result<(), Error> {
        match self {
            Self::File(path) => sqlite::migrate(path),
            Self::Server(address) => postgres::migrate(address).await.map(|_| ()),
        }
    }
}

/// Without a password.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Server(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_file_unless_it_is_a_server() {
        let parse = |text| Place::parse(text, Path::new("/data/creel.db")).map(|place| place.to_string());
        assert_eq!(parse(None).expect("default"), "/data/creel.db");
        assert_eq!(parse(Some(" ")).expect("default"), "/data/creel.db");
        assert_eq!(parse(Some("/srv/other.db")).expect("a file"), "/srv/other.db");
        let server = parse(Some("postgres://u:planted@h/x?sslmode=disable")).expect("a server");
        assert_eq!(server, "postgres://h/x");
        assert!(matches!(parse(Some("mysql://h/x")), Err(Error::Address)));
        assert!(
            matches!(parse(Some("creel.db")), Err(Error::Address)),
            "a path is absolute"
        );
    }
}
