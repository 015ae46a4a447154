//! API tokens: made, listed, revoked. Each member has their own; admins see and revoke everybody's.

use std::{collections::BTreeSet, time::Duration};

use creel_api::{CreateToken, ErrorCode, NewToken, Token};
use creel_domain::{Scope, TokenId, UserId};
use creel_store::StoredToken;
use jiff::{SignedDuration, Timestamp};

use super::sign_in::{hash, secret};
use crate::{
    Control,
    http::{
        auth::Caller,
        failure::{Answer, Failure},
    },
};

/// What every token's secret begins with: scanners of leaked secrets know it by that.
pub(crate) const PREFIX: &str = "creel_";
pub(crate) const NAME_CHARS: usize = 100;
const SHORTEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(10 * 366 * 24 * 60 * 60);

pub(super) fn shown(token: StoredToken) -> Token {
    Token {
        id: token.id,
        name: token.name,
        user: token.user,
        scopes: token.scopes,
        created_at: token.created_at,
        expires_at: token.expires_at,
        last_used_at: token.last_used_at,
    }
}

/// Whose tokens the caller may see and revoke: none stands for everybody's.
pub(crate) fn whose(caller: &Caller) -> Option<UserId> {
    (!caller.scopes.contains(&Scope::MembersWrite)).then_some(caller.user)
}

pub(crate) async fn list(control: &Control, caller: &Caller) -> Answer<Vec<Token>> {
    let tokens = control.store.org(caller.org).tokens(whose(caller)).await?;
    Ok(tokens.into_iter().map(shown).collect())
}

/// A name that people can read: 1 to 100 characters, none of them invisible.
pub(crate) fn readable(name: &str) -> Answer<String> {
    let name = name.trim();
    let good = (1..=NAME_CHARS).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    if good {
        Ok(name.to_owned())
    } else {
        Err(Failure::invalid(format!(
            "`name` must have 1 to {NAME_CHARS} characters, all of them visible."
        )))
    }
}

/// The scopes of something that is to speak for the caller; none: all that the user may do.
pub(crate) fn given_scopes(
    caller: &Caller,
    scopes: Option<BTreeSet<Scope>>,
) -> Answer<Option<BTreeSet<Scope>>> {
    match scopes {
        Some(scopes) if scopes.is_empty() => Err(Failure::invalid(
            "`scopes` is empty: name at least one, or leave it out for all that you may do.",
        )),
        Some(scopes) => match scopes.difference(&caller.scopes).next() {
            Some(more) => Err(Failure::new(
                ErrorCode::Forbidden,
                format!("A token may not have more than you have, and you do not have `{more}`."),
            )),
            None => Ok(Some(scopes)),
        },
        // A token with less makes none with more.
        None => Ok(caller.restricted.then(|| caller.scopes.clone())),
    }
}

/// When a token ends that is to be valid for so many seconds.
pub(crate) fn ends_at(control: &Control, seconds: Option<u64>) -> Answer<Option<Timestamp>> {
    match seconds.map(Duration::from_secs) {
        Some(after) if !(SHORTEST..=LONGEST).contains(&after) => Err(Failure::invalid(
            "`expires_in_seconds` must be between 60 and ten years; leave it out for a token without an end.",
        )),
        Some(after) => {
            let after = SignedDuration::try_from(after).map_err(Failure::internal)?;
            let end = control.clock.now().saturating_add(after);
            end.map(Some).map_err(Failure::internal)
        }
        None => Ok(None),
    }
}

pub(crate) async fn create(control: &Control, caller: &Caller, create: CreateToken) -> Answer<NewToken> {
    let name = readable(&create.name)?;
    let scopes = given_scopes(caller, create.scopes)?;
    let expires_at = ends_at(control, create.expires_in_seconds)?;
    let secret = secret(PREFIX)?;
    let token = caller
        .org(control)
        .add_token(creel_store::NewToken {
            user: caller.user,
            name,
            hash: hash(&secret),
            scopes,
            expires_at,
        })
        .await?;
    Ok(NewToken {
        token: shown(token),
        secret,
    })
}

pub(crate) async fn revoke(control: &Control, caller: &Caller, token: TokenId) -> Answer<()> {
    let org = caller.org(control);
    Ok(org.revoke_token(token, whose(caller)).await?)
}
