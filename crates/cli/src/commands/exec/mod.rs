//! `creel exec AGENT -- CMD`: runs a command on an agent's computer as if it ran here.

mod input;
mod socket;
mod terminal;

use std::{collections::BTreeMap, io::Write};

use creel_protocol::{ExecFrame, ExecRequest};

use self::terminal::RawTerminal;
use crate::{
    context::Context,
    failure::{Failure, Result},
};

/// Run a command on an agent's computer
///
/// It runs in the agent's workspace; its exit status is passed on. Standard input is passed to it unless it
/// is a terminal and -i is not given.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  creel exec scout -- ls -l
  creel exec scout -it -- sh
  tar c src | creel exec scout -- tar x")]
pub(crate) struct ExecArgs {
    /// Name or id
    agent: String,
    /// Pass standard input on even when it is a terminal
    #[arg(long, short)]
    interactive: bool,
    /// Give it a terminal
    #[arg(long, short)]
    tty: bool,
    /// Directory to run in, relative to the workspace
    #[arg(long, short = 'w', value_name = "DIR")]
    cwd: Option<String>,
    /// Add to its environment
    #[arg(long, short, value_name = "NAME=VALUE", value_parser = variable)]
    env: Vec<(String, String)>,
    /// Program and arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "CMD")]
    argv: Vec<String>,
}

fn variable(text: &str) -> std::result::Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("`{text}` should be NAME=VALUE")),
    }
}

pub(crate) async fn run(args: ExecArgs, context: &Context) -> Result<()> {
    if args.tty && !terminal::is_there() {
        return Err(Failure::wrong_use(
            "-t needs a terminal; leave it out to pass standard input on",
        ));
    }
    let request = ExecRequest {
        argv: args.argv,
        cwd: args.cwd,
        env: args.env.into_iter().collect::<BTreeMap<_, _>>(),
        tty: args.tty.then(terminal::size),
        timeout_ms: None,
    };
    // Before the command begins: a Ctrl-C right after that is already meant for it.
    let mut input = input::Input::new(args.interactive || args.tty, args.tty)?;
    let (mut sender, mut receiver) = socket::open(&context.client, &args.agent, &request).await?;
    let _terminal = if args.tty {
        Some(RawTerminal::enter()?)
    } else {
        None
    };
    let passed_on = async {
        while sender.send(&input.next().await).await {}
        std::future::pending::<()>().await;
    };
    tokio::select! {
        ended = print(&mut receiver) => ended,
        () = passed_on => Ok(()),
    }
}

/// Prints what the command prints, to its end.
async fn print(receiver: &mut socket::Receiver) -> Result<()> {
    loop {
        match receiver.next().await? {
            ExecFrame::Stdout(bytes) => write(std::io::stdout(), &bytes)?,
            ExecFrame::Stderr(bytes) => write(std::io::stderr(), &bytes)?,
            ExecFrame::Exit(0) => return Ok(()),
            ExecFrame::Exit(status) => return Err(Failure::Status(status)),
            ExecFrame::Failed(reason) => return Err(Failure::sentence(reason)),
            _ => return Err(Failure::sentence("the sandbox spoke out of turn: try again")),
        }
    }
}

fn write(mut stream: impl Write, bytes: &[u8]) -> Result<()> {
    stream.write_all(bytes)?;
    stream.flush()?;
    Ok(())
}
