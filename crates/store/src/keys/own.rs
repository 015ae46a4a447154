//! A key that an org keeps in a Vault of its own: within the master key's wrapping it wraps the org's keys as well, so
//! that nobody opens them without both.

use std::sync::Arc;

use creel_domain::{Act, OrgId, TransitKey};
use jiff::Timestamp;
use serde_json::json;
use zeroize::Zeroizing;

use super::{
    data_key::{DataKey, Sealed},
    encryption::{KeyEncryption, WrapError, Wrapped},
    ring::{Ring, WrappedKey},
    rotation,
};
use crate::{
    Error, Org,
    audit::record,
    events::append,
    rows::{self, values},
    tx::Tx,
};

/// A rotation of either key that comes in between is met a few times.
const TRIES: u32 = 4;
/// Wrapped and unwrapped before a key is relied on.
const PROBE: &[u8] = b"creel asks whether this key can be used";

/// An org's own key as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredOwnKey {
    pub key: TransitKey,
    pub changed_at: Timestamp,
    /// The user's id, or `platform`.
    pub changed_by: String,
}

pub(super) struct Row {
    pub(super) revision: u64,
    /// None: it was removed.
    pub(super) key: Option<Settings>,
    changed_at: Timestamp,
    changed_by: String,
}

pub(super) struct Settings {
    pub(super) key: TransitKey,
    pub(super) token: Sealed,
}

pub(super) fn place(org: OrgId) -> String {
    format!("own_keys/{org}/token")
}

pub(super) async fn find(tx: &mut Tx, org: OrgId) -> Result<Option<Row>, Error> {
    let sql = "SELECT revision, address, mount, name, sealed_token, key_version, changed_at, changed_by
               FROM own_keys WHERE org_id = $1";
    let row = tx.row(sql, values![org]).await?;
    row.as_ref().map(read).transpose()
}

fn read(row: &rows::Row) -> Result<Row, Error> {
    let key = match row.maybe_text("address")? {
        None => None,
        Some(address) => Some(Settings {
            key: TransitKey {
                address: address.to_owned(),
                mount: row.text("mount")?.to_owned(),
                name: row.text("name")?.to_owned(),
            },
            token: Sealed {
                key_version: row.count("key_version")?,
                bytes: row.maybe_bytes("sealed_token")?.unwrap_or_default().to_vec(),
            },
        }),
    };
    Ok(Row {
        revision: row.count("revision")?,
        key,
        changed_at: row.time("changed_at")?,
        changed_by: row.text("changed_by")?.to_owned(),
    })
}

impl Ring {
    /// Wraps a key by the org's own key, if there is one, and the result by the master key.
    pub(super) async fn wrap_within(
        &self,
        own: Option<&Arc<dyn KeyEncryption>>,
        key: &DataKey,
    ) -> Result<Wrapped, Error> {
        let plain = key.to_wrap();
        match own {
            None => self.wrap(&plain).await,
            Some(own) => {
                let inner = own.wrap(&plain).await.map_err(Error::OwnKey)?;
                self.wrap(&inner.bytes).await
            }
        }
    }
}

/// Whether the key really wraps and unwraps: a token that may do only one of them is found out now.
async fn probe(own: &Arc<dyn KeyEncryption>) -> Result<(), Error> {
    let wrapped = own.wrap(PROBE).await.map_err(Error::OwnKey)?;
    let plain = own.unwrap(&wrapped.by, &wrapped.bytes).await;
    if plain.map_err(Error::OwnKey)?.as_slice() == PROBE {
        Ok(())
    } else {
        Err(Error::OwnKey(WrapError::WrongKey { at: own.id() }))
    }
}

struct Change {
    own: Option<(TransitKey, Zeroizing<String>)>,
    act: Act,
    event: &'static str,
}

impl Org {
    pub async fn own_key(&self) -> Result<Option<StoredOwnKey>, Error> {
        let org = self.id;
        let row = self.read(move |tx| Box::pin(find(tx, org))).await?;
        Ok(row.and_then(|row| {
            Some(StoredOwnKey {
                key: row.key?.key,
                changed_at: row.changed_at,
                changed_by: row.changed_by,
            })
        }))
    }

    /// Asks the org's own key whether it can be used now.
    pub async fn probe_own_key(&self) -> Result<(), Error> {
        let org = self.id;
        let row = self.read(move |tx| Box::pin(find(tx, org))).await?;
        match self.store.ring.own_key(self, row.as_ref()).await? {
            Some(own) => probe(&own).await,
            None => Err(Error::NotFound("key of the org's own")),
        }
    }

    /// From now on nothing of the org's opens without this key. A new key of the org's is made and its values are
    /// sealed anew ([`Org::tend_keys`]): what an older backup holds does not open them.
    pub async fn set_own_key(&self, key: TransitKey, token: Zeroizing<String>) -> Result<(), Error> {
        let own = self.store.ring.vault(&key, token.clone())?;
        probe(&own).await?;
        let act = Act::new("own_key.set").on("org", self.id);
        let act = act.with("address", &key.address).with("key", &key.name);
        let change = Change {
            own: Some((key, token)),
            act,
            event: "own_key.set",
        };
        self.change_own_key(change, Some(own)).await
    }

    /// The master key alone wraps again. Needs the own key once more.
    pub async fn remove_own_key(&self) -> Result<(), Error> {
        if self.own_key().await?.is_none() {
            return Err(Error::NotFound("key of the org's own"));
        }
        let change = Change {
            own: None,
            act: Act::new("own_key.remove").on("org", self.id),
            event: "own_key.removed",
        };
        self.change_own_key(change, None).await
    }

    async fn change_own_key(&self, change: Change, own: Option<Arc<dyn KeyEncryption>>) -> Result<(), Error> {
        for _ in 0..TRIES {
            if self.try_own_key(&change, own.as_ref()).await? {
                return Ok(());
            }
        }
        Err(Error::Busy)
    }

    /// Wraps every key of the org anew and says so, in one transaction; false: somebody changed one of them meanwhile.
    async fn try_own_key(
        &self,
        change: &Change,
        own: Option<&Arc<dyn KeyEncryption>>,
    ) -> Result<bool, Error> {
        let (org, now, ring) = (self.id, self.store.now(), &self.store.ring);
        let (rows, revision) = self
            .read(move |tx| {
                Box::pin(async move {
                    let sql = "SELECT version, wrapped, wrapped_by FROM org_keys WHERE org_id = $1";
                    let rows = tx.rows(sql, values![org]).await?;
                    let rows = rows
                        .iter()
                        .map(WrappedKey::try_from)
                        .collect::<Result<Vec<_>, _>>()?;
                    Ok((rows, find(tx, org).await?.map_or(0, |own| own.revision)))
                })
            })
            .await?;
        let mut anew = Vec::new();
        for row in rows {
            // Whether it may be opened is asked again, not remembered.
            let key = match ring.open_org_key(self, row.version).await {
                // A rotation has just ended.
                Err(Error::KeyGone) => return Ok(false),
                opened => opened?,
            };
            let wrapped = ring.wrap_within(own, &key).await?;
            anew.push((row, wrapped));
        }
        let newest = anew.iter().map(|(row, _)| row.version).max().unwrap_or(0);
        let (round, mut fresh, mut settings) = (ring.round(), None, None);
        if let Some((key, token)) = &change.own {
            let next = DataKey::make(org, newest + 1)?;
            fresh = Some(ring.wrap_within(own, &next).await?);
            let sealed = self.store.platform().seal(org, &place(org), token)?;
            settings = Some((key.clone(), sealed));
        }
        let (act, event, by) = (change.act.clone(), change.event, self.who());
        let done = self
            .write(move |tx| {
                Box::pin(async move {
                    let before = find(tx, org).await?.map_or(0, |own| own.revision);
                    let sql = "SELECT COUNT(*) AS n FROM org_keys WHERE org_id = $1";
                    let there = tx
                        .row(sql, values![org])
                        .await?
                        .map_or(Ok(0), |row| row.count("n"))?;
                    if before != revision || there != anew.len() as u64 {
                        return Err(Error::KeyMoved);
                    }
                    let within = if settings.is_some() { revision + 1 } else { 0 };
                    for (row, wrapped) in anew {
                        let sql = "UPDATE org_keys SET wrapped = $1, wrapped_by = $2, round = $3, own = $4
                                   WHERE org_id = $5 AND version = $6 AND wrapped = $7";
                        let values = values![
                            wrapped.bytes,
                            wrapped.by,
                            round,
                            within,
                            org,
                            row.version,
                            row.wrapped
                        ];
                        if tx.run(sql, values).await? == 0 {
                            return Err(Error::KeyMoved);
                        }
                    }
                    if let Some(fresh) = fresh {
                        rotation::insert(tx, org, newest + 1, fresh, round, within, now).await?;
                    }
                    save(tx, org, revision + 1, settings, now, &by).await?;
                    append(tx, org, event, &org.to_string(), &json!({}), now).await?;
                    record(tx, org, act).await
                })
            })
            .await;
        match done {
            Ok(()) => {
                ring.close(org);
                Ok(true)
            }
            Err(Error::KeyMoved) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

async fn save(
    tx: &mut Tx,
    org: OrgId,
    revision: u64,
    settings: Option<(TransitKey, Sealed)>,
    now: Timestamp,
    by: &str,
) -> Result<(), Error> {
    let (address, mount, name, token, key_version) = match settings {
        Some((key, token)) => (
            Some(key.address),
            Some(key.mount),
            Some(key.name),
            Some(token.bytes),
            token.key_version,
        ),
        None => (None, None, None, None, 0),
    };
    let sql =
        "INSERT INTO own_keys (org_id, revision, address, mount, name, sealed_token, key_version, changed_at,
                                     changed_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
               ON CONFLICT (org_id) DO UPDATE SET revision = $2, address = $3, mount = $4, name = $5,
               sealed_token = $6, key_version = $7, changed_at = $8, changed_by = $9";
    let values = values![org, revision, address, mount, name, token, key_version, now, by];
    let saved = tx.run(sql, values).await;
    saved.map(drop).map_err(|error| {
        if error.is_dangling() {
            Error::NotFound("org")
        } else {
            error
        }
    })
}
