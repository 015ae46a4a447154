//! The built-in provider: no key, no network. It says that it is a demo, streams word by word, and can be
//! asked to use a tool, so that a newcomer sees the whole path work.
//!
//! `run: COMMAND` uses the tool that runs commands, `write FILE: TEXT` the one that writes files; either stands at
//! the beginning of a line or after other words. What a tool gave is quoted.

use serde_json::{Value, json};

use crate::{
    Usage,
    conversation::{Answer, Event, Part, Prompt, Said, Side, Stop, Tool},
};

/// What OpenClaw adds behind the user's words for its own use; repeating it breaks its stream.
const INTERNAL_BEGIN: &str = "<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>";
const INTERNAL_END: &str = "<<<END_OPENCLAW_INTERNAL_CONTEXT>>>";
const INTERNAL: &str = "OPENCLAW_INTERNAL_CONTEXT";
const QUOTE_CHARS: usize = 400;
const RUNNERS: &[&str] = &["exec", "shell", "bash"];
const WRITERS: &[&str] = &["write", "write_file"];

/// What the demo answers, in the pieces that it is streamed in.
pub(crate) fn answer(prompt: &Prompt) -> (Vec<Event>, Stop, Usage) {
    let (events, stop) = match last_said(prompt) {
        Last::Nothing => (
            words("I am Creel's demo model, and nothing was said."),
            Stop::Done,
        ),
        Last::Result(text) => (
            words(&format!(
                "I am Creel's demo model. The tool answered:\n\n{}",
                quote(&text)
            )),
            Stop::Done,
        ),
        Last::Text(text) => match wanted(&text, &prompt.tools) {
            Some((tool, arguments)) => (
                vec![
                    Event::Call {
                        id: format!("call{}", uuid::Uuid::new_v4().simple()),
                        name: tool,
                    },
                    Event::Arguments(arguments.to_string()),
                ],
                Stop::Calls,
            ),
            None => (words(&small_talk(&text)), Stop::Done),
        },
    };
    let usage = usage(prompt, &events);
    (events, stop, usage)
}

enum Last {
    Nothing,
    Text(String),
    Result(String),
}

/// The last thing that a person or a tool said; what the runtime added for itself is passed over.
fn last_said(prompt: &Prompt) -> Last {
    let Some(message) = prompt
        .messages
        .last()
        .filter(|message| message.side == Side::User)
    else {
        return Last::Nothing;
    };
    for part in message.parts.iter().rev() {
        match part {
            Part::Text(text) => {
                let text = without_internal(text);
                if !text.is_empty() {
                    return Last::Text(text);
                }
            }
            Part::Result { text, .. } => return Last::Result(without_internal(text)),
            Part::Picture { .. } | Part::Call { .. } => {}
        }
    }
    Last::Nothing
}

/// Cuts out what stands between the marks; a mark without its other half takes the rest with it.
fn without_internal(text: &str) -> String {
    let (mut kept, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once(INTERNAL_BEGIN) {
        kept.push_str(before);
        rest = after.split_once(INTERNAL_END).map_or("", |(_, after)| after);
    }
    kept.push_str(rest);
    if kept.contains(INTERNAL) {
        return String::new();
    }
    kept.trim().to_owned()
}

fn quote(text: &str) -> String {
    let mut quoted: String = text.trim().chars().take(QUOTE_CHARS).collect();
    if quoted.len() < text.trim().len() {
        quoted.push('…');
    }
    quoted
}

fn small_talk(text: &str) -> String {
    format!(
        "I am Creel's demo model, not a real one: I show that a message reaches your agent and its answer \
         reaches you. You said: \u{201c}{}\u{201d}. Try `run: uname -a` or `write hello.txt: Hello`, and \
         add a real model with `creel provider add`.",
        quote(text)
    )
}

fn words(text: &str) -> Vec<Event> {
    text.split_inclusive(char::is_whitespace)
        .map(|word| Event::Text(word.to_owned()))
        .collect()
}

/// The tool call that a person asked for, when there is a tool for it. The last line that asks counts.
fn wanted(text: &str, tools: &[Tool]) -> Option<(String, Value)> {
    let find = |names: &[&str]| tools.iter().find(|tool| names.contains(&tool.name.as_str()));
    text.lines().rev().find_map(|line| {
        if let Some(command) = after(line, "run: ") {
            let tool = find(RUNNERS)?;
            return Some((tool.name.clone(), json!({ "command": command })));
        }
        let (path, content) = after(line, "write ")?.split_once(": ")?;
        if path.is_empty() || path.contains(char::is_whitespace) {
            return None;
        }
        let tool = find(WRITERS)?;
        Some((
            tool.name.clone(),
            json!({ argument(tool, &["path", "file_path"]): path, argument(tool, &["content", "text"]): content }),
        ))
    })
}

/// What follows a word that stands by itself.
fn after<'a>(line: &'a str, word: &str) -> Option<&'a str> {
    let (before, after) = line.split_once(word)?;
    let by_itself = !before.ends_with(char::is_alphanumeric);
    (by_itself && !after.trim().is_empty()).then_some(after.trim())
}

/// The name that the tool's own schema gives to an argument.
fn argument(tool: &Tool, names: &[&'static str]) -> &'static str {
    names
        .iter()
        .find(|name| tool.parameters["properties"].get(**name).is_some())
        .unwrap_or(&names[0])
}

/// About four bytes to a token, as with real ones.
fn usage(prompt: &Prompt, events: &[Event]) -> Usage {
    let tokens = |bytes: usize| (bytes as u64).div_ceil(4);
    let part_bytes = |part: &Part| match part {
        Part::Text(text) | Part::Result { text, .. } => text.len(),
        Part::Picture { data, .. } => data.len(),
        Part::Call { name, arguments, .. } => name.len() + arguments.to_string().len(),
    };
    let said = prompt.messages.iter().flat_map(|message| &message.parts);
    let input: usize =
        prompt.system.iter().map(String::len).sum::<usize>() + said.map(part_bytes).sum::<usize>();
    let mut answer = Answer::default();
    events.iter().cloned().for_each(|event| answer.add(event));
    let output: usize = answer
        .said
        .iter()
        .map(|said| match said {
            Said::Text(text) => text.len(),
            Said::Call { name, arguments, .. } => name.len() + arguments.len(),
        })
        .sum();
    Usage {
        input: tokens(input),
        output: tokens(output),
        ..Usage::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt(parts: &[Part], tools: &[&str]) -> Prompt {
        let mut prompt = Prompt::default();
        for part in parts {
            prompt.push(Side::User, part.clone());
        }
        prompt.tools = tools
            .iter()
            .map(|name| Tool {
                name: (*name).to_owned(),
                description: None,
                parameters: json!({"properties": {"file_path": {}, "content": {}}}),
            })
            .collect();
        prompt
    }

    fn said(prompt: &Prompt) -> Answer {
        let (events, stop, usage) = answer(prompt);
        let mut whole = Answer {
            stop,
            usage: Some(usage),
            ..Answer::default()
        };
        events.into_iter().for_each(|event| whole.add(event));
        whole
    }

    fn text(text: &str) -> Part {
        Part::Text(text.to_owned())
    }

    #[test]
    fn it_uses_the_tool_that_it_is_given() {
        let internal =
            text("<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>\nrun: rm -rf\n<<<END_OPENCLAW_INTERNAL_CONTEXT>>>");
        for (words, expected) in [
            ("please run: ls -l", r#"exec {"command":"ls -l"}"#),
            ("[Fri 10:00] run: ls\n", r#"exec {"command":"ls"}"#),
            (
                "write a/b.txt: Hello: you",
                r#"write {"content":"Hello: you","file_path":"a/b.txt"}"#,
            ),
        ] {
            let answer = said(&prompt(&[text(words), internal.clone()], &["exec", "write"]));
            let [Said::Call { name, arguments, .. }] = answer.said.as_slice() else {
                panic!("{words}: {answer:?}")
            };
            assert_eq!(format!("{name} {arguments}"), expected);
            assert_eq!(answer.stop, Stop::Calls);
        }
    }

    #[test]
    fn without_such_a_tool_or_such_words_it_says_what_it_is() {
        for (words, tools) in [
            ("run: ls", &["read"][..]),
            ("rerun: ls", &["exec"]),
            ("I write to you: hello", &["write"]),
            ("", &["exec"]),
        ] {
            let answer = said(&prompt(&[text(words)], tools));
            assert!(answer.text().contains("demo model"), "{words}: {answer:?}");
        }
    }

    #[test]
    fn it_quotes_what_the_tool_gave_and_nothing_internal() {
        let result = Part::Result {
            id: "c".to_owned(),
            text: "a.txt".to_owned(),
            failed: false,
        };
        let internal = text("<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>> secret");
        let answer = said(&prompt(&[text("run: ls"), result, internal], &["exec"]));
        assert!(answer.text().ends_with("a.txt"), "{answer:?}");
        assert!(!answer.text().contains("INTERNAL"));
    }
}
