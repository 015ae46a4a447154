//! Numbered, forward only, each in a transaction of its own; a changed or newer one is refused.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::Error;

const MIGRATIONS: &[(u32, &str)] = &[(1, include_str!("migrations/0001_first.sql"))];

/// The schema version that this Creel brings.
pub(crate) const KNOWN: u32 = MIGRATIONS[MIGRATIONS.len() - 1].0;

pub(crate) fn migrate(connection: &mut Connection) -> Result<(), Error> {
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS migrations (version BIGINT PRIMARY KEY, checksum BLOB NOT NULL)",
    )?;
    let found: Option<u32> =
        connection.query_row("SELECT MAX(version) FROM migrations", [], |row| row.get(0))?;
    if let Some(found) = found.filter(|found| *found > KNOWN) {
        return Err(Error::NewerSchema { found, known: KNOWN });
    }
    for (version, sql) in MIGRATIONS {
        let checksum = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, sql.as_bytes());
        let transaction = connection.transaction()?;
        let done: Option<Vec<u8>> = transaction
            .query_row(
                "SELECT checksum FROM migrations WHERE version = $1",
                [version],
                |row| row.get(0),
            )
            .optional()?;
        match done {
            Some(done) if done == checksum.as_ref() => continue,
            Some(_) => return Err(Error::ChangedMigration(*version)),
            None => {}
        }
        transaction.execute_batch(sql)?;
        transaction.execute(
            "INSERT INTO migrations (version, checksum) VALUES ($1, $2)",
            params![version, checksum.as_ref()],
        )?;
        transaction.commit()?;
    }
    Ok(())
}
