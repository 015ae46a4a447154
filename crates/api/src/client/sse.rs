//! Server-sent events from bytes, as the WHATWG describes them, within bounds.

/// The longest event that is taken, in bytes. A finished answer is the longest there is (4 MiB, escaped).
const MAX_EVENT_BYTES: usize = 32 << 20;

/// One event. Its name is left out: every payload of this API says itself what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SseEvent {
    pub(super) id: Option<u64>,
    pub(super) data: String,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct EventTooLong;

/// Takes bytes as they come, gives events as they are whole.
#[derive(Default)]
pub(super) struct SseParser {
    line: Vec<u8>,
    /// A carriage return was seen: a line feed right after it belongs to it.
    after_return: bool,
    id: Option<u64>,
    data: Vec<u8>,
    has_data: bool,
}

impl SseParser {
    pub(super) fn push(&mut self, bytes: &[u8], events: &mut Vec<SseEvent>) -> Result<(), EventTooLong> {
        for &byte in bytes {
            let joined = std::mem::take(&mut self.after_return) && byte == b'\n';
            match byte {
                _ if joined => {}
                b'\n' | b'\r' => {
                    self.after_return = byte == b'\r';
                    self.end_line(events);
                }
                _ if self.line.len() + self.data.len() >= MAX_EVENT_BYTES => return Err(EventTooLong),
                _ => self.line.push(byte),
            }
        }
        Ok(())
    }

    fn end_line(&mut self, events: &mut Vec<SseEvent>) {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            if std::mem::take(&mut self.has_data) {
                let data = String::from_utf8_lossy(&std::mem::take(&mut self.data)).into_owned();
                events.push(SseEvent { id: self.id, data });
            }
            return;
        }
        let (field, value) = match line.iter().position(|&byte| byte == b':') {
            Some(colon) => {
                let value = &line[colon + 1..];
                (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
            }
            None => (&line[..], &[][..]),
        };
        match field {
            b"data" => {
                if self.has_data {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(value);
                self.has_data = true;
            }
            b"id" => self.id = std::str::from_utf8(value).ok().and_then(|id| id.parse().ok()),
            // Comments keep the connection alive; names and retry times are not used.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(parts: &[&[u8]]) -> Vec<SseEvent> {
        let mut parser = SseParser::default();
        let mut events = Vec::new();
        for part in parts {
            parser.push(part, &mut events).expect("short events");
        }
        events
    }

    #[test]
    fn comments_and_half_an_event_give_nothing() {
        let events = parse(&[b": alive\n\nid: 7\nevent: text\ndata: {\"a\":\ndata: 1}\n\ndata: half"]);
        let whole = SseEvent {
            id: Some(7),
            data: "{\"a\":\n1}".to_owned(),
        };
        assert_eq!(events, [whole]);
    }

    proptest! {
        #[test]
        fn where_the_bytes_are_cut_does_not_matter(
            text in "((id: [0-9]{1,3}|data: ?[a-z]{0,5}|: c|event:x|)(\n|\r\n|\r)){0,12}",
            cut in 0usize..100,
        ) {
            let bytes = text.as_bytes();
            let cut = cut.min(bytes.len());
            prop_assert_eq!(parse(&[&bytes[..cut], &bytes[cut..]]), parse(&[bytes]));
        }

        #[test]
        fn hostile_bytes_never_panic(bytes: Vec<u8>) {
            parse(&[&bytes]);
        }
    }
}
