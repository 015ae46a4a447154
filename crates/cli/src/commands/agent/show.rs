//! `creel agent show`: all about one agent.

use creel_api::{Agent, AgentMemory};
use creel_domain::AgentState;
use jiff::Timestamp;

use super::{ls::since, rest, state_sentence};
use crate::{
    context::Context,
    failure::Result,
    out::{style, units},
};

pub(super) async fn run(agent: &str, context: &Context) -> Result<()> {
    let agent = context.client.agent(agent).await?;
    // Everything else is worth showing without it.
    let memory = context.client.agent_memory(&agent.id.to_string()).await.ok();
    context
        .out
        .show(&agent, || describe(&agent, memory, Timestamp::now()))
}

pub(super) fn sentence(state: &AgentState) -> String {
    state_sentence(state)
}

fn describe(agent: &Agent, memory: Option<AgentMemory>, now: Timestamp) -> String {
    let ago = |at| format!("{at:.0} ({} ago)", units::age(at, now));
    let mut lines = vec![
        ("name", agent.name.to_string()),
        ("id", agent.id.to_string()),
        ("runtime", agent.runtime.as_str().to_owned()),
        ("model", agent.model.to_string()),
        (
            "state",
            format!(
                "{}, for {}",
                state_sentence(&agent.status),
                units::age(since(&agent.status), now)
            ),
        ),
    ];
    if let AgentState::Faulted {
        attempts, retry_at, ..
    } = &agent.status
    {
        let next = retry_at.map_or("no".to_owned(), |at| format!("in {}", units::age(now, at)));
        lines.push(("attempts", format!("{attempts}, next: {next}")));
    }
    lines.push(("rest", rest::sentence(&agent.rest)));
    if let Some(at) = agent.runtime_wake_at {
        let due = if at > now {
            format!("in {}", units::age(now, at))
        } else {
            "due".to_owned()
        };
        lines.push(("own job", format!("{at:.0} ({due})")));
    }
    if let Some(until) = agent.held_until {
        lines.push((
            "kept awake",
            format!("until {until:.0} (for {})", units::age(now, until)),
        ));
    }
    let used = memory.map(used).unwrap_or_default();
    lines.push(("memory", units::bytes(agent.limits.memory_bytes) + &used));
    lines.push((
        "cpu",
        format!("{} cores", f64::from(agent.limits.cpu_millis) / 1000.0),
    ));
    lines.push(("processes", agent.limits.pids.to_string()));
    lines.push(("disk", units::bytes(agent.limits.disk_bytes)));
    for (name, text) in agent.files.named() {
        if !text.is_empty() {
            lines.push((name, units::bytes(text.len() as u64)));
        }
    }
    lines.push(("revision", agent.revision.0.to_string()));
    lines.push(("created", ago(agent.created_at)));
    lines.push(("changed", ago(agent.changed_at)));
    let lines = lines
        .iter()
        .map(|(label, value)| format!("{label:<12} {}", style::plain(value)));
    lines.collect::<Vec<_>>().join("\n")
}

/// What of its memory it uses, and where that lies.
fn used(memory: AgentMemory) -> String {
    match memory.swapped_bytes {
        0 => format!(", {} used", units::bytes(memory.resident_bytes)),
        swapped => format!(
            ", {} used and {} in swap",
            units::bytes(memory.resident_bytes),
            units::bytes(swapped)
        ),
    }
}
