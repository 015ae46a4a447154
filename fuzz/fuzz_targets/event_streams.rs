//! Server-sent events, from bridges and from providers: cut anywhere, they are the same events.
#![no_main]

use creel_models::sse::{Frames, data_of};
use creel_protocol::sse::{SseEvent, SseParser};
use libfuzzer_sys::fuzz_target;

const BOUND: usize = 4096;

fuzz_target!(|input: (Vec<u8>, usize)| {
    let (bytes, cut) = input;
    let cut = if bytes.is_empty() { 0 } else { cut % bytes.len() };
    let (before, after) = bytes.split_at(cut);
    assert_eq!(parsed(&[&bytes]), parsed(&[before, after]));
    assert_eq!(framed(&[&bytes]), framed(&[before, after]));
});

/// None: too long, wherever that shows.
fn parsed(pieces: &[&[u8]]) -> Option<Vec<SseEvent>> {
    let mut parser = SseParser::new(BOUND);
    let mut events = Vec::new();
    for piece in pieces {
        events.extend(parser.push(piece).ok()?);
    }
    Some(events)
}

fn framed(pieces: &[&[u8]]) -> Vec<Option<String>> {
    let mut frames = Frames::default();
    let mut events = Vec::new();
    for piece in pieces {
        frames.push(piece);
        while let Some(event) = frames.next_event() {
            events.push(data_of(&event));
        }
    }
    events
}
