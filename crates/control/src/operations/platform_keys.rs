//! For operators: the platform's providers, and exchanging the master key.

use creel_api::{AddProvider, MasterKey, Provider};
use creel_domain::Name;
use creel_store::{MasterKeyState, NewProvider};
use zeroize::Zeroizing;

use super::{operators, providers};
use crate::{
    Control,
    http::{
        auth::Caller,
        failure::{Answer, Failure},
    },
};

fn state(state: MasterKeyState) -> MasterKey {
    MasterKey {
        id: state.id,
        began_at: state.began_at,
        finished_at: state.finished_at,
        remaining: state.remaining,
    }
}

pub(crate) async fn master_key(control: &Control) -> Answer<MasterKey> {
    Ok(state(control.store.platform().master_key().await?))
}

pub(crate) async fn rotate_master_key(control: &Control, caller: &Caller) -> Answer<MasterKey> {
    operators::prove(control, caller).await?;
    let begun = caller.platform(control).rotate_master_key(caller.org).await?;
    control.keys_nudge.notify_one();
    Ok(state(begun))
}

pub(crate) async fn list(control: &Control) -> Answer<Vec<Provider>> {
    let stored = control.store.platform().platform_providers().await?;
    Ok(stored.into_iter().map(providers::shared).collect())
}

/// Every org's conversations may go there: who adds it must have shown as much as for entering an org.
pub(crate) async fn add(control: &Control, caller: &Caller, add: AddProvider) -> Answer<Provider> {
    operators::prove(control, caller).await?;
    if add.key_secret.is_some() {
        return Err(Failure::invalid(
            "A provider of the platform has its own `key`: a secret belongs to an org.",
        ));
    }
    providers::check(&add)?;
    let new = NewProvider {
        name: add.name,
        kind: add.kind,
        base_url: add.base_url,
        key: add.key.map(Zeroizing::new),
        key_secret: None,
    };
    let platform = caller.platform(control);
    Ok(providers::shared(
        platform.add_platform_provider(caller.org, new).await?,
    ))
}

/// Agents that use it find no provider from now on, and say so.
pub(crate) async fn remove(control: &Control, caller: &Caller, name: &str) -> Answer<()> {
    operators::prove(control, caller).await?;
    let parsed: Name = name.parse().map_err(|_| providers::missing(name))?;
    let removed = caller
        .platform(control)
        .remove_platform_provider(caller.org, parsed)
        .await;
    removed.map_err(|error| match error {
        creel_store::Error::NotFound(_) => providers::missing(name),
        other => other.into(),
    })
}
