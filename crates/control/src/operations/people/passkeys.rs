//! Passkeys that somebody keeps: made, listed, renamed, removed.

use creel_api::{
    AddPasskey, AuthenticatorSelection, CredentialDescriptor, CredentialParameters, ErrorCode, Passkey,
    PasskeyCreation, PasskeyCreationOptions, Proof, RelyingPartyEntity, RenamePasskey, UserEntity,
};
use creel_domain::PasskeyId;
use creel_store::{MAX_PASSKEYS, NewPasskey, PASSKEY_CHALLENGE_FOR, PasskeyPurpose, StoredPasskey};
use creel_webauthn::{
    ALGORITHMS, CHALLENGE_BYTES, ClientData, MAX_CREDENTIAL_ID_BYTES, RelyingParty, verify_registration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::me;
use crate::{
    Control,
    http::{
        auth::Caller,
        failure::{Answer, Failure},
    },
    operations::{sign_in::hash, tokens::readable},
};

/// No part of a credential is longer; the parser has closer bounds for each.
const PART_BYTES: usize = 16 * 1024;
/// How a browser may reach an authenticator. What else it says is forgotten.
const TRANSPORTS: [&str; 6] = ["ble", "hybrid", "internal", "nfc", "smart-card", "usb"];

/// Whom passkeys are made for here.
pub(super) fn relying_party(control: &Control) -> Answer<RelyingParty> {
    control.public_url.relying_party().ok_or_else(|| {
        Failure::new(
            ErrorCode::Conflict,
            format!(
                "There are no passkeys at {}: browsers make them for a name, not for an address. Whoever runs this Creel \
                 can give it one with `creel up --public-url https://…`.",
                control.public_url
            ),
        )
    })
}

/// A challenge and the hash that it is kept by.
pub(super) fn challenge() -> Answer<(String, [u8; 32])> {
    let mut bytes = [0; CHALLENGE_BYTES];
    aws_lc_rs::rand::fill(&mut bytes).map_err(Failure::internal)?;
    Ok((encoded(&bytes), challenge_hash(&bytes)))
}

pub(super) fn challenge_hash(bytes: &[u8; CHALLENGE_BYTES]) -> [u8; 32] {
    hash(&encoded(bytes))
}

pub(super) fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes of one part of what a browser gave.
pub(super) fn decoded(name: &str, text: &str) -> Answer<Vec<u8>> {
    let short = text.len() <= PART_BYTES.div_ceil(3) * 4;
    let bytes = short.then(|| URL_SAFE_NO_PAD.decode(text).ok()).flatten();
    bytes.ok_or_else(|| {
        Failure::invalid(format!(
            "`credential.{name}` must be base64url without padding, of at most {PART_BYTES} bytes."
        ))
    })
}

pub(super) fn credential_id(kind: &str, id: &str) -> Answer<Vec<u8>> {
    let id = decoded("id", id)?;
    if kind == "public-key" && (1..=MAX_CREDENTIAL_ID_BYTES).contains(&id.len()) {
        Ok(id)
    } else {
        Err(Failure::invalid(format!(
            "`credential` must be a `public-key` with an `id` of 1 to {MAX_CREDENTIAL_ID_BYTES} bytes."
        )))
    }
}

/// Those of a user that browsers can use here.
pub(super) fn descriptors(
    passkeys: Vec<StoredPasskey>,
    relying_party: &RelyingParty,
) -> Vec<CredentialDescriptor> {
    let here = passkeys
        .into_iter()
        .filter(|passkey| passkey.relying_party == relying_party.id());
    let descriptor = |passkey: StoredPasskey| CredentialDescriptor {
        r#type: "public-key".to_owned(),
        id: encoded(&passkey.credential_id),
        transports: passkey.transports,
    };
    here.map(descriptor).collect()
}

pub(super) fn timeout_ms() -> u64 {
    PASSKEY_CHALLENGE_FOR
        .unsigned_abs()
        .as_millis()
        .try_into()
        .unwrap_or(u64::MAX)
}

fn shown(control: &Control, passkey: StoredPasskey) -> Passkey {
    let here = control.public_url.relying_party();
    Passkey {
        id: passkey.id,
        usable: here.is_some_and(|here| here.id() == passkey.relying_party),
        name: passkey.name,
        relying_party: passkey.relying_party,
        synced: passkey.backup_eligible,
        created_at: passkey.created_at,
        last_used_at: passkey.last_used_at,
    }
}

pub(crate) async fn list(control: &Control, caller: &Caller) -> Answer<Vec<Passkey>> {
    let passkeys = caller.platform(control).passkeys(caller.user).await?;
    Ok(passkeys
        .into_iter()
        .map(|passkey| shown(control, passkey))
        .collect())
}

/// Whoever shows once more who they are may add a passkey within five minutes.
pub(crate) async fn begin(control: &Control, caller: &Caller, proof: Proof) -> Answer<PasskeyCreation> {
    let relying_party = relying_party(control)?;
    let platform = caller.platform(control);
    let person = platform.person(caller.user).await?;
    me::prove(control, caller, &person, proof.password.as_ref()).await?;
    if person.passkeys >= MAX_PASSKEYS {
        return Err(creel_store::Error::LimitReached {
            what: "passkeys",
            most: MAX_PASSKEYS,
        }
        .into());
    }
    let (challenge, hash) = challenge()?;
    let purpose = PasskeyPurpose::Add(caller.user);
    let expires_at = platform.add_passkey_challenge(hash, purpose, None).await?;
    // One for each authenticator is enough.
    let exclude_credentials = descriptors(platform.passkeys(caller.user).await?, &relying_party);
    let name = person
        .email
        .map_or_else(|| caller.user_name.clone(), |email| email.to_string());
    let parameters = |alg| CredentialParameters {
        r#type: "public-key".to_owned(),
        alg,
    };
    let public_key = PasskeyCreationOptions {
        rp: RelyingPartyEntity {
            id: relying_party.id().to_owned(),
            name: "Creel".to_owned(),
        },
        user: UserEntity {
            id: encoded(caller.user.uuid().as_bytes()),
            name,
            display_name: caller.user_name.clone(),
        },
        challenge,
        pub_key_cred_params: ALGORITHMS.map(parameters).to_vec(),
        timeout: timeout_ms(),
        exclude_credentials,
        authenticator_selection: AuthenticatorSelection {
            // Found by its authenticator, without anybody typing an address.
            resident_key: "required".to_owned(),
            require_resident_key: true,
            user_verification: "required".to_owned(),
        },
        attestation: "none".to_owned(),
    };
    Ok(PasskeyCreation {
        public_key,
        expires_at,
    })
}

/// The passkey, and the new secret of the caller's session.
pub(crate) async fn finish(
    control: &Control,
    caller: &Caller,
    body: AddPasskey,
) -> Answer<(Passkey, Option<String>)> {
    let relying_party = relying_party(control)?;
    let name = readable(&body.name)?;
    let (credential, response) = (&body.credential, &body.credential.response);
    let id = credential_id(&credential.r#type, &credential.id)?;
    let client_data = decoded("response.clientDataJSON", &response.client_data_json)?;
    let object = decoded("response.attestationObject", &response.attestation_object)?;
    let refused = |error| {
        let why = match error {
            creel_webauthn::Error::UserVerification => {
                "it did not make sure that it is you. Give it a PIN or a fingerprint, then try again"
            }
            creel_webauthn::Error::PublicKey => "it makes no keys of a kind that Creel takes",
            _ => "what the browser sent is not for this page, or not whole. Try again",
        };
        tracing::debug!(%error, user = %caller.user, "a passkey was not added");
        Failure::invalid(format!("The passkey was not added: {why}."))
    };
    let client_data = ClientData::parse(&client_data).map_err(refused)?;
    let platform = caller.platform(control);
    let (hash, purpose) = (
        challenge_hash(client_data.challenge()),
        PasskeyPurpose::Add(caller.user),
    );
    if !platform.use_passkey_challenge(hash, purpose).await? {
        return Err(Failure::new(
            ErrorCode::Conflict,
            "Adding this passkey took longer than five minutes, or is done already: begin again.",
        ));
    }
    let made = verify_registration(&relying_party, &client_data, &object).map_err(refused)?;
    if made.credential_id != id {
        return Err(refused(creel_webauthn::Error::AuthenticatorData));
    }
    let known = |transport: &String| TRANSPORTS.contains(&transport.as_str());
    let mut transports: Vec<_> = response
        .transports
        .iter()
        .filter(|one| known(one))
        .cloned()
        .collect();
    transports.sort();
    transports.dedup();
    let new = NewPasskey {
        credential_id: made.credential_id,
        public_key: made.public_key.cose().to_vec(),
        relying_party: relying_party.id().to_owned(),
        name,
        transports,
        sign_count: made.sign_count,
        backup_eligible: made.backup_eligible,
        backed_up: made.backed_up,
    };
    let added = platform.add_passkey(caller.user, new).await?;
    control.mailer.ring();
    Ok((shown(control, added), me::renew(control, caller).await?))
}

pub(crate) async fn rename(
    control: &Control,
    caller: &Caller,
    id: PasskeyId,
    body: RenamePasskey,
) -> Answer<Passkey> {
    let name = readable(&body.name)?;
    let platform = caller.platform(control);
    let renamed = platform.rename_passkey(caller.user, id, name).await?;
    Ok(shown(control, renamed))
}

/// The new secret of the caller's session. No session ends: whoever used the passkey is known by theirs.
pub(crate) async fn remove(
    control: &Control,
    caller: &Caller,
    id: PasskeyId,
    proof: Proof,
) -> Answer<Option<String>> {
    let platform = caller.platform(control);
    let person = platform.person(caller.user).await?;
    me::prove(control, caller, &person, proof.password.as_ref()).await?;
    platform.remove_passkey(caller.user, id).await?;
    me::renew(control, caller).await
}
