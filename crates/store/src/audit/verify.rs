//! Is the trail as it was written? Recomputes every hash and seal; the first fault is named.

use creel_domain::OrgId;

use super::{
    ChainKey, GENESIS, Hash, audit_hash,
    list::{COLUMNS, StoredEntry},
};
use crate::{
    Error, Org,
    keys::PlatformKeys,
    rows::{Row, values},
    tx::Tx,
};

/// Entries in memory at a time.
const PAGE: u32 = 1000;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditVerdict {
    /// Entries that are as they were written, up to the first fault.
    pub good: u64,
    /// Entries up to this one were removed because they were old.
    pub removed: u64,
    /// The newest entry, as the head has it.
    pub sequence: u64,
    pub hash: Hash,
    pub fault: Option<AuditFault>,
}

/// The first thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditFault {
    pub sequence: u64,
    pub kind: AuditFaultKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditFaultKind {
    /// A field of it is not what it was.
    Changed,
    /// It is not there.
    Missing,
    /// It stood in another place.
    OutOfOrder,
    /// It was not made by Creel, or without its key.
    Forged,
    /// From here on the end is missing.
    Cut,
    /// Where the trail ends is not what Creel wrote: something was cut off, or the head was changed.
    Head,
    /// Where the trail begins is not what Creel wrote.
    Beginning,
}

pub(super) struct Head {
    key: Option<ChainKey>,
    pub(super) sequence: u64,
    hash: Hash,
    seal: Hash,
    removed: u64,
    removed_hash: Hash,
    removed_seal: Hash,
}

impl Head {
    /// The keys have to be fresh: one that is not among them is nobody's.
    pub(super) fn read(row: &Row, keys: &PlatformKeys, org: OrgId) -> Result<Self, Error> {
        let hash = |column: &str| row.hash(column).unwrap_or_default();
        let key = match ChainKey::open(keys, org, &super::sealed_key(row)) {
            Err(Error::StaleKeys) => None,
            outcome => outcome?,
        };
        Ok(Self {
            key,
            sequence: row.count("sequence").unwrap_or_default(),
            hash: hash("hash"),
            seal: hash("seal"),
            removed: row.count("removed").unwrap_or_default(),
            removed_hash: hash("removed_hash"),
            removed_seal: hash("removed_seal"),
        })
    }
}

/// How far the look has come.
pub(super) struct Walk {
    org: OrgId,
    pub(super) head: Head,
    pub(super) last: u64,
    pub(super) hash: Hash,
    good: u64,
}

impl Walk {
    /// From where the trail begins; none when its beginning or its head is not what Creel wrote.
    pub(super) fn begin(org: OrgId, mut head: Head) -> Option<(Self, ChainKey)> {
        let key = head.key.take()?;
        let whole = key.removed(head.removed, &head.removed_hash) == head.removed_seal
            && key.head(head.sequence, &head.hash) == head.seal;
        let walk = Self {
            org,
            last: head.removed,
            hash: head.removed_hash,
            head,
            good: 0,
        };
        whole.then_some((walk, key))
    }

    fn fault(&self, sequence: u64, kind: AuditFaultKind) -> AuditVerdict {
        AuditVerdict {
            fault: Some(AuditFault { sequence, kind }),
            ..self.verdict()
        }
    }

    fn verdict(&self) -> AuditVerdict {
        AuditVerdict {
            good: self.good,
            removed: self.head.removed,
            sequence: self.head.sequence,
            hash: self.head.hash,
            fault: None,
        }
    }

    /// What is wrong with the next row, if anything.
    pub(super) fn step(&mut self, key: &ChainKey, row: &Row) -> Result<(), (u64, AuditFaultKind)> {
        let expected = self.last + 1;
        let sequence = row.count("sequence").unwrap_or_default();
        if sequence > expected {
            return Err((expected, AuditFaultKind::Missing));
        }
        if sequence < expected {
            // It is below the beginning.
            return Err((sequence, AuditFaultKind::OutOfOrder));
        }
        let Ok(stored) = StoredEntry::try_from(row) else {
            return Err((expected, AuditFaultKind::Changed));
        };
        let good = audit_hash(self.org, &stored.entry, &self.hash) == stored.hash
            && stored.previous == self.hash
            && key.mac(&stored.hash) == stored.mac;
        if !good {
            return Err((expected, self.what(key, stored)));
        }
        if sequence > self.head.sequence {
            return Err((sequence, AuditFaultKind::Head));
        }
        self.last = sequence;
        self.hash = stored.hash;
        self.good += 1;
        Ok(())
    }

    /// Names what is wrong with an entry.
    fn what(&self, key: &ChainKey, stored: StoredEntry) -> AuditFaultKind {
        let own = audit_hash(self.org, &stored.entry, &stored.previous) == stored.hash;
        let ours = key.mac(&stored.hash) == stored.mac;
        match (own, ours) {
            // Made by Creel, and whole, but after another entry than this.
            (true, true) => AuditFaultKind::OutOfOrder,
            (true, false) => AuditFaultKind::Forged,
            (false, true) if self.elsewhere(stored) => AuditFaultKind::OutOfOrder,
            (false, _) => AuditFaultKind::Changed,
        }
    }

    /// Whether the entry would be whole under another number.
    fn elsewhere(&self, mut stored: StoredEntry) -> bool {
        (self.head.removed + 1..=self.head.sequence).any(|sequence| {
            stored.entry.sequence = sequence;
            audit_hash(self.org, &stored.entry, &stored.previous) == stored.hash
        })
    }

    fn end(&self, key: &ChainKey) -> AuditVerdict {
        let head = &self.head;
        let sealed = key.head(head.sequence, &head.hash) == head.seal;
        if sealed && self.last < head.sequence {
            return self.fault(self.last + 1, AuditFaultKind::Cut);
        }
        if !sealed || self.hash != head.hash {
            return self.fault(self.last + 1, AuditFaultKind::Head);
        }
        self.verdict()
    }
}

async fn verify(tx: &mut Tx, org: OrgId, keys: &PlatformKeys) -> Result<AuditVerdict, Error> {
    let there = tx
        .row("SELECT 1 AS there FROM orgs WHERE id = $1", values![org])
        .await?;
    there.ok_or(Error::NotFound("org"))?;
    let row = tx
        .row("SELECT * FROM audit_heads WHERE org_id = $1", values![org])
        .await?;
    let Some(row) = row else {
        return Ok(AuditVerdict {
            good: 0,
            removed: 0,
            sequence: 0,
            hash: GENESIS,
            fault: Some(AuditFault {
                sequence: 1,
                kind: AuditFaultKind::Head,
            }),
        });
    };
    let mut head = Head::read(&row, keys, org)?;
    let key = head.key.take();
    let mut walk = Walk {
        org,
        last: head.removed,
        hash: head.removed_hash,
        head,
        good: 0,
    };
    let Some(key) = key else {
        return Ok(walk.fault(1, AuditFaultKind::Head));
    };
    if key.removed(walk.last, &walk.hash) != walk.head.removed_seal {
        return Ok(walk.fault(walk.last + 1, AuditFaultKind::Beginning));
    }
    let sql =
        format!("SELECT {COLUMNS} FROM audit WHERE org_id = $1 AND sequence > $2 ORDER BY sequence LIMIT $3");
    let mut after = i64::MIN;
    loop {
        let rows = tx.rows(&sql, values![org, after, PAGE]).await?;
        let Some(last) = rows.last() else {
            return Ok(walk.end(&key));
        };
        after = last.int("sequence")?;
        for row in &rows {
            if let Err((sequence, kind)) = walk.step(&key, row) {
                return Ok(walk.fault(sequence, kind));
            }
        }
    }
}

impl Org {
    /// Looks at the whole trail as it is at one moment.
    pub async fn verify_audit(&self) -> Result<AuditVerdict, Error> {
        let (org, keys) = (self.id, self.fresh_keys().await?);
        self.read(move |tx| Box::pin(async move { verify(tx, org, &keys).await }))
            .await
    }

    /// The platform's keys, those of other controls among them.
    pub(super) async fn fresh_keys(&self) -> Result<std::sync::Arc<PlatformKeys>, Error> {
        self.store.ring.refresh(&self.store.platform()).await?;
        Ok(self.store.ring.platform())
    }
}
