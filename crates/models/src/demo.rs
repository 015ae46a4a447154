//! The built-in provider: no key, no network. It says that it is a demo, streams word by word, and can be
//! asked to use a tool, so that a newcomer sees the whole path work.
//!
//! `run: COMMAND` uses the tool that runs commands, `write FILE: TEXT` the one that writes files.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::{sync::mpsc, time::sleep};

use crate::{
    Body, Outcome, Usage,
    call::{Asked, event_stream},
    failure::json_response,
    limits,
    limits::Waits,
    record::Record,
};

/// What OpenClaw adds behind the user's words for its own use; it must not be repeated.
const INTERNAL: &str = "OPENCLAW_INTERNAL_CONTEXT";
const QUOTE_CHARS: usize = 400;

/// What the demo does with a conversation.
#[derive(Debug, PartialEq)]
enum Reply {
    Say(String),
    Use { tool: String, arguments: Value },
}

fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts
            .iter()
            .filter_map(|part| part["text"].as_str())
            .collect::<Vec<_>>()
            .join("\n"),
        _ => String::new(),
    }
}

fn reply(asked: &Asked) -> Reply {
    let empty = Vec::new();
    let messages = asked
        .fields
        .get("messages")
        .and_then(Value::as_array)
        .unwrap_or(&empty);
    let mut said = messages
        .iter()
        .rev()
        .map(|message| {
            (
                message["role"].as_str().unwrap_or_default(),
                text_of(&message["content"]),
            )
        })
        .filter(|(role, text)| !(*role == "user" && text.contains(INTERNAL)));
    let Some((role, text)) = said.next() else {
        return Reply::Say("I am Creel's demo model, and nothing was said.".to_owned());
    };
    let quote: String = text.trim().chars().take(QUOTE_CHARS).collect();
    if role == "tool" {
        return Reply::Say(format!("I am Creel's demo model. The tool answered:\n\n{quote}"));
    }
    wanted(&text, asked.fields.get("tools")).unwrap_or_else(|| {
        Reply::Say(format!(
            "I am Creel's demo model, not a real one: I show that a message reaches your agent and its answer \
             reaches you. You said: \u{201c}{quote}\u{201d}. Try `run: uname -a` or `write hello.txt: Hello`, and \
             add a real model with `creel provider add`."
        ))
    })
}

/// The tool call that a person asked for, when there is a tool for it.
fn wanted(text: &str, tools: Option<&Value>) -> Option<Reply> {
    let line = text.lines().rev().find_map(|line| {
        let at = line.find("run: ").or_else(|| line.find("write "))?;
        Some(line[at..].trim())
    })?;
    let tools = tools?.as_array()?;
    let find = |names: &[&str]| {
        let named = |tool: &&Value| names.iter().any(|name| tool["function"]["name"] == **name);
        tools.iter().find(named).map(|tool| &tool["function"])
    };
    let use_tool = |tool: &Value, arguments| {
        Some(Reply::Use {
            tool: tool["name"].as_str()?.to_owned(),
            arguments,
        })
    };
    if let Some(command) = line.strip_prefix("run: ") {
        return use_tool(find(&["exec", "shell", "bash"])?, json!({ "command": command }));
    }
    let (path, content) = line.strip_prefix("write ")?.split_once(": ")?;
    use_tool(
        find(&["write"])?,
        json!({ "path": path.trim(), "content": content }),
    )
}

fn usage(asked: &Asked, answer: &str) -> Usage {
    // About four characters to a token, as with real ones.
    let tokens = |bytes: usize| (bytes as u64).div_ceil(4);
    let input = asked
        .fields
        .get("messages")
        .map_or(0, |messages| messages.to_string().len());
    Usage {
        input: tokens(input),
        output: tokens(answer.len()),
        ..Usage::default()
    }
}

pub(crate) fn answer(asked: &Asked, mut record: Record, waits: &Waits) -> Response<Body> {
    let (message, text, finish) = match reply(asked) {
        Reply::Say(text) => (json!({"role": "assistant", "content": text}), text, "stop"),
        Reply::Use { tool, arguments } => {
            let call = json!({"index": 0, "id": format!("call_{}", uuid::Uuid::new_v4().simple()), "type": "function",
                "function": {"name": tool, "arguments": arguments.to_string()}});
            (
                json!({"role": "assistant", "content": null, "tool_calls": [call]}),
                String::new(),
                "tool_calls",
            )
        }
    };
    let used = usage(asked, &message.to_string());
    let report = json!({"prompt_tokens": used.input, "completion_tokens": used.output,
        "total_tokens": used.input + used.output});
    record.usage = Some(used);
    if !asked.streamed {
        record.close(Outcome::Completed);
        let choices = json!([{"index": 0, "message": message, "finish_reason": finish}]);
        let whole = json!({"id": "chatcmpl-demo", "object": "chat.completion", "created": 0, "model": "demo",
            "choices": choices, "usage": report});
        return json_response(StatusCode::OK, &whole);
    }
    let chunk = |delta: Value, finish: Value| {
        let chunk = json!({"id": "chatcmpl-demo", "object": "chat.completion.chunk", "created": 0, "model": "demo",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
        Bytes::from(format!("data: {chunk}\n\n"))
    };
    let mut events = vec![chunk(json!({"role": "assistant", "content": ""}), Value::Null)];
    if finish == "stop" {
        let words = text.split_inclusive(char::is_whitespace);
        events.extend(words.map(|word| chunk(json!({ "content": word }), Value::Null)));
    } else {
        events.push(chunk(json!({ "tool_calls": message["tool_calls"] }), Value::Null));
    }
    events.push(chunk(json!({}), json!(finish)));
    let last = json!({"id": "chatcmpl-demo", "object": "chat.completion.chunk", "created": 0, "model": "demo",
        "choices": [], "usage": report});
    events.push(Bytes::from(format!("data: {last}\n\n")));
    let (pieces, receiver) = mpsc::channel(limits::PIECES);
    let pause = waits.demo_word;
    tokio::spawn(async move {
        for event in events {
            record.heard();
            if pieces.send(event).await.is_err() {
                return; // dropping the record says that the sandbox is gone
            }
            sleep(pause).await;
        }
        record.close(Outcome::Completed);
        // Nobody is left to be told when this fails.
        let _ = pieces.send(Bytes::from_static(b"data: [DONE]\n\n")).await;
    });
    event_stream(receiver)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(messages: Value, tools: Value) -> Asked {
        let mut fields = serde_json::Map::new();
        fields.insert("messages".to_owned(), messages);
        fields.insert("tools".to_owned(), tools);
        Asked {
            fields,
            streamed: false,
        }
    }

    #[test]
    fn it_uses_the_tool_that_it_is_given() {
        let tools = json!([{"type": "function", "function": {"name": "exec"}}]);
        let internal = json!({"role": "user", "content": [{"type": "text", "text": "<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>> run: rm"}]});
        let hello = json!({"role": "user", "content": "please run: ls -l"});
        let use_it = asked(json!([hello, internal]), tools);
        assert_eq!(
            reply(&use_it),
            Reply::Use {
                tool: "exec".to_owned(),
                arguments: json!({"command": "ls -l"})
            }
        );
        let without = asked(json!([hello]), json!([]));
        assert!(matches!(reply(&without), Reply::Say(text) if text.contains("demo model")));
    }

    #[test]
    fn it_quotes_what_the_tool_gave() {
        let messages = json!([{"role": "user", "content": "run: ls"}, {"role": "tool", "content": "a.txt"}]);
        assert!(matches!(reply(&asked(messages, json!([]))), Reply::Say(text) if text.ends_with("a.txt")));
    }
}
