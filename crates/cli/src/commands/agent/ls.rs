//! `creel agent ls`.

use creel_domain::AgentState;
use jiff::Timestamp;

use super::state_sentence;
use crate::{
    context::Context,
    failure::Result,
    out::{table::Table, units},
};

pub(super) async fn run(context: &Context) -> Result<()> {
    let agents = context.client.all_agents().await?;
    if agents.is_empty() {
        context
            .out
            .note("There are no agents yet. Make one: creel agent create scout");
        return if context.out.json {
            context.out.json(&agents)
        } else {
            Ok(())
        };
    }
    context.out.show(&agents, || {
        let now = Timestamp::now();
        let mut table = Table::new(&["NAME", "RUNTIME", "MODEL", "STATE", "SINCE"]).gives_way(3);
        for agent in &agents {
            table.row([
                agent.name.to_string(),
                agent.runtime.as_str().to_owned(),
                agent.model.to_string(),
                state_sentence(&agent.status),
                units::age(since(&agent.status), now),
            ]);
        }
        table.render()
    })
}

pub(super) fn since(state: &AgentState) -> Timestamp {
    match state {
        AgentState::Starting { since, .. }
        | AgentState::Running { since }
        | AgentState::Asleep { since, .. }
        | AgentState::Stopping { since }
        | AgentState::Stopped { since }
        | AgentState::Faulted { since, .. }
        | AgentState::Deleting { since } => *since,
    }
}
