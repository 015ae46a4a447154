//! Who runs the platform, and what they must have shown before they reach into what is others'.

use creel_api::{self as api, ErrorCode};
use creel_domain::{Email, UserId};
use creel_store::StoredOperator;
use jiff::SignedDuration;

use crate::{
    Control,
    http::{
        auth::Caller,
        failure::{Answer, Failure},
    },
};

/// A browser in which an operator signed in longer ago than this is not enough.
const SIGNED_IN_WITHIN: SignedDuration = SignedDuration::from_hours(12);

fn refused(sentence: &str) -> Failure {
    Failure::new(ErrorCode::Forbidden, sentence)
}

/// Refuses whoever is no operator, or has not shown enough: with all that they may do, a second factor in force, and in a
/// browser a sign-in of the last twelve hours.
pub(crate) async fn prove(control: &Control, caller: &Caller) -> Answer<()> {
    if !caller.operator || caller.restricted {
        return Err(refused(
            "Only an operator of the platform may do this, signed in or with a token without scopes.",
        ));
    }
    if !caller
        .platform(control)
        .person(caller.user)
        .await?
        .needs_two_factors()
    {
        return Err(refused(
            "An operator needs a second factor for this: set one up with `creel totp enrol`, or on the web page.",
        ));
    }
    let Some(session) = caller.session else {
        return Ok(());
    };
    let since = session.proven_at.map(|at| control.clock.now().duration_since(at));
    if since.is_none_or(|since| since > SIGNED_IN_WITHIN) {
        return Err(refused(
            "An operator must have signed in within the last twelve hours for this: sign out and in again.",
        ));
    }
    Ok(())
}

fn shown(stored: StoredOperator) -> api::Operator {
    api::Operator {
        user: stored.user,
        name: stored.name,
        email: stored.email,
        second_factor: stored.second_factor,
    }
}

pub(crate) async fn list(control: &Control, caller: &Caller) -> Answer<Vec<api::Operator>> {
    prove(control, caller).await?;
    let operators = caller.platform(control).operators().await?;
    Ok(operators.into_iter().map(shown).collect())
}

pub(crate) async fn add(control: &Control, caller: &Caller, email: Email) -> Answer<api::Operator> {
    prove(control, caller).await?;
    let added = caller.platform(control).add_operator(email).await;
    added.map(shown).map_err(|error| match error {
        creel_store::Error::NotFound(_) => {
            Failure::not_found("No user has verified this address: they sign up first, and confirm it.")
        }
        other => other.into(),
    })
}

pub(crate) async fn remove(control: &Control, caller: &Caller, user: UserId) -> Answer<()> {
    prove(control, caller).await?;
    Ok(caller.platform(control).remove_operator(user).await?)
}
