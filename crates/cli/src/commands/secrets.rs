//! `creel secrets …`: values go in by standard input or a hidden prompt, never as an argument, and never come out.

use std::{
    io::{IsTerminal as _, Read as _},
    path::PathBuf,
    time::Duration,
};

use clap::Subcommand;
use creel_api::{OwnKey, Secret, SecretRotation, SetOwnKey, SetSecret};
use creel_domain::SecretName;

use crate::{
    context::Context,
    failure::{Failure, Result},
    out::{self, progress::Progress, secret, table::Table},
};

/// One more than a secret may have: the server says what is too long.
const VALUE_BYTES: u64 = 64 * 1024 + 2;
/// Between two looks at how far a rotation is.
const LOOK_EVERY: Duration = Duration::from_millis(500);

#[derive(Debug, Subcommand)]
pub(crate) enum SecretsCommand {
    /// Set a secret; its value is asked for, or read from standard input
    ///
    /// One line end at the end is left out.
    #[command(after_help = "\
Examples:
  creel secrets set OPENAI_KEY < key.txt
  creel secrets set OPENAI_KEY --agent scout
  creel provider add openai --kind openai --key-secret OPENAI_KEY")]
    Set {
        /// As an environment variable is called
        name: SecretName,
        /// Of this agent alone; it comes before the org's of the same name
        #[arg(long, value_name = "AGENT")]
        agent: Option<String>,
    },
    /// List secrets, without their values
    #[command(visible_alias = "list")]
    Ls {
        /// This agent's own
        #[arg(long, value_name = "AGENT")]
        agent: Option<String>,
    },
    /// Remove a secret
    Rm {
        name: SecretName,
        #[arg(long, value_name = "AGENT")]
        agent: Option<String>,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Make a new key and seal everything with it, in the background
    Rotate {
        /// Return when the old key is destroyed
        #[arg(long)]
        wait: bool,
        /// Only say how far it is
        #[arg(long, conflicts_with = "wait")]
        status: bool,
    },
    /// A key of your own, in your Vault, without which nothing opens
    #[command(subcommand)]
    Key(KeyCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Say which key it is, and whether it can be used now
    Show,
    /// Name a key of your Vault's Transit; its token is asked for, or read from standard input or a file
    #[command(after_help = "\
Examples:
  creel secrets key set https://vault.example.com:8200 creel
  creel secrets key set https://vault.example.com team-key \\
      --mount team/transit --token-file token.txt")]
    Set(KeyArgs),
    /// Have no key of your own any more
    Rm {
        /// The key is lost: give up every secret and every provider's key that it closes
        #[arg(long)]
        destroy: bool,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct KeyArgs {
    /// Address of your Vault
    address: String,
    /// Name of the key
    name: String,
    /// Where Transit is mounted
    #[arg(long, value_name = "PATH", default_value = "transit")]
    mount: String,
    /// File with a token that may encrypt and decrypt with the key
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

pub(crate) async fn run(command: SecretsCommand, context: &Context) -> Result<()> {
    match command {
        SecretsCommand::Set { name, agent } => set(&name, agent.as_deref(), context).await,
        SecretsCommand::Ls { agent } => ls(agent.as_deref(), context).await,
        SecretsCommand::Rm { name, agent, yes } => {
            if !yes && !out::confirm(&format!("remove the secret {name}"))? {
                return Err(Failure::sentence("nothing was removed"));
            }
            context
                .client
                .remove_secret(agent.as_deref(), name.as_str())
                .await?;
            context.out.show(&name, || name.to_string())
        }
        SecretsCommand::Rotate { wait, status } => rotate(wait, status, context).await,
        SecretsCommand::Key(KeyCommand::Show) => {
            let key = context.client.own_key().await?;
            context.out.show(&key, || described(&key))
        }
        SecretsCommand::Key(KeyCommand::Set(args)) => set_key(args, context).await,
        SecretsCommand::Key(KeyCommand::Rm { destroy, yes }) => {
            let what = if destroy {
                "give up every secret and every provider's key of the org, for ever"
            } else {
                "have no key of your own any more"
            };
            if !yes && !out::confirm(what)? {
                return Err(Failure::sentence("nothing was removed"));
            }
            context.client.remove_own_key(destroy).await?;
            let done = serde_json::json!({ "destroyed": destroy });
            context.out.show(&done, || "removed".to_owned())
        }
    }
}

/// What is typed, not shown; or all of standard input without one line end.
fn value(what: &str) -> Result<Secret> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        return secret::ask_secret(what);
    }
    let mut text = String::new();
    stdin
        .take(VALUE_BYTES)
        .read_to_string(&mut text)
        .map_err(|error| {
            Failure::sentence(format!(
                "the value on standard input cannot be read as text: {error}"
            ))
        })?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(Failure::wrong_use("standard input holds no value"));
    }
    Ok(Secret::new(text))
}

async fn set(name: &SecretName, agent: Option<&str>, context: &Context) -> Result<()> {
    let request = SetSecret {
        value: value(&format!("Value of {name}"))?,
    };
    let set = context.client.set_secret(agent, name.as_str(), &request).await?;
    context.out.show(&set, || set.name.to_string())
}

async fn ls(agent: Option<&str>, context: &Context) -> Result<()> {
    let secrets = context.client.secrets(agent).await?.items;
    context.out.show(&secrets, || {
        let mut table = Table::new(&["NAME", "VERSION", "CHANGED", "BY"]).right(&[1]);
        for secret in &secrets {
            table.row([
                secret.name.to_string(),
                secret.version.to_string(),
                secret.changed_at.strftime("%F %H:%M").to_string(),
                secret.changed_by.clone(),
            ]);
        }
        table.render()
    })
}

async fn rotate(wait: bool, status: bool, context: &Context) -> Result<()> {
    let client = &context.client;
    let mut rotation = if status {
        client.secret_rotation().await?
    } else {
        client.rotate_secrets().await?
    };
    if wait {
        let mut progress = Progress::new(context.out.json);
        while rotation.rotating {
            if let Some(problem) = &rotation.problem {
                return Err(Failure::sentence(problem.detail.clone()));
            }
            progress.say(&format!("Sealing anew, {} left", rotation.remaining));
            tokio::time::sleep(LOOK_EVERY).await;
            rotation = client.secret_rotation().await?;
        }
        progress.finish();
    }
    context.out.show(&rotation, || told(&rotation))
}

fn told(rotation: &SecretRotation) -> String {
    let version = rotation.key_version;
    match (&rotation.problem, rotation.rotating) {
        (Some(problem), _) => format!(
            "key version {version}; {} values still sealed with an older one: {}",
            rotation.remaining, problem.detail
        ),
        (None, true) => format!(
            "key version {version}; {} values still sealed with an older one",
            rotation.remaining
        ),
        (None, false) if version == 0 => "nothing is sealed yet".to_owned(),
        (None, false) => format!("everything is sealed with key version {version}"),
    }
}

async fn set_key(args: KeyArgs, context: &Context) -> Result<()> {
    let token = match &args.token_file {
        None => value("Token of your Vault")?,
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| Failure::sentence(format!("cannot read {}: {error}", path.display())))?;
            Secret::new(text.trim())
        }
    };
    let request = SetOwnKey {
        address: args.address,
        mount: Some(args.mount),
        name: args.name,
        token,
    };
    let key = context.client.set_own_key(&request).await?;
    context.out.show(&key, || described(&key))
}

fn described(key: &OwnKey) -> String {
    let state = key
        .problem
        .as_ref()
        .map_or("it can be used", |problem| problem.detail.as_str());
    format!("{} {}/{}: {state}", key.address, key.mount, key.name)
}
