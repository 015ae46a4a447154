//! The second factor: time-based codes, recovery codes, and sign-ins that wait for one.

use creel_domain::{Act, UserId};
use jiff::{SignedDuration, Timestamp};
use zeroize::Zeroizing;

use crate::{Error, Platform, access::Hash, audit::record_for, rows::values, store::NOBODY, tx::Tx};

/// A sign-in that waits for its second factor bears so many tries.
const TRIES: u32 = 5;
const WAITS_FOR: SignedDuration = SignedDuration::from_mins(5);
/// Sign-ins of one user that wait; a new one past it ends the oldest.
const MAX_WAITING: u32 = 10;

/// A secret to be shared with an app of the user.
pub struct NewTotp {
    pub secret: Zeroizing<String>,
}

/// What is needed to check a code.
pub struct StoredTotp {
    pub secret: Zeroizing<String>,
    /// The last step of time whose code was used.
    pub last_step: u64,
    pub confirmed: bool,
}

/// A sign-in whose password was right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HalfSession {
    pub user: UserId,
}

pub(crate) fn place(user: UserId) -> String {
    format!("totps/{}/sealed", user.uuid())
}

async fn no_second_factor(tx: &mut Tx, user: UserId) -> Result<(), Error> {
    for sql in [
        "DELETE FROM totps WHERE user_id = $1",
        "DELETE FROM recovery_codes WHERE user_id = $1",
        "DELETE FROM half_sessions WHERE user_id = $1",
    ] {
        tx.run(sql, values![user]).await?;
    }
    Ok(())
}

impl Platform {
    /// Begins to enrol; it counts once a code has confirmed it. False: there is a confirmed one already.
    pub async fn begin_totp(&self, user: UserId, new: NewTotp) -> Result<bool, Error> {
        let now = self.store.now();
        let sealed = self.seal(NOBODY, &place(user), &new.secret)?;
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "INSERT INTO totps (user_id, sealed, key_version, created_at) VALUES ($1, $2, $4, $3)
                           ON CONFLICT (user_id) DO UPDATE SET sealed = $2, key_version = $4, created_at = $3, last_step = 0
                           WHERE totps.confirmed_at IS NULL";
                let values = values![user, sealed.bytes, now, sealed.key_version];
                Ok(tx.run(sql, values).await? == 1)
            })
        })
        .await
    }

    pub async fn totp(&self, user: UserId) -> Result<Option<StoredTotp>, Error> {
        let row = self
            .read(move |tx| {
                Box::pin(async move {
                    let sql =
                        "SELECT sealed, key_version, last_step, confirmed_at FROM totps WHERE user_id = $1";
                    tx.row(sql, values![user]).await
                })
            })
            .await?;
        let Some(row) = row else { return Ok(None) };
        let sealed = row.maybe_bytes("sealed")?.unwrap_or_default();
        let version = row.count("key_version")?;
        Ok(Some(StoredTotp {
            secret: self.open_sealed(NOBODY, &place(user), version, sealed).await?,
            last_step: row.count("last_step")?,
            confirmed: row.maybe_time("confirmed_at")?.is_some(),
        }))
    }

    /// Uses the code of a step up; false: it, or a later one, was used before.
    pub async fn use_totp_step(&self, user: UserId, step: u64) -> Result<bool, Error> {
        self.write_one(move |tx| {
            Box::pin(async move {
                let sql = "UPDATE totps SET last_step = $2 WHERE user_id = $1 AND last_step < $2
                           AND confirmed_at IS NOT NULL";
                Ok(tx.run(sql, values![user, step]).await? == 1)
            })
        })
        .await
    }

    /// From now on a second factor is asked for. Replaces all recovery codes. False: there is nothing to confirm.
    pub async fn confirm_totp(
        &self,
        user: UserId,
        step: u64,
        recovery_codes: Vec<Hash>,
    ) -> Result<bool, Error> {
        let now = self.store.now();
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "UPDATE totps SET confirmed_at = $2, last_step = $3
                           WHERE user_id = $1 AND confirmed_at IS NULL";
                if tx.run(sql, values![user, now, step]).await? == 0 {
                    return Ok(false);
                }
                tx.run("DELETE FROM recovery_codes WHERE user_id = $1", values![user])
                    .await?;
                for code in recovery_codes {
                    let sql = "INSERT INTO recovery_codes (user_id, hash) VALUES ($1, $2)";
                    tx.run(sql, values![user, code]).await?;
                }
                record_for(tx, user, Act::new("second_factor.enable")).await?;
                Ok(true)
            })
        })
        .await
    }

    /// Uses a recovery code up; false: it is none.
    pub async fn use_recovery_code(&self, user: UserId, code: Hash) -> Result<bool, Error> {
        self.write_one(move |tx| {
            Box::pin(async move {
                let sql = "DELETE FROM recovery_codes WHERE user_id = $1 AND hash = $2";
                Ok(tx.run(sql, values![user, code]).await? == 1)
            })
        })
        .await
    }

    pub async fn recovery_codes_left(&self, user: UserId) -> Result<u64, Error> {
        self.read(move |tx| {
            Box::pin(async move {
                let sql = "SELECT COUNT(*) AS n FROM recovery_codes WHERE user_id = $1";
                let row = tx.row(sql, values![user]).await?;
                Ok(row.map(|row| row.count("n")).transpose()?.unwrap_or_default())
            })
        })
        .await
    }

    pub async fn disable_totp(&self, user: UserId) -> Result<(), Error> {
        self.write(move |tx| {
            Box::pin(async move {
                no_second_factor(tx, user).await?;
                record_for(tx, user, Act::new("second_factor.disable")).await
            })
        })
        .await
    }

    /// The password was right: whoever has the secret may show a second factor. Until when.
    pub async fn open_half_session(&self, user: UserId, secret: Hash) -> Result<Timestamp, Error> {
        let now = self.store.now();
        let until = now.saturating_add(WAITS_FOR).unwrap_or(now);
        self.write(move |tx| {
            Box::pin(async move {
                tx.run("DELETE FROM half_sessions WHERE expires_at <= $1", values![now])
                    .await?;
                let sql = "INSERT INTO half_sessions (hash, user_id, expires_at) VALUES ($1, $2, $3)";
                tx.run(sql, values![secret, user, until]).await?;
                let sql = "DELETE FROM half_sessions WHERE user_id = $1 AND hash NOT IN
                           (SELECT hash FROM half_sessions WHERE user_id = $1 ORDER BY expires_at DESC, hash LIMIT $2)";
                tx.run(sql, values![user, MAX_WAITING]).await?;
                Ok(until)
            })
        })
        .await
    }

    /// Counts a try; none: it is over, or was tried too often.
    pub async fn try_half_session(&self, secret: Hash) -> Result<Option<HalfSession>, Error> {
        let now = self.store.now();
        self.write_one(move |tx| {
            Box::pin(async move {
                let sql = "UPDATE half_sessions SET attempts = attempts + 1
                           WHERE hash = $1 AND expires_at > $2 AND attempts < $3 RETURNING user_id";
                let row = tx.row(sql, values![secret, now, TRIES]).await?;
                row.map(|row| {
                    Ok(HalfSession {
                        user: row.id("user_id")?,
                    })
                })
                .transpose()
            })
        })
        .await
    }

    /// It led to a session; false: another request was faster.
    pub async fn end_half_session(&self, secret: Hash) -> Result<bool, Error> {
        self.write_one(move |tx| {
            Box::pin(async move {
                let sql = "DELETE FROM half_sessions WHERE hash = $1";
                Ok(tx.run(sql, values![secret]).await? == 1)
            })
        })
        .await
    }
}
