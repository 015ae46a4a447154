//! What an authenticator says and signs: for whom, how sure it is of its user, how often it signed, and, where a
//! credential was made, its id and key.

use crate::{
    Error, MAX_CREDENTIAL_ID_BYTES, PublicKey,
    cbor::{Malformed, Reader},
};

/// ```text
/// rp_id_hash(32) flags(1) sign_count(4) [ aaguid(16) length(2) id key ] [ extensions ]
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AuthenticatorData<'b> {
    pub(crate) rp_id_hash: &'b [u8],
    pub(crate) flags: Flags,
    pub(crate) sign_count: u32,
    pub(crate) credential: Option<AttestedCredential<'b>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AttestedCredential<'b> {
    pub(crate) id: &'b [u8],
    pub(crate) key: PublicKey,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flags(u8);

impl Flags {
    fn has(self, bit: u8) -> bool {
        self.0 & bit != 0
    }

    pub(crate) fn user_present(self) -> bool {
        self.has(0x01)
    }

    pub(crate) fn user_verified(self) -> bool {
        self.has(0x04)
    }

    /// Whether the credential may ever be on more than one device.
    pub(crate) fn backup_eligible(self) -> bool {
        self.has(0x08)
    }

    pub(crate) fn backed_up(self) -> bool {
        self.has(0x10)
    }
}

impl<'b> AuthenticatorData<'b> {
    pub(crate) fn parse(bytes: &'b [u8]) -> Result<Self, Error> {
        let malformed = |Malformed| Error::AuthenticatorData;
        let mut reader = Reader::new(bytes);
        let rp_id_hash = reader.take(32).map_err(malformed)?;
        let flags = Flags(reader.take(1).map_err(malformed)?[0]);
        let count = reader.take(4).map_err(malformed)?;
        let sign_count = count
            .iter()
            .fold(0, |number, byte| (number << 8) | u32::from(*byte));
        let credential = if flags.has(0x40) {
            Some(AttestedCredential::read(&mut reader)?)
        } else {
            None
        };
        if flags.has(0x80) {
            // A map of what we did not ask for.
            let mut extensions = reader;
            extensions.map().map_err(malformed)?;
            reader.skip().map_err(malformed)?;
        }
        if !reader.rest().is_empty() {
            return Err(Error::AuthenticatorData);
        }
        Ok(Self {
            rp_id_hash,
            flags,
            sign_count,
            credential,
        })
    }
}

impl<'b> AttestedCredential<'b> {
    fn read(reader: &mut Reader<'b>) -> Result<Self, Error> {
        let malformed = |Malformed| Error::AuthenticatorData;
        // The model of the authenticator, which nobody vouches for.
        reader.take(16).map_err(malformed)?;
        let length = reader.take(2).map_err(malformed)?;
        let length = usize::from(length[0]) << 8 | usize::from(length[1]);
        if !(1..=MAX_CREDENTIAL_ID_BYTES).contains(&length) {
            return Err(Error::AuthenticatorData);
        }
        Ok(Self {
            id: reader.take(length).map_err(malformed)?,
            key: PublicKey::read(reader)?,
        })
    }
}
