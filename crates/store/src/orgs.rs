//! Orgs as whoever runs the platform sees them: listed, suspended, resumed.

use creel_domain::{Act, OrgId};
use jiff::Timestamp;
use serde_json::json;

use crate::{
    Error, Org, Platform,
    audit::record,
    events::append,
    rows::{Row, values},
};

const COLUMNS: &str = "o.id, o.name, o.created_at, o.suspended_at,
    (SELECT COUNT(*) FROM members m WHERE m.org_id = o.id) AS members,
    (SELECT COUNT(*) FROM agents a WHERE a.org_id = o.id) AS agents";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredOrg {
    pub id: OrgId,
    pub name: String,
    pub created_at: Timestamp,
    /// None: it is not.
    pub suspended_at: Option<Timestamp>,
    pub members: u64,
    pub agents: u64,
}

impl TryFrom<&Row> for StoredOrg {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.id("id")?,
            name: row.text("name")?.to_owned(),
            created_at: row.time("created_at")?,
            suspended_at: row.maybe_time("suspended_at")?,
            members: row.count("members")?,
            agents: row.count("agents")?,
        })
    }
}

impl Platform {
    /// Newest first; `before` is the last one of the page before.
    pub async fn list_orgs(&self, before: Option<OrgId>, limit: u32) -> Result<Vec<StoredOrg>, Error> {
        let before = before.map_or(uuid::Uuid::max(), OrgId::uuid);
        self.read(move |tx| {
            Box::pin(async move {
                let sql = format!("SELECT {COLUMNS} FROM orgs o WHERE o.id < $1 ORDER BY o.id DESC LIMIT $2");
                let rows = tx.rows(&sql, values![before, limit]).await?;
                rows.iter().map(StoredOrg::try_from).collect()
            })
        })
        .await
    }
}

impl Org {
    /// What whoever runs the platform sees of it, which the org is told.
    pub async fn show(&self) -> Result<StoredOrg, Error> {
        let org = self.id;
        self.write(move |tx| {
            Box::pin(async move {
                record(tx, org, Act::new("org.show").on("org", org)).await?;
                let sql = format!("SELECT {COLUMNS} FROM orgs o WHERE o.id = $1");
                let row = tx.row(&sql, values![org]).await?;
                StoredOrg::try_from(&row.ok_or(Error::NotFound("org"))?)
            })
        })
        .await
    }

    /// Stops all that runs, to run again when the org is resumed. One that is suspended stays so.
    pub async fn suspend(&self) -> Result<(), Error> {
        let (org, now) = (self.id, self.store.now());
        self.write(move |tx| {
            Box::pin(async move {
                record(tx, org, Act::new("org.suspend").on("org", org)).await?;
                let sql = "UPDATE orgs SET suspended_at = $2 WHERE id = $1 AND suspended_at IS NULL";
                tx.run(sql, values![org, now]).await?;
                let sql = "UPDATE agents SET intent = 'stop', halted = 1, asleep_since = NULL, generation = generation + 1, changed_at = $2
                           WHERE org_id = $1 AND intent IN ('run', 'sleep')";
                tx.run(sql, values![org, now]).await?;
                append(tx, org, "org.suspended", &org.to_string(), &json!({}), now).await
            })
        })
        .await
    }

    /// What ran when it was suspended runs again.
    pub async fn resume(&self) -> Result<(), Error> {
        let (org, now) = (self.id, self.store.now());
        self.write(move |tx| {
            Box::pin(async move {
                record(tx, org, Act::new("org.resume").on("org", org)).await?;
                let sql = "UPDATE orgs SET suspended_at = NULL WHERE id = $1";
                tx.run(sql, values![org]).await?;
                let sql = "UPDATE agents SET intent = 'run', generation = generation + 1, changed_at = $2
                           WHERE org_id = $1 AND intent = 'stop' AND halted = 1";
                tx.run(sql, values![org, now]).await?;
                tx.run("UPDATE agents SET halted = 0 WHERE org_id = $1", values![org])
                    .await?;
                append(tx, org, "org.resumed", &org.to_string(), &json!({}), now).await
            })
        })
        .await
    }
}
