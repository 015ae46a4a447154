//! PostgreSQL: transactions over a small pool, each held to its scope by the database itself.
//!
//! ```text
//! write(scope, body) ─▶ bounded queue ─▶ the scope's line ─▶ connection: BEGIN, who, lock │ body │ COMMIT
//! read(scope, body)  ─▶ connection: BEGIN READ ONLY, who │ body │ answer, then ROLLBACK
//! ```
//!
//! On SQLite a body that writes is alone. Here it is alone in its scope: it begins by locking the org's row, and
//! each of its statements sees all that was committed before. So what holds on the one engine holds on the
//! other, with any number of controls.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, Semaphore, watch},
    task::AbortHandle,
    time::timeout,
};
use uuid::Uuid;

use crate::{
    Error,
    database::{Alone, Scope},
    tx::{Body, Tx},
};

mod address;
mod copy;
mod lines;
mod migrate;
mod news;
mod pool;
mod session;
mod value;
mod wall;

pub use address::Address;
pub use copy::{CopiedTable, copy};
pub(crate) use migrate::{migrate, schema};
pub(crate) use session::Session;

use lines::Lines;
use pool::{Lent, Pool};
pub(crate) use wall::Roles;

/// Where our tables are.
const SCHEMA: &str = "creel";
/// Connections that write, and as many that read.
const CONNECTIONS: usize = 8;
/// Writes that wait; whoever comes after them waits for a place.
const QUEUE: usize = 1024;
/// How long to wait in any line before saying that the store is busy.
const PATIENCE: Duration = Duration::from_secs(10);
/// Attempts at a transaction that lost against another one, or its connection.
const ATTEMPTS: u32 = 4;
const ATTEMPT_AFTER: Duration = Duration::from_millis(20);
/// The lock of writes that concern the whole platform; a number of our own.
const PLATFORM_LOCK: i64 = 0x6372_6565_6c02;

pub(crate) struct Database {
    roles: Roles,
    queue: Arc<Semaphore>,
    lines: Lines,
    writers: Pool,
    readers: Pool,
    news: Arc<watch::Sender<u64>>,
    told: Arc<Notify>,
    carrier: AbortHandle,
}

impl Database {
    /// Connects and brings the schema up to date.
    pub(crate) async fn open(
        address: Address,
        news: Arc<watch::Sender<u64>>,
        me: Uuid,
    ) -> Result<Self, Error> {
        let roles = migrate(&address).await?;
        let pool = || Pool::new(address.clone(), roles.clone(), CONNECTIONS);
        let told = Arc::new(Notify::new());
        let carrier = news::carry(address.clone(), Arc::clone(&news), Arc::clone(&told), me);
        Ok(Self {
            queue: Arc::new(Semaphore::new(QUEUE)),
            lines: Lines::default(),
            writers: pool(),
            readers: pool(),
            carrier: tokio::spawn(carrier).abort_handle(),
            news,
            told,
            roles,
        })
    }

    /// One transaction: all of `body` or nothing, and on disk when this returns. Once queued it runs, even if
    /// the caller goes away.
    pub(crate) async fn write<T, F>(self: &Arc<Self>, scope: Scope, alone: Alone, body: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> Body<'t, T> + Clone + Send + 'static,
    {
        let place = timeout(PATIENCE, Arc::clone(&self.queue).acquire_owned())
            .await
            .map_err(|_| Error::Busy)?
            .map_err(|_| Error::Interrupted)?;
        let this = Arc::clone(self);
        let work = async move {
            let _place = place;
            let _turn = match alone {
                Alone::Yes => Some(this.lines.turn(scope).await?),
                Alone::No => None,
            };
            let begin = this.begin_write(scope, alone);
            let this = &*this;
            again(&this.writers, move || {
                this.write_once(begin.clone(), body.clone())
            })
            .await
        };
        // A panic in the body is an error of its caller's and of nobody else's.
        tokio::spawn(work).await.unwrap_or(Err(Error::Interrupted))
    }

    async fn write_once<T, F>(&self, begin: String, body: F) -> Result<T, Error>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> Body<'t, T>,
    {
        let mut lent = self.writers.lend().await?;
        lent.tx.told = false;
        lent.tx.postgres_session().begin(begin);
        let value = match body(&mut lent.tx).await {
            Ok(value) => value,
            Err(error) => {
                end(&self.writers, lent).await;
                return Err(error);
            }
        };
        if let Err(error) = lent.tx.postgres_session().commit().await {
            end(&self.writers, lent).await;
            return Err(error);
        }
        let told = lent.tx.told;
        self.writers.give_back(lent);
        if told {
            news::bump(&self.news);
            self.told.notify_one();
        }
        Ok(value)
    }

    /// Looks at one moment of the database; a statement that would change it is refused by the engine.
    pub(crate) async fn read<T, F>(self: &Arc<Self>, scope: Scope, body: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> Body<'t, T> + Clone + Send + 'static,
    {
        let this = Arc::clone(self);
        let work = async move {
            let begin = format!(
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {}",
                this.who(scope)
            );
            let this = &this;
            again(&this.readers, move || this.read_once(begin.clone(), body.clone())).await
        };
        tokio::spawn(work).await.unwrap_or(Err(Error::Interrupted))
    }

    async fn read_once<T, F>(self: &Arc<Self>, begin: String, body: F) -> Result<T, Error>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> Body<'t, T>,
    {
        let mut lent = self.readers.lend().await?;
        lent.tx.postgres_session().begin(begin);
        let outcome = body(&mut lent.tx).await;
        // The caller need not wait for the end.
        let this = Arc::clone(self);
        tokio::spawn(async move { end(&this.readers, lent).await });
        outcome
    }

    /// Lets what is queued finish, then closes the connections. Later calls fail.
    pub(crate) async fn close(&self) {
        // Fails when it is closed already.
        if let Ok(_all) = self.queue.acquire_many(QUEUE as u32).await {
            self.queue.close();
        }
        self.carrier.abort();
        self.writers.close();
        self.readers.close();
    }

    fn who(&self, scope: Scope) -> String {
        match scope {
            Scope::Org(org) => format!("SELECT set_config('creel.org', '{}', true)", org.uuid()),
            Scope::Platform => format!("SET LOCAL ROLE {}", self.roles.platform),
        }
    }

    fn begin_write(&self, scope: Scope, alone: Alone) -> String {
        let lock = match (alone, scope) {
            (Alone::No, _) => String::new(),
            (Alone::Yes, Scope::Org(org)) => {
                format!("; SELECT FROM orgs WHERE id = '{}' FOR NO KEY UPDATE", org.uuid())
            }
            (Alone::Yes, Scope::Platform) => format!("; SELECT pg_advisory_xact_lock({PLATFORM_LOCK})"),
        };
        format!("BEGIN ISOLATION LEVEL READ COMMITTED; {}{lock}", self.who(scope))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.carrier.abort();
    }
}

/// Undoes what is open. A connection that cannot do even that is not used again.
async fn end(pool: &Pool, mut lent: Lent) {
    if lent.tx.postgres_session().roll_back().await.is_ok() {
        pool.give_back(lent);
    }
}

/// Tries a transaction again that can only have failed by chance, a few times.
async fn again<T, A>(pool: &Pool, mut attempt: impl FnMut() -> A) -> Result<T, Error>
where
    A: Future<Output = Result<T, Error>>,
{
    let mut tried = 1;
    loop {
        let error = match attempt().await {
            Err(error) if error.is_by_chance() => error,
            outcome => return outcome,
        };
        if matches!(error, Error::Unreachable(_)) {
            pool.forget_idle();
        }
        if tried == ATTEMPTS {
            return Err(error.after_many());
        }
        tokio::time::sleep(ATTEMPT_AFTER * (1 << tried)).await;
        tried += 1;
    }
}
