//! What is done with the keys when a store is opened: the first ones are made, and those that there are have to open.

use std::collections::BTreeSet;

use super::{
    data_key::DataKey,
    encryption::WrapError,
    reseal::{self, Scope},
    ring::{PlatformKeys, WrappedKey},
};
use crate::{Error, Platform, audit, rows::values, store::NOBODY, tx::Tx};

/// What the word is sealed to that opens with the right keys and with no others.
pub(super) const CHECK: &str = "key_check/sealed";
/// The word. It also says that each org has an audit trail: from then on, one without was tampered with.
const WORD: &str = "creel, audited";

impl Platform {
    /// Fails where the master key is not the one that this database was made with, or cannot be asked.
    pub(crate) async fn begin_keys(&self) -> Result<(), Error> {
        let ring = &self.store.ring;
        ring.refresh(self).await.map_err(lost)?;
        if ring.platform().newest() == 0 {
            self.first_key().await?;
            ring.refresh(self).await.map_err(lost)?;
        }
        let keys = ring.platform();
        let (ids, derived) = self
            .write(move |tx| {
                Box::pin(async move {
                    check(tx, &keys).await?;
                    let ids = in_use(tx).await?;
                    Ok((ids, still_derived(tx).await?))
                })
            })
            .await?;
        ring.knows_all(&ids).await.map_err(lost)?;
        if derived && !ring.has_file() {
            let by = "master.key".to_owned();
            return Err(Error::MasterKey(WrapError::Unknown { by }));
        }
        self.follow_master().await
    }

    /// Makes the platform's first key. Before, what was sealed by the first releases has to open: otherwise a lost file
    /// would be replaced by a new one, and that noticed only when a value is needed.
    async fn first_key(&self) -> Result<(), Error> {
        let ring = &self.store.ring;
        let found =
            self.read(|tx| Box::pin(async move { tx.row("SELECT sealed FROM key_check", values![]).await }));
        if let Some(row) = found.await? {
            ring.derived(NOBODY, CHECK, row.maybe_bytes("sealed")?.unwrap_or_default())?;
        }
        let key = DataKey::make(NOBODY, 1)?;
        let wrapped = ring.wrap(&key.to_wrap()).await?;
        let now = self.store.now();
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "INSERT INTO platform_keys (version, wrapped, wrapped_by, round, created_at)
                           VALUES (1, $1, $2, 1, $3) ON CONFLICT DO NOTHING";
                tx.run(sql, values![wrapped.bytes, wrapped.by.as_str(), now])
                    .await?;
                let sql = "INSERT INTO master_key (id, wrapped_by, round, began_at, finished_at)
                           VALUES (1, $1, 1, $2, $2) ON CONFLICT DO NOTHING";
                tx.run(sql, values![wrapped.by.as_str(), now]).await.map(drop)
            })
        })
        .await
    }
}

/// A file that is not the right one is called so.
fn lost(error: Error) -> Error {
    match error {
        Error::MasterKey(WrapError::Unknown { by }) if by.starts_with("file:") => Error::WrongKey,
        error => error,
    }
}

async fn check(tx: &mut Tx, keys: &PlatformKeys) -> Result<(), Error> {
    let sealed = keys.seal(NOBODY, CHECK, WORD)?;
    let values = values![sealed.bytes, sealed.key_version];
    let sql = "SELECT sealed, key_version FROM key_check";
    match tx.row(sql, values![]).await? {
        Some(row) => {
            let bytes = row.maybe_bytes("sealed")?.unwrap_or_default();
            let word = keys.open(NOBODY, CHECK, row.count("key_version")?, bytes)?;
            if *word != WORD {
                audit::begin_all(tx, keys).await?;
                let sql = "UPDATE key_check SET sealed = $1, key_version = $2";
                tx.run(sql, values).await?;
            }
        }
        None => {
            let sql = "INSERT INTO key_check (sealed, key_version) VALUES ($1, $2)";
            tx.run(sql, values).await?;
        }
    }
    Ok(())
}

/// Which master keys wrapped what there is.
pub(super) async fn in_use(tx: &mut Tx) -> Result<BTreeSet<String>, Error> {
    let sql = "SELECT DISTINCT wrapped_by FROM platform_keys UNION SELECT DISTINCT wrapped_by FROM org_keys";
    let rows = tx.rows(sql, values![]).await?;
    rows.iter()
        .map(|row| row.text("wrapped_by").map(str::to_owned))
        .collect()
}

/// Whether anything is sealed as the first releases did.
pub(super) async fn still_derived(tx: &mut Tx) -> Result<bool, Error> {
    if reseal::remaining(tx, Scope::Platform, 1).await? > 0 {
        return Ok(true);
    }
    let sql = "SELECT 1 AS one FROM providers WHERE key_version = 0 AND sealed_key IS NOT NULL LIMIT 1";
    Ok(tx.row(sql, values![]).await?.is_some())
}

/// Keys that this round has not wrapped anew.
pub(super) async fn unwrapped(tx: &mut Tx, by: &str, round: u64, limit: u32) -> Result<Vec<Outdated>, Error> {
    let mut found = Vec::new();
    for (table, org) in [("platform_keys", "NULL"), ("org_keys", "org_id")] {
        let sql = format!(
            "SELECT {org} AS org_id, version, wrapped, wrapped_by FROM {table}
             WHERE round < $1 OR wrapped_by <> $2 ORDER BY version LIMIT $3"
        );
        for row in tx.rows(&sql, values![round, by, limit]).await? {
            found.push(Outdated {
                org: row.maybe_id("org_id")?,
                key: WrappedKey::try_from(&row)?,
            });
        }
    }
    Ok(found)
}

#[derive(Clone)]
pub(super) struct Outdated {
    /// None: it is the platform's.
    pub(super) org: Option<creel_domain::OrgId>,
    pub(super) key: WrappedKey,
}
