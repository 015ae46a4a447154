//! Brings a database's schema and its wall up to date, one control at a time.

use tokio_postgres::{Client, error::SqlState};

use super::{Address, SCHEMA, wall::Roles};
use crate::{
    Error,
    migrations::{KNOWN, MIGRATIONS, Migration, checksum},
};

/// Held while migrating; a number of our own.
const LOCK: i64 = 0x6372_6565_6c01;
/// How long to wait for another control that migrates.
const LOCK_WITHIN: &str = "60s";
/// PostgreSQL 13.
const OLDEST_SERVER: i32 = 130_000;

pub(crate) async fn migrate(address: &Address) -> Result<Roles, Error> {
    let client = address.connect(|_| {}).await?;
    let outcome = steps(&client, address).await;
    outcome.map_err(|error| match error {
        Error::Postgres(source) if source.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
            let what =
                format!("keep Creel's tables in this database: make it the database's owner ({source:?})");
            Error::NoRights { what }
        }
        error => error,
    })
}

async fn steps(client: &Client, address: &Address) -> Result<Roles, Error> {
    let server = client
        .query_one(
            "SELECT current_setting('server_version_num')::int, current_setting('server_encoding')",
            &[],
        )
        .await?;
    if server.try_get::<_, i32>(0)? < OLDEST_SERVER || server.try_get::<_, &str>(1)? != "UTF8" {
        return Err(Error::Server);
    }
    let roles = Roles::of(address.database())?;
    // The lock goes with the connection.
    let sql = format!("SET lock_timeout = '{LOCK_WITHIN}'; SELECT pg_advisory_lock({LOCK});");
    client.batch_execute(&sql).await?;
    let there = client
        .query_one("SELECT to_regnamespace($1) IS NOT NULL", &[&SCHEMA])
        .await?;
    if !there.try_get::<_, bool>(0)? {
        client.batch_execute(&format!("CREATE SCHEMA {SCHEMA}")).await?;
    }
    client
        .batch_execute(&format!(
            "SET search_path TO {SCHEMA};
             CREATE TABLE IF NOT EXISTS migrations (version bigint PRIMARY KEY, checksum bytea NOT NULL);
             CREATE TABLE IF NOT EXISTS wall (checksum bytea NOT NULL)"
        ))
        .await?;
    let found = newest(client).await?;
    if found > KNOWN {
        return Err(Error::NewerSchema { found, known: KNOWN });
    }
    roles.ensure(client).await?;
    for migration in MIGRATIONS {
        apply(client, migration).await?;
    }
    client.batch_execute("BEGIN").await?;
    roles.wall(client).await?;
    client.batch_execute("COMMIT").await?;
    Ok(roles)
}

async fn apply(client: &Client, migration: &Migration) -> Result<(), Error> {
    let Migration {
        version, postgres, ..
    } = migration;
    let (number, sum) = (i64::from(*version), checksum(postgres));
    let done = client
        .query_opt("SELECT checksum FROM migrations WHERE version = $1", &[&number])
        .await?;
    match done {
        Some(row) if row.try_get::<_, Vec<u8>>(0)? == sum => return Ok(()),
        Some(_) => return Err(Error::ChangedMigration(*version)),
        None => {}
    }
    // A connection that breaks in between takes the transaction with it.
    client
        .batch_execute("BEGIN; SET LOCAL creel.maintenance = 'on'")
        .await?;
    client.batch_execute(postgres).await?;
    client
        .execute(
            "INSERT INTO migrations (version, checksum) VALUES ($1, $2)",
            &[&number, &sum],
        )
        .await?;
    client.batch_execute("COMMIT").await?;
    Ok(())
}

/// The schema version of a database; 0 when nothing of ours is in it.
pub(crate) async fn schema(address: &Address) -> Result<u32, Error> {
    let client = address.connect(|_| {}).await?;
    let sql = format!("SELECT to_regclass('{SCHEMA}.migrations') IS NOT NULL");
    if !client.query_one(&sql, &[]).await?.try_get::<_, bool>(0)? {
        return Ok(0);
    }
    client
        .batch_execute(&format!("SET search_path TO {SCHEMA}"))
        .await?;
    newest(&client).await
}

async fn newest(client: &Client) -> Result<u32, Error> {
    let row = client
        .query_one("SELECT MAX(version) FROM migrations", &[])
        .await?;
    let version = row.try_get::<_, Option<i64>>(0)?.unwrap_or(0);
    Ok(u32::try_from(version).unwrap_or(u32::MAX))
}
