//! `creel logs`: what the bridge and the runtime in an agent's sandbox say.

use creel_api::LogLine;
use futures_util::StreamExt;

use crate::{context::Context, failure::Result, out::style};

/// Show what an agent's sandbox says
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  creel logs scout
  creel logs -f --tail 20 scout")]
pub(crate) struct LogsArgs {
    /// Name or id
    agent: String,
    /// Go on with what comes, until Ctrl-C
    #[arg(long, short)]
    follow: bool,
    /// How many lines to begin with
    #[arg(long, short = 'n', value_name = "LINES", default_value_t = 200)]
    tail: usize,
}

pub(crate) async fn run(args: &LogsArgs, context: &Context) -> Result<()> {
    let mut lines = context.client.logs(&args.agent, args.tail, args.follow).await?;
    while let Some(line) = lines.next().await {
        let line = line?;
        if context.out.json {
            context.out.json_line(&line)?;
        } else {
            context.out.text(&human(&line))?;
        }
    }
    Ok(())
}

fn human(line: &LogLine) -> String {
    let style = style::stdout();
    let head = style.dim(&format!("{:.3} {:<14}", line.at, line.source));
    format!("{head} {}", style::plain(&line.text))
}
