//! How people get in, as `creel up` is told: who may sign up, where they reach Creel, how mail leaves.

use creel_control::{People, PublicUrl, SignUpMode};
use serde::{Deserialize, Serialize};

use super::sentence;
use crate::failure::Result;

/// Goes from the parent to control over their sockets: the mail server's address may hold a password.
#[derive(Clone, Default, clap::Args, Serialize, Deserialize)]
#[command(next_help_heading = "People")]
pub(crate) struct PeopleArgs {
    /// Who may become a user: open (anybody), invite (whoever was invited) or closed
    #[arg(long, value_name = "WHO", default_value = "invite", env = "CREEL_SIGN_UP")]
    pub(crate) sign_up: SignUp,
    /// Where people reach Creel, such as https://creel.example.com; links in mails begin with it. Without it: this
    /// host alone
    #[arg(long, value_name = "URL", env = "CREEL_PUBLIC_URL")]
    pub(crate) public_url: Option<String>,
    /// Mail server, as smtps://user:password@host; better in CREEL_SMTP_URL, where other users cannot see it. Without
    /// it mails become files in DIR/mail
    #[arg(long, value_name = "URL", env = "CREEL_SMTP_URL", hide_env_values = true)]
    pub(crate) smtp_url: Option<String>,
    /// Who mails come from, such as creel@example.com
    #[arg(long, value_name = "ADDRESS", env = "CREEL_MAIL_FROM")]
    pub(crate) mail_from: Option<String>,
}

/// As text: the command line shows it in its help.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct SignUp(pub(crate) SignUpMode);

impl std::fmt::Display for SignUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl std::str::FromStr for SignUp {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        text.parse().map(Self)
    }
}

/// Without the mail server's password.
impl std::fmt::Debug for PeopleArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PeopleArgs")
            .field("sign_up", &self.sign_up)
            .field("public_url", &self.public_url)
            .field("mail_from", &self.mail_from)
            .finish_non_exhaustive()
    }
}

impl PeopleArgs {
    /// As control takes it. What cannot be used is better refused before anything is made.
    pub(super) fn people(&self) -> Result<People> {
        let public_url = self.public_url.as_deref().map(str::parse::<PublicUrl>);
        let people = People {
            sign_up: self.sign_up.0,
            public_url: public_url.transpose().map_err(sentence)?,
            agent_domain: None,
            smtp_url: self.smtp_url.clone(),
            mail_from: self.mail_from.clone(),
        };
        people.check().map_err(sentence)?;
        Ok(people)
    }

    /// The same for another process, where no list of processes shows it.
    pub(super) fn environment(&self) -> Vec<(&'static str, String)> {
        let mut pairs = vec![("CREEL_SIGN_UP", self.sign_up.to_string())];
        for (name, value) in [
            ("CREEL_PUBLIC_URL", &self.public_url),
            ("CREEL_SMTP_URL", &self.smtp_url),
            ("CREEL_MAIL_FROM", &self.mail_from),
        ] {
            pairs.extend(value.clone().map(|value| (name, value)));
        }
        pairs
    }
}
