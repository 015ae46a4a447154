//! What a browser and an authenticator say of a passkey: nothing panics, nothing is believed that nobody signed, and a
//! key that was read is stored and read again as the same.
#![no_main]

use std::sync::LazyLock;

use creel_webauthn::{ClientData, PublicKey, RelyingParty, verify_assertion, verify_registration};
use libfuzzer_sys::fuzz_target;

static HERE: LazyLock<RelyingParty> =
    LazyLock::new(|| RelyingParty::at(true, "example.org", None).expect("a name"));
const CREATED: &[u8] = br#"{"type":"webauthn.create","challenge":"AMMPt4UxxGTStncdq417YDwBFi8vpIa-pw8oOuVW4TA","origin":"https://example.org","crossOrigin":false}"#;
const GOT: &[u8] = br#"{"type":"webauthn.get","challenge":"AMMPt4UxxGTStncdq417YDwBFi8vpIa-pw8oOuVW4TA","origin":"https://example.org","crossOrigin":false}"#;

fuzz_target!(|parts: (&[u8], &[u8])| {
    let (first, second) = parts;
    let _ = ClientData::parse(first);
    if let Ok(key) = PublicKey::parse(first) {
        assert_eq!(PublicKey::parse(key.cose()), Ok(key));
    }
    let created = ClientData::parse(CREATED).expect("client data");
    if let Ok(made) = verify_registration(&HERE, &created, first) {
        assert_eq!(PublicKey::parse(made.public_key.cose()), Ok(made.public_key));
    }
    let got = ClientData::parse(GOT).expect("client data");
    assert!(verify_assertion(&HERE, &got, first, second, &PublicKey::nobodys()).is_err());
});
