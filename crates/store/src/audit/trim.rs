//! Old entries go: the newest removed one leaves its number and hash behind, sealed, and the chain begins there.

use creel_domain::{Act, OrgId};
use jiff::Timestamp;

use super::{
    list::COLUMNS,
    record,
    verify::{Head, Walk},
};
use crate::{Error, Org, Platform, keys::PlatformKeys, rows::values, tx::Tx};

/// Entries removed in one transaction.
const BATCH: u32 = 500;

/// Removes a batch; how many there were. Only a prefix goes, and only as far as it is as it was written: what was
/// tampered with stays where it can be found.
async fn trim(tx: &mut Tx, org: OrgId, keys: &PlatformKeys, before: Timestamp) -> Result<u64, Error> {
    // The head's row is the lock.
    let sql = "UPDATE audit_heads SET removed = removed WHERE org_id = $1
               RETURNING sealed_key, key_version, sequence, hash, seal, removed, removed_hash, removed_seal";
    let Some(row) = tx.row(sql, values![org]).await? else {
        return Ok(0);
    };
    let Some((mut walk, key)) = Walk::begin(org, Head::read(&row, keys, org)?) else {
        return Ok(0);
    };
    let from = walk.last;
    let sql =
        format!("SELECT {COLUMNS} FROM audit WHERE org_id = $1 AND sequence > $2 ORDER BY sequence LIMIT $3");
    for row in tx.rows(&sql, values![org, from, BATCH]).await? {
        // The newest entry stays, however old: it is what the next one follows.
        let old = row.time("at")? < before && row.count("sequence")? < walk.head.sequence;
        if !old || walk.step(&key, &row).is_err() {
            break;
        }
    }
    if walk.last == from {
        return Ok(0);
    }
    let sql = "DELETE FROM audit WHERE org_id = $1 AND sequence <= $2";
    tx.run(sql, values![org, walk.last]).await?;
    let sql = "UPDATE audit_heads SET removed = $2, removed_hash = $3, removed_seal = $4 WHERE org_id = $1";
    let seal = key.removed(walk.last, &walk.hash);
    tx.run(sql, values![org, walk.last, walk.hash, seal]).await?;
    record(tx, org, Act::new("audit.trim").with("up_to", walk.last)).await?;
    Ok(walk.last - from)
}

impl Org {
    /// Removes entries from before then; how many.
    pub async fn trim_audit(&self, before: Timestamp) -> Result<u64, Error> {
        let mut removed = 0;
        loop {
            let (org, keys) = (self.id, self.fresh_keys().await?);
            let batch = self
                .write(move |tx| Box::pin(async move { trim(tx, org, &keys, before).await }))
                .await?;
            removed += batch;
            if batch < u64::from(BATCH) {
                return Ok(removed);
            }
        }
    }
}

impl Platform {
    /// Every org, oldest first.
    pub async fn orgs(&self) -> Result<Vec<OrgId>, Error> {
        self.read(|tx| {
            Box::pin(async move {
                let rows = tx.rows("SELECT id FROM orgs ORDER BY id", values![]).await?;
                rows.iter().map(|row| row.id("id")).collect()
            })
        })
        .await
    }
}
