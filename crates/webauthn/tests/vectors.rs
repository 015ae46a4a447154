//! The test vectors of the standard (Web Authentication Level 3, section 16), byte for byte: what others wrote is read
//! as they meant it. Where a vector's user was not verified, that and nothing else is what we refuse.

use aws_lc_rs::digest::{SHA256, digest};
use creel_webauthn::{ClientData, Error, PublicKey, RelyingParty, verify_assertion, verify_registration};
use serde_json::Value;

const UNVERIFIED: Option<Error> = Some(Error::UserVerification);
const FRAMED: Option<Error> = Some(Error::CrossOrigin);
/// Each vector: why its registration, and why its sign-in is refused.
const EXPECTED: [(&str, Option<Error>, Option<Error>); 8] = [
    ("none.ES256", UNVERIFIED, UNVERIFIED),
    ("packed-self.ES256", None, UNVERIFIED),
    ("none.ES256.crossOrigin", FRAMED, FRAMED),
    ("none.ES256.topOrigin", FRAMED, FRAMED),
    ("none.ES256.long-credential-id", UNVERIFIED, None),
    ("packed.ES256", None, None),
    ("packed.RS256", None, UNVERIFIED),
    ("packed.EdDSA", UNVERIFIED, UNVERIFIED),
];

fn hex(value: &Value) -> Vec<u8> {
    let text = value.as_str().expect("hexadecimal");
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal");
    (0..text.len()).step_by(2).map(byte).collect()
}

/// The key, found where the layout says that it is: this test must not believe what it tests.
fn key_of(attestation_object: &[u8], credential_id: &[u8]) -> PublicKey {
    let at = attestation_object
        .windows(credential_id.len())
        .position(|window| window == credential_id)
        .expect("the id");
    PublicKey::parse(&attestation_object[at + credential_id.len()..]).expect("a key")
}

#[test]
fn the_vectors_of_the_standard_are_read_as_they_are_meant() {
    let vectors: Value = serde_json::from_str(include_str!("vectors.json")).expect("JSON");
    let vectors = vectors.as_array().expect("vectors");
    let relying_party = RelyingParty::at(true, "example.org", None).expect("a name");
    assert_eq!(vectors.len(), EXPECTED.len());
    for (vector, (name, registration, authentication)) in vectors.iter().zip(EXPECTED) {
        assert_eq!(vector["name"], name);
        let id = hex(&vector["credential_id"]);
        let made = &vector["registration"];
        let (client_data, object) = (hex(&made["client_data"]), hex(&made["attestation_object"]));
        let client_data = ClientData::parse(&client_data).expect("client data");
        assert_eq!(
            client_data.challenge().to_vec(),
            hex(&made["challenge"]),
            "{name}"
        );
        let verified = verify_registration(&relying_party, &client_data, &object);
        let key = key_of(&object, &id);
        match &verified {
            Ok(registered) => {
                assert_eq!(
                    (&registered.credential_id, &registered.public_key),
                    (&id, &key),
                    "{name}"
                );
                assert_eq!((registered.sign_count, registration), (0, None), "{name}");
            }
            Err(error) => assert_eq!(Some(*error), registration, "{name}"),
        }

        let signed = &vector["authentication"];
        let (client_data, data) = (hex(&signed["client_data"]), hex(&signed["authenticator_data"]));
        let signature = hex(&signed["signature"]);
        let client_data = ClientData::parse(&client_data).expect("client data");
        assert_eq!(
            client_data.challenge().to_vec(),
            hex(&signed["challenge"]),
            "{name}"
        );
        let verified = verify_assertion(&relying_party, &client_data, &data, &signature, &key);
        assert_eq!(verified.err(), authentication, "{name}");
        // Verified users or not: every signature is genuine, and none of anything else.
        let message = [&data[..], digest(&SHA256, &hex(&signed["client_data"])).as_ref()].concat();
        assert_eq!(key.verify(&message, &signature), Ok(()), "{name}");
        assert_eq!(
            key.verify(&message[1..], &signature),
            Err(Error::Signature),
            "{name}"
        );
    }
}
