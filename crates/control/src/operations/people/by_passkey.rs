//! Showing who one is by a passkey: to sign in, or once more before a change that matters.
//!
//! A passkey is something that one has, and its authenticator has verified its user: it is both factors at once, and
//! no code is asked for after it.

use creel_api::{
    ErrorCode, PasskeyRequest, PasskeyRequestOptions, PasskeySignIn, ProveByPasskey, SignedCredential,
};
use creel_domain::{Patience, UserId};
use creel_store::{PasskeyPurpose, PasskeyUse, Platform, StoredPasskey};
use creel_webauthn::{ClientData, PublicKey, verify_assertion};

use super::{
    enter::{self, Entered},
    guesser_key, key, passkeys,
};
use crate::{
    Control,
    http::{
        auth::Caller,
        failure::{Answer, Failure},
        visitor::Visitor,
    },
    operations::sign_in::{hash, secret},
};

/// What came of looking at a signature.
enum Signed {
    By(StoredPasskey),
    /// Not good. Whose passkey was named, if it was somebody's.
    NotGood(Option<UserId>),
    Copied,
}

/// One sentence for whatever is not good: a stranger learns nothing of which passkeys there are.
fn wrong() -> Failure {
    Failure::new(
        ErrorCode::Unauthenticated,
        "The passkey was not accepted: it is not registered here any more, this took longer than five minutes, or there \
         were too many attempts. Try again, or sign in another way.",
    )
}

fn copied() -> Failure {
    Failure::new(
        ErrorCode::Unauthenticated,
        "The passkey was not accepted: its counter went back, as if there were a copy of it. Sign in another way, remove \
         it and add a new one.",
    )
}

async fn ask(
    control: &Control,
    platform: &Platform,
    purpose: PasskeyPurpose,
    network: Option<[u8; 32]>,
) -> Answer<PasskeyRequest> {
    let relying_party = passkeys::relying_party(control)?;
    let (challenge, hash) = passkeys::challenge()?;
    let expires_at = platform.add_passkey_challenge(hash, purpose, network).await?;
    let allow_credentials = match purpose {
        PasskeyPurpose::Prove(user) => passkeys::descriptors(platform.passkeys(user).await?, &relying_party),
        _ => Vec::new(),
    };
    let public_key = PasskeyRequestOptions {
        challenge,
        timeout: passkeys::timeout_ms(),
        rp_id: relying_party.id().to_owned(),
        allow_credentials,
        user_verification: "required".to_owned(),
    };
    Ok(PasskeyRequest {
        public_key,
        expires_at,
    })
}

/// Looks at everything, the challenge first, which is used up by it.
async fn signed(
    control: &Control,
    platform: &Platform,
    credential: &SignedCredential,
    purpose: PasskeyPurpose,
) -> Answer<Signed> {
    let relying_party = passkeys::relying_party(control)?;
    let response = &credential.response;
    let id = passkeys::credential_id(&credential.r#type, &credential.id)?;
    let client_data = passkeys::decoded("response.clientDataJSON", &response.client_data_json)?;
    let data = passkeys::decoded("response.authenticatorData", &response.authenticator_data)?;
    let signature = passkeys::decoded("response.signature", &response.signature)?;
    let handle = response.user_handle.as_deref();
    let handle = handle
        .map(|handle| passkeys::decoded("response.userHandle", handle))
        .transpose()?;

    let Ok(client_data) = ClientData::parse(&client_data) else {
        return Ok(Signed::NotGood(None));
    };
    let hash = passkeys::challenge_hash(client_data.challenge());
    if !platform.use_passkey_challenge(hash, purpose).await? {
        return Ok(Signed::NotGood(None));
    }
    let found = platform.passkey_by_credential(id).await?;
    let key = found
        .as_ref()
        .and_then(|found| PublicKey::parse(&found.public_key).ok());
    // A signature is looked at whoever it is said to be of: an unknown passkey takes as long as a known one.
    let key = key.unwrap_or_else(PublicKey::nobodys);
    let verified = verify_assertion(&relying_party, &client_data, &data, &signature, &key);
    let Some(found) = found else {
        return Ok(Signed::NotGood(None));
    };
    let said = match verified {
        Ok(said) => said,
        Err(error) => {
            tracing::debug!(%error, passkey = %found.id, "a passkey was not accepted");
            return Ok(Signed::NotGood(Some(found.user)));
        }
    };
    let owner = match purpose {
        // Whom the authenticator made it for: without an address, nothing else says who it is.
        PasskeyPurpose::SignIn => handle.is_some(),
        PasskeyPurpose::Add(user) | PasskeyPurpose::Prove(user) => user == found.user,
    };
    let owner = owner && handle.is_none_or(|handle| handle == found.user.uuid().as_bytes());
    if !owner || said.backup_eligible != found.backup_eligible || found.relying_party != relying_party.id() {
        return Ok(Signed::NotGood(Some(found.user)));
    }
    let used = platform.use_passkey(found.id, said.sign_count, said.backed_up, purpose);
    Ok(match used.await? {
        PasskeyUse::Good => Signed::By(found),
        PasskeyUse::Copied => Signed::Copied,
        PasskeyUse::Gone => Signed::NotGood(None),
    })
}

pub(crate) async fn begin_sign_in(control: &Control, visitor: &Visitor) -> Answer<PasskeyRequest> {
    let network = visitor.network.as_deref();
    let network = network.map(|network| key("passkey challenge", network));
    ask(
        control,
        &visitor.platform(control),
        PasskeyPurpose::SignIn,
        network,
    )
    .await
}

pub(crate) async fn finish_sign_in(
    control: &Control,
    visitor: &Visitor,
    body: PasskeySignIn,
) -> Answer<Entered> {
    let platform = visitor.platform(control);
    let guesser = guesser_key(visitor);
    let keys = guesser.map(|guesser| (guesser, Patience::ADDRESS));
    // There is none for the account: a signature is not guessed, and a stranger could lock its owner out by it.
    if !platform.may_try(keys.into_iter().collect()).await? {
        return Err(wrong());
    }
    let passkey = match signed(control, &platform, &body.credential, PasskeyPurpose::SignIn).await? {
        Signed::By(passkey) => passkey,
        Signed::NotGood(user) => {
            if let Some(user) = user {
                tell_refused(control, visitor, user);
            }
            return Err(wrong());
        }
        Signed::Copied => return Err(copied()),
    };
    let person = platform.person(passkey.user).await?;
    let entered = enter::let_in(control, visitor, &person, body.org, None).await?;
    platform
        .forgive(Vec::new(), guesser.into_iter().collect())
        .await?;
    Ok(entered)
}

/// Told in the trails of the user's orgs, beside the answer: a known passkey must not take longer than an unknown one.
/// Whoever knows its id may name it from many networks, so it is told no more often than somebody may guess.
fn tell_refused(control: &Control, visitor: &Visitor, user: UserId) {
    let platform = visitor.platform(control);
    tokio::spawn(async move {
        let told = key("passkey refused", &user.to_string());
        let noted = match platform.may_try(vec![(told, Patience::ACCOUNT)]).await {
            Ok(true) => platform.note_refused(user, "passkey").await,
            Ok(false) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = noted {
            tracing::warn!(%error, %user, "a sign-in that failed could not be told");
        }
    });
}

/// Only where a browser is signed in: what is proven is that its user is there now.
fn session(caller: &Caller) -> Answer<creel_domain::BrowserSessionId> {
    let session = caller.session.map(|session| session.id);
    session.ok_or_else(|| {
        Failure::invalid("A token has no user in front of it: sign in by a browser to show a passkey.")
    })
}

pub(crate) async fn begin_proof(control: &Control, caller: &Caller) -> Answer<PasskeyRequest> {
    session(caller)?;
    ask(
        control,
        &caller.platform(control),
        PasskeyPurpose::Prove(caller.user),
        None,
    )
    .await
}

/// The session's new secret: it may do more from now on.
pub(crate) async fn finish_proof(control: &Control, caller: &Caller, body: ProveByPasskey) -> Answer<String> {
    let session = session(caller)?;
    let platform = caller.platform(control);
    let purpose = PasskeyPurpose::Prove(caller.user);
    match signed(control, &platform, &body.credential, purpose).await? {
        Signed::By(_) => {}
        Signed::NotGood(_) => {
            return Err(Failure::new(
                ErrorCode::Forbidden,
                "The passkey was not accepted: it is not one of yours here, or this took longer than five minutes. Try \
                 again, or use your password.",
            ));
        }
        Signed::Copied => return Err(Failure::new(ErrorCode::Forbidden, copied().detail())),
    }
    let fresh = secret("")?;
    platform
        .renew_browser_session(session, hash(&fresh), true)
        .await?;
    Ok(fresh)
}
