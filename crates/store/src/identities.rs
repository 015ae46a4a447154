//! Who somebody is elsewhere: an issuer, and what it calls them. Several of them may be one user.

use creel_domain::{Act, Email, IdentityId, MemberRole, OrgId, TokenId, UserId};
use jiff::Timestamp;

use crate::{
    Access, Error, Platform,
    access::{Hash, insert_org},
    audit::{known_as, record, record_for},
    members::{has_room, insert_member},
    people::{alone_in, put_email, use_invitation},
    rows::{Row, values},
    tx::Tx,
    ways_in,
};

/// Of one user.
pub const MAX_IDENTITIES: u64 = 20;

/// What an issuer says of somebody, believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewIdentity {
    pub issuer: String,
    pub subject: String,
    /// What they are called, for people.
    pub name: String,
    /// Only one that the issuer has verified.
    pub email: Option<Email>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredIdentity {
    pub id: IdentityId,
    pub issuer: String,
    pub subject: String,
    pub email: Option<Email>,
    pub created_at: Timestamp,
}

/// What becomes of somebody whom nobody knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Newcomers {
    /// They stay out.
    Nobody,
    /// They become what the invitation with this code says; without a good one they stay out.
    Invited([u8; 32]),
    /// They become a member.
    Join(OrgId, MemberRole),
    /// They get an org of their own, called so.
    OwnOrg(String),
}

/// Who it is that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Met {
    /// They came before, or their address is a user's who has verified it as well.
    Known(UserId),
    /// They are a user from now on, and a member.
    New(UserId),
    /// Nobody that we know, and nobody new is let in.
    Stranger,
}

impl TryFrom<&Row> for StoredIdentity {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.id("id")?,
            issuer: row.text("issuer")?.to_owned(),
            subject: row.text("subject")?.to_owned(),
            email: row
                .maybe_text("email")?
                .map(|_| row.parsed("email"))
                .transpose()?,
            created_at: row.time("created_at")?,
        })
    }
}

async fn whose(tx: &mut Tx, issuer: &str, subject: &str) -> Result<Option<UserId>, Error> {
    let sql = "SELECT user_id FROM identities WHERE issuer = $1 AND subject = $2";
    let row = tx.row(sql, values![issuer, subject]).await?;
    row.map(|row| row.id("user_id")).transpose()
}

async fn insert(
    tx: &mut Tx,
    id: IdentityId,
    user: UserId,
    new: &NewIdentity,
    now: Timestamp,
) -> Result<(), Error> {
    let sql = "SELECT COUNT(*) AS n FROM identities WHERE user_id = $1";
    let there = tx.row(sql, values![user]).await?;
    if there.map(|row| row.count("n")).transpose()?.unwrap_or_default() >= MAX_IDENTITIES {
        return Err(Error::LimitReached {
            what: "identities",
            most: MAX_IDENTITIES,
        });
    }
    let sql = "INSERT INTO identities (id, user_id, issuer, subject, email, created_at)
               VALUES ($1, $2, $3, $4, $5, $6)";
    let (issuer, subject) = (new.issuer.as_str(), new.subject.as_str());
    tx.run(sql, values![id, user, issuer, subject, new.email.as_ref(), now])
        .await?;
    let act = Act::new("identity.link").with("identity", id);
    record_for(tx, user, act.with("issuer", issuer).with("subject", subject)).await
}

/// The user who has verified this address here too. Whoever has a second factor is not found by a mailbox alone.
async fn verified_owner(tx: &mut Tx, email: &Email) -> Result<Option<UserId>, Error> {
    let sql = "SELECT e.user_id FROM emails e LEFT JOIN totps t ON t.user_id = e.user_id
               WHERE e.address = $1 AND e.verified_at IS NOT NULL AND t.confirmed_at IS NULL";
    let row = tx.row(sql, values![email]).await?;
    row.map(|row| row.id("user_id")).transpose()
}

async fn insert_user(
    tx: &mut Tx,
    org: OrgId,
    user: UserId,
    name: &str,
    role: MemberRole,
    now: Timestamp,
) -> Result<(), Error> {
    let sql = "INSERT INTO users (id, org_id, name, operator, created_at) VALUES ($1, $2, $3, 0, $4)";
    tx.run(sql, values![user, org, name, now]).await?;
    insert_member(tx, org, user, name, role, now).await
}

/// To whom an invitation was mailed, if it was.
async fn invited_address(tx: &mut Tx, code: Hash, now: Timestamp) -> Result<Option<Email>, Error> {
    let sql = "SELECT email FROM invitations WHERE hash = $1 AND email IS NOT NULL AND expires_at > $2";
    let row = tx.row(sql, values![code, now]).await?;
    row.map(|row| row.parsed("email")).transpose()
}

impl Platform {
    /// The user who is called so by that issuer.
    pub async fn by_identity(&self, issuer: String, subject: String) -> Result<Option<UserId>, Error> {
        self.read(move |tx| Box::pin(async move { whose(tx, &issuer, &subject).await }))
            .await
    }

    /// Somebody has come whom an issuer vouches for. `newcomers` says what becomes of one whom nobody knows.
    pub async fn meet(&self, new: NewIdentity, newcomers: Newcomers) -> Result<Met, Error> {
        let (id, fresh, fresh_org) = (
            self.store.mint(),
            self.store.mint::<UserId>(),
            self.store.mint::<OrgId>(),
        );
        let now = self.store.now();
        self.write(move |tx| {
            Box::pin(async move {
                if let Some(user) = whose(tx, &new.issuer, &new.subject).await? {
                    return Ok(Met::Known(user));
                }
                if let Some(email) = &new.email
                    && let Some(user) = verified_owner(tx, email).await?
                {
                    insert(tx, id, user, &new, now).await?;
                    return Ok(Met::Known(user));
                }
                let mut mailed_to = None;
                match newcomers {
                    Newcomers::Nobody => return Ok(Met::Stranger),
                    Newcomers::Invited(code) => {
                        mailed_to = invited_address(tx, code, now).await?;
                        let Some((org, role)) = use_invitation(tx, code, now).await? else {
                            return Ok(Met::Stranger);
                        };
                        insert_user(tx, org, fresh, &new.name, role, now).await?;
                        known_as(tx, org, fresh, "invitation").await?;
                        let act = Act::new("invitation.accept").on("user", fresh).named(&new.name);
                        record(tx, org, act.with("role", role).with("issuer", &new.issuer)).await?;
                    }
                    Newcomers::Join(org, role) => {
                        alone_in(tx, org).await?;
                        has_room(tx, org).await?;
                        insert_user(tx, org, fresh, &new.name, role, now).await?;
                        let act = Act::new("member.join").on("user", fresh).named(&new.name);
                        record(tx, org, act.with("role", role).with("issuer", &new.issuer)).await?;
                    }
                    Newcomers::OwnOrg(org_name) => {
                        insert_org(tx, fresh_org, &org_name, fresh, &new.name, false, now).await?;
                    }
                }
                insert(tx, id, fresh, &new, now).await?;
                // Whoever has the code of an invitation that was mailed has read that mail.
                if let Some(email) = new.email.as_ref().or(mailed_to.as_ref()) {
                    // An address that is somebody's already stays theirs.
                    put_email(tx, fresh, email, Some(now), now).await?;
                }
                Ok(Met::New(fresh))
            })
        })
        .await
    }

    /// Adds an identity to a user who is signed in; false: it is another's.
    pub async fn link_identity(&self, user: UserId, new: NewIdentity) -> Result<bool, Error> {
        let (id, now) = (self.store.mint(), self.store.now());
        self.write(move |tx| {
            Box::pin(async move {
                match whose(tx, &new.issuer, &new.subject).await? {
                    Some(owner) => Ok(owner == user),
                    None => {
                        insert(tx, id, user, &new, now).await?;
                        Ok(true)
                    }
                }
            })
        })
        .await
    }

    /// Whether one of a user's identities is at a provider that people can sign in with.
    pub async fn signs_in_elsewhere(&self, user: UserId) -> Result<bool, Error> {
        self.read(move |tx| {
            Box::pin(async move {
                let sql = "SELECT 1 AS there FROM identities i JOIN sso_providers p ON p.issuer = i.issuer
                           WHERE i.user_id = $1 LIMIT 1";
                Ok(tx.row(sql, values![user]).await?.is_some())
            })
        })
        .await
    }

    /// Oldest first.
    pub async fn identities(&self, user: UserId) -> Result<Vec<StoredIdentity>, Error> {
        self.read(move |tx| {
            Box::pin(async move {
                let sql = "SELECT id, issuer, subject, email, created_at FROM identities WHERE user_id = $1 ORDER BY id";
                let rows = tx.rows(sql, values![user]).await?;
                rows.iter().map(StoredIdentity::try_from).collect()
            })
        })
        .await
    }

    /// Takes an identity from a user, unless it is the last way in that they have.
    pub async fn unlink_identity(&self, user: UserId, id: IdentityId) -> Result<(), Error> {
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "DELETE FROM identities WHERE user_id = $1 AND id = $2";
                if tx.run(sql, values![user, id]).await? == 0 {
                    return Err(Error::NotFound("identity"));
                }
                ways_in::one_is_left(tx, user).await?;
                record_for(tx, user, Act::new("identity.unlink").with("identity", id)).await
            })
        })
        .await
    }

    /// What a user may do in an org, if they are a member and the token, where one is named, is still good.
    pub async fn access_of(
        &self,
        org: OrgId,
        user: UserId,
        token: Option<TokenId>,
    ) -> Result<Option<Access>, Error> {
        let now = self.store.now();
        self.read(move |tx| {
            Box::pin(async move {
                if let Some(token) = token {
                    let sql = "SELECT id FROM tokens WHERE id = $1 AND org_id = $2 AND user_id = $3
                               AND (expires_at IS NULL OR expires_at > $4)";
                    if tx.row(sql, values![token, org, user, now]).await?.is_none() {
                        return Ok(None);
                    }
                }
                let sql =
                    "SELECT m.org_id, o.name AS org_name, o.suspended_at, m.user_id, m.name AS user_name, m.role, u.operator,
                                  NULL AS token_id, NULL AS scopes
                           FROM members m JOIN orgs o ON o.id = m.org_id JOIN users u ON u.id = m.user_id
                           WHERE m.org_id = $1 AND m.user_id = $2";
                let row = tx.row(sql, values![org, user]).await?;
                row.as_ref().map(Access::try_from).transpose()
            })
        })
        .await
    }
}
