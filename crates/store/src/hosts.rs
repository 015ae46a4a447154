//! Names under which agents are reached from outside.

use creel_domain::{AgentHost, AgentId, Name, OrgId};
use jiff::Timestamp;

use crate::{Error, Org, Platform, rows::values, tx::Tx};

/// Tries to find a label that nobody has.
const TRIES: u32 = 4;
const TAIL_CHARS: usize = 5;

/// Gives a new agent its label: its name, or its name with a tail where somebody else's agent has that already.
pub(crate) async fn label(
    tx: &mut Tx,
    org: OrgId,
    agent: AgentId,
    name: &Name,
    now: Timestamp,
) -> Result<(), Error> {
    let id = agent.to_string();
    // From the end: that is its random part.
    let tail = |tries: u32| {
        let from = id.len() - TAIL_CHARS * tries as usize;
        format!("{name}-{}", &id[from..from + TAIL_CHARS])
    };
    for tries in 0..TRIES {
        let label = match tries {
            0 if AgentHost::is_label(name.as_str()) => name.to_string(),
            0 => continue,
            tries => tail(tries),
        };
        // Whether it is taken is not to be seen in a table of which this org sees its own rows alone.
        let sql = "INSERT INTO hosts (host, org_id, agent_id, created_at) VALUES ($1, $2, $3, $4)
                   ON CONFLICT (host) DO NOTHING";
        if tx.run(sql, values![label, org, agent, now]).await? == 1 {
            return Ok(());
        }
    }
    Err(Error::NameTaken(name.clone()))
}

/// Where a name leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredHost {
    pub org: OrgId,
    pub agent: AgentId,
    /// Of an owner's domain: which port it leads to. None: the agent's page.
    pub port: Option<u16>,
}

impl Platform {
    /// Whose name this is: an agent's label, or an owner's domain that was proven.
    pub async fn host(&self, host: &str) -> Result<Option<StoredHost>, Error> {
        let host = host.to_owned();
        self.read(move |tx| {
            Box::pin(async move {
                let sql = "SELECT org_id, agent_id, port FROM hosts WHERE host = $1";
                let Some(row) = tx.row(sql, values![host]).await? else {
                    return Ok(None);
                };
                let port = row.maybe_int("port")?.map(u16::try_from).transpose();
                Ok(Some(StoredHost {
                    org: row.id("org_id")?,
                    agent: row.id("agent_id")?,
                    port: port.map_err(|_| Error::Corrupt("a port".to_owned()))?,
                }))
            })
        })
        .await
    }
}

impl Org {
    /// The label of one of the org's agents.
    pub async fn label(&self, agent: AgentId) -> Result<String, Error> {
        let org = self.id;
        self.read(move |tx| {
            Box::pin(async move {
                let sql =
                    "SELECT host FROM hosts WHERE org_id = $1 AND agent_id = $2 AND host NOT LIKE '%.%'";
                let row = tx.row(sql, values![org, agent]).await?;
                Ok(row.ok_or(Error::NotFound("agent"))?.text("host")?.to_owned())
            })
        })
        .await
    }
}
