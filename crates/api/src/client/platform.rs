//! Usage, images, the host, and who is asking.

use creel_domain::ImageName;
use jiff::Timestamp;
use reqwest::Method;

use super::{Client, Error};
use crate::{Host, Identity, ImageList, SignInLink, UsageGroup, UsageReport, Version};

/// What to count. All of it when nothing is said.
#[derive(Debug, Clone, Default)]
pub struct UsageQuery {
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    pub group: UsageGroup,
    /// Name or id.
    pub agent: Option<String>,
}

impl Client {
    pub async fn usage(&self, query: &UsageQuery) -> Result<UsageReport, Error> {
        let group = match query.group {
            UsageGroup::Agent => "agent",
            UsageGroup::Model => "model",
            UsageGroup::Day => "day",
        };
        let mut pairs = vec![("group", group.to_owned())];
        pairs.extend(query.from.map(|from| ("from", from.to_string())));
        pairs.extend(query.to.map(|to| ("to", to.to_string())));
        pairs.extend(query.agent.clone().map(|agent| ("agent", agent)));
        self.json(self.request(Method::GET, &["v1", "usage"], &pairs))
            .await
    }

    pub async fn images(&self) -> Result<ImageList, Error> {
        self.json(self.get(&["v1", "images"])).await
    }

    /// Begins to build it in the background.
    pub async fn build_image(&self, image: ImageName) -> Result<(), Error> {
        self.done(self.request(Method::POST, &["v1", "images", image.as_str(), "build"], &[]))
            .await
    }

    pub async fn remove_image(&self, image: ImageName) -> Result<(), Error> {
        self.done(self.request(Method::DELETE, &["v1", "images", image.as_str()], &[]))
            .await
    }

    pub async fn host(&self) -> Result<Host, Error> {
        self.json(self.get(&["v1", "host"])).await
    }

    pub async fn whoami(&self) -> Result<Identity, Error> {
        self.json(self.get(&["v1", "whoami"])).await
    }

    pub async fn version(&self) -> Result<Version, Error> {
        self.json(self.get(&["v1", "version"])).await
    }

    /// A link that opens the web page once.
    pub async fn sign_in_link(&self) -> Result<SignInLink, Error> {
        self.json(self.request(Method::POST, &["v1", "sign-in-links"], &[]))
            .await
    }

    /// Whether it is ready for requests.
    pub async fn ready(&self) -> Result<(), Error> {
        self.done(self.get(&["readyz"])).await
    }
}
