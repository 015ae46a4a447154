//! Operators of the platform.

use creel_domain::{Email, UserId};
use reqwest::Method;

use super::{Client, Error};
use crate::{AddOperator, Operator, OperatorList};

impl Client {
    pub async fn operators(&self) -> Result<OperatorList, Error> {
        self.json(self.get(&["v1", "operators"])).await
    }

    pub async fn add_operator(&self, email: Email) -> Result<Operator, Error> {
        let body = AddOperator { email };
        self.json(self.request(Method::POST, &["v1", "operators"], &[]).json(&body))
            .await
    }

    pub async fn remove_operator(&self, user: UserId) -> Result<(), Error> {
        let user = user.to_string();
        self.done(self.request(Method::DELETE, &["v1", "operators", &user], &[]))
            .await
    }
}
