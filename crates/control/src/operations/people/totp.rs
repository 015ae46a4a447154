//! Time-based codes of an app (RFC 6238), and recovery codes for when it is lost.

use aws_lc_rs::{hmac, rand};
use creel_api::{ConfirmTotp, ErrorCode, Proof, RecoveryCodes, Secret, TotpEnrolment};
use creel_domain::{Patience, UserId};
use creel_store::NewTotp;
use jiff::Timestamp;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::{factor_key, me};
use crate::{
    Control,
    http::{
        auth::Caller,
        failure::{Answer, Failure},
    },
    operations::sign_in::hash,
};

/// What apps understand without being told.
const STEP_SECONDS: i64 = 30;
const DIGITS: usize = 6;
const SECRET_BYTES: usize = 20;
/// Clocks may differ by one step.
const AROUND: i64 = 1;
const RECOVERY_CODES: usize = 10;
const RECOVERY_BYTES: usize = 10;
const RECOVERY_CHARS: usize = 16;
/// What RFC 4648 calls base32, without the padding.
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

fn base32(bytes: &[u8]) -> String {
    let (mut text, mut buffer, mut bits) = (String::new(), 0_u32, 0);
    for byte in bytes {
        buffer = (buffer << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(char::from(BASE32[(buffer >> bits) as usize & 31]));
        }
        buffer &= (1 << bits) - 1;
    }
    if bits > 0 {
        text.push(char::from(BASE32[(buffer << (5 - bits)) as usize & 31]));
    }
    text
}

fn from_base32(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut buffer, mut bits) = (Vec::new(), 0_u32, 0);
    for letter in text.bytes() {
        let value = BASE32.iter().position(|known| *known == letter)?;
        buffer = (buffer << 5) | u32::try_from(value).ok()?;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from((buffer >> bits) & 0xff).ok()?);
            buffer &= (1 << bits) - 1;
        }
    }
    Some(bytes)
}

/// The code of one step of time.
fn code_at(secret: &[u8], step: u64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    let at = usize::from(tag[tag.len() - 1] & 15);
    let number = u32::from_be_bytes([tag[at] & 0x7f, tag[at + 1], tag[at + 2], tag[at + 3]]);
    format!("{:0width$}", number % 1_000_000, width = DIGITS)
}

/// The step whose code it is, around now.
fn step_of(secret: &[u8], code: &str, now: Timestamp) -> Option<u64> {
    let step = now.as_second().div_euclid(STEP_SECONDS);
    let mut found = None;
    // All of them, whichever it is.
    for near in step - AROUND..=step + AROUND {
        let Ok(near) = u64::try_from(near) else { continue };
        if bool::from(code_at(secret, near).as_bytes().ct_eq(code.as_bytes())) {
            found = Some(near);
        }
    }
    found
}

/// As people type them: spaces and hyphens are for reading.
fn plain(code: &str) -> String {
    code.chars()
        .filter(|c| !c.is_whitespace() && *c != '-')
        .take(RECOVERY_CHARS + 1)
        .collect::<String>()
        .to_ascii_uppercase()
}

/// Whether it is a code of the user's app, or a recovery code, that was not used before. It is used up.
pub(super) async fn is_good(control: &Control, user: UserId, code: &str) -> Answer<bool> {
    let code = plain(code);
    let platform = control.store.platform();
    if code.len() == RECOVERY_CHARS {
        return Ok(platform.use_recovery_code(user, hash(&code)).await?);
    }
    let Some(totp) = platform.totp(user).await?.filter(|totp| totp.confirmed) else {
        return Ok(false);
    };
    let secret = Zeroizing::new(from_base32(&totp.secret).unwrap_or_default());
    match step_of(&secret, &code, control.clock.now()) {
        Some(step) => Ok(platform.use_totp_step(user, step).await?),
        None => Ok(false),
    }
}

pub(crate) async fn enrol(control: &Control, caller: &Caller, proof: Proof) -> Answer<TotpEnrolment> {
    let platform = caller.platform(control);
    let person = platform.person(caller.user).await?;
    let (Some(_), Some(email)) = (&person.password, &person.email) else {
        return Err(Failure::new(
            ErrorCode::Conflict,
            "A second factor comes after a password: set an address and a password first.",
        ));
    };
    me::prove(control, caller, &person, proof.password.as_ref()).await?;
    let mut bytes = Zeroizing::new([0; SECRET_BYTES]);
    rand::fill(bytes.as_mut_slice()).map_err(Failure::internal)?;
    let secret = Zeroizing::new(base32(bytes.as_slice()));
    let new = NewTotp {
        secret: secret.clone(),
    };
    if !platform.begin_totp(caller.user, new).await? {
        return Err(Failure::new(
            ErrorCode::Conflict,
            "A second factor is in force already: disable it first to enrol another app.",
        ));
    }
    // Addresses of ours hold nothing that a URI would have to escape but these.
    let label = email
        .as_str()
        .replace('%', "%25")
        .replace('#', "%23")
        .replace('?', "%3F")
        .replace('/', "%2F");
    let uri = format!(
        "otpauth://totp/Creel:{label}?secret={}&issuer=Creel",
        secret.as_str()
    );
    Ok(TotpEnrolment {
        secret: Secret::new(secret.as_str()),
        uri: Secret::new(uri),
    })
}

/// The recovery codes, and the new secret of the caller's session.
pub(crate) async fn confirm(
    control: &Control,
    caller: &Caller,
    body: ConfirmTotp,
) -> Answer<(RecoveryCodes, Option<String>)> {
    let platform = caller.platform(control);
    let begun = platform.totp(caller.user).await?.filter(|totp| !totp.confirmed);
    let begun = begun.ok_or_else(|| {
        Failure::new(
            ErrorCode::Conflict,
            "There is nothing to confirm: begin to enrol an app first.",
        )
    })?;
    let key = factor_key(caller.user);
    let secret = Zeroizing::new(from_base32(&begun.secret).unwrap_or_default());
    let tried = platform.may_try(vec![(key, Patience::ACCOUNT)]).await?;
    let step = step_of(&secret, &plain(body.code.reveal()), control.clock.now()).filter(|_| tried);
    let step = step.ok_or_else(|| {
        Failure::invalid(
            "`code` is not right: type the six digits that the app shows now, and check its clock.",
        )
    })?;
    let mut codes = Vec::with_capacity(RECOVERY_CODES);
    for _ in 0..RECOVERY_CODES {
        let mut bytes = [0; RECOVERY_BYTES];
        rand::fill(&mut bytes).map_err(Failure::internal)?;
        codes.push(base32(&bytes));
    }
    let hashes = codes.iter().map(|code| hash(code)).collect();
    if !platform.confirm_totp(caller.user, step, hashes).await? {
        return Err(Failure::new(ErrorCode::Conflict, "It is confirmed already."));
    }
    platform.forgive(vec![key], Vec::new()).await?;
    let recovery_codes = codes.iter().map(|code| Secret::new(grouped(code))).collect();
    Ok((
        RecoveryCodes { recovery_codes },
        me::renew(control, caller).await?,
    ))
}

fn grouped(code: &str) -> String {
    let letters: Vec<char> = code.chars().collect();
    let groups: Vec<String> = letters.chunks(4).map(|group| group.iter().collect()).collect();
    groups.join("-")
}

/// The new secret of the caller's session.
pub(crate) async fn disable(control: &Control, caller: &Caller, proof: Proof) -> Answer<Option<String>> {
    let platform = caller.platform(control);
    let person = platform.person(caller.user).await?;
    me::prove(control, caller, &person, proof.password.as_ref()).await?;
    platform.disable_totp(caller.user).await?;
    me::renew(control, caller).await
}

/// The code that an app would show, for tests.
#[cfg(test)]
pub(crate) fn shown(secret: &str, now: Timestamp) -> String {
    let secret = from_base32(secret).expect("base32");
    code_at(
        &secret,
        u64::try_from(now.as_second() / STEP_SECONDS).expect("after 1970"),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// From RFC 6238, appendix B, with the last six of its eight digits.
    #[test]
    fn the_codes_are_those_of_the_standard() {
        let secret = b"12345678901234567890";
        for (second, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(code_at(secret, second / 30), code, "{second}");
        }
    }

    #[test]
    fn clocks_may_differ_by_one_step() {
        let secret = b"12345678901234567890";
        let at = |second| Timestamp::from_second(second).expect("in range");
        for (second, found) in [
            (29, None),
            (1_234_567_859, None),
            (1_234_567_860, Some(41_152_263)),
            (1_234_567_890, Some(41_152_263)),
            (1_234_567_949, Some(41_152_263)),
            (1_234_567_950, None),
        ] {
            assert_eq!(step_of(secret, "005924", at(second)), found, "{second}");
        }
        for nothing in ["", "5924", "0059240", "00592x"] {
            assert_eq!(step_of(secret, nothing, at(1_234_567_890)), None);
        }
    }

    #[test]
    fn codes_are_read_as_people_type_them() {
        assert_eq!(plain(" 123 456 "), "123456");
        assert_eq!(plain("abcd-efgh-2345-67ab"), "ABCDEFGH234567AB");
        assert_eq!(grouped("ABCDEFGH234567AB"), "ABCD-EFGH-2345-67AB");
    }

    proptest! {
        #[test]
        fn base32_comes_back_whole(bytes: Vec<u8>) {
            let text = base32(&bytes);
            prop_assert_eq!(from_base32(&text), Some(bytes));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,60}") {
            let _ = from_base32(&plain(&text));
        }
    }
}
