//! Who the caller is elsewhere: listed, linked, unlinked.

use creel_api::{ErrorCode, LinkIdentity, LinkedIdentity, Proof, SsoChoice};
use creel_domain::IdentityId;
use creel_store::{NewIdentity, SsoLink};

use super::{Begun, Landing, begin, finish::over, not_allowed};
use crate::{
    Control,
    http::{
        auth::Caller,
        failure::{Answer, Failure},
        visitor::Visitor,
    },
    operations::{
        people::me::{prove, renew},
        sign_in::{hash, secret},
    },
    sso::Provider,
};

pub(crate) async fn list(control: &Control, caller: &Caller) -> Answer<Vec<LinkedIdentity>> {
    let platform = caller.platform(control);
    let providers = platform.sso_providers().await?;
    let choice = |issuer: &str| {
        let found = providers.iter().find(|provider| provider.issuer == issuer)?;
        Some(SsoChoice {
            name: found.name.clone(),
            label: found.label.clone(),
        })
    };
    let identities = platform.identities(caller.user).await?;
    Ok(identities
        .into_iter()
        .map(|identity| LinkedIdentity {
            id: identity.id,
            provider: choice(&identity.issuer),
            issuer: identity.issuer,
            subject: identity.subject,
            email: identity.email,
            created_at: identity.created_at,
        })
        .collect())
}

/// Whoever found an open browser must not be able to add a way in of their own.
pub(crate) async fn ask(
    control: &Control,
    caller: &Caller,
    visitor: &Visitor,
    browser: Option<&str>,
    body: LinkIdentity,
) -> Answer<Begun> {
    let session = caller.session.ok_or_else(|| {
        Failure::new(
            ErrorCode::Forbidden,
            "An identity is linked in a browser: sign in on the page and link it under Account.",
        )
    })?;
    let person = caller.platform(control).person(caller.user).await?;
    prove(control, caller, &person, body.password.as_ref()).await?;
    let asked = SsoLink {
        user: caller.user,
        session: session.id,
    };
    begin(
        control,
        visitor,
        body.provider.as_str(),
        browser,
        None,
        Some("/#account"),
        Some(asked),
    )
    .await
}

/// The browser is back: whoever asked must still be signed in where they asked.
pub(super) async fn finish(
    control: &Control,
    visitor: &Visitor,
    provider: &Provider,
    asked: SsoLink,
    identity: NewIdentity,
) -> Answer<Landing> {
    let access = control
        .store
        .platform()
        .by_browser_session_id(asked.session)
        .await?;
    let access = access.filter(|access| access.user == asked.user && !access.suspended);
    let access = access.ok_or_else(over)?;
    let visitor = visitor.known(access.user, &access.user_name, access.via);
    let platform = visitor.platform(control);
    if !platform.link_identity(asked.user, identity).await? {
        return Err(not_allowed(format!(
            "This account of {} is linked to somebody else here: unlink it there first, or use another one.",
            provider.stored.label
        )));
    }
    // What lets somebody in has changed: the session goes on under another secret.
    let fresh = secret("")?;
    let renewed = platform
        .renew_browser_session(asked.session, hash(&fresh), false)
        .await?;
    Ok(Landing {
        path: "/#account".to_owned(),
        session: renewed.then_some(fresh),
    })
}

/// The new secret of the caller's session, if they have one.
pub(crate) async fn unlink(
    control: &Control,
    caller: &Caller,
    identity: IdentityId,
    proof: Proof,
) -> Answer<Option<String>> {
    let platform = caller.platform(control);
    let person = platform.person(caller.user).await?;
    prove(control, caller, &person, proof.password.as_ref()).await?;
    platform.unlink_identity(caller.user, identity).await?;
    renew(control, caller).await
}
