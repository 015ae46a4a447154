//! Signing in: a password, perhaps a second factor, and then a session or a token.

use std::time::Duration;

use creel_api::{ErrorCode, NewToken, SecondFactor, Secret, SignIn, SignInResult, SignedIn, WantedToken};
use creel_domain::{OrgId, Patience, UserId};
use creel_store::{NewBrowserSession, Person};
use jiff::SignedDuration;

use super::{account_key, could_be, factor_key, good_code, guesser_key, totp};
use crate::{
    Control,
    http::{
        cookie::SessionCookie,
        failure::{Answer, Failure},
        visitor::Visitor,
    },
    operations::{
        sign_in::{hash, secret},
        tokens::{PREFIX, readable},
    },
};

const SHORTEST_TOKEN: Duration = Duration::from_secs(60);
const LONGEST_TOKEN: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// What came of it, and the secret of a new session.
pub(crate) struct Entered {
    result: SignInResult,
    session: Option<String>,
}

impl Entered {
    pub(crate) fn answer(self, cookie: &SessionCookie) -> SignInResult {
        if let Some(secret) = self.session {
            cookie.set(secret);
        }
        self.result
    }
}

/// One sentence for a wrong password, an unknown address and too many attempts.
fn wrong() -> Failure {
    Failure::new(
        ErrorCode::Unauthenticated,
        "The address or the password is not right, or there were too many attempts. Wait a little and try again, \
         or have a mail sent to choose a new password.",
    )
}

fn over() -> Failure {
    Failure::new(
        ErrorCode::Unauthenticated,
        "This sign-in took too long or was tried too often: begin again with your password.",
    )
}

pub(crate) async fn sign_in(control: &Control, visitor: &Visitor, body: SignIn) -> Answer<Entered> {
    let token = body.token.map(good_token).transpose()?;
    let password = body.password.reveal();
    let (account, guesser) = (account_key(&body.email), guesser_key(visitor));
    let mut keys = vec![(account, Patience::ACCOUNT)];
    keys.extend(guesser.map(|guesser| (guesser, Patience::ADDRESS)));
    let platform = visitor.platform(control);
    if !could_be(password) || !platform.may_try(keys).await? {
        return Err(wrong());
    }
    let person = platform.person_by_email(body.email).await?;
    let stored = person.as_ref().and_then(|person| person.password);
    let right = control.passwords.verify(password, stored.as_ref()).await?;
    let (Some(person), Some(stored), true) = (person.as_ref(), stored, right) else {
        if let Some(person) = person {
            note_refused(control, visitor, person.user, "password");
        }
        return Err(wrong());
    };
    if control.passwords.is_dated(&stored) {
        let fresh = control.passwords.hash(password).await?;
        platform.rehash_password(person.user, stored, fresh).await?;
    }
    if person.second_factor {
        // The attempt stays counted until the second factor is right as well.
        let ticket = secret("")?;
        let expires_at = platform.open_half_session(person.user, hash(&ticket)).await?;
        let ticket = Secret::new(ticket);
        return Ok(Entered {
            result: SignInResult::SecondFactorRequired { ticket, expires_at },
            session: None,
        });
    }
    let entered = let_in(control, visitor, person, body.org, token).await?;
    platform
        .forgive(vec![account], guesser.into_iter().collect())
        .await?;
    Ok(entered)
}

pub(crate) async fn second_factor(
    control: &Control,
    visitor: &Visitor,
    body: SecondFactor,
) -> Answer<Entered> {
    let token = body.token.map(good_token).transpose()?;
    let ticket = body.ticket.reveal();
    if !good_code(ticket) {
        return Err(over());
    }
    let ticket = hash(ticket);
    let platform = visitor.platform(control);
    let half = platform.try_half_session(ticket).await?.ok_or_else(over)?;
    let (factor, guesser) = (factor_key(half.user), guesser_key(visitor));
    let mut keys = vec![(factor, Patience::ACCOUNT)];
    keys.extend(guesser.map(|guesser| (guesser, Patience::ADDRESS)));
    let not_right = || {
        Failure::new(
            ErrorCode::Unauthenticated,
            "The code is not right, was used already, or there were too many attempts. Wait for the next one, or \
             take a recovery code.",
        )
    };
    if !platform.may_try(keys).await? {
        return Err(not_right());
    }
    if !totp::is_good(control, half.user, body.code.reveal()).await? {
        note_refused(control, visitor, half.user, "second factor");
        return Err(not_right());
    }
    if !platform.end_half_session(ticket).await? {
        return Err(over());
    }
    let person = platform.person(half.user).await?;
    let entered = let_in(control, visitor, &person, body.org, token).await?;
    let mut whole = vec![factor];
    whole.extend(person.email.as_ref().map(account_key));
    platform.forgive(whole, guesser.into_iter().collect()).await?;
    Ok(entered)
}

/// Told in the trails of the user's orgs, beside the answer: a known address must not take longer than an unknown
/// one. How often is bounded by how often somebody may try.
fn note_refused(control: &Control, visitor: &Visitor, user: UserId, with: &'static str) {
    let platform = visitor.platform(control);
    tokio::spawn(async move {
        if let Err(error) = platform.note_refused(user, with).await {
            tracing::warn!(%error, %user, "a sign-in that failed could not be told");
        }
    });
}

fn good_token(wanted: WantedToken) -> Answer<(String, SignedDuration)> {
    let name = readable(&wanted.name)?;
    let lasts = Duration::from_secs(wanted.expires_in_seconds);
    if !(SHORTEST_TOKEN..=LONGEST_TOKEN).contains(&lasts) {
        return Err(Failure::invalid(
            "`token.expires_in_seconds` must be between 60 and one year.",
        ));
    }
    let lasts = SignedDuration::try_from(lasts).map_err(Failure::internal)?;
    Ok((name, lasts))
}

pub(super) async fn let_in(
    control: &Control,
    visitor: &Visitor,
    person: &Person,
    org: Option<OrgId>,
    token: Option<(String, SignedDuration)>,
) -> Answer<Entered> {
    let mut signed_in = place(visitor, control, person.user, org).await?;
    let mut session = None;
    match token {
        Some((name, lasts)) => {
            let made = make_token(control, visitor, &signed_in, name, lasts).await?;
            signed_in.secret = Some(Secret::new(made.secret));
        }
        None => session = Some(open_session(control, visitor, signed_in.org, person.user).await?),
    }
    Ok(Entered {
        result: SignInResult::SignedIn(signed_in),
        session,
    })
}

/// The org that somebody lands in.
pub(super) async fn place(
    visitor: &Visitor,
    control: &Control,
    user: UserId,
    org: Option<OrgId>,
) -> Answer<SignedIn> {
    let orgs = visitor.platform(control).memberships(user).await?;
    let found = orgs
        .into_iter()
        .find(|membership| org.is_none_or(|org| membership.org == org));
    let membership = found.ok_or_else(|| {
        Failure::new(
            ErrorCode::Forbidden,
            match org {
                Some(_) => "You do not belong to that org: leave it out to land in one of yours.",
                None => "You belong to no org any more: ask for an invitation.",
            },
        )
    })?;
    Ok(SignedIn {
        user,
        org: membership.org,
        org_name: membership.org_name,
        role: membership.role,
        secret: None,
    })
}

/// A session for somebody who has just shown who they are; its secret.
pub(super) async fn open_session(
    control: &Control,
    visitor: &Visitor,
    org: OrgId,
    user: UserId,
) -> Answer<String> {
    let secret = secret("")?;
    let new = NewBrowserSession {
        hash: hash(&secret),
        browser: visitor.browser.clone(),
        proven: true,
    };
    visitor
        .platform(control)
        .open_browser_session(org, user, new)
        .await?;
    Ok(secret)
}

async fn make_token(
    control: &Control,
    visitor: &Visitor,
    signed_in: &SignedIn,
    name: String,
    lasts: SignedDuration,
) -> Answer<NewToken> {
    let secret = secret(PREFIX)?;
    let expires_at = control
        .clock
        .now()
        .saturating_add(lasts)
        .map_err(Failure::internal)?;
    let token = creel_store::NewToken {
        expires_at: Some(expires_at),
        ..creel_store::NewToken::whole(signed_in.user, &name, hash(&secret))
    };
    let stored = visitor.org(control, signed_in.org).add_token(token).await?;
    Ok(NewToken {
        token: super::super::tokens::shown(stored),
        secret,
    })
}
