//! Sealing: which keys there are, who wraps them, and how they are exchanged while everything goes on.
//!
//! Every sealed value stands beside the version of the key that opens it. **To seal a value of an org**, write it
//! by [`crate::Org::write_sealed`]; to read it, [`crate::Org::open_sealed`]. For what belongs to no org or must be
//! there without the org's own key: [`crate::Platform::seal`] and [`crate::Platform::open_sealed`]. A table with a
//! sealed column gets a line in [`reseal`], or its values are left behind by the next rotation. Why so is told in
//! `docs/adr/0005-keys.md`.

mod begin;
mod data_key;
mod encryption;
mod file;
mod master;
mod own;
mod reseal;
mod ring;
mod rotation;
mod sealing;

pub(crate) use data_key::Sealed;
pub use encryption::{KeyEncryption, OwnKeys, WrapError, Wrapped, Wrapping};
pub use file::{MasterKey, MasterKeyError};
pub use master::MasterKeyState;
pub use own::StoredOwnKey;
pub use ring::{KEY_OPEN_FOR, MAX_OPEN_ORGS, MasterKeys};
pub(crate) use ring::{PlatformKeys, Ring};
pub use rotation::Rotation;

/// How far one look at the keys has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tended {
    /// Nothing is left to do, or nothing that could be done now.
    Idle,
    /// There is more.
    More,
}
