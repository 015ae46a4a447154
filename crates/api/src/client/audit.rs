//! The audit trail of the caller's org.

use jiff::Timestamp;
use reqwest::Method;

use super::{ANSWER_TIMEOUT, Client, Error, read_whole};
use crate::{AuditList, AuditVerdict};

/// Which entries are wanted.
#[derive(Debug, Clone, Default)]
pub struct AuditQuery {
    pub since: Option<Timestamp>,
    /// An id, a name, or a kind such as `operator`.
    pub actor: Option<String>,
    pub action: Option<String>,
    pub limit: Option<u32>,
    pub cursor: Option<String>,
}

impl Client {
    pub async fn audit(&self, wanted: &AuditQuery) -> Result<AuditList, Error> {
        let query: Vec<_> = [
            ("since", wanted.since.map(|since| since.to_string())),
            ("actor", wanted.actor.clone()),
            ("action", wanted.action.clone()),
            ("limit", wanted.limit.map(|limit| limit.to_string())),
            ("cursor", wanted.cursor.clone()),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
        self.json(self.request(Method::GET, &["v1", "audit"], &query))
            .await
    }

    /// Lines of JSON, oldest first, after the entry with sequence `after`; none at the end.
    pub async fn audit_export(&self, after: u64, limit: u32) -> Result<String, Error> {
        let query = [("after", after.to_string()), ("limit", limit.to_string())];
        let request = self.request(Method::GET, &["v1", "audit", "export"], &query);
        let response = self.send(request.timeout(ANSWER_TIMEOUT)).await?;
        let bytes = read_whole(response, self.url()).await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    pub async fn audit_verify(&self) -> Result<AuditVerdict, Error> {
        self.json(self.get(&["v1", "audit", "verify"])).await
    }
}
