//! Who may come in: the first owner, tokens, one-time links, browser sessions.
//!
//! Only SHA-256 hashes of secrets are kept. The secrets have 256 bits, so a fast hash is enough.

use creel_daemon::mint;
use creel_domain::{OrgId, TokenId, UserId};
use jiff::{SignedDuration, Timestamp};
use rusqlite::params;

use crate::{
    Error, Platform,
    rows::{first, id, micros},
};

type Hash = [u8; 32];

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

fn access(row: &rusqlite::Row<'_>) -> Result<Access, Error> {
    Ok(Access {
        org: id(row, "org_id")?,
        org_name: row.get("org_name")?,
        user: id(row, "user_id")?,
        user_name: row.get("user_name")?,
    })
}

impl Platform {
    /// The org `default` and its owner, made when there is no org yet.
    pub async fn first_owner(&self) -> Result<FirstOwner, Error> {
        let clock = &self.store.clock;
        let (org, user, now) = (
            mint::<OrgId>(&**clock),
            mint::<UserId>(&**clock),
            micros(clock.now()),
        );
        self.store
            .database
            .write(move |tx| {
                let found = first(
                    tx,
                    "SELECT id, org_id FROM users ORDER BY id LIMIT 1",
                    [],
                    |row| {
                        Ok(FirstOwner {
                            org: id(row, "org_id")?,
                            user: id(row, "id")?,
                            created: false,
                        })
                    },
                )?;
                if let Some(found) = found {
                    return Ok(found);
                }
                let (org_bytes, user_bytes) = (org.uuid().into_bytes(), user.uuid().into_bytes());
                tx.execute(
                    "INSERT INTO orgs (id, name, created_at) VALUES ($1, 'default', $2)",
                    params![org_bytes, now],
                )?;
                tx.execute(
                    "INSERT INTO users (id, org_id, name, created_at) VALUES ($1, $2, 'owner', $3)",
                    params![user_bytes, org_bytes, now],
                )?;
                Ok(FirstOwner {
                    org,
                    user,
                    created: true,
                })
            })
            .await
    }

    /// Another org with a user of its own. Until people can sign up, only tests of the wall use it.
    pub async fn create_org(&self, name: String) -> Result<(OrgId, UserId), Error> {
        let clock = &self.store.clock;
        let (org, user, now) = (
            mint::<OrgId>(&**clock),
            mint::<UserId>(&**clock),
            micros(clock.now()),
        );
        self.store
            .database
            .write(move |tx| {
                let org_bytes = org.uuid().into_bytes();
                tx.execute(
                    "INSERT INTO orgs (id, name, created_at) VALUES ($1, $2, $3)",
                    params![org_bytes, name, now],
                )?;
                tx.execute(
                    "INSERT INTO users (id, org_id, name, created_at) VALUES ($1, $2, 'owner', $3)",
                    params![user.uuid().into_bytes(), org_bytes, now],
                )?;
                Ok((org, user))
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
        let clock = &self.store.clock;
        let (token, now) = (mint::<TokenId>(&**clock), micros(clock.now()));
        self.store
            .database
            .write(move |tx| {
                tx.execute(
                    "INSERT INTO tokens (id, org_id, user_id, name, hash, created_at) VALUES ($1, $2, $3, $4, $5, $6)",
                    params![
                        token.uuid().into_bytes(),
                        org.uuid().into_bytes(),
                        user.uuid().into_bytes(),
                        name,
                        hash,
                        now
                    ],
                )?;
                Ok(token)
            })
            .await
    }

    pub async fn by_token(&self, hash: Hash) -> Result<Option<Access>, Error> {
        self.store
            .database
            .read(move |db| {
                first(
                    db,
                    "SELECT t.org_id, o.name AS org_name, t.user_id, u.name AS user_name
                     FROM tokens t JOIN orgs o ON o.id = t.org_id JOIN users u ON u.id = t.user_id
                     WHERE t.hash = $1",
                    params![hash],
                    access,
                )
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
        let now = self.store.clock.now();
        let expires = now.saturating_add(valid_for).unwrap_or(now);
        self.store
            .database
            .write(move |tx| {
                tx.execute(
                    "DELETE FROM sign_in_links WHERE expires_at <= $1",
                    params![micros(now)],
                )?;
                tx.execute(
                    "INSERT INTO sign_in_links (hash, org_id, user_id, expires_at) VALUES ($1, $2, $3, $4)",
                    params![
                        hash,
                        org.uuid().into_bytes(),
                        user.uuid().into_bytes(),
                        micros(expires)
                    ],
                )?;
                Ok(expires)
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
        let now = self.store.clock.now();
        let expires = now.saturating_add(valid_for).unwrap_or(now);
        self.store
            .database
            .write(move |tx| {
                let used = first(
                    tx,
                    "DELETE FROM sign_in_links WHERE hash = $1 AND expires_at > $2 RETURNING org_id, user_id",
                    params![link, micros(now)],
                    |row| Ok((id::<OrgId>(row, "org_id")?, id::<UserId>(row, "user_id")?)),
                )?;
                let Some((org, user)) = used else { return Ok(None) };
                tx.execute("DELETE FROM browser_sessions WHERE expires_at <= $1", params![micros(now)])?;
                tx.execute(
                    "INSERT INTO browser_sessions (hash, org_id, user_id, expires_at) VALUES ($1, $2, $3, $4)",
                    params![session, org.uuid().into_bytes(), user.uuid().into_bytes(), micros(expires)],
                )?;
                by_session(tx, session, now)
            })
            .await
    }

    pub async fn by_browser_session(&self, hash: Hash) -> Result<Option<Access>, Error> {
        let now = self.store.clock.now();
        self.store
            .database
            .read(move |db| by_session(db, hash, now))
            .await
    }

    pub async fn end_browser_session(&self, hash: Hash) -> Result<(), Error> {
        self.store
            .database
            .write(move |tx| {
                tx.execute("DELETE FROM browser_sessions WHERE hash = $1", params![hash])?;
                Ok(())
            })
            .await
    }
}

fn by_session(db: &rusqlite::Connection, hash: Hash, now: Timestamp) -> Result<Option<Access>, Error> {
    first(
        db,
        "SELECT s.org_id, o.name AS org_name, s.user_id, u.name AS user_name
         FROM browser_sessions s JOIN orgs o ON o.id = s.org_id JOIN users u ON u.id = s.user_id
         WHERE s.hash = $1 AND s.expires_at > $2",
        params![hash, micros(now)],
        access,
    )
}
