//! Who belongs to an org, and invitations into it.

use std::sync::Arc;

use creel_domain::{Act, Email, InvitationId, MemberRole, OrgId, TokenId, UserId};
use jiff::{SignedDuration, Timestamp};

use crate::{
    Error, NewToken, Org, Platform,
    access::Hash,
    audit::{known_as, record},
    rows::{Row, values},
    tokens::insert_token,
    tx::Tx,
};

/// Of one org.
pub const MAX_MEMBERS: u64 = 1000;
/// Open at a time, of one org.
pub const MAX_INVITATIONS: u64 = 200;
/// How long an invitation is good for.
pub const INVITATION_FOR: SignedDuration = SignedDuration::from_hours(7 * 24);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMember {
    pub user: UserId,
    pub name: String,
    pub role: MemberRole,
    pub created_at: Timestamp,
}

/// An invitation to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewInvitation {
    pub role: MemberRole,
    pub by: UserId,
    /// Of its code.
    pub hash: [u8; 32],
}

/// An invitation, without its code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredInvitation {
    pub id: InvitationId,
    pub role: MemberRole,
    pub by: UserId,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    /// To whom its code was mailed; none: whoever invited has it.
    pub email: Option<Email>,
}

/// What an invitation made of somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    pub org: OrgId,
    pub org_name: String,
    pub user: UserId,
    pub user_name: String,
    pub role: MemberRole,
}

impl TryFrom<&Row> for StoredMember {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            user: row.id("user_id")?,
            name: row.text("name")?.to_owned(),
            role: row.parsed("role")?,
            created_at: row.time("created_at")?,
        })
    }
}

impl TryFrom<&Row> for StoredInvitation {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.id("id")?,
            role: row.parsed("role")?,
            by: row.id("invited_by")?,
            created_at: row.time("created_at")?,
            expires_at: row.time("expires_at")?,
            email: match row.maybe_text("email")? {
                Some(_) => Some(row.parsed("email")?),
                None => None,
            },
        })
    }
}

pub(crate) async fn insert_member(
    tx: &mut Tx,
    org: OrgId,
    user: UserId,
    name: &str,
    role: MemberRole,
    now: Timestamp,
) -> Result<(), Error> {
    let sql = "INSERT INTO members (org_id, user_id, name, role, created_at) VALUES ($1, $2, $3, $4, $5)";
    tx.run(sql, values![org, user, name, role.as_str(), now]).await?;
    Ok(())
}

async fn count(tx: &mut Tx, sql: &str, org: OrgId) -> Result<u64, Error> {
    let row = tx.row(sql, values![org]).await?;
    Ok(row.map(|row| row.count("n")).transpose()?.unwrap_or_default())
}

/// Refuses one more member than an org may have. It still holds when they are written, for nobody else writes in the org.
pub(crate) async fn has_room(tx: &mut Tx, org: OrgId) -> Result<(), Error> {
    let members = "SELECT COUNT(*) AS n FROM members WHERE org_id = $1";
    if count(tx, members, org).await? >= MAX_MEMBERS {
        return Err(Error::LimitReached {
            what: "members",
            most: MAX_MEMBERS,
        });
    }
    Ok(())
}

async fn the_member(tx: &mut Tx, org: OrgId, user: UserId) -> Result<StoredMember, Error> {
    let sql = "SELECT user_id, name, role, created_at FROM members WHERE org_id = $1 AND user_id = $2";
    let row = tx
        .row(sql, values![org, user])
        .await?
        .ok_or(Error::NotFound("member"))?;
    StoredMember::try_from(&row)
}

/// Refuses what `by` may not do to the member, and what would leave the org without an owner.
async fn may_change(
    tx: &mut Tx,
    org: OrgId,
    user: UserId,
    by: MemberRole,
    to: Option<MemberRole>,
) -> Result<StoredMember, Error> {
    let member = the_member(tx, org, user).await?;
    if !by.may_grant(member.role) || to.is_some_and(|to| !by.may_grant(to)) {
        return Err(Error::NotYours);
    }
    if member.role == MemberRole::Owner && to != Some(MemberRole::Owner) {
        let owners = "SELECT COUNT(*) AS n FROM members WHERE org_id = $1 AND role = 'owner'";
        if count(tx, owners, org).await? == 1 {
            return Err(Error::LastOwner);
        }
    }
    Ok(member)
}

impl Org {
    /// In the order in which they came.
    pub async fn members(&self) -> Result<Vec<StoredMember>, Error> {
        let org = self.id;
        self.read(move |tx| {
            Box::pin(async move {
                let sql = "SELECT user_id, name, role, created_at FROM members
                           WHERE org_id = $1 ORDER BY created_at, user_id";
                let rows = tx.rows(sql, values![org]).await?;
                rows.iter().map(StoredMember::try_from).collect()
            })
        })
        .await
    }

    /// Gives a member another role, in the name of one whose own is `by`.
    pub async fn set_role(
        &self,
        user: UserId,
        role: MemberRole,
        by: MemberRole,
    ) -> Result<StoredMember, Error> {
        let org = self.id;
        self.write(move |tx| {
            Box::pin(async move {
                let member = may_change(tx, org, user, by, Some(role)).await?;
                let sql = "UPDATE members SET role = $3 WHERE org_id = $1 AND user_id = $2";
                tx.run(sql, values![org, user, role.as_str()]).await?;
                let act = Act::new("member.role").on("user", user).named(&member.name);
                record(tx, org, act.with("from", member.role).with("to", role)).await?;
                Ok(StoredMember { role, ..member })
            })
        })
        .await
    }

    /// Removes a member with all tokens, links and sessions they have in this org. `by` is the role of whoever
    /// does it; none when they leave by themselves.
    pub async fn remove_member(&self, user: UserId, by: Option<MemberRole>) -> Result<(), Error> {
        let org = self.id;
        self.write(move |tx| {
            Box::pin(async move {
                // Anybody may leave; only the last owner may not.
                let member = may_change(tx, org, user, by.unwrap_or(MemberRole::Owner), None).await?;
                for sql in [
                    "DELETE FROM tokens WHERE org_id = $1 AND user_id = $2",
                    "DELETE FROM sign_in_links WHERE org_id = $1 AND user_id = $2",
                    "DELETE FROM browser_sessions WHERE org_id = $1 AND user_id = $2",
                    "DELETE FROM members WHERE org_id = $1 AND user_id = $2",
                ] {
                    tx.run(sql, values![org, user]).await?;
                }
                let action = if by.is_some() {
                    "member.remove"
                } else {
                    "member.leave"
                };
                let act = Act::new(action).on("user", user).named(&member.name);
                record(tx, org, act.with("role", member.role)).await
            })
        })
        .await
    }

    /// Open ones, oldest first.
    pub async fn invitations(&self) -> Result<Vec<StoredInvitation>, Error> {
        let (org, now) = (self.id, self.store.now());
        self.read(move |tx| {
            Box::pin(async move {
                let sql = "SELECT id, role, invited_by, created_at, expires_at, email FROM invitations
                           WHERE org_id = $1 AND expires_at > $2 ORDER BY id";
                let rows = tx.rows(sql, values![org, now]).await?;
                rows.iter().map(StoredInvitation::try_from).collect()
            })
        })
        .await
    }

    pub async fn invite(&self, new: NewInvitation) -> Result<StoredInvitation, Error> {
        self.invite_to(new, None).await
    }

    /// With the address that the code is mailed to, if it is.
    pub(crate) async fn invite_to(
        &self,
        new: NewInvitation,
        email: Option<Email>,
    ) -> Result<StoredInvitation, Error> {
        let (org, id, now) = (self.id, self.store.mint::<InvitationId>(), self.store.now());
        let expires_at = now.saturating_add(INVITATION_FOR).unwrap_or(now);
        self.write(move |tx| {
            Box::pin(async move {
                let old = "DELETE FROM invitations WHERE org_id = $1 AND expires_at <= $2";
                tx.run(old, values![org, now]).await?;
                let open = "SELECT COUNT(*) AS n FROM invitations WHERE org_id = $1";
                if count(tx, open, org).await? >= MAX_INVITATIONS {
                    return Err(Error::LimitReached {
                        what: "open invitations",
                        most: MAX_INVITATIONS,
                    });
                }
                let sql =
                    "INSERT INTO invitations (id, org_id, role, hash, invited_by, created_at, expires_at, email)
                           VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
                tx.run(
                    sql,
                    values![id, org, new.role.as_str(), new.hash, new.by, now, expires_at, email.as_ref()],
                )
                .await?;
                let act = Act::new("invitation.create").on("invitation", id);
                record(tx, org, act.with("role", new.role)).await?;
                Ok(StoredInvitation {
                    id,
                    role: new.role,
                    by: new.by,
                    created_at: now,
                    expires_at,
                    email,
                })
            })
        })
        .await
    }

    pub async fn revoke_invitation(&self, invitation: InvitationId) -> Result<(), Error> {
        let org = self.id;
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "DELETE FROM invitations WHERE org_id = $1 AND id = $2";
                match tx.run(sql, values![org, invitation]).await? {
                    0 => Err(Error::NotFound("invitation")),
                    _ => {
                        record(
                            tx,
                            org,
                            Act::new("invitation.revoke").on("invitation", invitation),
                        )
                        .await
                    }
                }
            })
        })
        .await
    }
}

impl Platform {
    /// Uses an invitation up: `user`, or a new one, becomes a member called `name` and gets a token. Of many at
    /// once, one is let in. None when the code is not good.
    pub async fn accept_invitation(
        &self,
        code: Hash,
        user: Option<UserId>,
        name: String,
        token: Hash,
    ) -> Result<Option<Joined>, Error> {
        let now = self.store.now();
        let found = self
            .read(move |tx| {
                Box::pin(async move {
                    let sql = "SELECT org_id FROM invitations WHERE hash = $1 AND expires_at > $2";
                    tx.row(sql, values![code, now]).await
                })
            })
            .await?;
        match found {
            Some(row) => {
                self.store
                    .org(row.id("org_id")?)
                    .acting(Arc::clone(&self.actor))
                    .let_in(code, user, name, token)
                    .await
            }
            None => Ok(None),
        }
    }
}

impl Org {
    async fn let_in(
        &self,
        code: Hash,
        user: Option<UserId>,
        name: String,
        token: Hash,
    ) -> Result<Option<Joined>, Error> {
        let (org, fresh, token_id) = (self.id, self.store.mint::<UserId>(), self.store.mint::<TokenId>());
        let now = self.store.now();
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "DELETE FROM invitations WHERE org_id = $1 AND hash = $2 AND expires_at > $3
                           RETURNING id, role";
                let Some(used) = tx.row(sql, values![org, code, now]).await? else {
                    return Ok(None);
                };
                let role = used.parsed::<MemberRole>("role")?;
                has_room(tx, org).await?;
                let who = user.unwrap_or(fresh);
                if user.is_none() {
                    let sql = "INSERT INTO users (id, org_id, name, created_at) VALUES ($1, $2, $3, $4)";
                    tx.run(sql, values![who, org, name.as_str(), now]).await?;
                } else if the_member(tx, org, who).await.is_ok() {
                    return Err(Error::AlreadyMember);
                }
                insert_member(tx, org, who, &name, role, now).await?;
                known_as(tx, org, who, "invitation").await?;
                let act = Act::new("invitation.accept")
                    .on("invitation", used.id::<InvitationId>("id")?)
                    .with("user", who)
                    .with("name", &name)
                    .with("role", role);
                record(tx, org, act).await?;
                insert_token(tx, org, token_id, &NewToken::whole(who, "joined", token), now).await?;
                let sql = "SELECT name FROM orgs WHERE id = $1";
                let row = tx.row(sql, values![org]).await?.ok_or(Error::NotFound("org"))?;
                Ok(Some(Joined {
                    org,
                    org_name: row.text("name")?.to_owned(),
                    user: who,
                    user_name: name,
                    role,
                }))
            })
        })
        .await
    }
}
