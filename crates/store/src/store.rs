//! The store, and the two ways into it.

use std::{path::Path, sync::Arc};

use creel_daemon::{Clock, mint};
use creel_domain::{Actor, OrgId};
use jiff::Timestamp;
use tokio::sync::watch;
use uuid::Uuid;

use crate::{
    Address, Error, MasterKey,
    audit::{self, Acting},
    database::{Alone, Database, Scope},
    migrations, postgres,
    rows::{stored_precision, values},
    sqlite,
    tx::{Body, Tx},
};

/// Cheap to clone.
#[derive(Clone)]
pub struct Store {
    database: Database,
    pub(crate) key: Arc<MasterKey>,
    clock: Arc<dyn Clock>,
    news: Arc<watch::Sender<u64>>,
}

/// One tenant's data and nobody else's.
#[derive(Clone)]
pub struct Org {
    pub(crate) store: Store,
    pub(crate) id: OrgId,
    /// In whose name it is changed.
    pub(crate) actor: Arc<Actor>,
    /// What is made is made in the name of this idempotency key.
    pub(crate) key: Option<String>,
}

/// What concerns all tenants: for the reconciler and for sign-in, never for a tenant's request.
#[derive(Clone)]
pub struct Platform {
    pub(crate) store: Store,
    pub(crate) actor: Arc<Actor>,
}

macro_rules! transactions {
    ($way:ty, $scope:expr) => {
        impl $way {
            /// One transaction, and nobody else writes in this scope meanwhile. What `body` holds is cloned where
            /// an engine has to try again.
            pub(crate) async fn write<T, F>(&self, body: F) -> Result<T, Error>
            where
                T: Send + 'static,
                F: for<'t> FnOnce(&'t mut Tx) -> Body<'t, T> + Clone + Send + 'static,
            {
                let body = self.acted(body);
                self.store
                    .database
                    .write($scope(self), Alone::Yes, body)
                    .await
            }

            /// As [`Self::write`], for one statement that relies on nothing read before it.
            pub(crate) async fn write_one<T, F>(&self, body: F) -> Result<T, Error>
            where
                T: Send + 'static,
                F: for<'t> FnOnce(&'t mut Tx) -> Body<'t, T> + Clone + Send + 'static,
            {
                let body = self.acted(body);
                self.store
                    .database
                    .write($scope(self), Alone::No, body)
                    .await
            }

            /// One moment of the database; nothing can be changed.
            pub(crate) async fn read<T, F>(&self, body: F) -> Result<T, Error>
            where
                T: Send + 'static,
                F: for<'t> FnOnce(&'t mut Tx) -> Body<'t, T> + Clone + Send + 'static,
            {
                self.store.database.read($scope(self), body).await
            }

            /// The body, in a transaction that knows in whose name it writes.
            fn acted<T, F>(
                &self,
                body: F,
            ) -> impl for<'t> FnOnce(&'t mut Tx) -> Body<'t, T> + Clone + Send + 'static
            where
                F: for<'t> FnOnce(&'t mut Tx) -> Body<'t, T> + Clone + Send + 'static,
            {
                let acting = Acting {
                    actor: Arc::clone(&self.actor),
                    master: Arc::clone(&self.store.key),
                    at: self.store.now(),
                };
                move |tx: &mut Tx| {
                    tx.acting = Some(acting);
                    body(tx)
                }
            }
        }
    };
}
transactions!(Org, |way: &Org| Scope::Org(way.id));
transactions!(Platform, |_| Scope::Platform);

impl Org {
    pub fn id(&self) -> OrgId {
        self.id
    }
}

impl Store {
    /// Opens or makes the database and brings its schema up to date. Refuses a newer schema, and a master
    /// key that is not the one it was made with. Blocks.
    pub fn open(path: &Path, key: MasterKey, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let news = Arc::new(watch::Sender::new(0));
        let mut database = sqlite::Database::prepare(path)?;
        sqlite::at_once(check_key(database.writer(), &key))?;
        let database = Database::Sqlite(Arc::new(database.start(Arc::clone(&news))?));
        Ok(Self::over(database, key, clock, news))
    }

    /// As [`Store::open`], on a PostgreSQL database that may be shared with other controls.
    pub async fn connect(address: Address, key: MasterKey, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let news = Arc::new(watch::Sender::new(0));
        let database = postgres::Database::open(address, Arc::clone(&news), mint(&*clock)).await?;
        let store = Self::over(Database::Postgres(Arc::new(database)), key, clock, news);
        let key = Arc::clone(&store.key);
        let platform = store.platform();
        platform
            .write(move |tx| Box::pin(async move { check_key(tx, &key).await }))
            .await?;
        Ok(store)
    }

    fn over(
        database: Database,
        key: MasterKey,
        clock: Arc<dyn Clock>,
        news: Arc<watch::Sender<u64>>,
    ) -> Self {
        let key = Arc::new(key);
        Self {
            database,
            key,
            clock,
            news,
        }
    }

    /// The schema version that this Creel brings.
    pub fn schema_version() -> u32 {
        migrations::KNOWN
    }

    pub fn org(&self, id: OrgId) -> Org {
        Org {
            store: self.clone(),
            id,
            actor: Arc::new(Actor::platform()),
            key: None,
        }
    }

    pub fn platform(&self) -> Platform {
        Platform {
            store: self.clone(),
            actor: Arc::new(Actor::platform()),
        }
    }

    /// Changes whenever an event was appended, of whichever org: look, then wait again.
    pub fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// Lets what is queued finish and closes the file; later calls fail. A process that ends without it
    /// loses nothing.
    pub async fn close(&self) {
        self.database.close().await;
    }

    pub(crate) fn now(&self) -> Timestamp {
        stored_precision(self.clock.now())
    }

    pub(crate) fn mint<Id: From<Uuid>>(&self) -> Id {
        mint(&*self.clock)
    }
}

/// In whose name the platform's own values are sealed.
pub(crate) const NOBODY: OrgId = OrgId::from_uuid(Uuid::nil());

/// The first opening leaves a sealed word behind; every later one must be able to open it. Without it, a lost
/// key file would be replaced by a new one and noticed only when a provider's key is needed. The word also says
/// that each org has an audit trail: from then on, one without was tampered with.
async fn check_key(tx: &mut Tx, key: &MasterKey) -> Result<(), Error> {
    const PLACE: &str = "key_check/sealed";
    const AUDITED: &str = "creel, audited";
    let sealed = key.seal(NOBODY, PLACE, AUDITED)?;
    match tx.row("SELECT sealed FROM key_check", values![]).await? {
        Some(row) => {
            let word = key.open(NOBODY, PLACE, row.maybe_bytes("sealed")?.unwrap_or_default())?;
            if *word != AUDITED {
                audit::begin_all(tx, key).await?;
                tx.run("UPDATE key_check SET sealed = $1", values![sealed])
                    .await?;
            }
        }
        None => {
            tx.run("INSERT INTO key_check (sealed) VALUES ($1)", values![sealed])
                .await?;
        }
    }
    Ok(())
}
