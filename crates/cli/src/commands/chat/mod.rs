//! `creel chat AGENT [MESSAGE]`: one question, or a conversation.

mod repl;
mod turn;

use std::io::{IsTerminal, Read};

use creel_api::ChatRequest;
use creel_domain::SessionName;

use crate::{
    context::Context,
    failure::{Failure, Result},
};

/// The longest message that is taken, in bytes; the server takes no longer one.
const MESSAGE_BYTES: usize = 256 * 1024;

/// Talk to an agent
///
/// Without a message: a conversation on the terminal. The answer is printed as it comes, on standard
/// output; tools that the agent uses are named on standard error. Ctrl-C stops the agent's turn, a second
/// one leaves.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  creel chat scout
  creel chat scout \"What is in your workspace?\"
  creel chat scout --session news - < question.txt")]
pub(crate) struct ChatArgs {
    /// Name or id
    agent: String,
    /// What to say; `-` reads it from standard input
    message: Option<String>,
    /// Which conversation
    #[arg(long, short, default_value = "main")]
    session: SessionName,
    /// Print the turn's id as soon as the message is safe, and do not wait for the answer
    #[arg(long, short)]
    detach: bool,
}

pub(crate) async fn run(args: ChatArgs, context: &Context) -> Result<()> {
    let message = match args.message.as_deref() {
        Some("-") => Some(from_stdin()?),
        None if !std::io::stdin().is_terminal() => Some(from_stdin()?),
        message => message.map(str::to_owned),
    };
    if args.detach {
        let message = message.ok_or_else(|| Failure::wrong_use("--detach needs a message"))?;
        return detached(&args.agent, args.session, message, context).await;
    }
    let conversation = turn::Conversation {
        context,
        agent: &args.agent,
        session: &args.session,
    };
    match message {
        Some(message) => match conversation.say(&message).await? {
            turn::Ended::Done => Ok(()),
            turn::Ended::Failed(sentence) => Err(Failure::sentence(sentence)),
            turn::Ended::Cancelled => Err(Failure::sentence("the turn was stopped")),
            turn::Ended::Left => Err(Failure::sentence("left; the agent may still be at it")),
        },
        None => repl::run(&conversation).await,
    }
}

async fn detached(agent: &str, session: SessionName, message: String, context: &Context) -> Result<()> {
    let request = ChatRequest { message, session };
    // The same key for the same message: a lost answer does not say it twice.
    let key = uuid::Uuid::now_v7().to_string();
    let turn = match context.client.begin_chat(agent, &request, &key).await {
        Err(error) if error.is_passing() && error.code().is_none() => {
            context.client.begin_chat(agent, &request, &key).await?
        }
        answer => answer?,
    };
    context.out.show(&turn, || turn.id.to_string())
}

fn from_stdin() -> Result<String> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .take(MESSAGE_BYTES as u64 + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() > MESSAGE_BYTES {
        return Err(Failure::wrong_use(
            "the message is longer than 256 KiB: put it into a file with `creel cp`",
        ));
    }
    let text = String::from_utf8(bytes).map_err(|_| Failure::wrong_use("the message is not UTF-8 text"))?;
    if text.trim().is_empty() {
        return Err(Failure::wrong_use(
            "there is no message: give one, or type on a terminal",
        ));
    }
    Ok(text)
}
