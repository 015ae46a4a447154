//! `creel audit …`: who did what in the org, and whether what is said of it is true.

mod file;

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
};

use clap::Subcommand;
use creel_api::{AuditRecord, client::AuditQuery};
use jiff::Timestamp;

use crate::{
    commands::usage::moment,
    context::Context,
    failure::{Failure, Result},
    out::table::Table,
};

/// Entries asked for at a time.
const PAGE: u32 = 200;

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Show who did what, newest first
    #[command(visible_alias = "list")]
    #[command(after_help = "\
Examples:
  creel audit ls
  creel audit ls --since 2026-11-01 --action token.
  creel audit ls --actor operator --json")]
    Ls(LsArgs),
    /// Print all entries as lines of JSON (OCSF), oldest first
    #[command(after_help = "\
Examples:
  creel audit export > trail.jsonl
  creel audit export --after 1200 >> trail.jsonl")]
    Export {
        /// Only entries after this number
        #[arg(long, value_name = "NUMBER", default_value_t = 0)]
        after: u64,
    },
    /// Find out whether entries were changed, moved, taken away or cut off
    ///
    /// Without a file the server looks at the whole trail, with its key. A file is checked here, hash by hash;
    /// that its end was not cut off is known where --head says how it ended.
    #[command(after_help = "\
Examples:
  creel audit verify
  creel audit verify trail.jsonl --head 1200:9f86d081…")]
    Verify {
        /// An export
        file: Option<PathBuf>,
        /// The newest entry's number and hash, as an earlier verification printed them
        #[arg(long, value_name = "NUMBER:HASH", requires = "file")]
        head: Option<file::Head>,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct LsArgs {
    /// Only from this day (UTC) or moment on
    #[arg(long, value_name = "DATE", value_parser = moment)]
    since: Option<Timestamp>,
    /// Only what this actor did: id, name, or `operator`, `platform`, `user`
    #[arg(long)]
    actor: Option<String>,
    /// Only this action, or all of a noun: `token.`
    #[arg(long)]
    action: Option<String>,
    /// At most so many
    #[arg(long, short = 'n', default_value_t = 50)]
    number: u32,
}

pub(crate) async fn run(command: AuditCommand, context: &Context) -> Result<()> {
    match command {
        AuditCommand::Ls(args) => ls(args, context).await,
        AuditCommand::Export { after } => export(after, context).await,
        AuditCommand::Verify { file: None, .. } => verify(context).await,
        AuditCommand::Verify {
            file: Some(path),
            head,
        } => {
            let file = std::fs::File::open(&path)
                .map_err(|error| Failure::sentence(format!("{} cannot be read: {error}", path.display())))?;
            let seen = file::check(BufReader::new(file).lines(), head.as_ref())
                .map_err(|wrong| Failure::sentence(&wrong))?;
            context.out.show(&seen, || seen.to_string())
        }
    }
}

async fn ls(args: LsArgs, context: &Context) -> Result<()> {
    let mut query = AuditQuery {
        since: args.since,
        actor: args.actor,
        action: args.action,
        ..AuditQuery::default()
    };
    let mut records = Vec::new();
    let most = args.number as usize;
    while records.len() < most {
        let rest = u32::try_from(most - records.len()).unwrap_or(PAGE);
        query.limit = Some(rest.min(PAGE));
        let page = context.client.audit(&query).await?;
        records.extend(page.items);
        query.cursor = page.next_cursor;
        if query.cursor.is_none() {
            break;
        }
    }
    context.out.show(&records, || table(&records))
}

fn table(records: &[AuditRecord]) -> String {
    let mut table = Table::new(&["NO", "AT", "WHO", "ACTION", "ON", "FROM", "RESULT"])
        .right(&[0])
        .gives_way(4);
    for record in records {
        let (actor, act) = (&record.entry.actor, &record.entry.act);
        let first = |texts: [&str; 2]| {
            texts
                .into_iter()
                .find(|text| !text.is_empty())
                .unwrap_or("-")
                .to_owned()
        };
        let times = if act.repeats > 1 {
            format!(" ×{}", act.repeats)
        } else {
            String::new()
        };
        table.row([
            record.entry.sequence.to_string(),
            record.entry.at.strftime("%F %T").to_string(),
            first([&actor.name, actor.kind.as_str()]),
            act.action.clone(),
            first([&act.target_name, &act.target]),
            first([&actor.address, ""]),
            format!("{}{times}", act.result.as_str()),
        ]);
    }
    table.render()
}

async fn export(mut after: u64, context: &Context) -> Result<()> {
    loop {
        let lines = context.client.audit_export(after, PAGE).await?;
        let Some(last) = lines.lines().last() else {
            return Ok(());
        };
        after = file::sequence(last).map_err(|wrong| Failure::sentence(&wrong))?;
        context.out.piece(&lines)?;
    }
}

async fn verify(context: &Context) -> Result<()> {
    let verdict = context.client.audit_verify().await?;
    if let Some(fault) = &verdict.fault {
        if context.out.json {
            context.out.json(&verdict)?;
        }
        return Err(Failure::sentence(format!(
            "the audit trail was tampered with. {} {} entries before it are as they were written",
            fault.detail, verdict.good
        )));
    }
    context.out.show(&verdict, || {
        let removed = match verdict.removed {
            0 => String::new(),
            removed => format!(" Entries up to {removed} were removed because they were old."),
        };
        format!(
            "All {} entries are as they were written.{removed}\nhead {}:{}",
            verdict.good, verdict.sequence, verdict.hash
        )
    })
}
