//! The answers of the four formats, streamed and whole, as the services write them.

use serde_json::{Value, json};

use super::Reported;

/// Whose wire format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Chat,
    Responses,
    Messages,
    Gemini,
}

impl Format {
    /// By the path of the request.
    pub(super) fn of(path: &str) -> Option<Self> {
        match path {
            "/v1/chat/completions" => Some(Self::Chat),
            "/v1/responses" => Some(Self::Responses),
            "/v1/messages" => Some(Self::Messages),
            _ => {
                let operation = path.strip_prefix("/v1beta/models/")?.split_once(':')?.1;
                matches!(operation, "generateContent" | "streamGenerateContent").then_some(Self::Gemini)
            }
        }
    }
}

/// What is said in one answer.
#[derive(Debug, Clone, Default)]
pub(super) struct Said {
    pub(super) words: Vec<String>,
    pub(super) calls: Vec<(String, Value)>,
}

/// One event, and whether the usage is in it.
pub(super) struct Piece {
    pub(super) text: String,
    pub(super) reports: bool,
}

fn data(value: &Value) -> Piece {
    Piece {
        text: format!("data: {value}\n\n"),
        reports: false,
    }
}

fn named(value: &Value) -> Piece {
    Piece {
        text: format!(
            "event: {}\ndata: {value}\n\n",
            value["type"].as_str().unwrap_or_default()
        ),
        reports: false,
    }
}

fn reporting(mut piece: Piece) -> Piece {
    piece.reports = true;
    piece
}

pub(super) struct Writer {
    pub(super) format: Format,
    pub(super) number: usize,
    pub(super) model: String,
    /// Chat completions report it in a stream only when they are asked to.
    pub(super) usage_wanted: bool,
    pub(super) usage: Reported,
}

impl Writer {
    /// The beginning of a stream, the middle, and its end.
    pub(super) fn stream(&self, said: &Said) -> Vec<Piece> {
        let mut pieces = self.begin();
        match self.format {
            Format::Chat => self.chat_stream(said, &mut pieces),
            Format::Responses => self.responses_stream(said, &mut pieces),
            Format::Messages => self.messages_stream(said, &mut pieces),
            Format::Gemini => self.gemini_stream(said, &mut pieces),
        }
        pieces
    }

    pub(super) fn begin(&self) -> Vec<Piece> {
        match self.format {
            Format::Chat => vec![data(
                &self.chunk(json!({"role": "assistant", "content": ""}), Value::Null),
            )],
            Format::Responses => ["response.created", "response.in_progress"]
                .iter()
                .enumerate()
                .map(|(number, kind)| {
                    named(&json!({"type": kind, "sequence_number": number,
                        "response": self.response("in_progress", json!([]), Value::Null)}))
                })
                .collect(),
            Format::Messages => {
                let usage = json!({"input_tokens": self.usage.input - self.usage.cached,
                    "cache_creation_input_tokens": 0, "cache_read_input_tokens": self.usage.cached,
                    "output_tokens": 1});
                let message = self.message(json!([]), Value::Null, usage);
                vec![
                    named(&json!({"type": "message_start", "message": message})),
                    named(&json!({"type": "ping"})),
                ]
            }
            Format::Gemini => Vec::new(),
        }
    }

    pub(super) fn whole(&self, said: &Said) -> Value {
        let text = said.words.concat();
        match self.format {
            Format::Chat => {
                let calls: Vec<Value> = (0..)
                    .zip(&said.calls)
                    .map(|(index, call)| self.chat_call(index, call))
                    .collect();
                let message = if calls.is_empty() {
                    json!({"role": "assistant", "content": text, "refusal": null})
                } else {
                    json!({"role": "assistant", "content": null, "refusal": null, "tool_calls": calls})
                };
                json!({"id": self.id("chatcmpl-"), "object": "chat.completion", "created": 1, "model": self.model,
                    "usage": self.chat_usage(), "choices": [{"index": 0, "message": message, "logprobs": null,
                    "finish_reason": if said.calls.is_empty() { "stop" } else { "tool_calls" }}]})
            }
            Format::Responses => {
                let output = if said.calls.is_empty() {
                    json!([self.responses_message("completed", json!([output_text(&text)]))])
                } else {
                    (0..)
                        .zip(&said.calls)
                        .map(|(index, call)| self.responses_call(index, call, "completed"))
                        .collect()
                };
                self.response("completed", output, self.responses_usage())
            }
            Format::Messages => {
                let blocks = if said.calls.is_empty() {
                    json!([{"type": "text", "text": text, "citations": null}])
                } else {
                    let calls = (0..).zip(&said.calls);
                    calls
                        .map(|(index, (name, input))| {
                            json!({"type": "tool_use",
                        "id": self.call_id("toolu_", index), "name": name, "input": input})
                        })
                        .collect()
                };
                let usage = json!({"input_tokens": self.usage.input - self.usage.cached, "cache_creation_input_tokens": 0,
                    "cache_read_input_tokens": self.usage.cached, "output_tokens": self.usage.output});
                self.message(
                    blocks,
                    json!(if said.calls.is_empty() {
                        "end_turn"
                    } else {
                        "tool_use"
                    }),
                    usage,
                )
            }
            Format::Gemini => {
                let parts = if said.calls.is_empty() {
                    json!([{ "text": text }])
                } else {
                    gemini_calls(said)
                };
                self.gemini(parts, json!("STOP"), true)
            }
        }
    }

    fn id(&self, prefix: &str) -> String {
        format!("{prefix}{}", self.number)
    }

    fn call_id(&self, prefix: &str, index: u64) -> String {
        format!("{prefix}{}_{index}", self.number)
    }

    fn chunk(&self, delta: Value, finish: Value) -> Value {
        json!({"id": self.id("chatcmpl-"), "object": "chat.completion.chunk", "created": 1, "model": self.model,
            "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]})
    }

    fn chat_usage(&self) -> Value {
        json!({"prompt_tokens": self.usage.input, "completion_tokens": self.usage.output,
            "total_tokens": self.usage.input + self.usage.output,
            "prompt_tokens_details": {"cached_tokens": self.usage.cached}})
    }

    fn chat_call(&self, index: u64, (name, arguments): &(String, Value)) -> Value {
        json!({"id": self.call_id("call_", index), "type": "function",
            "function": {"name": name, "arguments": arguments.to_string()}})
    }

    fn chat_stream(&self, said: &Said, pieces: &mut Vec<Piece>) {
        for word in &said.words {
            pieces.push(data(&self.chunk(json!({ "content": word }), Value::Null)));
        }
        for (index, call) in (0..).zip(&said.calls) {
            // The name first, then the arguments in two pieces, as the service does.
            let mut begin = self.chat_call(index, call);
            begin["index"] = json!(index);
            let arguments = std::mem::take(&mut begin["function"]["arguments"]);
            begin["function"]["arguments"] = json!("");
            pieces.push(data(&self.chunk(json!({ "tool_calls": [begin] }), Value::Null)));
            let arguments = arguments.as_str().unwrap_or_default().to_owned();
            let (one, two) = arguments.split_at(arguments.len().min(5));
            for part in [one, two] {
                let more = json!({"tool_calls": [{"index": index, "function": {"arguments": part}}]});
                pieces.push(data(&self.chunk(more, Value::Null)));
            }
        }
        let finish = if said.calls.is_empty() {
            "stop"
        } else {
            "tool_calls"
        };
        pieces.push(data(&self.chunk(json!({}), json!(finish))));
        if self.usage_wanted {
            let mut last = self.chunk(json!({}), Value::Null);
            last["choices"] = json!([]);
            last["usage"] = self.chat_usage();
            pieces.push(reporting(data(&last)));
        }
        pieces.push(data(&Value::Null));
        if let Some(last) = pieces.last_mut() {
            last.text = "data: [DONE]\n\n".to_owned();
        }
    }

    fn response(&self, status: &str, output: Value, usage: Value) -> Value {
        json!({"id": self.id("resp_"), "object": "response", "created_at": 1, "status": status,
            "model": self.model, "output": output, "usage": usage, "error": null, "incomplete_details": null,
            "instructions": null, "metadata": {}, "parallel_tool_calls": true, "temperature": 1.0, "top_p": 1.0,
            "tool_choice": "auto", "tools": []})
    }

    fn responses_usage(&self) -> Value {
        json!({"input_tokens": self.usage.input, "output_tokens": self.usage.output,
            "total_tokens": self.usage.input + self.usage.output,
            "input_tokens_details": {"cached_tokens": self.usage.cached, "cache_write_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0}})
    }

    fn responses_message(&self, status: &str, content: Value) -> Value {
        json!({"type": "message", "id": self.id("msg_"), "status": status, "role": "assistant", "content": content})
    }

    fn responses_call(&self, index: u64, (name, arguments): &(String, Value), status: &str) -> Value {
        let arguments = if status == "completed" {
            arguments.to_string()
        } else {
            String::new()
        };
        json!({"type": "function_call", "id": self.call_id("fc_", index), "call_id": self.call_id("call_", index),
            "status": status, "name": name, "arguments": arguments})
    }

    fn responses_stream(&self, said: &Said, pieces: &mut Vec<Piece>) {
        let mut number = pieces.len();
        let mut put = |mut event: Value| {
            event["sequence_number"] = json!(number);
            number += 1;
            pieces.push(named(&event));
        };
        let mut output = Vec::new();
        if said.calls.is_empty() {
            let text = said.words.concat();
            let item = self.responses_message("in_progress", json!([]));
            let id = item["id"].clone();
            put(json!({"type": "response.output_item.added", "output_index": 0, "item": item}));
            put(
                json!({"type": "response.content_part.added", "item_id": id, "output_index": 0,
                "content_index": 0, "part": output_text("")}),
            );
            for word in &said.words {
                put(
                    json!({"type": "response.output_text.delta", "item_id": id, "output_index": 0,
                    "content_index": 0, "delta": word, "logprobs": []}),
                );
            }
            put(
                json!({"type": "response.output_text.done", "item_id": id, "output_index": 0,
                "content_index": 0, "text": text, "logprobs": []}),
            );
            put(
                json!({"type": "response.content_part.done", "item_id": id, "output_index": 0,
                "content_index": 0, "part": output_text(&text)}),
            );
            let done = self.responses_message("completed", json!([output_text(&text)]));
            put(json!({"type": "response.output_item.done", "output_index": 0, "item": done}));
            output.push(done);
        }
        for (index, call) in (0..).zip(&said.calls) {
            let item = self.responses_call(index, call, "in_progress");
            let id = item["id"].clone();
            put(json!({"type": "response.output_item.added", "output_index": index, "item": item}));
            let arguments = call.1.to_string();
            put(
                json!({"type": "response.function_call_arguments.delta", "item_id": id,
                "output_index": index, "delta": arguments}),
            );
            put(
                json!({"type": "response.function_call_arguments.done", "item_id": id, "name": call.0,
                "output_index": index, "arguments": arguments}),
            );
            let done = self.responses_call(index, call, "completed");
            put(json!({"type": "response.output_item.done", "output_index": index, "item": done}));
            output.push(done);
        }
        let response = self.response("completed", json!(output), self.responses_usage());
        put(json!({"type": "response.completed", "response": response}));
        if let Some(last) = pieces.last_mut() {
            last.reports = true;
        }
    }

    fn message(&self, content: Value, stop_reason: Value, usage: Value) -> Value {
        json!({"id": self.id("msg_"), "type": "message", "role": "assistant", "model": self.model,
            "content": content, "stop_reason": stop_reason, "stop_sequence": null, "stop_details": null,
            "container": null, "usage": usage})
    }

    fn messages_stream(&self, said: &Said, pieces: &mut Vec<Piece>) {
        let mut index = 0;
        let mut block = |block: Value, deltas: Vec<Value>| {
            pieces.push(named(
                &json!({"type": "content_block_start", "index": index, "content_block": block}),
            ));
            for delta in deltas {
                pieces.push(named(
                    &json!({"type": "content_block_delta", "index": index, "delta": delta}),
                ));
            }
            pieces.push(named(&json!({"type": "content_block_stop", "index": index})));
            index += 1;
        };
        if said.calls.is_empty() {
            let deltas = said
                .words
                .iter()
                .map(|word| json!({"type": "text_delta", "text": word}));
            block(json!({"type": "text", "text": ""}), deltas.collect());
        }
        for (number, (name, input)) in (0..).zip(&said.calls) {
            let start =
                json!({"type": "tool_use", "id": self.call_id("toolu_", number), "name": name, "input": {}});
            let input = input.to_string();
            let (one, two) = input.split_at(input.len().min(5));
            let deltas = ["", one, two].map(|part| json!({"type": "input_json_delta", "partial_json": part}));
            block(start, deltas.to_vec());
        }
        let stop = if said.calls.is_empty() {
            "end_turn"
        } else {
            "tool_use"
        };
        pieces.push(reporting(named(&json!({"type": "message_delta",
            "delta": {"stop_reason": stop, "stop_sequence": null}, "usage": {"output_tokens": self.usage.output}}))));
        pieces.push(named(&json!({"type": "message_stop"})));
    }

    fn gemini(&self, parts: Value, finish: Value, last: bool) -> Value {
        // Thoughts are counted apart; a piece before the last knows only the input.
        let thoughts = self.usage.output / 4;
        let mut usage = json!({"promptTokenCount": self.usage.input, "cachedContentTokenCount": self.usage.cached,
            "totalTokenCount": self.usage.input});
        if last {
            usage["candidatesTokenCount"] = json!(self.usage.output - thoughts);
            usage["thoughtsTokenCount"] = json!(thoughts);
            usage["totalTokenCount"] = json!(self.usage.input + self.usage.output);
        }
        let mut candidate = json!({"index": 0, "content": {"role": "model", "parts": parts}});
        if !finish.is_null() {
            candidate["finishReason"] = finish;
        }
        json!({"candidates": [candidate], "usageMetadata": usage, "modelVersion": self.model,
            "responseId": self.id("r")})
    }

    fn gemini_stream(&self, said: &Said, pieces: &mut Vec<Piece>) {
        let thought = json!([{"text": "hm", "thought": true}]);
        pieces.push(data(&self.gemini(thought, Value::Null, false)));
        for word in &said.words {
            pieces.push(data(&self.gemini(json!([{ "text": word }]), Value::Null, false)));
        }
        let last = if said.calls.is_empty() {
            json!([{"text": ""}])
        } else {
            gemini_calls(said)
        };
        pieces.push(reporting(data(&self.gemini(last, json!("STOP"), true))));
    }

    /// The error of an HTTP status, or of the middle of a stream.
    pub(super) fn error(&self, status: u16) -> Value {
        let message = format!("as you asked: {status}");
        match self.format {
            Format::Chat | Format::Responses => {
                json!({"error": {"message": message, "type": "fake", "param": null, "code": "fake"}})
            }
            Format::Messages => json!({"type": "error", "error": {"type": "api_error", "message": message}}),
            Format::Gemini => json!({"error": {"code": status, "message": message, "status": "INTERNAL"}}),
        }
    }

    pub(super) fn error_event(&self) -> Piece {
        match self.format {
            Format::Chat | Format::Gemini => data(&self.error(500)),
            Format::Responses => named(
                &json!({"type": "error", "sequence_number": 2, "code": "server_error",
                "message": "as you asked: 500", "param": null}),
            ),
            Format::Messages => named(&self.error(500)),
        }
    }
}

fn output_text(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

fn gemini_calls(said: &Said) -> Value {
    let calls = said.calls.iter();
    calls
        .map(|(name, args)| json!({"functionCall": {"name": name, "args": args}}))
        .collect()
}
