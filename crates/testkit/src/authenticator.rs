//! An authenticator in software, for passkeys: real keys and the bytes that a real one and its browser write, by code
//! that shares nothing with what reads them. Every field may be set to something that is not true.

use aws_lc_rs::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
        RsaKeyPair,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// Bits of an authenticator's flags.
pub mod flags {
    pub const USER_PRESENT: u8 = 0x01;
    pub const USER_VERIFIED: u8 = 0x04;
    pub const BACKUP_ELIGIBLE: u8 = 0x08;
    pub const BACKED_UP: u8 = 0x10;
    pub const EXTENSIONS: u8 = 0x80;
    pub(super) const ATTESTED: u8 = 0x40;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    Es256,
    Ed25519,
    Rs256,
}

enum Key {
    Es256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rs256(RsaKeyPair),
}

/// One credential, with the browser around it.
pub struct FakePasskey {
    key: Key,
    pub id: Vec<u8>,
    /// What the browser says where the page is.
    pub origin: String,
    /// Whom the authenticator takes the page for.
    pub relying_party: String,
    /// How often it signed before; it says one more each time. None: it does not count.
    pub count: Option<u32>,
    pub flags: u8,
    /// The user it was made for.
    pub user_handle: Option<Vec<u8>>,
    /// Whether the browser says that another site's page is around.
    pub cross_origin: bool,
    /// What the browser says that it did, if not the truth.
    pub ceremony: Option<&'static str>,
    pub attestation_format: &'static str,
}

impl FakePasskey {
    /// # Panics
    ///
    /// When no key can be made.
    pub fn new(algorithm: Algorithm, origin: &str, relying_party: &str) -> Self {
        let key = match algorithm {
            Algorithm::Es256 => {
                Key::Es256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a key"))
            }
            Algorithm::Ed25519 => Key::Ed25519(Ed25519KeyPair::generate().expect("a key")),
            Algorithm::Rs256 => Key::Rs256(RsaKeyPair::generate(KeySize::Rsa2048).expect("a key")),
        };
        let mut id = vec![0; 16];
        aws_lc_rs::rand::fill(&mut id).expect("random bytes");
        Self {
            key,
            id,
            origin: origin.to_owned(),
            relying_party: relying_party.to_owned(),
            count: Some(0),
            flags: flags::USER_PRESENT | flags::USER_VERIFIED,
            user_handle: None,
            cross_origin: false,
            ceremony: None,
            attestation_format: "none",
        }
    }

    /// What `navigator.credentials.create` gives for `options`, as JSON.
    pub fn create(&mut self, options: &Value) -> Value {
        if let Some(user) = options["user"]["id"].as_str() {
            self.user_handle = Some(decoded(user));
        }
        let client_data = self.client_data("webauthn.create", options);
        let mut data = self.authenticator_data(flags::ATTESTED);
        data.extend([0; 16]);
        data.extend(u16::try_from(self.id.len()).expect("a short id").to_be_bytes());
        data.extend(&self.id);
        data.extend(self.cose());
        if self.flags & flags::EXTENSIONS != 0 {
            data.extend(map(&[(text("credProtect"), integer(2))]));
        }
        let statement = match self.attestation_format {
            "none" => map(&[]),
            _ => {
                let mut signed = data.clone();
                signed.extend(sha256(&client_data));
                map(&[
                    (text("alg"), integer(self.algorithm())),
                    (text("sig"), bytes(&self.signature(&signed))),
                ])
            }
        };
        let attestation_object = map(&[
            (text("fmt"), text(self.attestation_format)),
            (text("attStmt"), statement),
            (text("authData"), bytes(&data)),
        ]);
        json!({
            "id": encoded(&self.id),
            "rawId": encoded(&self.id),
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": encoded(&client_data),
                "attestationObject": encoded(&attestation_object),
                "transports": ["internal", "hybrid"],
            },
        })
    }

    /// What `navigator.credentials.get` gives for `options`, as JSON.
    pub fn get(&mut self, options: &Value) -> Value {
        if let Some(count) = &mut self.count {
            *count += 1;
        }
        let client_data = self.client_data("webauthn.get", options);
        let data = self.authenticator_data(0);
        let mut signed = data.clone();
        signed.extend(sha256(&client_data));
        json!({
            "id": encoded(&self.id),
            "rawId": encoded(&self.id),
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": encoded(&client_data),
                "authenticatorData": encoded(&data),
                "signature": encoded(self.signature(&signed)),
                "userHandle": self.user_handle.as_deref().map(encoded),
            },
        })
    }

    fn client_data(&self, ceremony: &str, options: &Value) -> Vec<u8> {
        let client_data = json!({
            "type": self.ceremony.unwrap_or(ceremony),
            "challenge": options["challenge"],
            "origin": self.origin,
            "crossOrigin": self.cross_origin,
        });
        client_data.to_string().into_bytes()
    }

    fn authenticator_data(&self, attested: u8) -> Vec<u8> {
        let mut data = sha256(self.relying_party.as_bytes());
        let extensions = if attested == 0 {
            !flags::EXTENSIONS
        } else {
            u8::MAX
        };
        data.push((self.flags & extensions) | attested);
        data.extend(self.count.unwrap_or_default().to_be_bytes());
        data
    }

    fn algorithm(&self) -> i64 {
        match self.key {
            Key::Es256(_) => -7,
            Key::Ed25519(_) => -8,
            Key::Rs256(_) => -257,
        }
    }

    fn cose(&self) -> Vec<u8> {
        let label = |number| integer(number);
        match &self.key {
            Key::Es256(key) => {
                let point = key.public_key().as_ref();
                map(&[
                    (label(1), integer(2)),
                    (label(3), integer(-7)),
                    (label(-1), integer(1)),
                    (label(-2), bytes(&point[1..33])),
                    (label(-3), bytes(&point[33..])),
                ])
            }
            Key::Ed25519(key) => map(&[
                (label(1), integer(1)),
                (label(3), integer(-8)),
                (label(-1), integer(6)),
                (label(-2), bytes(key.public_key().as_ref())),
            ]),
            Key::Rs256(key) => {
                // A sequence of two integers: of 257 bytes with the sign's zero, and of three.
                let der = key.public_key().as_ref();
                let (modulus, exponent) = (&der[der.len() - 261..der.len() - 5], &der[der.len() - 3..]);
                map(&[
                    (label(1), integer(3)),
                    (label(3), integer(-257)),
                    (label(-1), bytes(modulus)),
                    (label(-2), bytes(exponent)),
                ])
            }
        }
    }

    fn signature(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.key {
            Key::Es256(key) => key.sign(&random, message).expect("signed").as_ref().to_vec(),
            Key::Ed25519(key) => key.sign(message).as_ref().to_vec(),
            Key::Rs256(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .expect("signed");
                signature
            }
        }
    }
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest(&SHA256, bytes).as_ref().to_vec()
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn decoded(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).expect("base64url")
}

/// A head of CBOR as short as it can be.
fn head(kind: u8, argument: usize) -> Vec<u8> {
    let kind = kind << 5;
    match argument {
        0..24 => vec![kind | u8::try_from(argument).expect("small")],
        24..256 => vec![kind | 24, u8::try_from(argument).expect("small")],
        _ => {
            let argument = u16::try_from(argument).expect("no longer than a key");
            let mut bytes = vec![kind | 25];
            bytes.extend(argument.to_be_bytes());
            bytes
        }
    }
}

fn integer(number: i64) -> Vec<u8> {
    let small = |number: i64| usize::try_from(number).expect("small");
    if number < 0 {
        head(1, small(-1 - number))
    } else {
        head(0, small(number))
    }
}

fn bytes(bytes: &[u8]) -> Vec<u8> {
    [head(2, bytes.len()), bytes.to_vec()].concat()
}

fn text(text: &str) -> Vec<u8> {
    [head(3, text.len()), text.as_bytes().to_vec()].concat()
}

fn map(pairs: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut all = head(5, pairs.len());
    for (name, value) in pairs {
        all.extend(name);
        all.extend(value);
    }
    all
}
