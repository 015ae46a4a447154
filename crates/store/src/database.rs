//! Which engine there is. Here is the only branch between them; nobody who calls the store knows.

use std::sync::Arc;

use crate::{
    Error, postgres, sqlite,
    tx::{Body, Tx},
};

use creel_domain::OrgId;

/// Whose rows a transaction is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    /// This tenant's and nobody else's, also where a statement forgets to say so.
    Org(OrgId),
    /// What concerns everybody: few tables, and few things to do to them.
    Platform,
}

/// What a writing body relies on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alone {
    /// Nobody else writes in the same scope meanwhile: what was read still holds when it writes.
    Yes,
    /// Nothing: it is one statement.
    No,
}

#[derive(Clone)]
pub(crate) enum Database {
    Sqlite(Arc<sqlite::Database>),
    Postgres(Arc<postgres::Database>),
}

impl Database {
    pub(crate) async fn write<T, F>(&self, scope: Scope, alone: Alone, body: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> Body<'t, T> + Clone + Send + 'static,
    {
        match self {
            // Its only writer is alone in any case.
            Self::Sqlite(database) => database.write(body).await,
            Self::Postgres(database) => database.write(scope, alone, body).await,
        }
    }

    pub(crate) async fn read<T, F>(&self, scope: Scope, body: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> Body<'t, T> + Clone + Send + 'static,
    {
        match self {
            Self::Sqlite(database) => database.read(body).await,
            Self::Postgres(database) => database.read(scope, body).await,
        }
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(database) => database.close().await,
            Self::Postgres(database) => database.close().await,
        }
    }
}
