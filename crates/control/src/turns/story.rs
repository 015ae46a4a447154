//! What a turn's events amount to: its text so far and the tools it used.

use std::{borrow::Borrow, collections::HashMap};

use creel_api::ToolCall;
use creel_domain::TurnEvent;

/// Text and tools of one story; the whole answer, where there is one, replaces its pieces.
pub(crate) fn sum_up(events: &[impl Borrow<TurnEvent>]) -> (String, Vec<ToolCall>) {
    let mut text = String::new();
    let mut tools: Vec<ToolCall> = Vec::new();
    let mut open: HashMap<&str, usize> = HashMap::new();
    for event in events {
        match event.borrow() {
            TurnEvent::Text { delta } => text.push_str(delta),
            TurnEvent::Done { text: whole } => whole.clone_into(&mut text),
            TurnEvent::ToolStarted {
                tool_id,
                name,
                arguments,
            } => {
                open.insert(tool_id, tools.len());
                tools.push(ToolCall {
                    name: name.clone(),
                    arguments: arguments.clone(),
                    output: None,
                    ok: None,
                });
            }
            TurnEvent::ToolFinished { tool_id, ok, output } => {
                if let Some(tool) = open.remove(tool_id.as_str()).map(|index| &mut tools[index]) {
                    tool.ok = Some(*ok);
                    tool.output = Some(output.clone());
                }
            }
            TurnEvent::Started | TurnEvent::Failed(_) | TurnEvent::Cancelled => {}
        }
    }
    (text, tools)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_are_paired_by_their_ids() {
        let started = |id: &str, name: &str| TurnEvent::ToolStarted {
            tool_id: id.to_owned(),
            name: name.to_owned(),
            arguments: "{}".to_owned(),
        };
        let finished = |id: &str| TurnEvent::ToolFinished {
            tool_id: id.to_owned(),
            ok: true,
            output: id.to_owned(),
        };
        let events = [started("1", "a"), started("2", "b"), finished("2"), finished("3")];
        let (_, tools) = sum_up(&events);
        let seen: Vec<_> = tools
            .iter()
            .map(|tool| (tool.name.as_str(), tool.output.as_deref()))
            .collect();
        assert_eq!(seen, [("a", None), ("b", Some("2"))]);
    }
}
