//! The org's log: appended in the transaction of the change it tells of.

use creel_domain::OrgId;
use jiff::Timestamp;
use serde_json::Value as Json;

use crate::{
    Error, Org,
    rows::{Row, values},
    tx::Tx,
};

/// So many of an org's newest events are kept.
pub const KEPT_EVENTS: u64 = 100_000;
/// How many more there may be before they are removed.
const TRIM_EVERY: u64 = 1000;

#[derive(Debug, Clone, PartialEq)]
pub struct LogEvent {
    pub sequence: u64,
    pub kind: String,
    pub subject: String,
    pub data: Json,
    pub at: Timestamp,
}

impl TryFrom<Row> for LogEvent {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        Ok(Self {
            sequence: row.count("sequence")?,
            kind: row.text("kind")?.to_owned(),
            subject: row.text("subject")?.to_owned(),
            data: row.json("data")?,
            at: row.time("at")?,
        })
    }
}

pub(crate) async fn append(
    tx: &mut Tx,
    org: OrgId,
    kind: &str,
    subject: &str,
    data: &Json,
    at: Timestamp,
) -> Result<(), Error> {
    // The org's row is the lock that keeps numbers without gaps and in the order of commits.
    let numbered = tx
        .row(
            "UPDATE orgs SET last_event = last_event + 1 WHERE id = $1 RETURNING last_event",
            values![org],
        )
        .await?;
    let sequence = numbered.ok_or(Error::NotFound("org"))?.count("last_event")?;
    tx.run(
        "INSERT INTO events (org_id, sequence, kind, subject, data, at) VALUES ($1, $2, $3, $4, $5, $6)",
        values![org, sequence, kind, subject, data.to_string(), at],
    )
    .await?;
    tx.told = true;
    if sequence.is_multiple_of(TRIM_EVERY) {
        tx.run(
            "DELETE FROM events WHERE org_id = $1 AND sequence <= $2",
            values![org, sequence.saturating_sub(KEPT_EVENTS)],
        )
        .await?;
    }
    Ok(())
}

impl Org {
    /// Appends an event that comes with no other change.
    pub async fn append_event(&self, kind: &'static str, subject: String, data: Json) -> Result<(), Error> {
        let (org, at) = (self.id, self.store.now());
        self.write(move |tx| Box::pin(async move { append(tx, org, kind, &subject, &data, at).await }))
            .await
    }

    /// Events after `after`, oldest first.
    pub async fn events(&self, after: u64, limit: u32) -> Result<Vec<LogEvent>, Error> {
        let org = self.id;
        self.read(move |tx| {
            Box::pin(async move {
                let sql = "SELECT sequence, kind, subject, data, at FROM events
                               WHERE org_id = $1 AND sequence > $2 ORDER BY sequence LIMIT $3";
                let rows = tx.rows(sql, values![org, after, limit]).await?;
                rows.into_iter().map(LogEvent::try_from).collect()
            })
        })
        .await
    }

    /// The newest event's number; 0 before the first.
    pub async fn last_event(&self) -> Result<u64, Error> {
        let org = self.id;
        self.read(move |tx| {
            Box::pin(async move {
                let row = tx
                    .row("SELECT last_event FROM orgs WHERE id = $1", values![org])
                    .await?;
                row.ok_or(Error::NotFound("org"))?.count("last_event")
            })
        })
        .await
    }
}
