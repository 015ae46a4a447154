//! `creel db …`: the database that holds the state, looked at and brought up to date without `creel up`.

use creel_protocol::Layout;
use creel_store::{Address, Place};
use serde::Serialize;

use super::{
    account::Account,
    args::{DbArgs, DbCommand, DbCopyArgs},
    data::{self, Lock},
    sentence,
};
use crate::{
    failure::Result,
    out::{Out, table::Table},
};

/// What `creel db status` says.
#[derive(Serialize)]
struct Status {
    /// Without a password.
    database: String,
    /// 0 before the first migration.
    schema_version: u32,
    /// What this Creel brings.
    known_version: u32,
}

impl Status {
    fn text(&self) -> String {
        let (found, known) = (self.schema_version, self.known_version);
        let next = match found.cmp(&known) {
            std::cmp::Ordering::Equal => "up to date".to_owned(),
            std::cmp::Ordering::Less => {
                format!("this Creel brings version {known}: run `creel db migrate`, or `creel up`")
            }
            std::cmp::Ordering::Greater => {
                format!("this Creel knows versions up to {known}: install the newer Creel again")
            }
        };
        format!("{}: schema version {found}, {next}", self.database)
    }
}

pub(crate) fn run(command: &DbCommand, out: Out) -> Result<()> {
    match command {
        DbCommand::Status(args) => status(&place(args)?, out),
        DbCommand::Migrate(args) => {
            let place = place(args)?;
            wait(place.migrate())?;
            status(&place, out)
        }
        DbCommand::Copy(args) => copy(args, out),
    }
}

fn status(place: &Place, out: Out) -> Result<()> {
    let schema = wait(place.schema())?;
    let status = Status {
        database: place.to_string(),
        schema_version: schema.found,
        known_version: schema.known,
    };
    out.show(&status, || status.text())
}

/// A table that was copied.
#[derive(Serialize)]
struct Copied {
    table: String,
    rows: u64,
    hash: String,
}

fn copy(args: &DbCopyArgs, out: Out) -> Result<()> {
    let layout = Layout::new(data::absolute(&args.data)?);
    let to = Address::parse(&args.to).map_err(sentence)?;
    // Nobody starts it meanwhile either.
    let _lock = Lock::take(&layout)?;
    become_control()?;
    let tables = wait(creel_store::copy(&layout.database(), &to))?;
    let copied: Vec<_> = tables
        .into_iter()
        .map(|table| Copied {
            table: table.name,
            rows: table.rows,
            hash: table.hash,
        })
        .collect();
    out.show(&copied, || {
        let mut table = Table::new(&["TABLE", "ROWS", "HASH IN BOTH"]);
        for row in &copied {
            table.row([row.table.clone(), row.rows.to_string(), row.hash[..16].to_owned()]);
        }
        table.render()
    })
}

fn wait<T>(work: impl Future<Output = std::result::Result<T, creel_store::Error>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(work).map_err(sentence)
}

/// The database as control sees it: what root makes here, control could not open.
fn place(args: &DbArgs) -> Result<Place> {
    let layout = Layout::new(data::absolute(&args.data)?);
    let place = Place::parse(args.database.as_deref(), &layout.database()).map_err(sentence)?;
    become_control()?;
    Ok(place)
}

fn become_control() -> Result<()> {
    if rustix::process::geteuid().is_root() {
        Account::of_this_host().become_for_good()?;
    }
    Ok(())
}
