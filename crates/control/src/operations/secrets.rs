//! Secrets of an org and of its agents, the key that seals them, and the org's own key.

use std::sync::Arc;

use creel_api::{
    self as api, ErrorCode, KeyProblem, OwnKey, SecretEntry, SecretRotation, SetOwnKey, SetSecret,
};
use creel_domain::{AgentId, MemberRole, OrgId, SecretName, TransitKey};
use creel_store::{Org, Rotation, SECRET_BYTES, StoredOwnKey, StoredSecret};
use zeroize::Zeroizing;

use crate::{
    Control,
    http::{
        auth::Caller,
        failure::{Answer, Failure, sentence},
    },
};

/// The longest token of a Vault.
const TOKEN_BYTES: usize = 4096;
/// Where Transit is mounted if nobody says otherwise.
const MOUNT: &str = "transit";

fn shown(stored: StoredSecret) -> SecretEntry {
    SecretEntry {
        name: stored.name,
        agent: stored.agent,
        version: stored.version,
        created_at: stored.created_at,
        changed_at: stored.changed_at,
        changed_by: stored.changed_by,
    }
}

/// Whose secrets: the agent's that the path names, or the whole org's.
async fn owner(control: &Control, org: OrgId, agent: Option<&str>) -> Answer<Option<AgentId>> {
    match agent {
        None => Ok(None),
        Some(agent) => Ok(Some(control.agent(org, agent).await?.id)),
    }
}

fn missing(name: &str) -> Failure {
    let shown: String = name.chars().take(80).collect();
    Failure::not_found(format!(
        "There is no secret `{shown}`: `creel secrets ls` shows those that there are."
    ))
}

pub(crate) async fn list(control: &Control, org: OrgId, agent: Option<&str>) -> Answer<Vec<SecretEntry>> {
    let agent = owner(control, org, agent).await?;
    let stored = control.store.org(org).secrets(agent).await?;
    Ok(stored.into_iter().map(shown).collect())
}

pub(crate) async fn set(
    control: &Control,
    caller: &Caller,
    agent: Option<&str>,
    name: &str,
    set: SetSecret,
) -> Answer<SecretEntry> {
    let agent = owner(control, caller.org, agent).await?;
    let name: SecretName = name
        .parse()
        .map_err(|error| Failure::invalid(sentence(&format!("{error}"))))?;
    let value = set.value.reveal();
    if value.is_empty() {
        return Err(Failure::invalid("A secret has a value of at least one byte."));
    }
    if value.len() > SECRET_BYTES {
        return Err(Failure::new(
            ErrorCode::TooLarge,
            format!("A secret has at most {SECRET_BYTES} bytes."),
        ));
    }
    if value.contains('\0') {
        return Err(Failure::invalid("A secret is text without the character NUL."));
    }
    let value = Zeroizing::new(value.to_owned());
    Ok(shown(caller.org(control).set_secret(agent, name, value).await?))
}

pub(crate) async fn remove(
    control: &Control,
    caller: &Caller,
    agent: Option<&str>,
    name: &str,
) -> Answer<()> {
    let agent = owner(control, caller.org, agent).await?;
    let parsed: SecretName = name.parse().map_err(|_| missing(name))?;
    let removed = caller.org(control).remove_secret(agent, parsed).await;
    removed.map_err(|error| match error {
        creel_store::Error::NotFound(_) => missing(name),
        other => other.into(),
    })
}

fn problem(error: creel_store::Error) -> KeyProblem {
    let failure = Failure::from(error);
    KeyProblem {
        code: failure.code(),
        detail: failure.detail().to_owned(),
    }
}

fn state(rotation: Rotation) -> SecretRotation {
    SecretRotation {
        key_version: rotation.key_version,
        since: rotation.since,
        rotating: rotation.rotating,
        remaining: rotation.remaining,
        problem: rotation.problem.map(problem),
    }
}

pub(crate) async fn rotate(control: &Control, caller: &Caller) -> Answer<SecretRotation> {
    let rotation = caller.org(control).rotate_keys().await?;
    control.keys_nudge.notify_one();
    Ok(state(rotation))
}

pub(crate) async fn rotation(control: &Control, org: OrgId) -> Answer<SecretRotation> {
    Ok(state(control.store.org(org).rotation().await?))
}

/// Whoever holds the org's own key can close all of it.
fn owners_only(caller: &Caller) -> Answer<()> {
    if caller.role == MemberRole::Owner {
        return Ok(());
    }
    Err(Failure::new(
        ErrorCode::Forbidden,
        "Only an owner of the org may look at or change its own key.",
    ))
}

async fn own_key_of(org: &Org, stored: StoredOwnKey) -> OwnKey {
    OwnKey {
        problem: org.probe_own_key().await.err().map(problem),
        address: stored.key.address,
        mount: stored.key.mount,
        name: stored.key.name,
        changed_at: stored.changed_at,
        changed_by: stored.changed_by,
    }
}

/// Asks the key whether it can be used.
pub(crate) async fn own_key(control: &Control, caller: &Caller) -> Answer<OwnKey> {
    owners_only(caller)?;
    let org = control.store.org(caller.org);
    match org.own_key().await? {
        Some(stored) => Ok(own_key_of(&org, stored).await),
        None => Err(Failure::not_found(
            "The org has no key of its own: `creel secrets key set` names one.",
        )),
    }
}

pub(crate) async fn set_own_key(
    control: &Arc<Control>,
    caller: &Caller,
    set: SetOwnKey,
) -> Answer<api::OwnKey> {
    owners_only(caller)?;
    let mount = set.mount.as_deref().unwrap_or(MOUNT);
    let key = TransitKey::new(&set.address, mount, &set.name)
        .map_err(|error| Failure::invalid(sentence(&error.to_string())))?;
    control.vaults.check(&key.address)?;
    let token = set.token.reveal();
    let good = (1..=TOKEN_BYTES).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic());
    if !good {
        return Err(Failure::invalid(format!(
            "A Vault's token is 1 to {TOKEN_BYTES} visible ASCII characters."
        )));
    }
    let token = Zeroizing::new(token.to_owned());
    let org = caller.org(control);
    let work = Arc::clone(control);
    control
        .detached(async move {
            org.set_own_key(key, token).await?;
            work.keys_nudge.notify_one();
            let stored = org.own_key().await?;
            let stored = stored.ok_or_else(|| Failure::not_found("The key was removed again."))?;
            Ok(own_key_of(&org, stored).await)
        })
        .await
}

pub(crate) async fn remove_own_key(control: &Arc<Control>, caller: &Caller, destroy: bool) -> Answer<()> {
    owners_only(caller)?;
    let org = caller.org(control);
    control
        .detached(async move {
            if org.own_key().await?.is_none() {
                return Err(Failure::not_found("The org has no key of its own."));
            }
            if destroy {
                org.destroy_keys().await?;
            } else {
                org.remove_own_key().await?;
            }
            Ok(())
        })
        .await
}
