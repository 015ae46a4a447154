//! What an owner puts into DNS, and what was seen there, in words.

use creel_domain::DomainName;

use super::lookup::LookupError;

/// Before the domain, where the proof stands.
const PLACE: &str = "_creel.";
/// Of what was found instead of the proof, so many are shown, and so much of each.
const SHOWN: usize = 3;
const SHOWN_CHARS: usize = 80;
/// The longest domain of which there can be a place for the proof.
pub(crate) const DOMAIN_BYTES: usize = DomainName::MAX_BYTES - PLACE.len();

/// Where the proof stands.
pub(crate) fn place(name: &DomainName) -> String {
    format!("{PLACE}{name}")
}

/// What a look at the place has shown, if not the proof.
pub(crate) fn not_proven(place: &str, found: &Result<Vec<Vec<u8>>, LookupError>) -> String {
    let found = match found {
        Ok(found) if found.is_empty() => {
            return format!("The TXT record was not found: there is none at {place}.");
        }
        Ok(found) => found,
        Err(error) => return format!("The TXT record at {place} could not be looked up: {error}."),
    };
    let shown: Vec<String> = found.iter().take(SHOWN).map(|text| shown(text)).collect();
    let more = match found.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "The TXT record was not found at {place}; found: {}{more}.",
        shown.join(", ")
    )
}

/// In quotes, short, and without anything that a terminal or a page would take for its own.
fn shown(text: &[u8]) -> String {
    let plain = |byte: &u8| match byte {
        b'"' | b'\\' => '?',
        byte if byte.is_ascii_graphic() || *byte == b' ' => char::from(*byte),
        _ => '?',
    };
    let cut = if text.len() > SHOWN_CHARS { "…" } else { "" };
    let text: String = text.iter().take(SHOWN_CHARS).map(plain).collect();
    format!("\"{text}{cut}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_said() {
        let say = |found: Result<Vec<Vec<u8>>, LookupError>| not_proven("_creel.a.example", &found);
        assert_eq!(
            say(Ok(Vec::new())),
            "The TXT record was not found: there is none at _creel.a.example."
        );
        let texts = |texts: &[&[u8]]| Ok(texts.iter().map(|text| text.to_vec()).collect());
        assert_eq!(
            say(texts(&[b"old", b"\x1b[31mred\"", b"3", b"4", b"5"])),
            "The TXT record was not found at _creel.a.example; found: \"old\", \"?[31mred?\", \"3\" and 2 more."
        );
        assert!(say(texts(&[&[b'x'; 60_000]])).len() < 200);
        assert!(say(Err(LookupError::Silent)).ends_with("name servers work."));
    }
}
