//! From columns to domain types and back.

use creel_domain::MicroUsd;
use jiff::Timestamp;
use rusqlite::Row;
use uuid::Uuid;

use crate::Error;

pub(crate) fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

pub(crate) fn time(row: &Row<'_>, column: &str) -> Result<Timestamp, Error> {
    let micros: i64 = row.get(column)?;
    Timestamp::from_microsecond(micros).map_err(|error| Error::Corrupt(error.to_string()))
}

pub(crate) fn maybe_time(row: &Row<'_>, column: &str) -> Result<Option<Timestamp>, Error> {
    let micros: Option<i64> = row.get(column)?;
    micros
        .map(Timestamp::from_microsecond)
        .transpose()
        .map_err(|error| Error::Corrupt(error.to_string()))
}

pub(crate) fn id<Id: From<Uuid>>(row: &Row<'_>, column: &str) -> Result<Id, Error> {
    let bytes: [u8; 16] = row.get(column)?;
    Ok(Uuid::from_bytes(bytes).into())
}

pub(crate) fn count(row: &Row<'_>, column: &str) -> Result<u64, Error> {
    let count: i64 = row.get(column)?;
    u64::try_from(count).map_err(|_| Error::Corrupt(format!("{column} is negative")))
}

pub(crate) fn money(row: &Row<'_>, column: &str) -> Result<MicroUsd, Error> {
    Ok(MicroUsd(row.get(column)?))
}

pub(crate) fn parsed<T: std::str::FromStr>(row: &Row<'_>, column: &str) -> Result<T, Error>
where
    T::Err: std::fmt::Display,
{
    let text: String = row.get(column)?;
    text.parse()
        .map_err(|error: T::Err| Error::Corrupt(format!("{column}: {error}")))
}

/// Reads all rows of a statement into a vector.
pub(crate) fn all<T>(
    connection: &rusqlite::Connection,
    sql: &str,
    parameters: impl rusqlite::Params,
    read: impl Fn(&Row<'_>) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(parameters)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

/// Reads the first row, if there is one.
pub(crate) fn first<T>(
    connection: &rusqlite::Connection,
    sql: &str,
    parameters: impl rusqlite::Params,
    read: impl Fn(&Row<'_>) -> Result<T, Error>,
) -> Result<Option<T>, Error> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(parameters)?;
    rows.next()?.map(read).transpose()
}
