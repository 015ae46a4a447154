//! How often somebody tried, so that guessing gets slow: for every control at once, and in bounded space.

use creel_domain::{Attempts, Patience};

use crate::{Error, Platform, access::Hash, rows::values, tx::Tx};

/// Keys on record. Past it the one that was tried longest ago is forgotten: an attacker with so many keys
/// is held by the key of their own address, which is tried all the time.
pub const MAX_ATTEMPT_KEYS: u64 = 100_000;

async fn known(tx: &mut Tx, key: Hash) -> Result<Option<Attempts>, Error> {
    let sql = "SELECT failures, last_at FROM attempts WHERE key = $1";
    let row = tx.row(sql, values![key]).await?;
    row.map(|row| {
        Ok(Attempts {
            failures: u32::try_from(row.count("failures")?).unwrap_or(u32::MAX),
            last_at: row.time("last_at")?,
        })
    })
    .transpose()
}

/// Counts an attempt on a key that is a hash of what it is about.
async fn count(
    tx: &mut Tx,
    key: Hash,
    attempts: Attempts,
    patience: Patience,
    new: bool,
) -> Result<(), Error> {
    if new {
        let now = attempts.last_at;
        let forgotten = now.saturating_sub(patience.forget).unwrap_or(now);
        // A few at a time: nobody pays for what others left behind.
        let old = "DELETE FROM attempts WHERE key IN
                   (SELECT key FROM attempts WHERE last_at <= $1 ORDER BY last_at LIMIT 100)";
        tx.run(old, values![forgotten]).await?;
        let over = "DELETE FROM attempts WHERE key IN (SELECT key FROM attempts ORDER BY last_at LIMIT 1)
                    AND (SELECT COUNT(*) FROM attempts) >= $1";
        tx.run(over, values![MAX_ATTEMPT_KEYS]).await?;
    }
    let sql = "INSERT INTO attempts (key, failures, last_at) VALUES ($1, $2, $3)
               ON CONFLICT (key) DO UPDATE SET failures = $2, last_at = $3";
    tx.run(sql, values![key, attempts.failures, attempts.last_at])
        .await?;
    Ok(())
}

impl Platform {
    /// Counts an attempt on all of the keys, unless one of them has to wait; then it says no and counts none.
    /// Whether an attempt goes well is not known yet: who sees that it does calls [`Platform::forgive`].
    pub async fn may_try(&self, keys: Vec<(Hash, Patience)>) -> Result<bool, Error> {
        let now = self.store.now();
        self.write(move |tx| {
            Box::pin(async move {
                let mut counted = Vec::with_capacity(keys.len());
                for (key, patience) in keys {
                    let before = known(tx, key).await?;
                    if !patience.allows(before, now) {
                        return Ok(false);
                    }
                    counted.push((key, patience.count(before, now), patience, before.is_none()));
                }
                for (key, attempts, patience, new) in counted {
                    count(tx, key, attempts, patience, new).await?;
                }
                Ok(true)
            })
        })
        .await
    }

    /// It went well: all is forgotten of `whole`, and one attempt of each of `one`.
    pub async fn forgive(&self, whole: Vec<Hash>, one: Vec<Hash>) -> Result<(), Error> {
        self.write(move |tx| {
            Box::pin(async move {
                for key in whole {
                    tx.run("DELETE FROM attempts WHERE key = $1", values![key])
                        .await?;
                }
                for key in one {
                    let sql = "UPDATE attempts SET failures = failures - 1 WHERE key = $1 AND failures > 0";
                    tx.run(sql, values![key]).await?;
                }
                Ok(())
            })
        })
        .await
    }
}
