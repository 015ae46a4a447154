//! Orgs, for operators of the platform.

use creel_domain::OrgId;
use reqwest::Method;

use super::{Client, Error};
use crate::{Org, OrgList};

impl Client {
    pub async fn orgs(&self, cursor: Option<&str>) -> Result<OrgList, Error> {
        let query: Vec<_> = cursor
            .map(|cursor| ("cursor", cursor.to_owned()))
            .into_iter()
            .collect();
        self.json(self.request(Method::GET, &["v1", "orgs"], &query))
            .await
    }

    /// The org is told that it was looked at.
    pub async fn org(&self, org: OrgId) -> Result<Org, Error> {
        self.json(self.get(&["v1", "orgs", &org.to_string()])).await
    }

    pub async fn suspend_org(&self, org: OrgId) -> Result<(), Error> {
        let org = org.to_string();
        self.done(self.request(Method::POST, &["v1", "orgs", &org, "suspend"], &[]))
            .await
    }

    pub async fn resume_org(&self, org: OrgId) -> Result<(), Error> {
        let org = org.to_string();
        self.done(self.request(Method::POST, &["v1", "orgs", &org, "resume"], &[]))
            .await
    }
}
