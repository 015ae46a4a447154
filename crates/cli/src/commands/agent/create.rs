//! `creel agent create`: makes an agent and waits until it runs.

use std::path::PathBuf;

use creel_api::{Agent, CreateAgent, LimitsPatch};
use creel_domain::{AgentFiles, ModelName, Name, Runtime};

use super::{rest::RestArgs, show, wait};
use crate::{
    context::Context,
    failure::{Failure, Result},
    out::units,
};

/// Make an agent and wait until it runs
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  creel agent create scout
  creel agent create scout --model openai/gpt-5 --soul SOUL.md
  creel agent create tiny --runtime lite --memory 64M --detach")]
pub(crate) struct CreateArgs {
    /// 1 to 40 of a-z, 0-9 and `-`
    name: Name,
    /// What runs in its sandbox
    #[arg(long, default_value = "openclaw")]
    runtime: RuntimeArg,
    /// PROVIDER/MODEL; `demo/demo` answers by itself, without a key
    #[arg(long, value_name = "PROVIDER/MODEL", default_value = "demo/demo")]
    model: ModelName,
    #[command(flatten)]
    files: FileArgs,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    rest: RestArgs,
    /// Return at once instead of waiting until it runs
    #[arg(long, short)]
    detach: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum RuntimeArg {
    /// The real OpenClaw
    Openclaw,
    /// A small loop that starts in milliseconds
    Lite,
}

/// The files that make an agent who it is.
#[derive(Debug, clap::Args)]
pub(super) struct FileArgs {
    /// File with SOUL.md: who the agent is and how it speaks
    #[arg(long, value_name = "FILE")]
    soul: Option<PathBuf>,
    /// File with USER.md: whom it works for
    #[arg(long, value_name = "FILE")]
    user: Option<PathBuf>,
    /// File with IDENTITY.md: its name and outward appearance
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
}

impl FileArgs {
    /// `base` with the given files in place of its own; nothing when none is given.
    pub(super) fn apply(&self, mut base: AgentFiles) -> Result<Option<AgentFiles>> {
        let given = [
            (&self.soul, &mut base.soul),
            (&self.user, &mut base.user),
            (&self.identity, &mut base.identity),
        ];
        let mut any = false;
        for (path, text) in given {
            let Some(path) = path else { continue };
            *text = std::fs::read_to_string(path)
                .map_err(|error| Failure::wrong_use(format!("cannot read {}: {error}", path.display())))?;
            any = true;
        }
        Ok(any.then_some(base))
    }
}

/// How much of the host its sandbox may use.
#[derive(Debug, clap::Args)]
pub(super) struct LimitArgs {
    /// Memory, for example 512M or 1.5G
    #[arg(long, value_name = "SIZE", value_parser = units::parse_bytes)]
    memory: Option<u64>,
    /// CPU cores, for example 2 or 0.5
    #[arg(long, value_name = "CORES", value_parser = units::parse_cpus)]
    cpus: Option<u32>,
    /// Processes and threads
    #[arg(long, value_name = "NUMBER")]
    pids: Option<u32>,
    /// Size of its volume, for example 4G
    #[arg(long, value_name = "SIZE", value_parser = units::parse_bytes)]
    disk: Option<u64>,
}

impl LimitArgs {
    pub(super) fn patch(&self) -> LimitsPatch {
        LimitsPatch {
            memory_bytes: self.memory,
            cpu_millis: self.cpus,
            pids: self.pids,
            disk_bytes: self.disk,
        }
    }
}

pub(super) async fn run(args: CreateArgs, context: &Context) -> Result<()> {
    let request = CreateAgent {
        name: args.name,
        runtime: Some(match args.runtime {
            RuntimeArg::Openclaw => Runtime::Openclaw,
            RuntimeArg::Lite => Runtime::Lite,
        }),
        model: Some(args.model),
        files: args.files.apply(AgentFiles::default())?.unwrap_or_default(),
        limits: args.limits.patch(),
        rest: args.rest.patch(),
    };
    // The same key for the same call: a lost answer does not make a second agent.
    let key = uuid::Uuid::now_v7().to_string();
    let agent = match context.client.create_agent(&request, Some(&key)).await {
        Err(error) if error.is_passing() && error.code().is_none() => {
            context.client.create_agent(&request, Some(&key)).await?
        }
        answer => answer?,
    };
    let agent = if args.detach {
        agent
    } else {
        wait::until_running(context, &agent.id.to_string()).await?
    };
    report(&agent, context)
}

fn report(agent: &Agent, context: &Context) -> Result<()> {
    context.out.show(agent, || agent.name.to_string())?;
    context.out.note(&match show::sentence(&agent.status) {
        state if state == "running" => format!("Talk to it: creel chat {}", agent.name),
        state => format!("It is {state}. See: creel agent show {}", agent.name),
    });
    Ok(())
}
