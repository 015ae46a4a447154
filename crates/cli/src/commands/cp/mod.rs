//! `creel cp SRC DST`: files to and from an agent's computer.

mod down;
mod place;
mod up;

use self::place::Place;
use crate::{
    context::Context,
    failure::{Failure, Result},
};

/// Directories within directories, past which copying stops.
const MAX_DEPTH: usize = 64;

/// Copy files to and from an agent's computer
///
/// One of the two is AGENT:PATH, the other a path here, or `-` for standard input or output. Paths of an
/// agent begin in its workspace; absolute ones lie below /data. Links are left out.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  creel cp notes.md scout:
  creel cp -r scout:reports ./reports
  creel cp scout:result.json - | jq .")]
pub(crate) struct CpArgs {
    /// AGENT:PATH, a path here, or -
    src: Place,
    /// AGENT:PATH, a path here, or -
    dst: Place,
    /// Copy directories with all that is in them
    #[arg(long, short)]
    recursive: bool,
}

pub(crate) async fn run(args: &CpArgs, context: &Context) -> Result<()> {
    match (&args.src, &args.dst) {
        (Place::Agent { agent, path }, Place::Stdio) => down::to_stdout(context, agent, path).await,
        (Place::Agent { agent, path }, Place::Here(to)) => {
            down::copy(context, agent, path, to, args.recursive).await
        }
        (Place::Stdio, Place::Agent { agent, path }) => up::from_stdin(context, agent, path).await,
        (Place::Here(from), Place::Agent { agent, path }) => {
            up::copy(context, from, agent, path, args.recursive).await
        }
        (Place::Agent { .. }, Place::Agent { .. }) => Err(Failure::wrong_use(
            "copying from one agent to another takes two steps: out of the one, into the other",
        )),
        _ => Err(Failure::wrong_use("one of the two has to be AGENT:PATH")),
    }
}
