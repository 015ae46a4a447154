//! `creel events`: what happened in the org, in order.

use creel_api::Event;
use futures_util::StreamExt;

use crate::{
    context::Context,
    failure::Result,
    out::{columns, style, table::cut},
};

/// Show what happened
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  creel events
  creel events -f --json
  creel events --after 1200")]
pub(crate) struct EventsArgs {
    /// Go on with what comes, until Ctrl-C
    #[arg(long, short)]
    follow: bool,
    /// Only events after this number
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    after: u64,
}

pub(crate) async fn run(args: &EventsArgs, context: &Context) -> Result<()> {
    let mut after = args.after;
    if args.follow {
        let mut events = context.client.follow_events(after);
        while let Some(event) = events.next().await {
            print(&event?, context)?;
        }
        return Ok(());
    }
    loop {
        let page = context.client.events(after).await?;
        for event in &page.items {
            print(event, context)?;
        }
        if page.items.is_empty() || page.last_sequence <= after {
            return Ok(());
        }
        after = page.last_sequence;
    }
}

fn print(event: &Event, context: &Context) -> Result<()> {
    if context.out.json {
        return context.out.json_line(event);
    }
    let line = format!(
        "{:>6}  {:.0}  {:<16} {}",
        event.sequence, event.at, event.kind, event.data
    );
    let width = columns();
    context.out.text(&style::plain(&cut(&line, width)))
}
