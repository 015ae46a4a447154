//! What our mails say. Plain text: nothing in it is fetched, tracked or hidden.

use creel_domain::Email;
use creel_store::{Prepared, Purpose};
use jiff::Timestamp;

use crate::PublicUrl;

/// A mail as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Letter {
    pub(crate) to: Email,
    pub(crate) subject: String,
    pub(crate) text: String,
}

/// A name as somebody chose it, on one line and not too long.
fn one_line(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(100).collect()
}

fn until(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

impl Letter {
    /// None: there is nothing to say, or nobody to say it to. A code follows a `#`: what does never reaches a
    /// server, its logs, or the next site.
    pub(crate) fn write(url: &PublicUrl, to: &Email, prepared: &Prepared, code: &str) -> Option<Self> {
        let (subject, text) = match prepared {
            Prepared::Nothing => return None,
            Prepared::Code {
                purpose: Purpose::Reset,
                until: at,
            } => (
                "Choose a new password".to_owned(),
                format!(
                    "Somebody, you as we hope, forgot the password of {to} at {url}.\n\n\
                     Choose a new one here, once, until {}:\n\n  {url}/#reset={code}\n\n\
                     It ends all of your sessions. If it was not you, do nothing: your password stays as it is.\n",
                    until(*at)
                ),
            ),
            Prepared::Code {
                purpose: Purpose::SignUp,
                until: at,
            } => (
                "Finish signing up".to_owned(),
                format!(
                    "Somebody, you as we hope, wants to sign up at {url} with the address {to}.\n\n\
                     Choose your name and password here, until {}:\n\n  {url}/#sign-up={code}\n\n\
                     If it was not you, do nothing: there is no account.\n",
                    until(*at)
                ),
            ),
            Prepared::Code {
                purpose: Purpose::Verify,
                until: at,
            } => (
                "Is this your address?".to_owned(),
                format!(
                    "Somebody with an account at {url} says that {to} is their address.\n\n\
                     If that is you, confirm it here, until {}:\n\n  {url}/#verify={code}\n\n\
                     If it was not you, do nothing.\n",
                    until(*at)
                ),
            ),
            Prepared::Known => (
                "You have an account already".to_owned(),
                format!(
                    "Somebody, you as we hope, wanted to use the address {to} at {url}.\n\n\
                     It has an account already. Sign in at {url} or, if you forgot the password, choose a new one \
                     there.\n\nIf it was not you, do nothing.\n"
                ),
            ),
            Prepared::PasswordChanged => (
                "Your password was changed".to_owned(),
                format!(
                    "The password of {to} at {url} was changed just now.\n\n\
                     If it was not you, choose a new one at once: {url} and \"Forgotten password\".\n"
                ),
            ),
            Prepared::PasskeyAdded { name } => (
                "A passkey was added to your account".to_owned(),
                format!(
                    "The passkey \"{}\" was added just now to the account of {to} at {url}: whoever has it can sign in.\n\n\
                     If it was not you, sign in at {url}, remove it under Account, and choose a new password.\n",
                    one_line(name)
                ),
            ),
            Prepared::Invited {
                org_name,
                by,
                until: at,
            } => {
                let (org, by) = (one_line(org_name), one_line(by));
                let by = if by.is_empty() { "Somebody".to_owned() } else { by };
                (
                    format!("You are invited to {org}"),
                    format!(
                        "{by} invites you to work with them in \"{org}\" at {url}.\n\n\
                         Accept here, until {}:\n\n  {url}/#invitation={code}\n\n\
                         The link is yours alone: do not pass it on.\n",
                        until(*at)
                    ),
                )
            }
        };
        Some(Self {
            to: to.clone(),
            subject,
            text,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_has_its_code_behind_the_hash_and_names_stay_on_their_line() {
        let url: PublicUrl = "https://creel.example.com".parse().expect("an address");
        let to: Email = "ada@example.com".parse().expect("an address");
        let at = Timestamp::from_second(1_800_000_000).expect("in range");
        for (purpose, link) in [
            (Purpose::Reset, "https://creel.example.com/#reset=c0de\n"),
            (Purpose::SignUp, "https://creel.example.com/#sign-up=c0de\n"),
            (Purpose::Verify, "https://creel.example.com/#verify=c0de\n"),
        ] {
            let prepared = Prepared::Code { purpose, until: at };
            let letter = Letter::write(&url, &to, &prepared, "c0de").expect("a letter");
            assert!(letter.text.contains(link), "{}", letter.text);
            assert!(letter.text.contains("2027-01-15 08:00 UTC"), "{}", letter.text);
        }
        let prepared = Prepared::Invited {
            org_name: "Evil\r\nBcc: all@example.com".to_owned(),
            by: "Mallory\nhttps://evil.example".to_owned(),
            until: at,
        };
        let letter = Letter::write(&url, &to, &prepared, "c0de").expect("a letter");
        assert_eq!(letter.subject.lines().count(), 1);
        assert!(letter.text.starts_with("Malloryhttps"), "{}", letter.text);
        assert_eq!(Letter::write(&url, &to, &Prepared::Nothing, "c0de"), None);
    }
}
