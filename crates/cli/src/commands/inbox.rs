//! `creel inbox …`: messages that wait for their answer, and those that came to nothing.

use clap::Subcommand;
use creel_api::{Turn, TurnState};
use creel_domain::TurnId;
use jiff::Timestamp;

use crate::{
    context::Context,
    failure::Result,
    out::{table::Table, units},
};

#[derive(Debug, Subcommand)]
pub(crate) enum InboxCommand {
    /// List messages that are not answered yet
    #[command(visible_alias = "list")]
    Ls {
        /// Only this agent's, by name or id
        agent: Option<String>,
        /// Those that came to nothing instead
        #[arg(long)]
        failed: bool,
    },
    /// Say once more what failed or was stopped
    Retry {
        /// Name or id
        agent: String,
        /// As `creel inbox ls --failed` shows it
        turn: TurnId,
    },
    /// Take what failed off the list; its conversation keeps it
    Drop {
        /// Name or id
        agent: String,
        /// As `creel inbox ls --failed` shows it
        turn: TurnId,
    },
}

pub(crate) async fn run(command: InboxCommand, context: &Context) -> Result<()> {
    match command {
        InboxCommand::Ls { agent, failed } => ls(agent.as_deref(), failed, context).await,
        InboxCommand::Retry { agent, turn } => {
            let turn = context.client.retry_turn(&agent, turn).await?;
            context.out.show(&turn, || turn.id.to_string())
        }
        InboxCommand::Drop { agent, turn } => {
            context.client.drop_turn(&agent, turn).await?;
            context.out.show(&turn, || turn.to_string())
        }
    }
}

async fn ls(agent: Option<&str>, failed: bool, context: &Context) -> Result<()> {
    let state = if failed {
        TurnState::Failed
    } else {
        TurnState::Running
    };
    // The newest page: whoever needs all of them asks the API.
    let page = context.client.turns(state, agent, None).await?;
    if page.items.is_empty() && !context.out.json {
        context.out.note(match failed {
            true => "Nothing has failed.",
            false => "No message waits.",
        });
        return Ok(());
    }
    context.out.show(&page.items, || table(&page.items))?;
    if page.next_cursor.is_some() {
        context
            .out
            .note("There are older ones: GET /v1/turns has them all.");
    }
    Ok(())
}

fn table(turns: &[Turn]) -> String {
    let now = Timestamp::now();
    let mut table = Table::new(&["TURN", "SINCE", "MESSAGE", "WHY"]).gives_way(2);
    for turn in turns {
        let why = turn.failure.as_ref().map(|failure| failure.code.clone());
        table.row([
            turn.id.to_string(),
            units::age(turn.created_at, now),
            turn.message.lines().next().unwrap_or_default().to_owned(),
            why.unwrap_or_default(),
        ]);
    }
    table.render()
}
