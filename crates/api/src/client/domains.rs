//! Domains that lead to agents.

use reqwest::Method;

use super::{Client, Error, body};
use crate::{Domain, DomainList, PutDomain};

impl Client {
    /// Of one agent, or of all that the org has.
    pub async fn domains(&self, agent: Option<&str>) -> Result<DomainList, Error> {
        match agent {
            Some(agent) => self.json(self.get(&["v1", "agents", agent, "domains"])).await,
            None => self.json(self.get(&["v1", "domains"])).await,
        }
    }

    pub async fn domain(&self, agent: &str, domain: &str) -> Result<Domain, Error> {
        self.json(self.get(&["v1", "agents", agent, "domains", domain]))
            .await
    }

    pub async fn put_domain(&self, agent: &str, domain: &str, how: &PutDomain) -> Result<Domain, Error> {
        let path = ["v1", "agents", agent, "domains", domain];
        self.json(body(self.request(Method::PUT, &path, &[]), how)).await
    }

    pub async fn verify_domain(&self, agent: &str, domain: &str) -> Result<Domain, Error> {
        let path = ["v1", "agents", agent, "domains", domain, "verify"];
        self.json(self.request(Method::POST, &path, &[])).await
    }

    pub async fn remove_domain(&self, agent: &str, domain: &str) -> Result<(), Error> {
        let path = ["v1", "agents", agent, "domains", domain];
        self.done(self.request(Method::DELETE, &path, &[])).await
    }
}
