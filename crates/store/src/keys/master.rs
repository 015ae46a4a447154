//! Exchanging the master key while everything goes on: every key is wrapped anew, and the platform's values are sealed
//! with a new key.

use std::sync::Arc;

use creel_domain::{Act, OrgId};
use jiff::{SignedDuration, Timestamp};

use super::{
    Tended,
    begin::{Outdated, in_use, still_derived, unwrapped},
    data_key::DataKey,
    encryption::Wrapped,
    reseal::{self, Scope},
};
use crate::{Error, Platform, audit::record, rows::values, store::NOBODY, tx::Tx};

/// Keys wrapped anew at a time.
const BATCH: u32 = 50;
/// A key of the platform that nothing needs is kept so long beside its successor: another control may just be
/// sealing with it, and hears of the new one within a minute.
const KEPT: SignedDuration = SignedDuration::from_mins(10);

/// The master key, and how far its last exchange has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MasterKeyState {
    /// Which one wraps: `file:…` or `vault:…`.
    pub id: String,
    pub began_at: Timestamp,
    /// None: under way.
    pub finished_at: Option<Timestamp>,
    /// Keys that are not yet wrapped anew, and values of the platform that are not yet sealed anew.
    pub remaining: u64,
}

#[derive(Clone)]
struct Round {
    round: u64,
    by: String,
    began_at: Timestamp,
    finished_at: Option<Timestamp>,
}

async fn round(tx: &mut Tx) -> Result<Round, Error> {
    let sql = "SELECT round, wrapped_by, began_at, finished_at FROM master_key";
    let row = tx.row(sql, values![]).await?;
    let row = row.ok_or_else(|| Error::Corrupt("no master key is named".to_owned()))?;
    Ok(Round {
        round: row.count("round")?,
        by: row.text("wrapped_by")?.to_owned(),
        began_at: row.time("began_at")?,
        finished_at: row.maybe_time("finished_at")?,
    })
}

/// A new round, and a new key of the platform after `newest`, unless somebody else was faster.
async fn next_round(tx: &mut Tx, newest: u64, wrapped: Wrapped, now: Timestamp) -> Result<bool, Error> {
    let sql = "SELECT COALESCE(MAX(version), 0) AS version FROM platform_keys";
    let there = tx
        .row(sql, values![])
        .await?
        .map_or(Ok(0), |row| row.count("version"))?;
    if there != newest {
        return Ok(false);
    }
    let sql = "UPDATE master_key SET round = round + 1, wrapped_by = $1, began_at = $2, finished_at = NULL";
    tx.run(sql, values![wrapped.by.as_str(), now]).await?;
    let sql = "INSERT INTO platform_keys (version, wrapped, wrapped_by, round, created_at)
               SELECT $1, $2, $3, round, $4 FROM master_key";
    let values = values![newest + 1, wrapped.bytes, wrapped.by, now];
    tx.run(sql, values).await?;
    Ok(true)
}

impl Platform {
    /// Where another master key was given than wrapped before, everything is to be wrapped by it.
    pub(super) async fn follow_master(&self) -> Result<(), Error> {
        let named = self.read(|tx| Box::pin(round(tx))).await?;
        if named.by != self.store.ring.wraps().id() {
            tracing::info!(
                from = named.by,
                to = self.store.ring.wraps().id(),
                "the master key is another one"
            );
            self.begin_round(None).await?;
        }
        Ok(())
    }

    async fn begin_round(&self, teller: Option<OrgId>) -> Result<(), Error> {
        let (ring, now) = (&self.store.ring, self.store.now());
        let newest = ring.platform().newest();
        let key = DataKey::make(NOBODY, newest + 1)?;
        let wrapped = ring.wrap(&key.to_wrap()).await?;
        self.write(move |tx| {
            Box::pin(async move {
                let by = wrapped.by.clone();
                if next_round(tx, newest, wrapped, now).await?
                    && let Some(org) = teller
                {
                    let act = Act::new("master_key.rotate").on("master_key", &by);
                    record(tx, org, act).await?;
                }
                Ok(())
            })
        })
        .await?;
        ring.refresh(self).await
    }

    /// Begins to exchange the master key; [`Platform::tend_master_key`] does it. Told in the trail of `teller`.
    pub async fn rotate_master_key(&self, teller: OrgId) -> Result<MasterKeyState, Error> {
        // Another control may have begun.
        self.store.ring.refresh(self).await?;
        if self.master_key().await?.finished_at.is_some() {
            self.store.ring.wraps().renew().await.map_err(Error::MasterKey)?;
            self.begin_round(Some(teller)).await?;
        }
        self.master_key().await
    }

    pub async fn master_key(&self) -> Result<MasterKeyState, Error> {
        let newest = self.store.ring.platform().newest();
        self.read(move |tx| {
            Box::pin(async move {
                let Round {
                    round,
                    by,
                    began_at,
                    finished_at,
                } = round(tx).await?;
                let mut remaining = reseal::remaining(tx, Scope::Platform, newest).await?;
                for table in ["platform_keys", "org_keys"] {
                    let sql =
                        format!("SELECT COUNT(*) AS n FROM {table} WHERE round < $1 OR wrapped_by <> $2");
                    let row = tx.row(&sql, values![round, by.as_str()]).await?;
                    remaining += row.map_or(Ok(0), |row| row.count("n"))?;
                }
                Ok(MasterKeyState {
                    id: by,
                    began_at,
                    finished_at,
                    remaining,
                })
            })
        })
        .await
    }

    /// Wraps a few keys anew, or seals a few values of the platform anew. After a crash the next look goes on.
    pub async fn tend_master_key(&self) -> Result<Tended, Error> {
        let ring = Arc::clone(&self.store.ring);
        ring.refresh(self).await?;
        ring.sweep(self.store.now());
        let by = ring.wraps().id();
        let (named, old) = self
            .read(move |tx| {
                Box::pin(async move {
                    let named = round(tx).await?;
                    let old = unwrapped(tx, &named.by, named.round, BATCH).await?;
                    Ok((named, old))
                })
            })
            .await?;
        if named.by != by {
            // Another control was given another master key: whoever was named last wraps. Unless it is an older one of
            // the same file: then somebody died between making the newer one and saying so.
            if !ring.wraps().knows(&named.by) {
                return Ok(Tended::Idle);
            }
            self.begin_round(None).await?;
            return Ok(Tended::More);
        }
        if !old.is_empty() {
            for outdated in old {
                let wrapped = ring.rewrap(&outdated.key).await?;
                self.replace_wrapping(outdated, wrapped, named.round).await?;
            }
            return Ok(Tended::More);
        }
        if self.reseal().await? {
            return Ok(Tended::More);
        }
        self.end_round(named).await?;
        Ok(Tended::Idle)
    }

    async fn replace_wrapping(&self, old: Outdated, wrapped: Wrapped, round: u64) -> Result<(), Error> {
        self.write_one(move |tx| {
            Box::pin(async move {
                let Outdated { org, key } = &old;
                let (bytes, by) = (wrapped.bytes, wrapped.by);
                let values = values![bytes, by, round, key.version, key.wrapped.clone()];
                match org {
                    None => {
                        let sql = "UPDATE platform_keys SET wrapped = $1, wrapped_by = $2, round = $3
                                   WHERE version = $4 AND wrapped = $5";
                        tx.run(sql, values).await?;
                    }
                    Some(org) => {
                        let sql = "UPDATE org_keys SET wrapped = $1, wrapped_by = $2, round = $3
                                   WHERE version = $4 AND wrapped = $5 AND org_id = $6";
                        let [a, b, c, d, e] = values.clone();
                        tx.run(sql, &[a, b, c, d, e, (*org).into()]).await?;
                    }
                }
                Ok(())
            })
        })
        .await
    }

    /// Destroys what nothing needs any more, and says that it is done.
    async fn end_round(&self, named: Round) -> Result<(), Error> {
        let keys = self.read(|tx| {
            Box::pin(async move {
                let sql = "SELECT COUNT(*) AS n FROM platform_keys";
                tx.row(sql, values![]).await?.map_or(Ok(0), |row| row.count("n"))
            })
        });
        let now = self.store.now();
        if keys.await? < 2 && named.finished_at.is_some() {
            return Ok(());
        }
        let long_ago = now.saturating_sub(KEPT).unwrap_or(now);
        let (by, finished) = (named.by.clone(), named.finished_at.is_some());
        let (ids, derived, ended) = self
            .write(move |tx| {
                Box::pin(async move {
                    let newest = "(SELECT MAX(version) FROM platform_keys)";
                    let sql = format!(
                        "SELECT {newest} AS version, created_at FROM platform_keys WHERE version = {newest}"
                    );
                    let row = tx.row(&sql, values![]).await?;
                    if let Some(row) = row
                        && row.time("created_at")? < long_ago
                        && reseal::remaining(tx, Scope::Platform, row.count("version")?).await? == 0
                    {
                        let sql = "DELETE FROM platform_keys WHERE version < $1";
                        tx.run(sql, values![row.count("version")?]).await?;
                    }
                    let ended = unwrapped(tx, &named.by, named.round, 1).await?.is_empty();
                    if ended {
                        let sql =
                            "UPDATE master_key SET finished_at = $1 WHERE round = $2 AND finished_at IS NULL";
                        tx.run(sql, values![now, named.round]).await?;
                    }
                    Ok((in_use(tx).await?, still_derived(tx).await?, ended))
                })
            })
            .await?;
        if !ended || derived {
            return Ok(());
        }
        // What was given as the master key before is needed no more; of a file, its older keys.
        let ids: Vec<_> = ids.into_iter().collect();
        let wraps = self.store.ring.wraps();
        if wraps.has_older(&ids) {
            wraps.keep_only(&ids).await.map_err(Error::MasterKey)?;
        }
        if !finished {
            tracing::info!(by, "everything is wrapped by the master key");
        }
        Ok(())
    }
}
