//! An org's keys: the first one, a new one for everything, and destroying all of them.

use std::sync::Arc;

use creel_domain::{Act, OrgId};
use jiff::Timestamp;
use serde_json::json;

use super::{
    Tended,
    data_key::DataKey,
    encryption::Wrapped,
    own,
    reseal::{self, Scope},
    ring::{Ring, newest, still_newest},
};
use crate::{Error, Org, Platform, audit::record, events::append, rows::values, tx::Tx};

/// Orgs looked through at a time.
const ORGS: u32 = 500;

/// How an org's values are sealed.
#[derive(Debug, Clone)]
pub struct Rotation {
    /// The newest version; 0: nothing was sealed yet.
    pub key_version: u64,
    /// When it was made.
    pub since: Option<Timestamp>,
    /// Whether an older version is still there.
    pub rotating: bool,
    /// Values that are sealed with an older one.
    pub remaining: u64,
    /// Why it does not go on.
    pub problem: Option<Error>,
}

pub(super) async fn insert(
    tx: &mut Tx,
    org: OrgId,
    version: u64,
    wrapped: Wrapped,
    round: u64,
    own: u64,
    now: Timestamp,
) -> Result<(), Error> {
    let sql = "INSERT INTO org_keys (org_id, version, wrapped, wrapped_by, round, own, created_at)
               VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let values = values![org, version, wrapped.bytes, wrapped.by, round, own, now];
    let added = tx.run(sql, values).await;
    added.map(drop).map_err(|error| {
        if error.is_dangling() {
            Error::NotFound("org")
        } else {
            error
        }
    })
}

impl Ring {
    /// The key that seals from now on; made when there is none yet.
    pub(super) async fn sealing_key(&self, org: &Org) -> Result<Arc<DataKey>, Error> {
        let mut version = org.newest_key().await?;
        if version == 0 {
            self.add_org_key(org, 0, None).await?;
            version = org.newest_key().await?;
        }
        match self.org_key(org, version).await {
            // All of them were destroyed just now, and another one made.
            Err(Error::KeyGone) => {
                let version = org.newest_key().await?;
                self.org_key(org, version).await
            }
            outcome => outcome,
        }
    }

    /// Adds the version after `after`, unless somebody else was faster; whether it was added.
    pub(super) async fn add_org_key(&self, org: &Org, after: u64, act: Option<Act>) -> Result<bool, Error> {
        let (id, now, round) = (org.id, org.store.now(), self.round());
        let own = org.read(move |tx| Box::pin(own::find(tx, id))).await?;
        let revision = own.as_ref().map_or(0, |own| own.revision);
        let key = DataKey::make(id, after + 1)?;
        let vault = self.own_key(org, own.as_ref()).await?;
        let wrapped = self.wrap_within(vault.as_ref(), &key).await?;
        let within = if vault.is_some() { revision } else { 0 };
        org.write(move |tx| {
            Box::pin(async move {
                let unchanged = own::find(tx, id).await?.map_or(0, |own| own.revision) == revision;
                if newest(tx, id).await? != after || !unchanged {
                    return Ok(false);
                }
                insert(tx, id, after + 1, wrapped, round, within, now).await?;
                if let Some(act) = act {
                    let data = json!({ "key_version": after + 1 });
                    append(tx, id, "secrets.rotating", &id.to_string(), &data, now).await?;
                    record(tx, id, act.with("key_version", after + 1)).await?;
                }
                Ok(true)
            })
        })
        .await
    }
}

impl Org {
    /// Makes a new key; [`Org::tend_keys`] seals everything with it. One that is under way is joined.
    pub async fn rotate_keys(&self) -> Result<Rotation, Error> {
        // Fails here rather than later when the keys cannot be opened.
        let key = self.store.ring.sealing_key(self).await?;
        if !self.rotation().await?.rotating {
            let act = Act::new("secrets.rotate").on("org", self.id);
            self.store.ring.add_org_key(self, key.version, Some(act)).await?;
        }
        self.rotation().await
    }

    pub async fn rotation(&self) -> Result<Rotation, Error> {
        let org = self.id;
        let mut rotation = self
            .read(move |tx| {
                Box::pin(async move {
                    let sql =
                        "SELECT version, created_at FROM org_keys WHERE org_id = $1 ORDER BY version DESC";
                    let keys = tx.rows(sql, values![org]).await?;
                    let newest = keys.first().map_or(Ok(0), |row| row.count("version"))?;
                    Ok(Rotation {
                        key_version: newest,
                        since: keys.first().map(|row| row.time("created_at")).transpose()?,
                        rotating: keys.len() > 1,
                        remaining: reseal::remaining(tx, Scope::Org(org), newest).await?,
                        problem: None,
                    })
                })
            })
            .await?;
        if rotation.rotating {
            rotation.problem = self.store.ring.org_key(self, rotation.key_version).await.err();
        }
        Ok(rotation)
    }

    /// Seals a few older values with the newest key, in one transaction; in the end destroys the keys that nothing
    /// needs any more. What is done is in the rows: after a crash the next look goes on.
    pub async fn tend_keys(&self) -> Result<Tended, Error> {
        let (org, now) = (self.id, self.store.now());
        let scope = Scope::Org(org);
        let old = self.read(move |tx| {
            Box::pin(async move {
                let newest = newest(tx, org).await?;
                reseal::oldest(tx, scope, newest).await
            })
        });
        if old.await? {
            let key = self.store.ring.sealing_key(self).await?;
            if self.reseal(&key).await? {
                return Ok(Tended::More);
            }
        }
        self.write(move |tx| {
            Box::pin(async move {
                let newest = newest(tx, org).await?;
                if reseal::remaining(tx, scope, newest).await? > 0 {
                    // None of them opens.
                    return Ok(Tended::Idle);
                }
                let sql = "DELETE FROM org_keys WHERE org_id = $1 AND version < $2";
                if tx.run(sql, values![org, newest]).await? > 0 {
                    let data = json!({ "key_version": newest });
                    append(tx, org, "secrets.rotated", &org.to_string(), &data, now).await?;
                    let act = Act::new("secrets.rotated").on("org", org);
                    record(tx, org, act.with("key_version", newest)).await?;
                }
                Ok(Tended::Idle)
            })
        })
        .await
    }

    /// Gives everything up that the org's keys seal, and the keys, and its own key: nothing of it can be opened again.
    pub async fn destroy_keys(&self) -> Result<(), Error> {
        let (org, now, round) = (self.id, self.store.now(), self.store.ring.round());
        // Versions never begin anew: another control may hold an old key under its number.
        let before = self.newest_key().await?;
        let key = DataKey::make(org, before + 1)?;
        let wrapped = self.store.ring.wrap_within(None, &key).await?;
        self.write(move |tx| {
            Box::pin(async move {
                still_newest(tx, org, before).await?;
                for sql in [
                    "DELETE FROM secrets WHERE org_id = $1",
                    "UPDATE providers SET sealed_key = NULL WHERE org_id = $1",
                    "DELETE FROM org_keys WHERE org_id = $1",
                    "UPDATE own_keys SET address = NULL, mount = NULL, name = NULL, sealed_token = NULL,
                     revision = revision + 1 WHERE org_id = $1",
                ] {
                    tx.run(sql, values![org]).await?;
                }
                insert(tx, org, before + 1, wrapped, round, 0, now).await?;
                append(tx, org, "secrets.destroyed", &org.to_string(), &json!({}), now).await?;
                record(tx, org, Act::new("secrets.destroy").on("org", org)).await
            })
        })
        .await?;
        self.store.ring.close(org);
        Ok(())
    }
}

impl Platform {
    /// Orgs of which something has to be sealed anew or destroyed, by their ids; `after` is the last one before.
    pub async fn orgs_to_tend(&self, after: Option<OrgId>) -> Result<Vec<OrgId>, Error> {
        let after = after.map_or(uuid::Uuid::nil(), OrgId::uuid);
        self.read(move |tx| {
            Box::pin(async move {
                let sql = "SELECT org_id FROM org_keys WHERE org_id > $1 GROUP BY org_id HAVING COUNT(*) > 1
                           UNION SELECT org_id FROM providers
                           WHERE org_id > $1 AND key_version = 0 AND sealed_key IS NOT NULL
                           ORDER BY org_id LIMIT $2";
                let rows = tx.rows(sql, values![after, ORGS]).await?;
                rows.iter().map(|row| row.id("org_id")).collect()
            })
        })
        .await
    }
}
