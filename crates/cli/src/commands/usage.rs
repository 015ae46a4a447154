//! `creel usage`: what model calls used and cost, by the providers' own count.

use creel_api::{UsageGroup, UsageReport, UsageRow, client::UsageQuery};
use jiff::{Timestamp, civil::Date, tz::TimeZone};

use crate::{
    context::Context,
    failure::Result,
    out::{table::Table, units},
};

/// Show what model calls used and cost
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  creel usage
  creel usage --by day --from 2026-11-01
  creel usage --by model --agent scout")]
pub(crate) struct UsageArgs {
    /// What to sum by
    #[arg(long, value_enum, default_value = "agent")]
    by: By,
    /// First day (UTC) or moment
    #[arg(long, value_name = "DATE", value_parser = moment)]
    from: Option<Timestamp>,
    /// Day (UTC) or moment before which to end
    #[arg(long, value_name = "DATE", value_parser = moment)]
    to: Option<Timestamp>,
    /// Only this agent: name or id
    #[arg(long)]
    agent: Option<String>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum By {
    Agent,
    Model,
    Day,
}

pub(crate) fn moment(text: &str) -> std::result::Result<Timestamp, String> {
    let day = || {
        text.parse::<Date>()
            .ok()?
            .to_zoned(TimeZone::UTC)
            .ok()
            .map(|day| day.timestamp())
    };
    text.parse::<Timestamp>()
        .ok()
        .or_else(day)
        .ok_or_else(|| format!("`{text}` is no date: write for example 2026-11-01 or 2026-11-01T12:00:00Z"))
}

pub(crate) async fn run(args: UsageArgs, context: &Context) -> Result<()> {
    let query = UsageQuery {
        from: args.from,
        to: args.to,
        group: match args.by {
            By::Agent => UsageGroup::Agent,
            By::Model => UsageGroup::Model,
            By::Day => UsageGroup::Day,
        },
        agent: args.agent,
    };
    let report = context.client.usage(&query).await?;
    context.out.show(&report, || human(&report))?;
    remarks(&report.total, context);
    Ok(())
}

fn human(report: &UsageReport) -> String {
    let heading = match report.group {
        UsageGroup::Agent => "AGENT",
        UsageGroup::Model => "MODEL",
        UsageGroup::Day => "DAY",
    };
    let mut table = Table::new(&[heading, "CALLS", "INPUT", "CACHED", "OUTPUT", "COST"])
        .gives_way(0)
        .right(&[1, 2, 3, 4, 5]);
    let total = (String::from("total"), &report.total);
    let rows = report
        .items
        .iter()
        .map(|row| (row.name.clone().unwrap_or_else(|| row.key.clone()), row));
    for (label, row) in rows.chain([total]) {
        table.row([
            label,
            units::count(row.calls),
            units::count(row.input_tokens),
            units::count(row.cached_input_tokens),
            units::count(row.output_tokens),
            units::money(row.cost_micro_usd),
        ]);
    }
    table.render()
}

/// What the sums leave out is said, never counted as nothing.
fn remarks(total: &UsageRow, context: &Context) {
    let (usage, price) = (total.calls_without_usage, total.calls_without_price);
    if usage > 0 {
        context.out.note(&format!(
            "{usage} calls are not in the tokens and the cost: their provider reported no usage."
        ));
    }
    if price > 0 {
        context.out.note(&format!(
            "{price} calls are not in the cost: their model has no known price."
        ));
    }
}
