//! Passkeys of users, and the challenges that they sign, each once.

use creel_domain::{Act, PasskeyId, UserId};
use jiff::{SignedDuration, Timestamp};

use crate::{
    Error, MailKind, Platform,
    access::Hash,
    audit::record_for,
    mails,
    rows::{Row, values},
    tx::Tx,
    ways_in,
};

/// Of one user.
pub const MAX_PASSKEYS: u64 = 20;
/// How long a challenge may be signed.
pub const PASSKEY_CHALLENGE_FOR: SignedDuration = SignedDuration::from_mins(5);
/// Challenges that wait, of all; a new one past it ends the one that would expire first.
pub const MAX_PASSKEY_CHALLENGES: u64 = 20_000;
/// The same of strangers from one network, and of one user. Each page that offers to sign in takes one.
pub const MAX_PASSKEY_CHALLENGES_OF_NETWORK: u64 = 100;
pub const MAX_PASSKEY_CHALLENGES_OF_USER: u64 = 10;

/// What comes of signing a challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasskeyPurpose {
    /// Whoever has a passkey is let in.
    SignIn,
    /// This user gets another passkey.
    Add(UserId),
    /// This user, who is signed in, has shown again who they are.
    Prove(UserId),
}

impl PasskeyPurpose {
    fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::Add(_) => "add",
            Self::Prove(_) => "prove",
        }
    }

    fn user(self) -> Option<UserId> {
        match self {
            Self::SignIn => None,
            Self::Add(user) | Self::Prove(user) => Some(user),
        }
    }
}

/// A passkey that was made and verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPasskey {
    pub credential_id: Vec<u8>,
    pub public_key: Vec<u8>,
    pub relying_party: String,
    pub name: String,
    pub transports: Vec<String>,
    pub sign_count: u32,
    pub backup_eligible: bool,
    pub backed_up: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPasskey {
    pub id: PasskeyId,
    pub user: UserId,
    pub credential_id: Vec<u8>,
    pub public_key: Vec<u8>,
    pub relying_party: String,
    pub name: String,
    pub transports: Vec<String>,
    pub backup_eligible: bool,
    pub backed_up: bool,
    pub created_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
}

/// Whether a signature that was good counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasskeyUse {
    Good,
    /// Its counter does not go on from where it was: there may be two of it.
    Copied,
    /// It was removed meanwhile.
    Gone,
}

const PASSKEY: &str =
    "SELECT id, user_id, credential_id, public_key, relying_party, name, transports, backup_eligible,
                              backed_up, created_at, last_used_at FROM passkeys";

impl TryFrom<&Row> for StoredPasskey {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        let bytes =
            |column| -> Result<Vec<u8>, Error> { Ok(row.maybe_bytes(column)?.unwrap_or_default().to_vec()) };
        Ok(Self {
            id: row.id("id")?,
            user: row.id("user_id")?,
            credential_id: bytes("credential_id")?,
            public_key: bytes("public_key")?,
            relying_party: row.text("relying_party")?.to_owned(),
            name: row.text("name")?.to_owned(),
            transports: row.json("transports")?,
            backup_eligible: row.int("backup_eligible")? != 0,
            backed_up: row.int("backed_up")? != 0,
            created_at: row.time("created_at")?,
            last_used_at: row.maybe_time("last_used_at")?,
        })
    }
}

async fn by_id(tx: &mut Tx, user: UserId, id: PasskeyId) -> Result<StoredPasskey, Error> {
    let sql = format!("{PASSKEY} WHERE id = $1 AND user_id = $2");
    let row = tx.row(&sql, values![id, user]).await?;
    StoredPasskey::try_from(&row.ok_or(Error::NotFound("passkey"))?)
}

fn told(action: &str, id: PasskeyId, name: &str) -> Act {
    Act::new(action).with("passkey", id).with("name", name)
}

impl Platform {
    /// Lets a challenge be signed once, until the time that it gives back.
    pub async fn add_passkey_challenge(
        &self,
        hash: Hash,
        purpose: PasskeyPurpose,
        network: Option<Hash>,
    ) -> Result<Timestamp, Error> {
        let now = self.store.now();
        let until = now.saturating_add(PASSKEY_CHALLENGE_FOR).unwrap_or(now);
        self.write(move |tx| {
            Box::pin(async move {
                tx.run("DELETE FROM passkey_challenges WHERE expires_at <= $1", values![now])
                    .await?;
                // Before it is added, so that it is never the one to go.
                let oldest = "DELETE FROM passkey_challenges WHERE hash IN
                              (SELECT hash FROM passkey_challenges ORDER BY expires_at, hash LIMIT 1)
                              AND (SELECT COUNT(*) FROM passkey_challenges) >= $1";
                tx.run(oldest, values![MAX_PASSKEY_CHALLENGES]).await?;
                let of_user = "DELETE FROM passkey_challenges WHERE user_id = $1 AND hash NOT IN
                               (SELECT hash FROM passkey_challenges WHERE user_id = $1 ORDER BY expires_at DESC, hash LIMIT $2)";
                let of_network = "DELETE FROM passkey_challenges WHERE network = $1 AND hash NOT IN
                                  (SELECT hash FROM passkey_challenges WHERE network = $1 ORDER BY expires_at DESC, hash LIMIT $2)";
                if let Some(user) = purpose.user() {
                    tx.run(of_user, values![user, MAX_PASSKEY_CHALLENGES_OF_USER - 1])
                        .await?;
                }
                if let Some(network) = network {
                    tx.run(of_network, values![network, MAX_PASSKEY_CHALLENGES_OF_NETWORK - 1])
                        .await?;
                }
                let sql = "INSERT INTO passkey_challenges (hash, purpose, user_id, network, expires_at)
                           VALUES ($1, $2, $3, $4, $5)";
                tx.run(sql, values![hash, purpose.as_str(), purpose.user(), network, until])
                    .await?;
                Ok(until)
            })
        })
        .await
    }

    /// Uses a challenge up, whatever comes of it; false: it was none of this purpose, was used, or is too old.
    pub async fn use_passkey_challenge(&self, hash: Hash, purpose: PasskeyPurpose) -> Result<bool, Error> {
        let now = self.store.now();
        self.write_one(move |tx| {
            Box::pin(async move {
                let changed = match purpose.user() {
                    Some(user) => {
                        let sql = "DELETE FROM passkey_challenges
                                   WHERE hash = $1 AND purpose = $2 AND expires_at > $3 AND user_id = $4";
                        tx.run(sql, values![hash, purpose.as_str(), now, user]).await?
                    }
                    None => {
                        let sql = "DELETE FROM passkey_challenges
                                   WHERE hash = $1 AND purpose = $2 AND expires_at > $3";
                        tx.run(sql, values![hash, purpose.as_str(), now]).await?
                    }
                };
                Ok(changed == 1)
            })
        })
        .await
    }

    /// Gives a user a passkey, and has a mail tell them.
    pub async fn add_passkey(&self, user: UserId, new: NewPasskey) -> Result<StoredPasskey, Error> {
        let (id, mail, now) = (
            self.store.mint::<PasskeyId>(),
            self.store.mint(),
            self.store.now(),
        );
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "SELECT COUNT(*) AS n FROM passkeys WHERE user_id = $1";
                let there = tx.row(sql, values![user]).await?;
                if there.map(|row| row.count("n")).transpose()?.unwrap_or_default() >= MAX_PASSKEYS {
                    return Err(Error::LimitReached {
                        what: "passkeys",
                        most: MAX_PASSKEYS,
                    });
                }
                // A credential is one user's: whoever signs with it is that one.
                let sql = "SELECT id FROM passkeys WHERE credential_id = $1";
                if tx.row(sql, values![new.credential_id.clone()]).await?.is_some() {
                    return Err(Error::PasskeyTaken);
                }
                let sql = "INSERT INTO passkeys (id, user_id, credential_id, public_key, relying_party, name, transports,
                                                 sign_count, backup_eligible, backed_up, created_at)
                           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
                let transports = serde_json::to_string(&new.transports)?;
                let (eligible, backed_up) = (u32::from(new.backup_eligible), u32::from(new.backed_up));
                let (name, relying_party) = (new.name.as_str(), new.relying_party.as_str());
                tx.run(
                    sql,
                    values![
                        id,
                        user,
                        new.credential_id,
                        new.public_key,
                        relying_party,
                        name,
                        transports,
                        new.sign_count,
                        eligible,
                        backed_up,
                        now
                    ],
                )
                .await?;
                record_for(tx, user, told("passkey.add", id, name)).await?;
                let sql = "SELECT address FROM emails WHERE user_id = $1";
                if let Some(row) = tx.row(sql, values![user]).await? {
                    let kind = MailKind::PasskeyAdded {
                        name: new.name.clone(),
                    };
                    mails::enqueue(tx, mail, &row.parsed("address")?, &kind, now).await?;
                }
                by_id(tx, user, id).await
            })
        })
        .await
    }

    /// Whose passkey it is that an authenticator calls so.
    pub async fn passkey_by_credential(
        &self,
        credential_id: Vec<u8>,
    ) -> Result<Option<StoredPasskey>, Error> {
        self.read(move |tx| {
            Box::pin(async move {
                let sql = format!("{PASSKEY} WHERE credential_id = $1");
                let row = tx.row(&sql, values![credential_id]).await?;
                row.as_ref().map(StoredPasskey::try_from).transpose()
            })
        })
        .await
    }

    /// A passkey has signed, and its signature was good: its counter goes on, or does not and that is told.
    pub async fn use_passkey(
        &self,
        id: PasskeyId,
        sign_count: u32,
        backed_up: bool,
        purpose: PasskeyPurpose,
    ) -> Result<PasskeyUse, Error> {
        let now = self.store.now();
        self.write(move |tx| {
            Box::pin(async move {
                // Both zero: the authenticator does not count.
                let sql = "UPDATE passkeys SET sign_count = $2, backed_up = $3, last_used_at = $4
                           WHERE id = $1 AND (sign_count < $2 OR (sign_count = 0 AND $2 = 0)) RETURNING user_id, name";
                let backed_up = u32::from(backed_up);
                if let Some(row) = tx.row(sql, values![id, sign_count, backed_up, now]).await? {
                    let (user, name) = (row.id("user_id")?, row.text("name")?.to_owned());
                    let act = told("passkey.use", id, &name).with("for", purpose.as_str());
                    record_for(tx, user, act).await?;
                    return Ok(PasskeyUse::Good);
                }
                let sql = "SELECT user_id, name, sign_count FROM passkeys WHERE id = $1";
                let Some(row) = tx.row(sql, values![id]).await? else {
                    return Ok(PasskeyUse::Gone);
                };
                let (user, name) = (row.id("user_id")?, row.text("name")?.to_owned());
                let act = told("passkey.use", id, &name)
                    .with("for", purpose.as_str())
                    .with("reason", "its counter went back: there may be a copy of it")
                    .with("counter", sign_count)
                    .with("counter_before", row.count("sign_count")?);
                record_for(tx, user, act.refused()).await?;
                Ok(PasskeyUse::Copied)
            })
        })
        .await
    }

    /// Oldest first.
    pub async fn passkeys(&self, user: UserId) -> Result<Vec<StoredPasskey>, Error> {
        self.read(move |tx| {
            Box::pin(async move {
                let sql = format!("{PASSKEY} WHERE user_id = $1 ORDER BY id");
                let rows = tx.rows(&sql, values![user]).await?;
                rows.iter().map(StoredPasskey::try_from).collect()
            })
        })
        .await
    }

    pub async fn rename_passkey(
        &self,
        user: UserId,
        id: PasskeyId,
        name: String,
    ) -> Result<StoredPasskey, Error> {
        self.write(move |tx| {
            Box::pin(async move {
                let before = by_id(tx, user, id).await?;
                let sql = "UPDATE passkeys SET name = $2 WHERE id = $1";
                tx.run(sql, values![id, name.as_str()]).await?;
                let act = told("passkey.rename", id, &name).with("before", &before.name);
                record_for(tx, user, act).await?;
                by_id(tx, user, id).await
            })
        })
        .await
    }

    /// Takes a passkey from a user, unless it is the last way in that they have.
    pub async fn remove_passkey(&self, user: UserId, id: PasskeyId) -> Result<(), Error> {
        self.write(move |tx| {
            Box::pin(async move {
                let removed = by_id(tx, user, id).await?;
                tx.run("DELETE FROM passkeys WHERE id = $1", values![id]).await?;
                ways_in::one_is_left(tx, user).await?;
                record_for(tx, user, told("passkey.remove", id, &removed.name)).await
            })
        })
        .await
    }
}
