//! Connections to PostgreSQL: so many at a time, kept while they are sound.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::{Address, PATIENCE, SCHEMA, Session, wall::Roles};
use crate::{Error, tx::Tx};

/// What every connection is set to. Waits end on the server's side, so that nothing stays locked for long.
const SETTINGS: &str = "SET lock_timeout = '10s'; SET statement_timeout = '30s';
    SET idle_in_transaction_session_timeout = '30s'; SET client_min_messages = 'warning';";

pub(super) struct Pool {
    address: Address,
    roles: Roles,
    idle: Mutex<Vec<Tx>>,
    places: Arc<Semaphore>,
}

/// A connection in use. Only one that is given back is used again: whatever else happens, it is closed, and
/// the server undoes what was open.
pub(super) struct Lent {
    pub(super) tx: Tx,
    _place: OwnedSemaphorePermit,
}

impl Pool {
    pub(super) fn new(address: Address, roles: Roles, places: usize) -> Self {
        Self {
            address,
            roles,
            idle: Mutex::default(),
            places: Arc::new(Semaphore::new(places)),
        }
    }

    /// Waits for a place, and for a connection if none is idle.
    pub(super) async fn lend(&self) -> Result<Lent, Error> {
        let place = timeout(PATIENCE, Arc::clone(&self.places).acquire_owned())
            .await
            .map_err(|_| Error::Busy)?
            .map_err(|_| Error::Interrupted)?;
        let tx = match self.pop() {
            Some(tx) => tx,
            None => self.connect().await?,
        };
        Ok(Lent { tx, _place: place })
    }

    pub(super) fn give_back(&self, lent: Lent) {
        if !self.places.is_closed() {
            self.idle().push(lent.tx);
        }
    }

    /// One was found broken: the others most likely are too.
    pub(super) fn forget_idle(&self) {
        self.idle().clear();
    }

    pub(super) fn close(&self) {
        self.places.close();
        self.forget_idle();
    }

    fn pop(&self) -> Option<Tx> {
        let mut idle = self.idle();
        idle.retain_mut(|tx| !tx.postgres_session().is_closed());
        idle.pop()
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Tx>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self) -> Result<Tx, Error> {
        let client = self.address.connect(|_| {}).await?;
        let role = &self.roles.tenant;
        let sql = format!("{SETTINGS} SET search_path TO {SCHEMA}; SET ROLE {role}");
        client.batch_execute(&sql).await?;
        Ok(Tx::postgres(Session::new(client)))
    }
}
