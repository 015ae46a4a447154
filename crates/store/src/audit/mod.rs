//! The audit trail: who did what in an org, in a chain that cannot be changed unnoticed.
//!
//! **To record an entry**, call [`record`] in the body that makes the change, so that both are one transaction:
//!
//! ```text
//! record(tx, org, Act::new("token.create").on("token", id).named(&name)).await?;
//! ```
//!
//! Who did it, from where and by which rule is known to the transaction: control gives it to the store once per
//! request, by [`Org::acting`] or [`Platform::acting`]; without that it was the platform itself. What happens
//! outside of the database (a command, a file) is recorded by [`Org::record`] before it is done. An action is
//! `noun.verb`; an entry holds names and ids, never a secret or a content. What was refused is not recorded
//! here but by control's `Refusals`, which bounds it.
//!
//! ```text
//! entry 1 ◀─ previous ─ entry 2 ◀─ previous ─ … ◀─ entry n ◀─ head: n, its hash, sealed
//!   hash, mac             hash, mac                 hash, mac
//! ```
//!
//! A hash is SHA-256 and needs no key, so that an export can be checked anywhere. The macs and the head's seal
//! are HMACs under a key of the org's that the master key seals: whoever can write the database but has no
//! master key can neither make an entry nor cut the end off. Why so is told in `docs/adr/0004-audit.md`.

mod chain;
mod list;
mod trim;
mod verify;

use std::sync::Arc;

use creel_domain::{Act, Actor, ActorKind, AuditEntry, OrgId, UserId};
use jiff::Timestamp;

use crate::{
    Error, Org, Platform,
    keys::{PlatformKeys, Sealed},
    rows::{Row, values},
    tx::Tx,
};

pub use chain::audit_hash;
pub(crate) use chain::{ChainKey, GENESIS, Hash, PLACE};
pub use list::{AuditFilter, StoredEntry};
pub use verify::{AuditFault, AuditFaultKind, AuditVerdict};

/// Orgs of one user in whose trails something about the user is told.
const ORGS_OF_USER: u32 = 100;

/// On whose behalf a transaction writes, and what is needed to say so.
#[derive(Clone)]
pub(crate) struct Acting {
    pub(crate) actor: Arc<Actor>,
    pub(crate) keys: Arc<PlatformKeys>,
    /// Whether they were read just now.
    pub(crate) refreshed: bool,
    pub(crate) at: Timestamp,
}

/// From here on the transaction acts in the name of a member, if nobody was known to act: they have just shown
/// who they are, by what `via` says.
pub(crate) async fn known_as(tx: &mut Tx, org: OrgId, user: UserId, via: &str) -> Result<(), Error> {
    if tx
        .acting
        .as_ref()
        .is_none_or(|acting| acting.actor.kind != ActorKind::Anonymous)
    {
        return Ok(());
    }
    let sql = "SELECT name FROM members WHERE org_id = $1 AND user_id = $2";
    let row = tx.row(sql, values![org, user]).await?;
    let name = row.map(|row| row.text("name").map(str::to_owned)).transpose()?;
    if let Some(acting) = &mut tx.acting {
        let actor = Arc::make_mut(&mut acting.actor);
        actor.kind = ActorKind::User;
        actor.id = user.to_string();
        actor.name = name.unwrap_or_default();
        actor.via = via.to_owned();
    }
    Ok(())
}

/// Appends an entry to the chain of each org that a user belongs to: it was done to them, and concerns all.
pub(crate) async fn record_for(tx: &mut Tx, user: UserId, act: Act) -> Result<(), Error> {
    let sql = "SELECT org_id FROM members WHERE user_id = $1 ORDER BY created_at, org_id LIMIT $2";
    let act = act.on("user", user);
    for row in tx.rows(sql, values![user, ORGS_OF_USER]).await? {
        let org = row.id("org_id")?;
        known_as(tx, org, user, "").await?;
        record(tx, org, act.clone()).await?;
    }
    Ok(())
}

fn acting(tx: &Tx) -> Result<Acting, Error> {
    let acting = tx.acting.clone();
    acting.ok_or_else(|| Error::Corrupt("a transaction in nobody's name".to_owned()))
}

/// Begins the chain of a new org, in the transaction that makes it.
pub(crate) async fn begin(tx: &mut Tx, org: OrgId) -> Result<(), Error> {
    let keys = acting(tx)?.keys;
    begin_with(tx, &keys, org).await
}

async fn begin_with(tx: &mut Tx, keys: &PlatformKeys, org: OrgId) -> Result<(), Error> {
    let (key, sealed) = ChainKey::make(keys, org)?;
    let sql = "INSERT INTO audit_heads (org_id, sealed_key, key_version, sequence, hash, seal, removed,
                                        removed_hash, removed_seal)
               VALUES ($1, $2, $6, 0, $3, $4, 0, $3, $5) ON CONFLICT DO NOTHING";
    let values = values![
        org,
        sealed.bytes,
        GENESIS,
        key.head(0, &GENESIS),
        key.removed(0, &GENESIS),
        sealed.key_version,
    ];
    tx.run(sql, values).await?;
    Ok(())
}

/// Begins the chains of orgs from before there was a trail.
pub(crate) async fn begin_all(tx: &mut Tx, keys: &PlatformKeys) -> Result<(), Error> {
    for row in tx.rows("SELECT id FROM orgs ORDER BY id", values![]).await? {
        begin_with(tx, keys, row.id("id")?).await?;
    }
    Ok(())
}

/// Appends an entry to the org's chain, in the transaction of what it tells of.
pub(crate) async fn record(tx: &mut Tx, org: OrgId, act: Act) -> Result<(), Error> {
    let Acting {
        actor,
        keys,
        refreshed,
        at,
    } = acting(tx)?;
    // The head's row is the lock that keeps the chain from forking, with however many controls.
    let sql = "UPDATE audit_heads SET sequence = sequence + 1 WHERE org_id = $1
               RETURNING sequence, hash, seal, sealed_key, key_version";
    let Some(row) = tx.row(sql, values![org]).await? else {
        return unsealed(tx, org, AuditEntry::new(0, at, (*actor).clone(), act)).await;
    };
    let head = Head::try_from(&row)?;
    let key = match ChainKey::open(&keys, org, &head.sealed_key) {
        // A version that nobody made.
        Err(Error::StaleKeys) if refreshed => None,
        outcome => outcome?,
    };
    let entry = AuditEntry::new(head.sequence, at, (*actor).clone(), act);
    let Some(key) = key.filter(|key| key.head(head.sequence - 1, &head.hash) == head.seal) else {
        return unsealed(tx, org, entry).await;
    };
    let hash = audit_hash(org, &entry, &head.hash);
    if !insert(tx, org, &entry, &head.hash, &hash, &key.mac(&hash)).await? {
        return unsealed(tx, org, entry).await;
    }
    let sql = "UPDATE audit_heads SET hash = $2, seal = $3 WHERE org_id = $1";
    let values = values![org, hash, key.head(entry.sequence, &hash)];
    tx.run(sql, values).await?;
    Ok(())
}

/// Somebody has meddled with the head: work goes on and is still recorded, but nothing is sealed any more, so
/// that it is found by whoever verifies.
async fn unsealed(tx: &mut Tx, org: OrgId, mut entry: AuditEntry) -> Result<(), Error> {
    let there = tx
        .row("SELECT 1 AS there FROM orgs WHERE id = $1", values![org])
        .await?;
    there.ok_or(Error::NotFound("org"))?;
    tracing::error!(%org, "the audit trail was tampered with: `creel audit verify` says where");
    let sql = "SELECT sequence, hash FROM audit WHERE org_id = $1 ORDER BY sequence DESC LIMIT 1";
    let last = tx.row(sql, values![org]).await?;
    let previous = last.as_ref().map_or(Ok(GENESIS), |row| row.hash("hash"))?;
    let last = last.map_or(Ok(0), |row| row.count("sequence"))?;
    entry.sequence = entry.sequence.max(last.saturating_add(1));
    let hash = audit_hash(org, &entry, &previous);
    insert(tx, org, &entry, &previous, &hash, &[0; 32]).await?;
    let sql = "UPDATE audit_heads SET sequence = $2, hash = $3, seal = $4 WHERE org_id = $1";
    tx.run(sql, values![org, entry.sequence, hash, [0_u8; 32]])
        .await?;
    Ok(())
}

/// False: something stands in its place.
async fn insert(
    tx: &mut Tx,
    org: OrgId,
    entry: &AuditEntry,
    previous: &Hash,
    hash: &Hash,
    mac: &Hash,
) -> Result<bool, Error> {
    let AuditEntry {
        sequence,
        at,
        actor,
        act,
    } = entry;
    let sql = "INSERT INTO audit (org_id, sequence, at, actor_kind, actor_id, actor_name, via, address, request, rule,
                                  action, target_kind, target, target_name, result, repeats, details,
                                  previous, hash, mac)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
               ON CONFLICT DO NOTHING";
    let values = values![
        org,
        *sequence,
        *at,
        actor.kind.as_str(),
        actor.id.as_str(),
        actor.name.as_str(),
        actor.via.as_str(),
        actor.address.as_str(),
        actor.request.as_str(),
        actor.rule.as_str(),
        act.action.as_str(),
        act.target_kind.as_str(),
        act.target.as_str(),
        act.target_name.as_str(),
        act.result.as_str(),
        act.repeats,
        serde_json::to_string(&act.details)?,
        *previous,
        *hash,
        *mac,
    ];
    Ok(tx.run(sql, values).await? == 1)
}

/// The org's key as it is stored; nonsense is one that does not open.
fn sealed_key(row: &Row) -> Sealed {
    let bytes = row.maybe_bytes("sealed_key").ok().flatten();
    Sealed {
        key_version: row.count("key_version").unwrap_or(u64::MAX),
        bytes: bytes.unwrap_or_default().to_vec(),
    }
}

struct Head {
    sequence: u64,
    hash: Hash,
    seal: Hash,
    sealed_key: Sealed,
}

impl TryFrom<&Row> for Head {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            // A number or hash that makes no sense is one that the seal is not good for.
            sequence: row.count("sequence").unwrap_or(0).max(1),
            hash: row.hash("hash").unwrap_or_default(),
            seal: row.hash("seal").unwrap_or_default(),
            sealed_key: sealed_key(row),
        })
    }
}

impl Org {
    /// The org again, for what `actor` does.
    pub fn acting(&self, actor: Arc<Actor>) -> Self {
        Self {
            actor,
            ..self.clone()
        }
    }

    /// Records what changes nothing in the database.
    pub async fn record(&self, act: Act) -> Result<(), Error> {
        let org = self.id;
        self.write(move |tx| Box::pin(record(tx, org, act))).await
    }
}

impl Platform {
    /// The platform again, for what `actor` does to an org.
    pub fn acting(&self, actor: Arc<Actor>) -> Self {
        Self {
            actor,
            ..self.clone()
        }
    }
}
