//! Who may come in: the first owner, tokens, one-time links, browser sessions.
//!
//! Only SHA-256 hashes of secrets are kept. The secrets have 256 bits, so a fast hash is enough.

use creel_domain::{OrgId, TokenId, UserId};
use jiff::{SignedDuration, Timestamp};

use crate::{
    Error, Org, Platform,
    rows::{Row, values},
    tx::Tx,
};

type Hash = [u8; 32];

/// Sign-in links and browser sessions of one user; a new one past it ends the one that expires first.
const MAX_PER_USER: u32 = 50;
/// A token's last use is written down when the one on record is older than this.
const LAST_USED_EVERY: SignedDuration = SignedDuration::from_mins(10);

/// Who a secret stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    pub org: OrgId,
    pub org_name: String,
    pub user: UserId,
    pub user_name: String,
}

/// Whether this call made the first owner, or found one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstOwner {
    pub org: OrgId,
    pub user: UserId,
    pub created: bool,
}

/// A token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredToken {
    pub id: TokenId,
    pub name: String,
    pub created_at: Timestamp,
    /// Exact to ten minutes.
    pub last_used_at: Option<Timestamp>,
}

impl TryFrom<&Row> for Access {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            org: row.id("org_id")?,
            org_name: row.text("org_name")?.to_owned(),
            user: row.id("user_id")?,
            user_name: row.text("user_name")?.to_owned(),
        })
    }
}

async fn insert_org(tx: &mut Tx, org: OrgId, name: &str, user: UserId, now: Timestamp) -> Result<(), Error> {
    let sql = "INSERT INTO orgs (id, name, created_at) VALUES ($1, $2, $3)";
    tx.run(sql, values![org, name, now]).await?;
    let sql = "INSERT INTO users (id, org_id, name, created_at) VALUES ($1, $2, 'owner', $3)";
    tx.run(sql, values![user, org, now]).await?;
    Ok(())
}

/// A user can only be reached through the org it belongs to.
async fn member(tx: &mut Tx, org: OrgId, user: UserId) -> Result<(), Error> {
    let sql = "SELECT 1 AS there FROM users WHERE org_id = $1 AND id = $2";
    let there = tx.row(sql, values![org, user]).await?;
    there.map(|_| ()).ok_or(Error::NotFound("user"))
}

async fn by_session(tx: &mut Tx, hash: Hash, now: Timestamp) -> Result<Option<Access>, Error> {
    let sql = "SELECT s.org_id, o.name AS org_name, s.user_id, u.name AS user_name
               FROM browser_sessions s JOIN orgs o ON o.id = s.org_id JOIN users u ON u.id = s.user_id
               WHERE s.hash = $1 AND s.expires_at > $2";
    let row = tx.row(sql, values![hash, now]).await?;
    row.as_ref().map(Access::try_from).transpose()
}

impl Platform {
    /// The org `default` and its owner, made when there is no org yet.
    pub async fn first_owner(&self) -> Result<FirstOwner, Error> {
        let (org, user, now) = (self.store.mint(), self.store.mint(), self.store.now());
        self.store
            .write(move |tx| {
                Box::pin(async move {
                    let sql = "SELECT id, org_id FROM users ORDER BY id LIMIT 1";
                    if let Some(row) = tx.row(sql, values![]).await? {
                        return Ok(FirstOwner {
                            org: row.id("org_id")?,
                            user: row.id("id")?,
                            created: false,
                        });
                    }
                    insert_org(tx, org, "default", user, now).await?;
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
        self.store
            .write(move |tx| {
                Box::pin(async move {
                    insert_org(tx, org, &name, user, now).await?;
                    Ok((org, user))
                })
            })
            .await
    }

    pub async fn add_token(
        &self,
        org: OrgId,
        user: UserId,
        name: String,
        hash: Hash,
    ) -> Result<TokenId, Error> {
        let (token, now) = (self.store.mint::<TokenId>(), self.store.now());
        self.store
            .write(move |tx| {
                Box::pin(async move {
                    member(tx, org, user).await?;
                    let sql = "INSERT INTO tokens (id, org_id, user_id, name, hash, created_at)
                               VALUES ($1, $2, $3, $4, $5, $6)";
                    tx.run(sql, values![token, org, user, name, hash, now]).await?;
                    Ok(token)
                })
            })
            .await
    }

    pub async fn by_token(&self, hash: Hash) -> Result<Option<Access>, Error> {
        let row = self
            .store
            .read(move |tx| {
                Box::pin(async move {
                    let sql =
                        "SELECT t.org_id, o.name AS org_name, t.user_id, u.name AS user_name, t.last_used_at
                               FROM tokens t JOIN orgs o ON o.id = t.org_id JOIN users u ON u.id = t.user_id
                               WHERE t.hash = $1";
                    tx.row(sql, values![hash]).await
                })
            })
            .await?;
        let Some(row) = row else { return Ok(None) };
        self.note_use(hash, row.maybe_time("last_used_at")?).await;
        Access::try_from(&row).map(Some)
    }

    /// A use that cannot be written down is still a use: nobody is locked out by a full disk.
    async fn note_use(&self, hash: Hash, last: Option<Timestamp>) {
        let now = self.store.now();
        if last.is_some_and(|last| now.duration_since(last) < LAST_USED_EVERY) {
            return;
        }
        let noted = self
            .store
            .write(move |tx| {
                Box::pin(async move {
                    let sql = "UPDATE tokens SET last_used_at = $1 WHERE hash = $2";
                    tx.run(sql, values![now, hash]).await
                })
            })
            .await;
        if let Err(error) = noted {
            tracing::warn!(%error, "a token's last use could not be written down");
        }
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
        self.store
            .write(move |tx| {
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
                    Ok(expires)
                })
            })
            .await
    }

    /// Uses a link up and opens a browser session for whoever it stands for; none when it is not valid.
    pub async fn use_sign_in_link(
        &self,
        link: Hash,
        session: Hash,
        valid_for: SignedDuration,
    ) -> Result<Option<Access>, Error> {
        let now = self.store.now();
        let expires = now.saturating_add(valid_for).unwrap_or(now);
        self.store
            .write(move |tx| {
                Box::pin(async move {
                    let sql = "DELETE FROM sign_in_links WHERE hash = $1 AND expires_at > $2
                               RETURNING org_id, user_id";
                    let Some(used) = tx.row(sql, values![link, now]).await? else {
                        return Ok(None);
                    };
                    let (org, user) = (used.id::<OrgId>("org_id")?, used.id::<UserId>("user_id")?);
                    tx.run("DELETE FROM browser_sessions WHERE expires_at <= $1", values![now])
                        .await?;
                    let sql = "INSERT INTO browser_sessions (hash, org_id, user_id, expires_at)
                               VALUES ($1, $2, $3, $4)";
                    tx.run(sql, values![session, org, user, expires]).await?;
                    let sql = "DELETE FROM browser_sessions WHERE user_id = $1 AND expires_at <= (SELECT expires_at
                               FROM browser_sessions WHERE user_id = $1 ORDER BY expires_at DESC LIMIT 1 OFFSET $2)";
                    tx.run(sql, values![user, MAX_PER_USER]).await?;
                    by_session(tx, session, now).await
                })
            })
            .await
    }

    pub async fn by_browser_session(&self, hash: Hash) -> Result<Option<Access>, Error> {
        let now = self.store.now();
        self.store
            .read(move |tx| Box::pin(by_session(tx, hash, now)))
            .await
    }

    pub async fn end_browser_session(&self, hash: Hash) -> Result<(), Error> {
        self.store
            .write(move |tx| {
                Box::pin(async move {
                    tx.run("DELETE FROM browser_sessions WHERE hash = $1", values![hash])
                        .await?;
                    Ok(())
                })
            })
            .await
    }
}

impl Org {
    /// Oldest first.
    pub async fn tokens(&self) -> Result<Vec<StoredToken>, Error> {
        let org = self.id;
        self.store
            .read(move |tx| {
                Box::pin(async move {
                    let sql = "SELECT id, name, created_at, last_used_at FROM tokens
                               WHERE org_id = $1 ORDER BY id";
                    let rows = tx.rows(sql, values![org]).await?;
                    rows.iter()
                        .map(|row| {
                            Ok(StoredToken {
                                id: row.id("id")?,
                                name: row.text("name")?.to_owned(),
                                created_at: row.time("created_at")?,
                                last_used_at: row.maybe_time("last_used_at")?,
                            })
                        })
                        .collect()
                })
            })
            .await
    }

    pub async fn revoke_token(&self, token: TokenId) -> Result<(), Error> {
        let org = self.id;
        self.store
            .write(move |tx| {
                Box::pin(async move {
                    let sql = "DELETE FROM tokens WHERE org_id = $1 AND id = $2";
                    match tx.run(sql, values![org, token]).await? {
                        0 => Err(Error::NotFound("token")),
                        _ => Ok(()),
                    }
                })
            })
            .await
    }
}
