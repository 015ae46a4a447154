//! The store, and the two ways into it.

use std::{path::Path, sync::Arc};

use creel_daemon::{Clock, mint};
use creel_domain::{Actor, OrgId};
use jiff::Timestamp;
use tokio::sync::watch;
use uuid::Uuid;

use crate::{
    Address, Error, MasterKeys,
    audit::Acting,
    database::{Alone, Database, Scope},
    keys::Ring,
    migrations, postgres,
    rows::stored_precision,
    sqlite,
    tx::{Body, Tx},
};

/// Cheap to clone.
#[derive(Clone)]
pub struct Store {
    database: Database,
    pub(crate) ring: Arc<Ring>,
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
                self.written(Alone::Yes, body).await
            }

            /// As [`Self::write`], for one statement that relies on nothing read before it.
            pub(crate) async fn write_one<T, F>(&self, body: F) -> Result<T, Error>
            where
                T: Send + 'static,
                F: for<'t> FnOnce(&'t mut Tx) -> Body<'t, T> + Clone + Send + 'static,
            {
                self.written(Alone::No, body).await
            }

            /// One moment of the database; nothing can be changed.
            pub(crate) async fn read<T, F>(&self, body: F) -> Result<T, Error>
            where
                T: Send + 'static,
                F: for<'t> FnOnce(&'t mut Tx) -> Body<'t, T> + Clone + Send + 'static,
            {
                self.store.database.read($scope(self), body).await
            }

            /// Once more where another control has made a newer key of the platform.
            async fn written<T, F>(&self, alone: Alone, body: F) -> Result<T, Error>
            where
                T: Send + 'static,
                F: for<'t> FnOnce(&'t mut Tx) -> Body<'t, T> + Clone + Send + 'static,
            {
                let database = &self.store.database;
                let first = self.acted(body.clone(), false);
                match database.write($scope(self), alone, first).await {
                    Err(Error::StaleKeys) => {}
                    outcome => return outcome,
                }
                self.store.ring.refresh(&self.store.platform()).await?;
                let second = self.acted(body, true);
                database.write($scope(self), alone, second).await
            }

            /// The body, in a transaction that knows in whose name it writes.
            fn acted<T, F>(
                &self,
                body: F,
                refreshed: bool,
            ) -> impl for<'t> FnOnce(&'t mut Tx) -> Body<'t, T> + Clone + Send + 'static
            where
                F: for<'t> FnOnce(&'t mut Tx) -> Body<'t, T> + Clone + Send + 'static,
            {
                let acting = Acting {
                    actor: Arc::clone(&self.actor),
                    keys: self.store.ring.platform(),
                    refreshed,
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

    /// In whose name it is changed: a user's id, or `platform`.
    pub(crate) fn who(&self) -> String {
        let id = self.actor.id.as_str();
        if id.is_empty() {
            self.actor.kind.as_str()
        } else {
            id
        }
        .to_owned()
    }
}

impl Store {
    /// Opens or makes the database and brings its schema up to date. Refuses a newer schema, and a master
    /// key that is not the one it was made with. Blocks while it opens the file.
    pub async fn open(
        path: &Path,
        keys: impl Into<MasterKeys>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let news = Arc::new(watch::Sender::new(0));
        let database = sqlite::Database::prepare(path)?.start(Arc::clone(&news))?;
        let database = Database::Sqlite(Arc::new(database));
        Self::over(database, keys.into(), clock, news).await
    }

    /// As [`Store::open`], on a PostgreSQL database that may be shared with other controls.
    pub async fn connect(
        address: Address,
        keys: impl Into<MasterKeys>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let news = Arc::new(watch::Sender::new(0));
        let database = postgres::Database::open(address, Arc::clone(&news), mint(&*clock)).await?;
        let database = Database::Postgres(Arc::new(database));
        Self::over(database, keys.into(), clock, news).await
    }

    async fn over(
        database: Database,
        keys: MasterKeys,
        clock: Arc<dyn Clock>,
        news: Arc<watch::Sender<u64>>,
    ) -> Result<Self, Error> {
        let store = Self {
            database,
            ring: Arc::new(Ring::new(keys)),
            clock,
            news,
        };
        if let Err(error) = store.platform().begin_keys().await {
            store.close().await;
            return Err(error);
        }
        Ok(store)
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
