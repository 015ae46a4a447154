//! What a password must be: long, and not the first thing that anybody would try.

use crate::Email;

/// Why a password is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WeakPassword {
    #[error(
        "a password needs at least {} characters: take a few words",
        PasswordRules::SHORTEST
    )]
    Short,
    #[error("a password has at most {} characters", PasswordRules::LONGEST)]
    Long,
    #[error("this password is easy to guess: take a few words that have nothing to do with each other")]
    Guessable,
}

/// No rules about which characters: length is what counts.
pub struct PasswordRules;

/// What guessers try first, whatever is added to it.
const COMMON: &[&str] = &[
    "password",
    "passwort",
    "passw0rd",
    "kennwort",
    "geheim",
    "secret",
    "qwertyuiop",
    "qwertzuiop",
    "qwerty",
    "qwertz",
    "azerty",
    "asdfghjkl",
    "asdf",
    "zxcvbnm",
    "yxcvbnm",
    "letmein",
    "welcome",
    "willkommen",
    "iloveyou",
    "dragon",
    "monkey",
    "football",
    "baseball",
    "superman",
    "batman",
    "trustno1",
    "sunshine",
    "princess",
    "master",
    "changeme",
    "default",
    "administrator",
    "admin",
    "root",
    "user",
    "login",
    "test",
    "guest",
    "hello",
    "hallo",
    "creel",
];

impl PasswordRules {
    pub const SHORTEST: usize = 12;
    pub const LONGEST: usize = 256;
    /// So many different characters must be left once everything common is taken away.
    const LEFT: usize = 5;

    /// Whether a person with this name and address may have it.
    pub fn check(password: &str, name: &str, email: Option<&Email>) -> Result<(), WeakPassword> {
        let length = password.chars().count();
        if length < Self::SHORTEST {
            return Err(WeakPassword::Short);
        }
        if length > Self::LONGEST {
            return Err(WeakPassword::Long);
        }
        let mut rest = password.to_lowercase();
        let own = email.map(|email| [email.as_str(), email.local(), email.domain()]);
        let own = own
            .iter()
            .flatten()
            .flat_map(|part| std::iter::once(*part).chain(words(part)));
        let name = name.to_lowercase();
        let own: Vec<&str> = own.chain(words(&name)).filter(|word| word.len() >= 3).collect();
        for word in own.into_iter().chain(COMMON.iter().copied()) {
            rest = rest.replace(word, "");
        }
        let rest = without_runs(&rest);
        let different: std::collections::BTreeSet<char> = rest.chars().collect();
        if different.len() < Self::LEFT {
            return Err(WeakPassword::Guessable);
        }
        Ok(())
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric())
}

/// Takes away what follows from the character before: `aaaa`, `1234`, `fedcba`.
fn without_runs(text: &str) -> String {
    let mut left = String::new();
    let mut before: Option<char> = None;
    for character in text.chars() {
        let near = before.is_some_and(|before| u32::from(before).abs_diff(u32::from(character)) <= 1);
        if !near {
            left.push(character);
        }
        before = Some(character);
    }
    left
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(password: &str) -> Result<(), WeakPassword> {
        let email = "ada.lovelace@engines.example".parse().ok();
        PasswordRules::check(password, "Ada Lovelace", email.as_ref())
    }

    #[test]
    fn long_ones_of_whatever_characters_are_taken() {
        for good in [
            "correct horse battery staple",
            "vier kleine Mäuse tanzen",
            "9f2c7be1a04d",
            "       x y z u v       ",
            "密码很长很长很长很长的一个",
            "I keep my password in my head",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        assert_eq!(check(&"word salad ".repeat(23)), Ok(()), "253 characters");
    }

    #[test]
    fn short_long_and_common_ones_are_not() {
        assert_eq!(check("short"), Err(WeakPassword::Short));
        assert_eq!(
            check("ääääääääää€"),
            Err(WeakPassword::Short),
            "characters, not bytes"
        );
        assert_eq!(check(&"a horse ".repeat(33)), Err(WeakPassword::Long));
        for bad in [
            "password1234",
            "PASSWORD!PASSWORD!",
            "aaaaaaaaaaaaaaaa",
            "123456789012",
            "abcdefghijklmnop",
            "qwertyuiop123",
            "adalovelace2024",
            "Ada.Lovelace@engines.example",
            "lovelacelovelace!",
            "creel-admin-root",
            "abababababababab",
            "            ",
        ] {
            assert_eq!(check(bad), Err(WeakPassword::Guessable), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(password in "\\PC{0,300}", name in "\\PC{0,100}") {
            let _ = PasswordRules::check(&password, &name, None);
        }
    }
}
