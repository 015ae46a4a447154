//! `creel agent set`: changes what is given and leaves the rest.

use creel_api::{Agent, ErrorCode, LimitsPatch, PatchAgent, RestPatch};
use creel_domain::ModelName;

use super::{
    create::{FileArgs, LimitArgs},
    rest::RestArgs,
};
use crate::{
    context::Context,
    failure::{Failure, Result},
};

/// Reading and writing again when somebody else changed the agent in between.
const ATTEMPTS: u32 = 5;

/// Change an agent's model, files, limits or rest
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  creel agent set scout --model anthropic/claude-sonnet-4-5
  creel agent set scout --soul SOUL.md --memory 2G
  creel agent set scout --autostop suspend --idle 10m")]
pub(crate) struct SetArgs {
    /// Name or id
    agent: String,
    /// PROVIDER/MODEL
    #[arg(long, value_name = "PROVIDER/MODEL")]
    model: Option<ModelName>,
    #[command(flatten)]
    files: FileArgs,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    rest: RestArgs,
}

pub(super) async fn run(args: SetArgs, context: &Context) -> Result<()> {
    let limits = Some(args.limits.patch()).filter(|patch| *patch != LimitsPatch::default());
    let rest = Some(args.rest.patch()).filter(|patch| *patch != RestPatch::default());
    let agent = change(context, &args.agent, |agent| {
        let patch = PatchAgent {
            model: args.model.clone(),
            files: args.files.apply(agent.files.clone())?,
            limits,
            rest,
            intent: None,
        };
        if patch == PatchAgent::default() {
            return Err(Failure::wrong_use(
                "say what to change, for example --model PROVIDER/MODEL",
            ));
        }
        Ok(patch)
    })
    .await?;
    context.out.show(&agent, || agent.name.to_string())
}

/// Reads the agent, decides, writes; again if its revision moved on meanwhile.
pub(super) async fn change(
    context: &Context,
    agent: &str,
    decide: impl Fn(&Agent) -> Result<PatchAgent>,
) -> Result<Agent> {
    let mut attempt = 1;
    loop {
        let seen = context.client.agent(agent).await?;
        let patch = decide(&seen)?;
        match context.client.patch_agent(agent, seen.revision, &patch).await {
            Err(error) if error.code() == Some(ErrorCode::RevisionMismatch) && attempt < ATTEMPTS => {
                attempt += 1
            }
            answer => return Ok(answer?),
        }
    }
}
