//! Sign-in providers, for operators of the platform; the caller's own identities.

use creel_domain::IdentityId;
use reqwest::Method;

use super::{Client, Error, body};
use crate::{AddSsoProvider, LinkedIdentityList, Proof, SsoProvider, SsoProviderList, SsoTest};

impl Client {
    /// The provider is asked for its description before it is added.
    pub async fn add_sso_provider(&self, add: &AddSsoProvider) -> Result<SsoProvider, Error> {
        self.json(body(self.request(Method::POST, &["v1", "sso"], &[]), add))
            .await
    }

    pub async fn sso_providers(&self) -> Result<SsoProviderList, Error> {
        self.json(self.get(&["v1", "sso"])).await
    }

    pub async fn test_sso_provider(&self, name: &str) -> Result<SsoTest, Error> {
        self.json(self.request(Method::POST, &["v1", "sso", name, "test"], &[]))
            .await
    }

    pub async fn remove_sso_provider(&self, name: &str) -> Result<(), Error> {
        self.done(self.request(Method::DELETE, &["v1", "sso", name], &[]))
            .await
    }

    pub async fn identities(&self) -> Result<LinkedIdentityList, Error> {
        self.json(self.get(&["v1", "me", "identities"])).await
    }

    /// Refused when it is the last way in.
    pub async fn unlink_identity(&self, identity: IdentityId, proof: &Proof) -> Result<(), Error> {
        let identity = identity.to_string();
        let request = self.request(
            Method::POST,
            &["v1", "me", "identities", &identity, "unlink"],
            &[],
        );
        self.done(body(request, proof)).await
    }
}
