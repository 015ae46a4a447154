//! CBOR (RFC 8949), as much of it as authenticators write: definite lengths, no tags, few levels. Borrows all it
//! gives out, allocates nothing, and never believes a length.

/// CTAP allows four; a certificate chain in a statement that we skip needs no more.
const MAX_DEPTH: u32 = 8;

/// The bytes are no CBOR that an authenticator would write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Item<'b> {
    Int(i64),
    Bytes(&'b [u8]),
    Text(&'b str),
    /// So many items follow.
    Array(usize),
    /// So many pairs follow.
    Map(usize),
    /// True, false, null, a float: nothing that we look at.
    Simple,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'b> {
    rest: &'b [u8],
}

impl<'b> Reader<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What was not read yet.
    pub(crate) fn rest(&self) -> &'b [u8] {
        self.rest
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'b [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Malformed)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next item; of an array or a map only how much follows.
    pub(crate) fn item(&mut self) -> Result<Item<'b>, Malformed> {
        let head = self.take(1)?[0];
        let argument = match head & 31 {
            small @ 0..=23 => u64::from(small),
            // 1, 2, 4 or 8 bytes, the highest first.
            size @ 24..=27 => {
                let bytes = self.take(1 << (size - 24))?;
                bytes
                    .iter()
                    .fold(0, |number, byte| (number << 8) | u64::from(*byte))
            }
            // Reserved, or of indefinite length.
            _ => return Err(Malformed),
        };
        let number = || i64::try_from(argument).map_err(|_| Malformed);
        // Whatever is announced must be there: each item takes a byte at least.
        let length = |each: usize| {
            let count = usize::try_from(argument).map_err(|_| Malformed)?;
            let least = count.checked_mul(each).ok_or(Malformed)?;
            (least <= self.rest.len()).then_some(count).ok_or(Malformed)
        };
        Ok(match head >> 5 {
            0 => Item::Int(number()?),
            1 => Item::Int(-1 - number()?),
            2 => Item::Bytes(self.take(length(1)?)?),
            3 => Item::Text(std::str::from_utf8(self.take(length(1)?)?).map_err(|_| Malformed)?),
            4 => Item::Array(length(1)?),
            5 => Item::Map(length(2)?),
            7 => Item::Simple,
            _ => return Err(Malformed),
        })
    }

    pub(crate) fn map(&mut self) -> Result<usize, Malformed> {
        match self.item()? {
            Item::Map(pairs) => Ok(pairs),
            _ => Err(Malformed),
        }
    }

    /// Passes over the next item and all that is in it.
    pub(crate) fn skip(&mut self) -> Result<(), Malformed> {
        self.skip_within(MAX_DEPTH)
    }

    fn skip_within(&mut self, depth: u32) -> Result<(), Malformed> {
        let items = match self.item()? {
            Item::Array(items) => items,
            Item::Map(pairs) => pairs * 2,
            _ => return Ok(()),
        };
        let depth = depth.checked_sub(1).ok_or(Malformed)?;
        (0..items).try_for_each(|_| self.skip_within(depth))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// From RFC 8949, appendix A.
    #[test]
    fn items_are_those_of_the_standard() {
        for (bytes, item) in [
            (&[0x00][..], Item::Int(0)),
            (&[0x17], Item::Int(23)),
            (&[0x18, 0x18], Item::Int(24)),
            (&[0x19, 0x03, 0xe8], Item::Int(1000)),
            (&[0x1a, 0, 0x0f, 0x42, 0x40], Item::Int(1_000_000)),
            (
                &[0x1b, 0, 0, 0, 0xe8, 0xd4, 0xa5, 0x10, 0],
                Item::Int(1_000_000_000_000),
            ),
            (&[0x20], Item::Int(-1)),
            (&[0x39, 0x03, 0xe7], Item::Int(-1000)),
            (&[0x44, 1, 2, 3, 4], Item::Bytes(&[1, 2, 3, 4])),
            (&[0x64, b'I', b'E', b'T', b'F'], Item::Text("IETF")),
            (&[0x62, 0xc3, 0xbc], Item::Text("ü")),
            (&[0x80], Item::Array(0)),
            (&[0xa0], Item::Map(0)),
            (&[0xf5], Item::Simple),
            (&[0xf9, 0x3c, 0x00], Item::Simple),
        ] {
            let mut reader = Reader::new(bytes);
            let read = reader.item();
            assert_eq!(read, Ok(item), "{bytes:02x?}");
            assert!(reader.rest().is_empty());
        }
    }

    #[test]
    fn what_no_authenticator_writes_is_refused() {
        let deep = [0x81; 20];
        for bytes in [
            &[][..],
            // Lengths that are not there.
            &[0x42, 1],
            &[0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0xa1, 1],
            // Past what we count with.
            &[0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            // Indefinite lengths, a break, reserved heads, a tag.
            &[0x5f, 0x41, 1, 0xff],
            &[0x9f, 0xff],
            &[0xff],
            &[0x1c],
            &[0xc0, 0x00],
            // No UTF-8.
            &[0x61, 0xff],
            &deep,
        ] {
            assert_eq!(Reader::new(bytes).skip(), Err(Malformed), "{bytes:02x?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_nothing_is_read_twice(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes);
            let mut left = bytes.len();
            while reader.skip().is_ok() {
                prop_assert!(reader.rest().len() < left);
                left = reader.rest().len();
            }
        }
    }
}
