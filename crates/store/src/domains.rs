//! Domains of owners that lead to their agents. Any org may claim one; the one whose proof was found has its row in
//! `hosts`, of which there is one for each name on the platform.

use creel_domain::{Act, Agent, AgentId, DomainCourse, DomainName, DomainState, Generation, Name, OrgId};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::{
    Error, Org, Platform, agents,
    audit::record,
    events::append,
    rows::{Row, values},
    tx::Tx,
};

/// Of one agent.
pub const MAX_DOMAINS_OF_AGENT: u64 = 20;
/// Of all agents of an org.
pub const MAX_DOMAINS: u64 = 200;
/// No check is planned later than this; one that seems to be was planned by a clock that was wrong.
const FARTHEST: SignedDuration = SignedDuration::from_hours(48);

const COLUMNS: &str =
    "d.host, d.agent_id, a.name AS agent_name, d.port, d.token, d.state, d.since, d.failing_since, d.misses,
    d.checked_at, d.seen, d.next_check_at, d.revision, d.created_at
    FROM domains d JOIN agents a ON a.org_id = d.org_id AND a.id = d.agent_id";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDomain {
    pub name: DomainName,
    pub agent: AgentId,
    pub agent_name: Name,
    /// None: the agent's page.
    pub port: Option<u16>,
    /// What its owner puts into DNS.
    pub token: String,
    pub course: DomainCourse,
    pub checked_at: Option<Timestamp>,
    /// In words, what the last check saw.
    pub seen: String,
    pub revision: Generation,
    pub created_at: Timestamp,
}

/// What a check saw.
#[derive(Debug, Clone)]
pub struct DomainSighting {
    pub proven: bool,
    /// In words, for its owner.
    pub seen: String,
    /// Somebody asked for it: it is told in the trail whatever came of it.
    pub asked: bool,
}

/// A domain whose time to be checked has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueDomain {
    pub org: OrgId,
    pub name: DomainName,
    pub next_check_at: Timestamp,
}

fn port(row: &Row) -> Result<Option<u16>, Error> {
    let port = row.maybe_int("port")?.map(u16::try_from).transpose();
    port.map_err(|_| Error::Corrupt("a port".to_owned()))
}

impl TryFrom<&Row> for StoredDomain {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        let since = row.time("since")?;
        let state = match row.text("state")? {
            "pending" => DomainState::Pending { since },
            "verified" => DomainState::Verified {
                since,
                failing_since: row.maybe_time("failing_since")?,
            },
            "failed" => DomainState::Failed { since },
            other => return Err(Error::Corrupt(format!("a domain's state `{other}`"))),
        };
        Ok(Self {
            name: row.parsed("host")?,
            agent: row.id("agent_id")?,
            agent_name: row.parsed("agent_name")?,
            port: port(row)?,
            token: row.text("token")?.to_owned(),
            course: DomainCourse {
                state,
                misses: u32::try_from(row.count("misses")?).unwrap_or(u32::MAX),
                next_check_at: row.maybe_time("next_check_at")?,
            },
            checked_at: row.maybe_time("checked_at")?,
            seen: row.text("seen")?.to_owned(),
            revision: Generation(row.count("revision")?),
            created_at: row.time("created_at")?,
        })
    }
}

async fn find(tx: &mut Tx, org: OrgId, name: &DomainName) -> Result<Option<StoredDomain>, Error> {
    let sql = format!("SELECT {COLUMNS} WHERE d.org_id = $1 AND d.host = $2");
    let row = tx.row(&sql, values![org, name.as_str()]).await?;
    row.as_ref().map(StoredDomain::try_from).transpose()
}

/// Writes what is new of a domain.
async fn save(tx: &mut Tx, org: OrgId, domain: &StoredDomain) -> Result<(), Error> {
    let DomainCourse {
        state,
        misses,
        next_check_at,
    } = domain.course;
    let sql = "UPDATE domains SET port = $3, state = $4, since = $5, failing_since = $6, misses = $7, checked_at = $8,
                   seen = $9, next_check_at = $10, revision = $11
               WHERE org_id = $1 AND host = $2";
    let values = values![
        org,
        domain.name.as_str(),
        domain.port,
        state.as_str(),
        state.since(),
        state.failing_since(),
        misses,
        domain.checked_at,
        domain.seen.as_str(),
        next_check_at,
        domain.revision,
    ];
    tx.run(sql, values).await?;
    Ok(())
}

async fn told(
    tx: &mut Tx,
    org: OrgId,
    event: &str,
    domain: &StoredDomain,
    at: Timestamp,
) -> Result<(), Error> {
    let state = domain.course.state;
    let data = json!({
        "agent": domain.agent,
        "port": domain.port,
        "state": state.as_str(),
        "failing_since": state.failing_since(),
    });
    append(tx, org, event, domain.name.as_str(), &data, at).await
}

fn act(action: &str, domain: &StoredDomain) -> Act {
    let act = Act::new(action).on("domain", &domain.name).named(&domain.name);
    act.with("agent", domain.agent)
}

/// The name leads to the agent from now on; false: another org has it.
async fn take(tx: &mut Tx, org: OrgId, domain: &StoredDomain, now: Timestamp) -> Result<bool, Error> {
    let name = domain.name.as_str();
    let sql = "INSERT INTO hosts (host, org_id, agent_id, port, created_at) VALUES ($1, $2, $3, $4, $5)
               ON CONFLICT (host) DO NOTHING";
    if tx
        .run(sql, values![name, org, domain.agent, domain.port, now])
        .await?
        == 1
    {
        return Ok(true);
    }
    let sql = "SELECT 1 AS there FROM hosts WHERE org_id = $1 AND host = $2";
    Ok(tx.row(sql, values![org, name]).await?.is_some())
}

/// The name leads nowhere from now on. What browsers got under it is worth nothing any more.
async fn give_up(tx: &mut Tx, org: OrgId, name: &DomainName) -> Result<(), Error> {
    for table in ["hosts", "accesses"] {
        let sql = format!("DELETE FROM {table} WHERE org_id = $1 AND host = $2");
        tx.run(&sql, values![org, name.as_str()]).await?;
    }
    Ok(())
}

async fn count(tx: &mut Tx, sql: &str, values: &[crate::rows::Value]) -> Result<u64, Error> {
    let row = tx.row(sql, values).await?;
    row.map_or(Ok(0), |row| row.count("there"))
}

async fn within_bounds(tx: &mut Tx, org: OrgId, agent: AgentId) -> Result<(), Error> {
    let sql = "SELECT COUNT(*) AS there FROM domains WHERE org_id = $1";
    if count(tx, sql, values![org]).await? >= MAX_DOMAINS {
        return Err(Error::LimitReached {
            what: "domains of this org",
            most: MAX_DOMAINS,
        });
    }
    let sql = "SELECT COUNT(*) AS there FROM domains WHERE org_id = $1 AND agent_id = $2";
    if count(tx, sql, values![org, agent]).await? >= MAX_DOMAINS_OF_AGENT {
        return Err(Error::LimitReached {
            what: "domains of this agent",
            most: MAX_DOMAINS_OF_AGENT,
        });
    }
    Ok(())
}

impl Org {
    /// Claims a domain for an agent, or changes where one leads; `token` is for a new one.
    pub async fn put_domain(
        &self,
        agent: AgentId,
        name: DomainName,
        port: Option<u16>,
        token: String,
    ) -> Result<StoredDomain, Error> {
        let (org, now) = (self.id, self.store.now());
        self.write(move |tx| {
            Box::pin(async move {
                let found = agents::find_kept(tx, org, agent).await?;
                match find(tx, org, &name).await? {
                    Some(there) if there.agent != agent => Err(Error::DomainElsewhere {
                        name,
                        agent: there.agent_name,
                    }),
                    Some(there) if there.port == port => Ok(there),
                    Some(there) => move_to(tx, org, there, port, now).await,
                    None => {
                        within_bounds(tx, org, agent).await?;
                        add(tx, org, &found, name, port, token, now).await
                    }
                }
            })
        })
        .await
    }

    pub async fn domain(&self, name: DomainName) -> Result<StoredDomain, Error> {
        let org = self.id;
        self.read(move |tx| {
            Box::pin(async move { find(tx, org, &name).await?.ok_or(Error::NotFound("domain")) })
        })
        .await
    }

    /// Of one agent or of all, by name.
    pub async fn domains(&self, agent: Option<AgentId>) -> Result<Vec<StoredDomain>, Error> {
        let org = self.id;
        self.read(move |tx| {
            Box::pin(async move {
                let rows = match agent {
                    Some(agent) => {
                        let sql = format!("SELECT {COLUMNS} WHERE d.org_id = $1 AND d.agent_id = $2 ORDER BY d.host LIMIT $3");
                        tx.rows(&sql, values![org, agent, MAX_DOMAINS]).await?
                    }
                    None => {
                        let sql = format!("SELECT {COLUMNS} WHERE d.org_id = $1 ORDER BY d.host LIMIT $2");
                        tx.rows(&sql, values![org, MAX_DOMAINS]).await?
                    }
                };
                rows.iter().map(StoredDomain::try_from).collect()
            })
        })
        .await
    }

    /// The domain leads nowhere from now on, and its token is worth nothing.
    pub async fn remove_domain(&self, agent: AgentId, name: DomainName) -> Result<(), Error> {
        let (org, now) = (self.id, self.store.now());
        self.write(move |tx| {
            Box::pin(async move {
                let found = find(tx, org, &name).await?.filter(|found| found.agent == agent);
                let found = found.ok_or(Error::NotFound("domain"))?;
                let sql = "DELETE FROM domains WHERE org_id = $1 AND host = $2";
                tx.run(sql, values![org, name.as_str()]).await?;
                give_up(tx, org, &name).await?;
                told(tx, org, "domain.removed", &found, now).await?;
                record(tx, org, act("domain.remove", &found)).await
            })
        })
        .await
    }

    /// Writes down what a check saw of a domain that is still at `expected`. None: it was changed meanwhile, and what
    /// was seen counts for nothing. A proof counts only while no other org has the name.
    pub async fn check_domain(
        &self,
        name: DomainName,
        expected: Generation,
        sighting: DomainSighting,
    ) -> Result<Option<StoredDomain>, Error> {
        let (org, now) = (self.id, self.store.now());
        self.write(move |tx| {
            Box::pin(async move {
                let before = find(tx, org, &name).await?.ok_or(Error::NotFound("domain"))?;
                if before.revision != expected {
                    return Ok(None);
                }
                let proven = sighting.proven && take(tx, org, &before, now).await?;
                let after = StoredDomain {
                    course: before.course.checked(proven, now),
                    checked_at: Some(now),
                    seen: if sighting.proven && !proven {
                        "The TXT record is there, but another org has the name by now.".to_owned()
                    } else {
                        sighting.seen
                    },
                    revision: before.revision.next(),
                    ..before.clone()
                };
                if before.course.state.is_verified() && !after.course.state.is_verified() {
                    give_up(tx, org, &name).await?;
                }
                save(tx, org, &after).await?;
                let turned = turned(&before.course.state, &after.course.state);
                if let Some(event) = turned {
                    told(tx, org, event, &after, now).await?;
                }
                if turned.is_some() || sighting.asked {
                    let state = after.course.state.as_str();
                    record(tx, org, act("domain.verify", &after).with("state", state)).await?;
                }
                Ok(Some(after))
            })
        })
        .await
    }

    /// Takes a domain that is still at `expected` out of service because another org has proven it; whether it was.
    pub async fn lose_domain(
        &self,
        name: DomainName,
        expected: Generation,
        seen: String,
    ) -> Result<bool, Error> {
        let (org, now) = (self.id, self.store.now());
        self.write(move |tx| {
            Box::pin(async move {
                let Some(before) = find(tx, org, &name).await? else {
                    return Ok(false);
                };
                if before.revision != expected || !before.course.state.is_verified() {
                    return Ok(false);
                }
                let after = StoredDomain {
                    course: before.course.lost(now),
                    checked_at: Some(now),
                    seen,
                    revision: before.revision.next(),
                    ..before
                };
                give_up(tx, org, &name).await?;
                save(tx, org, &after).await?;
                told(tx, org, "domain.failed", &after, now).await?;
                record(tx, org, act("domain.lose", &after)).await?;
                Ok(true)
            })
        })
        .await
    }
}

/// What a turn of a domain's course is called; none: it goes on as before.
fn turned(before: &DomainState, after: &DomainState) -> Option<&'static str> {
    use DomainState::{Failed, Pending, Verified};
    match (before, after) {
        (Pending { .. }, Pending { .. }) | (Failed { .. }, Failed { .. }) => None,
        (
            Verified { failing_since, .. },
            Verified {
                failing_since: now, ..
            },
        ) => match (failing_since, now) {
            (None, Some(_)) => Some("domain.failing"),
            (Some(_), None) => Some("domain.verified"),
            (None, None) | (Some(_), Some(_)) => None,
        },
        (_, Verified { .. }) => Some("domain.verified"),
        (_, Pending { .. }) => Some("domain.pending"),
        (_, Failed { .. }) => Some("domain.failed"),
    }
}

async fn add(
    tx: &mut Tx,
    org: OrgId,
    agent: &Agent,
    name: DomainName,
    port: Option<u16>,
    token: String,
    now: Timestamp,
) -> Result<StoredDomain, Error> {
    let domain = StoredDomain {
        name,
        agent: agent.id,
        agent_name: agent.name.clone(),
        port,
        token,
        course: DomainCourse::new(now),
        checked_at: None,
        seen: String::new(),
        revision: Generation(1),
        created_at: now,
    };
    let sql =
        "INSERT INTO domains (org_id, host, agent_id, port, token, state, since, misses, seen, next_check_at,
                   revision, created_at)
               VALUES ($1, $2, $3, $4, $5, $6, $7, 0, '', $8, $9, $7)";
    let values = values![
        org,
        domain.name.as_str(),
        domain.agent,
        domain.port,
        domain.token.as_str(),
        domain.course.state.as_str(),
        now,
        domain.course.next_check_at,
        domain.revision,
    ];
    tx.run(sql, values).await?;
    told(tx, org, "domain.added", &domain, now).await?;
    record(tx, org, with_port(act("domain.add", &domain), port)).await?;
    Ok(domain)
}

/// Another port is behind the name: what browsers got for the one before is worth nothing.
async fn move_to(
    tx: &mut Tx,
    org: OrgId,
    there: StoredDomain,
    port: Option<u16>,
    now: Timestamp,
) -> Result<StoredDomain, Error> {
    let after = StoredDomain {
        port,
        revision: there.revision.next(),
        ..there
    };
    save(tx, org, &after).await?;
    let name = after.name.as_str();
    let sql = "UPDATE hosts SET port = $3 WHERE org_id = $1 AND host = $2";
    tx.run(sql, values![org, name, port]).await?;
    let sql = "DELETE FROM accesses WHERE org_id = $1 AND host = $2";
    tx.run(sql, values![org, name]).await?;
    told(tx, org, "domain.changed", &after, now).await?;
    record(tx, org, with_port(act("domain.change", &after), port)).await?;
    Ok(after)
}

fn with_port(act: Act, port: Option<u16>) -> Act {
    match port {
        Some(port) => act.with("port", port),
        None => act.with("port", "page"),
    }
}

impl Platform {
    /// Domains of all orgs that are to be checked, the one that waits longest first.
    pub async fn due_domains(
        &self,
        now: Timestamp,
        after: Option<DueDomain>,
        limit: u32,
    ) -> Result<Vec<DueDomain>, Error> {
        let farthest = now.saturating_add(FARTHEST).unwrap_or(Timestamp::MAX);
        let (at, org, host) = match after {
            Some(last) => (
                last.next_check_at.as_microsecond(),
                last.org.uuid(),
                last.name.into(),
            ),
            None => (i64::MIN, uuid::Uuid::nil(), String::new()),
        };
        self.read(move |tx| {
            Box::pin(async move {
                let sql = "SELECT org_id, host, next_check_at FROM domains
                           WHERE next_check_at IS NOT NULL AND (next_check_at <= $1 OR next_check_at > $2)
                               AND (next_check_at, org_id, host) > ($3, $4, $5)
                           ORDER BY next_check_at, org_id, host LIMIT $6";
                let rows = tx.rows(sql, values![now, farthest, at, org, host, limit]).await?;
                let due = |row: &Row| {
                    Ok(DueDomain {
                        org: row.id("org_id")?,
                        name: row.parsed("host")?,
                        next_check_at: row.time("next_check_at")?,
                    })
                };
                rows.iter().map(due).collect()
            })
        })
        .await
    }

    /// When the next check is planned, of all orgs' domains.
    pub async fn next_domain_check_at(&self) -> Result<Option<Timestamp>, Error> {
        self.read(|tx| {
            Box::pin(async move {
                let sql = "SELECT MIN(next_check_at) AS next_at FROM domains WHERE next_check_at IS NOT NULL";
                let row = tx.row(sql, values![]).await?;
                row.map_or(Ok(None), |row| row.maybe_time("next_at"))
            })
        })
        .await
    }
}
