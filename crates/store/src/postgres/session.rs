//! One connection to PostgreSQL: its prepared statements, and the transaction it is in.
//!
//! ```text
//! begin(sql) ── kept back ──▶ first statement: both leave in one flight ──▶ … ──▶ commit | roll_back
//! ```

use std::{collections::HashMap, sync::Arc};

use tokio_postgres::{Client, Statement, types::ToSql};

use crate::{
    Error,
    rows::{Row, Value},
};

/// Prepared statements of one connection. Past them, all are prepared anew.
const STATEMENTS: usize = 512;

pub(crate) struct Session {
    client: Client,
    prepared: HashMap<String, Prepared>,
    /// How the transaction begins, as long as it has not.
    begin: Option<String>,
    /// A statement failed: the server does nothing more until the transaction ends.
    failed: Option<Error>,
}

#[derive(Clone)]
struct Prepared {
    statement: Statement,
    columns: Arc<[String]>,
}

impl Session {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            prepared: HashMap::new(),
            begin: None,
            failed: None,
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Begins a transaction together with its first statement.
    pub(super) fn begin(&mut self, begin: String) {
        self.begin = Some(begin);
        self.failed = None;
    }

    pub(crate) async fn run(&mut self, sql: &str, values: &[Value]) -> Result<u64, Error> {
        let prepared = self.prepare(sql, values).await?;
        let parameters = parameters(values);
        let begin = self.begin.take();
        let done = flight(
            &self.client,
            begin,
            self.client.execute(&prepared.statement, &parameters),
        )
        .await;
        self.noting(done)
    }

    pub(crate) async fn rows(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, Error> {
        let prepared = self.prepare(sql, values).await?;
        let parameters = parameters(values);
        let begin = self.begin.take();
        let found = flight(
            &self.client,
            begin,
            self.client.query(&prepared.statement, &parameters),
        )
        .await;
        let found = self.noting(found)?;
        found
            .iter()
            .map(|row| {
                let values = (0..row.len()).map(|index| row.try_get::<_, Value>(index).map_err(Error::from));
                Ok(Row::new(
                    Arc::clone(&prepared.columns),
                    values.collect::<Result<_, _>>()?,
                ))
            })
            .collect()
    }

    async fn prepare(&mut self, sql: &str, values: &[Value]) -> Result<Prepared, Error> {
        let prepared = match self.prepared.get(sql) {
            Some(prepared) => prepared.clone(),
            None => {
                let statement = self.client.prepare(sql).await.map_err(Error::from);
                let statement = self.noting(statement)?;
                let columns = statement.columns().iter().map(|column| column.name().to_owned());
                let prepared = Prepared {
                    columns: columns.collect(),
                    statement,
                };
                if self.prepared.len() == STATEMENTS {
                    self.prepared.clear();
                }
                self.prepared.insert(sql.to_owned(), prepared.clone());
                prepared
            }
        };
        if prepared.statement.params().len() != values.len() {
            return self.noting(Err(Error::Corrupt(
                "a statement and its values do not fit".to_owned(),
            )));
        }
        Ok(prepared)
    }

    /// Remembers a failure, so that a body which overlooks it is not taken for done.
    fn noting<T>(&mut self, outcome: Result<T, Error>) -> Result<T, Error> {
        if let Err(error) = &outcome {
            self.failed.get_or_insert_with(|| error.clone());
        }
        outcome
    }

    /// Keeps what was done. Fails if any statement failed: then nothing is kept.
    pub(super) async fn commit(&mut self) -> Result<(), Error> {
        if let Some(failed) = self.failed.clone() {
            return Err(failed);
        }
        if self.begin.take().is_some() {
            return Ok(());
        }
        let commit = self.client.batch_execute("COMMIT").await;
        commit.map_err(|error| match Error::from(error) {
            // The server may have heard it, or not.
            Error::Unreachable(source) => Error::Unsettled(source),
            error => error,
        })
    }

    /// Ends the transaction; what was read stays read.
    pub(super) async fn roll_back(&mut self) -> Result<(), Error> {
        if self.begin.take().is_none() {
            self.client.batch_execute("ROLLBACK").await?;
        }
        Ok(())
    }
}

fn parameters(values: &[Value]) -> Vec<&(dyn ToSql + Sync)> {
    values.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

/// A statement, and before it in the same flight what begins its transaction. Should that fail, the statement
/// runs outside of any scope, where no row of anybody is seen or taken.
async fn flight<T>(
    client: &Client,
    begin: Option<String>,
    statement: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, Error> {
    let Some(begin) = begin else {
        return Ok(statement.await?);
    };
    let (began, done) = futures_util::future::join(client.batch_execute(&begin), statement).await;
    began?;
    Ok(done?)
}
