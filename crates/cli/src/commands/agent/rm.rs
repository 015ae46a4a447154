//! `creel agent rm`: deletes agents and all that is theirs.

use super::wait;
use crate::{
    context::Context,
    failure::{Failure, Result},
    out,
};

/// Delete agents, with their volumes and all that was said to them
#[derive(Debug, clap::Args)]
pub(crate) struct RmArgs {
    /// Names or ids
    #[arg(required = true)]
    agents: Vec<String>,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// Return at once instead of waiting until they are gone
    #[arg(long, short)]
    detach: bool,
}

pub(super) async fn run(args: &RmArgs, context: &Context) -> Result<()> {
    let names = args.agents.join(", ");
    if !args.yes && !out::confirm(&format!("delete {names} with all files, for good"))? {
        return Err(Failure::sentence("nothing was deleted"));
    }
    for agent in &args.agents {
        context.client.delete_agent(agent).await?;
    }
    for agent in &args.agents {
        if !args.detach {
            wait::until_gone(context, agent).await?;
        }
        if !context.out.json {
            context.out.text(agent)?;
        }
    }
    if context.out.json {
        context.out.json(&args.agents)
    } else {
        Ok(())
    }
}
