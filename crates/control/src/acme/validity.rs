//! Until when a certificate is good: the one thing that is read of it. From RFC 5280; whoever wrote it is not believed to keep
//! to that.

use instant_acme::Error;
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// From when until when the first certificate of a chain in PEM is good.
pub(super) fn validity(chain: &str) -> Result<(Timestamp, Timestamp), Error> {
    let odd = || Error::Str("a certificate that can be read");
    let certificate = CertificateDer::from_pem_slice(chain.as_bytes()).map_err(|_| odd())?;
    read(&certificate).ok_or_else(odd)
}

fn read(certificate: &[u8]) -> Option<(Timestamp, Timestamp)> {
    let (whole, _) = inside(certificate, SEQUENCE)?;
    let (mut signed, _) = inside(whole, SEQUENCE)?;
    if signed.first() == Some(&VERSION) {
        signed = element(signed)?.2;
    }
    // The serial number, the algorithm, the issuer.
    for _ in 0..3 {
        signed = element(signed)?.2;
    }
    let (validity, _) = inside(signed, SEQUENCE)?;
    let (kind, from, rest) = element(validity)?;
    let from = time(kind, from)?;
    let (kind, until, _) = element(rest)?;
    Some((from, time(kind, until)?))
}

/// The first element: its tag, its content, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x83 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = bytes
                .iter()
                .fold(0, |length, byte| length << 8 | usize::from(*byte));
            (length, rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

fn inside(der: &[u8], wanted: u8) -> Option<(&[u8], &[u8])> {
    let (tag, content, rest) = element(der)?;
    (tag == wanted).then_some((content, rest))
}

fn time(kind: u8, text: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let whole = match kind {
        UTC_TIME => {
            let century = if text.get(..2)?.parse::<u8>().ok()? < 50 {
                "20"
            } else {
                "19"
            };
            format!("{century}{text}")
        }
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let at = DateTime::strptime("%Y%m%d%H%M%S", &whole).ok()?;
    Some(at.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_written() {
        let at = |kind, text: &str| time(kind, text.as_bytes()).map(|at| at.to_string());
        assert_eq!(
            at(UTC_TIME, "261130100000Z").as_deref(),
            Some("2026-11-30T10:00:00Z")
        );
        assert_eq!(
            at(UTC_TIME, "991231235959Z").as_deref(),
            Some("1999-12-31T23:59:59Z")
        );
        assert_eq!(
            at(GENERALIZED_TIME, "20510101000000Z").as_deref(),
            Some("2051-01-01T00:00:00Z")
        );
        for odd in ["", "Z", "261330100000Z", "261130100000+0100", "é61130100000Z"] {
            assert_eq!(at(UTC_TIME, odd), None, "{odd}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = read(&bytes);
        }
    }
}
