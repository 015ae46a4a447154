//! `creel agent start|stop|restart`: each waits until it is so.

use creel_api::{Agent, PatchAgent};
use creel_domain::Intent;

use super::{set, wait};
use crate::{context::Context, failure::Result};

#[derive(Debug, clap::Args)]
pub(crate) struct PowerArgs {
    /// Name or id
    agent: String,
    /// Return at once instead of waiting
    #[arg(long, short)]
    detach: bool,
}

pub(super) async fn start(args: &PowerArgs, context: &Context) -> Result<()> {
    let agent = intend(args, context, Intent::Run).await?;
    report(args, context, agent, true).await
}

pub(super) async fn stop(args: &PowerArgs, context: &Context) -> Result<()> {
    let agent = intend(args, context, Intent::Stop).await?;
    report(args, context, agent, false).await
}

pub(super) async fn restart(args: &PowerArgs, context: &Context) -> Result<()> {
    context.client.restart_agent(&args.agent).await?;
    let agent = context.client.agent(&args.agent).await?;
    report(args, context, agent, true).await
}

async fn intend(args: &PowerArgs, context: &Context, intent: Intent) -> Result<Agent> {
    let patch = PatchAgent {
        intent: Some(intent),
        ..PatchAgent::default()
    };
    set::change(context, &args.agent, |_| Ok(patch.clone())).await
}

async fn report(args: &PowerArgs, context: &Context, agent: Agent, runs: bool) -> Result<()> {
    let agent = match (args.detach, runs) {
        (true, _) => agent,
        (false, true) => wait::until_running(context, &args.agent).await?,
        (false, false) => wait::until_stopped(context, &args.agent).await?,
    };
    context.out.show(&agent, || agent.name.to_string())
}
