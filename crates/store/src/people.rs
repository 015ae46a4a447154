//! People as the platform knows them, whichever orgs they belong to: address, password, and how they came.

use creel_domain::{Act, BrowserSessionId, Email, MemberRole, OrgId, UserId};
use jiff::Timestamp;

use crate::{
    Error, NewBrowserSession, Platform,
    access::{Hash, insert_org},
    audit::{known_as, record, record_for},
    browser_sessions,
    members::{has_room, insert_member},
    rows::{Row, values},
    tx::Tx,
};

/// Argon2id of a password, with what it was made with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PasswordHash {
    pub hash: [u8; 32],
    pub salt: [u8; 16],
    pub memory_kib: u32,
    pub passes: u32,
    pub lanes: u32,
}

/// Without hash and salt: debug output ends up in logs.
impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PasswordHash")
            .field("memory_kib", &self.memory_kib)
            .field("passes", &self.passes)
            .finish_non_exhaustive()
    }
}

/// What is known of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub user: UserId,
    /// What they were called first.
    pub name: String,
    pub operator: bool,
    pub email: Option<Email>,
    /// None: nobody has shown that they can read its mail.
    pub verified_at: Option<Timestamp>,
    pub password: Option<PasswordHash>,
    /// Whether a second factor is in force.
    pub second_factor: bool,
    pub passkeys: u64,
    /// Who they are elsewhere: one factor, as far as we know.
    pub identities: u64,
}

impl Person {
    /// Whether nobody gets in as them by one factor alone: whatever is one is followed by a code, or there is nothing but
    /// passkeys, which are two.
    pub fn needs_two_factors(&self) -> bool {
        let passkeys_alone = self.password.is_none() && self.identities == 0 && self.passkeys > 0;
        self.second_factor || passkeys_alone
    }
}

/// An org that a person belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    pub org: OrgId,
    pub org_name: String,
    pub name: String,
    pub role: MemberRole,
}

/// What a mailed code is good for, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Reset,
    Verify,
    SignUp,
}

impl Purpose {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Reset => "reset",
            Self::Verify => "verify",
            Self::SignUp => "sign_up",
        }
    }
}

/// Somebody who has shown a mailed code and is to become a user.
#[derive(Debug, Clone)]
pub struct NewPerson {
    pub code: [u8; 32],
    pub name: String,
    pub password: PasswordHash,
    pub session: NewBrowserSession,
    /// What the org is called that is made for one who was invited into none; none: nobody comes uninvited.
    pub org_name: Option<String>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignedUp {
    /// The code or its invitation is not good.
    Unknown,
    /// The address has an account by now.
    Taken,
    Done {
        org: OrgId,
        user: UserId,
    },
}

/// Everything that makes a [`Person`].
pub(crate) const PERSON: &str =
    "SELECT u.id, u.name, u.operator, e.address, e.verified_at, p.hash, p.salt, p.memory_kib, p.passes, p.lanes,
            CASE WHEN t.confirmed_at IS NULL THEN 0 ELSE 1 END AS second_factor,
            (SELECT COUNT(*) FROM passkeys k WHERE k.user_id = u.id) AS passkeys,
            (SELECT COUNT(*) FROM identities i WHERE i.user_id = u.id) AS identities
     FROM users u LEFT JOIN emails e ON e.user_id = u.id LEFT JOIN passwords p ON p.user_id = u.id
     LEFT JOIN totps t ON t.user_id = u.id";

impl TryFrom<&Row> for Person {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        let number = |column: &str| -> Result<u32, Error> {
            u32::try_from(row.count(column)?).map_err(|_| Error::Corrupt(format!("{column} is too large")))
        };
        let password = match row.maybe_bytes("hash")? {
            Some(_) => Some(PasswordHash {
                hash: row.hash("hash")?,
                salt: row
                    .maybe_bytes("salt")?
                    .and_then(|salt| salt.try_into().ok())
                    .ok_or_else(|| Error::Corrupt("a salt has another length".to_owned()))?,
                memory_kib: number("memory_kib")?,
                passes: number("passes")?,
                lanes: number("lanes")?,
            }),
            None => None,
        };
        Ok(Self {
            user: row.id("id")?,
            name: row.text("name")?.to_owned(),
            operator: row.int("operator")? != 0,
            email: match row.maybe_text("address")? {
                Some(_) => Some(row.parsed("address")?),
                None => None,
            },
            verified_at: row.maybe_time("verified_at")?,
            password,
            second_factor: row.int("second_factor")? != 0,
            passkeys: row.count("passkeys")?,
            identities: row.count("identities")?,
        })
    }
}

impl TryFrom<&Row> for Membership {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            org: row.id("org_id")?,
            org_name: row.text("org_name")?.to_owned(),
            name: row.text("name")?.to_owned(),
            role: row.parsed("role")?,
        })
    }
}

pub(crate) async fn by_email(tx: &mut Tx, email: &Email) -> Result<Option<Person>, Error> {
    let sql = format!("{PERSON} WHERE e.address = $1");
    let row = tx.row(&sql, values![email]).await?;
    row.as_ref().map(Person::try_from).transpose()
}

/// Whose address it is.
pub(crate) async fn owner_of(tx: &mut Tx, email: &Email) -> Result<Option<UserId>, Error> {
    let row = tx
        .row("SELECT user_id FROM emails WHERE address = $1", values![email])
        .await?;
    row.map(|row| row.id("user_id")).transpose()
}

/// Makes it the user's only address; false: it is another's.
pub(crate) async fn put_email(
    tx: &mut Tx,
    user: UserId,
    email: &Email,
    verified_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<bool, Error> {
    if owner_of(tx, email).await?.is_some_and(|owner| owner != user) {
        return Ok(false);
    }
    let sql = "INSERT INTO emails (address, user_id, verified_at, created_at) VALUES ($1, $2, $3, $4)
               ON CONFLICT (user_id) DO UPDATE SET address = $1, verified_at = $3, created_at = $4";
    tx.run(sql, values![email, user, verified_at, now]).await?;
    Ok(true)
}

pub(crate) async fn put_password(
    tx: &mut Tx,
    user: UserId,
    password: &PasswordHash,
    now: Timestamp,
) -> Result<(), Error> {
    let sql = "INSERT INTO passwords (user_id, hash, salt, memory_kib, passes, lanes, changed_at)
               VALUES ($1, $2, $3, $4, $5, $6, $7)
               ON CONFLICT (user_id) DO UPDATE SET hash = $2, salt = $3, memory_kib = $4, passes = $5, lanes = $6,
                                                   changed_at = $7";
    let (salt, memory) = (password.salt.to_vec(), password.memory_kib);
    tx.run(
        sql,
        values![
            user,
            password.hash,
            salt,
            memory,
            password.passes,
            password.lanes,
            now
        ],
    )
    .await?;
    Ok(())
}

/// Uses a mailed code up: the address it was sent to, the user it is about, the invitation it came with.
async fn use_code(
    tx: &mut Tx,
    purpose: Purpose,
    code: Hash,
    now: Timestamp,
) -> Result<Option<(Email, Option<UserId>, Option<Hash>)>, Error> {
    let sql = "DELETE FROM mail_links WHERE hash = $1 AND purpose = $2 AND expires_at > $3
               RETURNING address, user_id, invitation_hash";
    let Some(row) = tx.row(sql, values![code, purpose.as_str(), now]).await? else {
        return Ok(None);
    };
    let user = match row.maybe_bytes("invitation_hash")? {
        Some(_) => (
            row.parsed("address")?,
            row.maybe_id("user_id")?,
            Some(row.hash("invitation_hash")?),
        ),
        None => (row.parsed("address")?, row.maybe_id("user_id")?, None),
    };
    Ok(Some(user))
}

/// Waits until nobody else writes in the org, and holds others off until the end: what is counted still holds.
pub(crate) async fn alone_in(tx: &mut Tx, org: OrgId) -> Result<(), Error> {
    let sql = "UPDATE orgs SET last_event = last_event WHERE id = $1";
    match tx.run(sql, values![org]).await? {
        0 => Err(Error::NotFound("org")),
        _ => Ok(()),
    }
}

/// Uses an invitation up: the org and the role. None when it is not good.
pub(crate) async fn use_invitation(
    tx: &mut Tx,
    invitation: Hash,
    now: Timestamp,
) -> Result<Option<(OrgId, MemberRole)>, Error> {
    let sql = "SELECT org_id FROM invitations WHERE hash = $1 AND expires_at > $2";
    let Some(row) = tx.row(sql, values![invitation, now]).await? else {
        return Ok(None);
    };
    let org = row.id::<OrgId>("org_id")?;
    alone_in(tx, org).await?;
    let sql = "DELETE FROM invitations WHERE hash = $1 AND expires_at > $2 RETURNING role";
    let Some(row) = tx.row(sql, values![invitation, now]).await? else {
        return Ok(None);
    };
    has_room(tx, org).await?;
    Ok(Some((org, row.parsed("role")?)))
}

impl Platform {
    pub async fn person(&self, user: UserId) -> Result<Person, Error> {
        self.read(move |tx| {
            Box::pin(async move {
                let sql = format!("{PERSON} WHERE u.id = $1");
                let row = tx.row(&sql, values![user]).await?;
                Person::try_from(&row.ok_or(Error::NotFound("user"))?)
            })
        })
        .await
    }

    pub async fn person_by_email(&self, email: Email) -> Result<Option<Person>, Error> {
        self.read(move |tx| Box::pin(async move { by_email(tx, &email).await }))
            .await
    }

    /// Tells all of a user's orgs that somebody tried in vain to be them: by a wrong password or second factor.
    pub async fn note_refused(&self, user: UserId, with: &'static str) -> Result<(), Error> {
        self.write(move |tx| {
            Box::pin(
                async move { record_for(tx, user, Act::new("sign_in").with("with", with).refused()).await },
            )
        })
        .await
    }

    /// In the order in which they joined.
    pub async fn memberships(&self, user: UserId) -> Result<Vec<Membership>, Error> {
        self.read(move |tx| {
            Box::pin(async move {
                let sql = "SELECT m.org_id, o.name AS org_name, m.name, m.role FROM members m
                           JOIN orgs o ON o.id = m.org_id WHERE m.user_id = $1 ORDER BY m.created_at, m.org_id";
                let rows = tx.rows(sql, values![user]).await?;
                rows.iter().map(Membership::try_from).collect()
            })
        })
        .await
    }

    /// Makes it the user's address, whoever can read its mail; false: it is another's.
    pub async fn set_email(&self, user: UserId, email: Email, verified: bool) -> Result<bool, Error> {
        let now = self.store.now();
        let verified = verified.then_some(now);
        self.write(move |tx| {
            Box::pin(async move {
                let put = put_email(tx, user, &email, verified, now).await?;
                if put {
                    record_for(tx, user, Act::new("email.change")).await?;
                }
                Ok(put)
            })
        })
        .await
    }

    /// Sets a password; every session of the user ends but `except`.
    pub async fn set_password(
        &self,
        user: UserId,
        password: PasswordHash,
        except: Option<BrowserSessionId>,
    ) -> Result<(), Error> {
        let now = self.store.now();
        self.write(move |tx| {
            Box::pin(async move {
                put_password(tx, user, &password, now).await?;
                browser_sessions::end_all_of(tx, user, except).await?;
                record_for(tx, user, Act::new("password.change")).await
            })
        })
        .await
    }

    /// The same password under other parameters, unless it was changed meanwhile.
    pub async fn rehash_password(
        &self,
        user: UserId,
        from: PasswordHash,
        to: PasswordHash,
    ) -> Result<(), Error> {
        self.write_one(move |tx| {
            Box::pin(async move {
                let sql =
                    "UPDATE passwords SET hash = $3, salt = $4, memory_kib = $5, passes = $6, lanes = $7
                           WHERE user_id = $1 AND hash = $2";
                let salt = to.salt.to_vec();
                tx.run(
                    sql,
                    values![user, from.hash, to.hash, salt, to.memory_kib, to.passes, to.lanes],
                )
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// The address that a mailed code was sent to, without using the code up; none when it is not good.
    pub async fn code_address(&self, purpose: Purpose, code: Hash) -> Result<Option<Email>, Error> {
        let now = self.store.now();
        self.read(move |tx| {
            Box::pin(async move {
                let sql =
                    "SELECT address FROM mail_links WHERE hash = $1 AND purpose = $2 AND expires_at > $3";
                if let Some(row) = tx.row(sql, values![code, purpose.as_str(), now]).await? {
                    return Ok(Some(row.parsed("address")?));
                }
                if purpose != Purpose::SignUp {
                    return Ok(None);
                }
                let sql = "SELECT email FROM invitations
                           WHERE hash = $1 AND email IS NOT NULL AND expires_at > $2";
                let row = tx.row(sql, values![code, now]).await?;
                row.map(|row| row.parsed("email")).transpose()
            })
        })
        .await
    }

    /// Sets a new password for whoever has the code, ends all of their sessions and further codes, and takes
    /// their address as verified: they have read its mail. None: the code is not good.
    pub async fn reset_password(
        &self,
        code: Hash,
        password: PasswordHash,
    ) -> Result<Option<(UserId, Email)>, Error> {
        let now = self.store.now();
        self.write(move |tx| {
            Box::pin(async move {
                let Some((email, Some(user), _)) = use_code(tx, Purpose::Reset, code, now).await? else {
                    return Ok(None);
                };
                // An address that was given up meanwhile says nothing of the user any more.
                if owner_of(tx, &email).await? != Some(user) {
                    return Ok(None);
                }
                put_password(tx, user, &password, now).await?;
                browser_sessions::end_all_of(tx, user, None).await?;
                for sql in [
                    "DELETE FROM mail_links WHERE user_id = $1 AND purpose = 'reset'",
                    "DELETE FROM half_sessions WHERE user_id = $1",
                ] {
                    tx.run(sql, values![user]).await?;
                }
                let sql = "UPDATE emails SET verified_at = COALESCE(verified_at, $2) WHERE user_id = $1";
                tx.run(sql, values![user, now]).await?;
                record_for(tx, user, Act::new("password.reset")).await?;
                Ok(Some((user, email)))
            })
        })
        .await
    }

    /// The address that the code was mailed to becomes its user's. None: the code is not good, or the address
    /// another's by now.
    pub async fn verify_email(&self, code: Hash) -> Result<Option<(UserId, Email)>, Error> {
        let now = self.store.now();
        self.write(move |tx| {
            Box::pin(async move {
                let Some((email, Some(user), _)) = use_code(tx, Purpose::Verify, code, now).await? else {
                    return Ok(None);
                };
                let put = put_email(tx, user, &email, Some(now), now).await?;
                if put {
                    record_for(tx, user, Act::new("email.verify")).await?;
                }
                Ok(put.then_some((user, email)))
            })
        })
        .await
    }

    /// Makes a user of whoever shows a mailed code: their own, or that of an invitation sent to their address.
    pub async fn sign_up(&self, new: NewPerson) -> Result<SignedUp, Error> {
        let (user, fresh_org, session) = (
            self.store.mint::<UserId>(),
            self.store.mint::<OrgId>(),
            self.store.mint::<BrowserSessionId>(),
        );
        let now = self.store.now();
        self.write(move |tx| {
            Box::pin(async move {
                let (email, invitation) = match use_code(tx, Purpose::SignUp, new.code, now).await? {
                    Some((email, _, invitation)) => (email, invitation),
                    None => {
                        let sql = "SELECT email FROM invitations
                                   WHERE hash = $1 AND email IS NOT NULL AND expires_at > $2";
                        match tx.row(sql, values![new.code, now]).await? {
                            Some(row) => (row.parsed("email")?, Some(new.code)),
                            None => return Ok(SignedUp::Unknown),
                        }
                    }
                };
                if owner_of(tx, &email).await?.is_some() {
                    return Ok(SignedUp::Taken);
                }
                let org = match (invitation, &new.org_name) {
                    (Some(invitation), _) => {
                        let Some((org, role)) = use_invitation(tx, invitation, now).await? else {
                            return Ok(SignedUp::Unknown);
                        };
                        let sql = "INSERT INTO users (id, org_id, name, created_at) VALUES ($1, $2, $3, $4)";
                        tx.run(sql, values![user, org, new.name.as_str(), now]).await?;
                        insert_member(tx, org, user, &new.name, role, now).await?;
                        known_as(tx, org, user, "invitation").await?;
                        let act = Act::new("invitation.accept").on("user", user).named(&new.name);
                        record(tx, org, act.with("role", role)).await?;
                        org
                    }
                    (None, Some(org_name)) => {
                        insert_org(tx, fresh_org, org_name, user, &new.name, false, now).await?;
                        fresh_org
                    }
                    (None, None) => return Ok(SignedUp::Unknown),
                };
                put_email(tx, user, &email, Some(now), now).await?;
                put_password(tx, user, &new.password, now).await?;
                browser_sessions::open(tx, session, org, user, &new.session, now).await?;
                Ok(SignedUp::Done { org, user })
            })
        })
        .await
    }

    /// Whether the code of an invitation is good, whoever it was sent to.
    pub async fn is_invited(&self, invitation: Hash) -> Result<bool, Error> {
        let now = self.store.now();
        self.read(move |tx| {
            Box::pin(async move {
                let sql = "SELECT 1 AS there FROM invitations WHERE hash = $1 AND expires_at > $2";
                Ok(tx.row(sql, values![invitation, now]).await?.is_some())
            })
        })
        .await
    }
}
