//! Brings a file's schema up to date.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::{
    Error,
    migrations::{KNOWN, MIGRATIONS, Migration, checksum},
};

pub(super) fn migrate(connection: &mut Connection) -> Result<(), Error> {
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS migrations (version BIGINT PRIMARY KEY, checksum BLOB NOT NULL)",
    )?;
    let found = found(connection)?;
    if found > KNOWN {
        return Err(Error::NewerSchema { found, known: KNOWN });
    }
    for Migration { version, sqlite, .. } in MIGRATIONS {
        let checksum = checksum(sqlite);
        let transaction = connection.transaction()?;
        let done: Option<Vec<u8>> = transaction
            .query_row(
                "SELECT checksum FROM migrations WHERE version = $1",
                [version],
                |row| row.get(0),
            )
            .optional()?;
        match done {
            Some(done) if done == checksum => continue,
            Some(_) => return Err(Error::ChangedMigration(*version)),
            None => {}
        }
        transaction.execute_batch(sqlite)?;
        transaction.execute(
            "INSERT INTO migrations (version, checksum) VALUES ($1, $2)",
            params![version, checksum],
        )?;
        transaction.commit()?;
    }
    Ok(())
}

/// The newest migration that was applied; 0 before the first.
pub(super) fn found(connection: &Connection) -> Result<u32, Error> {
    let sql = "SELECT COUNT(*) FROM sqlite_schema WHERE type = 'table' AND name = 'migrations'";
    if connection.query_row(sql, [], |row| row.get::<_, u32>(0))? == 0 {
        return Ok(0);
    }
    let newest = connection.query_row("SELECT MAX(version) FROM migrations", [], |row| row.get(0));
    Ok(newest.map(Option::unwrap_or_default)?)
}
