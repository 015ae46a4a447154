//! A sandbox's side of the three APIs: builds requests, reads answers, and minds the rules of each stream.

use creel_models::Api;
use serde_json::{Value, json};

/// One tool call of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) arguments: Value,
}

#[derive(Debug, Default, PartialEq)]
pub(crate) struct Answer {
    pub(crate) text: String,
    pub(crate) calls: Vec<Call>,
    pub(crate) finish: String,
    pub(crate) usage: Value,
}

/// A conversation of one question and, perhaps, calls with their results.
pub(crate) fn request(api: Api, streamed: bool, text: &str, calls: &[(Call, &str)]) -> Value {
    let schema = json!({"type": "object", "properties": {"command": {"type": "string"}}});
    let described = json!({"name": "exec", "description": "Runs a command", "parameters": schema});
    match api {
        Api::ChatCompletions => {
            let mut messages = vec![
                json!({"role": "system", "content": "Be brief."}),
                json!({"role": "user", "content": text}),
            ];
            if !calls.is_empty() {
                let made = calls.iter().map(|(call, _)| {
                    json!({"id": call.id, "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments.to_string()}})
                });
                messages.push(
                    json!({"role": "assistant", "content": null, "tool_calls": made.collect::<Vec<_>>()}),
                );
            }
            for (call, result) in calls {
                messages.push(json!({"role": "tool", "tool_call_id": call.id, "content": result}));
            }
            json!({"model": "default", "stream": streamed, "stream_options": {"include_usage": true},
                "messages": messages, "max_completion_tokens": 500, "temperature": 0.5,
                "tools": [{"type": "function", "function": described}], "tool_choice": "auto"})
        }
        Api::Responses => {
            let mut input = vec![
                json!({"role": "system", "content": "Be brief."}),
                json!({"role": "user", "content": [{"type": "input_text", "text": text}]}),
            ];
            for (call, _) in calls {
                input.push(
                    json!({"type": "function_call", "call_id": call.id, "name": call.name,
                    "arguments": call.arguments.to_string()}),
                );
            }
            for (call, result) in calls {
                input.push(json!({"type": "function_call_output", "call_id": call.id, "output": result}));
            }
            let mut tool = described;
            tool["type"] = json!("function");
            json!({"model": "default", "stream": streamed, "input": input, "max_output_tokens": 500,
                "temperature": 0.5, "tools": [tool], "store": false})
        }
        Api::Messages => {
            let mut messages = vec![json!({"role": "user", "content": [{"type": "text", "text": text}]})];
            if !calls.is_empty() {
                let made = calls.iter().map(|(call, _)| {
                    json!({"type": "tool_use", "id": call.id,
                    "name": call.name, "input": call.arguments})
                });
                messages.push(json!({"role": "assistant", "content": made.collect::<Vec<_>>()}));
                let results = calls.iter().map(|(call, result)| {
                    json!({"type": "tool_result",
                    "tool_use_id": call.id, "content": result})
                });
                messages.push(json!({"role": "user", "content": results.collect::<Vec<_>>()}));
            }
            json!({"model": "default", "stream": streamed, "max_tokens": 500, "temperature": 0.5,
                "system": [{"type": "text", "text": "Be brief."}], "messages": messages,
                "tools": [{"name": "exec", "description": "Runs a command", "input_schema": schema}]})
        }
    }
}

/// The events of a stream; the text must be nothing but whole events.
pub(crate) fn events(text: &str) -> Vec<Value> {
    let blocks = text
        .strip_suffix("\n\n")
        .expect("a stream ends with a whole event");
    blocks
        .split("\n\n")
        .map(|block| {
            let (mut name, mut data) = (None, None);
            for line in block.lines() {
                match line.split_once(": ") {
                    Some(("event", value)) => name = Some(value.to_owned()),
                    Some(("data", value)) => data = Some(value.to_owned()),
                    _ => panic!("a line that is no field: {line}"),
                }
            }
            let data = data.expect("an event has data");
            let value: Value = if data == "[DONE]" {
                json!("[DONE]")
            } else {
                serde_json::from_str(&data).expect("data is JSON")
            };
            if let Some(name) = name {
                assert_eq!(value["type"], name.as_str(), "an event is named after its type");
            }
            value
        })
        .collect()
}

fn parsed(arguments: &str) -> Value {
    serde_json::from_str(arguments).unwrap_or_else(|_| panic!("arguments are no JSON: {arguments}"))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

pub(crate) fn read(api: Api, streamed: bool, body: &str) -> Answer {
    match (api, streamed) {
        (Api::ChatCompletions, false) => chat_whole(&parsed(body)),
        (Api::ChatCompletions, true) => chat_stream(&events(body)),
        (Api::Responses, false) => response(&parsed(body)),
        (Api::Responses, true) => responses_stream(&events(body)),
        (Api::Messages, false) => message(&parsed(body)),
        (Api::Messages, true) => messages_stream(&events(body)),
    }
}

fn chat_whole(whole: &Value) -> Answer {
    let choice = &whole["choices"][0];
    let calls = choice["message"]["tool_calls"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    Answer {
        text: text(&choice["message"]["content"]),
        calls: calls
            .iter()
            .map(|call| Call {
                id: text(&call["id"]),
                name: text(&call["function"]["name"]),
                arguments: parsed(call["function"]["arguments"].as_str().expect("text")),
            })
            .collect(),
        finish: text(&choice["finish_reason"]),
        usage: whole["usage"].clone(),
    }
}

fn chat_stream(events: &[Value]) -> Answer {
    let (last, chunks) = events.split_last().expect("events");
    assert_eq!(last, "[DONE]");
    let mut answer = Answer::default();
    let mut arguments: Vec<String> = Vec::new();
    for chunk in chunks {
        assert_eq!(chunk["object"], "chat.completion.chunk");
        let choice = &chunk["choices"][0];
        answer.text += choice["delta"]["content"].as_str().unwrap_or_default();
        for call in choice["delta"]["tool_calls"].as_array().unwrap_or(&Vec::new()) {
            let index = usize::try_from(call["index"].as_u64().expect("an index")).expect("small");
            if index == answer.calls.len() {
                answer.calls.push(Call {
                    id: text(&call["id"]),
                    name: text(&call["function"]["name"]),
                    arguments: Value::Null,
                });
                arguments.push(String::new());
            }
            arguments[index] += call["function"]["arguments"].as_str().unwrap_or_default();
        }
        if let Some(reason) = choice["finish_reason"].as_str() {
            assert!(answer.finish.is_empty(), "one finish reason");
            answer.finish = reason.to_owned();
        }
        if !chunk["usage"].is_null() {
            answer.usage = chunk["usage"].clone();
        }
    }
    for (call, arguments) in answer.calls.iter_mut().zip(arguments) {
        call.arguments = parsed(&arguments);
    }
    answer
}

fn response(response: &Value) -> Answer {
    assert_eq!(response["object"], "response");
    let mut answer = Answer {
        finish: text(&response["status"]),
        usage: response["usage"].clone(),
        ..Answer::default()
    };
    for item in response["output"].as_array().expect("a list") {
        match item["type"].as_str() {
            Some("message") => answer.text += item["content"][0]["text"].as_str().expect("text"),
            Some("function_call") => answer.calls.push(Call {
                id: text(&item["call_id"]),
                name: text(&item["name"]),
                arguments: parsed(item["arguments"].as_str().expect("text")),
            }),
            other => panic!("an item of type {other:?}"),
        }
    }
    answer
}

fn responses_stream(events: &[Value]) -> Answer {
    let (mut said, mut added, mut done) = (String::new(), 0, 0);
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number, "{event}");
        match event["type"].as_str() {
            Some("response.output_text.delta") => said += event["delta"].as_str().expect("text"),
            Some("response.output_item.added") => {
                assert_eq!(event["output_index"], added);
                added += 1;
            }
            Some("response.output_item.done") => {
                assert_eq!(event["output_index"], done);
                done += 1;
            }
            _ => {}
        }
    }
    assert_eq!(events[0]["type"], "response.created");
    assert_eq!(added, done, "each item that began has ended");
    let last = events.last().expect("events");
    assert_eq!(last["type"], "response.completed");
    let answer = response(&last["response"]);
    assert_eq!(said, answer.text, "the pieces are the whole");
    answer
}

fn message(message: &Value) -> Answer {
    assert_eq!(message["type"], "message");
    let mut answer = Answer {
        finish: text(&message["stop_reason"]),
        usage: message["usage"].clone(),
        ..Answer::default()
    };
    for block in message["content"].as_array().expect("a list") {
        match block["type"].as_str() {
            Some("text") => answer.text += block["text"].as_str().expect("text"),
            Some("tool_use") => answer.calls.push(Call {
                id: text(&block["id"]),
                name: text(&block["name"]),
                arguments: block["input"].clone(),
            }),
            other => panic!("a block of type {other:?}"),
        }
    }
    answer
}

fn messages_stream(events: &[Value]) -> Answer {
    assert_eq!(events[0]["type"], "message_start");
    assert_eq!(events.last().expect("events")["type"], "message_stop");
    let mut answer = Answer::default();
    let (mut open, mut next, mut input) = (None, 0, String::new());
    for event in events {
        match event["type"].as_str() {
            Some("message_start") => answer.usage = event["message"]["usage"].clone(),
            Some("content_block_start") => {
                assert_eq!(
                    (open, event["index"].as_u64()),
                    (None, Some(next)),
                    "blocks follow one another"
                );
                open = Some(next);
                next += 1;
                let block = &event["content_block"];
                if block["type"] == "tool_use" {
                    input.clear();
                    answer.calls.push(Call {
                        id: text(&block["id"]),
                        name: text(&block["name"]),
                        arguments: Value::Null,
                    });
                }
            }
            Some("content_block_delta") => {
                assert_eq!(open, event["index"].as_u64(), "a piece of the open block");
                answer.text += event["delta"]["text"].as_str().unwrap_or_default();
                input += event["delta"]["partial_json"].as_str().unwrap_or_default();
            }
            Some("content_block_stop") => {
                assert_eq!(open.take(), event["index"].as_u64());
                if let Some(call) = answer.calls.last_mut().filter(|call| call.arguments.is_null()) {
                    call.arguments = parsed(&input);
                }
            }
            Some("message_delta") => {
                answer.finish = text(&event["delta"]["stop_reason"]);
                // The end adds to the beginning.
                for (name, count) in event["usage"].as_object().expect("usage") {
                    answer.usage[name] = count.clone();
                }
            }
            _ => {}
        }
    }
    assert_eq!(open, None, "each block that began has ended");
    answer
}
