//! Secrets that stand for a user: tokens, one-time links, sessions of the web page.
//!
//! Each has 256 random bits and is looked up by its SHA-256, so that neither the database nor the time
//! that a look-up takes says anything about one.

use std::sync::Arc;

use aws_lc_rs::{
    digest::{SHA256, digest},
    rand,
};
use creel_api::SignInLink;
use creel_domain::{Actor, BrowserSessionId, OrgId, Scope, TokenId, UserId, Verdict};
use creel_store::{Access, NewBrowserSession};
use jiff::SignedDuration;

use super::access_tokens::{self, Granted, is_jwt};
use crate::{
    Control,
    http::{
        auth::{Caller, CallerSession},
        failure::{Answer, Failure},
    },
    jwt,
};

/// How long a link opens the page.
const LINK_FOR: SignedDuration = SignedDuration::from_mins(15);

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

/// How somebody says who they are, as it is looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Credential {
    Token {
        id: TokenId,
        hash: [u8; 32],
    },
    /// Whichever secret it has by now.
    Session(BrowserSessionId),
    Jwt(Arc<Granted>),
}

impl Caller {
    fn new(access: Access, credential: Credential) -> Self {
        let mut scopes = access.role.scopes();
        if access.operator {
            scopes.insert(Scope::PlatformWrite);
        }
        // What lasts for minutes makes nothing that lasts longer.
        let restricted = access.scopes.is_some() || matches!(credential, Credential::Jwt(_));
        let actor = Actor {
            via: access.via,
            ..Actor::user(access.user, &access.user_name)
        };
        if let Some(given) = access.scopes {
            scopes.retain(|scope| given.contains(scope));
        }
        Self {
            org: access.org,
            org_name: access.org_name,
            user: access.user,
            user_name: access.user_name,
            role: access.role,
            operator: access.operator,
            suspended: access.suspended,
            scopes,
            restricted,
            actor: Arc::new(actor),
            credential,
            session: None,
        }
    }
}

/// Whom a bearer's secret stands for: an API token, or a JWT.
pub(crate) async fn by_token(control: &Control, token: &str) -> Answer<Option<Caller>> {
    if is_jwt(token) {
        let granted = access_tokens::read(control, token).await?;
        return match granted {
            Some(granted) => by_credential(control, &Credential::Jwt(Arc::new(granted))).await,
            None => Ok(None),
        };
    }
    let hash = hash(token);
    let found = control.store.platform().token_by_hash(hash).await?;
    Ok(found.map(|(id, access)| Caller::new(access, Credential::Token { id, hash })))
}

/// Whom a browser's secret stands for, and the one that takes its place if it is time for that and the answer
/// can carry it.
pub(crate) async fn by_session(
    control: &Control,
    shown: &str,
    rotates: bool,
) -> Answer<Option<(Caller, Option<String>)>> {
    let platform = control.store.platform();
    let Some(found) = platform.by_browser_session(hash(shown)).await? else {
        return Ok(None);
    };
    let Verdict::Good { rotate, note } = found.age.verdict(found.shown, control.clock.now()) else {
        platform.note_browser_session(&found, hash(shown), None).await?;
        return Ok(None);
    };
    let mut fresh = if rotate && rotates {
        Some(secret("")?)
    } else {
        None
    };
    if note || fresh.is_some() {
        let noted = platform.note_browser_session(&found, hash(shown), fresh.as_deref().map(hash));
        // A session that cannot be written down is still good: nobody is signed out by a full disk.
        let exchanged = noted.await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the use of a session could not be written down");
            false
        });
        fresh = fresh.filter(|_| exchanged);
    }
    let session = CallerSession {
        id: found.id,
        proven_at: found.proven_at,
    };
    let caller = Caller {
        session: Some(session),
        ..Caller::new(found.access, Credential::Session(found.id))
    };
    Ok(Some((caller, fresh)))
}

/// Whom a credential stands for now.
pub(crate) async fn by_credential(control: &Control, credential: &Credential) -> Answer<Option<Caller>> {
    let platform = control.store.platform();
    let access = match credential {
        Credential::Token { hash, .. } => platform.by_token(*hash).await?,
        Credential::Session(id) => platform.by_browser_session_id(*id).await?,
        Credential::Jwt(granted) if jwt::over(granted.expires_at, control.clock.now()) => None,
        Credential::Jwt(granted) => {
            let access = platform
                .access_of(granted.org, granted.user, granted.token)
                .await?;
            access.map(|access| Access {
                via: match granted.token {
                    Some(token) => format!("access token of {token}"),
                    None => "access token".to_owned(),
                },
                scopes: granted.scopes.clone(),
                ..access
            })
        }
    };
    Ok(access.map(|access| Caller::new(access, credential.clone())))
}

pub(crate) async fn make_link(control: &Control, caller: &Caller) -> Answer<SignInLink> {
    link_for(control, caller.org, caller.user, Arc::clone(&caller.actor)).await
}

pub(crate) async fn link_for(
    control: &Control,
    org: OrgId,
    user: UserId,
    actor: Arc<Actor>,
) -> Answer<SignInLink> {
    let code = secret("")?;
    let platform = control.store.platform().acting(actor);
    let expires_at = platform
        .add_sign_in_link(org, user, hash(&code), LINK_FOR)
        .await?;
    Ok(SignInLink {
        path: format!("/sign-in?code={code}"),
        expires_at,
    })
}

/// The secret of a new session; none when the link was used, is too old or never was.
pub(crate) async fn use_link(
    control: &Control,
    actor: Arc<Actor>,
    code: &str,
    browser: &str,
) -> Answer<Option<String>> {
    let session = secret("")?;
    let new = NewBrowserSession {
        hash: hash(&session),
        browser: browser.to_owned(),
        proven: false,
    };
    let platform = control.store.platform().acting(actor);
    let used = platform.use_sign_in_link(hash(code), new).await?;
    Ok(used.map(|_| session))
}

pub(crate) async fn end_session(control: &Control, actor: Arc<Actor>, secret: &str) -> Answer<()> {
    let platform = control.store.platform().acting(actor);
    Ok(platform.end_browser_session(hash(secret)).await?)
}
