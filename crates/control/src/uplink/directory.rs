//! Where providers are and with which key they are called, from the store.

use creel_domain::{AgentId, Name, OrgId};
use creel_models::{BaseUrl, DirectoryError, Key, Provider};
use creel_store::{Error, FoundProvider, KeySource, Store};
use futures_util::{FutureExt, future::BoxFuture};

use crate::http::failure::sentence;

pub(crate) struct Directory(pub(crate) Store);

impl creel_models::Directory for Directory {
    fn provider(
        &self,
        org: OrgId,
        agent: AgentId,
        name: Name,
    ) -> BoxFuture<'_, Result<Option<Provider>, DirectoryError>> {
        async move {
            let found = self.0.org(org).provider_for(Some(agent), name).await;
            let found = found.map_err(told)?;
            let callable = |found| callable(found).map_err(DirectoryError::Failed);
            found.map(callable).transpose()
        }
        .boxed()
    }
}

/// What the agent's owner can do something about is told; the rest is ours.
fn told(error: Error) -> DirectoryError {
    let code = match &error {
        Error::NoSecret(_) => "secret_not_found",
        Error::OwnKey(_) => "own_key_unavailable",
        Error::MasterKey(_) => "master_key_unavailable",
        _ => return DirectoryError::Failed(error.into()),
    };
    tracing::warn!(code, %error, "a provider's key cannot be had");
    // Where somebody's Vault is concerns nobody inside a sandbox.
    let message = match error {
        Error::MasterKey(_) => "the platform's master key cannot be used: try again later".to_owned(),
        Error::OwnKey(_) => "the org's own key cannot be used: `creel secrets key show` says why".to_owned(),
        error => sentence(&error.to_string()),
    };
    DirectoryError::Refused { code, message }
}

/// A stored provider as it is called.
pub(crate) fn callable(found: FoundProvider) -> Result<Provider, Box<dyn std::error::Error + Send + Sync>> {
    let FoundProvider {
        provider: row,
        key,
        key_of,
    } = found;
    Ok(Provider {
        id: Some(row.id),
        base_url: BaseUrl::parse(row.kind, row.base_url.as_deref())?,
        key: key.map(|key| Key::new(key.to_string())).transpose()?,
        key_of: key_of.map(KeySource::as_str),
        name: row.name,
        kind: row.kind,
    })
}
