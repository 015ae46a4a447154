//! The caller as a person: their address, their password, and showing once more who they are.

use creel_api::{ErrorCode, Me, MyOrg, Secret, SetEmail, SetPassword};
use creel_domain::{BrowserSessionAge, Patience};
use creel_store::{MailKind, Person};

use super::{check_password, could_be, key};
use crate::{
    Control,
    http::{
        auth::Caller,
        failure::{Answer, Failure},
    },
    operations::sign_in::{hash, secret},
};

pub(crate) async fn show(control: &Control, caller: &Caller) -> Answer<Me> {
    let platform = caller.platform(control);
    let person = platform.person(caller.user).await?;
    let orgs = platform.memberships(caller.user).await?;
    Ok(Me {
        user: caller.user,
        user_name: caller.user_name.clone(),
        email_verified: person.verified_at.is_some(),
        email: person.email,
        password: person.password.is_some(),
        second_factor: person.second_factor,
        passkeys: person.passkeys,
        recovery_codes_left: platform.recovery_codes_left(caller.user).await?,
        org: caller.org,
        orgs: orgs
            .into_iter()
            .map(|membership| MyOrg {
                id: membership.org,
                name: membership.org_name,
                role: membership.role,
            })
            .collect(),
    })
}

/// Whoever found an open browser or a token must not be able to take the account over: the most important things
/// need the password, or a sign-in of just now. Where there is neither a password, a passkey nor a sign-in elsewhere
/// there is nothing to show.
pub(super) async fn prove(
    control: &Control,
    caller: &Caller,
    person: &Person,
    password: Option<&Secret>,
) -> Answer<()> {
    let forbidden = |sentence: &str| Err(Failure::new(ErrorCode::Forbidden, sentence));
    let stored = person.password.as_ref();
    let (Some(stored), Some(password)) = (stored, password.map(Secret::reveal)) else {
        let proven = caller.session.and_then(|session| session.proven_at);
        let since = proven.map(|at| control.clock.now().duration_since(at));
        if since.is_some_and(|since| since < BrowserSessionAge::FRESH) {
            return Ok(());
        }
        return match (stored, person.passkeys) {
            (Some(_), 0) => forbidden("This needs your current password."),
            (Some(_), _) => forbidden("This needs your current password, or your passkey once more."),
            (None, 0) if !caller.platform(control).signs_in_elsewhere(caller.user).await? => Ok(()),
            (None, 0) => forbidden(
                "This needs a sign-in of just now: sign out, sign in again, and do it within 15 minutes.",
            ),
            (None, _) => forbidden("This needs your passkey once more."),
        };
    };
    let key = key("proof", &caller.user.to_string());
    let platform = caller.platform(control);
    let tried = could_be(password) && platform.may_try(vec![(key, Patience::ACCOUNT)]).await?;
    if !tried || !control.passwords.verify(password, Some(stored)).await? {
        return forbidden(
            "The current password is not right, or there were too many attempts: wait a little.",
        );
    }
    platform.forgive(vec![key], Vec::new()).await?;
    Ok(())
}

/// After a change of what lets somebody in, a session goes on under another secret.
pub(super) async fn renew(control: &Control, caller: &Caller) -> Answer<Option<String>> {
    let Some(session) = caller.session else {
        return Ok(None);
    };
    let fresh = secret("")?;
    let platform = caller.platform(control);
    let renewed = platform
        .renew_browser_session(session.id, hash(&fresh), false)
        .await?;
    Ok(renewed.then_some(fresh))
}

pub(crate) async fn set_email(control: &Control, caller: &Caller, body: SetEmail) -> Answer<()> {
    let platform = caller.platform(control);
    let person = platform.person(caller.user).await?;
    prove(control, caller, &person, body.password.as_ref()).await?;
    let keys = vec![
        (key("set e-mail", &caller.user.to_string()), Patience::SENDER),
        (
            key("mailbox", &format!("verify {}", body.email)),
            Patience::MAILBOX,
        ),
    ];
    if !platform.may_try(keys).await? {
        return Err(Failure::new(
            ErrorCode::Busy,
            "You asked for many mails in a short time: wait a while.",
        ));
    }
    // Who runs the platform could read every mail that waits here, and may have to sign in before mail works.
    if caller.operator && !platform.set_email(caller.user, body.email.clone(), false).await? {
        return Err(Failure::new(
            ErrorCode::Conflict,
            "Another user has this address.",
        ));
    }
    let kind = MailKind::Verify { user: caller.user };
    platform.enqueue_mail(body.email, kind).await?;
    control.mailer.ring();
    Ok(())
}

/// The new secret of the caller's session, if they have one.
pub(crate) async fn set_password(
    control: &Control,
    caller: &Caller,
    body: SetPassword,
) -> Answer<Option<String>> {
    let platform = caller.platform(control);
    let person = platform.person(caller.user).await?;
    let new = body.new.reveal();
    check_password(new, &caller.user_name, person.email.as_ref())?;
    prove(control, caller, &person, body.current.as_ref()).await?;
    let new = control.passwords.hash(new).await?;
    let session = caller.session.map(|session| session.id);
    platform.set_password(caller.user, new, session).await?;
    if let Some(email) = person.email {
        platform.enqueue_mail(email, MailKind::PasswordChanged).await?;
        control.mailer.ring();
    }
    renew(control, caller).await
}
