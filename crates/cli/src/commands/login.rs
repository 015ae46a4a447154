//! `creel login`: address and password for a token with an end, which is kept in the settings.

use creel_api::{SecondFactor, Secret, SignIn, SignInResult, WantedToken, client::Client};
use creel_domain::{Email, OrgId};

use super::token::seconds;
use crate::{
    args::Global,
    failure::{Failure, Result},
    out::{Out, secret},
    settings::{self, Settings},
};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  creel login --url https://creel.example.com
  pass creel | creel login --email ada@example.com --password-stdin")]
pub(crate) struct LoginArgs {
    /// Your address; asked for without it
    #[arg(long, value_name = "ADDRESS")]
    email: Option<Email>,
    /// Read the password from standard input, and a code from its second line if one is asked for
    #[arg(long)]
    password_stdin: bool,
    /// Which of your orgs, by its id. Without it: the one that you joined first
    #[arg(long)]
    org: Option<OrgId>,
    /// For how long: 12h, 30d, 1y
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = seconds)]
    expires: u64,
}

pub(crate) async fn run(args: LoginArgs, global: &Global) -> Result<()> {
    let out = Out::new(global.json);
    let path = settings::path(|name| std::env::var_os(name).map(Into::into))
        .ok_or_else(|| Failure::sentence("there is no place for the settings: set HOME"))?;
    let before = settings::read(&path)?;
    let client = Client::new(&settings::resolve(global)?.url, None)?;
    let email = match args.email {
        Some(email) => email,
        None => secret::ask("E-mail address")?
            .parse()
            .map_err(|error: creel_domain::BadEmail| Failure::sentence(error.to_string()))?,
    };
    let password = if args.password_stdin {
        secret::secret_line()?
    } else {
        secret::ask_secret("Password")?
    };
    let token = WantedToken {
        name: host_name(),
        expires_in_seconds: args.expires,
    };
    let sign_in = SignIn {
        email,
        password,
        org: args.org,
        token: Some(token.clone()),
    };
    let mut result = client.sign_in(&sign_in).await?;
    if let SignInResult::SecondFactorRequired { ticket, .. } = result {
        let code = if args.password_stdin {
            secret::secret_line()?
        } else {
            Secret::new(secret::ask("Code of your app, or a recovery code")?)
        };
        let factor = SecondFactor {
            ticket,
            code,
            org: args.org,
            token: Some(token),
        };
        result = client.second_factor(&factor).await?;
    }
    let SignInResult::SignedIn(signed_in) = result else {
        return Err(Failure::sentence(
            "the server asks for one code after the other: try again",
        ));
    };
    let Some(token) = &signed_in.secret else {
        return Err(Failure::sentence(
            "the server sent no token: is it another version?",
        ));
    };
    if before
        .url
        .as_deref()
        .is_some_and(|url| url.trim_end_matches('/') != client.url())
    {
        std::fs::copy(&path, path.with_extension("toml.old"))?;
    }
    let settings = Settings {
        url: Some(client.url().to_owned()),
        token: Some(token.reveal().to_owned()),
    };
    settings::write(&path, &settings)?;
    let shown = serde_json::json!({
        "user": signed_in.user, "org": signed_in.org, "org_name": signed_in.org_name, "role": signed_in.role,
    });
    out.show(&shown, || {
        format!("you are {} of {}", signed_in.role, signed_in.org_name)
    })?;
    out.note(&format!("Your token is in {}.", path.display()));
    Ok(())
}

/// What the token is called: where it is.
fn host_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let name: String = name.chars().filter(|c| !c.is_control()).take(100).collect();
    if name.trim().is_empty() {
        "creel login".to_owned()
    } else {
        name
    }
}
