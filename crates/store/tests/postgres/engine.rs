//! A database of its own on a private server.

use std::sync::Arc;

use creel_daemon::Clock;
use creel_store::{Address, Error, MasterKeys, Store};
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

    pub(crate) async fn open_at(
        place: &str,
        keys: impl Into<MasterKeys>,
        clock: Arc<dyn Clock>,
    ) -> Result<Store, Error> {
        Store::connect(Address::parse(place)?, keys, clock).await
    }

    /// A value, read behind the store's back, as text.
    pub(crate) fn ask(&self, sql: &str) -> String {
        self.0.ask(sql)
    }

    /// Bytes in the engine's own SQL.
    pub(crate) fn bytes(hex: &str) -> String {
        format!("'\\x{hex}'::bytea")
    }

    /// Does something behind the store's back.
    pub(crate) fn meddle(&self, sql: &str) {
        self.0.ask(sql);
    }
}
