//! The browsers in which somebody is signed in.

use std::sync::Arc;

use creel_api::{BrowserSession, SignOutEverywhere};
use creel_domain::{BrowserSessionId, OrgId};

use crate::{
    Control,
    http::{
        auth::Caller,
        failure::{Answer, Failure},
    },
    operations::sign_in::{hash, secret},
};

pub(crate) async fn list(control: &Control, caller: &Caller) -> Answer<Vec<BrowserSession>> {
    let own = caller.session.map(|session| session.id);
    let sessions = caller.platform(control).browser_sessions(caller.user).await?;
    Ok(sessions
        .into_iter()
        .map(|session| BrowserSession {
            current: own == Some(session.id),
            id: session.id,
            org: session.org,
            org_name: session.org_name,
            browser: session.browser,
            created_at: session.created_at,
            seen_at: session.seen_at,
            expires_at: session.expires_at,
        })
        .collect())
}

pub(crate) async fn end(control: &Control, caller: &Caller, session: BrowserSessionId) -> Answer<()> {
    let platform = caller.platform(control);
    Ok(platform.end_browser_session_of(caller.user, session).await?)
}

/// Everywhere, in every org of the caller.
pub(crate) async fn end_all(control: &Control, caller: &Caller, what: &SignOutEverywhere) -> Answer<()> {
    let platform = caller.platform(control);
    platform.end_browser_sessions(caller.user).await?;
    if what.tokens {
        for membership in platform.memberships(caller.user).await? {
            control
                .store
                .org(membership.org)
                .acting(Arc::clone(&caller.actor))
                .revoke_tokens_of(caller.user)
                .await?;
        }
    }
    Ok(())
}

/// The session's new secret.
pub(crate) async fn switch_org(control: &Control, caller: &Caller, org: OrgId) -> Answer<String> {
    let session = caller.session.ok_or_else(|| {
        Failure::invalid(
            "A token belongs to one org: make one in the other org, or switch a browser's session.",
        )
    })?;
    let fresh = secret("")?;
    caller
        .platform(control)
        .switch_browser_session(session.id, caller.user, org, hash(&fresh))
        .await?;
    Ok(fresh)
}
