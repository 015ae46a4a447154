//! Reading the trail: page by page, and as a whole for an export.

use creel_domain::{Act, Actor, AuditEntry};
use jiff::Timestamp;

use super::Hash;
use crate::{
    Error, Org,
    rows::{Row, values},
};

pub(super) const COLUMNS: &str = "sequence, at, actor_kind, actor_id, actor_name, via, address, request, rule, action, \
     target_kind, target, target_name, result, repeats, details, previous, hash, mac";

/// An entry with its place in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEntry {
    pub entry: AuditEntry,
    pub previous: Hash,
    pub hash: Hash,
    pub(super) mac: Hash,
}

/// Which entries are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    pub since: Option<Timestamp>,
    /// An id, a name, or a kind such as `operator`.
    pub actor: Option<String>,
    /// One action, or with a `.` at its end all of a noun: `token.`.
    pub action: Option<String>,
}

impl TryFrom<&Row> for StoredEntry {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        let text = |column: &str| row.text(column).map(str::to_owned);
        Ok(Self {
            entry: AuditEntry {
                sequence: row.count("sequence")?,
                at: row.time("at")?,
                actor: Actor {
                    kind: row.parsed("actor_kind")?,
                    id: text("actor_id")?,
                    name: text("actor_name")?,
                    via: text("via")?,
                    address: text("address")?,
                    request: text("request")?,
                    rule: text("rule")?,
                },
                act: Act {
                    action: text("action")?,
                    target_kind: text("target_kind")?,
                    target: text("target")?,
                    target_name: text("target_name")?,
                    result: row.parsed("result")?,
                    repeats: row.count("repeats")?,
                    details: row.json("details")?,
                },
            },
            previous: row.hash("previous")?,
            hash: row.hash("hash")?,
            mac: row.hash("mac")?,
        })
    }
}

impl Org {
    /// Newest first; `before` is the sequence of the last one of the page before.
    pub async fn audit(
        &self,
        filter: AuditFilter,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<StoredEntry>, Error> {
        let org = self.id;
        let before = before.unwrap_or(u64::MAX);
        let AuditFilter { since, actor, action } = filter;
        let since = since.unwrap_or(Timestamp::MIN);
        self.read(move |tx| {
            Box::pin(async move {
                let sql = format!(
                    "SELECT {COLUMNS} FROM audit WHERE org_id = $1 AND sequence < $2 AND at >= $3
                     AND ($4 = '' OR actor_id = $4 OR actor_name = $4 OR actor_kind = $4)
                     AND ($5 = '' OR action = $5 OR ($5 LIKE '%.' AND action LIKE $5 || '%'))
                     ORDER BY sequence DESC LIMIT $6"
                );
                let (actor, action) = (actor.unwrap_or_default(), action.unwrap_or_default());
                let rows = tx
                    .rows(&sql, values![org, before, since, actor, action, limit])
                    .await?;
                rows.iter().map(StoredEntry::try_from).collect()
            })
        })
        .await
    }

    /// Oldest first; `after` is the sequence of the last one of the page before.
    pub async fn audit_after(&self, after: u64, limit: u32) -> Result<Vec<StoredEntry>, Error> {
        let org = self.id;
        self.read(move |tx| {
            Box::pin(async move {
                let sql = format!(
                    "SELECT {COLUMNS} FROM audit WHERE org_id = $1 AND sequence > $2 ORDER BY sequence LIMIT $3"
                );
                let rows = tx.rows(&sql, values![org, after, limit]).await?;
                rows.iter().map(StoredEntry::try_from).collect()
            })
        })
        .await
    }
}
