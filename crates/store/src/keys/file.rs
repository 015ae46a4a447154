//! The master key in a file: 32 bytes, or several keys of 32 bytes while one is exchanged. The last one wraps; those
//! before it open what is not yet wrapped anew, and are destroyed when nothing needs them.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aws_lc_rs::{
    digest,
    hkdf::{HKDF_SHA256, KeyType, Salt},
    rand,
};
use creel_domain::OrgId;
use zeroize::Zeroizing;

use super::{
    data_key::{self, BYTES},
    encryption::{KeyEncryption, WrapError, Wrapped, Wrapping},
};
use crate::Error;

/// Keys in a file. Exchanging the key once more is refused until the exchange before it is finished.
const MOST: usize = 8;
/// What wrapped keys are bound to.
const PLACE: &[u8] = b"creel wrapped key";

type Key = Zeroizing<[u8; BYTES]>;

/// Wraps all keys; never printed, wiped when dropped. Clones share it.
#[derive(Clone)]
pub struct MasterKey(Arc<Inner>);

struct Inner {
    /// None: only in memory, for tests.
    path: Option<PathBuf>,
    /// Never empty; the newest last.
    keys: Mutex<Vec<Key>>,
}

#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    #[error("the master key {path} cannot be read or made")]
    Io {
        path: String,
        #[source]
        source: io::Error,
    },
    #[error(
        "the master key {path} should be {BYTES} bytes long, or a few times that, not {found}: restore it from a backup"
    )]
    Length { path: String, found: usize },
}

struct KeyLength;

impl KeyType for KeyLength {
    fn len(&self) -> usize {
        BYTES
    }
}

/// A name for a key that says nothing about it.
fn id(key: &Key) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(b"creel master key id 1");
    context.update(key.as_slice());
    let digest = context.finish();
    let hex: String = digest.as_ref()[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("file:{hex}")
}

impl MasterKey {
    pub fn from_bytes(bytes: [u8; BYTES]) -> Self {
        Self::of(None, vec![Zeroizing::new(bytes)])
    }

    fn of(path: Option<PathBuf>, keys: Vec<Key>) -> Self {
        Self(Arc::new(Inner {
            path,
            keys: Mutex::new(keys),
        }))
    }

    /// Reads the key, or makes it (mode 0600) when there is none yet.
    pub fn load_or_create(path: &Path) -> Result<Self, MasterKeyError> {
        match Self::load(path) {
            Err(MasterKeyError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                let failed = |source| MasterKeyError::Io {
                    path: path.display().to_string(),
                    source,
                };
                let keys = vec![fresh().map_err(failed)?];
                write(path, &keys).map_err(failed)?;
                Ok(Self::of(Some(path.to_owned()), keys))
            }
            outcome => outcome,
        }
    }

    /// Reads a key that has to be there.
    pub fn load(path: &Path) -> Result<Self, MasterKeyError> {
        Ok(Self::of(Some(path.to_owned()), read(path)?))
    }

    fn keys(&self) -> MutexGuard<'_, Vec<Key>> {
        self.0.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn at(&self) -> String {
        let path = self.0.path.as_deref().unwrap_or(Path::new("in memory"));
        path.display().to_string()
    }

    /// Opens what was sealed before there were keys for it: with a key derived from the oldest master key in the file.
    pub(crate) fn open_derived(
        &self,
        org: OrgId,
        place: &str,
        sealed: &[u8],
    ) -> Result<Zeroizing<String>, Error> {
        // Whichever it was, while there are several.
        let keys = self.keys();
        let tried = keys.iter().map(|key| {
            let derived = derive(key, org)?;
            data_key::text(data_key::open(&derived, place.as_bytes(), sealed)?)
        });
        tried.reduce(Result::or).unwrap_or(Err(Error::WrongKey))
    }

    /// As the first releases sealed.
    #[cfg(test)]
    pub(crate) fn seal_derived(&self, org: OrgId, place: &str, value: &str) -> Vec<u8> {
        let derived = derive(&self.keys()[0], org).expect("derived");
        data_key::seal(&derived, place.as_bytes(), value.as_bytes()).expect("sealed")
    }

    /// Writes the file, then remembers it: a crash in between leaves a file with one key more than is used.
    fn replace(&self, change: impl FnOnce(&mut Vec<Key>) -> Result<(), WrapError>) -> Result<(), WrapError> {
        let mut keys = self.keys();
        let mut new = keys.clone();
        change(&mut new)?;
        if let Some(path) = &self.0.path {
            write(path, &new).map_err(|error| WrapError::File {
                at: path.display().to_string(),
                why: error.to_string(),
            })?;
        }
        *keys = new;
        Ok(())
    }
}

fn derive(key: &Key, org: OrgId) -> Result<Key, Error> {
    let mut derived = Zeroizing::new([0; BYTES]);
    Salt::new(HKDF_SHA256, b"creel org key 1")
        .extract(key.as_slice())
        .expand(&[org.uuid().as_bytes()], KeyLength)
        .and_then(|okm| okm.fill(derived.as_mut_slice()))
        .map_err(|_| Error::WrongKey)?;
    Ok(derived)
}

fn fresh() -> io::Result<Key> {
    let mut key = Zeroizing::new([0; BYTES]);
    rand::fill(key.as_mut_slice()).map_err(|_| io::Error::other("no randomness"))?;
    Ok(key)
}

fn read(path: &Path) -> Result<Vec<Key>, MasterKeyError> {
    let shown = || path.display().to_string();
    let mut bytes = Zeroizing::new(Vec::with_capacity(MOST * BYTES + 1));
    fs::File::open(path)
        .and_then(|file| file.take((MOST * BYTES + 1) as u64).read_to_end(&mut bytes))
        .map_err(|source| MasterKeyError::Io {
            path: shown(),
            source,
        })?;
    let good = !bytes.is_empty() && bytes.len().is_multiple_of(BYTES) && bytes.len() <= MOST * BYTES;
    if !good {
        return Err(MasterKeyError::Length {
            path: shown(),
            found: bytes.len(),
        });
    }
    Ok(bytes
        .chunks_exact(BYTES)
        .map(|chunk| {
            let mut key = Zeroizing::new([0; BYTES]);
            key.copy_from_slice(chunk);
            key
        })
        .collect())
}

/// All of it or nothing. A crash in the middle leaves the other name, which the next writer overwrites.
fn write(path: &Path, keys: &[Key]) -> io::Result<()> {
    let making = path.with_extension("new");
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&making)?;
    for key in keys {
        file.write_all(key.as_slice())?;
    }
    file.sync_all()?;
    fs::rename(&making, path)?;
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => fs::File::open(parent)?.sync_all(),
        _ => Ok(()),
    }
}

impl KeyEncryption for MasterKey {
    fn id(&self) -> String {
        self.keys().last().map(id).unwrap_or_default()
    }

    fn knows(&self, wanted: &str) -> bool {
        self.keys().iter().any(|key| id(key) == wanted)
    }

    fn wrap<'a>(&'a self, plain: &'a [u8]) -> Wrapping<'a, Wrapped> {
        let wrapped = self.keys().last().and_then(|key| {
            let bytes = data_key::seal(key, PLACE, plain).ok()?;
            Some(Wrapped { by: id(key), bytes })
        });
        let at = self.at();
        Box::pin(async { wrapped.ok_or(WrapError::WrongKey { at }) })
    }

    fn unwrap<'a>(&'a self, by: &'a str, wrapped: &'a [u8]) -> Wrapping<'a, Zeroizing<Vec<u8>>> {
        let key = self.keys().iter().find(|key| id(key) == by).cloned();
        let at = self.at();
        Box::pin(async move {
            let key = key.ok_or_else(|| WrapError::Unknown { by: by.to_owned() })?;
            data_key::open(&key, PLACE, wrapped).map_err(|_| WrapError::WrongKey { at })
        })
    }

    fn renew(&self) -> Wrapping<'_, ()> {
        let at = self.at();
        let outcome = self.replace(|keys| {
            if keys.len() >= MOST {
                return Err(WrapError::Busy { at: at.clone() });
            }
            let fresh = fresh().map_err(|error| WrapError::File {
                at,
                why: error.to_string(),
            })?;
            keys.push(fresh);
            Ok(())
        });
        Box::pin(async { outcome })
    }

    fn reload(&self) -> Wrapping<'_, ()> {
        let outcome = match self.0.path.as_deref().map(read) {
            None => Ok(()),
            Some(Ok(found)) => {
                *self.keys() = found;
                Ok(())
            }
            Some(Err(error)) => Err(WrapError::File {
                at: self.at(),
                why: error.to_string(),
            }),
        };
        Box::pin(async { outcome })
    }

    fn has_older(&self, ids: &[String]) -> bool {
        let keys = self.keys();
        let older = keys.split_last().map_or(&[][..], |(_, older)| older);
        older.iter().any(|key| !ids.contains(&id(key)))
    }

    fn keep_only<'a>(&'a self, ids: &'a [String]) -> Wrapping<'a, ()> {
        let outcome = self.replace(|keys| {
            let newest = keys.len().saturating_sub(1);
            let mut index = 0;
            keys.retain(|key| {
                index += 1;
                index > newest || ids.contains(&id(key))
            });
            Ok(())
        });
        Box::pin(async { outcome })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_master_key_is_made_once_and_exchanged_without_losing_what_it_wrapped() {
        use std::os::unix::fs::PermissionsExt as _;
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("master.key");
        let first = MasterKey::load_or_create(&path).expect("made");
        let second = MasterKey::load_or_create(&path).expect("read");
        assert_eq!(first.id(), second.id());
        let old = first.id();
        let wrapped = first.wrap(b"a key").await.expect("wrapped");
        first.renew().await.expect("renewed");
        assert_ne!(first.id(), old);
        assert!(first.knows(&old) && !second.knows(&first.id()));
        second.reload().await.expect("looked again");
        assert_eq!(first.id(), second.id());
        let plain = second.unwrap(&old, &wrapped.bytes).await.expect("opens");
        assert_eq!(plain.as_slice(), b"a key");
        first.keep_only(std::slice::from_ref(&old)).await.expect("kept");
        assert!(first.knows(&old));
        first.keep_only(&[]).await.expect("dropped");
        let gone = first.unwrap(&old, &wrapped.bytes).await;
        assert_eq!(gone, Err(WrapError::Unknown { by: old }));
        let about = fs::metadata(&path).expect("there");
        assert_eq!((about.permissions().mode() & 0o777, about.len()), (0o600, 32));
        for _ in 1..MOST {
            first.renew().await.expect("renewed");
        }
        assert!(matches!(first.renew().await, Err(WrapError::Busy { .. })));
        fs::write(&path, b"short").expect("written");
        assert!(matches!(
            MasterKey::load_or_create(&path),
            Err(MasterKeyError::Length { found: 5, .. })
        ));
    }
}
