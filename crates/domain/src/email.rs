//! E-mail addresses, in the one form in which two of them are compared.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Trimmed and in small letters: `Ada@Example.com` and `ada@example.com` are one person's. ASCII; a domain in
/// other letters is written as its punycode.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, format = "email", max_length = 254, example = "ada@example.com")]
pub struct Email(String);

/// The text is no e-mail address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an e-mail address: it should look like ada@example.com")]
pub struct BadEmail(String);

impl Email {
    /// The longest address that mail can carry, in bytes.
    pub const MAX_BYTES: usize = 254;
    /// The longest part before the `@`.
    const MAX_LOCAL: usize = 64;

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before the `@`.
    pub fn local(&self) -> &str {
        self.0.split_once('@').map_or("", |(local, _)| local)
    }

    /// What stands after the `@`.
    pub fn domain(&self) -> &str {
        self.0.split_once('@').map_or("", |(_, domain)| domain)
    }
}

/// Nothing that could end a header line, begin another address or be quoted.
fn good_local(local: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&byte);
    (1..=Email::MAX_LOCAL).contains(&local.len())
        && local.bytes().all(plain)
        && local.split('.').all(|part| !part.is_empty())
}

fn good_domain(domain: &str) -> bool {
    domain.split('.').all(|label| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    })
}

impl FromStr for Email {
    type Err = BadEmail;

    fn from_str(text: &str) -> Result<Self, BadEmail> {
        let trimmed = text.trim();
        let good = trimmed.len() <= Self::MAX_BYTES
            && trimmed
                .split_once('@')
                .is_some_and(|(local, domain)| good_local(local) && good_domain(domain));
        if good {
            Ok(Self(trimmed.to_ascii_lowercase()))
        } else {
            Err(BadEmail(
                text.chars().filter(|c| !c.is_control()).take(60).collect(),
            ))
        }
    }
}

impl TryFrom<String> for Email {
    type Error = BadEmail;

    fn try_from(text: String) -> Result<Self, BadEmail> {
        text.parse()
    }
}

impl From<Email> for String {
    fn from(email: Email) -> Self {
        email.0
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whole addresses stay out of logs.
impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "…@{}", self.domain())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_person_has_one_form() {
        let email: Email = " Ada.Lovelace+x@Example.COM ".parse().expect("an address");
        assert_eq!(email.as_str(), "ada.lovelace+x@example.com");
        assert_eq!((email.local(), email.domain()), ("ada.lovelace+x", "example.com"));
        assert!("root@localhost".parse::<Email>().is_ok());
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for bad in [
            "",
            "@",
            "a",
            "a@",
            "@b",
            "a@b@c",
            "a b@c",
            "a@b c",
            "a@b..c",
            ".a@b",
            "a.@b",
            "a@-b",
            "a@b-",
            "a\r\nBcc: x@y",
            "a@b\nBcc: x@y",
            "\"a\"@b",
            "a,b@c",
            "<a@b>",
            "ä@b",
            "a@ä",
            "a@[127.0.0.1]",
            &format!("{}@b", "a".repeat(65)),
            &format!("a@{}", "b.".repeat(200)),
        ] {
            assert!(bad.parse::<Email>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics_and_a_good_one_stays_what_it_is(text in "\\PC{0,20}@?\\PC{0,20}") {
            if let Ok(email) = text.parse::<Email>() {
                prop_assert_eq!(email.as_str().parse::<Email>(), Ok(email.clone()));
                prop_assert!(email.as_str().bytes().all(|byte| byte.is_ascii_graphic()));
            }
        }
    }
}
