//! `creel password`, `creel email`, `creel totp …`, `creel session …`: what you keep about yourself.

use clap::Subcommand;
use creel_api::{ConfirmTotp, Me, Proof, Secret, SetEmail, SetPassword, SignOutEverywhere};
use creel_domain::{BrowserSessionId, Email};

use crate::{
    context::Context,
    failure::{Failure, Result},
    out::{self, secret, table::Table},
};

#[derive(Debug, clap::Args)]
pub(crate) struct PasswordArgs {
    /// Read from standard input: the current one, if one is set, and on the next line the new one
    #[arg(long)]
    password_stdin: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct EmailArgs {
    /// Where you read mail; it counts once you have opened the link that is sent there
    email: Email,
    /// Read the current password from standard input
    #[arg(long)]
    password_stdin: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TotpCommand {
    /// Ask for a code of an app at each sign-in from now on
    Enrol {
        /// Read the current password from standard input, and the app's code from its second line
        #[arg(long)]
        password_stdin: bool,
    },
    /// Ask for no code any more
    Disable {
        /// Read the current password from standard input
        #[arg(long)]
        password_stdin: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum SessionCommand {
    /// List the browsers in which you are signed in
    #[command(visible_alias = "list")]
    Ls,
    /// Sign a browser out at once
    Revoke {
        /// Its id, as `creel session ls` shows it
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        session: Option<BrowserSessionId>,
        /// All of them
        #[arg(long)]
        all: bool,
        /// And revoke all of your tokens in every org, this one's included
        #[arg(long, requires = "all")]
        tokens: bool,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

/// The current password, where one is set.
fn current(me: &Me, stdin: bool) -> Result<Option<Secret>> {
    match (me.password, stdin) {
        (false, _) => Ok(None),
        (true, true) => secret::secret_line().map(Some),
        (true, false) => secret::ask_secret("Current password").map(Some),
    }
}

pub(crate) async fn password(args: &PasswordArgs, context: &Context) -> Result<()> {
    let me = context.client.me().await?;
    let current = current(&me, args.password_stdin)?;
    let new = if args.password_stdin {
        secret::secret_line()?
    } else {
        secret::ask_new_secret("New password, 12 characters or more")?
    };
    context.client.set_password(&SetPassword { current, new }).await?;
    context
        .out
        .note("Your password is set. Browsers were signed out.");
    if me.email.is_none() {
        context
            .out
            .note("To sign in with it you need an address as well: creel email ADDRESS");
    }
    Ok(())
}

pub(crate) async fn email(args: EmailArgs, context: &Context) -> Result<()> {
    let me = context.client.me().await?;
    let password = current(&me, args.password_stdin)?;
    let email = args.email;
    context
        .client
        .set_email(&SetEmail {
            email: email.clone(),
            password,
        })
        .await?;
    context
        .out
        .note(&format!("A link is on its way to {email}: open it within a day."));
    Ok(())
}

pub(crate) async fn totp(command: TotpCommand, context: &Context) -> Result<()> {
    let me = context.client.me().await?;
    match command {
        TotpCommand::Enrol { password_stdin } => {
            let password = current(&me, password_stdin)?;
            let enrolment = context.client.enrol_totp(&Proof { password }).await?;
            context.out.note(&format!(
                "Add this to your app, by its key {} or as\n{}\n",
                enrolment.secret.reveal(),
                enrolment.uri.reveal()
            ));
            let code = if password_stdin {
                secret::secret_line()?
            } else {
                Secret::new(secret::ask("The code that it shows now")?)
            };
            let codes = context.client.confirm_totp(&ConfirmTotp { code }).await?;
            context.out.show(&codes, || {
                let codes: Vec<_> = codes.recovery_codes.iter().map(Secret::reveal).collect();
                codes.join("\n")
            })?;
            context.out.note(
                "These recovery codes get you in once each when the app is lost. Keep them: they are not shown again.",
            );
            Ok(())
        }
        TotpCommand::Disable { password_stdin } => {
            let password = current(&me, password_stdin)?;
            context.client.disable_totp(&Proof { password }).await?;
            context.out.note("Sign-in asks for no code any more.");
            Ok(())
        }
    }
}

pub(crate) async fn session(command: SessionCommand, context: &Context) -> Result<()> {
    match command {
        SessionCommand::Ls => ls(context).await,
        SessionCommand::Revoke {
            session,
            all,
            tokens,
            yes,
        } => {
            let what = match (&session, tokens) {
                (Some(session), _) => format!("sign out {session}"),
                (None, false) => "sign you out of every browser".to_owned(),
                (None, true) => "sign you out of every browser and revoke all of your tokens".to_owned(),
            };
            if !yes && !out::confirm(&what)? {
                return Err(Failure::sentence("nobody was signed out"));
            }
            match session {
                Some(session) => {
                    context.client.end_browser_session(session).await?;
                    context.out.show(&session, || session.to_string())
                }
                None => {
                    let what = SignOutEverywhere { tokens };
                    context.client.sign_out_everywhere(&what).await?;
                    debug_assert!(all, "clap asks for one of the two");
                    context.out.note("You are signed out.");
                    Ok(())
                }
            }
        }
    }
}

async fn ls(context: &Context) -> Result<()> {
    let sessions = context.client.browser_sessions().await?.items;
    context.out.show(&sessions, || {
        let mut table = Table::new(&["SESSION", "ORG", "BROWSER", "LAST SEEN"]);
        for session in &sessions {
            table.row([
                session.id.to_string(),
                session.org_name.clone(),
                session.browser.clone(),
                session.seen_at.strftime("%F %H:%M").to_string(),
            ]);
        }
        table.render()
    })
}
