//! One connection to a SQLite file. A statement is done when it returns.

use std::sync::Arc;

use rusqlite::{Connection, types::ValueRef};

use crate::{
    Error,
    rows::{Row, Value},
};

pub(crate) struct Session(Connection);

impl Session {
    pub(crate) fn new(connection: Connection) -> Self {
        Self(connection)
    }

    pub(crate) fn run(&mut self, sql: &str, values: &[Value]) -> Result<u64, Error> {
        let mut statement = self.0.prepare_cached(sql)?;
        bind(&mut statement, values)?;
        Ok(statement.raw_execute()? as u64)
    }

    pub(crate) fn rows(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, Error> {
        let mut statement = self.0.prepare_cached(sql)?;
        bind(&mut statement, values)?;
        let columns: Arc<[String]> = statement.column_names().map(str::to_owned).collect();
        let mut found = Vec::new();
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            let values =
                (0..columns.len()).map(|index| row.get_ref(index).map_err(Error::from).and_then(value));
            found.push(Row::new(Arc::clone(&columns), values.collect::<Result<_, _>>()?));
        }
        Ok(found)
    }

    pub(crate) fn begin_write(&mut self) -> Result<(), Error> {
        self.control("BEGIN IMMEDIATE")
    }

    pub(crate) fn begin_read(&mut self) -> Result<(), Error> {
        self.control("BEGIN")
    }

    pub(crate) fn savepoint(&mut self) -> Result<(), Error> {
        self.control("SAVEPOINT body")
    }

    pub(crate) fn keep(&mut self) -> Result<(), Error> {
        self.control("RELEASE body")
    }

    /// Undoes everything since the savepoint.
    pub(crate) fn forget(&mut self) -> Result<(), Error> {
        self.control("ROLLBACK TO body")?;
        self.control("RELEASE body")
    }

    pub(crate) fn commit(&mut self) -> Result<(), Error> {
        self.control("COMMIT")
    }

    /// Ends what is open, if anything is: some errors end the transaction by themselves.
    pub(crate) fn roll_back(&mut self) {
        if !self.0.is_autocommit()
            && let Err(error) = self.control("ROLLBACK")
        {
            tracing::error!(%error, "a transaction could not be rolled back");
        }
    }

    fn control(&mut self, sql: &str) -> Result<(), Error> {
        self.0.prepare_cached(sql)?.raw_execute()?;
        Ok(())
    }
}

/// SQLite numbers `$5` by where it first stands, and takes the 5 for a name: bind by that name.
fn bind(statement: &mut rusqlite::Statement<'_>, values: &[Value]) -> Result<(), Error> {
    for index in 1..=statement.parameter_count() {
        let number = statement
            .parameter_name(index)
            .and_then(|name| name.strip_prefix('$'))
            .and_then(|number| number.parse::<usize>().ok());
        let value = number.and_then(|number| values.get(number.wrapping_sub(1)));
        let value =
            value.ok_or_else(|| Error::Corrupt("a statement and its values do not fit".to_owned()))?;
        match value {
            Value::Null => statement.raw_bind_parameter(index, rusqlite::types::Null)?,
            Value::Int(int) => statement.raw_bind_parameter(index, int)?,
            Value::Text(text) => statement.raw_bind_parameter(index, text)?,
            Value::Bytes(bytes) => statement.raw_bind_parameter(index, bytes)?,
            Value::Id(id) => statement.raw_bind_parameter(index, &id.as_bytes()[..])?,
        }
    }
    Ok(())
}

pub(super) fn value(value: ValueRef<'_>) -> Result<Value, Error> {
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(int) => Value::Int(int),
        ValueRef::Text(text) => Value::Text(
            std::str::from_utf8(text)
                .map_err(|_| Error::Corrupt("a text is not UTF-8".to_owned()))?
                .to_owned(),
        ),
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
        ValueRef::Real(_) => return Err(Error::Corrupt("a number with a fraction".to_owned())),
    })
}
