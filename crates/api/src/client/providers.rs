//! Where model calls go.

use reqwest::Method;

use super::{Client, Error, body};
use crate::{AddProvider, Provider, ProviderList, ProviderTest};

impl Client {
    pub async fn add_provider(&self, provider: &AddProvider) -> Result<Provider, Error> {
        self.json(body(
            self.request(Method::POST, &["v1", "providers"], &[]),
            provider,
        ))
        .await
    }

    pub async fn providers(&self) -> Result<ProviderList, Error> {
        self.json(self.get(&["v1", "providers"])).await
    }

    pub async fn remove_provider(&self, name: &str) -> Result<(), Error> {
        self.done(self.request(Method::DELETE, &["v1", "providers", name], &[]))
            .await
    }

    /// Makes a small real call.
    pub async fn test_provider(&self, name: &str) -> Result<ProviderTest, Error> {
        self.json(self.request(Method::POST, &["v1", "providers", name, "test"], &[]))
            .await
    }
}
