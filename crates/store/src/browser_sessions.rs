//! Sessions of browsers: each is one sign-in, its secret exchanged now and then.

use creel_domain::{Act, BrowserSessionAge, BrowserSessionId, OrgId, Shown, UserId, Verdict};
use jiff::Timestamp;

use crate::{
    Access, Error, Platform,
    access::{Hash, member},
    audit::{known_as, record, record_for},
    rows::{Row, values},
    tx::Tx,
};

/// Of one user; a new one past it ends the one that expires first.
pub(crate) const MAX_PER_USER: u32 = 50;
/// What is kept of what a browser says that it is.
const BROWSER_CHARS: usize = 200;

/// A session to be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBrowserSession {
    /// Of its secret.
    pub hash: [u8; 32],
    /// What the browser says that it is.
    pub browser: String,
    /// Whether a password or another proof of its own was shown.
    pub proven: bool,
}

/// A session in a list, without its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBrowserSession {
    pub id: BrowserSessionId,
    pub org: OrgId,
    pub org_name: String,
    pub browser: String,
    pub created_at: Timestamp,
    /// Exact to ten minutes.
    pub seen_at: Timestamp,
    pub expires_at: Timestamp,
}

/// A session as a request finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundBrowserSession {
    pub id: BrowserSessionId,
    pub access: Access,
    pub age: BrowserSessionAge,
    pub shown: Shown,
    pub proven_at: Option<Timestamp>,
}

impl TryFrom<&Row> for StoredBrowserSession {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.id("id")?,
            org: row.id("org_id")?,
            org_name: row.text("org_name")?.to_owned(),
            browser: row.text("browser")?.to_owned(),
            created_at: row.time("created_at")?,
            seen_at: row.time("seen_at")?,
            expires_at: row.time("expires_at")?,
        })
    }
}

/// Opens a session for a member of the org; those of the same user past the bound end.
pub(crate) async fn open(
    tx: &mut Tx,
    id: BrowserSessionId,
    org: OrgId,
    user: UserId,
    new: &NewBrowserSession,
    now: Timestamp,
) -> Result<(), Error> {
    member(tx, org, user).await?;
    known_as(tx, org, user, "session").await?;
    record(tx, org, Act::new("sign_in").on("user", user)).await?;
    let idle = now.saturating_sub(BrowserSessionAge::IDLE).unwrap_or(now);
    let over = "DELETE FROM browser_sessions WHERE expires_at <= $1 OR seen_at <= $2";
    tx.run(over, values![now, idle]).await?;
    let expires = now.saturating_add(BrowserSessionAge::LASTS).unwrap_or(now);
    let proven = new.proven.then_some(now);
    let browser: String = new.browser.chars().take(BROWSER_CHARS).collect();
    let sql = "INSERT INTO browser_sessions (id, org_id, user_id, hash, rotated_at, confirmed_at, proven_at, seen_at,
                                             created_at, expires_at, browser)
               VALUES ($1, $2, $3, $4, $5, $5, $6, $5, $5, $7, $8)";
    tx.run(
        sql,
        values![id, org, user, new.hash, now, proven, expires, browser],
    )
    .await?;
    let sql = "DELETE FROM browser_sessions WHERE user_id = $1 AND id NOT IN
               (SELECT id FROM browser_sessions WHERE user_id = $1 ORDER BY expires_at DESC, id DESC LIMIT $2)";
    tx.run(sql, values![user, MAX_PER_USER]).await?;
    Ok(())
}

/// Ends all sessions of a user but one.
pub(crate) async fn end_all_of(
    tx: &mut Tx,
    user: UserId,
    except: Option<BrowserSessionId>,
) -> Result<u64, Error> {
    match except {
        Some(id) => {
            let sql = "DELETE FROM browser_sessions WHERE user_id = $1 AND id <> $2";
            tx.run(sql, values![user, id]).await
        }
        None => {
            tx.run("DELETE FROM browser_sessions WHERE user_id = $1", values![user])
                .await
        }
    }
}

impl Platform {
    /// Opens a session for a user who has shown who they are; they must be a member of the org.
    pub async fn open_browser_session(
        &self,
        org: OrgId,
        user: UserId,
        new: NewBrowserSession,
    ) -> Result<BrowserSessionId, Error> {
        let (id, now) = (self.store.mint::<BrowserSessionId>(), self.store.now());
        self.write(move |tx| {
            Box::pin(async move {
                open(tx, id, org, user, &new, now).await?;
                Ok(id)
            })
        })
        .await
    }

    /// The session that a secret belongs to, its time over or not: [`BrowserSessionAge::verdict`] says what
    /// to do with it.
    pub async fn by_browser_session(&self, hash: Hash) -> Result<Option<FoundBrowserSession>, Error> {
        self.read(move |tx| {
            Box::pin(async move {
                let sql = "SELECT s.id, s.hash, s.rotated_at, s.confirmed_at, s.proven_at, s.seen_at, s.expires_at,
                                  s.org_id, o.name AS org_name, o.suspended_at, s.user_id, m.name AS user_name, m.role, u.operator,
                                  NULL AS token_id, NULL AS scopes
                           FROM browser_sessions s JOIN orgs o ON o.id = s.org_id JOIN users u ON u.id = s.user_id
                           JOIN members m ON m.org_id = s.org_id AND m.user_id = s.user_id
                           WHERE s.hash = $1 OR s.previous_hash = $1";
                let Some(row) = tx.row(sql, values![hash]).await? else {
                    return Ok(None);
                };
                Ok(Some(FoundBrowserSession {
                    id: row.id("id")?,
                    access: Access::try_from(&row)?,
                    age: BrowserSessionAge {
                        rotated_at: row.time("rotated_at")?,
                        confirmed_at: row.maybe_time("confirmed_at")?,
                        seen_at: row.time("seen_at")?,
                        expires_at: row.time("expires_at")?,
                    },
                    shown: if row.hash("hash")? == hash {
                        Shown::Current
                    } else {
                        Shown::Previous
                    },
                    proven_at: row.maybe_time("proven_at")?,
                }))
            })
        })
        .await
    }

    /// Whom a session stands for that is not over, whatever its secret is by now.
    pub async fn by_browser_session_id(&self, id: BrowserSessionId) -> Result<Option<Access>, Error> {
        let now = self.store.now();
        let idle = now.saturating_sub(BrowserSessionAge::IDLE).unwrap_or(now);
        self.read(move |tx| {
            Box::pin(async move {
                let sql = "SELECT s.org_id, o.name AS org_name, o.suspended_at, s.user_id, m.name AS user_name, m.role, u.operator,
                                  NULL AS token_id, NULL AS scopes
                           FROM browser_sessions s JOIN orgs o ON o.id = s.org_id JOIN users u ON u.id = s.user_id
                           JOIN members m ON m.org_id = s.org_id AND m.user_id = s.user_id
                           WHERE s.id = $1 AND s.expires_at > $2 AND s.seen_at > $3";
                let row = tx.row(sql, values![id, now, idle]).await?;
                row.as_ref().map(Access::try_from).transpose()
            })
        })
        .await
    }

    /// Does to a session what its verdict says. With `fresh` its secret is exchanged; false: somebody else was
    /// faster, and the browser has theirs.
    pub async fn note_browser_session(
        &self,
        found: &FoundBrowserSession,
        shown: Hash,
        fresh: Option<Hash>,
    ) -> Result<bool, Error> {
        let (id, how, was, now) = (found.id, found.shown, found.age, self.store.now());
        self.write(move |tx| {
            Box::pin(async move {
                if found_over(was, how, now) {
                    let sql = "DELETE FROM browser_sessions WHERE id = $1";
                    tx.run(sql, values![id]).await?;
                    return Ok(false);
                }
                if how == Shown::Current {
                    let sql = "UPDATE browser_sessions SET seen_at = $3, confirmed_at = COALESCE(confirmed_at, $3)
                               WHERE id = $1 AND hash = $2";
                    tx.run(sql, values![id, shown, now]).await?;
                } else {
                    let sql = "UPDATE browser_sessions SET seen_at = $2 WHERE id = $1";
                    tx.run(sql, values![id, now]).await?;
                }
                let Some(fresh) = fresh else { return Ok(false) };
                // Whoever was faster has moved the time on.
                let sql = "UPDATE browser_sessions SET hash = $2, previous_hash = $3, rotated_at = $4, confirmed_at = NULL
                           WHERE id = $1 AND rotated_at = $5 AND (hash = $3 OR (previous_hash = $3 AND confirmed_at IS NULL))";
                let changed = tx
                    .run(sql, values![id, fresh, shown, now, was.rotated_at])
                    .await?;
                Ok(changed == 1)
            })
        })
        .await
    }

    /// Gives a session another secret, and the old one is good no longer: what it may do has changed.
    /// `proven`: a password or another proof was shown.
    pub async fn renew_browser_session(
        &self,
        id: BrowserSessionId,
        fresh: Hash,
        proven: bool,
    ) -> Result<bool, Error> {
        let now = self.store.now();
        let proven = proven.then_some(now);
        self.write_one(move |tx| {
            Box::pin(async move {
                let sql = "UPDATE browser_sessions SET hash = $2, previous_hash = NULL, rotated_at = $3, confirmed_at = $3,
                                  proven_at = COALESCE($4, proven_at), seen_at = $3
                           WHERE id = $1";
                Ok(tx.run(sql, values![id, fresh, now, proven]).await? == 1)
            })
        })
        .await
    }

    /// The session goes on in another org of its user, with another secret.
    pub async fn switch_browser_session(
        &self,
        id: BrowserSessionId,
        user: UserId,
        org: OrgId,
        fresh: Hash,
    ) -> Result<(), Error> {
        let now = self.store.now();
        self.write(move |tx| {
            Box::pin(async move {
                member(tx, org, user).await.map_err(|_| Error::NotFound("org"))?;
                let sql = "UPDATE browser_sessions SET org_id = $3, hash = $4, previous_hash = NULL, rotated_at = $5,
                                  confirmed_at = $5, seen_at = $5
                           WHERE id = $1 AND user_id = $2";
                match tx.run(sql, values![id, user, org, fresh, now]).await? {
                    0 => Err(Error::NotFound("session")),
                    _ => record(tx, org, Act::new("session.switch").on("user", user)).await,
                }
            })
        })
        .await
    }

    /// Those that are not over, the last used first.
    pub async fn browser_sessions(&self, user: UserId) -> Result<Vec<StoredBrowserSession>, Error> {
        let now = self.store.now();
        let idle = now.saturating_sub(BrowserSessionAge::IDLE).unwrap_or(now);
        self.read(move |tx| {
            Box::pin(async move {
                let sql = "SELECT s.id, s.org_id, o.name AS org_name, s.browser, s.created_at, s.seen_at, s.expires_at
                           FROM browser_sessions s JOIN orgs o ON o.id = s.org_id
                           WHERE s.user_id = $1 AND s.expires_at > $2 AND s.seen_at > $3
                           ORDER BY s.seen_at DESC, s.id DESC";
                let rows = tx.rows(sql, values![user, now, idle]).await?;
                rows.iter().map(StoredBrowserSession::try_from).collect()
            })
        })
        .await
    }

    pub async fn end_browser_session_of(&self, user: UserId, id: BrowserSessionId) -> Result<(), Error> {
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "DELETE FROM browser_sessions WHERE user_id = $1 AND id = $2";
                match tx.run(sql, values![user, id]).await? {
                    0 => Err(Error::NotFound("session")),
                    _ => record_for(tx, user, Act::new("session.end").with("session", id)).await,
                }
            })
        })
        .await
    }

    /// All of a user's; how many there were.
    pub async fn end_browser_sessions(&self, user: UserId) -> Result<u64, Error> {
        self.write(move |tx| {
            Box::pin(async move {
                let ended = end_all_of(tx, user, None).await?;
                record_for(tx, user, Act::new("session.end_all").with("sessions", ended)).await?;
                Ok(ended)
            })
        })
        .await
    }

    /// By its secret, as whoever has it signs out.
    pub async fn end_browser_session(&self, hash: Hash) -> Result<(), Error> {
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "DELETE FROM browser_sessions WHERE hash = $1 OR previous_hash = $1
                           RETURNING org_id, user_id";
                if let Some(row) = tx.row(sql, values![hash]).await? {
                    let (org, user) = (row.id::<OrgId>("org_id")?, row.id::<UserId>("user_id")?);
                    known_as(tx, org, user, "session").await?;
                    record(tx, org, Act::new("sign_out").on("user", user)).await?;
                }
                Ok(())
            })
        })
        .await
    }
}

fn found_over(age: BrowserSessionAge, shown: Shown, now: Timestamp) -> bool {
    !matches!(age.verdict(shown, now), Verdict::Good { .. })
}
