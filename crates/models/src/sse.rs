//! A provider's stream, cut into whole events. Bytes come in any pieces; an event leaves only when it is
//! complete, so that a provider that hangs up in the middle of one never leaves half of it behind.

use bytes::{Bytes, BytesMut};

/// Collects pieces and gives out events.
#[derive(Debug, Default)]
pub struct Frames {
    buffer: BytesMut,
    /// No event ends before this place.
    searched: usize,
}

impl Frames {
    pub fn push(&mut self, piece: &[u8]) {
        self.buffer.extend_from_slice(piece);
    }

    /// The next whole event with the empty line that ends it, as it came.
    pub fn next_event(&mut self) -> Option<Bytes> {
        let bytes = &self.buffer[..];
        let mut at = self.searched;
        while let Some(found) = bytes[at..]
            .iter()
            .position(|byte| *byte == b'\n')
            .map(|offset| at + offset)
        {
            let end = match bytes.get(found + 1..) {
                Some([b'\n', ..]) => Some(found + 2),
                Some([b'\r', b'\n', ..]) => Some(found + 3),
                _ => None,
            };
            if let Some(end) = end {
                self.searched = 0;
                return Some(self.buffer.split_to(end).freeze());
            }
            at = found + 1;
        }
        // A line end may have come with its first byte only.
        self.searched = bytes.len().saturating_sub(2);
        None
    }

    /// Bytes of an event that is not complete yet.
    pub fn pending(&self) -> usize {
        self.buffer.len()
    }
}

/// The data of an event, its lines joined; none for a comment.
pub fn data_of(event: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(event);
    let mut lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("data:"))
        .map(|data| data.strip_prefix(' ').unwrap_or(data));
    let first = lines.next()?.to_owned();
    Some(lines.fold(first, |all, line| all + "\n" + line))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn events(pieces: &[&[u8]]) -> (Vec<Bytes>, usize) {
        let mut frames = Frames::default();
        let mut found = Vec::new();
        for piece in pieces {
            frames.push(piece);
            while let Some(event) = frames.next_event() {
                found.push(event);
            }
        }
        (found, frames.pending())
    }

    proptest! {
        #[test]
        fn where_the_pieces_are_cut_does_not_matter(
            stream in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'd'), any::<u8>()], 0..200),
            cuts in proptest::collection::vec(0usize..200, 0..6),
        ) {
            let whole = events(&[&stream]);
            let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut <= stream.len()).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();
            prop_assert_eq!(events(&pieces), whole);
        }
    }

    #[test]
    fn half_an_event_stays_back() {
        let (found, pending) = events(&[b"data: {\"a\":1}\r\n\r\n: ping\n\ndata: {\"b\""]);
        assert_eq!(found.len(), 2);
        assert_eq!(data_of(&found[0]).as_deref(), Some("{\"a\":1}"));
        assert_eq!(data_of(&found[1]), None);
        assert_eq!(pending, 10);
    }
}
