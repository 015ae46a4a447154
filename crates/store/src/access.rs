//! Who may come in: the first owner, and whoever holds a one-time link.
//!
//! Only SHA-256 hashes of secrets are kept. The secrets have 256 bits, so a fast hash is enough.

use std::collections::BTreeSet;

use creel_domain::{Act, BrowserSessionId, MemberRole, OrgId, Scope, TokenId, UserId};
use jiff::{SignedDuration, Timestamp};

use crate::{
    Error, NewBrowserSession, Platform,
    audit::{self, known_as, record},
    browser_sessions,
    members::insert_member,
    rows::{Row, values},
    tokens::maybe_scopes,
    tx::Tx,
};

pub(crate) type Hash = [u8; 32];

/// Sign-in links of one user; a new one past it ends the one that expires first.
const MAX_PER_USER: u32 = 50;

/// Who a secret stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    pub org: OrgId,
    pub org_name: String,
    pub user: UserId,
    /// What they are called in this org.
    pub user_name: String,
    pub role: MemberRole,
    /// Whether the platform is theirs to run.
    pub operator: bool,
    /// Whether the org is stopped by whoever runs the platform.
    pub suspended: bool,
    /// How they showed who they are, as the audit trail tells it.
    pub via: String,
    /// Of the token that speaks for them; none: all that they may do.
    pub scopes: Option<BTreeSet<Scope>>,
}

/// Whether this call made the first owner, or found one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstOwner {
    pub org: OrgId,
    pub user: UserId,
    pub created: bool,
}

impl TryFrom<&Row> for Access {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            org: row.id("org_id")?,
            org_name: row.text("org_name")?.to_owned(),
            user: row.id("user_id")?,
            user_name: row.text("user_name")?.to_owned(),
            role: row.parsed("role")?,
            operator: row.int("operator")? != 0,
            suspended: row.maybe_time("suspended_at")?.is_some(),
            via: match row.maybe_id::<TokenId>("token_id")? {
                Some(token) => format!("token {token}"),
                None => "session".to_owned(),
            },
            scopes: maybe_scopes(row, "scopes")?,
        })
    }
}

pub(crate) async fn insert_org(
    tx: &mut Tx,
    org: OrgId,
    name: &str,
    user: UserId,
    user_name: &str,
    operator: bool,
    now: Timestamp,
) -> Result<(), Error> {
    let sql = "INSERT INTO orgs (id, name, created_at) VALUES ($1, $2, $3)";
    tx.run(sql, values![org, name, now]).await?;
    let sql = "INSERT INTO users (id, org_id, name, operator, created_at) VALUES ($1, $2, $3, $4, $5)";
    let operator = i64::from(operator);
    tx.run(sql, values![user, org, user_name, operator, now]).await?;
    insert_member(tx, org, user, user_name, MemberRole::Owner, now).await?;
    audit::begin(tx, org).await?;
    known_as(tx, org, user, "").await?;
    record(tx, org, Act::new("org.create").on("org", org).named(name)).await
}

/// A user can only be reached through an org they belong to.
pub(crate) async fn member(tx: &mut Tx, org: OrgId, user: UserId) -> Result<(), Error> {
    let sql = "SELECT 1 AS there FROM members WHERE org_id = $1 AND user_id = $2";
    let there = tx.row(sql, values![org, user]).await?;
    there.map(|_| ()).ok_or(Error::NotFound("user"))
}

impl Platform {
    /// The org `default` and its owner, made when there is no org yet.
    pub async fn first_owner(&self) -> Result<FirstOwner, Error> {
        let (org, user, now) = (self.store.mint(), self.store.mint(), self.store.now());
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "SELECT id, org_id FROM users ORDER BY id LIMIT 1";
                if let Some(row) = tx.row(sql, values![]).await? {
                    return Ok(FirstOwner {
                        org: row.id("org_id")?,
                        user: row.id("id")?,
                        created: false,
                    });
                }
                insert_org(tx, org, "default", user, "owner", true, now).await?;
                Ok(FirstOwner {
                    org,
                    user,
                    created: true,
                })
            })
        })
        .await
    }

    /// Another org with a user of its own. Until people can sign up, only tests of the wall use it.
    pub async fn create_org(&self, name: String) -> Result<(OrgId, UserId), Error> {
        let (org, user, now) = (self.store.mint(), self.store.mint(), self.store.now());
        self.write(move |tx| {
            Box::pin(async move {
                insert_org(tx, org, &name, user, "owner", false, now).await?;
                Ok((org, user))
            })
        })
        .await
    }

    pub async fn add_sign_in_link(
        &self,
        org: OrgId,
        user: UserId,
        hash: Hash,
        valid_for: SignedDuration,
    ) -> Result<Timestamp, Error> {
        let now = self.store.now();
        let expires = now.saturating_add(valid_for).unwrap_or(now);
        self.write(move |tx| {
                Box::pin(async move {
                    member(tx, org, user).await?;
                    tx.run("DELETE FROM sign_in_links WHERE expires_at <= $1", values![now])
                        .await?;
                    let sql = "INSERT INTO sign_in_links (hash, org_id, user_id, expires_at)
                               VALUES ($1, $2, $3, $4)";
                    tx.run(sql, values![hash, org, user, expires]).await?;
                    let sql = "DELETE FROM sign_in_links WHERE user_id = $1 AND expires_at <= (SELECT expires_at
                               FROM sign_in_links WHERE user_id = $1 ORDER BY expires_at DESC LIMIT 1 OFFSET $2)";
                    tx.run(sql, values![user, MAX_PER_USER]).await?;
                    record(tx, org, Act::new("sign_in.link").on("user", user)).await?;
                    Ok(expires)
                })
            })
            .await
    }

    /// Uses a link up and opens a browser session for whoever it stands for; none when it is not valid.
    pub async fn use_sign_in_link(
        &self,
        link: Hash,
        session: NewBrowserSession,
    ) -> Result<Option<(OrgId, UserId)>, Error> {
        let (id, now) = (self.store.mint::<BrowserSessionId>(), self.store.now());
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "DELETE FROM sign_in_links WHERE hash = $1 AND expires_at > $2
                           RETURNING org_id, user_id";
                let Some(used) = tx.row(sql, values![link, now]).await? else {
                    return Ok(None);
                };
                let (org, user) = (used.id::<OrgId>("org_id")?, used.id::<UserId>("user_id")?);
                browser_sessions::open(tx, id, org, user, &session, now).await?;
                Ok(Some((org, user)))
            })
        })
        .await
    }
}
