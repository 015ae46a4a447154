//! Connections: one that writes, a few that read, all used on blocking threads.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use tokio::sync::Semaphore;

use crate::{Error, migrations};

/// Readers at a time; more wait.
const READERS: usize = 4;

pub(crate) struct Database {
    writer: Mutex<Connection>,
    readers: Mutex<Vec<Connection>>,
    places: Arc<Semaphore>,
}

fn configure(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.busy_timeout(Duration::from_secs(5))?;
    // FULL: what was accepted survives a power cut, not only a kill.
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;",
    )
}

impl Database {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let mut writer = Connection::open(path)?;
        configure(&writer)?;
        migrations::migrate(&mut writer)?;
        let mut readers = Vec::with_capacity(READERS);
        for _ in 0..READERS {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let reader = Connection::open_with_flags(path, flags)?;
            reader.busy_timeout(Duration::from_secs(5))?;
            readers.push(reader);
        }
        Ok(Self {
            writer: Mutex::new(writer),
            readers: Mutex::new(readers),
            places: Arc::new(Semaphore::new(READERS)),
        })
    }

    /// One transaction; nothing of it stays when `act` fails or panics.
    pub(crate) async fn write<T: Send + 'static>(
        self: &Arc<Self>,
        act: impl FnOnce(&Transaction<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let database = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            let mut writer = database.writer.lock().unwrap_or_else(PoisonError::into_inner);
            let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = act(&transaction)?;
            transaction.commit()?;
            Ok(value)
        })
        .await
        .map_err(|_| Error::Interrupted)?
    }

    pub(crate) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        look: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let place = Arc::clone(&self.places)
            .acquire_owned()
            .await
            .map_err(|_| Error::Interrupted)?;
        let database = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            // Given back when the look is over, also when the caller has long gone.
            let _place = place;
            let lock = || database.readers.lock().unwrap_or_else(PoisonError::into_inner);
            let reader = lock().pop().ok_or(Error::Interrupted)?;
            let value = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| look(&reader)));
            lock().push(reader);
            value.unwrap_or(Err(Error::Interrupted))
        })
        .await
        .map_err(|_| Error::Interrupted)?
    }
}
