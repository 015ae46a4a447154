//! Where providers are and with which key they are called, from the store.

use creel_domain::{Name, OrgId};
use creel_models::{BaseUrl, DirectoryError, Key, Provider};
use creel_store::{Store, StoredProvider};
use futures_util::{FutureExt, future::BoxFuture};
use zeroize::Zeroizing;

pub(crate) struct Directory(pub(crate) Store);

impl creel_models::Directory for Directory {
    fn provider(&self, org: OrgId, name: Name) -> BoxFuture<'_, Result<Option<Provider>, DirectoryError>> {
        async move {
            let found = self
                .0
                .org(org)
                .provider(name)
                .await
                .map_err(|error| DirectoryError(error.into()))?;
            found
                .map(|(row, key)| callable(row, key))
                .transpose()
                .map_err(DirectoryError)
        }
        .boxed()
    }
}

/// A stored provider as it is called.
pub(crate) fn callable(
    row: StoredProvider,
    key: Option<Zeroizing<String>>,
) -> Result<Provider, Box<dyn std::error::Error + Send + Sync>> {
    Ok(Provider {
        id: Some(row.id),
        base_url: BaseUrl::parse(row.kind, row.base_url.as_deref())?,
        key: key.map(|key| Key::new(key.to_string())).transpose()?,
        name: row.name,
        kind: row.kind,
    })
}
