//! A whole file, table by table, as it is at one moment.

use std::path::Path;

use rusqlite::{Connection, params};

use super::{open_writer_connection, session::value};
use crate::{Error, rows::Value};

pub(crate) struct Source(Connection);

pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) columns: Vec<String>,
}

impl Source {
    /// Brings the schema up to date first: what is copied is what this Creel knows.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        if !path.exists() {
            return Err(Error::NotFound("database file"));
        }
        let connection = open_writer_connection(path)?;
        connection.execute_batch("BEGIN")?;
        Ok(Self(connection))
    }

    /// Those that others refer to come before them. What the engine and the migrations keep for themselves is
    /// not among them.
    pub(crate) fn tables(&self) -> Result<Vec<Table>, Error> {
        let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'
                   AND name <> 'migrations' ORDER BY name";
        let mut waiting = self.texts(sql)?;
        let mut ordered: Vec<Table> = Vec::new();
        while !waiting.is_empty() {
            let mut later = Vec::new();
            let before = waiting.len();
            for name in std::mem::take(&mut waiting) {
                let needs = self.texts(&format!(
                    "SELECT DISTINCT \"table\" FROM pragma_foreign_key_list('{name}')"
                ))?;
                let there = |need: &String| *need == name || ordered.iter().any(|table| table.name == *need);
                if needs.iter().all(there) {
                    let columns = self.texts(&format!("SELECT name FROM pragma_table_info('{name}')"))?;
                    ordered.push(Table { name, columns });
                } else {
                    later.push(name);
                }
            }
            if later.len() == before {
                return Err(Error::Corrupt(
                    "tables that refer to each other in a circle".to_owned(),
                ));
            }
            waiting = later;
        }
        Ok(ordered)
    }

    /// Rows after the row `after`, each with its number.
    pub(crate) fn page(
        &self,
        table: &Table,
        after: i64,
        most: usize,
    ) -> Result<Vec<(i64, Vec<Value>)>, Error> {
        let sql = format!(
            "SELECT rowid, {} FROM {} WHERE rowid > $1 ORDER BY rowid LIMIT $2",
            table.columns.join(", "),
            table.name
        );
        let mut statement = self.0.prepare_cached(&sql)?;
        let mut rows = statement.query(params![after, most as i64])?;
        let mut page = Vec::new();
        while let Some(row) = rows.next()? {
            let values = (1..=table.columns.len())
                .map(|index| row.get_ref(index).map_err(Error::from).and_then(value));
            page.push((row.get(0)?, values.collect::<Result<_, _>>()?));
        }
        Ok(page)
    }

    fn texts(&self, sql: &str) -> Result<Vec<String>, Error> {
        let mut statement = self.0.prepare(sql)?;
        let found = statement.query_map([], |row| row.get(0))?;
        Ok(found.collect::<Result<_, _>>()?)
    }
}
