//! Reading a JWT: the key says which algorithm, never the token; all of issuer, audience and times are checked.
//!
//! One door for tokens of ours, tokens of others that are accepted, and ID tokens of identity providers. What is
//! refused is refused before its claims are believed.

use std::fmt;

use jiff::Timestamp;
use jsonwebtoken::{
    Algorithm, DecodingKey, Header, Validation,
    dangerous::insecure_decode_claims,
    decode, decode_header,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::{Map, Value};

/// The longest that is read at all.
pub(crate) const JWT_BYTES: usize = 8192;
/// Clocks of two hosts may differ by so many seconds.
pub(crate) const LEEWAY_SECONDS: i64 = 30;

/// A key, and the one algorithm that is read with it.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) id: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// What a token must say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) audience: &'a str,
    /// The header's `typ`, where it matters.
    pub(crate) kind: Option<&'a str>,
}

/// What a token says, believed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Claims {
    pub(crate) subject: String,
    pub(crate) expires_at: Timestamp,
    /// All of them.
    pub(crate) all: Map<String, Value>,
}

impl Claims {
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.all.get(name)?.as_str()
    }

    /// Some write a truth as a word.
    pub(crate) fn truth(&self, name: &str) -> bool {
        match self.all.get(name) {
            Some(Value::Bool(truth)) => *truth,
            Some(Value::String(word)) => word == "true",
            _ => false,
        }
    }
}

/// Why a token is not believed. For the log, and for whoever sent it: nothing in it is secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("it is no JWT")]
    Form,
    #[error("it is signed in another way than its key is for")]
    Algorithm,
    #[error("its signature is wrong")]
    Signature,
    #[error("it is for another use")]
    Kind,
    #[error("another issuer made it")]
    Issuer,
    #[error("it is for another audience")]
    Audience,
    #[error("its time is over")]
    Expired,
    #[error("its time has not come")]
    Early,
    #[error("a claim is missing")]
    Missing,
}

/// `alg` and `kid` of a token that was not checked yet.
pub(crate) fn header(token: &str) -> Result<Header, Refused> {
    if token.len() > JWT_BYTES {
        return Err(Refused::Form);
    }
    let header = decode_header(token).map_err(|_| Refused::Form)?;
    // What we do not understand and must would be here; so would encryption.
    if header.crit.is_some() || header.enc.is_some() || header.zip.is_some() {
        return Err(Refused::Form);
    }
    Ok(header)
}

/// Who a token says made it. Not believed: it only says whose keys to try.
pub(crate) fn claimed_issuer(token: &str) -> Option<String> {
    let mut claims = insecure_decode_claims::<Map<String, Value>>(token).ok()?;
    match claims.remove("iss") {
        Some(Value::String(issuer)) => Some(issuer),
        _ => None,
    }
}

impl Key {
    /// A shared secret: HS256 and nothing else.
    pub(crate) fn secret(secret: &[u8]) -> Self {
        Self {
            id: None,
            algorithm: Algorithm::HS256,
            key: DecodingKey::from_secret(secret),
        }
    }

    /// A public key of a set; none when it is no key for signatures, or of a kind that is not read.
    pub(crate) fn public(jwk: &Jwk) -> Option<Self> {
        if !matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature)) {
            return None;
        }
        let named = match jwk.common.key_algorithm {
            None => None,
            Some(KeyAlgorithm::RS256) => Some(Algorithm::RS256),
            Some(KeyAlgorithm::RS384) => Some(Algorithm::RS384),
            Some(KeyAlgorithm::RS512) => Some(Algorithm::RS512),
            Some(KeyAlgorithm::PS256) => Some(Algorithm::PS256),
            Some(KeyAlgorithm::PS384) => Some(Algorithm::PS384),
            Some(KeyAlgorithm::PS512) => Some(Algorithm::PS512),
            Some(KeyAlgorithm::ES256) => Some(Algorithm::ES256),
            Some(KeyAlgorithm::ES384) => Some(Algorithm::ES384),
            Some(KeyAlgorithm::EdDSA) => Some(Algorithm::EdDSA),
            Some(_) => return None,
        };
        // A secret in a public set is none: whoever reads the set could sign with it.
        let fits = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => match named {
                // Keys of the set may leave it out; OpenID Connect then means this one.
                None => Algorithm::RS256,
                Some(
                    named @ (Algorithm::RS256
                    | Algorithm::RS384
                    | Algorithm::RS512
                    | Algorithm::PS256
                    | Algorithm::PS384
                    | Algorithm::PS512),
                ) => named,
                Some(_) => return None,
            },
            AlgorithmParameters::EllipticCurve(key) => match (&key.curve, named) {
                (EllipticCurve::P256, None | Some(Algorithm::ES256)) => Algorithm::ES256,
                (EllipticCurve::P384, None | Some(Algorithm::ES384)) => Algorithm::ES384,
                _ => return None,
            },
            AlgorithmParameters::OctetKeyPair(key) => match (&key.curve, named) {
                (EllipticCurve::Ed25519, None | Some(Algorithm::EdDSA)) => Algorithm::EdDSA,
                _ => return None,
            },
            _ => return None,
        };
        Some(Self {
            id: jwk.common.key_id.clone(),
            algorithm: fits,
            key: DecodingKey::from_jwk(jwk).ok()?,
        })
    }

    /// Believes a token, or says why not.
    pub(crate) fn read(
        &self,
        token: &str,
        expected: Expected<'_>,
        now: Timestamp,
    ) -> Result<Claims, Refused> {
        let header = header(token)?;
        if header.alg != self.algorithm {
            return Err(Refused::Algorithm);
        }
        if let Some(kind) = expected.kind {
            let found = header.typ.as_deref().unwrap_or_default();
            let found = found.strip_prefix("application/").unwrap_or(found);
            if !found.eq_ignore_ascii_case(kind) {
                return Err(Refused::Kind);
            }
        }
        // Signature and algorithm are the library's; claims are read below, by a clock that tests can hold.
        let mut validation = Validation::new(self.algorithm);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        let all = decode::<Map<String, Value>>(token, &self.key, &validation)
            .map_err(|_| Refused::Signature)?
            .claims;
        claims(all, expected, now)
    }
}

/// Whether the time of a token is over that says it ends then.
pub(crate) fn over(expires_at: Timestamp, now: Timestamp) -> bool {
    now.as_second() >= expires_at.as_second().saturating_add(LEEWAY_SECONDS)
}

fn claims(all: Map<String, Value>, expected: Expected<'_>, now: Timestamp) -> Result<Claims, Refused> {
    let text = |name: &str| all.get(name).and_then(Value::as_str);
    if text("iss") != Some(expected.issuer) {
        return Err(Refused::Issuer);
    }
    let audience = match all.get("aud") {
        Some(Value::String(one)) => one == expected.audience,
        Some(Value::Array(many)) => many.iter().any(|one| one.as_str() == Some(expected.audience)),
        _ => false,
    };
    if !audience {
        return Err(Refused::Audience);
    }
    let expires = time(&all, "exp")?.ok_or(Refused::Missing)?;
    let expires_at = Timestamp::from_second(expires).map_err(|_| Refused::Form)?;
    if over(expires_at, now) {
        return Err(Refused::Expired);
    }
    let now = now.as_second();
    for name in ["nbf", "iat"] {
        if time(&all, name)?.is_some_and(|from| from > now.saturating_add(LEEWAY_SECONDS)) {
            return Err(Refused::Early);
        }
    }
    let subject = text("sub").filter(|subject| !subject.is_empty() && subject.len() <= 255);
    let subject = subject.ok_or(Refused::Missing)?.to_owned();
    Ok(Claims {
        subject,
        expires_at,
        all,
    })
}

/// A time in seconds, which may have a fraction. Something else is no time, and no absence either.
fn time(all: &Map<String, Value>, name: &str) -> Result<Option<i64>, Refused> {
    let Some(value) = all.get(name) else {
        return Ok(None);
    };
    #[expect(clippy::cast_possible_truncation, reason = "checked to be in range")]
    let seconds = value.as_i64().or_else(|| {
        let seconds = value.as_f64()?;
        (0.0..1e12).contains(&seconds).then_some(seconds as i64)
    });
    match seconds {
        // Timestamps of jiff reach as far as the year 9999.
        Some(seconds) if (0..=253_402_207_200).contains(&seconds) => Ok(Some(seconds)),
        _ => Err(Refused::Form),
    }
}

/// The keys of a set that can be read, at most `most`.
pub(crate) fn keys(set: &Value, most: usize) -> Vec<Key> {
    let all = set.get("keys").and_then(Value::as_array);
    let jwks = all.into_iter().flatten().take(most);
    // One key of a kind that we do not know does not spoil the others.
    jwks.filter_map(|jwk| Jwk::deserialize(jwk).ok())
        .filter_map(|jwk| Key::public(&jwk))
        .collect()
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{EncodingKey, encode};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const EXPECTED: Expected<'static> = Expected {
        issuer: "https://issuer.test",
        audience: "creel",
        kind: None,
    };

    fn now() -> Timestamp {
        Timestamp::from_second(1_800_000_000).expect("in range")
    }

    fn good() -> Value {
        json!({"iss": "https://issuer.test", "aud": "creel", "sub": "ada", "exp": 1_800_000_600, "iat": 1_800_000_000})
    }

    fn sign(claims: &Value) -> String {
        let key = EncodingKey::from_secret(&[7; 32]);
        encode(&Header::new(Algorithm::HS256), claims, &key).expect("signed")
    }

    fn read(claims: &Value) -> Result<Claims, Refused> {
        Key::secret(&[7; 32]).read(&sign(claims), EXPECTED, now())
    }

    #[test]
    fn what_is_good_is_believed_and_each_fault_is_refused() {
        let claims = read(&good()).expect("believed");
        assert_eq!(
            (claims.subject.as_str(), claims.expires_at.as_second()),
            ("ada", 1_800_000_600)
        );
        for (name, value, refused) in [
            ("iss", json!("https://other.test"), Refused::Issuer),
            ("iss", json!(["https://issuer.test"]), Refused::Issuer),
            ("iss", Value::Null, Refused::Issuer),
            ("aud", json!("other"), Refused::Audience),
            ("aud", json!(["a", "b"]), Refused::Audience),
            ("aud", Value::Null, Refused::Audience),
            ("exp", json!(1_799_999_970), Refused::Expired),
            ("exp", json!("never"), Refused::Form),
            ("exp", json!(-1), Refused::Form),
            ("exp", json!(1e300), Refused::Form),
            ("nbf", json!(1_800_000_031), Refused::Early),
            ("iat", json!(1_800_000_031), Refused::Early),
            ("iat", json!("x"), Refused::Form),
            ("sub", json!(""), Refused::Missing),
            ("sub", json!("a".repeat(256)), Refused::Missing),
        ] {
            let mut claims = good();
            claims[name] = value.clone();
            assert_eq!(read(&claims), Err(refused), "{name} {value}");
        }
        for (name, value) in [
            ("aud", json!(["other", "creel"])),
            ("exp", json!(1_799_999_971)),
            ("exp", json!(1_800_000_600.5)),
            ("nbf", json!(1_800_000_030)),
        ] {
            let mut claims = good();
            claims[name] = value.clone();
            read(&claims).unwrap_or_else(|refused| panic!("{name} {value}: {refused}"));
        }
        let mut without = good();
        without.as_object_mut().expect("an object").remove("exp");
        assert_eq!(read(&without), Err(Refused::Missing));
    }

    #[test]
    fn a_public_key_is_never_a_secret_and_no_signature_is_none() {
        let private = EncodingKey::from_ec_der(crate::signing::new_private_key().expect("a key").as_slice());
        let jwk = Jwk::from_encoding_key(&private, Algorithm::ES256).expect("a key");
        let key = Key::public(&jwk).expect("is read");
        let signed = encode(&Header::new(Algorithm::ES256), &good(), &private).expect("signed");
        key.read(&signed, EXPECTED, now()).expect("believed");
        // Signed with what is public, as if it were a secret.
        let public = serde_json::to_vec(&jwk).expect("JSON");
        for secret in [public, b"".to_vec()] {
            let forged = encode(
                &Header::new(Algorithm::HS256),
                &good(),
                &EncodingKey::from_secret(&secret),
            );
            let forged = forged.expect("signed");
            assert_eq!(key.read(&forged, EXPECTED, now()), Err(Refused::Algorithm));
        }
        let (head, rest) = signed.split_once('.').expect("a dot");
        let (body, signature) = rest.split_once('.').expect("another");
        assert_eq!(
            key.read(&format!("{head}.{body}."), EXPECTED, now()),
            Err(Refused::Signature)
        );
        // {"alg":"none"}
        let none = format!("eyJhbGciOiJub25lIn0.{body}.{signature}");
        assert_eq!(key.read(&none, EXPECTED, now()), Err(Refused::Form));
        assert_eq!(
            Key::secret(&[7; 32]).read(&signed, EXPECTED, now()),
            Err(Refused::Algorithm)
        );
    }

    #[test]
    fn only_keys_that_are_for_signatures_and_public_are_read_from_a_set() {
        let private = EncodingKey::from_ec_der(crate::signing::new_private_key().expect("a key").as_slice());
        let good = serde_json::to_value(Jwk::from_encoding_key(&private, Algorithm::ES256).expect("a key"))
            .expect("JSON");
        let with = |name: &str, value: Value| {
            let mut key = good.clone();
            key[name] = value;
            key
        };
        let set = json!({"keys": [
            {"kty": "oct", "k": "c2VjcmV0", "kid": "secret"},
            {"kty": "unheard-of", "kid": "odd"},
            with("use", json!("enc")),
            with("alg", json!("RS256")),
            with("crv", json!("P-384")),
            7,
            with("kid", json!("good")),
        ]});
        let read = keys(&set, 100);
        let ids: Vec<_> = read.iter().map(|key| key.id.as_deref()).collect();
        assert_eq!(ids, [Some("good")]);
        assert_eq!(keys(&set, 3).len(), 0, "no more than asked for");
        assert_eq!(keys(&json!([]), 3).len(), 0);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,200}", head in "[A-Za-z0-9_-]{0,40}", body in "[A-Za-z0-9_-]{0,40}") {
            let key = Key::secret(&[7; 32]);
            prop_assert!(key.read(&text, EXPECTED, now()).is_err());
            let parts = format!("{head}.{body}.");
            prop_assert!(key.read(&parts, EXPECTED, now()).is_err());
        }
    }
}
