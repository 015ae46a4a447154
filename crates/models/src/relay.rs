//! The answer on its way back, in a task of its own: it ends in time also when the sandbox stops reading.
//!
//! The record is closed before the sandbox sees the end. Whoever has read the whole answer therefore finds its
//! usage in the ledger.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::Value;
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};

use crate::{
    Api, Body, Failure, Outcome, Usage, body,
    conversation::{Answer, Event, Stop, Told},
    failure::json_response,
    limits::{self, Waits},
    record::Record,
    sse::{Frames, data_of},
    wire::{self, Reader, Writer},
};

/// How long a provider may take to close a stream whose last event was read; it is only for the
/// connection to be used again.
const CLOSING: Duration = Duration::from_millis(500);

fn event_stream(receiver: mpsc::Receiver<Bytes>) -> Response<Body> {
    let mut response = Response::new(body::pieces(receiver));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// What a sandbox is sent of a stream.
pub(crate) enum Passing {
    AsItIs { hide_usage: bool },
    Translated(Writer),
}

/// Passes a provider's stream on.
pub(crate) fn stream(
    api: Api,
    answer: reqwest::Response,
    reader: Reader,
    passing: Passing,
    mut record: Record,
    waits: Waits,
) -> Response<Body> {
    let (pieces, receiver) = mpsc::channel(limits::PIECES);
    record.if_dropped(Outcome::Aborted);
    tokio::spawn(async move {
        let mut source = Source::new(answer.bytes_stream(), &waits);
        let mut line = Line {
            api,
            reader,
            passing,
            stop: Stop::Done,
            usage: None,
        };
        let ended = tokio::select! {
            biased;
            ended = pass(&mut source, &mut line, &pieces, &mut record) => ended,
            () = pieces.closed() => Ended::gone(),
        };
        record.usage = line.usage;
        record.close(ended.outcome);
        if !ended.last.is_empty() {
            // Nobody is left to be told when this fails.
            let _ = timeout(waits.idle, pieces.send(ended.last)).await;
        }
        drop(pieces);
        if ended.outcome == Outcome::Completed {
            let _ = timeout(CLOSING, source.bytes.next()).await;
        }
    });
    event_stream(receiver)
}

/// How a stream ended, and the last that the sandbox is told.
struct Ended {
    outcome: Outcome,
    last: Bytes,
}

impl Ended {
    fn gone() -> Self {
        Self {
            outcome: Outcome::ClientGone,
            last: Bytes::new(),
        }
    }

    fn failed(api: Api, outcome: Outcome, failure: &Failure) -> Self {
        Self {
            outcome,
            last: failure.event(api),
        }
    }
}

/// A provider's events, within bounds.
struct Source<S> {
    bytes: S,
    frames: Frames,
    total: usize,
    waits: Waits,
}

impl<S> Source<S>
where
    S: Stream<Item = reqwest::Result<Bytes>> + Unpin,
{
    fn new(bytes: S, waits: &Waits) -> Self {
        Self {
            bytes,
            frames: Frames::default(),
            total: 0,
            waits: waits.clone(),
        }
    }

    /// The next whole event; none when the stream ended between two.
    async fn next(&mut self, record: &mut Record) -> Result<Option<Bytes>, Broken> {
        loop {
            if let Some(event) = self.frames.next_event() {
                return if event.len() > limits::EVENT_BYTES {
                    Err(Broken::TooLarge)
                } else {
                    Ok(Some(event))
                };
            }
            if self.frames.pending() > limits::EVENT_BYTES {
                return Err(Broken::TooLarge);
            }
            let left = self.waits.call.saturating_sub(record.age());
            match timeout(self.waits.idle.min(left), self.bytes.next()).await {
                Ok(Some(Ok(piece))) => {
                    record.heard();
                    self.total += piece.len();
                    if self.total > limits::RESPONSE_BYTES {
                        return Err(Broken::TooLarge);
                    }
                    self.frames.push(&piece);
                }
                Ok(None) if self.frames.pending() == 0 => return Ok(None),
                Ok(Some(Err(_)) | None) => return Err(Broken::CutOff),
                Err(_) => return Err(Broken::Silent),
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Broken {
    CutOff,
    Garbled,
    Silent,
    TooLarge,
}

impl Broken {
    fn outcome(self) -> Outcome {
        match self {
            Self::CutOff | Self::Garbled => Outcome::CutOff,
            Self::Silent => Outcome::TimedOut,
            Self::TooLarge => Outcome::TooLarge,
        }
    }

    fn failure(self) -> Failure {
        Failure::model(match self {
            Self::CutOff => "the provider hung up in the middle of its answer: try again",
            Self::Garbled => "the provider sent something that makes no sense: check its address and kind",
            Self::Silent => "the provider fell silent in the middle of its answer: try again",
            Self::TooLarge => "the provider's answer is larger than is taken: ask for less",
        })
    }
}

/// One answer as it is read and passed on.
struct Line {
    api: Api,
    reader: Reader,
    passing: Passing,
    stop: Stop,
    usage: Option<Usage>,
}

enum Step {
    More(Bytes),
    End(Bytes),
    /// The provider gave up, in its words.
    Failed(String),
}

impl Line {
    /// Reads one event of the provider; says what the sandbox is sent for it.
    fn step(&mut self, frame: Bytes) -> Result<Step, Broken> {
        let Some(data) = data_of(&frame) else {
            // A comment; it keeps the line alive.
            let keep = matches!(self.passing, Passing::AsItIs { .. });
            return Ok(Step::More(if keep { frame } else { Bytes::new() }));
        };
        let told = self.reader.see(&data).map_err(|_| Broken::Garbled)?;
        let mut out = BytesMut::new();
        let mut ended = false;
        let only_usage = matches!(told.as_slice(), [Told::Usage(_)]);
        for told in told {
            match told {
                Told::Event(event) => {
                    if let Passing::Translated(writer) = &mut self.passing {
                        writer.event(event, &mut out);
                    }
                }
                Told::Stop(stop) => self.stop = stop,
                Told::Usage(usage) => self.usage = Some(usage),
                Told::End => ended = true,
                Told::Failed(said) => return Ok(Step::Failed(said)),
            }
        }
        let out = match &self.passing {
            // Asked for by us, not by the sandbox: a chunk without choices surprises some clients.
            Passing::AsItIs { hide_usage: true } if only_usage && self.api == Api::ChatCompletions => {
                Bytes::new()
            }
            Passing::AsItIs { .. } => frame,
            Passing::Translated(_) => out.freeze(),
        };
        Ok(if ended {
            Step::End(self.end(out))
        } else {
            Step::More(out)
        })
    }

    /// What follows the last piece.
    fn end(&mut self, last: Bytes) -> Bytes {
        match &mut self.passing {
            Passing::AsItIs { .. } => last,
            Passing::Translated(writer) => {
                let mut out = BytesMut::from(&last[..]);
                writer.end(self.stop, self.usage, &mut out);
                out.freeze()
            }
        }
    }
}

async fn pass<S>(
    source: &mut Source<S>,
    line: &mut Line,
    pieces: &mpsc::Sender<Bytes>,
    record: &mut Record,
) -> Ended
where
    S: Stream<Item = reqwest::Result<Bytes>> + Unpin,
{
    let api = line.api;
    if let Passing::Translated(writer) = &mut line.passing {
        let mut out = BytesMut::new();
        writer.begin(&mut out);
        if pieces.send(out.freeze()).await.is_err() {
            return Ended::gone();
        }
    }
    loop {
        let frame = match source.next(record).await {
            Ok(Some(frame)) => frame,
            Ok(None) if line.reader.is_whole() => {
                // Some servers leave the last mark out; clients wait for it.
                let last = if matches!(line.passing, Passing::AsItIs { .. }) {
                    wire::DONE
                } else {
                    line.end(Bytes::new())
                };
                return Ended {
                    outcome: Outcome::Completed,
                    last,
                };
            }
            Ok(None) => return Ended::failed(api, Outcome::CutOff, &Broken::CutOff.failure()),
            Err(broken) => return Ended::failed(api, broken.outcome(), &broken.failure()),
        };
        match line.step(frame) {
            Ok(Step::More(out)) => {
                if out.is_empty() {
                    continue;
                }
                // A sandbox that stops reading has hung up.
                match timeout(source.waits.idle, pieces.send(out)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) | Err(_) => return Ended::gone(),
                }
            }
            Ok(Step::End(last)) => {
                return Ended {
                    outcome: Outcome::Completed,
                    last,
                };
            }
            Ok(Step::Failed(said)) => {
                let failure = gave_up(&said);
                return Ended::failed(api, Outcome::UpstreamError { status: 200 }, &failure);
            }
            Err(broken) => return Ended::failed(api, broken.outcome(), &broken.failure()),
        }
    }
}

fn gave_up(said: &str) -> Failure {
    let said = if said.is_empty() { "no reason given" } else { said };
    Failure::model(format!(
        "the provider gave up in the middle of its answer: {said}"
    ))
}

/// Collects a provider's stream for a sandbox that wants the answer whole.
pub(crate) async fn collect(
    answer: reqwest::Response,
    mut reader: Reader,
    writer: &Writer,
    mut record: Record,
    waits: &Waits,
) -> Result<Response<Body>, Failure> {
    let mut source = Source::new(answer.bytes_stream(), waits);
    let mut whole = Answer::default();
    let ended = loop {
        let told = match source.next(&mut record).await {
            Ok(Some(frame)) => match data_of(&frame) {
                Some(data) => reader.see(&data).map_err(|_| Broken::Garbled),
                None => Ok(Vec::new()),
            },
            Ok(None) if reader.is_whole() => Ok(vec![Told::End]),
            Ok(None) => Err(Broken::CutOff),
            Err(broken) => Err(broken),
        };
        let told = match told {
            Ok(told) => told,
            Err(broken) => break Err((broken.outcome(), broken.failure())),
        };
        let mut ended = None;
        for told in told {
            match told {
                Told::Event(event) => whole.add(event),
                Told::Stop(stop) => whole.stop = stop,
                Told::Usage(usage) => whole.usage = Some(usage),
                Told::End => ended = Some(Ok(())),
                Told::Failed(said) => {
                    ended = Some(Err((Outcome::UpstreamError { status: 200 }, gave_up(&said))));
                }
            }
        }
        if let Some(ended) = ended {
            break ended;
        }
    };
    record.usage = whole.usage;
    match ended {
        Ok(()) => {
            record.close(Outcome::Completed);
            Ok(json_response(StatusCode::OK, &writer.whole(&whole)))
        }
        Err((outcome, failure)) => {
            record.close(outcome);
            Err(failure)
        }
    }
}

/// Reads an answer that is not streamed and passes it on as it is.
pub(crate) async fn whole(
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
            let piece = piece.map_err(|_| Broken::CutOff)?;
            record.heard();
            if whole.len() + piece.len() > limits::RESPONSE_BYTES {
                return Err(Broken::TooLarge);
            }
            whole.extend_from_slice(&piece);
        }
        serde_json::from_slice::<Value>(&whole).map_err(|error| {
            if error.is_eof() {
                Broken::CutOff
            } else {
                Broken::Garbled
            }
        })
    };
    let read = timeout(left, read).await.unwrap_or(Err(Broken::Silent));
    let answer = match read {
        Ok(answer) => answer,
        Err(broken) => {
            record.close(broken.outcome());
            return Err(broken.failure());
        }
    };
    record.usage = match api {
        Api::ChatCompletions => Usage::of_chat(&answer["usage"]),
        Api::Responses => Usage::of_responses(&answer["usage"]),
        Api::Messages => Usage::of_messages(&answer["usage"]),
    };
    // Routers report what went wrong behind them in an answer of 200.
    if let Some(said) = wire::error_of(&answer) {
        record.close(Outcome::UpstreamError { status: 200 });
        return Err(gave_up(&said));
    }
    record.close(Outcome::Completed);
    Ok(json_response(StatusCode::OK, &answer))
}

/// Answers by the demo.
pub(crate) fn demo(
    (events, stop, usage): (Vec<Event>, Stop, Usage),
    mut writer: Writer,
    streamed: bool,
    mut record: Record,
    waits: &Waits,
) -> Response<Body> {
    if !streamed {
        let mut answer = Answer {
            stop,
            usage: Some(usage),
            ..Answer::default()
        };
        events.into_iter().for_each(|event| answer.add(event));
        record.usage = Some(usage);
        record.close(Outcome::Completed);
        return json_response(StatusCode::OK, &writer.whole(&answer));
    }
    let (pieces, receiver) = mpsc::channel(limits::PIECES);
    let waits = waits.clone();
    record.if_dropped(Outcome::Aborted);
    tokio::spawn(async move {
        let mut out = BytesMut::new();
        writer.begin(&mut out);
        for event in events {
            writer.event(event, &mut out);
            record.heard();
            match timeout(waits.idle, pieces.send(out.split().freeze())).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return record.close(Outcome::ClientGone),
            }
            sleep(waits.demo_word).await;
        }
        writer.end(stop, Some(usage), &mut out);
        record.usage = Some(usage);
        record.close(Outcome::Completed);
        // Nobody is left to be told when this fails.
        let _ = timeout(waits.idle, pieces.send(out.freeze())).await;
    });
    event_stream(receiver)
}
