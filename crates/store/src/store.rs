//! The store, and the two ways into it.

use std::{path::Path, sync::Arc};

use creel_daemon::Clock;
use creel_domain::OrgId;
use tokio::sync::watch;

use crate::{Error, MasterKey, database::Database, migrations};

/// Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pub(crate) database: Arc<Database>,
    pub(crate) key: Arc<MasterKey>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) news: Arc<watch::Sender<u64>>,
}

/// One tenant's data and nobody else's.
pub struct Org {
    pub(crate) store: Store,
    pub(crate) id: OrgId,
}

/// What concerns all tenants: for the reconciler and for sign-in, never for a tenant's request.
pub struct Platform {
    pub(crate) store: Store,
}

impl Store {
    /// Opens or makes the database and brings its schema up to date. Blocks.
    pub fn open(path: &Path, key: MasterKey, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        Ok(Self {
            database: Arc::new(Database::open(path)?),
            key: Arc::new(key),
            clock,
            news: Arc::new(watch::Sender::new(0)),
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
        }
    }

    pub fn platform(&self) -> Platform {
        Platform { store: self.clone() }
    }

    /// Changes whenever an event was appended, of whichever org: look, then wait again.
    pub fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    pub(crate) fn tell(&self) {
        self.news.send_modify(|count| *count = count.wrapping_add(1));
    }
}
