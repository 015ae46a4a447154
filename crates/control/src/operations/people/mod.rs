//! People: how they get in, and what they keep about themselves.
//!
//! What a stranger may ask is answered alike for known and unknown addresses: the same words, the same writes
//! to the store, the same number of password hashes. What differs is found out later, by whoever sends the mail.

pub(crate) mod by_passkey;
pub(crate) mod enter;
pub(crate) mod mailed;
pub(crate) mod me;
pub(crate) mod passkeys;
pub(crate) mod sessions;
pub(crate) mod sign_up;
pub(crate) mod sso;
pub(crate) mod totp;

use creel_domain::{Email, PasswordRules, Patience, UserId};

use super::sign_in::hash;
use crate::{
    Control,
    http::{
        failure::{Answer, Failure, sentence},
        visitor::Visitor,
    },
};

/// No code of ours is longer.
const CODE_BYTES: usize = 256;

/// What attempts are counted by. Only its hash is kept.
fn key(kind: &str, what: &str) -> [u8; 32] {
    hash(&format!("{kind}\n{what}"))
}

/// Guesses at whatever lets this address in, whether somebody has it or not.
fn account_key(email: &Email) -> [u8; 32] {
    key("account", email.as_str())
}

fn factor_key(user: UserId) -> [u8; 32] {
    key("second factor", &user.to_string())
}

fn guesser_key(visitor: &Visitor) -> Option<[u8; 32]> {
    visitor.network.as_deref().map(|network| key("address", network))
}

/// Whether another mail about `what` may be sent to `email` because `visitor` asks for it. Who asks is not told.
async fn may_mail(control: &Control, visitor: &Visitor, what: &str, email: &Email) -> Answer<bool> {
    let mailbox = key("mailbox", &format!("{what} {email}"));
    let mut keys = vec![(mailbox, Patience::MAILBOX)];
    let sender = visitor.network.as_deref().map(|network| key("sender", network));
    keys.extend(sender.map(|sender| (sender, Patience::SENDER)));
    Ok(control.store.platform().may_try(keys).await?)
}

/// Refuses a password that is too short or too easy, with what to do instead.
fn check_password(password: &str, name: &str, email: Option<&Email>) -> Answer<()> {
    PasswordRules::check(password, name, email)
        .map_err(|weak| Failure::invalid(format!("`password`: {}", sentence(&weak.to_string()))))
}

/// Whether a password could be anybody's: what is longer is not worth hashing.
fn could_be(password: &str) -> bool {
    password.chars().count() <= PasswordRules::LONGEST
}

fn good_code(code: &str) -> bool {
    (1..=CODE_BYTES).contains(&code.len())
}
