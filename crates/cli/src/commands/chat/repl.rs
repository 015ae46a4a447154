//! A conversation: a line, an answer, and again.

use std::io::{BufRead, Write};

use tokio::sync::mpsc;

use super::turn::{Conversation, Ended};
use crate::{
    failure::{Failure, Result, explain},
    out::style,
};

const HELP: &str = "\
  /sessions   list the agent's conversations
  /help       show this
  /quit       leave (or Ctrl-D)";

pub(super) async fn run(conversation: &Conversation<'_>) -> Result<()> {
    let context = conversation.context;
    let agent = context.client.agent(conversation.agent).await?;
    let style = style::stderr();
    eprintln!(
        "{}",
        style.dim(&format!(
            "{} · {} · session {}. /help, /quit; Ctrl-C stops a turn.",
            agent.name, agent.model, conversation.session
        ))
    );
    let mut lines = lines();
    loop {
        eprint!("{} ", style.bold(">"));
        std::io::stderr().flush()?;
        let line = tokio::select! {
            line = lines.recv() => line,
            _ = tokio::signal::ctrl_c() => None,
        };
        let Some(line) = line else {
            eprintln!();
            return Ok(());
        };
        match line.trim() {
            "" => {}
            "/quit" | "/exit" => return Ok(()),
            "/help" => eprintln!("{HELP}"),
            "/sessions" => sessions(conversation).await?,
            message => match conversation.say(message).await {
                Ok(Ended::Done) => {}
                Ok(Ended::Cancelled) => eprintln!("{}", style.dim("stopped")),
                Ok(Ended::Failed(sentence)) => eprintln!("{} {sentence}", style.error("failed:")),
                Ok(Ended::Left) => return Ok(()),
                // A turn that could not be begun does not end the conversation.
                Err(Failure::Api(error)) => eprintln!("{} {}", style.error("error:"), explain(&error)),
                Err(other) => return Err(other),
            },
        }
    }
}

async fn sessions(conversation: &Conversation<'_>) -> Result<()> {
    for session in conversation
        .context
        .client
        .sessions(conversation.agent)
        .await?
        .items
    {
        eprintln!(
            "  {}  {} turns, last {:.0}",
            session.name, session.turns, session.last_at
        );
    }
    Ok(())
}

/// Lines of standard input, read by a thread of their own: a blocking read cannot be cancelled, and
/// Ctrl-C should still be heard.
fn lines() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
