//! Mails that are to be sent: a row in the transaction of whatever asks for one.
//!
//! A row says what a mail is about, never its secret. That is made when the mail is sent, and only its hash is
//! kept; so it is also then that an address turns out to be nobody's, and whoever asked cannot tell by the answer
//! nor by the time it took.

use creel_domain::{Email, InvitationId, MailId, OrgId, UserId};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    Error, Org, Platform, Purpose,
    access::Hash,
    people::owner_of,
    rows::{Row, values},
    tx::Tx,
};

/// Mails that wait. Past it whoever asks for one is told to come back.
pub const MAX_WAITING_MAILS: u64 = 10_000;
/// Mails that were given up and are kept to be looked at.
pub const MAX_DEAD_MAILS: u64 = 1000;
/// How long a mailed code is good.
const RESET_FOR: SignedDuration = SignedDuration::from_hours(1);
const VERIFY_FOR: SignedDuration = SignedDuration::from_hours(24);
/// A mail is given up when it could not be sent for so long: who waited has asked again.
const SEND_WITHIN: SignedDuration = SignedDuration::from_hours(24);

/// What a mail is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum MailKind {
    /// Somebody forgot the password of this address.
    Reset,
    /// Somebody wants to sign up with this address, perhaps invited.
    SignUp {
        invitation: Option<[u8; 32]>,
    },
    /// A user says that this address is theirs.
    Verify {
        user: UserId,
    },
    Invitation {
        org: OrgId,
        invitation: InvitationId,
    },
    /// A user's password was set, by whomever.
    PasswordChanged,
    /// A user got another passkey, by whomever.
    PasskeyAdded {
        name: String,
    },
}

/// A mail that is to be sent now, by whoever got it, within the lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    pub id: MailId,
    pub address: Email,
    pub kind: MailKind,
    /// This one included.
    pub attempts: u32,
    pub created_at: Timestamp,
}

/// What a mail has to say, once it was looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prepared {
    /// A code that is good until then.
    Code {
        purpose: Purpose,
        until: Timestamp,
    },
    /// The address has an account: whoever wants to sign up with it, or says that it is theirs, hears that.
    Known,
    Invited {
        org_name: String,
        by: String,
        until: Timestamp,
    },
    PasswordChanged,
    PasskeyAdded {
        name: String,
    },
    /// There is nobody to send it to, or nothing left to say.
    Nothing,
}

impl TryFrom<&Row> for Mail {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.id("id")?,
            address: row.parsed("address")?,
            kind: row.json("kind")?,
            attempts: u32::try_from(row.count("attempts")?).unwrap_or(u32::MAX),
            created_at: row.time("created_at")?,
        })
    }
}

/// Puts a mail into the queue, in the transaction of what it is about.
pub(crate) async fn enqueue(
    tx: &mut Tx,
    id: MailId,
    address: &Email,
    kind: &MailKind,
    now: Timestamp,
) -> Result<(), Error> {
    let waiting = "SELECT COUNT(*) AS n FROM mails WHERE dead_at IS NULL";
    let waiting = tx.row(waiting, values![]).await?;
    if waiting.map(|row| row.count("n")).transpose()?.unwrap_or_default() >= MAX_WAITING_MAILS {
        return Err(Error::Busy);
    }
    let kind = serde_json::to_string(kind)?;
    let sql = "INSERT INTO mails (id, address, kind, due_at, created_at) VALUES ($1, $2, $3, $4, $4)";
    tx.run(sql, values![id, address, kind, now]).await?;
    Ok(())
}

impl Platform {
    pub async fn enqueue_mail(&self, address: Email, kind: MailKind) -> Result<(), Error> {
        let (id, now) = (self.store.mint(), self.store.now());
        self.write(move |tx| Box::pin(async move { enqueue(tx, id, &address, &kind, now).await }))
            .await
    }

    /// The next mail that is due, which nobody else gets within the lease.
    pub async fn lease_mail(&self, lease: SignedDuration) -> Result<Option<Mail>, Error> {
        let now = self.store.now();
        let until = now.saturating_add(lease).unwrap_or(now);
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "UPDATE mails SET attempts = attempts + 1, due_at = $2 WHERE id =
                           (SELECT id FROM mails WHERE dead_at IS NULL AND due_at <= $1 ORDER BY due_at, id LIMIT 1)
                           RETURNING id, address, kind, attempts, created_at";
                let row = tx.row(sql, values![now, until]).await?;
                row.as_ref().map(Mail::try_from).transpose()
            })
        })
        .await
    }

    /// Looks up what a mail has to say, and makes `code` good for it.
    pub async fn prepare_mail(&self, mail: &Mail, code: Hash) -> Result<Prepared, Error> {
        let (mail, now) = (mail.clone(), self.store.now());
        self.write(move |tx| Box::pin(async move { prepare(tx, &mail, code, now).await }))
            .await
    }

    /// It was sent, or there was nothing to send.
    pub async fn mail_done(&self, mail: MailId) -> Result<(), Error> {
        self.write_one(move |tx| {
            Box::pin(async move {
                tx.run("DELETE FROM mails WHERE id = $1", values![mail]).await?;
                Ok(())
            })
        })
        .await
    }

    /// It could not be sent: again after `pause`, or never when there is none or it is too old. Whether it is
    /// given up.
    pub async fn mail_failed(
        &self,
        mail: &Mail,
        reason: String,
        pause: Option<SignedDuration>,
    ) -> Result<bool, Error> {
        let (id, now) = (mail.id, self.store.now());
        let again = pause.and_then(|pause| now.checked_add(pause).ok());
        let again = again.filter(|again| again.duration_since(mail.created_at) < SEND_WITHIN);
        let reason: String = reason.chars().take(1000).collect();
        self.write(move |tx| {
            Box::pin(async move {
                let Some(again) = again else {
                    let sql = "UPDATE mails SET dead_at = $2, reason = $3 WHERE id = $1";
                    tx.run(sql, values![id, now, reason]).await?;
                    let sql = "DELETE FROM mails WHERE dead_at IS NOT NULL AND id NOT IN
                               (SELECT id FROM mails WHERE dead_at IS NOT NULL ORDER BY dead_at DESC, id DESC LIMIT $1)";
                    tx.run(sql, values![MAX_DEAD_MAILS]).await?;
                    return Ok(true);
                };
                let sql = "UPDATE mails SET due_at = $2, reason = $3 WHERE id = $1 AND dead_at IS NULL";
                tx.run(sql, values![id, again, reason]).await?;
                Ok(false)
            })
        })
        .await
    }

    /// Mails that wait, and mails that were given up.
    pub async fn mail_counts(&self) -> Result<(u64, u64), Error> {
        self.read(move |tx| {
            Box::pin(async move {
                let count = |row: Option<Row>| -> Result<u64, Error> {
                    Ok(row.map(|row| row.count("n")).transpose()?.unwrap_or_default())
                };
                let waiting = "SELECT COUNT(*) AS n FROM mails WHERE dead_at IS NULL";
                let waiting = count(tx.row(waiting, values![]).await?)?;
                let dead = "SELECT COUNT(*) AS n FROM mails WHERE dead_at IS NOT NULL";
                Ok((waiting, count(tx.row(dead, values![]).await?)?))
            })
        })
        .await
    }
}

async fn prepare(tx: &mut Tx, mail: &Mail, code: Hash, now: Timestamp) -> Result<Prepared, Error> {
    let owner = owner_of(tx, &mail.address).await?;
    match (&mail.kind, owner) {
        (MailKind::Reset | MailKind::PasswordChanged | MailKind::PasskeyAdded { .. }, None) => {
            Ok(Prepared::Nothing)
        }
        (MailKind::PasswordChanged, Some(_)) => Ok(Prepared::PasswordChanged),
        (MailKind::PasskeyAdded { name }, Some(_)) => Ok(Prepared::PasskeyAdded { name: name.clone() }),
        (MailKind::Reset, Some(user)) => {
            link(tx, mail, code, Purpose::Reset, Some(user), None, RESET_FOR, now).await
        }
        (MailKind::SignUp { .. }, Some(_)) => Ok(Prepared::Known),
        (MailKind::SignUp { invitation }, None) => {
            link(
                tx,
                mail,
                code,
                Purpose::SignUp,
                None,
                *invitation,
                VERIFY_FOR,
                now,
            )
            .await
        }
        (MailKind::Verify { user }, Some(owner)) if *user != owner => Ok(Prepared::Known),
        (MailKind::Verify { user }, _) => {
            link(
                tx,
                mail,
                code,
                Purpose::Verify,
                Some(*user),
                None,
                VERIFY_FOR,
                now,
            )
            .await
        }
        (MailKind::Invitation { org, invitation }, _) => {
            let sql = "UPDATE invitations SET hash = $1 WHERE id = $2 AND org_id = $3 AND expires_at > $4
                       RETURNING invited_by, expires_at";
            let row = tx.row(sql, values![code, *invitation, *org, now]).await?;
            let Some(row) = row else {
                return Ok(Prepared::Nothing);
            };
            let sql = "SELECT o.name AS org_name, m.name AS by_name FROM orgs o
                       LEFT JOIN members m ON m.org_id = o.id AND m.user_id = $2 WHERE o.id = $1";
            let by = row.id::<UserId>("invited_by")?;
            let names = tx.row(sql, values![*org, by]).await?;
            let names = names.ok_or(Error::NotFound("org"))?;
            Ok(Prepared::Invited {
                org_name: names.text("org_name")?.to_owned(),
                by: names.maybe_text("by_name")?.unwrap_or_default().to_owned(),
                until: row.time("expires_at")?,
            })
        }
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "the columns of one row, each named where it is given"
)]
async fn link(
    tx: &mut Tx,
    mail: &Mail,
    code: Hash,
    purpose: Purpose,
    user: Option<UserId>,
    invitation: Option<Hash>,
    valid_for: SignedDuration,
    now: Timestamp,
) -> Result<Prepared, Error> {
    let until = now.saturating_add(valid_for).unwrap_or(now);
    let old = "DELETE FROM mail_links WHERE expires_at <= $1";
    tx.run(old, values![now]).await?;
    let sql = "INSERT INTO mail_links (hash, purpose, address, user_id, invitation_hash, expires_at)
               VALUES ($1, $2, $3, $4, $5, $6)";
    let address = &mail.address;
    tx.run(
        sql,
        values![code, purpose.as_str(), address, user, invitation, until],
    )
    .await?;
    Ok(Prepared::Code { purpose, until })
}

impl Org {
    /// As [`Org::invite`], by a mail: the code is made when it is sent, and nobody else learns it.
    pub async fn invite_by_mail(
        &self,
        new: crate::NewInvitation,
        email: Email,
    ) -> Result<crate::StoredInvitation, Error> {
        let invited = self.invite_to(new, Some(email.clone())).await?;
        let kind = MailKind::Invitation {
            org: self.id,
            invitation: invited.id,
        };
        // A tenant's transaction knows no mails. Without this row the invitation is one that nobody can accept,
        // and ends with its time.
        if let Err(error) = self.store.platform().enqueue_mail(email, kind).await {
            self.revoke_invitation(invited.id).await?;
            return Err(error);
        }
        Ok(invited)
    }
}
