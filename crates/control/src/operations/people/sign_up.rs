//! Becoming a user: a mail shows that the address is theirs, then they choose name and password.

use creel_api::{ConfirmSignUp, ErrorCode, SignUp, SignUpMode, SignedIn};
use creel_store::{MailKind, NewBrowserSession, NewPerson, Purpose, SignedUp};

use super::{check_password, enter, good_code, may_mail};
use crate::{
    Control,
    http::{
        failure::{Answer, Failure},
        visitor::Visitor,
    },
    operations::{
        sign_in::{hash, secret},
        tokens::readable,
    },
};

fn closed() -> Failure {
    Failure::new(
        ErrorCode::Forbidden,
        "Nobody can sign up here: ask whoever runs this Creel.",
    )
}

fn not_invited() -> Failure {
    Failure::not_found("The invitation is not valid: it was used, revoked or is too old. Ask for a new one.")
}

/// Has a mail sent. Whether the address has an account is said in it and nowhere else.
pub(crate) async fn ask(control: &Control, visitor: &Visitor, body: SignUp) -> Answer<()> {
    let platform = visitor.platform(control);
    let invitation = match (control.sign_up, &body.invitation) {
        (SignUpMode::Closed, _) => return Err(closed()),
        (SignUpMode::Invite, None) => {
            return Err(Failure::new(
                ErrorCode::Forbidden,
                "One signs up here by invitation: ask a member of an org for one.",
            ));
        }
        (SignUpMode::Open, None) => None,
        (_, Some(code)) => {
            let code = code.reveal();
            if !good_code(code) || !platform.is_invited(hash(code)).await? {
                return Err(not_invited());
            }
            Some(hash(code))
        }
    };
    if may_mail(control, visitor, "sign-up", &body.email).await? {
        platform
            .enqueue_mail(body.email, MailKind::SignUp { invitation })
            .await?;
        control.mailer.ring();
    }
    Ok(())
}

/// Who is in now, and the secret of their session.
pub(crate) async fn confirm(
    control: &Control,
    visitor: &Visitor,
    body: ConfirmSignUp,
) -> Answer<(SignedIn, String)> {
    if control.sign_up == SignUpMode::Closed {
        return Err(closed());
    }
    let unknown = || {
        Failure::not_found(
            "The link is not valid: it was used or is too old, or its invitation is. Sign up again.",
        )
    };
    let name = readable(&body.name)?;
    let code = body.code.reveal();
    if !good_code(code) {
        return Err(unknown());
    }
    let code = hash(code);
    let platform = visitor.platform(control);
    // Nobody has a core work for them with a code that is none.
    let email = platform.code_address(Purpose::SignUp, code).await?;
    let email = email.ok_or_else(unknown)?;
    let password = body.password.reveal();
    check_password(password, &name, Some(&email))?;
    let password = control.passwords.hash(password).await?;
    let session = secret("")?;
    let new = NewPerson {
        code,
        password,
        org_name: (control.sign_up == SignUpMode::Open).then(|| org_name(&name)),
        session: NewBrowserSession {
            hash: hash(&session),
            browser: visitor.browser.clone(),
            proven: true,
        },
        name,
    };
    match platform.sign_up(new).await? {
        SignedUp::Done { org, user } => Ok((enter::place(visitor, control, user, Some(org)).await?, session)),
        SignedUp::Unknown => Err(unknown()),
        // Whoever has the code can read the mailbox: it is no secret from them.
        SignedUp::Taken => Err(Failure::new(
            ErrorCode::Conflict,
            "This address has an account already: sign in, or choose a new password if you forgot it.",
        )),
    }
}

pub(super) fn org_name(name: &str) -> String {
    let name: String = name.chars().take(80).collect();
    format!("{name}'s org")
}
