//! A database of its own on a private server.

use std::sync::Arc;

use creel_daemon::Clock;
use creel_store::{Address, Error, MasterKey, Store};
use creel_testkit::PostgresDatabase;

pub(crate) struct Engine(pub(crate) PostgresDatabase);

impl Engine {
    pub(crate) fn new() -> Self {
        Self(PostgresDatabase::fresh())
    }

    /// For [`Engine::open_at`], also in another process.
    pub(crate) fn place(&self) -> String {
        self.0.address()
    }

    pub(crate) async fn open_at(place: &str, key: MasterKey, clock: Arc<dyn Clock>) -> Result<Store, Error> {
        Store::connect(Address::parse(place)?, key, clock).await
    }

    /// Does something behind the store's back.
    pub(crate) fn meddle(&self, sql: &str) {
        self.0.ask(sql);
    }
}
