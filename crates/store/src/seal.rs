//! Provider keys at rest: AES-256-GCM under a key of the org's own, derived from one master key.
//!
//! The row's identity is bound in, so a sealed value moved to another row or org does not open.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey},
    hkdf::{HKDF_SHA256, KeyType, Salt},
    rand,
};
use creel_domain::OrgId;
use zeroize::{Zeroize as _, Zeroizing};

use crate::Error;

const BYTES: usize = 32;
const NONCE_BYTES: usize = 12;

/// Opens every sealed value; never printed, wiped when dropped.
pub struct MasterKey(Zeroizing<[u8; BYTES]>);

#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    #[error("the master key {path} cannot be read or made")]
    Io {
        path: String,
        #[source]
        source: io::Error,
    },
    #[error("the master key {path} should be {BYTES} bytes long, not {found}: restore it from a backup")]
    Length { path: String, found: usize },
}

struct KeyLength;

impl KeyType for KeyLength {
    fn len(&self) -> usize {
        BYTES
    }
}

impl MasterKey {
    pub fn from_bytes(bytes: [u8; BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Reads the key, or makes it (mode 0600) when there is none yet.
    pub fn load_or_create(path: &Path) -> Result<Self, MasterKeyError> {
        let failed = |source| MasterKeyError::Io {
            path: path.display().to_string(),
            source,
        };
        let mut bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut fresh = vec![0; BYTES];
                rand::fill(&mut fresh).map_err(|_| failed(io::Error::other("no randomness")))?;
                let making = path.with_extension("new");
                // A crash in the middle leaves the other name, which the next start overwrites.
                let mut file = fs::OpenOptions::new()
                    .write(true)
                    .create(true)
                    .truncate(true)
                    .mode(0o600)
                    .open(&making)
                    .map_err(failed)?;
                file.write_all(&fresh)
                    .and_then(|()| file.sync_all())
                    .map_err(failed)?;
                fs::rename(&making, path).map_err(failed)?;
                if let Some(parent) = path.parent() {
                    fs::File::open(parent)
                        .and_then(|dir| dir.sync_all())
                        .map_err(failed)?;
                }
                fresh
            }
            Err(error) => return Err(failed(error)),
        };
        let key = <[u8; BYTES]>::try_from(bytes.as_slice()).map_err(|_| MasterKeyError::Length {
            path: path.display().to_string(),
            found: bytes.len(),
        });
        bytes.zeroize();
        key.map(Self::from_bytes)
    }

    fn of_org(&self, org: OrgId) -> Result<RandomizedNonceKey, Error> {
        let mut derived = Zeroizing::new([0; BYTES]);
        Salt::new(HKDF_SHA256, b"creel org key 1")
            .extract(self.0.as_slice())
            .expand(&[org.uuid().as_bytes()], KeyLength)
            .and_then(|okm| okm.fill(derived.as_mut_slice()))
            .and_then(|()| RandomizedNonceKey::new(&AES_256_GCM, derived.as_slice()))
            .map_err(|_| Error::WrongKey)
    }

    /// `identity` says which value this is: table, row and column.
    pub(crate) fn seal(&self, org: OrgId, identity: &str, value: &str) -> Result<Vec<u8>, Error> {
        let mut sealed = value.as_bytes().to_vec();
        let nonce = self
            .of_org(org)?
            .seal_in_place_append_tag(Aad::from(identity.as_bytes()), &mut sealed)
            .map_err(|_| Error::WrongKey)?;
        let mut out = nonce.as_ref().to_vec();
        out.append(&mut sealed);
        Ok(out)
    }

    pub(crate) fn open(&self, org: OrgId, identity: &str, sealed: &[u8]) -> Result<Zeroizing<String>, Error> {
        let (nonce, text) = sealed.split_at_checked(NONCE_BYTES).ok_or(Error::WrongKey)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Error::WrongKey)?;
        let mut text = Zeroizing::new(text.to_vec());
        let plain = self
            .of_org(org)?
            .open_in_place(nonce, Aad::from(identity.as_bytes()), &mut text)
            .map_err(|_| Error::WrongKey)?;
        std::str::from_utf8(plain)
            .map(|plain| Zeroizing::new(plain.to_owned()))
            .map_err(|_| Error::WrongKey)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn org(number: u128) -> OrgId {
        OrgId::from_uuid(Uuid::from_u128(number))
    }

    #[test]
    fn a_sealed_value_opens_only_in_its_own_place() {
        let key = MasterKey::from_bytes([7; 32]);
        let sealed = key.seal(org(1), "providers/1/key", "sk-planted").expect("sealed");
        assert!(!sealed.windows(4).any(|window| window == b"plan"));
        assert_eq!(
            key.open(org(1), "providers/1/key", &sealed)
                .expect("opens")
                .as_str(),
            "sk-planted"
        );
        for (key, org, identity) in [
            (&key, org(2), "providers/1/key"),
            (&key, org(1), "providers/2/key"),
            (&MasterKey::from_bytes([8; 32]), org(1), "providers/1/key"),
        ] {
            assert!(matches!(key.open(org, identity, &sealed), Err(Error::WrongKey)));
        }
        assert!(matches!(
            key.open(org(1), "providers/1/key", &sealed[..5]),
            Err(Error::WrongKey)
        ));
    }

    #[test]
    fn the_master_key_is_made_once() {
        use std::os::unix::fs::PermissionsExt as _;
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("master.key");
        let first = MasterKey::load_or_create(&path).expect("made");
        let second = MasterKey::load_or_create(&path).expect("read");
        assert_eq!(first.0.as_slice(), second.0.as_slice());
        assert_eq!(
            fs::metadata(&path).expect("there").permissions().mode() & 0o777,
            0o600
        );
        fs::write(&path, b"short").expect("written");
        assert!(matches!(
            MasterKey::load_or_create(&path),
            Err(MasterKeyError::Length { found: 5, .. })
        ));
    }
}
