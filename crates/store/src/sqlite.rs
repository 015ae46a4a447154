//! The SQLite files behind [`crate::tx::Tx`]: how they are opened, and the schema's own history.

use std::{fs, os::unix::fs::OpenOptionsExt as _, path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags};

use crate::{Error, migrations, tx::Tx};

/// How long to wait for another process that holds the file, such as a backup.
const BUSY_WITHIN: Duration = Duration::from_secs(5);
const STATEMENTS: usize = 128;

/// Makes the file, readable for nobody else, when there is none.
pub(crate) fn open_writer(path: &Path) -> Result<Tx, Error> {
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|source| Error::Open {
            path: path.to_owned(),
            source: source.into(),
        })?;
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_WITHIN)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // FULL: what was accepted survives a power cut, not only a kill.
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
         PRAGMA trusted_schema = OFF;",
    )?;
    migrations::migrate(&mut connection)?;
    Ok(Tx::new(connection))
}

pub(crate) fn open_reader(path: &Path) -> Result<Tx, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_WITHIN)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.execute_batch("PRAGMA trusted_schema = OFF;")?;
    Ok(Tx::new(connection))
}
