//! SQLite: how its files are opened, migrated, and shared between one thread that writes and a few that read.

use std::{fs, os::unix::fs::OpenOptionsExt as _, path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags};

use crate::{Error, tx::Tx};

mod migrate;
mod session;
mod source;
mod threads;

pub(crate) use session::Session;
pub(crate) use source::{Source, Table};
pub(crate) use threads::Database;

/// How long to wait for another process that holds the file, such as a backup.
const BUSY_WITHIN: Duration = Duration::from_secs(5);
const STATEMENTS: usize = 128;

/// The schema version of a file; 0 when there is no file, or nothing of ours in it.
pub(crate) fn schema(path: &Path) -> Result<u32, Error> {
    if !path.exists() {
        return Ok(0);
    }
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.busy_timeout(BUSY_WITHIN)?;
    migrate::found(&connection)
}

pub(crate) fn migrate(path: &Path) -> Result<(), Error> {
    open_writer(path).map(|_| ())
}

/// Makes the file, readable for nobody else, when there is none.
fn open_writer(path: &Path) -> Result<Tx, Error> {
    open_writer_connection(path).map(|connection| Tx::sqlite(Session::new(connection)))
}

fn open_writer_connection(path: &Path) -> Result<Connection, Error> {
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
    migrate::migrate(&mut connection)?;
    Ok(connection)
}

fn open_reader(path: &Path) -> Result<Tx, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_WITHIN)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.execute_batch("PRAGMA trusted_schema = OFF;")?;
    Ok(Tx::sqlite(Session::new(connection)))
}
