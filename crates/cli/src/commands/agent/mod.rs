//! `creel agent …`: what an org owns.

mod create;
mod hold;
mod ls;
mod power;
mod rest;
mod rm;
mod set;
mod show;
mod wait;

pub(super) use rest::seconds;

use clap::Subcommand;
use creel_domain::{AgentState, Depth};

use crate::{context::Context, failure::Result};

#[derive(Debug, Subcommand)]
pub(crate) enum AgentCommand {
    Create(create::CreateArgs),
    /// List all agents
    #[command(visible_alias = "list")]
    Ls,
    /// Show all about one agent
    Show {
        /// Name or id
        agent: String,
    },
    Set(set::SetArgs),
    /// Start a stopped agent, or wake one that sleeps, and wait until it runs
    Start(power::PowerArgs),
    /// Put an agent to rest until somebody needs it
    Sleep(power::PowerArgs),
    Hold(hold::HoldArgs),
    /// Keep an agent awake no longer
    Release {
        /// Name or id
        agent: String,
    },
    /// Stop an agent; its volume is kept
    Stop(power::PowerArgs),
    /// Make an agent's sandbox anew; its volume is kept
    Restart(power::PowerArgs),
    Rm(rm::RmArgs),
}

pub(crate) async fn run(command: AgentCommand, context: &Context) -> Result<()> {
    match command {
        AgentCommand::Create(args) => create::run(args, context).await,
        AgentCommand::Ls => ls::run(context).await,
        AgentCommand::Show { agent } => show::run(&agent, context).await,
        AgentCommand::Set(args) => set::run(args, context).await,
        AgentCommand::Start(args) => power::start(&args, context).await,
        AgentCommand::Sleep(args) => power::sleep(&args, context).await,
        AgentCommand::Hold(args) => hold::hold(&args, context).await,
        AgentCommand::Release { agent } => hold::release(&agent, context).await,
        AgentCommand::Stop(args) => power::stop(&args, context).await,
        AgentCommand::Restart(args) => power::restart(&args, context).await,
        AgentCommand::Rm(args) => rm::run(&args, context).await,
    }
}

/// Where an agent stands, in a few words: `starting: preparing image openclaw 43 %`.
fn state_sentence(state: &AgentState) -> String {
    match state {
        AgentState::Starting { waiting, .. } if !waiting.is_empty() => format!("starting: {waiting}"),
        AgentState::Faulted { reason, .. } => format!("faulted: {reason}"),
        AgentState::Asleep {
            depth: Depth::Frozen, ..
        } => "asleep".to_owned(),
        AgentState::Asleep {
            depth: Depth::PagedOut,
            ..
        } => "asleep, paged out".to_owned(),
        AgentState::Asleep {
            depth: Depth::OnDisk, ..
        } => "asleep on disk".to_owned(),
        _ => state.as_str().to_owned(),
    }
}
