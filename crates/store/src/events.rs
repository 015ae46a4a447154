//! The org's log: appended in the transaction of the change it tells of.

use creel_domain::OrgId;
use jiff::Timestamp;
use rusqlite::{Transaction, params};
use serde_json::Value;

use crate::{
    Error, Org,
    rows::{all, count, micros, time},
};

/// So many of an org's newest events are kept.
pub const KEPT_EVENTS: u64 = 100_000;
const TRIM_EVERY: u64 = 1000;

#[derive(Debug, Clone, PartialEq)]
pub struct LogEvent {
    pub sequence: u64,
    pub kind: String,
    pub subject: String,
    pub data: Value,
    pub at: Timestamp,
}

pub(crate) fn append(
    transaction: &Transaction<'_>,
    org: OrgId,
    kind: &str,
    subject: &str,
    data: &Value,
    at: Timestamp,
) -> Result<(), Error> {
    let org = org.uuid().into_bytes();
    let sequence: i64 = transaction.query_row(
        "UPDATE orgs SET last_event = last_event + 1 WHERE id = $1 RETURNING last_event",
        params![org],
        |row| row.get(0),
    )?;
    transaction.execute(
        "INSERT INTO events (org_id, sequence, kind, subject, data, at) VALUES ($1, $2, $3, $4, $5, $6)",
        params![org, sequence, kind, subject, data.to_string(), micros(at)],
    )?;
    if sequence.unsigned_abs().is_multiple_of(TRIM_EVERY) {
        transaction.execute(
            "DELETE FROM events WHERE org_id = $1 AND sequence <= $2",
            params![org, sequence - KEPT_EVENTS as i64],
        )?;
    }
    Ok(())
}

impl Org {
    /// Appends an event that comes with no other change.
    pub async fn append_event(&self, kind: &'static str, subject: String, data: Value) -> Result<(), Error> {
        let (org, at) = (self.id, self.store.clock.now());
        self.store
            .database
            .write(move |tx| append(tx, org, kind, &subject, &data, at))
            .await?;
        self.store.tell();
        Ok(())
    }

    /// Events after `after`, oldest first.
    pub async fn events(&self, after: u64, limit: u32) -> Result<Vec<LogEvent>, Error> {
        let org = self.id.uuid().into_bytes();
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        self.store
            .database
            .read(move |db| {
                all(
                    db,
                    "SELECT sequence, kind, subject, data, at FROM events
                     WHERE org_id = $1 AND sequence > $2 ORDER BY sequence LIMIT $3",
                    params![org, after, limit],
                    |row| {
                        Ok(LogEvent {
                            sequence: count(row, "sequence")?,
                            kind: row.get("kind")?,
                            subject: row.get("subject")?,
                            data: serde_json::from_str(&row.get::<_, String>("data")?)?,
                            at: time(row, "at")?,
                        })
                    },
                )
            })
            .await
    }

    /// The newest event's number; 0 before the first.
    pub async fn last_event(&self) -> Result<u64, Error> {
        let org = self.id.uuid().into_bytes();
        self.store
            .database
            .read(move |db| {
                let last: i64 =
                    db.query_row("SELECT last_event FROM orgs WHERE id = $1", params![org], |row| {
                        row.get(0)
                    })?;
                Ok(last.unsigned_abs())
            })
            .await
    }
}
