//! Requests that may be sent again: the first one claims the key, the others get its answer.

use jiff::SignedDuration;
use rusqlite::params;

use crate::{
    Error, Org,
    rows::{first, micros},
};

const KEPT: SignedDuration = SignedDuration::from_hours(24);
/// A claim without an answer so old belongs to a process that died: the next request takes it over.
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
    /// The first one's answer.
    Answered { status: u16, body: String },
}

impl Org {
    pub async fn claim_key(&self, key: String, request_hash: [u8; 32]) -> Result<Claim, Error> {
        let (org, now) = (self.id.uuid().into_bytes(), self.store.clock.now());
        let before = move |age: SignedDuration| micros(now.saturating_sub(age).unwrap_or(now));
        self.store
            .database
            .write(move |tx| {
                tx.execute("DELETE FROM idempotency WHERE org_id = $1 AND created_at < $2", params![org, before(KEPT)])?;
                tx.execute(
                    "DELETE FROM idempotency WHERE org_id = $1 AND key = $2 AND status IS NULL AND created_at < $3",
                    params![org, key, before(ABANDONED)],
                )?;
                let claimed = tx.execute(
                    "INSERT INTO idempotency (org_id, key, request_hash, created_at) VALUES ($1, $2, $3, $4)
                     ON CONFLICT DO NOTHING",
                    params![org, key, request_hash, micros(now)],
                )?;
                if claimed == 1 {
                    return Ok(Claim::Mine);
                }
                let found = first(
                    tx,
                    "SELECT request_hash, status, body FROM idempotency WHERE org_id = $1 AND key = $2",
                    params![org, key],
                    |row| {
                        let hash: [u8; 32] = row.get("request_hash")?;
                        let answer: (Option<u16>, Option<String>) = (row.get("status")?, row.get("body")?);
                        Ok((hash, answer))
                    },
                )?;
                Ok(match found {
                    Some((hash, _)) if hash != request_hash => Claim::Mismatch,
                    Some((_, (Some(status), body))) => Claim::Answered { status, body: body.unwrap_or_default() },
                    _ => Claim::InProgress,
                })
            })
            .await
    }

    /// Keeps the answer of a claimed key.
    pub async fn answer_key(&self, key: String, status: u16, body: String) -> Result<(), Error> {
        let org = self.id.uuid().into_bytes();
        self.store
            .database
            .write(move |tx| {
                let sql = "UPDATE idempotency SET status = $1, body = $2 WHERE org_id = $3 AND key = $4";
                tx.execute(sql, params![status, body, org, key])?;
                Ok(())
            })
            .await
    }

    /// Gives a claim back: what was tried did not happen.
    pub async fn release_key(&self, key: String) -> Result<(), Error> {
        let org = self.id.uuid().into_bytes();
        self.store
            .database
            .write(move |tx| {
                let sql = "DELETE FROM idempotency WHERE org_id = $1 AND key = $2 AND status IS NULL";
                tx.execute(sql, params![org, key])?;
                Ok(())
            })
            .await
    }

    /// Keeps a refused or allowed destination; the newest 1000 of each agent stay.
    pub async fn record_egress(
        &self,
        agent: creel_domain::AgentId,
        destination: String,
        rule: String,
        repeats: u64,
    ) -> Result<(), Error> {
        let (org, at) = (self.id.uuid().into_bytes(), micros(self.store.clock.now()));
        let agent = agent.uuid().into_bytes();
        self.store
            .database
            .write(move |tx| {
                tx.execute(
                    "INSERT INTO egress_decisions (org_id, agent_id, destination, rule, repeats, at)
                     VALUES ($1, $2, $3, $4, $5, $6)",
                    params![org, agent, destination, rule, i64::try_from(repeats).unwrap_or(i64::MAX), at],
                )?;
                tx.execute(
                    "DELETE FROM egress_decisions WHERE agent_id = $1 AND id <= (SELECT id FROM egress_decisions
                     WHERE agent_id = $1 ORDER BY id DESC LIMIT 1 OFFSET 1000)",
                    params![agent],
                )?;
                Ok(())
            })
            .await
    }
}
