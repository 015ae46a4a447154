//! `creel agent hold` and `release`: an agent that does not fall asleep for a while.

use creel_api::{Agent, HoldAgent};

use super::seconds;
use crate::{context::Context, failure::Result};

/// Keep an agent awake for a while, and wake it if it sleeps
///
/// It falls asleep by itself no earlier; `creel agent sleep` puts it to rest all the same, and ends this.
#[derive(Debug, clap::Args)]
pub(crate) struct HoldArgs {
    /// Name or id
    agent: String,
    /// For how long, such as 30m or 8h: at most a day
    #[arg(long = "for", value_name = "TIME", value_parser = seconds)]
    long: u32,
}

pub(super) async fn hold(args: &HoldArgs, context: &Context) -> Result<()> {
    let hold = HoldAgent { seconds: args.long };
    let agent = context.client.hold_agent(&args.agent, &hold).await?;
    shown(&agent, context)
}

pub(super) async fn release(agent: &str, context: &Context) -> Result<()> {
    let agent = context.client.release_agent(agent).await?;
    shown(&agent, context)
}

fn shown(agent: &Agent, context: &Context) -> Result<()> {
    context.out.show(agent, || match agent.held_until {
        Some(until) => format!("{} is kept awake until {until:.0}", agent.name),
        None => agent.name.to_string(),
    })
}
