//! Links that open a private port, and what browsers show afterwards.

use creel_domain::{Act, AgentId, BrowserSessionId, OrgId, ShareLinkId};
use jiff::{SignedDuration, Timestamp};

use crate::{
    Error, Org,
    access::Hash,
    agents,
    audit::record,
    rows::{Row, values},
    tx::Tx,
};

/// Of one agent.
pub const MAX_SHARE_LINKS: u64 = 100;
/// Of one agent; a new one past it ends the one that expires first.
pub const MAX_ACCESSES: u32 = 10_000;
/// How long a browser may take from being let in to arriving.
pub const TICKET_FOR: SignedDuration = SignedDuration::from_secs(60);
/// How long a browser is let in without asking again.
pub const ACCESS_FOR: SignedDuration = SignedDuration::from_hours(12);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredShareLink {
    pub id: ShareLinkId,
    pub port: u16,
    pub name: String,
    pub expires_at: Timestamp,
    pub created_at: Timestamp,
    /// The user's id.
    pub created_by: String,
}

#[derive(Debug, Clone)]
pub struct NewShareLink {
    pub port: u16,
    pub name: String,
    pub hash: [u8; 32],
    pub expires_at: Timestamp,
}

/// By what right a browser comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessBy {
    /// As somebody's who is signed in.
    Session(BrowserSessionId),
    /// As whoever has the link.
    Link(ShareLinkId),
}

fn port(row: &Row) -> Result<u16, Error> {
    u16::try_from(row.count("port")?).map_err(|_| Error::Corrupt("a port".to_owned()))
}

impl TryFrom<&Row> for StoredShareLink {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.id("id")?,
            port: port(row)?,
            name: row.text("name")?.to_owned(),
            expires_at: row.time("expires_at")?,
            created_at: row.time("created_at")?,
            created_by: row.text("created_by")?.to_owned(),
        })
    }
}

impl Org {
    /// Makes a link to a published port.
    pub async fn add_share_link(&self, agent: AgentId, new: NewShareLink) -> Result<StoredShareLink, Error> {
        let (org, now, id, who) = (self.id, self.store.now(), self.store.mint(), self.who());
        self.write(move |tx| {
            Box::pin(async move {
                let found = agents::find(tx, org, agent).await?;
                let sql = "SELECT 1 AS there FROM ports WHERE org_id = $1 AND agent_id = $2 AND port = $3";
                if tx.row(sql, values![org, agent, new.port]).await?.is_none() {
                    return Err(Error::NotFound("published port"));
                }
                let sql = "DELETE FROM share_links WHERE org_id = $1 AND agent_id = $2 AND expires_at <= $3";
                tx.run(sql, values![org, agent, now]).await?;
                let sql = "SELECT COUNT(*) AS there FROM share_links WHERE org_id = $1 AND agent_id = $2";
                let there = tx.row(sql, values![org, agent]).await?;
                if there.map_or(Ok(0), |row| row.count("there"))? >= MAX_SHARE_LINKS {
                    return Err(Error::LimitReached {
                        what: "share links of this agent",
                        most: MAX_SHARE_LINKS,
                    });
                }
                let sql =
                    "INSERT INTO share_links (id, org_id, agent_id, port, name, hash, expires_at, created_at,
                                                    created_by)
                           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
                let values = values![
                    id,
                    org,
                    agent,
                    new.port,
                    new.name.as_str(),
                    new.hash,
                    new.expires_at,
                    now,
                    who.as_str(),
                ];
                tx.run(sql, values).await?;
                let act = Act::new("share_link.create")
                    .on("agent", agent)
                    .named(&found.name);
                record(tx, org, act.with("port", new.port).with("link", id)).await?;
                Ok(StoredShareLink {
                    id,
                    port: new.port,
                    name: new.name,
                    expires_at: new.expires_at,
                    created_at: now,
                    created_by: who,
                })
            })
        })
        .await
    }

    /// Those that are not over, newest first.
    pub async fn share_links(&self, agent: AgentId) -> Result<Vec<StoredShareLink>, Error> {
        let (org, now) = (self.id, self.store.now());
        self.read(move |tx| {
            Box::pin(async move {
                let sql = "SELECT id, port, name, expires_at, created_at, created_by FROM share_links
                           WHERE org_id = $1 AND agent_id = $2 AND expires_at > $3 ORDER BY id DESC";
                let rows = tx.rows(sql, values![org, agent, now]).await?;
                rows.iter().map(StoredShareLink::try_from).collect()
            })
        })
        .await
    }

    /// Ends a link, and whatever it gave.
    pub async fn remove_share_link(&self, agent: AgentId, link: ShareLinkId) -> Result<(), Error> {
        let org = self.id;
        self.write(move |tx| {
            Box::pin(async move {
                let found = agents::find(tx, org, agent).await?;
                let sql = "DELETE FROM share_links WHERE org_id = $1 AND agent_id = $2 AND id = $3";
                if tx.run(sql, values![org, agent, link]).await? == 0 {
                    return Err(Error::NotFound("share link"));
                }
                let sql = "DELETE FROM accesses WHERE org_id = $1 AND agent_id = $2 AND link_id = $3";
                tx.run(sql, values![org, agent, link]).await?;
                let act = Act::new("share_link.delete")
                    .on("agent", agent)
                    .named(&found.name);
                record(tx, org, act.with("link", link)).await?;
                Ok(())
            })
        })
        .await
    }

    /// The link with this secret, if it is one of the agent's and not over: to which port, and until when.
    pub async fn share_link(&self, agent: AgentId, hash: Hash) -> Result<Option<StoredShareLink>, Error> {
        let (org, now) = (self.id, self.store.now());
        self.read(move |tx| {
            Box::pin(async move {
                let sql = "SELECT id, port, name, expires_at, created_at, created_by FROM share_links
                           WHERE org_id = $1 AND agent_id = $2 AND hash = $3 AND expires_at > $4";
                let row = tx.row(sql, values![org, agent, hash, now]).await?;
                row.as_ref().map(StoredShareLink::try_from).transpose()
            })
        })
        .await
    }

    /// Lets a browser of a session arrive at a port within [`TICKET_FOR`], under one name of the agent's.
    pub async fn add_ticket(
        &self,
        agent: AgentId,
        port: u16,
        host: String,
        session: BrowserSessionId,
        hash: Hash,
    ) -> Result<(), Error> {
        let (org, now) = (self.id, self.store.now());
        let until = now.saturating_add(TICKET_FOR).unwrap_or(now);
        self.write(move |tx| {
            Box::pin(async move {
                let new = NewAccess {
                    agent,
                    port,
                    host: &host,
                    by: AccessBy::Session(session),
                    ticket: true,
                };
                insert(tx, org, new, hash, until, now).await
            })
        })
        .await
    }

    /// Exchanges a ticket, once, for an access with its own secret. The port it is for; none: it was used, is too
    /// old, is for another name, or never was.
    pub async fn use_ticket(
        &self,
        agent: AgentId,
        host: String,
        ticket: Hash,
        access: Hash,
    ) -> Result<Option<u16>, Error> {
        let (org, now) = (self.id, self.store.now());
        let until = now.saturating_add(ACCESS_FOR).unwrap_or(now);
        self.write(move |tx| {
            Box::pin(async move {
                let sql =
                    "DELETE FROM accesses WHERE org_id = $1 AND agent_id = $2 AND hash = $3 AND host = $4 AND ticket = 1
                           RETURNING port, session_id, expires_at";
                let Some(row) = tx.row(sql, values![org, agent, ticket, host.as_str()]).await? else {
                    return Ok(None);
                };
                if row.time("expires_at")? <= now {
                    return Ok(None);
                }
                let port = port(&row)?;
                let new = NewAccess {
                    agent,
                    port,
                    host: &host,
                    by: AccessBy::Session(row.id("session_id")?),
                    ticket: false,
                };
                insert(tx, org, new, access, until, now).await?;
                Ok(Some(port))
            })
        })
        .await
    }

    /// Lets a browser that came with a link in, for as long as the link is good but not longer than
    /// [`ACCESS_FOR`].
    pub async fn use_share_link(
        &self,
        agent: AgentId,
        link: &StoredShareLink,
        host: String,
        access: Hash,
    ) -> Result<(), Error> {
        let (org, now) = (self.id, self.store.now());
        let until = now.saturating_add(ACCESS_FOR).unwrap_or(now).min(link.expires_at);
        let (port, by) = (link.port, AccessBy::Link(link.id));
        self.write(move |tx| {
            Box::pin(async move {
                let new = NewAccess {
                    agent,
                    port,
                    host: &host,
                    by,
                    ticket: false,
                };
                insert(tx, org, new, access, until, now).await
            })
        })
        .await
    }

    /// By what right a browser comes that shows this secret at this port, under this name.
    pub async fn access(
        &self,
        agent: AgentId,
        port: u16,
        host: String,
        hash: Hash,
    ) -> Result<Option<AccessBy>, Error> {
        let (org, now) = (self.id, self.store.now());
        self.read(move |tx| {
            Box::pin(async move {
                let sql = "SELECT session_id, link_id FROM accesses WHERE org_id = $1 AND agent_id = $2 AND port = $3
                           AND hash = $4 AND host = $5 AND ticket = 0 AND expires_at > $6";
                let Some(row) = tx.row(sql, values![org, agent, port, hash, host.as_str(), now]).await? else {
                    return Ok(None);
                };
                let session = row.maybe_id("session_id")?.map(AccessBy::Session);
                let link = row.maybe_id("link_id")?.map(AccessBy::Link);
                Ok(session.or(link))
            })
        })
        .await
    }
}

#[derive(Clone, Copy)]
struct NewAccess<'n> {
    agent: AgentId,
    port: u16,
    /// The name under which it counts.
    host: &'n str,
    by: AccessBy,
    ticket: bool,
}

async fn insert(
    tx: &mut Tx,
    org: OrgId,
    new: NewAccess<'_>,
    hash: Hash,
    until: Timestamp,
    now: Timestamp,
) -> Result<(), Error> {
    let sql = "DELETE FROM accesses WHERE org_id = $1 AND agent_id = $2 AND expires_at <= $3";
    tx.run(sql, values![org, new.agent, now]).await?;
    let (session, link) = match new.by {
        AccessBy::Session(session) => (Some(session), None),
        AccessBy::Link(link) => (None, Some(link)),
    };
    let sql =
        "INSERT INTO accesses (hash, org_id, agent_id, port, host, session_id, link_id, ticket, expires_at)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let ticket = u32::from(new.ticket);
    tx.run(
        sql,
        values![
            hash, org, new.agent, new.port, new.host, session, link, ticket, until
        ],
    )
    .await?;
    let sql = "SELECT COUNT(*) AS there FROM accesses WHERE org_id = $1 AND agent_id = $2";
    let there = tx.row(sql, values![org, new.agent]).await?;
    if there.map_or(Ok(0), |row| row.count("there"))? > u64::from(MAX_ACCESSES) {
        let sql = "DELETE FROM accesses WHERE org_id = $1 AND agent_id = $2 AND hash NOT IN
                   (SELECT hash FROM accesses WHERE org_id = $1 AND agent_id = $2
                    ORDER BY expires_at DESC, hash LIMIT $3)";
        tx.run(sql, values![org, new.agent, MAX_ACCESSES]).await?;
    }
    Ok(())
}
