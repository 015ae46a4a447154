//! API tokens: each speaks for one member in one org, with all that they may do or with less.

use std::collections::BTreeSet;

use creel_domain::{Act, OrgId, Scope, TokenId, UserId};
use jiff::{SignedDuration, Timestamp};

use crate::{
    Access, Error, Org, Platform,
    access::{Hash, member},
    audit::record,
    rows::{Row, values},
    tx::Tx,
};

/// Of one org.
pub const MAX_TOKENS: u64 = 1000;
/// A token's last use is written down when the one on record is older than this.
const LAST_USED_EVERY: SignedDuration = SignedDuration::from_mins(10);

/// A token to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    pub user: UserId,
    pub name: String,
    pub hash: [u8; 32],
    /// None: all that the user may do.
    pub scopes: Option<BTreeSet<Scope>>,
    /// None: valid until it is revoked.
    pub expires_at: Option<Timestamp>,
}

impl NewToken {
    /// With all that the user may do, valid until it is revoked.
    pub fn whole(user: UserId, name: &str, hash: [u8; 32]) -> Self {
        Self {
            user,
            name: name.to_owned(),
            hash,
            scopes: None,
            expires_at: None,
        }
    }
}

/// A token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredToken {
    pub id: TokenId,
    pub user: UserId,
    pub name: String,
    pub scopes: Option<BTreeSet<Scope>>,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    /// Exact to ten minutes.
    pub last_used_at: Option<Timestamp>,
}

impl TryFrom<&Row> for StoredToken {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.id("id")?,
            user: row.id("user_id")?,
            name: row.text("name")?.to_owned(),
            scopes: maybe_scopes(row, "scopes")?,
            created_at: row.time("created_at")?,
            expires_at: row.maybe_time("expires_at")?,
            last_used_at: row.maybe_time("last_used_at")?,
        })
    }
}

/// A column that holds scopes, or nothing for all.
pub(crate) fn maybe_scopes(row: &Row, column: &str) -> Result<Option<BTreeSet<Scope>>, Error> {
    row.maybe_text(column)?.map(|_| row.json(column)).transpose()
}

pub(crate) fn scopes_text(scopes: Option<&BTreeSet<Scope>>) -> Result<Option<String>, Error> {
    Ok(scopes.map(serde_json::to_string).transpose()?)
}

pub(crate) async fn insert_token(
    tx: &mut Tx,
    org: OrgId,
    id: TokenId,
    token: &NewToken,
    now: Timestamp,
) -> Result<(), Error> {
    member(tx, org, token.user).await?;
    let sql = "SELECT COUNT(*) AS n FROM tokens WHERE org_id = $1";
    let there = tx.row(sql, values![org]).await?;
    if there.map(|row| row.count("n")).transpose()?.unwrap_or_default() >= MAX_TOKENS {
        return Err(Error::LimitReached {
            what: "tokens",
            most: MAX_TOKENS,
        });
    }
    let scopes = scopes_text(token.scopes.as_ref())?;
    let sql = "INSERT INTO tokens (id, org_id, user_id, name, hash, scopes, created_at, expires_at)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let name = token.name.as_str();
    tx.run(
        sql,
        values![
            id,
            org,
            token.user,
            name,
            token.hash,
            scopes.as_deref(),
            now,
            token.expires_at
        ],
    )
    .await?;
    let mut act = Act::new("token.create").on("token", id).named(name);
    if let Some(scopes) = scopes {
        act = act.with("scopes", scopes);
    }
    if let Some(at) = token.expires_at {
        act = act.with("expires_at", at);
    }
    record(tx, org, act.with("user", token.user)).await
}

impl Platform {
    /// Whom a valid token speaks for.
    pub async fn by_token(&self, hash: Hash) -> Result<Option<Access>, Error> {
        Ok(self.token_by_hash(hash).await?.map(|(_, access)| access))
    }

    /// As [`Platform::by_token`], and which token it is.
    pub async fn token_by_hash(&self, hash: Hash) -> Result<Option<(TokenId, Access)>, Error> {
        let now = self.store.now();
        let row = self
            .read(move |tx| {
                Box::pin(async move {
                    let sql = "SELECT t.org_id, o.name AS org_name, o.suspended_at, t.user_id, m.name AS user_name, m.role, u.operator,
                                      t.id AS token_id, t.scopes, t.last_used_at
                               FROM tokens t JOIN orgs o ON o.id = t.org_id JOIN users u ON u.id = t.user_id
                               JOIN members m ON m.org_id = t.org_id AND m.user_id = t.user_id
                               WHERE t.hash = $1 AND (t.expires_at IS NULL OR t.expires_at > $2)";
                    tx.row(sql, values![hash, now]).await
                })
            })
            .await?;
        let Some(row) = row else { return Ok(None) };
        self.note_use(hash, row.maybe_time("last_used_at")?).await;
        Ok(Some((row.id("token_id")?, Access::try_from(&row)?)))
    }

    /// A use that cannot be written down is still a use: nobody is locked out by a full disk.
    async fn note_use(&self, hash: Hash, last: Option<Timestamp>) {
        let now = self.store.now();
        if last.is_some_and(|last| now.duration_since(last) < LAST_USED_EVERY) {
            return;
        }
        let noted = self
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
}

impl Org {
    pub async fn add_token(&self, token: NewToken) -> Result<StoredToken, Error> {
        let (org, id, now) = (self.id, self.store.mint::<TokenId>(), self.store.now());
        self.write(move |tx| {
            Box::pin(async move {
                insert_token(tx, org, id, &token, now).await?;
                Ok(StoredToken {
                    id,
                    user: token.user,
                    name: token.name,
                    scopes: token.scopes,
                    created_at: now,
                    expires_at: token.expires_at,
                    last_used_at: None,
                })
            })
        })
        .await
    }

    /// Oldest first; of one member, or of all.
    pub async fn tokens(&self, of: Option<UserId>) -> Result<Vec<StoredToken>, Error> {
        let org = self.id;
        self.read(move |tx| {
            Box::pin(async move {
                let sql = "SELECT id, user_id, name, scopes, created_at, expires_at, last_used_at FROM tokens
                           WHERE org_id = $1 ORDER BY id";
                let rows = tx.rows(sql, values![org]).await?;
                let mut tokens = rows
                    .iter()
                    .map(StoredToken::try_from)
                    .collect::<Result<Vec<_>, _>>()?;
                tokens.retain(|token| of.is_none_or(|user| token.user == user));
                Ok(tokens)
            })
        })
        .await
    }

    /// All of one member's, at once; how many there were.
    pub async fn revoke_tokens_of(&self, user: UserId) -> Result<u64, Error> {
        let org = self.id;
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "DELETE FROM tokens WHERE org_id = $1 AND user_id = $2";
                let revoked = tx.run(sql, values![org, user]).await?;
                if revoked > 0 {
                    let act = Act::new("token.revoke_all").on("user", user);
                    record(tx, org, act.with("tokens", revoked)).await?;
                }
                Ok(revoked)
            })
        })
        .await
    }

    /// At once. Of one member, or of whomever.
    pub async fn revoke_token(&self, token: TokenId, of: Option<UserId>) -> Result<(), Error> {
        let org = self.id;
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "SELECT name FROM tokens WHERE org_id = $1 AND id = $2";
                let there = tx.row(sql, values![org, token]).await?;
                let gone = match of {
                    Some(user) => {
                        let sql = "DELETE FROM tokens WHERE org_id = $1 AND id = $2 AND user_id = $3";
                        tx.run(sql, values![org, token, user]).await?
                    }
                    None => {
                        let sql = "DELETE FROM tokens WHERE org_id = $1 AND id = $2";
                        tx.run(sql, values![org, token]).await?
                    }
                };
                let Some(there) = there.filter(|_| gone > 0) else {
                    return Err(Error::NotFound("token"));
                };
                let act = Act::new("token.revoke")
                    .on("token", token)
                    .named(there.text("name")?);
                record(tx, org, act).await
            })
        })
        .await
    }
}
