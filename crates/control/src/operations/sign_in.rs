//! Secrets that stand for a user: tokens, one-time links, sessions of the web page.
//!
//! Each has 256 random bits and is looked up by its SHA-256, so that neither the database nor the time
//! that a look-up takes says anything about one.

use std::time::Duration;

use aws_lc_rs::{
    digest::{SHA256, digest},
    rand,
};
use creel_api::SignInLink;
use creel_domain::{OrgId, UserId};
use creel_store::Access;
use jiff::SignedDuration;

use crate::{
    Control,
    http::{
        auth::Caller,
        failure::{Answer, Failure},
    },
};

/// How long a link opens the page.
const LINK_FOR: SignedDuration = SignedDuration::from_mins(15);
/// How long a session of the page lasts.
pub(crate) const SESSION_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);

pub(crate) fn hash(secret: &str) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, secret.as_bytes()).as_ref());
    out
}

/// A new secret, in hexadecimal.
pub(crate) fn secret(prefix: &str) -> Answer<String> {
    let mut bytes = [0_u8; 32];
    rand::fill(&mut bytes).map_err(Failure::internal)?;
    let (high, low) = bytes.split_at(16);
    let number = |half: &[u8]| {
        half.iter()
            .fold(0_u128, |number, byte| (number << 8) | u128::from(*byte))
    };
    Ok(format!("{prefix}{:032x}{:032x}", number(high), number(low)))
}

impl From<Access> for Caller {
    fn from(access: Access) -> Self {
        Self {
            org: access.org,
            org_name: access.org_name,
            user: access.user,
            user_name: access.user_name,
        }
    }
}

pub(crate) async fn by_token(control: &Control, token: &str) -> Answer<Option<Caller>> {
    let access = control.store.platform().by_token(hash(token)).await?;
    Ok(access.map(Caller::from))
}

pub(crate) async fn by_session(control: &Control, secret: &str) -> Answer<Option<Caller>> {
    let access = control.store.platform().by_browser_session(hash(secret)).await?;
    Ok(access.map(Caller::from))
}

pub(crate) async fn make_link(control: &Control, caller: &Caller) -> Answer<SignInLink> {
    link_for(control, caller.org, caller.user).await
}

pub(crate) async fn link_for(control: &Control, org: OrgId, user: UserId) -> Answer<SignInLink> {
    let code = secret("")?;
    let platform = control.store.platform();
    let expires_at = platform
        .add_sign_in_link(org, user, hash(&code), LINK_FOR)
        .await?;
    Ok(SignInLink {
        path: format!("/sign-in?code={code}"),
        expires_at,
    })
}

/// The secret of a new session; none when the link was used, is too old or never was.
pub(crate) async fn use_link(control: &Control, code: &str) -> Answer<Option<String>> {
    let session = secret("")?;
    let valid_for = SignedDuration::try_from(SESSION_FOR).map_err(Failure::internal)?;
    let platform = control.store.platform();
    let access = platform
        .use_sign_in_link(hash(code), hash(&session), valid_for)
        .await?;
    Ok(access.map(|_| session))
}

pub(crate) async fn end_session(control: &Control, secret: &str) -> Answer<()> {
    Ok(control.store.platform().end_browser_session(hash(secret)).await?)
}
