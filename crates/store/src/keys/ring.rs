//! The keys that are open: the platform's for as long as the process lives, each org's for minutes.
//!
//! ```text
//! master key ─wraps─▶ platform's keys ─seal─▶ second factors, signing keys, keys of audit trails, own keys' tokens
//!            ─wraps─▶ each org's keys ─seal─▶ its secrets and its providers' keys
//!                       └─ within, wrapped by the org's own key where it has one
//! ```
//!
//! Nothing can be written without the audit trail, whose keys the platform's keys seal: they stay open, so that a Vault
//! that is down for a while stops no work but what needs an org's secret.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, atomic::AtomicU64, atomic::Ordering},
    time::{Duration, Instant},
};

use creel_domain::OrgId;
use jiff::{SignedDuration, Timestamp};
use zeroize::Zeroizing;

use super::{
    data_key::{DataKey, Sealed},
    encryption::{KeyEncryption, NoOwnKeys, OwnKeys, WrapError, Wrapped},
    file::MasterKey,
    own,
};
use crate::{
    Error, Org, Platform,
    rows::{Row, values},
    tx::Tx,
};

/// How long an org's key stays open.
pub const KEY_OPEN_FOR: SignedDuration = SignedDuration::from_mins(5);
/// Orgs whose keys are open at a time; one more closes another's.
pub const MAX_OPEN_ORGS: usize = 1000;
/// A Vault that failed is not asked for the same org's keys again before.
const FAILED_FOR: Duration = Duration::from_secs(2);

/// What wraps from now on, what wrapped before, and how orgs' own keys are reached.
#[derive(Clone)]
pub struct MasterKeys {
    wraps: Arc<dyn KeyEncryption>,
    before: Vec<Arc<dyn KeyEncryption>>,
    /// Those of them that are files: the first releases derived keys from one.
    files: Vec<MasterKey>,
    own: Arc<dyn OwnKeys>,
}

impl From<MasterKey> for MasterKeys {
    fn from(file: MasterKey) -> Self {
        Self {
            wraps: Arc::new(file.clone()),
            before: Vec::new(),
            files: vec![file],
            own: Arc::new(NoOwnKeys),
        }
    }
}

impl MasterKeys {
    /// Wraps by something that is no file.
    pub fn by(wraps: Arc<dyn KeyEncryption>) -> Self {
        Self {
            wraps,
            before: Vec::new(),
            files: Vec::new(),
            own: Arc::new(NoOwnKeys),
        }
    }

    /// This one wrapped before; it opens what is not yet wrapped anew.
    pub fn before(mut self, before: Arc<dyn KeyEncryption>) -> Self {
        self.before.push(before);
        self
    }

    /// As [`Self::before`], for a file.
    pub fn before_file(mut self, file: MasterKey) -> Self {
        self.files.push(file.clone());
        self.before(Arc::new(file))
    }

    /// How orgs' own keys are reached.
    pub fn own_keys(mut self, own: Arc<dyn OwnKeys>) -> Self {
        self.own = own;
        self
    }
}

/// The platform's keys, open.
pub(crate) struct PlatformKeys {
    keys: BTreeMap<u64, Arc<DataKey>>,
    files: Vec<MasterKey>,
}

impl PlatformKeys {
    pub(crate) fn newest(&self) -> u64 {
        self.keys.last_key_value().map_or(0, |(version, _)| *version)
    }

    /// `org`: whose value it is; [`crate::store::NOBODY`]: the platform's own.
    pub(crate) fn seal(&self, org: OrgId, place: &str, value: &str) -> Result<Sealed, Error> {
        let (_, key) = self.keys.last_key_value().ok_or(Error::WrongKey)?;
        key.seal(org, place, value)
    }

    pub(crate) fn open(
        &self,
        org: OrgId,
        place: &str,
        key_version: u64,
        sealed: &[u8],
    ) -> Result<Zeroizing<String>, Error> {
        if key_version == 0 {
            return derived(&self.files, org, place, sealed);
        }
        let key = self.keys.get(&key_version).ok_or(Error::StaleKeys)?;
        key.open(org, place, sealed)
    }
}

/// Opens what was sealed before there were keys for it.
fn derived(files: &[MasterKey], org: OrgId, place: &str, sealed: &[u8]) -> Result<Zeroizing<String>, Error> {
    let tried = files.iter().map(|file| file.open_derived(org, place, sealed));
    let unknown = || {
        Err(Error::MasterKey(WrapError::Unknown {
            by: "master.key".to_owned(),
        }))
    };
    tried.reduce(Result::or).unwrap_or_else(unknown)
}

/// An org's keys that are open.
#[derive(Default)]
struct Slot(tokio::sync::Mutex<Opened>);

#[derive(Default)]
struct Opened {
    keys: HashMap<u64, Held>,
    failed: Option<(Instant, Error)>,
}

struct Held {
    key: Arc<DataKey>,
    since: Instant,
    at: Timestamp,
}

impl Held {
    /// By both clocks: neither one that jumps nor one that stands still makes it live longer.
    fn is_good(&self, now: Timestamp) -> bool {
        let age = now.duration_since(self.at);
        self.since.elapsed() < KEY_OPEN_FOR.unsigned_abs()
            && SignedDuration::ZERO <= age
            && age < KEY_OPEN_FOR
    }
}

pub(crate) struct Ring {
    pub(super) masters: MasterKeys,
    platform: RwLock<Arc<PlatformKeys>>,
    /// The round of exchanging the master key that is under way or was the last.
    round: AtomicU64,
    refreshing: tokio::sync::Mutex<()>,
    orgs: Mutex<HashMap<OrgId, Arc<Slot>>>,
}

/// A row of `org_keys` or `platform_keys`.
#[derive(Clone)]
pub(super) struct WrappedKey {
    pub(super) version: u64,
    pub(super) wrapped: Vec<u8>,
    pub(super) by: String,
}

impl TryFrom<&Row> for WrappedKey {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            version: row.count("version")?,
            wrapped: row.maybe_bytes("wrapped")?.unwrap_or_default().to_vec(),
            by: row.text("wrapped_by")?.to_owned(),
        })
    }
}

impl Ring {
    pub(crate) fn new(masters: MasterKeys) -> Self {
        let files = masters.files.clone();
        Self {
            masters,
            platform: RwLock::new(Arc::new(PlatformKeys {
                keys: BTreeMap::new(),
                files,
            })),
            round: AtomicU64::new(0),
            refreshing: tokio::sync::Mutex::default(),
            orgs: Mutex::default(),
        }
    }

    pub(crate) fn platform(&self) -> Arc<PlatformKeys> {
        Arc::clone(&self.platform.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn round(&self) -> u64 {
        self.round.load(Ordering::Relaxed)
    }

    /// What of the first releases still has to be sealed anew needs one of the files.
    pub(super) fn has_file(&self) -> bool {
        !self.masters.files.is_empty()
    }

    /// Reads which keys the platform has by now, and opens those that are new.
    pub(crate) async fn refresh(&self, platform: &Platform) -> Result<(), Error> {
        let _one = self.refreshing.lock().await;
        let (rows, round) = platform
            .read(|tx| {
                Box::pin(async move {
                    let sql = "SELECT version, wrapped, wrapped_by FROM platform_keys ORDER BY version";
                    let rows = tx.rows(sql, values![]).await?;
                    let sql = "SELECT round FROM master_key";
                    let round = tx.row(sql, values![]).await?;
                    Ok((rows, round.map_or(Ok(0), |row| row.count("round"))?))
                })
            })
            .await?;
        let before = self.platform();
        let mut keys = BTreeMap::new();
        for row in &rows {
            let row = WrappedKey::try_from(row)?;
            let key = match before.keys.get(&row.version) {
                Some(key) => Arc::clone(key),
                None => {
                    let plain = self.unwrap(&row).await?;
                    Arc::new(DataKey::unwrapped(crate::store::NOBODY, row.version, &plain)?)
                }
            };
            keys.insert(row.version, key);
        }
        let files = before.files.clone();
        *self.platform.write().unwrap_or_else(PoisonError::into_inner) =
            Arc::new(PlatformKeys { keys, files });
        self.round.store(round, Ordering::Relaxed);
        Ok(())
    }

    /// Whatever wraps or wrapped, and knows that key.
    pub(super) async fn who_knows(&self, by: &str) -> Result<&Arc<dyn KeyEncryption>, Error> {
        let find = || {
            std::iter::once(&self.masters.wraps)
                .chain(&self.masters.before)
                .find(|one| one.knows(by))
        };
        if let Some(found) = find() {
            return Ok(found);
        }
        // Another control may have exchanged a file that both have.
        self.masters.wraps.reload().await.map_err(Error::MasterKey)?;
        let unknown = || Error::MasterKey(WrapError::Unknown { by: by.to_owned() });
        find().ok_or_else(unknown)
    }

    /// Takes the master key's wrapping off.
    pub(super) async fn unwrap(&self, row: &WrappedKey) -> Result<Zeroizing<Vec<u8>>, Error> {
        let who = self.who_knows(&row.by).await?;
        who.unwrap(&row.by, &row.wrapped).await.map_err(Error::MasterKey)
    }

    pub(super) async fn wrap(&self, plain: &[u8]) -> Result<Wrapped, Error> {
        self.masters.wraps.wrap(plain).await.map_err(Error::MasterKey)
    }

    /// A new wrapping by the newest version of what wraps now.
    pub(super) async fn rewrap(&self, row: &WrappedKey) -> Result<Wrapped, Error> {
        if self.masters.wraps.knows(&row.by) {
            let again = self.masters.wraps.rewrap(&row.by, &row.wrapped).await;
            return again.map_err(Error::MasterKey);
        }
        self.wrap(&self.unwrap(row).await?).await
    }

    fn orgs(&self) -> MutexGuard<'_, HashMap<OrgId, Arc<Slot>>> {
        self.orgs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slot(&self, org: OrgId) -> Arc<Slot> {
        let mut orgs = self.orgs();
        if orgs.len() >= MAX_OPEN_ORGS
            && !orgs.contains_key(&org)
            && let Some(other) = orgs.keys().next().copied()
        {
            orgs.remove(&other);
        }
        Arc::clone(orgs.entry(org).or_default())
    }

    /// Closes what was open long enough.
    pub(crate) fn sweep(&self, now: Timestamp) {
        self.orgs().retain(|_, slot| match slot.0.try_lock() {
            Ok(mut opened) => {
                opened.keys.retain(|_, held| held.is_good(now));
                !opened.keys.is_empty()
            }
            // Somebody is at it.
            Err(_) => true,
        });
    }

    /// Closes an org's keys: the next who needs one asks again.
    pub(super) fn close(&self, org: OrgId) {
        self.orgs().remove(&org);
    }

    /// An org's key, open. Of many who want it at once, one asks and all get the answer.
    pub(super) async fn org_key(&self, org: &Org, version: u64) -> Result<Arc<DataKey>, Error> {
        let slot = self.slot(org.id);
        let mut opened = slot.0.lock().await;
        let now = org.store.now();
        if let Some(held) = opened.keys.get(&version)
            && held.is_good(now)
        {
            return Ok(Arc::clone(&held.key));
        }
        if let Some((at, error)) = &opened.failed
            && at.elapsed() < FAILED_FOR
        {
            return Err(error.clone());
        }
        let since = Instant::now();
        let key = match self.open_org_key(org, version).await {
            Ok(key) => Arc::new(key),
            Err(error) => {
                if matches!(error, Error::MasterKey(_) | Error::OwnKey(_)) {
                    opened.failed = Some((Instant::now(), error.clone()));
                }
                opened.keys.remove(&version);
                return Err(error);
            }
        };
        opened.failed = None;
        let held = Held {
            key: Arc::clone(&key),
            since,
            at: now,
        };
        opened.keys.insert(version, held);
        Ok(key)
    }

    /// As [`Self::org_key`], asking again whether it may be opened.
    pub(super) async fn open_org_key(&self, org: &Org, version: u64) -> Result<DataKey, Error> {
        let id = org.id;
        let (row, own) = org
            .read(move |tx| {
                Box::pin(async move {
                    let sql = "SELECT version, wrapped, wrapped_by, own FROM org_keys
                               WHERE org_id = $1 AND version = $2";
                    let row = tx.row(sql, values![id, version]).await?;
                    Ok((row.ok_or(Error::KeyGone)?, own::find(tx, id).await?))
                })
            })
            .await?;
        let inner = self.unwrap(&WrappedKey::try_from(&row)?).await?;
        if row.count("own")? == 0 {
            return DataKey::unwrapped(id, version, &inner);
        }
        let vault = self.own_key(org, own.as_ref()).await?.ok_or(Error::KeyGone)?;
        let plain = vault.unwrap(&vault.id(), &inner).await.map_err(Error::OwnKey)?;
        DataKey::unwrapped(id, version, &plain)
    }

    /// What speaks to the org's own Vault; none: it has no key of its own.
    pub(super) async fn own_key(
        &self,
        org: &Org,
        own: Option<&own::Row>,
    ) -> Result<Option<Arc<dyn KeyEncryption>>, Error> {
        let Some(own::Row { key: Some(own), .. }) = own else {
            return Ok(None);
        };
        let place = own::place(org.id);
        let platform = org.store.platform();
        let token = platform
            .open_sealed(org.id, &place, own.token.key_version, &own.token.bytes)
            .await?;
        let vault = self.masters.own.at(&own.key, token).map_err(Error::OwnKey)?;
        Ok(Some(vault))
    }

    pub(super) fn vault(
        &self,
        key: &creel_domain::TransitKey,
        token: Zeroizing<String>,
    ) -> Result<Arc<dyn KeyEncryption>, Error> {
        self.masters.own.at(key, token).map_err(Error::OwnKey)
    }

    pub(super) fn derived(&self, org: OrgId, place: &str, sealed: &[u8]) -> Result<Zeroizing<String>, Error> {
        derived(&self.masters.files, org, place, sealed)
    }

    pub(super) fn wraps(&self) -> &Arc<dyn KeyEncryption> {
        &self.masters.wraps
    }

    pub(super) async fn knows_all(&self, ids: &BTreeSet<String>) -> Result<(), Error> {
        for id in ids {
            self.who_knows(id).await?;
        }
        Ok(())
    }
}

/// Fails when a newer key is there by now: what was sealed with this one may be left behind by a rotation.
pub(crate) async fn still_newest(tx: &mut Tx, org: OrgId, key_version: u64) -> Result<(), Error> {
    if newest(tx, org).await? == key_version {
        Ok(())
    } else {
        Err(Error::KeyMoved)
    }
}

/// 0: there is none yet.
pub(super) async fn newest(tx: &mut Tx, org: OrgId) -> Result<u64, Error> {
    let sql = "SELECT COALESCE(MAX(version), 0) AS version FROM org_keys WHERE org_id = $1";
    let row = tx.row(sql, values![org]).await?;
    row.map_or(Ok(0), |row| row.count("version"))
}
