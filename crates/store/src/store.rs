//! The store, and the two ways into it.

use std::{path::Path, sync::Arc};

use creel_daemon::{Clock, mint};
use creel_domain::OrgId;
use jiff::Timestamp;
use tokio::sync::watch;
use uuid::Uuid;

use crate::{
    Error, MasterKey,
    database::{Body, Database},
    migrations,
    rows::{stored_precision, values},
    tx::Tx,
};

/// Cheap to clone.
#[derive(Clone)]
pub struct Store {
    database: Arc<Database>,
    pub(crate) key: Arc<MasterKey>,
    clock: Arc<dyn Clock>,
    news: Arc<watch::Sender<u64>>,
}

/// One tenant's data and nobody else's.
#[derive(Clone)]
pub struct Org {
    pub(crate) store: Store,
    pub(crate) id: OrgId,
    /// What is made is made in the name of this idempotency key.
    pub(crate) key: Option<String>,
}

/// What concerns all tenants: for the reconciler and for sign-in, never for a tenant's request.
#[derive(Clone)]
pub struct Platform {
    pub(crate) store: Store,
}

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
        let mut database = Database::prepare(path)?;
        check_key(database.writer(), &key)?;
        Ok(Self {
            database: Arc::new(database.start(Arc::clone(&news))?),
            key: Arc::new(key),
            clock,
            news,
        })
    }

    /// The schema version that this Creel brings.
    pub fn schema_version() -> u32 {
        migrations::KNOWN
    }

    pub fn org(&self, id: OrgId) -> Org {
        Org {
            store: self.clone(),
            id,
            key: None,
        }
    }

    pub fn platform(&self) -> Platform {
        Platform { store: self.clone() }
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

    pub(crate) async fn write<T, F>(&self, body: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> Body<'t, T> + Send + 'static,
    {
        self.database.write(body).await
    }

    pub(crate) async fn read<T, F>(&self, body: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> Body<'t, T> + Send + 'static,
    {
        self.database.read(body).await
    }
}

/// The first opening leaves a sealed word behind; every later one must be able to open it. Without it, a lost
/// key file would be replaced by a new one and noticed only when a provider's key is needed.
fn check_key(tx: &mut Tx, key: &MasterKey) -> Result<(), Error> {
    const NOBODY: OrgId = OrgId::from_uuid(Uuid::nil());
    const PLACE: &str = "key_check/sealed";
    let body = async |tx: &mut Tx| match tx.row("SELECT sealed FROM key_check", values![]).await? {
        Some(row) => {
            let sealed = row.maybe_bytes("sealed")?.unwrap_or_default();
            key.open(NOBODY, PLACE, sealed).map(|_| ())
        }
        None => {
            let sealed = key.seal(NOBODY, PLACE, "creel")?;
            tx.run("INSERT INTO key_check (sealed) VALUES ($1)", values![sealed])
                .await?;
            Ok(())
        }
    };
    crate::database::at_once(body(tx))
}
