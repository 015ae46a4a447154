//! Passkeys, as WebAuthn Level 3 defines them: what a browser and an authenticator say, read as hostile and
//! verified. Pure: no clock, no store, no challenge of its own.
//!
//! ```text
//! registration   client data ── type, origin, not framed      attestation object ── authenticator data ── key
//! sign-in        client data ── type, origin, not framed      authenticator data ── signature by that key
//! ```
//!
//! Whoever calls has made the challenge, sees to it that it is used once and in time, and compares counters with
//! what is stored. Why this is our own code is told in `docs/adr/0006-passkeys.md`.

#![forbid(unsafe_code)]

mod authenticator_data;
mod cbor;
mod ceremony;
mod client_data;
mod key;
mod relying_party;

pub use ceremony::{Assertion, Registration, verify_assertion, verify_registration};
pub use client_data::{CHALLENGE_BYTES, ClientData};
pub use key::{ALGORITHMS, PublicKey};
pub use relying_party::RelyingParty;

/// A credential's id is no longer, says the standard.
pub const MAX_CREDENTIAL_ID_BYTES: usize = 1023;

/// Why something is not believed. Not for whoever sent it: they would learn what to try next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the client data is not what a browser writes")]
    ClientData,
    #[error("the client data is of another ceremony")]
    Ceremony,
    #[error("it was made for another origin")]
    Origin,
    #[error("it was made in a frame of another site")]
    CrossOrigin,
    #[error("it was made for another relying party")]
    RelyingParty,
    #[error("the attestation object is not well formed")]
    AttestationObject,
    #[error("the authenticator data is not well formed")]
    AuthenticatorData,
    #[error("nobody was there to consent")]
    UserPresence,
    #[error("the authenticator did not verify its user")]
    UserVerification,
    #[error("the authenticator says of its backup what cannot be")]
    Backup,
    #[error("the public key is of a kind that we do not take, or is none")]
    PublicKey,
    #[error("the signature is not good")]
    Signature,
}
