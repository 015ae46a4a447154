//! Server-sent events: written by the bridge and by model providers, read from peers who may send anything.
//!
//! The parser takes bytes in pieces of any size and never holds more than its bound.

use std::fmt::Write as _;

/// One event. Fields other than these are passed over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SseEvent {
    pub id: Option<String>,
    pub name: Option<String>,
    pub data: String,
}

impl SseEvent {
    /// The event as it goes over the wire.
    pub fn encode(&self) -> String {
        let mut out = String::with_capacity(self.data.len() + 48);
        for (field, value) in [("id", &self.id), ("event", &self.name)] {
            if let Some(value) = value {
                let _ = writeln!(out, "{field}: {value}");
            }
        }
        for line in self.data.split('\n') {
            let _ = writeln!(out, "data: {line}");
        }
        out.push('\n');
        out
    }
}

/// A line that keeps a silent stream alive.
pub const KEEP_ALIVE: &str = ": still here\n\n";

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is longer than {bound} bytes")]
pub struct TooLong {
    bound: usize,
}

/// Cuts a byte stream into events.
#[derive(Debug)]
pub struct SseParser {
    bound: usize,
    line: Vec<u8>,
    /// The last byte was CR: an LF right after it belongs to the same line end.
    after_cr: bool,
    event: SseEvent,
    has_data: bool,
}

impl SseParser {
    /// `bound`: the most bytes that one event, or one line, may have.
    pub fn new(bound: usize) -> Self {
        Self {
            bound,
            line: Vec::new(),
            after_cr: false,
            event: SseEvent::default(),
            has_data: false,
        }
    }

    /// Takes more bytes and gives the events that they complete. After an error the stream is lost.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<Vec<SseEvent>, TooLong> {
        let mut events = Vec::new();
        while let Some(&first) = bytes.first() {
            if std::mem::take(&mut self.after_cr) && first == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let piece = &bytes[..end.unwrap_or(bytes.len())];
            if self.line.len() + self.event.data.len() + piece.len() > self.bound {
                return Err(TooLong { bound: self.bound });
            }
            self.line.extend_from_slice(piece);
            let Some(end) = end else { break };
            self.after_cr = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            let line = std::mem::take(&mut self.line);
            events.extend(self.line_done(&line));
        }
        Ok(events)
    }

    fn line_done(&mut self, line: &[u8]) -> Option<SseEvent> {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return std::mem::take(&mut self.has_data).then_some(event);
        }
        let line = String::from_utf8_lossy(line);
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            "id" => self.event.id = Some(value.to_owned()),
            "event" => self.event.name = Some(value.to_owned()),
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse_in_pieces(bytes: &[u8], cuts: &[usize]) -> Result<Vec<SseEvent>, TooLong> {
        let mut parser = SseParser::new(1 << 16);
        let mut events = Vec::new();
        let mut rest = bytes;
        for cut in cuts {
            let (now, later) = rest.split_at((*cut).min(rest.len()));
            events.extend(parser.push(now)?);
            rest = later;
        }
        events.extend(parser.push(rest)?);
        Ok(events)
    }

    proptest! {
        #[test]
        fn however_it_is_cut_the_events_are_the_same(
            texts in prop::collection::vec("[^\r]{0,40}", 0..8),
            cuts in prop::collection::vec(0_usize..20, 0..60),
            crlf: bool,
        ) {
            let events: Vec<_> = texts
                .iter()
                .enumerate()
                .map(|(number, text)| SseEvent {
                    id: Some(number.to_string()),
                    name: Some("text".to_owned()),
                    data: text.clone(),
                })
                .collect();
            let mut wire: String = events.iter().map(|event| format!("{KEEP_ALIVE}{}", event.encode())).collect();
            if crlf {
                wire = wire.replace('\n', "\r\n");
            }
            prop_assert_eq!(parse_in_pieces(wire.as_bytes(), &cuts), Ok(events));
        }

        #[test]
        fn hostile_bytes_never_panic_nor_pile_up(chunks: Vec<Vec<u8>>) {
            let mut parser = SseParser::new(64);
            for chunk in chunks {
                if parser.push(&chunk).is_err() {
                    break;
                }
                prop_assert!(parser.line.len() + parser.event.data.len() <= 64 * 2);
            }
        }
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut parser = SseParser::new(16);
        assert_eq!(parser.push(b"data: 0123"), Ok(vec![]));
        assert_eq!(parser.push(b"456789abcdef"), Err(TooLong { bound: 16 }));
    }

    #[test]
    fn an_event_without_data_is_none() {
        assert_eq!(SseParser::new(99).push(b"event: ping\n\n: note\n\n"), Ok(vec![]));
    }
}
