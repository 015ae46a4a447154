//! One transaction, as the nouns see it: a statement, its numbered values, rows back.
//!
//! Statements are written once for every engine: `$1` for the first value wherever it stands, `RETURNING`,
//! `ON CONFLICT`; no function that only one engine has. A statement that failed ends its transaction: on
//! PostgreSQL nothing after it would be done, so a body returns the error and never goes on.

use std::{future::Future, pin::Pin};

use crate::{
    Error,
    audit::Acting,
    postgres,
    rows::{Row, Value},
    sqlite,
};

/// A noun's work in one transaction. It waits for its own statements and for nothing else.
pub(crate) type Body<'t, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 't>>;

pub(crate) struct Tx {
    engine: Engine,
    /// Whether an event was appended.
    pub(crate) told: bool,
    /// In whose name it writes; none: it only reads.
    pub(crate) acting: Option<Acting>,
}

enum Engine {
    Sqlite(sqlite::Session),
    // Large next to the other one, and moved about.
    Postgres(Box<postgres::Session>),
}

impl Tx {
    pub(crate) fn sqlite(session: sqlite::Session) -> Self {
        Self {
            engine: Engine::Sqlite(session),
            told: false,
            acting: None,
        }
    }

    pub(crate) fn postgres(session: postgres::Session) -> Self {
        Self {
            engine: Engine::Postgres(Box::new(session)),
            told: false,
            acting: None,
        }
    }

    /// Runs a statement; how many rows it changed.
    pub(crate) async fn run(&mut self, sql: &str, values: &[Value]) -> Result<u64, Error> {
        match &mut self.engine {
            Engine::Sqlite(session) => session.run(sql, values),
            Engine::Postgres(session) => session.run(sql, values).await,
        }
    }

    /// Runs a statement; all the rows that come of it. It is the statement that bounds them.
    pub(crate) async fn rows(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, Error> {
        match &mut self.engine {
            Engine::Sqlite(session) => session.rows(sql, values),
            Engine::Postgres(session) => session.rows(sql, values).await,
        }
    }

    /// As [`Tx::rows`], for statements that give one row or none.
    pub(crate) async fn row(&mut self, sql: &str, values: &[Value]) -> Result<Option<Row>, Error> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }

    /// For the threads that were made with a SQLite session.
    pub(crate) fn sqlite_session(&mut self) -> &mut sqlite::Session {
        match &mut self.engine {
            Engine::Sqlite(session) => session,
            Engine::Postgres(_) => unreachable!("SQLite's threads hold SQLite's sessions"),
        }
    }

    /// For the pool that was made with PostgreSQL sessions.
    pub(crate) fn postgres_session(&mut self) -> &mut postgres::Session {
        match &mut self.engine {
            Engine::Postgres(session) => session,
            Engine::Sqlite(_) => unreachable!("PostgreSQL's pool holds PostgreSQL's sessions"),
        }
    }
}
