//! A credential's public key: COSE (RFC 9052) as the authenticator wrote it, and verifying by it.

use aws_lc_rs::{
    rsa,
    signature::{
        ECDSA_P256_SHA256_ASN1, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
    },
};

use crate::{
    Error,
    cbor::{Item, Malformed, Reader},
};

/// What we ask authenticators for, the best liked first: ES256, EdDSA over Ed25519, RS256.
pub const ALGORITHMS: [i64; 3] = [ES256, EDDSA, RS256];
const ES256: i64 = -7;
const EDDSA: i64 = -8;
const RS256: i64 = -257;

/// Of an RSA modulus. Longer ones are no safer and take long to verify by.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=512;
const MAX_EXPONENT_BYTES: usize = 4;

/// A point of P-256 that is well known.
const GENERATOR: [u8; 65] = [
    0x04, 0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40, 0xf2,
    0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96, 0x4f,
    0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce,
    0x33, 0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5,
];

/// Verifies what one authenticator signed for one credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    cose: Vec<u8>,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// The point, not compressed.
    Es256([u8; 65]),
    Ed25519([u8; 32]),
    Rs256 {
        n: Vec<u8>,
        e: Vec<u8>,
    },
}

/// The parameters that a key of any kind may have, by label.
#[derive(Default)]
struct Parameters<'b> {
    /// 1
    kty: Option<Item<'b>>,
    /// 3
    alg: Option<Item<'b>>,
    /// -1: a curve, or the modulus
    minus_1: Option<Item<'b>>,
    /// -2: a coordinate, or the exponent
    minus_2: Option<Item<'b>>,
    /// -3: the other coordinate
    minus_3: Option<Item<'b>>,
}

impl PublicKey {
    /// As it is stored.
    pub fn cose(&self) -> &[u8] {
        &self.cose
    }

    /// What is stored, and nothing behind it.
    pub fn parse(cose: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(cose);
        let key = Self::read(&mut reader)?;
        if reader.rest().is_empty() {
            Ok(key)
        } else {
            Err(Error::PublicKey)
        }
    }

    /// To verify by where there is no key, so that it takes as long. Whatever comes of it leads to nobody.
    pub fn nobodys() -> Self {
        let mut cose = vec![0xa5, 1, 2, 3, 0x26, 0x20, 1];
        cose.extend([0x21, 0x58, 0x20]);
        cose.extend(&GENERATOR[1..33]);
        cose.extend([0x22, 0x58, 0x20]);
        cose.extend(&GENERATOR[33..]);
        Self {
            cose,
            kind: Kind::Es256(GENERATOR),
        }
    }

    /// The key that comes next.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let before = reader.rest();
        let parameters = Parameters::read(reader).map_err(|Malformed| Error::PublicKey)?;
        let length = before.len() - reader.rest().len();
        Ok(Self {
            cose: before[..length].to_vec(),
            kind: parameters.kind().ok_or(Error::PublicKey)?,
        })
    }

    /// Whether the other half of this key signed the message.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Error> {
        let verified = match &self.kind {
            Kind::Es256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(message, signature)
            }
            Kind::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key).verify(message, signature),
            Kind::Rs256 { n, e } => {
                let key = rsa::PublicKeyComponents { n, e };
                key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
        };
        verified.map_err(|_| Error::Signature)
    }
}

impl<'b> Parameters<'b> {
    fn read(reader: &mut Reader<'b>) -> Result<Self, Malformed> {
        let mut found = Self::default();
        for _ in 0..reader.map()? {
            let Item::Int(label) = reader.item()? else {
                return Err(Malformed);
            };
            let place = match label {
                1 => &mut found.kty,
                3 => &mut found.alg,
                -1 => &mut found.minus_1,
                -2 => &mut found.minus_2,
                -3 => &mut found.minus_3,
                _ => {
                    reader.skip()?;
                    continue;
                }
            };
            let item = reader.item()?;
            if matches!(item, Item::Array(_) | Item::Map(_)) || place.replace(item).is_some() {
                return Err(Malformed);
            }
        }
        Ok(found)
    }

    /// None: another kind than we ask for, or no key of its kind.
    fn kind(&self) -> Option<Kind> {
        match (self.kty?, self.alg?, self.minus_1?, self.minus_2?, self.minus_3) {
            (Item::Int(2), Item::Int(ES256), Item::Int(1), Item::Bytes(x), Some(Item::Bytes(y))) => {
                let mut point = [4; 65];
                let (x, y): (&[u8; 32], &[u8; 32]) = (x.try_into().ok()?, y.try_into().ok()?);
                point[1..33].copy_from_slice(x);
                point[33..].copy_from_slice(y);
                // Not every pair of numbers lies on the curve.
                ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).ok()?;
                Some(Kind::Es256(point))
            }
            (Item::Int(1), Item::Int(EDDSA), Item::Int(6), Item::Bytes(x), None) => {
                let key: [u8; 32] = x.try_into().ok()?;
                ParsedPublicKey::new(&ED25519, key).ok()?;
                Some(Kind::Ed25519(key))
            }
            (Item::Int(3), Item::Int(RS256), Item::Bytes(n), Item::Bytes(e), None) => {
                let whole = |bytes: &[u8]| bytes.first().is_some_and(|first| *first != 0);
                let odd = |bytes: &[u8]| bytes.last().is_some_and(|last| last & 1 == 1);
                let sized = RSA_BYTES.contains(&n.len()) && e.len() <= MAX_EXPONENT_BYTES && e != [1];
                (sized && whole(n) && whole(e) && odd(n) && odd(e)).then(|| Kind::Rs256 {
                    n: n.to_vec(),
                    e: e.to_vec(),
                })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The generator of the curve, which is a point of it.
    const X: &str = "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296";
    const Y: &str = "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";

    fn hex(text: &str) -> Vec<u8> {
        let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal");
        (0..text.len()).step_by(2).map(byte).collect()
    }

    fn parse(text: &str) -> Result<PublicKey, Error> {
        PublicKey::parse(&hex(&text.replace(' ', "")))
    }

    #[test]
    fn keys_of_the_kinds_that_we_ask_for_are_taken_whatever_their_order() {
        let key = parse(&format!("a5 0102 0326 2001 215820{X} 225820{Y}")).expect("a key");
        assert!(matches!(key.kind, Kind::Es256(_)));
        parse(&format!("a5 225820{Y} 215820{X} 2001 0326 0102")).expect("a key");
        parse(&format!("a6 0102 0326 2001 215820{X} 225820{Y} 04 8101")).expect("with more than is needed");
        let again = PublicKey::parse(key.cose()).expect("our own");
        assert_eq!(again, key);
        let nobodys = PublicKey::nobodys();
        assert_eq!(PublicKey::parse(nobodys.cose()), Ok(nobodys));
        let n = format!("c0{}01", "00".repeat(254));
        let key = parse(&format!("a4 0103 03390100 20590100{n} 2143010001")).expect("a key");
        assert!(matches!(key.kind, Kind::Rs256 { .. }));
    }

    #[test]
    fn other_keys_are_refused() {
        let other = Y.replace("f5", "f6");
        let even = format!("c0{}02", "00".repeat(254));
        let short = format!("c0{}01", "00".repeat(126));
        let long = format!("c0{}01", "00".repeat(511));
        for (what, key) in [
            ("nothing", String::new()),
            ("an empty map", "a0".to_owned()),
            ("no map", "80".to_owned()),
            (
                "not on the curve",
                format!("a5 0102 0326 2001 215820{X} 225820{other}"),
            ),
            (
                "another algorithm",
                format!("a5 0102 033822 2001 215820{X} 225820{Y}"),
            ),
            ("another curve", format!("a5 0102 0326 2002 215820{X} 225820{Y}")),
            ("another type", format!("a5 0101 0326 2001 215820{X} 225820{Y}")),
            ("a compressed point", format!("a5 0102 0326 2001 215820{X} 22f5")),
            (
                "a label twice",
                format!("a6 0102 0102 0326 2001 215820{X} 225820{Y}"),
            ),
            (
                "something behind it",
                format!("a5 0102 0326 2001 215820{X} 225820{Y} 00"),
            ),
            (
                "a short coordinate",
                format!("a5 0102 0326 2001 21411f 225820{Y}"),
            ),
            (
                "Ed25519 of 31 bytes",
                format!("a4 0101 0327 2006 21581f{}", &X[..62]),
            ),
            (
                "an even modulus",
                format!("a4 0103 03390100 20590100{even} 2143010001"),
            ),
            ("1024 bits", format!("a4 0103 03390100 205880{short} 2143010001")),
            (
                "more than 4096 bits",
                format!("a4 0103 03390100 20590201{long} 2143010001"),
            ),
            (
                "the exponent 1",
                format!("a4 0103 03390100 20590100c0{}01 214101", "00".repeat(254)),
            ),
        ] {
            assert_eq!(parse(&key), Err(Error::PublicKey), "{what}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = PublicKey::parse(&bytes);
        }

        /// Whatever byte of a key is another one: it is no key, or another key that is stored as it was read.
        #[test]
        fn a_byte_changed_is_seen(at in 0..77_usize, to: u8) {
            let mut bytes = hex(&format!("a501020326200121{}{X}22{}{Y}", "5820", "5820"));
            bytes[at] = to;
            if let Ok(key) = PublicKey::parse(&bytes) {
                prop_assert_eq!(key.cose(), &bytes[..]);
            }
        }
    }
}
