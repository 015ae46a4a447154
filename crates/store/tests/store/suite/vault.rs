//! A Vault in memory, over the store's own trait: it keeps what it wrapped to itself, and misbehaves when told.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use creel_domain::TransitKey;
use creel_store::{KeyEncryption, MasterKeys, OwnKeys, WrapError, Wrapped, Wrapping};
use zeroize::Zeroizing;

/// One key of a Vault. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct FakeVault(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    version: u32,
    wrapped: HashMap<Vec<u8>, Vec<u8>>,
    asked: usize,
    failure: Option<WrapError>,
}

impl FakeVault {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nobody panicked")
    }

    /// From now on; none: it works again.
    pub(crate) fn fail(&self, failure: Option<WrapError>) {
        self.state().failure = failure;
    }

    pub(crate) fn asked(&self) -> usize {
        self.state().asked
    }

    /// Makes a new version of the key, as its operator does.
    pub(crate) fn rotate(&self) {
        self.state().version += 1;
    }

    /// Forgets whatever older versions wrapped.
    pub(crate) fn trim(&self) {
        let mut state = self.state();
        let prefix = format!("vault:v{}:", state.version);
        state
            .wrapped
            .retain(|wrapped, _| wrapped.starts_with(prefix.as_bytes()));
    }

    pub(crate) fn keys(&self) -> MasterKeys {
        MasterKeys::by(Arc::new(self.clone()))
    }

    fn seal(&self, plain: &[u8]) -> Result<Vec<u8>, WrapError> {
        let mut state = self.state();
        state.asked += 1;
        if let Some(failure) = &state.failure {
            return Err(failure.clone());
        }
        let wrapped = format!("vault:v{}:{}", state.version, uuid::Uuid::new_v4()).into_bytes();
        state.wrapped.insert(wrapped.clone(), plain.to_vec());
        Ok(wrapped)
    }

    fn open(&self, wrapped: &[u8]) -> Result<Vec<u8>, WrapError> {
        let mut state = self.state();
        state.asked += 1;
        if let Some(failure) = &state.failure {
            return Err(failure.clone());
        }
        let unknown = WrapError::WrongKey {
            at: "the vault".into(),
        };
        state.wrapped.get(wrapped).cloned().ok_or(unknown)
    }
}

impl KeyEncryption for FakeVault {
    fn id(&self) -> String {
        "vault:transit/creel".to_owned()
    }

    fn wrap<'a>(&'a self, plain: &'a [u8]) -> Wrapping<'a, Wrapped> {
        let wrapped = self.seal(plain);
        Box::pin(async move {
            Ok(Wrapped {
                by: self.id(),
                bytes: wrapped?,
            })
        })
    }

    fn unwrap<'a>(&'a self, _: &'a str, wrapped: &'a [u8]) -> Wrapping<'a, Zeroizing<Vec<u8>>> {
        let plain = self.open(wrapped);
        Box::pin(async { plain.map(Zeroizing::new) })
    }
}

/// The Vaults of orgs, by address; each takes the token `good`.
#[derive(Clone, Default)]
pub(crate) struct FakeVaults(Arc<Mutex<HashMap<String, FakeVault>>>);

impl FakeVaults {
    pub(crate) fn vault(&self, key: &TransitKey) -> FakeVault {
        let mut vaults = self.0.lock().expect("nobody panicked");
        vaults.entry(key.address.clone()).or_default().clone()
    }
}

impl OwnKeys for FakeVaults {
    fn at(&self, key: &TransitKey, token: Zeroizing<String>) -> Result<Arc<dyn KeyEncryption>, WrapError> {
        if token.as_str() != "good" {
            return Err(denied());
        }
        Ok(Arc::new(self.vault(key)))
    }
}

pub(crate) fn own_key(host: &str) -> TransitKey {
    TransitKey::new(&format!("https://{host}.example"), "transit", "theirs").expect("a key")
}

pub(crate) fn denied() -> WrapError {
    WrapError::Denied {
        at: "the vault".into(),
    }
}

pub(crate) fn unreachable() -> WrapError {
    WrapError::Unreachable {
        at: "the vault".into(),
    }
}
