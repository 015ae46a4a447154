//! Ports of agents that are reached from outside, and links to them.

use creel_domain::ShareLinkId;
use reqwest::Method;

use super::{Client, Error, body};
use crate::{CreateShareLink, NewShareLink, Port, PortList, PublishPort, ShareLinkList};

impl Client {
    pub async fn ports(&self, agent: &str) -> Result<PortList, Error> {
        self.json(self.get(&["v1", "agents", agent, "ports"])).await
    }

    pub async fn publish_port(&self, agent: &str, port: u16, how: &PublishPort) -> Result<Port, Error> {
        let path = ["v1", "agents", agent, "ports", &port.to_string()];
        self.json(body(self.request(Method::PUT, &path, &[]), how)).await
    }

    pub async fn unpublish_port(&self, agent: &str, port: u16) -> Result<(), Error> {
        let path = ["v1", "agents", agent, "ports", &port.to_string()];
        self.done(self.request(Method::DELETE, &path, &[])).await
    }

    pub async fn share_links(&self, agent: &str) -> Result<ShareLinkList, Error> {
        self.json(self.get(&["v1", "agents", agent, "share-links"])).await
    }

    pub async fn create_share_link(
        &self,
        agent: &str,
        link: &CreateShareLink,
    ) -> Result<NewShareLink, Error> {
        let request = self.request(Method::POST, &["v1", "agents", agent, "share-links"], &[]);
        self.json(body(request, link)).await
    }

    pub async fn remove_share_link(&self, agent: &str, link: ShareLinkId) -> Result<(), Error> {
        let path = ["v1", "agents", agent, "share-links", &link.to_string()];
        self.done(self.request(Method::DELETE, &path, &[])).await
    }
}
