//! Requests that may be sent again: the first one claims the key, the others get its answer.
//!
//! ```text
//! claim ─▶ work under the key ─▶ answer      what the work made is written to the claim in the work's own
//!   │           │                            transaction, so there is no moment at which a crash leaves
//!   └─ died ────┘                            a made thing without its claim, or makes it twice
//! ```

use creel_domain::OrgId;
use jiff::SignedDuration;

use crate::{Error, Org, rows::values, tx::Tx};

const KEPT: SignedDuration = SignedDuration::from_hours(24);
/// A claim without an answer that is so old belongs to a process that died. If it has made nothing, the
/// next request takes it over; should the first one be alive after all, whoever makes something first wins.
const ABANDONED: SignedDuration = SignedDuration::from_mins(2);

/// What a request with a key finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// It is the first: do it, then [`Org::answer_key`].
    Mine,
    /// The first one is still under way.
    InProgress,
    /// The key was used for something else.
    Mismatch,
    /// The first one made this, by its id, and died before it could answer.
    Made { subject: String },
    /// The first one's answer.
    Answered { status: u16, body: String },
}

/// Writes what was made to the claim in whose name it was made; fails when the claim is another's by now.
pub(crate) async fn made(tx: &mut Tx, org: OrgId, key: Option<&str>, subject: &str) -> Result<(), Error> {
    let Some(key) = key else { return Ok(()) };
    let sql = "UPDATE idempotency SET subject = $1 WHERE org_id = $2 AND key = $3 AND subject IS NULL";
    match tx.run(sql, values![subject, org, key]).await? {
        0 => Err(Error::KeyLost),
        _ => Ok(()),
    }
}

impl Org {
    /// The org again, for work in the name of a claimed key: what it creates is created once.
    pub fn under_key(&self, key: String) -> Self {
        Self {
            key: Some(key),
            ..self.clone()
        }
    }

    pub async fn claim_key(&self, key: String, request_hash: [u8; 32]) -> Result<Claim, Error> {
        let (org, now) = (self.id, self.store.now());
        let before = move |age: SignedDuration| now.saturating_sub(age).unwrap_or(now);
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "DELETE FROM idempotency WHERE org_id = $1 AND created_at < $2";
                tx.run(sql, values![org, before(KEPT)]).await?;
                let sql = "DELETE FROM idempotency WHERE org_id = $1 AND key = $2 AND status IS NULL
                               AND subject IS NULL AND created_at < $3";
                tx.run(sql, values![org, key.as_str(), before(ABANDONED)]).await?;
                let sql = "INSERT INTO idempotency (org_id, key, request_hash, created_at)
                               VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
                let claimed = tx.run(sql, values![org, key.as_str(), request_hash, now]).await?;
                if claimed == 1 {
                    return Ok(Claim::Mine);
                }
                let sql = "SELECT request_hash, created_at, subject, status, body FROM idempotency
                               WHERE org_id = $1 AND key = $2";
                let Some(row) = tx.row(sql, values![org, key]).await? else {
                    return Ok(Claim::InProgress);
                };
                if row.hash("request_hash")? != request_hash {
                    return Ok(Claim::Mismatch);
                }
                let abandoned = row.time("created_at")? < before(ABANDONED);
                Ok(match row.maybe_int("status")?.map(u16::try_from) {
                    None => match row.maybe_text("subject")? {
                        Some(subject) if abandoned => Claim::Made {
                            subject: subject.to_owned(),
                        },
                        _ => Claim::InProgress,
                    },
                    Some(Ok(status)) => Claim::Answered {
                        status,
                        body: row.text("body")?.to_owned(),
                    },
                    Some(Err(_)) => return Err(Error::Corrupt("a status past all statuses".to_owned())),
                })
            })
        })
        .await
    }

    /// Keeps the answer of a claimed key.
    pub async fn answer_key(&self, key: String, status: u16, body: String) -> Result<(), Error> {
        let org = self.id;
        self.write_one(move |tx| {
            Box::pin(async move {
                let sql = "UPDATE idempotency SET status = $1, body = $2 WHERE org_id = $3 AND key = $4";
                tx.run(sql, values![status, body, org, key]).await?;
                Ok(())
            })
        })
        .await
    }

    /// Gives a claim back: what was tried did not happen.
    pub async fn release_key(&self, key: String) -> Result<(), Error> {
        let org = self.id;
        self.write_one(move |tx| {
            Box::pin(async move {
                let sql = "DELETE FROM idempotency WHERE org_id = $1 AND key = $2 AND status IS NULL
                               AND subject IS NULL";
                tx.run(sql, values![org, key]).await?;
                Ok(())
            })
        })
        .await
    }
}
