//! Model providers: added, listed, tried, removed. A key goes in and never comes out.

use std::{sync::Arc, time::Duration};

use creel_api::{AddProvider, ErrorCode, Provider, ProviderTest};
use creel_domain::{Act, Name, OrgId, ProviderKind};
use creel_models::{BaseUrl, Key as ProviderKey};
use creel_store::{NewProvider, Org, StoredProvider};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::once::once;
use crate::{
    Control,
    http::{
        auth::Caller,
        failure::{Answer, Failure, sentence},
        idempotency::Key,
    },
    uplink::callable,
};

/// For a provider that is tried.
const TEST_WITHIN: Duration = Duration::from_secs(30);
/// Agents read at a time to find out who uses a provider.
const BATCH: u32 = 200;

fn is_demo(name: &Name) -> bool {
    name.as_str() == ProviderKind::Demo.as_str()
}

fn shown(row: StoredProvider) -> Provider {
    Provider {
        id: Some(row.id),
        name: row.name,
        kind: row.kind,
        base_url: row.base_url,
        has_key: row.has_key,
        key_secret: row.key_secret,
        platform: false,
        created_at: Some(row.created_at),
    }
}

/// One of the platform's, as anybody may see it.
pub(super) fn shared(row: StoredProvider) -> Provider {
    Provider {
        platform: true,
        ..shown(row)
    }
}

fn named(name: &str) -> Answer<Name> {
    name.parse().map_err(|_| missing(name))
}

pub(super) fn missing(name: &str) -> Failure {
    let shown: String = name.chars().take(60).collect();
    Failure::not_found(format!(
        "There is no provider `{shown}`: `creel provider ls` shows those that there are."
    ))
}

/// The built-in one first; the platform's last, where the org has none of that name.
pub(crate) async fn list(control: &Control, org: OrgId) -> Answer<Vec<Provider>> {
    let demo = Provider {
        id: None,
        name: named(ProviderKind::Demo.as_str())?,
        kind: ProviderKind::Demo,
        base_url: None,
        has_key: false,
        key_secret: None,
        platform: false,
        created_at: None,
    };
    let stored = control.store.org(org).providers().await?;
    let mut all: Vec<_> = std::iter::once(demo)
        .chain(stored.into_iter().map(shown))
        .collect();
    for row in control.store.platform().platform_providers().await? {
        if all.iter().all(|own| own.name != row.name) {
            all.push(shared(row));
        }
    }
    Ok(all)
}

/// Refuses what could not be called.
pub(super) fn check(add: &AddProvider) -> Answer<()> {
    if add.kind == ProviderKind::Demo || is_demo(&add.name) {
        return Err(Failure::new(
            ErrorCode::NameTaken,
            "The provider `demo` is built in; there is no other of its kind or name.",
        ));
    }
    let said = |error: &dyn std::error::Error| Failure::invalid(sentence(&error.to_string()));
    BaseUrl::parse(add.kind, add.base_url.as_deref()).map_err(|error| said(&error))?;
    match (&add.key, &add.key_secret) {
        (Some(_), Some(_)) => {
            return Err(Failure::invalid(
                "A provider has a `key` or the name of a secret as `key_secret`, not both.",
            ));
        }
        (Some(key), None) => drop(ProviderKey::new(key.clone()).map_err(|error| said(&error))?),
        (None, None) if add.kind != ProviderKind::OpenaiCompatible => {
            return Err(Failure::invalid(format!(
                "A provider of kind `{}` needs its `key`.",
                add.kind
            )));
        }
        (None, _) => {}
    }
    Ok(())
}

pub(crate) async fn add(
    control: &Arc<Control>,
    caller: &Caller,
    add: AddProvider,
    key: Option<Key>,
) -> Answer<Provider> {
    check(&add)?;
    if let Some(secret) = &add.key_secret {
        let all = control.store.org(caller.org).secrets(None).await?;
        if all.iter().all(|stored| stored.name != *secret) {
            return Err(creel_store::Error::NoSecret(secret.clone()).into());
        }
    }
    let new = NewProvider {
        name: add.name,
        kind: add.kind,
        base_url: add.base_url,
        key: add.key.map(Zeroizing::new),
        key_secret: add.key_secret,
    };
    let org = caller.org(control);
    control
        .detached(async move {
            let make = async |org: Org| Ok(shown(org.add_provider(new).await?));
            let again = async |org: Org, made: String| {
                let all = org.providers().await?;
                let found = all.into_iter().find(|provider| provider.id.to_string() == made);
                let missing =
                    || Failure::not_found("What this `Idempotency-Key` added has been removed since.");
                found.map(shown).ok_or_else(missing)
            };
            once(org, key, make, again).await
        })
        .await
}

pub(crate) async fn remove(control: &Control, caller: &Caller, name: &str) -> Answer<()> {
    let name = named(name)?;
    if is_demo(&name) {
        return Err(Failure::new(
            ErrorCode::Conflict,
            "The provider `demo` is built in and stays.",
        ));
    }
    let org = caller.org(control);
    let mut before = None;
    loop {
        let page = org.agents(before, BATCH).await?;
        if let Some(user) = page.iter().find(|agent| *agent.spec.model.provider() == name) {
            return Err(Failure::new(
                ErrorCode::Conflict,
                format!(
                    "Agent `{}` uses the provider `{name}`: give it another model or delete it first.",
                    user.name
                ),
            ));
        }
        before = page.last().map(|agent| agent.id);
        if page.len() < BATCH as usize {
            break;
        }
    }
    org.remove_provider(name.clone())
        .await
        .map_err(|error| match error {
            creel_store::Error::NotFound(_) => missing(name.as_str()),
            other => other.into(),
        })
}

fn tried(name: &Name) -> Act {
    Act::new("provider.test").on("provider", name).named(name)
}

pub(crate) async fn test(control: &Control, caller: &Caller, name: &str) -> Answer<ProviderTest> {
    let name = named(name)?;
    let org = caller.org(control);
    if is_demo(&name) {
        org.record(tried(&name)).await?;
        return Ok(ProviderTest {
            ok: true,
            detail: "The demo is built in: it needs no key and answers by rote.".to_owned(),
            duration_ms: 0,
            models: vec!["demo".to_owned()],
        });
    }
    let Some(found) = org.provider_for(None, name.clone()).await? else {
        return Err(missing(name.as_str()));
    };
    let provider = callable(found).map_err(|error| Failure::invalid(sentence(&error.to_string())))?;
    org.record(tried(&name)).await?;
    let started = Instant::now();
    let verdict = tokio::time::timeout(TEST_WITHIN, control.models.test(&provider)).await;
    let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let (ok, detail, models) = match verdict {
        Ok(verdict) => (verdict.ok, verdict.detail, verdict.models),
        Err(_) => (
            false,
            "The provider did not answer within 30 seconds. Check its address.".to_owned(),
            Vec::new(),
        ),
    };
    Ok(ProviderTest {
        ok,
        detail,
        duration_ms,
        models,
    })
}
