//! Devices: asked for by whoever comes, approved by a member, removed at once.
//!
//! The code that a device shows is short, because a person types it: about 34 bits. It is good for 15 minutes, and
//! few wrong ones may be tried; what lets the device in is its other code, which has 256 bits.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

use aws_lc_rs::rand;
use creel_api::{
    ApproveDevice, AskForDevice, Device, DeviceAuthorization, DeviceRequest, DeviceToken, ErrorCode,
    TokenType,
};
use creel_domain::{Actor, DeviceId, Scope};
use creel_store::{ApprovedDevice, DevicePoll, NewDeviceRequest, StoredDevice, StoredDeviceRequest};

use super::{
    sign_in::{hash, secret},
    tokens::{self, PREFIX, given_scopes, readable, whose},
};
use crate::{
    Control,
    http::{
        auth::Caller,
        failure::{Answer, Failure},
    },
};

/// No vowels, so that no word comes out, and nothing that is taken for another.
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
const CODE_LETTERS: usize = 8;
/// No code of ours is longer.
const DEVICE_CODE_BYTES: usize = 256;
/// Seconds between two questions, until one comes too soon.
const INTERVAL: u64 = 5;

/// Where a request came from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asker(pub(crate) Option<IpAddr>);

impl Asker {
    fn address(self) -> String {
        self.0
            .map_or_else(|| "unknown".to_owned(), |address| address.to_string())
    }

    /// What counts as one asker: an address, or the network that a host of IPv6 has for itself.
    fn network(self) -> String {
        match self.0.map(|address| address.to_canonical()) {
            Some(IpAddr::V6(address)) => {
                let [a, b, c, d, ..] = address.segments();
                format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
            }
            _ => self.address(),
        }
    }
}

/// A code to show: `BDWP-HQPK`.
fn new_user_code() -> Answer<String> {
    let mut letters = String::new();
    while letters.len() < CODE_LETTERS {
        let mut bytes = [0; 16];
        rand::fill(&mut bytes).map_err(Failure::internal)?;
        // Above 239 some letters would come more often than others.
        let fair = bytes.iter().filter(|byte| **byte < 240);
        let drawn = fair.map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]));
        letters.extend(drawn.take(CODE_LETTERS - letters.len()));
    }
    Ok(letters)
}

fn shown_code(letters: &str) -> String {
    let (left, right) = letters.split_at(CODE_LETTERS / 2);
    format!("{left}-{right}")
}

/// The letters of a code as a person types it; none when it cannot be one.
fn typed_code(text: &str) -> Option<String> {
    let mut letters = String::new();
    for letter in text.chars().filter(|letter| !matches!(letter, '-' | ' ')) {
        let letter = letter.to_ascii_uppercase();
        if letters.len() == CODE_LETTERS || !letter.is_ascii() || !LETTERS.contains(&(letter as u8)) {
            return None;
        }
        letters.push(letter);
    }
    (letters.len() == CODE_LETTERS).then_some(letters)
}

fn no_such_code() -> Failure {
    Failure::not_found(
        "No device that waits shows this code: it was mistyped, is older than 15 minutes, or was decided about already.",
    )
}

fn code_hash(text: &str) -> Answer<[u8; 32]> {
    typed_code(text)
        .map(|letters| hash(&letters))
        .ok_or_else(no_such_code)
}

pub(crate) async fn ask(control: &Control, asker: Asker, ask: AskForDevice) -> Answer<DeviceAuthorization> {
    let name = readable(&ask.name)?;
    let (device_code, letters) = (secret("")?, new_user_code()?);
    control
        .store
        .platform()
        .ask_for_device(NewDeviceRequest {
            device_hash: hash(&device_code),
            user_hash: hash(&letters),
            name,
            address: asker.address(),
            network: asker.network(),
            wanted: ask.scopes.filter(|scopes| !scopes.is_empty()),
        })
        .await?;
    let user_code = shown_code(&letters);
    let base = control.public_url.as_str();
    Ok(DeviceAuthorization {
        device_code,
        verification_uri: format!("{base}/device"),
        verification_uri_complete: format!("{base}/device?code={user_code}"),
        user_code,
        expires_in: creel_store::DEVICE_REQUEST_FOR.as_secs().unsigned_abs(),
        interval: INTERVAL,
    })
}

pub(crate) async fn poll(control: &Control, guest: Arc<Actor>, device_code: &str) -> Answer<DeviceToken> {
    let gone = || {
        Failure::new(
            ErrorCode::ExpiredToken,
            "The code is good no more: it was used, or its time is over. Ask for a new one.",
        )
    };
    if !(1..=DEVICE_CODE_BYTES).contains(&device_code.len()) {
        return Err(gone());
    }
    let token = secret(PREFIX)?;
    let polled = control
        .store
        .platform()
        .acting(guest)
        .poll_device(hash(device_code), hash(&token))
        .await;
    let (code, detail) = match polled {
        Ok(DevicePoll::LetIn(device)) => {
            let now = control.clock.now();
            return Ok(DeviceToken {
                access_token: token,
                token_type: TokenType::Bearer,
                scope: device.scopes.as_ref().map(spaced),
                expires_in: device
                    .expires_at
                    .map(|at| at.duration_since(now).as_secs().max(0).unsigned_abs()),
                device: device.device,
                org: device.org,
                org_name: device.org_name,
                user: device.user,
            });
        }
        // Whoever approved it has left.
        Ok(DevicePoll::Gone) | Err(creel_store::Error::NotFound(_)) => return Err(gone()),
        Err(error) => return Err(error.into()),
        Ok(DevicePoll::Pending) => (
            ErrorCode::AuthorizationPending,
            "Nobody has approved it yet. Ask again after the interval.".to_owned(),
        ),
        Ok(DevicePoll::TooSoon { interval_seconds }) => (
            ErrorCode::SlowDown,
            format!("It is asked too often: wait {interval_seconds} seconds between two questions."),
        ),
        Ok(DevicePoll::Denied) => (
            ErrorCode::AccessDenied,
            "It was denied. Ask the person who looked at its code.".to_owned(),
        ),
    };
    Err(Failure::new(code, detail))
}

/// Scopes as OAuth writes them.
pub(crate) fn spaced(scopes: &BTreeSet<Scope>) -> String {
    let names: Vec<_> = scopes.iter().map(|scope| scope.as_str()).collect();
    names.join(" ")
}

fn waiting(stored: StoredDeviceRequest) -> DeviceRequest {
    DeviceRequest {
        name: stored.name,
        address: stored.address,
        scopes: stored.wanted,
        created_at: stored.created_at,
        expires_at: stored.expires_at,
    }
}

pub(crate) async fn inspect(control: &Control, caller: &Caller, code: &str) -> Answer<DeviceRequest> {
    let platform = control.store.platform();
    let found = platform.device_request(caller.user, code_hash(code)?).await?;
    found.map(waiting).ok_or_else(no_such_code)
}

pub(crate) async fn approve(
    control: &Control,
    caller: &Caller,
    approve: ApproveDevice,
) -> Answer<DeviceRequest> {
    let code = code_hash(&approve.user_code)?;
    let token_expires_at = tokens::ends_at(control, approve.expires_in_seconds)?;
    let platform = control.store.platform();
    let scopes = match approve.scopes {
        Some(scopes) => given_scopes(caller, Some(scopes))?,
        None => {
            let asked = platform.device_request(caller.user, code).await?;
            let asked = asked.ok_or_else(no_such_code)?.wanted;
            match asked.map(|asked| &asked & &caller.scopes) {
                Some(has) if has.is_empty() => {
                    return Err(Failure::new(
                        ErrorCode::Forbidden,
                        "It asks for nothing that you may do yourself: somebody else has to approve it.",
                    ));
                }
                has => given_scopes(caller, has)?,
            }
        }
    };
    let approved = ApprovedDevice {
        scopes,
        token_expires_at,
    };
    let platform = platform.acting(Arc::clone(&caller.actor));
    let decided = platform
        .decide_device(caller.org, caller.user, code, Some(approved))
        .await?;
    decided.map(waiting).ok_or_else(no_such_code)
}

pub(crate) async fn deny(control: &Control, caller: &Caller, code: &str) -> Answer<()> {
    let platform = control.store.platform().acting(Arc::clone(&caller.actor));
    let decided = platform
        .decide_device(caller.org, caller.user, code_hash(code)?, None)
        .await?;
    decided.map(drop).ok_or_else(no_such_code)
}

fn shown(stored: StoredDevice) -> Device {
    Device {
        id: stored.id,
        name: stored.name,
        address: stored.address,
        user: stored.user,
        scopes: stored.scopes,
        created_at: stored.created_at,
        expires_at: stored.expires_at,
        last_used_at: stored.last_used_at,
    }
}

pub(crate) async fn list(control: &Control, caller: &Caller) -> Answer<Vec<Device>> {
    let devices = control.store.org(caller.org).devices(whose(caller)).await?;
    Ok(devices.into_iter().map(shown).collect())
}

pub(crate) async fn remove(control: &Control, caller: &Caller, device: DeviceId) -> Answer<()> {
    let org = caller.org(control);
    Ok(org.remove_device(device, whose(caller)).await?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_code_is_read_however_it_is_typed() {
        for (typed, read) in [
            ("BDWP-HQPK", Some("BDWPHQPK")),
            ("bdwphqpk", Some("BDWPHQPK")),
            (" bd wp-hq pk ", Some("BDWPHQPK")),
            ("BDWP-HQP", None),
            ("BDWP-HQPKB", None),
            ("ADWP-HQPK", None),
            ("BDWP-HQP\u{212a}", None),
            ("", None),
        ] {
            assert_eq!(typed_code(typed).as_deref(), read, "{typed}");
        }
    }

    #[test]
    fn codes_differ_and_use_every_letter() {
        let codes: Vec<_> = (0..200).map(|_| new_user_code().expect("randomness")).collect();
        let different: BTreeSet<_> = codes.iter().collect();
        assert_eq!(different.len(), codes.len());
        let letters: BTreeSet<_> = codes.concat().bytes().collect();
        assert_eq!(letters.len(), LETTERS.len());
    }

    #[test]
    fn a_host_of_ipv6_is_one_asker_whatever_address_it_takes() {
        let network = |text: &str| Asker(Some(text.parse().expect("an address"))).network();
        assert_eq!(network("2001:db8:1:2:3::4"), network("2001:db8:1:2::9"));
        assert_ne!(network("2001:db8:1:2::9"), network("2001:db8:1:3::9"));
        assert_eq!(network("::ffff:192.0.2.7"), "::ffff:192.0.2.7");
        assert_ne!(network("192.0.2.7"), network("192.0.2.8"));
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_is_read_is_a_code(text in ".{0,40}") {
            if let Some(letters) = typed_code(&text) {
                prop_assert_eq!(typed_code(&shown_code(&letters)), Some(letters));
            }
        }
    }
}
