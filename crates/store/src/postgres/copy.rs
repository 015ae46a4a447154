//! Moves a whole SQLite installation into an empty PostgreSQL database: one transaction, proven by counts and
//! hashes before it is committed.

use std::path::Path;

use futures_util::future::try_join_all;
use tokio_postgres::Client;

use super::{Address, SCHEMA, migrate::migrate};
use crate::{
    Error,
    rows::Value,
    sqlite::{Source, Table},
};

/// Rows read, sent and compared at a time.
const PAGE: usize = 500;

/// A table as it was found in both databases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiedTable {
    pub name: String,
    pub rows: u64,
    /// Of the rows' contents in whatever order, in hexadecimal digits.
    pub hash: String,
}

/// Copies everything. Nobody else should write to the file meanwhile; what one does is not copied. Fails
/// without a trace when the target holds anything, or is not equal in the end.
pub async fn copy(from: &Path, to: &Address) -> Result<Vec<CopiedTable>, Error> {
    let source = Source::open(from)?;
    migrate(to).await?;
    let client = to.connect(|_| {}).await?;
    // A connection that breaks, or is dropped after an error, takes the transaction with it.
    let begin = format!("BEGIN; SET LOCAL creel.maintenance = 'on'; SET LOCAL search_path TO {SCHEMA}");
    client.batch_execute(&begin).await?;
    let tables = source.tables()?;
    for table in &tables {
        let sql = format!("SELECT EXISTS (SELECT FROM {})", table.name);
        if client.query_one(&sql, &[]).await?.try_get::<_, bool>(0)? {
            return Err(Error::NotEmpty);
        }
    }
    let mut copied = Vec::new();
    for table in &tables {
        let sent = send(&source, table, &client).await?;
        let found = look(table, &client).await?;
        if sent != found {
            return Err(Error::CopyDiffers(table.name.clone()));
        }
        copied.push(CopiedTable {
            name: table.name.clone(),
            rows: sent.rows,
            hash: sent.hex(),
        });
    }
    count_on(&client).await?;
    client.batch_execute("COMMIT").await?;
    Ok(copied)
}

async fn send(source: &Source, table: &Table, client: &Client) -> Result<Sum, Error> {
    let numbers: Vec<_> = (1..=table.columns.len())
        .map(|number| format!("${number}"))
        .collect();
    let sql = format!(
        "INSERT INTO {} ({}) VALUES ({})",
        table.name,
        table.columns.join(", "),
        numbers.join(", ")
    );
    let insert = client.prepare(&sql).await?;
    let (mut sum, mut after) = (Sum::default(), i64::MIN);
    loop {
        let page = source.page(table, after, PAGE)?;
        let Some((last, _)) = page.last() else {
            return Ok(sum);
        };
        after = *last;
        page.iter().for_each(|(_, row)| sum.add(row));
        // Sent one behind the other, and waited for together.
        try_join_all(page.iter().map(|(_, row)| client.execute_raw(&insert, row))).await?;
    }
}

async fn look(table: &Table, client: &Client) -> Result<Sum, Error> {
    let columns = table.columns.join(", ");
    let sql = format!("DECLARE page CURSOR FOR SELECT {columns} FROM {}", table.name);
    client.batch_execute(&sql).await?;
    let mut sum = Sum::default();
    loop {
        let page = client.query(&format!("FETCH {PAGE} FROM page"), &[]).await?;
        if page.is_empty() {
            break;
        }
        for row in &page {
            let values = (0..row.len()).map(|index| row.try_get::<_, Value>(index));
            sum.add(&values.collect::<Result<Vec<_>, _>>()?);
        }
    }
    client.batch_execute("CLOSE page").await?;
    Ok(sum)
}

/// Numbers that the server gives go on after those that came along.
async fn count_on(client: &Client) -> Result<(), Error> {
    let sql =
        "SELECT c.relname::text, a.attname::text FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
               JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname = $1 AND a.attidentity <> '' AND c.relkind = 'r'";
    for row in client.query(sql, &[&SCHEMA]).await? {
        let (table, column): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let sql = format!(
            "SELECT setval(pg_get_serial_sequence('{SCHEMA}.{table}', '{column}'),
                           (SELECT COALESCE(MAX({column}), 0) + 1 FROM {table}), false)"
        );
        client.batch_execute(&sql).await?;
    }
    Ok(())
}

/// How many rows, and the sum of their SHA-256: the same in whatever order they come.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sum {
    rows: u64,
    lanes: [u64; 4],
}

impl Sum {
    fn add(&mut self, row: &[Value]) {
        let mut bytes = Vec::new();
        for value in row {
            let (kind, content): (u8, &[u8]) = match value {
                Value::Null => (0, &[]),
                Value::Int(int) => (1, &int.to_be_bytes()),
                Value::Text(text) => (2, text.as_bytes()),
                // One engine's bytes are the other's id.
                Value::Bytes(content) => (3, content),
                Value::Id(id) => (3, id.as_bytes()),
            };
            bytes.push(kind);
            bytes.extend((content.len() as u64).to_be_bytes());
            bytes.extend(content);
        }
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes);
        for (lane, part) in self.lanes.iter_mut().zip(digest.as_ref().chunks_exact(8)) {
            let part = part.try_into().map_or(0, u64::from_be_bytes);
            *lane = lane.wrapping_add(part);
        }
        self.rows += 1;
    }

    fn hex(&self) -> String {
        self.lanes.iter().map(|lane| format!("{lane:016x}")).collect()
    }
}
