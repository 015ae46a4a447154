//! Secrets, the key that seals them, and an org's own key.

use reqwest::Method;

use super::{Client, Error, body};
use crate::{
    AddProvider, MasterKey, OwnKey, Provider, ProviderList, SecretEntry, SecretList, SecretRotation,
    SetOwnKey, SetSecret,
};

/// The whole org's, or an agent's.
fn path<'a>(agent: Option<&'a str>, name: Option<&'a str>) -> Vec<&'a str> {
    let mut path = vec!["v1"];
    path.extend(agent.iter().flat_map(|agent| ["agents", agent]));
    path.push("secrets");
    path.extend(name);
    path
}

impl Client {
    /// Of an agent, by its name or id; or the whole org's.
    pub async fn secrets(&self, agent: Option<&str>) -> Result<SecretList, Error> {
        self.json(self.get(&path(agent, None))).await
    }

    pub async fn set_secret(
        &self,
        agent: Option<&str>,
        name: &str,
        secret: &SetSecret,
    ) -> Result<SecretEntry, Error> {
        let request = self.request(Method::PUT, &path(agent, Some(name)), &[]);
        self.json(body(request, secret)).await
    }

    pub async fn remove_secret(&self, agent: Option<&str>, name: &str) -> Result<(), Error> {
        self.done(self.request(Method::DELETE, &path(agent, Some(name)), &[]))
            .await
    }

    /// Makes a new key; everything is sealed with it in the background.
    pub async fn rotate_secrets(&self) -> Result<SecretRotation, Error> {
        self.json(self.request(Method::POST, &["v1", "secrets", "rotate"], &[]))
            .await
    }

    pub async fn secret_rotation(&self) -> Result<SecretRotation, Error> {
        self.json(self.get(&["v1", "secrets", "rotate"])).await
    }

    pub async fn own_key(&self) -> Result<OwnKey, Error> {
        self.json(self.get(&["v1", "secrets", "key"])).await
    }

    pub async fn set_own_key(&self, key: &SetOwnKey) -> Result<OwnKey, Error> {
        self.json(body(
            self.request(Method::PUT, &["v1", "secrets", "key"], &[]),
            key,
        ))
        .await
    }

    /// With `destroy`, also when it cannot be used any more: whatever it closes is given up.
    pub async fn remove_own_key(&self, destroy: bool) -> Result<(), Error> {
        let query: &[_] = if destroy {
            &[("destroy", "true".to_owned())]
        } else {
            &[]
        };
        self.done(self.request(Method::DELETE, &["v1", "secrets", "key"], query))
            .await
    }

    pub async fn master_key(&self) -> Result<MasterKey, Error> {
        self.json(self.get(&["v1", "platform", "master-key"])).await
    }

    pub async fn rotate_master_key(&self) -> Result<MasterKey, Error> {
        self.json(self.request(Method::POST, &["v1", "platform", "master-key", "rotate"], &[]))
            .await
    }

    pub async fn platform_providers(&self) -> Result<ProviderList, Error> {
        self.json(self.get(&["v1", "platform", "providers"])).await
    }

    pub async fn add_platform_provider(&self, provider: &AddProvider) -> Result<Provider, Error> {
        let request = self.request(Method::POST, &["v1", "platform", "providers"], &[]);
        self.json(body(request, provider)).await
    }

    pub async fn remove_platform_provider(&self, name: &str) -> Result<(), Error> {
        self.done(self.request(Method::DELETE, &["v1", "platform", "providers", name], &[]))
            .await
    }
}
