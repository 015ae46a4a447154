//! The two ceremonies: a passkey is made, and a passkey signs.

use aws_lc_rs::digest::{SHA256, digest};

use crate::{
    ClientData, Error, PublicKey, RelyingParty,
    authenticator_data::{AuthenticatorData, Flags},
    cbor::{Item, Malformed, Reader},
    client_data::Ceremony,
};

/// A statement of a TPM with its certificates takes some 6 KiB.
const MAX_ATTESTATION_BYTES: usize = 16 * 1024;
const MAX_AUTHENTICATOR_DATA_BYTES: usize = 4096;
/// RSA of 4096 bits, which is the longest that we take.
const MAX_SIGNATURE_BYTES: usize = 512;

/// A passkey that was just made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    pub credential_id: Vec<u8>,
    pub public_key: PublicKey,
    pub sign_count: u32,
    /// Whether it may be on several devices; this never changes.
    pub backup_eligible: bool,
    pub backed_up: bool,
}

/// What an authenticator said when it signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assertion {
    /// How often it signed, if it counts; zero: it does not.
    pub sign_count: u32,
    pub backup_eligible: bool,
    pub backed_up: bool,
}

/// Somebody was there, the authenticator made sure that it was its user, and what it says of backups can be.
fn check(data: &AuthenticatorData<'_>, relying_party: &RelyingParty) -> Result<Flags, Error> {
    let flags = data.flags;
    if data.rp_id_hash != digest(&SHA256, relying_party.id().as_bytes()).as_ref() {
        return Err(Error::RelyingParty);
    }
    if !flags.user_present() {
        return Err(Error::UserPresence);
    }
    if !flags.user_verified() {
        return Err(Error::UserVerification);
    }
    if flags.backed_up() && !flags.backup_eligible() {
        return Err(Error::Backup);
    }
    Ok(flags)
}

/// The passkey that was made, if it was made for us. The challenge is the caller's to look at.
///
/// What attests to the authenticator's make is passed over unread: it was not asked for, and nothing depends on it.
pub fn verify_registration(
    relying_party: &RelyingParty,
    client_data: &ClientData<'_>,
    attestation_object: &[u8],
) -> Result<Registration, Error> {
    client_data.check(Ceremony::Create, relying_party)?;
    if attestation_object.len() > MAX_ATTESTATION_BYTES {
        return Err(Error::AttestationObject);
    }
    let data = authenticator_data_of(attestation_object).map_err(|Malformed| Error::AttestationObject)?;
    let data = AuthenticatorData::parse(data)?;
    let flags = check(&data, relying_party)?;
    let sign_count = data.sign_count;
    let credential = data.credential.ok_or(Error::AuthenticatorData)?;
    Ok(Registration {
        credential_id: credential.id.to_vec(),
        public_key: credential.key,
        sign_count,
        backup_eligible: flags.backup_eligible(),
        backed_up: flags.backed_up(),
    })
}

/// What an authenticator said, if it is the one that has `key`'s other half and said it for us. The challenge and
/// the counter are the caller's to look at.
pub fn verify_assertion(
    relying_party: &RelyingParty,
    client_data: &ClientData<'_>,
    authenticator_data: &[u8],
    signature: &[u8],
    key: &PublicKey,
) -> Result<Assertion, Error> {
    if authenticator_data.len() > MAX_AUTHENTICATOR_DATA_BYTES || signature.len() > MAX_SIGNATURE_BYTES {
        return Err(Error::AuthenticatorData);
    }
    let mut signed = authenticator_data.to_vec();
    signed.extend_from_slice(digest(&SHA256, client_data.bytes()).as_ref());
    // First, so that what is refused takes as long whatever is wrong with it.
    let genuine = key.verify(&signed, signature);
    client_data.check(Ceremony::Get, relying_party)?;
    let data = AuthenticatorData::parse(authenticator_data)?;
    let flags = check(&data, relying_party)?;
    genuine?;
    Ok(Assertion {
        sign_count: data.sign_count,
        backup_eligible: flags.backup_eligible(),
        backed_up: flags.backed_up(),
    })
}

/// `{ fmt: text, attStmt: map, authData: bytes }`, in whatever order.
fn authenticator_data_of(attestation_object: &[u8]) -> Result<&[u8], Malformed> {
    let mut reader = Reader::new(attestation_object);
    let (mut format, mut statement, mut data) = (None, None, None);
    for _ in 0..reader.map()? {
        let Item::Text(name) = reader.item()? else {
            return Err(Malformed);
        };
        let twice = match name {
            "fmt" => match reader.item()? {
                Item::Text(text) => format.replace(text).is_some(),
                _ => return Err(Malformed),
            },
            "authData" => match reader.item()? {
                Item::Bytes(bytes) => data.replace(bytes).is_some(),
                _ => return Err(Malformed),
            },
            "attStmt" => {
                let mut ahead = reader;
                let pairs = ahead.map()?;
                reader.skip()?;
                statement.replace(pairs).is_some()
            }
            _ => {
                reader.skip()?;
                false
            }
        };
        if twice {
            return Err(Malformed);
        }
    }
    let (Some(format), Some(pairs), Some(data)) = (format, statement, data) else {
        return Err(Malformed);
    };
    if !reader.rest().is_empty() || (format == "none" && pairs > 0) {
        return Err(Malformed);
    }
    Ok(data)
}
