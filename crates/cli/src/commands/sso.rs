//! `creel sso …`: where people may sign in besides here, for operators; `creel identity …`: who you are there.

use clap::Subcommand;
use creel_api::{AddSsoProvider, Proof, Secret, SsoKind, SsoNewcomers, SsoProvider};
use creel_domain::{IdentityId, Name};

use crate::{
    context::Context,
    failure::{Failure, Result},
    out::{self, secret, style, table::Table},
};

const GOOGLE: &str = "https://accounts.google.com";

#[derive(Debug, Subcommand)]
pub(crate) enum SsoCommand {
    /// Add a sign-in provider; it is asked whether people can sign in there
    #[command(after_help = "\
Examples:
  creel sso add google --client-id ID --client-secret-stdin < secret.txt
  creel sso add github --client-id ID --client-secret-stdin < secret.txt
  creel sso add company --issuer https://login.example.com \\
      --client-id ID --client-secret-stdin --newcomers developer

The names google and github need no --issuer.")]
    Add(AddArgs),
    /// List sign-in providers
    #[command(visible_alias = "list")]
    Ls,
    /// Ask a provider for its description now
    Test { name: Name },
    /// Remove a provider: nobody comes in by it any more
    Rm {
        name: Name,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct AddArgs {
    /// Part of its addresses here; google and github are known
    name: Name,
    /// Exactly as the provider calls itself
    #[arg(long, value_name = "URL", conflicts_with = "base_url")]
    issuer: Option<String>,
    /// Address of a GitHub Enterprise Server
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// By which the provider knows this Creel
    #[arg(long, value_name = "ID")]
    client_id: String,
    /// Read the client secret from standard input; on a terminal it is asked for
    #[arg(long)]
    client_secret_stdin: bool,
    /// What its button says
    #[arg(long)]
    label: Option<String>,
    /// Whom it lets in whom nobody knows: sign_up (as --sign-up of creel up), invited,
    /// nobody, or everybody into the first org as viewer, developer or admin
    #[arg(long, value_name = "WHO", default_value = "sign_up")]
    newcomers: SsoNewcomers,
    /// Let in only whose verified address is in this domain; may be given again
    #[arg(long = "email-domain", value_name = "DOMAIN")]
    email_domains: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum IdentityCommand {
    /// List the accounts elsewhere that you sign in with
    #[command(visible_alias = "list")]
    Ls,
    /// Sign in with it no more; the last way in stays
    Unlink {
        /// Its id, as `creel identity ls` shows it
        identity: IdentityId,
        /// Read the current password from standard input
        #[arg(long)]
        password_stdin: bool,
    },
}

pub(crate) async fn run(command: SsoCommand, context: &Context) -> Result<()> {
    match command {
        SsoCommand::Add(args) => add(args, context).await,
        SsoCommand::Ls => ls(context).await,
        SsoCommand::Test { name } => test(&name, context).await,
        SsoCommand::Rm { name, yes } => {
            if !yes && !out::confirm(&format!("let nobody sign in with {name} any more"))? {
                return Err(Failure::sentence("nothing was removed"));
            }
            context.client.remove_sso_provider(name.as_str()).await?;
            context.out.show(&name, || name.to_string())
        }
    }
}

/// Which kind it is, its issuer, and what its button says.
fn known(args: &AddArgs) -> Result<(SsoKind, Option<String>, Option<String>)> {
    let label = |text: &str| Some(args.label.clone().unwrap_or_else(|| text.to_owned()));
    match (&args.issuer, &args.base_url, args.name.as_str()) {
        (Some(issuer), _, _) => Ok((SsoKind::Oidc, Some(issuer.clone()), args.label.clone())),
        (None, Some(base), _) => Ok((SsoKind::Github, Some(base.clone()), label("GitHub"))),
        (None, None, "github") => Ok((SsoKind::Github, None, label("GitHub"))),
        (None, None, "google") => Ok((SsoKind::Oidc, Some(GOOGLE.to_owned()), label("Google"))),
        (None, None, _) => Err(Failure::wrong_use(
            "say who it is with --issuer, or with --base-url for a GitHub of your own",
        )),
    }
}

async fn add(args: AddArgs, context: &Context) -> Result<()> {
    let (kind, issuer, label) = known(&args)?;
    let client_secret = match args.client_secret_stdin {
        true => Some(client_secret()?),
        false => None,
    };
    let request = AddSsoProvider {
        name: args.name,
        kind,
        issuer,
        client_id: args.client_id,
        client_secret,
        label,
        newcomers: args.newcomers,
        email_domains: args.email_domains,
    };
    let provider = context.client.add_sso_provider(&request).await?;
    context.out.show(&provider, || provider.name.to_string())?;
    context.out.note(&format!(
        "At the provider, set this as where people are sent back to:\n{}",
        provider.callback_url
    ));
    Ok(())
}

fn client_secret() -> Result<Secret> {
    use std::io::IsTerminal as _;
    if std::io::stdin().is_terminal() {
        return secret::ask_secret("Client secret");
    }
    secret::secret_line()
}

async fn ls(context: &Context) -> Result<()> {
    let providers = context.client.sso_providers().await?.items;
    context.out.show(&providers, || table(&providers))
}

fn table(providers: &[SsoProvider]) -> String {
    let mut table = Table::new(&["NAME", "KIND", "NEWCOMERS", "DOMAINS", "ISSUER"]).gives_way(4);
    for provider in providers {
        table.row([
            provider.name.to_string(),
            provider.kind.to_string(),
            provider.newcomers.to_string(),
            match provider.email_domains.is_empty() {
                true => "all".to_owned(),
                false => provider.email_domains.join(" "),
            },
            provider.issuer.clone(),
        ]);
    }
    table.render()
}

async fn test(name: &Name, context: &Context) -> Result<()> {
    let result = context.client.test_sso_provider(name.as_str()).await?;
    context.out.show(&result, || {
        let verdict = if result.ok { "works" } else { "does not work" };
        format!("{name} {verdict}: {}", style::plain(&result.detail))
    })?;
    if result.ok {
        Ok(())
    } else {
        Err(Failure::Status(1))
    }
}

pub(crate) async fn identity(command: IdentityCommand, context: &Context) -> Result<()> {
    match command {
        IdentityCommand::Ls => {
            let identities = context.client.identities().await?.items;
            context.out.show(&identities, || {
                let mut table = Table::new(&["IDENTITY", "WHERE", "ADDRESS", "SINCE"]).gives_way(1);
                for identity in &identities {
                    let place = identity.provider.as_ref().map(|provider| provider.label.clone());
                    table.row([
                        identity.id.to_string(),
                        place.unwrap_or_else(|| style::plain(&identity.issuer).into_owned()),
                        identity
                            .email
                            .as_ref()
                            .map(ToString::to_string)
                            .unwrap_or_default(),
                        identity.created_at.strftime("%F").to_string(),
                    ]);
                }
                table.render()
            })
        }
        IdentityCommand::Unlink {
            identity,
            password_stdin,
        } => {
            let password = match (context.client.me().await?.password, password_stdin) {
                (false, _) => None,
                (true, true) => Some(secret::secret_line()?),
                (true, false) => Some(secret::ask_secret("Current password")?),
            };
            context
                .client
                .unlink_identity(identity, &Proof { password })
                .await?;
            context.out.show(&identity, || identity.to_string())
        }
    }
}
