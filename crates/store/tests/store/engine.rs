//! A SQLite file in a directory of its own.

use std::{path::PathBuf, sync::Arc};

use creel_daemon::Clock;
use creel_store::{Error, MasterKeys, Store};

pub(crate) struct Engine(tempfile::TempDir);

impl Engine {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("creel.db")
    }

    /// For [`Engine::open_at`], also in another process.
    pub(crate) fn place(&self) -> String {
        self.path().display().to_string()
    }

    pub(crate) async fn open_at(
        place: &str,
        keys: impl Into<MasterKeys>,
        clock: Arc<dyn Clock>,
    ) -> Result<Store, Error> {
        Store::open(place.as_ref(), keys, clock).await
    }

    /// A value, read behind the store's back, as text.
    pub(crate) fn ask(&self, sql: &str) -> String {
        let file = rusqlite::Connection::open(self.path()).expect("opens");
        let value: rusqlite::types::Value = file.query_row(sql, [], |row| row.get(0)).expect("a value");
        match value {
            rusqlite::types::Value::Integer(int) => int.to_string(),
            rusqlite::types::Value::Text(text) => text,
            other => panic!("{other:?}"),
        }
    }

    /// Bytes in the engine's own SQL.
    pub(crate) fn bytes(hex: &str) -> String {
        format!("x'{hex}'")
    }

    /// Does something behind the store's back.
    pub(crate) fn meddle(&self, sql: &str) {
        let file = rusqlite::Connection::open(self.path()).expect("opens");
        file.execute_batch(sql).expect("done");
    }
}
