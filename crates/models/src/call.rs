//! One model call: what is asked, of whom, and the answer on its way back.

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value, json};
use tokio::{sync::mpsc, time::timeout};

use crate::{
    Api, Body, Caller, Failure, Outcome, Usage, body, limits,
    limits::Waits,
    record::Record,
    sse::{Frames, data_of},
};

/// A request as far as we must understand it; the rest passes as it is.
pub(crate) struct Asked {
    pub(crate) fields: Map<String, Value>,
    pub(crate) streamed: bool,
}

impl Asked {
    pub(crate) fn parse(body: &[u8], caller: &Caller) -> Result<Self, Failure> {
        let fields: Map<String, Value> = serde_json::from_slice(body)
            .map_err(|error| Failure::invalid(format!("the request is not a JSON object: {error}")))?;
        let streamed = match fields.get("stream") {
            None | Some(Value::Null) => false,
            Some(Value::Bool(streamed)) => *streamed,
            Some(_) => return Err(Failure::invalid("`stream` must be true or false")),
        };
        match fields.get("model") {
            Some(Value::String(model)) if caller.may_use(model) => Ok(Self { fields, streamed }),
            Some(Value::String(model)) => Err(Failure::new(
                "model_not_allowed",
                format!(
                    "this agent uses {}, not `{}`: ask for `default`, or set the agent's model",
                    caller.model,
                    model.chars().take(80).collect::<String>()
                ),
            )),
            _ => Err(Failure::invalid(
                "`model` must be given as text: `default` is the agent's own",
            )),
        }
    }

    /// What the provider is sent.
    pub(crate) fn for_provider(mut self, api: Api, model: &str) -> Bytes {
        self.fields.insert("model".to_owned(), json!(model));
        match api {
            Api::ChatCompletions if self.streamed => {
                let options = self.fields.entry("stream_options").or_insert_with(|| json!({}));
                if !options.is_object() {
                    *options = json!({});
                }
                options["include_usage"] = json!(true);
            }
            Api::Responses => {
                self.fields.insert("store".to_owned(), json!(false));
            }
            Api::ChatCompletions | Api::Messages => {}
        }
        Bytes::from(Value::Object(self.fields).to_string())
    }
}

/// What a stream has told so far about its own end.
#[derive(Default)]
struct Watch {
    finished: bool,
    failed: bool,
    /// Messages reports its usage in two parts.
    messages_usage: Map<String, Value>,
}

impl Watch {
    fn see(&mut self, api: Api, data: &str, usage: &mut Option<Usage>) {
        if data == "[DONE]" {
            self.finished = true;
            return;
        }
        let Ok(event) = serde_json::from_str::<Value>(data) else {
            return;
        };
        match api {
            Api::ChatCompletions => {
                *usage = Usage::of_chat(&event["usage"]).or(*usage);
                self.failed |= event.get("error").is_some_and(|error| !error.is_null());
            }
            Api::Responses => {
                let kind = event["type"].as_str().unwrap_or_default();
                if matches!(
                    kind,
                    "response.completed" | "response.incomplete" | "response.failed"
                ) {
                    self.finished = true;
                    self.failed |= kind == "response.failed";
                    *usage = Usage::of_responses(&event["response"]["usage"]).or(*usage);
                }
                self.failed |= kind == "error";
            }
            Api::Messages => {
                let kind = event["type"].as_str().unwrap_or_default();
                let part = if kind == "message_start" {
                    &event["message"]["usage"]
                } else {
                    &event["usage"]
                };
                if let Value::Object(part) = part {
                    self.messages_usage.extend(part.clone());
                    *usage = Usage::of_messages(&Value::Object(self.messages_usage.clone())).or(*usage);
                }
                self.finished |= kind == "message_stop";
                self.failed |= kind == "error";
            }
        }
    }
}

pub(crate) fn event_stream(receiver: mpsc::Receiver<Bytes>) -> Response<Body> {
    let mut response = Response::new(body::pieces(receiver));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// Passes a provider's stream on, event by event, in a task of its own.
pub(crate) fn relay_stream(
    api: Api,
    answer: reqwest::Response,
    record: Record,
    waits: Waits,
) -> Response<Body> {
    let (pieces, receiver) = mpsc::channel(limits::PIECES);
    tokio::spawn(async move {
        let mut record = record;
        let (outcome, last) = relay(api, answer, &pieces, &mut record, &waits).await;
        // Closed before the sandbox sees the end.
        record.close(outcome);
        if let Some(last) = last {
            // Nobody is left to be told when this fails.
            let _ = timeout(waits.idle, pieces.send(last.event(api))).await;
        }
    });
    event_stream(receiver)
}

async fn relay(
    api: Api,
    answer: reqwest::Response,
    pieces: &mpsc::Sender<Bytes>,
    record: &mut Record,
    waits: &Waits,
) -> (Outcome, Option<Failure>) {
    let mut source = answer.bytes_stream();
    let (mut frames, mut watch, mut total) = (Frames::default(), Watch::default(), 0_usize);
    let broken = |sentence: &str| Some(Failure::model(sentence));
    loop {
        let left = waits.call.saturating_sub(record.age());
        let piece = tokio::select! {
            piece = timeout(waits.idle.min(left), source.next()) => piece,
            () = pieces.closed() => return (Outcome::ClientGone, None),
        };
        let piece = match piece {
            Ok(Some(Ok(piece))) => piece,
            Ok(None) if watch.failed => return (Outcome::UpstreamError { status: 200 }, None),
            Ok(None) if watch.finished => return (Outcome::Completed, None),
            Ok(Some(Err(_)) | None) => {
                return (
                    Outcome::CutOff,
                    broken("the provider hung up in the middle of its answer"),
                );
            }
            Err(_) => {
                return (
                    Outcome::TimedOut,
                    broken("the provider fell silent in the middle of its answer"),
                );
            }
        };
        record.heard();
        total += piece.len();
        frames.push(&piece);
        if total > limits::RESPONSE_BYTES || frames.pending() > limits::EVENT_BYTES + piece.len() {
            return (
                Outcome::TooLarge,
                broken("the provider's answer is larger than is taken"),
            );
        }
        while let Some(event) = frames.next_event() {
            if let Some(data) = data_of(&event) {
                watch.see(api, &data, &mut record.usage);
            }
            match timeout(waits.idle, pieces.send(event)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return (Outcome::ClientGone, None),
            }
        }
    }
}

/// Reads an answer that is not streamed and passes it on.
pub(crate) async fn relay_whole(
    api: Api,
    answer: reqwest::Response,
    mut record: Record,
    waits: &Waits,
) -> Result<Response<Body>, Failure> {
    let mut source = answer.bytes_stream();
    let mut whole = BytesMut::new();
    let left = waits.whole_answer.min(waits.call.saturating_sub(record.age()));
    let read = async {
        while let Some(piece) = source.next().await {
            let piece = piece.map_err(|_| Outcome::CutOff)?;
            record.heard();
            if whole.len() + piece.len() > limits::RESPONSE_BYTES {
                return Err(Outcome::TooLarge);
            }
            whole.extend_from_slice(&piece);
        }
        Ok(())
    };
    let failed = match timeout(left, read).await {
        Ok(Ok(())) => None,
        Ok(Err(outcome)) => Some(outcome),
        Err(_) => Some(Outcome::TimedOut),
    };
    if let Some(outcome) = failed {
        record.close(outcome);
        return Err(Failure::model(
            "the provider's answer did not arrive whole: try again",
        ));
    }
    let Ok(answer) = serde_json::from_slice::<Value>(&whole) else {
        record.close(Outcome::CutOff);
        return Err(Failure::model(
            "the provider's answer is no JSON: check its address",
        ));
    };
    record.usage = match api {
        Api::ChatCompletions => Usage::of_chat(&answer["usage"]),
        Api::Responses => Usage::of_responses(&answer["usage"]),
        Api::Messages => Usage::of_messages(&answer["usage"]),
    };
    record.close(Outcome::Completed);
    Ok(crate::failure::json_response(StatusCode::OK, &answer))
}
