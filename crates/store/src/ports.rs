//! Ports of agents that are reached from outside.

use creel_domain::{Act, AgentId, OrgId, PortAccess};
use jiff::Timestamp;
use serde_json::json;

use crate::{
    Error, Org, agents,
    audit::record,
    events::append,
    rows::{Row, values},
    tx::Tx,
};

/// Of one agent.
pub const MAX_PORTS: u64 = 32;

const COLUMNS: &str = "port, access, page, created_at";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredPort {
    pub port: u16,
    pub access: PortAccess,
    /// Whether it is what the agent's own name leads to.
    pub page: bool,
    pub created_at: Timestamp,
}

impl TryFrom<&Row> for StoredPort {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            port: u16::try_from(row.count("port")?).map_err(|_| Error::Corrupt("a port".to_owned()))?,
            access: row.parsed("access")?,
            page: row.count("page")? != 0,
            created_at: row.time("created_at")?,
        })
    }
}

async fn list(tx: &mut Tx, org: OrgId, agent: AgentId) -> Result<Vec<StoredPort>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM ports WHERE org_id = $1 AND agent_id = $2 ORDER BY port");
    let rows = tx.rows(&sql, values![org, agent]).await?;
    rows.iter().map(StoredPort::try_from).collect()
}

impl Org {
    /// By number.
    pub async fn ports(&self, agent: AgentId) -> Result<Vec<StoredPort>, Error> {
        let org = self.id;
        self.read(move |tx| Box::pin(list(tx, org, agent))).await
    }

    /// Publishes a port, or changes how it is published. As the agent's page it takes the place of another.
    pub async fn publish_port(
        &self,
        agent: AgentId,
        port: u16,
        access: PortAccess,
        page: bool,
    ) -> Result<StoredPort, Error> {
        let (org, now) = (self.id, self.store.now());
        self.write(move |tx| {
            Box::pin(async move {
                let found = agents::find_kept(tx, org, agent).await?;
                let there = list(tx, org, agent).await?;
                let before = there.iter().find(|other| other.port == port).copied();
                if before.is_none() && there.len() as u64 >= MAX_PORTS {
                    return Err(Error::LimitReached {
                        what: "published ports",
                        most: MAX_PORTS,
                    });
                }
                let after = StoredPort {
                    port,
                    access,
                    page,
                    created_at: before.map_or(now, |before| before.created_at),
                };
                if before == Some(after) {
                    return Ok(after);
                }
                if page {
                    let sql = "UPDATE ports SET page = 0 WHERE org_id = $1 AND agent_id = $2";
                    tx.run(sql, values![org, agent]).await?;
                }
                let sql = "INSERT INTO ports (org_id, agent_id, port, access, page, created_at)
                           VALUES ($1, $2, $3, $4, $5, $6)
                           ON CONFLICT (agent_id, port) DO UPDATE SET access = $4, page = $5";
                let values = values![
                    org,
                    agent,
                    port,
                    access.as_str(),
                    u32::from(page),
                    after.created_at
                ];
                tx.run(sql, values).await?;
                let data = json!({ "port": port, "access": access.as_str(), "page": page });
                append(tx, org, "port.published", &agent.to_string(), &data, now).await?;
                let act = Act::new("port.publish").on("agent", agent).named(&found.name);
                record(tx, org, act.with("port", port).with("access", access.as_str())).await?;
                Ok(after)
            })
        })
        .await
    }

    /// Nobody reaches it from outside any more; its share links and what they gave are gone.
    pub async fn unpublish_port(&self, agent: AgentId, port: u16) -> Result<(), Error> {
        let (org, now) = (self.id, self.store.now());
        self.write(move |tx| {
            Box::pin(async move {
                let found = agents::find(tx, org, agent).await?;
                let key = values![org, agent, port];
                let sql = "DELETE FROM ports WHERE org_id = $1 AND agent_id = $2 AND port = $3";
                if tx.run(sql, key).await? == 0 {
                    return Err(Error::NotFound("published port"));
                }
                for table in ["share_links", "accesses"] {
                    let sql =
                        format!("DELETE FROM {table} WHERE org_id = $1 AND agent_id = $2 AND port = $3");
                    tx.run(&sql, key).await?;
                }
                let data = json!({ "port": port });
                append(tx, org, "port.unpublished", &agent.to_string(), &data, now).await?;
                let act = Act::new("port.unpublish").on("agent", agent).named(&found.name);
                record(tx, org, act.with("port", port)).await?;
                Ok(())
            })
        })
        .await
    }
}

/// What is left of an agent's names, ports and links, when it goes.
pub(crate) async fn forget(tx: &mut Tx, org: OrgId, agent: AgentId) -> Result<(), Error> {
    for table in ["accesses", "share_links", "ports", "domains", "hosts"] {
        let sql = format!("DELETE FROM {table} WHERE org_id = $1 AND agent_id = $2");
        tx.run(&sql, values![org, agent]).await?;
    }
    Ok(())
}
