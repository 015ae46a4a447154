//! Ceremonies with a real authenticator in software: honest ones are believed, and whatever is not true is not.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use creel_testkit::{Algorithm, FakePasskey, flags};
use creel_webauthn::{
    Assertion, ClientData, Error, PublicKey, Registration, RelyingParty, verify_assertion,
    verify_registration,
};
use proptest::prelude::*;
use serde_json::{Value, json};

const ORIGIN: &str = "https://creel.example.com";
const ID: &str = "creel.example.com";
const ALL: [Algorithm; 3] = [Algorithm::Es256, Algorithm::Ed25519, Algorithm::Rs256];

fn relying_party() -> RelyingParty {
    RelyingParty::at(true, ID, None).expect("a name")
}

fn passkey(algorithm: Algorithm) -> FakePasskey {
    FakePasskey::new(algorithm, ORIGIN, ID)
}

fn options() -> Value {
    json!({"challenge": URL_SAFE_NO_PAD.encode([7; 32])})
}

fn field(credential: &Value, name: &str) -> Vec<u8> {
    let text = credential["response"][name].as_str().expect("a field");
    URL_SAFE_NO_PAD.decode(text).expect("base64url")
}

fn register(credential: &Value) -> Result<Registration, Error> {
    let client_data = field(credential, "clientDataJSON");
    let client_data = ClientData::parse(&client_data)?;
    assert_eq!(client_data.challenge(), &[7; 32]);
    verify_registration(
        &relying_party(),
        &client_data,
        &field(credential, "attestationObject"),
    )
}

fn assert_by(key: &PublicKey, client_data: &[u8], data: &[u8], signature: &[u8]) -> Result<Assertion, Error> {
    let client_data = ClientData::parse(client_data)?;
    verify_assertion(&relying_party(), &client_data, data, signature, key)
}

fn sign_in(key: &PublicKey, credential: &Value) -> Result<Assertion, Error> {
    let [client_data, data, signature] =
        ["clientDataJSON", "authenticatorData", "signature"].map(|name| field(credential, name));
    assert_by(key, &client_data, &data, &signature)
}

#[test]
fn a_passkey_of_each_kind_is_made_and_signs() {
    for algorithm in ALL {
        let mut passkey = passkey(algorithm);
        passkey.flags |= flags::BACKUP_ELIGIBLE | flags::EXTENSIONS;
        let made = register(&passkey.create(&options())).expect("registered");
        assert_eq!(made.credential_id, passkey.id);
        assert_eq!(
            (made.sign_count, made.backup_eligible, made.backed_up),
            (0, true, false)
        );
        passkey.flags |= flags::BACKED_UP;
        let key = PublicKey::parse(made.public_key.cose()).expect("as it is stored");
        for sign_count in 1..3 {
            let said = sign_in(&key, &passkey.get(&options()));
            let expected = Assertion {
                sign_count,
                backup_eligible: true,
                backed_up: true,
            };
            assert_eq!(said, Ok(expected), "{algorithm:?}");
        }
        let other = FakePasskey::new(algorithm, ORIGIN, ID).get(&options());
        assert_eq!(sign_in(&key, &other), Err(Error::Signature));
    }
}

/// One thing that is not so.
type Lie = fn(&mut FakePasskey);

#[test]
fn what_is_not_true_is_refused_and_each_time_for_that() {
    let lies: [(Error, Lie); 11] = [
        (Error::Origin, |it| it.origin = "https://evil.example".to_owned()),
        (Error::Origin, |it| it.origin = format!("{ORIGIN}:8443")),
        (Error::Origin, |it| {
            it.origin = "http://creel.example.com".to_owned();
        }),
        (Error::RelyingParty, |it| {
            it.relying_party = "evil.example".to_owned();
        }),
        (Error::RelyingParty, |it| {
            it.relying_party = "example.com".to_owned();
        }),
        (Error::CrossOrigin, |it| it.cross_origin = true),
        (Error::Ceremony, |it| it.ceremony = Some("payment.get")),
        (Error::UserVerification, |it| it.flags = flags::USER_PRESENT),
        (Error::UserPresence, |it| it.flags = flags::USER_VERIFIED),
        (Error::UserPresence, |it| it.flags = 0),
        (Error::Backup, |it| it.flags |= flags::BACKED_UP),
    ];
    for (error, lie) in lies {
        let mut lying = passkey(Algorithm::Es256);
        lie(&mut lying);
        assert_eq!(register(&lying.create(&options())), Err(error));

        let mut lying = passkey(Algorithm::Es256);
        let made = register(&lying.create(&options())).expect("honest so far");
        lie(&mut lying);
        assert_eq!(sign_in(&made.public_key, &lying.get(&options())), Err(error));
    }
}

#[test]
fn one_ceremony_is_not_taken_for_the_other() {
    let mut it = passkey(Algorithm::Es256);
    it.ceremony = Some("webauthn.get");
    assert_eq!(register(&it.create(&options())), Err(Error::Ceremony));
    it.ceremony = None;
    let made = register(&it.create(&options())).expect("honest");
    it.ceremony = Some("webauthn.create");
    assert_eq!(
        sign_in(&made.public_key, &it.get(&options())),
        Err(Error::Ceremony)
    );
}

#[test]
fn a_statement_about_the_authenticator_is_passed_over() {
    let mut it = passkey(Algorithm::Es256);
    it.attestation_format = "packed";
    register(&it.create(&options())).expect("registered");
    it.attestation_format = "a format that is yet to be thought of";
    register(&it.create(&options())).expect("registered");
}

#[test]
fn what_is_too_long_is_not_read() {
    let mut it = passkey(Algorithm::Es256);
    it.id = vec![1; 1023];
    register(&it.create(&options())).expect("the longest there is");
    for length in [0, 1024, 60_000] {
        it.id = vec![1; length];
        assert!(register(&it.create(&options())).is_err(), "{length}");
    }
    it.id = vec![1; 16];
    let credential = it.create(&options());
    let made = register(&credential).expect("registered");
    let get = it.get(&options());
    let long = vec![0; 20_000];
    let client_data = field(&get, "clientDataJSON");
    let data = field(&get, "authenticatorData");
    assert!(assert_by(&made.public_key, &client_data, &data, &long).is_err());
    assert!(assert_by(&made.public_key, &client_data, &long, &field(&get, "signature")).is_err());
}

proptest! {
    /// Cut off anywhere, or with any byte another one, nothing is believed that was not signed.
    #[test]
    fn no_byte_of_a_sign_in_can_be_another(which in 0..3_usize, at: usize, to: u8, cut: bool) {
        let mut it = passkey(Algorithm::Ed25519);
        let made = register(&it.create(&options())).expect("registered");
        let get = it.get(&options());
        let mut parts = ["clientDataJSON", "authenticatorData", "signature"].map(|name| field(&get, name));
        let at = at % parts[which].len();
        if cut {
            parts[which].truncate(at);
        } else {
            prop_assume!(parts[which][at] != to);
            parts[which][at] = to;
        }
        let [client_data, data, signature] = parts;
        prop_assert!(assert_by(&made.public_key, &client_data, &data, &signature).is_err());
    }

    /// Nobody signs a registration: what is changed is refused, or is a passkey that somebody else could have made.
    #[test]
    fn no_registration_panics_and_none_is_believed_for_others(at: usize, to: u8, cut: bool) {
        let mut it = passkey(Algorithm::Es256);
        let credential = it.create(&options());
        let client_data = field(&credential, "clientDataJSON");
        let client_data = ClientData::parse(&client_data).expect("client data");
        let mut object = field(&credential, "attestationObject");
        let at = at % object.len();
        if cut { object.truncate(at) } else { object[at] = to }
        if let Ok(made) = verify_registration(&relying_party(), &client_data, &object) {
            prop_assert!(!cut);
            prop_assert_eq!(PublicKey::parse(made.public_key.cose()), Ok(made.public_key));
        }
    }

    #[test]
    fn no_bytes_panic(client_data: Vec<u8>, object: Vec<u8>, data: Vec<u8>, signature: Vec<u8>) {
        prop_assert!(ClientData::parse(&client_data).is_err());
        let mut it = passkey(Algorithm::Ed25519);
        let made = register(&it.create(&options())).expect("registered");
        let genuine = field(&it.get(&options()), "clientDataJSON");
        prop_assert!(assert_by(&made.public_key, &genuine, &data, &signature).is_err());
        let created = field(&it.create(&options()), "clientDataJSON");
        let created = ClientData::parse(&created).expect("client data");
        prop_assert!(verify_registration(&relying_party(), &created, &object).is_err());
    }
}
