//! Devices: a program asks, a person approves, the program fetches a token of its own. The shape is RFC 8628.
//!
//! ```text
//! ask ─▶ pending ─▶ approved ─▶ fetched: a token and a device, and nothing of the request is left
//!           └─────▶ denied
//! ```
//!
//! Each step is one statement that asks for the state before it, so of two that want it one has it.

use std::{collections::BTreeSet, sync::Arc};

use creel_domain::{Act, DeviceId, OrgId, Scope, TokenId, UserId};
use jiff::{SignedDuration, Timestamp};

use crate::{
    Error, NewToken, Org, Platform,
    access::Hash,
    audit::{known_as, record},
    rows::{Row, values},
    tokens::{insert_token, maybe_scopes, scopes_text},
    tx::Tx,
};

/// How long a request may wait to be approved and fetched.
pub const DEVICE_REQUEST_FOR: SignedDuration = SignedDuration::from_mins(15);
/// Requests that wait, of everybody.
pub const MAX_DEVICE_REQUESTS: u64 = 1000;
/// Requests that wait, from one network.
pub const MAX_DEVICE_REQUESTS_OF_ONE: u64 = 20;
/// Codes that nobody has, entered by one user within [`GUESSES_WITHIN`].
pub const GUESSES_OF_ONE: u64 = 10;
/// The same, of everybody.
const GUESSES_OF_ALL: u64 = 200;
const GUESSES_WITHIN: SignedDuration = SignedDuration::from_mins(15);
/// Between two questions whether it is approved; whoever asks sooner waits longer from then on.
const INTERVAL_SECONDS: u64 = 5;
const LONGEST_INTERVAL_SECONDS: u64 = 60;

/// A request to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDeviceRequest {
    /// Of the code that the device keeps.
    pub device_hash: Hash,
    /// Of the code that it shows.
    pub user_hash: Hash,
    pub name: String,
    pub address: String,
    /// What counts as one asker.
    pub network: String,
    pub wanted: Option<BTreeSet<Scope>>,
}

/// A request that waits, as whoever decides about it sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDeviceRequest {
    pub name: String,
    pub address: String,
    pub wanted: Option<BTreeSet<Scope>>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

/// What a person made of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovedDevice {
    /// None: all that the user may do.
    pub scopes: Option<BTreeSet<Scope>>,
    /// None: until it is revoked.
    pub token_expires_at: Option<Timestamp>,
}

/// What a device that asks is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DevicePoll {
    /// Nobody has decided yet.
    Pending,
    /// Nobody has decided yet, and it asks too often.
    TooSoon {
        interval_seconds: u64,
    },
    Denied,
    /// The code was used, is too old, or never was.
    Gone,
    LetIn(LetInDevice),
}

/// A device that has just been given its token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LetInDevice {
    pub device: DeviceId,
    pub org: OrgId,
    pub org_name: String,
    pub user: UserId,
    pub scopes: Option<BTreeSet<Scope>>,
    pub expires_at: Option<Timestamp>,
}

/// A device that was let in, and its token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDevice {
    pub id: DeviceId,
    pub name: String,
    pub address: String,
    pub user: UserId,
    pub scopes: Option<BTreeSet<Scope>>,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
}

impl TryFrom<&Row> for StoredDeviceRequest {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            name: row.text("name")?.to_owned(),
            address: row.text("address")?.to_owned(),
            wanted: maybe_scopes(row, "wanted")?,
            created_at: row.time("created_at")?,
            expires_at: row.time("expires_at")?,
        })
    }
}

impl TryFrom<&Row> for StoredDevice {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.id("id")?,
            name: row.text("name")?.to_owned(),
            address: row.text("address")?.to_owned(),
            user: row.id("user_id")?,
            scopes: maybe_scopes(row, "scopes")?,
            created_at: row.time("created_at")?,
            expires_at: row.maybe_time("expires_at")?,
            last_used_at: row.maybe_time("last_used_at")?,
        })
    }
}

async fn count(tx: &mut Tx, sql: &str, values: &[crate::rows::Value]) -> Result<u64, Error> {
    let row = tx.row(sql, values).await?;
    Ok(row.map(|row| row.count("n")).transpose()?.unwrap_or_default())
}

/// Whether there is a request with this code that waits. One that is not there counts as a guess.
async fn waiting(
    tx: &mut Tx,
    user: UserId,
    code: Hash,
    guess: uuid::Uuid,
    now: Timestamp,
) -> Result<Option<StoredDeviceRequest>, Error> {
    let since = now.saturating_sub(GUESSES_WITHIN).unwrap_or(now);
    tx.run("DELETE FROM device_guesses WHERE at <= $1", values![since])
        .await?;
    let of_one = "SELECT COUNT(*) AS n FROM device_guesses WHERE user_id = $1";
    let of_all = "SELECT COUNT(*) AS n FROM device_guesses";
    if count(tx, of_one, values![user]).await? >= GUESSES_OF_ONE
        || count(tx, of_all, values![]).await? >= GUESSES_OF_ALL
    {
        let minutes = GUESSES_WITHIN.as_mins();
        return Err(Error::TooManyGuesses { minutes });
    }
    let sql = "SELECT name, address, wanted, created_at, expires_at FROM device_requests
               WHERE user_hash = $1 AND state = 'pending' AND expires_at > $2";
    match tx.row(sql, values![code, now]).await? {
        Some(row) => StoredDeviceRequest::try_from(&row).map(Some),
        None => {
            let sql = "INSERT INTO device_guesses (id, user_id, at) VALUES ($1, $2, $3)";
            tx.run(sql, values![guess, user, now]).await?;
            Ok(None)
        }
    }
}

impl Platform {
    /// Lets a request wait, until the time that is returned.
    pub async fn ask_for_device(&self, new: NewDeviceRequest) -> Result<Timestamp, Error> {
        let now = self.store.now();
        let expires_at = now.saturating_add(DEVICE_REQUEST_FOR).unwrap_or(now);
        self.write(move |tx| {
            Box::pin(async move {
                let old = "DELETE FROM device_requests WHERE expires_at <= $1";
                tx.run(old, values![now]).await?;
                let of_all = "SELECT COUNT(*) AS n FROM device_requests";
                let of_one = "SELECT COUNT(*) AS n FROM device_requests WHERE network = $1";
                let network = new.network.as_str();
                for (there, most) in [
                    (count(tx, of_all, values![]).await?, MAX_DEVICE_REQUESTS),
                    (
                        count(tx, of_one, values![network]).await?,
                        MAX_DEVICE_REQUESTS_OF_ONE,
                    ),
                ] {
                    if there >= most {
                        return Err(Error::TooManyDevicesAsk);
                    }
                }
                let sql =
                    "INSERT INTO device_requests (device_hash, user_hash, name, address, network, wanted,
                                                        state, interval_seconds, created_at, expires_at)
                           VALUES ($1, $2, $3, $4, $5, $6, 'pending', $7, $8, $9)";
                let values = values![
                    new.device_hash,
                    new.user_hash,
                    new.name,
                    new.address,
                    network,
                    scopes_text(new.wanted.as_ref())?,
                    INTERVAL_SECONDS,
                    now,
                    expires_at,
                ];
                tx.run(sql, values).await?;
                Ok(expires_at)
            })
        })
        .await
    }

    /// The request that shows this code and waits, for `user` to look at.
    pub async fn device_request(
        &self,
        user: UserId,
        code: Hash,
    ) -> Result<Option<StoredDeviceRequest>, Error> {
        let (guess, now) = (self.store.mint(), self.store.now());
        self.write(move |tx| Box::pin(waiting(tx, user, code, guess, now)))
            .await
    }

    /// `user` of `org` decides about the request that shows this code; none: denied. Of many who decide, one does.
    pub async fn decide_device(
        &self,
        org: OrgId,
        user: UserId,
        code: Hash,
        approved: Option<ApprovedDevice>,
    ) -> Result<Option<StoredDeviceRequest>, Error> {
        let (guess, now) = (self.store.mint(), self.store.now());
        self.write(move |tx| {
            Box::pin(async move {
                let Some(request) = waiting(tx, user, code, guess, now).await? else {
                    return Ok(None);
                };
                let sql = "UPDATE device_requests SET state = $2, user_id = $3, org_id = $4, scopes = $5,
                                                      token_expires_at = $6
                           WHERE user_hash = $1";
                let state = if approved.is_some() { "approved" } else { "denied" };
                let action = if approved.is_some() {
                    "device.approve"
                } else {
                    "device.deny"
                };
                let mut act = Act::new(action)
                    .on("device_request", "")
                    .named(&request.name)
                    .with("address", &request.address);
                let (scopes, ends) = match approved {
                    Some(approved) => (scopes_text(approved.scopes.as_ref())?, approved.token_expires_at),
                    None => (None, None),
                };
                if let Some(scopes) = &scopes {
                    act = act.with("scopes", scopes);
                }
                tx.run(sql, values![code, state, user, org, scopes, ends]).await?;
                record(tx, org, act).await?;
                Ok(Some(request))
            })
        })
        .await
    }

    /// A device asks how its request stands. One that was approved is given `token`, once.
    pub async fn poll_device(&self, device: Hash, token: Hash) -> Result<DevicePoll, Error> {
        let now = self.store.now();
        let found = self
            .read(move |tx| {
                Box::pin(async move {
                    let sql = "SELECT state, org_id, interval_seconds, polled_at FROM device_requests
                               WHERE device_hash = $1 AND expires_at > $2";
                    tx.row(sql, values![device, now]).await
                })
            })
            .await?;
        let Some(row) = found else {
            return Ok(DevicePoll::Gone);
        };
        match row.text("state")? {
            "approved" => {
                let org = self.store.org(row.id("org_id")?).acting(Arc::clone(&self.actor));
                let let_in = org.let_device_in(device, token).await?;
                return Ok(let_in.map_or(DevicePoll::Gone, DevicePoll::LetIn));
            }
            "denied" => return Ok(DevicePoll::Denied),
            _ => {}
        }
        let interval = row.count("interval_seconds")?;
        let since = row.maybe_time("polled_at")?.map(|at| now.duration_since(at));
        // A clock that was set back holds nobody up.
        let too_soon =
            since.is_some_and(|since| !since.is_negative() && since.as_secs().unsigned_abs() < interval);
        if !too_soon {
            self.write_one(move |tx| {
                Box::pin(async move {
                    let sql = "UPDATE device_requests SET polled_at = $2 WHERE device_hash = $1";
                    tx.run(sql, values![device, now]).await
                })
            })
            .await?;
            return Ok(DevicePoll::Pending);
        }
        let longer = (interval + INTERVAL_SECONDS).min(LONGEST_INTERVAL_SECONDS);
        if longer > interval {
            self.write_one(move |tx| {
                Box::pin(async move {
                    let sql = "UPDATE device_requests SET interval_seconds = $2 WHERE device_hash = $1";
                    tx.run(sql, values![device, longer]).await
                })
            })
            .await?;
        }
        Ok(DevicePoll::TooSoon {
            interval_seconds: longer,
        })
    }
}

impl Org {
    /// None: another poll was faster. Fails where whoever approved is no member any more.
    async fn let_device_in(&self, device: Hash, token: Hash) -> Result<Option<LetInDevice>, Error> {
        let (org, now) = (self.id, self.store.now());
        let (id, token_id) = (self.store.mint::<DeviceId>(), self.store.mint::<TokenId>());
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "DELETE FROM device_requests
                           WHERE org_id = $1 AND device_hash = $2 AND state = 'approved' AND expires_at > $3
                           RETURNING user_id, name, address, scopes, token_expires_at";
                let Some(row) = tx.row(sql, values![org, device, now]).await? else {
                    return Ok(None);
                };
                let new = NewToken {
                    user: row.id("user_id")?,
                    name: row.text("name")?.to_owned(),
                    hash: token,
                    scopes: maybe_scopes(&row, "scopes")?,
                    expires_at: row.maybe_time("token_expires_at")?,
                };
                known_as(tx, org, new.user, "device code").await?;
                insert_token(tx, org, token_id, &new, now).await?;
                let act = Act::new("device.pair").on("device", id).named(&new.name);
                record(
                    tx,
                    org,
                    act.with("token", token_id).with("address", row.text("address")?),
                )
                .await?;
                let sql = "INSERT INTO devices (id, org_id, token_id, address) VALUES ($1, $2, $3, $4)";
                tx.run(sql, values![id, org, token_id, row.text("address")?])
                    .await?;
                let sql = "SELECT name FROM orgs WHERE id = $1";
                let named = tx.row(sql, values![org]).await?.ok_or(Error::NotFound("org"))?;
                Ok(Some(LetInDevice {
                    device: id,
                    org,
                    org_name: named.text("name")?.to_owned(),
                    user: new.user,
                    scopes: new.scopes,
                    expires_at: new.expires_at,
                }))
            })
        })
        .await
    }

    /// Oldest first; those that speak for one member, or all. There are no more than tokens.
    pub async fn devices(&self, of: Option<UserId>) -> Result<Vec<StoredDevice>, Error> {
        let org = self.id;
        self.read(move |tx| {
            Box::pin(async move {
                let sql = "SELECT d.id, t.name, d.address, t.user_id, t.scopes, t.created_at, t.expires_at,
                                  t.last_used_at
                           FROM devices d JOIN tokens t ON t.org_id = d.org_id AND t.id = d.token_id
                           WHERE d.org_id = $1 ORDER BY d.id";
                let rows = tx.rows(sql, values![org]).await?;
                let mut devices = rows
                    .iter()
                    .map(StoredDevice::try_from)
                    .collect::<Result<Vec<_>, _>>()?;
                devices.retain(|device| of.is_none_or(|user| device.user == user));
                Ok(devices)
            })
        })
        .await
    }

    /// At once, with its token. One that speaks for that member, or for whomever.
    pub async fn remove_device(&self, device: DeviceId, of: Option<UserId>) -> Result<(), Error> {
        let org = self.id;
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "SELECT t.id, t.user_id, t.name FROM devices d JOIN tokens t ON t.id = d.token_id
                           WHERE d.org_id = $1 AND d.id = $2";
                let found = tx.row(sql, values![org, device]).await?;
                let row = found.ok_or(Error::NotFound("device"))?;
                let (token, user) = (row.id::<TokenId>("id")?, row.id::<UserId>("user_id")?);
                if of.is_some_and(|of| of != user) {
                    return Err(Error::NotFound("device"));
                }
                // The device goes with its token.
                let sql = "DELETE FROM tokens WHERE org_id = $1 AND id = $2";
                match tx.run(sql, values![org, token]).await? {
                    0 => Err(Error::NotFound("device")),
                    _ => {
                        let act = Act::new("device.remove")
                            .on("device", device)
                            .named(row.text("name")?);
                        record(tx, org, act.with("token", token)).await
                    }
                }
            })
        })
        .await
    }
}
