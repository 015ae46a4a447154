//! Where agents wanted to go, and which rule had the last word.

use creel_domain::AgentId;
use jiff::Timestamp;

use crate::{
    Error, Org,
    rows::{Row, values},
};

/// So many of each agent's newest decisions are kept.
pub const KEPT_DECISIONS: u32 = 1000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EgressDecision {
    pub destination: String,
    pub rule: String,
    /// How often the same was decided again right after it.
    pub repeats: u64,
    pub at: Timestamp,
}

impl TryFrom<Row> for EgressDecision {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        Ok(Self {
            destination: row.text("destination")?.to_owned(),
            rule: row.text("rule")?.to_owned(),
            repeats: row.count("repeats")?,
            at: row.time("at")?,
        })
    }
}

impl Org {
    /// Keeps a refused or allowed destination.
    pub async fn record_egress(
        &self,
        agent: AgentId,
        destination: String,
        rule: String,
        repeats: u64,
    ) -> Result<(), Error> {
        let (org, at) = (self.id, self.store.now());
        self.write(move |tx| {
            Box::pin(async move {
                // An agent that is gone by now leaves no trace behind.
                let sql = "INSERT INTO egress_decisions (org_id, agent_id, destination, rule, repeats, at)
                               SELECT org_id, id, $1, $2, $3, $4 FROM agents WHERE org_id = $5 AND id = $6";
                tx.run(sql, values![destination, rule, repeats, at, org, agent])
                    .await?;
                let sql = "DELETE FROM egress_decisions WHERE org_id = $1 AND agent_id = $2 AND id <= (
                               SELECT id FROM egress_decisions WHERE org_id = $1 AND agent_id = $2
                               ORDER BY id DESC LIMIT 1 OFFSET $3)";
                tx.run(sql, values![org, agent, KEPT_DECISIONS]).await?;
                Ok(())
            })
        })
        .await
    }

    /// Newest first.
    pub async fn egress_decisions(&self, agent: AgentId, limit: u32) -> Result<Vec<EgressDecision>, Error> {
        let org = self.id;
        self.read(move |tx| {
            Box::pin(async move {
                let sql = "SELECT destination, rule, repeats, at FROM egress_decisions
                               WHERE org_id = $1 AND agent_id = $2 ORDER BY id DESC LIMIT $3";
                let rows = tx.rows(sql, values![org, agent, limit]).await?;
                rows.into_iter().map(EgressDecision::try_from).collect()
            })
        })
        .await
    }
}
