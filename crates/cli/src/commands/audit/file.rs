//! An exported trail, checked without a server: every hash, every link, and that nothing is missing between.

use std::{fmt, io, str::FromStr};

use creel_api::{AuditRecord, ocsf};
use creel_domain::OrgId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The end of a trail: `NUMBER:HASH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    sequence: u64,
    hash: String,
}

impl FromStr for Head {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "write it as NUMBER:HASH, as `creel audit verify` prints it".to_owned();
        let (sequence, hash) = text.split_once(':').ok_or_else(wrong)?;
        if hash.len() != 64 || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        Ok(Self {
            sequence: sequence.parse().map_err(|_| wrong())?,
            hash: hash.to_ascii_lowercase(),
        })
    }
}

/// What a whole file holds.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Seen {
    entries: u64,
    first: u64,
    last: u64,
    hash: String,
    /// Whether its end is the one that was asked for.
    ends_at_head: bool,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Entries {} to {} hang together and are as they were written.",
            self.first, self.last
        )?;
        if self.first > 1 {
            write!(f, " What was before {} is not in the file.", self.first)?;
        }
        if !self.ends_at_head {
            write!(f, " Whether more followed only the server knows, or --head.")?;
        }
        write!(f, "\nhead {}:{}", self.last, self.hash)
    }
}

#[derive(Deserialize)]
struct Line {
    metadata: Metadata,
    unmapped: Unmapped,
}

#[derive(Deserialize)]
struct Metadata {
    tenant_uid: OrgId,
}

#[derive(Deserialize)]
struct Unmapped {
    creel: AuditRecord,
}

fn parse(line: &str) -> Result<(Value, Line), String> {
    let value: Value = serde_json::from_str(line).map_err(|error| format!("is no JSON: {error}"))?;
    let line =
        serde_json::from_value(value.clone()).map_err(|error| format!("is no line of an export: {error}"))?;
    Ok((value, line))
}

/// Of one line.
pub(super) fn sequence(line: &str) -> Result<u64, String> {
    parse(line).map(|(_, line)| line.unmapped.creel.entry.sequence)
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

/// The first thing that is wrong, as a sentence.
pub(super) fn check(
    lines: impl Iterator<Item = io::Result<String>>,
    head: Option<&Head>,
) -> Result<Seen, String> {
    let mut seen = Seen::default();
    let mut org = None;
    for (number, line) in (1_u64..).zip(lines) {
        let line = line.map_err(|error| format!("line {number} cannot be read: {error}"))?;
        if line.trim().is_empty() {
            continue;
        }
        let (value, line) = parse(&line).map_err(|wrong| format!("line {number} {wrong}"))?;
        let (tenant, record) = (line.metadata.tenant_uid, line.unmapped.creel);
        let sequence = record.entry.sequence;
        if *org.get_or_insert(tenant) != tenant {
            return Err(format!("line {number} belongs to another org"));
        }
        if seen.entries == 0 {
            seen.first = sequence;
        } else if sequence > seen.last + 1 {
            return Err(format!("entry {} is missing", seen.last + 1));
        } else if sequence <= seen.last {
            return Err(format!("line {number}: entry {sequence} is out of order"));
        } else if record.previous != seen.hash {
            return Err(format!(
                "entry {sequence} follows another entry than the one before it"
            ));
        }
        let previous = unhex(&record.previous).ok_or_else(|| format!("line {number}: a hash is none"))?;
        if sequence == 1 && previous != [0; 32] {
            return Err("entry 1 is not the first".to_owned());
        }
        let hash = creel_store::audit_hash(tenant, &record.entry, &previous);
        if unhex(&record.hash) != Some(hash) || ocsf(tenant, &record) != value {
            return Err(format!("entry {sequence} was changed after it was written"));
        }
        if head.is_some_and(|head| head.sequence == sequence && head.hash != record.hash) {
            return Err(format!(
                "entry {sequence} is not the one that --head names: the trail was made anew"
            ));
        }
        seen.entries += 1;
        seen.last = sequence;
        seen.hash = record.hash;
    }
    if seen.entries == 0 {
        return Err("the file holds no entries".to_owned());
    }
    match head {
        Some(head) if seen.last < head.sequence => Err(format!(
            "the end was cut off: entries {} to {} are missing",
            seen.last + 1,
            head.sequence
        )),
        Some(_) => Ok(Seen {
            ends_at_head: true,
            ..seen
        }),
        None => Ok(seen),
    }
}

#[cfg(test)]
mod tests {
    use creel_domain::{Act, Actor, AuditEntry};
    use jiff::Timestamp;

    use super::*;

    fn trail() -> Vec<String> {
        let org = OrgId::from_uuid(uuid::Uuid::from_u128(1));
        let hex = |bytes: [u8; 32]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let mut previous = [0; 32];
        (1..=6)
            .map(|sequence| {
                let act = Act::new("test.act").with("n", sequence);
                let entry = AuditEntry::new(sequence, Timestamp::UNIX_EPOCH, Actor::platform(), act);
                let hash = creel_store::audit_hash(org, &entry, &previous);
                let record = AuditRecord {
                    entry,
                    previous: hex(previous),
                    hash: hex(hash),
                };
                previous = hash;
                ocsf(org, &record).to_string()
            })
            .collect()
    }

    fn checked(lines: &[String], head: Option<&Head>) -> Result<Seen, String> {
        check(lines.iter().cloned().map(Ok), head)
    }

    #[test]
    fn a_file_that_was_touched_is_found_out() {
        let whole = trail();
        let seen = checked(&whole, None).expect("whole");
        assert_eq!((seen.entries, seen.first, seen.last), (6, 1, 6));
        let head: Head = format!("6:{}", seen.hash).parse().expect("a head");
        assert!(checked(&whole, Some(&head)).expect("whole").ends_at_head);
        assert_eq!(checked(&whole[2..], None).expect("a later part").first, 3);
        type Touch = fn(&mut Vec<String>);
        let touches: [(Touch, &str); 6] = [
            (|lines| drop(lines.remove(2)), "entry 3 is missing"),
            (|lines| lines.swap(2, 3), "entry 3 is missing"),
            (
                |lines| lines[3] = lines[3].replace("\"n\":\"4\"", "\"n\":\"5\""),
                "entry 4 was changed",
            ),
            // What other systems read, beside what is hashed.
            (
                |lines| lines[3] = lines[3].replace("\"status_id\":1", "\"status_id\":2"),
                "entry 4 was changed",
            ),
            (|lines| lines.insert(3, lines[2].clone()), "out of order"),
            (|lines| lines.push("{}".to_owned()), "no line of an export"),
        ];
        for (touch, expected) in touches {
            let mut lines = whole.clone();
            touch(&mut lines);
            assert_ne!(lines, whole);
            let wrong = checked(&lines, None).expect_err(expected);
            assert!(wrong.contains(expected), "{wrong}");
        }
        let wrong = checked(&whole[..4], Some(&head)).expect_err("cut");
        assert!(wrong.contains("entries 5 to 6 are missing"), "{wrong}");
        let other: Head = format!("6:{}", "0".repeat(64)).parse().expect("a head");
        assert!(
            checked(&whole, Some(&other))
                .expect_err("another")
                .contains("made anew")
        );
    }
}
