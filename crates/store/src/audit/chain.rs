//! The arithmetic of the chain: hashes that anybody can recompute, and seals that need the org's key.

use aws_lc_rs::{digest, hmac, rand};
use creel_domain::{AuditEntry, OrgId};
use zeroize::Zeroizing;

use crate::{
    Error, WrapError,
    keys::{PlatformKeys, Sealed},
};

pub(crate) type Hash = [u8; 32];

/// What the first entry's `previous` is.
pub(crate) const GENESIS: Hash = [0; 32];
/// What the org's key is sealed to.
pub(crate) const PLACE: &str = "audit_heads/key";

/// An entry's hash, which covers the entry before it. What is hashed is told at [`AuditEntry::bytes`].
pub fn audit_hash(org: OrgId, entry: &AuditEntry, previous: &Hash) -> Hash {
    let digest = digest::digest(&digest::SHA256, &entry.bytes(org, previous));
    let mut hash = [0; 32];
    hash.copy_from_slice(digest.as_ref());
    hash
}

/// One org's key to its chain: 256 random bits, kept sealed by the platform's key: an org's own key that is disabled
/// does not stop its trail.
pub(crate) struct ChainKey {
    org: OrgId,
    key: hmac::Key,
}

impl ChainKey {
    /// A new key, as it is stored.
    pub(crate) fn make(keys: &PlatformKeys, org: OrgId) -> Result<(Self, Sealed), Error> {
        let mut bytes = Zeroizing::new([0_u8; 32]);
        rand::fill(bytes.as_mut_slice()).map_err(|_| Error::WrongKey)?;
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let hex = Zeroizing::new(hex);
        let sealed = keys.seal(org, PLACE, &hex)?;
        Ok((Self::of(org, &hex), sealed))
    }

    /// None: it is not what was stored. Fails where the platform may have a newer key than is known here.
    pub(crate) fn open(keys: &PlatformKeys, org: OrgId, sealed: &Sealed) -> Result<Option<Self>, Error> {
        match keys.open(org, PLACE, sealed.key_version, &sealed.bytes) {
            Ok(hex) => Ok(Some(Self::of(org, &hex))),
            // Whoever opened the store had everything that this needs: it says what nobody wrote.
            Err(Error::WrongKey | Error::MasterKey(WrapError::Unknown { .. })) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn of(org: OrgId, secret: &str) -> Self {
        Self {
            org,
            key: hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()),
        }
    }

    fn seal(&self, what: &[u8], sequence: u64, hash: &Hash) -> Hash {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(what);
        context.update(self.org.uuid().as_bytes());
        context.update(&sequence.to_be_bytes());
        context.update(hash);
        let mut seal = [0; 32];
        seal.copy_from_slice(context.sign().as_ref());
        seal
    }

    /// Of an entry: nobody without the key made it.
    pub(crate) fn mac(&self, hash: &Hash) -> Hash {
        self.seal(b"entry", 0, hash)
    }

    /// Of the newest entry: nothing after it was cut off.
    pub(crate) fn head(&self, sequence: u64, hash: &Hash) -> Hash {
        self.seal(b"head", sequence, hash)
    }

    /// Of the newest entry that housekeeping removed: nobody else removed any.
    pub(crate) fn removed(&self, sequence: u64, hash: &Hash) -> Hash {
        self.seal(b"removed", sequence, hash)
    }
}
