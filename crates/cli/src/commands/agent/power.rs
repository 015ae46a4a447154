//! `creel agent start|sleep|stop|restart`: each waits until it is so.

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
    report(args, context, agent, End::Running).await
}

pub(super) async fn sleep(args: &PowerArgs, context: &Context) -> Result<()> {
    let agent = intend(args, context, Intent::Sleep).await?;
    report(args, context, agent, End::Asleep).await
}

pub(super) async fn stop(args: &PowerArgs, context: &Context) -> Result<()> {
    let agent = intend(args, context, Intent::Stop).await?;
    report(args, context, agent, End::Stopped).await
}

pub(super) async fn restart(args: &PowerArgs, context: &Context) -> Result<()> {
    context.client.restart_agent(&args.agent).await?;
    let agent = context.client.agent(&args.agent).await?;
    report(args, context, agent, End::Running).await
}

async fn intend(args: &PowerArgs, context: &Context, intent: Intent) -> Result<Agent> {
    let patch = PatchAgent {
        intent: Some(intent),
        ..PatchAgent::default()
    };
    set::change(context, &args.agent, |_| Ok(patch.clone())).await
}

/// What is waited for.
#[derive(Clone, Copy)]
enum End {
    Running,
    Asleep,
    Stopped,
}

async fn report(args: &PowerArgs, context: &Context, agent: Agent, end: End) -> Result<()> {
    let agent = match end {
        _ if args.detach => agent,
        End::Running => wait::until_running(context, &args.agent).await?,
        End::Asleep => wait::until_asleep(context, &args.agent).await?,
        End::Stopped => wait::until_stopped(context, &args.agent).await?,
    };
    context.out.show(&agent, || agent.name.to_string())
}
