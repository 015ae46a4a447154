//! One key that seals values: AES-256-GCM, with the value's place bound in. What is moved elsewhere does not open.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey},
    rand,
};
use creel_domain::OrgId;
use zeroize::Zeroizing;

use crate::Error;

pub(super) const BYTES: usize = 32;
const NONCE_BYTES: usize = 12;
/// Before a key, when it is wrapped: what it is, of which org, which version.
const HEAD: &[u8; 8] = b"creel k1";
const WRAPPED_BYTES: usize = HEAD.len() + 16 + 8 + BYTES;

/// A sealed value and the version of the key that opens it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sealed {
    pub(crate) key_version: u64,
    pub(crate) bytes: Vec<u8>,
}

/// Never printed, wiped when dropped.
pub(crate) struct DataKey {
    org: OrgId,
    pub(crate) version: u64,
    key: Zeroizing<[u8; BYTES]>,
}

impl DataKey {
    pub(crate) fn make(org: OrgId, version: u64) -> Result<Self, Error> {
        let mut key = Zeroizing::new([0; BYTES]);
        rand::fill(key.as_mut_slice()).map_err(|_| Error::WrongKey)?;
        Ok(Self { org, version, key })
    }

    /// As it is given to whoever wraps it. It says whose it is, so that one that was put in another's row is found out.
    pub(crate) fn to_wrap(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(WRAPPED_BYTES));
        bytes.extend_from_slice(HEAD);
        bytes.extend_from_slice(self.org.uuid().as_bytes());
        bytes.extend_from_slice(&self.version.to_be_bytes());
        bytes.extend_from_slice(self.key.as_slice());
        bytes
    }

    pub(crate) fn unwrapped(org: OrgId, version: u64, plain: &[u8]) -> Result<Self, Error> {
        let mut whole = Zeroizing::new([0; BYTES]);
        let expected = [HEAD.as_slice(), org.uuid().as_bytes(), &version.to_be_bytes()].concat();
        let key = plain.strip_prefix(expected.as_slice()).ok_or(Error::WrongKey)?;
        if key.len() != BYTES {
            return Err(Error::WrongKey);
        }
        whole.copy_from_slice(key);
        Ok(Self {
            org,
            version,
            key: whole,
        })
    }

    /// `place` says which value this is: table, row and column. `org`: whose, also where the key is the platform's.
    pub(crate) fn seal(&self, org: OrgId, place: &str, value: &str) -> Result<Sealed, Error> {
        Ok(Sealed {
            key_version: self.version,
            bytes: seal(&self.key, &associated(org, place), value.as_bytes())?,
        })
    }

    pub(crate) fn open(&self, org: OrgId, place: &str, sealed: &[u8]) -> Result<Zeroizing<String>, Error> {
        text(open(&self.key, &associated(org, place), sealed)?)
    }
}

/// What is bound in. Lengths are fixed up to the place, so no two places are the same bytes.
fn associated(org: OrgId, place: &str) -> Vec<u8> {
    [b"creel v2".as_slice(), org.uuid().as_bytes(), place.as_bytes()].concat()
}

pub(super) fn seal(key: &[u8; BYTES], associated: &[u8], value: &[u8]) -> Result<Vec<u8>, Error> {
    // Grows once, before anything secret is in it: no copy is left behind.
    let mut sealed = Vec::with_capacity(value.len() + AES_256_GCM.tag_len());
    sealed.extend_from_slice(value);
    let nonce = cipher(key)?
        .seal_in_place_append_tag(Aad::from(associated), &mut sealed)
        .map_err(|_| Error::WrongKey)?;
    Ok([nonce.as_ref().as_slice(), &sealed].concat())
}

pub(super) fn open(key: &[u8; BYTES], associated: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    let (nonce, text) = sealed.split_at_checked(NONCE_BYTES).ok_or(Error::WrongKey)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Error::WrongKey)?;
    let mut text = Zeroizing::new(text.to_vec());
    let plain = cipher(key)?
        .open_in_place(nonce, Aad::from(associated), &mut text)
        .map_err(|_| Error::WrongKey)?
        .len();
    text.truncate(plain);
    Ok(text)
}

pub(super) fn text(bytes: Zeroizing<Vec<u8>>) -> Result<Zeroizing<String>, Error> {
    std::str::from_utf8(&bytes)
        .map(|text| Zeroizing::new(text.to_owned()))
        .map_err(|_| Error::WrongKey)
}

fn cipher(key: &[u8; BYTES]) -> Result<RandomizedNonceKey, Error> {
    RandomizedNonceKey::new(&AES_256_GCM, key).map_err(|_| Error::WrongKey)
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
        let key = DataKey::make(org(1), 1).expect("made");
        let sealed = key.seal(org(1), "providers/1/key", "sk-planted").expect("sealed");
        assert_eq!(sealed.key_version, 1);
        let bytes = &sealed.bytes;
        assert!(!bytes.windows(4).any(|window| window == b"plan"));
        let opened = key.open(org(1), "providers/1/key", bytes).expect("opens");
        assert_eq!(opened.as_str(), "sk-planted");
        let other = DataKey::make(org(1), 1).expect("made");
        for (key, org, place) in [
            (&key, org(2), "providers/1/key"),
            (&key, org(1), "providers/2/key"),
            (&other, org(1), "providers/1/key"),
        ] {
            assert!(matches!(key.open(org, place, bytes), Err(Error::WrongKey)));
        }
        for cut in [0, 5, 12, bytes.len() - 1] {
            let short = key.open(org(1), "providers/1/key", &bytes[..cut]);
            assert!(matches!(short, Err(Error::WrongKey)), "{cut}");
        }
    }

    #[test]
    fn a_key_in_another_row_is_found_out() {
        let key = DataKey::make(org(1), 3).expect("made");
        let plain = key.to_wrap();
        assert!(DataKey::unwrapped(org(1), 3, &plain).is_ok());
        for (org, version) in [(org(2), 3), (org(1), 4)] {
            let moved = DataKey::unwrapped(org, version, &plain);
            assert!(matches!(moved, Err(Error::WrongKey)));
        }
        assert!(DataKey::unwrapped(org(1), 3, &plain[..plain.len() - 1]).is_err());
    }
}
