//! Cursors: where a page ended, in a form that nobody should read.
//!
//! The text carries a check, so that a cursor of another list or a mistyped one is refused instead of
//! silently giving another page. It is no secret and grants nothing.

use super::failure::{Answer, Failure};

/// Hexadecimal of the kind's letter, the position, and two bytes of checksum.
pub(crate) fn encode(list: u8, position: u128) -> String {
    let position = position.to_be_bytes();
    let check = checksum(list, &position);
    format!("{list:02x}{:032x}{check:04x}", u128::from_be_bytes(position))
}

pub(crate) fn decode(list: u8, cursor: &str) -> Answer<u128> {
    let bad = || Failure::invalid("The cursor is not one that this list gave: begin without one.");
    if cursor.len() != 38 || !cursor.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(bad());
    }
    let kind = u8::from_str_radix(&cursor[..2], 16).map_err(|_| bad())?;
    let position = u128::from_str_radix(&cursor[2..34], 16).map_err(|_| bad())?;
    let check = u16::from_str_radix(&cursor[34..], 16).map_err(|_| bad())?;
    if kind == list && check == checksum(list, &position.to_be_bytes()) {
        Ok(position)
    } else {
        Err(bad())
    }
}

fn checksum(list: u8, position: &[u8]) -> u16 {
    // Fletcher's sum: enough to notice a mistake.
    let (mut low, mut high) = (u16::from(list), 0_u16);
    for byte in position {
        low = (low + u16::from(*byte)) % 255;
        high = (high + low) % 255;
    }
    (high << 8) | low
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_survives_and_no_text_panics(position: u128, text in ".{0,60}") {
            prop_assert_eq!(decode(1, &encode(1, position)).ok(), Some(position));
            prop_assert!(decode(2, &encode(1, position)).is_err());
            prop_assert!(decode(1, &text).is_err() || text.len() == 38);
        }
    }
}
