//! Secrets: values that go in and are never shown again, of the whole org or of one agent.

use creel_domain::{Act, AgentId, OrgId, SecretName};
use jiff::Timestamp;
use serde_json::json;
use zeroize::Zeroizing;

use crate::{
    Error, Org, agents,
    audit::record,
    events::append,
    keys::Sealed,
    rows::{Row, values},
    tx::Tx,
};

/// Secrets of one org, its agents' included.
pub const MAX_SECRETS: u64 = 1000;
/// The longest value.
pub const SECRET_BYTES: usize = 64 * 1024;

const COLUMNS: &str = "id, agent_id, name, version, created_at, changed_at, changed_by";

/// Everything about a secret but its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSecret {
    pub name: SecretName,
    /// None: the whole org's.
    pub agent: Option<AgentId>,
    /// Grows by one each time it is set.
    pub version: u64,
    pub created_at: Timestamp,
    pub changed_at: Timestamp,
    /// The user's id, or `platform`.
    pub changed_by: String,
}

impl TryFrom<&Row> for StoredSecret {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            name: row.parsed("name")?,
            agent: row.maybe_id("agent_id")?,
            version: row.count("version")?,
            created_at: row.time("created_at")?,
            changed_at: row.time("changed_at")?,
            changed_by: row.text("changed_by")?.to_owned(),
        })
    }
}

/// What a value is sealed to: moved to another name, agent or org it does not open.
pub(crate) fn place(agent: Option<AgentId>, name: &str) -> String {
    let whose = agent.map_or_else(|| "org".to_owned(), |agent| agent.to_string());
    format!("secrets/{whose}/{name}/value")
}

/// A condition that names one secret by `$1`, `$2` and, of an agent, `$3`.
const fn one(agent: Option<AgentId>) -> &'static str {
    match agent {
        None => "org_id = $1 AND name = $2 AND agent_id IS NULL AND CAST($3 AS TEXT) IS NULL",
        Some(_) => "org_id = $1 AND name = $2 AND agent_id = $3",
    }
}

fn who(agent: Option<AgentId>) -> crate::rows::Value {
    agent.into()
}

async fn save(
    tx: &mut Tx,
    org: OrgId,
    id: uuid::Uuid,
    new: &StoredSecret,
    sealed: Sealed,
) -> Result<u64, Error> {
    let sql = format!(
        "UPDATE secrets SET version = version + 1, sealed = $4, key_version = $5, changed_at = $6, changed_by = $7
         WHERE {} RETURNING version",
        one(new.agent)
    );
    let values = values![
        org,
        &new.name,
        who(new.agent),
        sealed.bytes,
        sealed.key_version,
        new.changed_at,
        new.changed_by.as_str(),
    ];
    if let Some(row) = tx.row(&sql, values).await? {
        return row.count("version");
    }
    let sql = "SELECT COUNT(*) AS there FROM secrets WHERE org_id = $1";
    let there = tx.row(sql, values![org]).await?;
    if there.map_or(Ok(0), |row| row.count("there"))? >= MAX_SECRETS {
        return Err(Error::LimitReached {
            what: "secrets",
            most: MAX_SECRETS,
        });
    }
    let sql = "INSERT INTO secrets (org_id, name, agent_id, sealed, key_version, changed_at, changed_by, id, version,
                                    created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1, $6)";
    let values = [values.as_slice(), values![id]].concat();
    tx.run(sql, &values).await?;
    Ok(1)
}

impl Org {
    /// Sets a secret, new or anew. An agent that is being deleted takes none.
    pub async fn set_secret(
        &self,
        agent: Option<AgentId>,
        name: SecretName,
        value: Zeroizing<String>,
    ) -> Result<StoredSecret, Error> {
        let (org, now, id) = (self.id, self.store.now(), self.store.mint::<uuid::Uuid>());
        let new = StoredSecret {
            agent,
            version: 0,
            created_at: now,
            changed_at: now,
            changed_by: self.who(),
            name,
        };
        let place = place(agent, new.name.as_str());
        self.write_sealed(&place, &value, move |tx, sealed| {
            Box::pin(async move {
                let owner = match agent {
                    None => None,
                    Some(agent) => Some(agents::find(tx, org, agent).await?),
                };
                if owner
                    .as_ref()
                    .is_some_and(|agent| agent.intent == creel_domain::Intent::Delete)
                {
                    return Err(Error::Deleting);
                }
                let version = save(tx, org, id, &new, sealed).await?;
                told(tx, org, "secret.set", &new, Some(version), now).await?;
                find(tx, org, agent, &new.name).await
            })
        })
        .await
    }

    /// By name; all of the org's, or one agent's alone.
    pub async fn secrets(&self, agent: Option<AgentId>) -> Result<Vec<StoredSecret>, Error> {
        let org = self.id;
        self.read(move |tx| {
            Box::pin(async move {
                let whose = match agent {
                    None => "agent_id IS NULL AND CAST($2 AS TEXT) IS NULL",
                    Some(_) => "agent_id = $2",
                };
                let sql =
                    format!("SELECT {COLUMNS} FROM secrets WHERE org_id = $1 AND {whose} ORDER BY name");
                let rows = tx.rows(&sql, values![org, who(agent)]).await?;
                rows.iter().map(StoredSecret::try_from).collect()
            })
        })
        .await
    }

    pub async fn remove_secret(&self, agent: Option<AgentId>, name: SecretName) -> Result<(), Error> {
        let (org, now) = (self.id, self.store.now());
        self.write(move |tx| {
            Box::pin(async move {
                let secret = find(tx, org, agent, &name).await?;
                let sql = format!("DELETE FROM secrets WHERE {}", one(agent));
                tx.run(&sql, values![org, &name, who(agent)]).await?;
                told(tx, org, "secret.remove", &secret, None, now).await
            })
        })
        .await
    }

    /// The value that counts for an agent: its own secret of this name, or else the org's. None: there is neither.
    pub async fn secret_for(
        &self,
        agent: Option<AgentId>,
        name: SecretName,
    ) -> Result<Option<(Option<AgentId>, Zeroizing<String>)>, Error> {
        self.read_sealed(|| self.read_secret_for(agent, name.clone()))
            .await
    }

    async fn read_secret_for(
        &self,
        agent: Option<AgentId>,
        name: SecretName,
    ) -> Result<Option<(Option<AgentId>, Zeroizing<String>)>, Error> {
        let (org, wanted) = (self.id, name.clone());
        let agent = agent.map_or(uuid::Uuid::nil(), AgentId::uuid);
        let row = self
            .read(move |tx| {
                Box::pin(async move {
                    let sql = "SELECT agent_id, sealed, key_version FROM secrets
                               WHERE org_id = $1 AND name = $2 AND (agent_id = $3 OR agent_id IS NULL)
                               ORDER BY CASE WHEN agent_id IS NULL THEN 1 ELSE 0 END LIMIT 1";
                    tx.row(sql, values![org, &wanted, agent]).await
                })
            })
            .await?;
        let Some(row) = row else { return Ok(None) };
        let whose = row.maybe_id("agent_id")?;
        let place = place(whose, name.as_str());
        let sealed = row.maybe_bytes("sealed")?.unwrap_or_default();
        let value = self
            .open_sealed(&place, row.count("key_version")?, sealed)
            .await?;
        Ok(Some((whose, value)))
    }
}

async fn find(
    tx: &mut Tx,
    org: OrgId,
    agent: Option<AgentId>,
    name: &SecretName,
) -> Result<StoredSecret, Error> {
    let sql = format!("SELECT {COLUMNS} FROM secrets WHERE {}", one(agent));
    let row = tx.row(&sql, values![org, name, who(agent)]).await?;
    StoredSecret::try_from(&row.ok_or(Error::NotFound("secret"))?)
}

/// An event and an entry in the trail: names, never a value.
async fn told(
    tx: &mut Tx,
    org: OrgId,
    action: &str,
    secret: &StoredSecret,
    version: Option<u64>,
    now: Timestamp,
) -> Result<(), Error> {
    let event = match version {
        Some(_) => "secret.set",
        None => "secret.removed",
    };
    let name = secret.name.as_str();
    let mut data = json!({ "name": name });
    let mut act = Act::new(action).on("secret", name).named(name);
    if let Some(agent) = secret.agent {
        data["agent"] = json!(agent);
        act = act.with("agent", agent);
    }
    if let Some(version) = version {
        data["version"] = json!(version);
        act = act.with("version", version);
    }
    append(tx, org, event, name, &data, now).await?;
    record(tx, org, act).await
}
