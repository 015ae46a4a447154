//! What wraps the keys that seal: a master key in a file, a Vault's Transit, or an org's own key in its Vault.
//!
//! The store knows no network. Whoever opens it brings what speaks to a Vault.

use std::{future::Future, pin::Pin, sync::Arc};

use creel_domain::TransitKey;
use zeroize::Zeroizing;

/// What is under way at a key encryption.
pub type Wrapping<'a, T> = Pin<Box<dyn Future<Output = Result<T, WrapError>> + Send + 'a>>;

/// Why nothing was wrapped or unwrapped. `at` names who was asked: an address or a file, never a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WrapError {
    #[error("{at} does not answer in time: check that it runs and can be reached from here")]
    Unreachable { at: String },
    #[error("{at} is sealed or just starting: unseal it")]
    Sealed { at: String },
    #[error("{at} refuses: its token has expired or its policy does not allow it; give it a new token")]
    Denied { at: String },
    #[error("{at} has no such key, or the key is disabled or of a kind that cannot encrypt")]
    NoKey { at: String },
    #[error("{at} answers something that is not what was expected, or too much of it")]
    Garbage { at: String },
    #[error("{at} is asked by too many: try again in a moment")]
    Busy { at: String },
    #[error("what {at} wrapped does not open: it was changed, or wrapped by another key")]
    WrongKey { at: String },
    #[error(
        "the keys were wrapped by `{by}`, which this Creel was not given: name it with --previous-master-key"
    )]
    Unknown { by: String },
    #[error("the master key {at} cannot be read or written ({why})")]
    File { at: String, why: String },
}

/// What was wrapped, and which key did it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrapped {
    pub by: String,
    pub bytes: Vec<u8>,
}

/// Wraps small secrets, and unwraps what it wrapped. Asked seldom: what was unwrapped is kept for minutes.
pub trait KeyEncryption: Send + Sync + 'static {
    /// Which key wraps: stands beside what it wrapped. Holds no secret.
    fn id(&self) -> String;

    /// Whether what that key wrapped can be unwrapped here.
    fn knows(&self, id: &str) -> bool {
        self.id() == id
    }

    fn wrap<'a>(&'a self, plain: &'a [u8]) -> Wrapping<'a, Wrapped>;

    fn unwrap<'a>(&'a self, by: &'a str, wrapped: &'a [u8]) -> Wrapping<'a, Zeroizing<Vec<u8>>>;

    /// The same, wrapped by the newest version of the key.
    fn rewrap<'a>(&'a self, by: &'a str, wrapped: &'a [u8]) -> Wrapping<'a, Wrapped> {
        Box::pin(async move {
            let plain = self.unwrap(by, wrapped).await?;
            self.wrap(&plain).await
        })
    }

    /// Makes a newer key, where that is ours to do; what the older one wrapped still opens.
    fn renew(&self) -> Wrapping<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    /// Looks again whether there are newer keys.
    fn reload(&self) -> Wrapping<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    /// Whether there are keys that are neither the newest nor one of these.
    fn has_older(&self, _ids: &[String]) -> bool {
        false
    }

    /// Destroys keys that are neither the newest nor one of these, where that is ours to do.
    fn keep_only<'a>(&'a self, _ids: &'a [String]) -> Wrapping<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}

/// Speaks to the Vaults of orgs.
pub trait OwnKeys: Send + Sync + 'static {
    /// Fails when the address is none that may be asked.
    fn at(&self, key: &TransitKey, token: Zeroizing<String>) -> Result<Arc<dyn KeyEncryption>, WrapError>;
}

/// For a store without a network: no org can use a key of its own.
pub(crate) struct NoOwnKeys;

impl OwnKeys for NoOwnKeys {
    fn at(&self, key: &TransitKey, _: Zeroizing<String>) -> Result<Arc<dyn KeyEncryption>, WrapError> {
        Err(WrapError::Unreachable {
            at: key.address.clone(),
        })
    }
}
