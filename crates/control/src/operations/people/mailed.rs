//! Choosing a new password by a mail, and confirming an address by one.

use creel_api::{ConfirmReset, VerifyEmail};
use creel_domain::Email;
use creel_store::{MailKind, Purpose};

use super::{account_key, check_password, factor_key, good_code, may_mail};
use crate::{
    Control,
    http::{
        failure::{Answer, Failure},
        visitor::Visitor,
    },
    operations::sign_in::hash,
};

fn unknown() -> Failure {
    Failure::not_found("The link is not valid: it was used or is too old. Have another mail sent.")
}

/// Has a mail sent, if the address is somebody's. Nobody is told whether it is.
pub(crate) async fn ask_to_reset(control: &Control, visitor: &Visitor, email: Email) -> Answer<()> {
    if may_mail(control, visitor, "reset", &email).await? {
        let platform = visitor.platform(control);
        platform.enqueue_mail(email, MailKind::Reset).await?;
        control.mailer.ring();
    }
    Ok(())
}

pub(crate) async fn reset(control: &Control, visitor: &Visitor, body: ConfirmReset) -> Answer<()> {
    let code = body.code.reveal();
    if !good_code(code) {
        return Err(unknown());
    }
    let code = hash(code);
    let platform = visitor.platform(control);
    let email = platform.code_address(Purpose::Reset, code).await?;
    let email = email.ok_or_else(unknown)?;
    let person = platform.person_by_email(email).await?.ok_or_else(unknown)?;
    let password = body.password.reveal();
    check_password(password, &person.name, person.email.as_ref())?;
    let password = control.passwords.hash(password).await?;
    let done = platform.reset_password(code, password).await?;
    let (user, email) = done.ok_or_else(unknown)?;
    platform
        .forgive(vec![account_key(&email), factor_key(user)], Vec::new())
        .await?;
    platform.enqueue_mail(email, MailKind::PasswordChanged).await?;
    control.mailer.ring();
    Ok(())
}

pub(crate) async fn verify(control: &Control, visitor: &Visitor, body: VerifyEmail) -> Answer<()> {
    let code = body.code.reveal();
    if !good_code(code) {
        return Err(unknown());
    }
    let done = visitor.platform(control).verify_email(hash(code)).await?;
    done.map(|_| ()).ok_or_else(unknown)
}
