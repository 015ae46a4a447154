//! `creel provider …`: where model calls go. A key is read from standard input and never printed.

use std::io::{IsTerminal, Read};

use clap::Subcommand;
use creel_api::{AddProvider, ProviderKind};
use creel_domain::{Name, SecretName};

use crate::{
    context::Context,
    failure::{Failure, Result},
    out::{self, progress::Progress, style, table::Table},
};

/// The longest key that is read, in bytes.
const KEY_BYTES: u64 = 16 * 1024;

#[derive(Debug, Subcommand)]
pub(crate) enum ProviderCommand {
    /// Add a provider; its models are then NAME/MODEL
    #[command(after_help = "\
Examples:
  creel provider add openai --kind openai --key-stdin < key.txt
  creel provider add openai --kind openai --key-secret OPENAI_KEY
  creel provider add local --kind openai-compatible \\
      --base-url http://127.0.0.1:11434/v1")]
    Add(AddArgs),
    /// List providers
    #[command(visible_alias = "list")]
    Ls,
    /// Make a small real call and say what came of it
    Test { name: Name },
    /// Remove a provider and its key
    Rm {
        name: Name,
        /// The platform's, of that name; for its operators
        #[arg(long)]
        platform: bool,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct AddArgs {
    /// First part of its models' names
    name: Name,
    #[arg(long, value_enum)]
    kind: Kind,
    /// Address of its API; needed for openai-compatible
    #[arg(long, value_name = "URL", required_if_eq("kind", "openai-compatible"))]
    base_url: Option<String>,
    /// Read the key from standard input
    #[arg(long)]
    key_stdin: bool,
    /// Take the key from this secret of the org, at each call
    #[arg(long, value_name = "SECRET", conflicts_with = "key_stdin")]
    key_secret: Option<SecretName>,
    /// For every org of the platform; for its operators
    #[arg(long, conflicts_with = "key_secret")]
    platform: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    Openai,
    Anthropic,
    Gemini,
    /// Ollama, vLLM, OpenRouter and the like
    OpenaiCompatible,
}

pub(crate) async fn run(command: ProviderCommand, context: &Context) -> Result<()> {
    match command {
        ProviderCommand::Add(args) => add(args, context).await,
        ProviderCommand::Ls => ls(context).await,
        ProviderCommand::Test { name } => test(&name, context).await,
        ProviderCommand::Rm { name, platform, yes } => {
            if !yes && !out::confirm(&format!("remove provider {name} and its key"))? {
                return Err(Failure::sentence("nothing was removed"));
            }
            if platform {
                context.client.remove_platform_provider(name.as_str()).await?;
            } else {
                context.client.remove_provider(name.as_str()).await?;
            }
            context.out.show(&name, || name.to_string())
        }
    }
}

async fn add(args: AddArgs, context: &Context) -> Result<()> {
    if !args.key_stdin && args.key_secret.is_none() && args.kind != Kind::OpenaiCompatible {
        return Err(Failure::wrong_use(
            "this kind needs a key: give it on standard input with --key-stdin, or name a secret with --key-secret",
        ));
    }
    let request = AddProvider {
        kind: match args.kind {
            Kind::Openai => ProviderKind::Openai,
            Kind::Anthropic => ProviderKind::Anthropic,
            Kind::Gemini => ProviderKind::Gemini,
            Kind::OpenaiCompatible => ProviderKind::OpenaiCompatible,
        },
        name: args.name,
        base_url: args.base_url,
        key: if args.key_stdin { Some(read_key()?) } else { None },
        key_secret: args.key_secret,
    };
    let provider = if args.platform {
        context.client.add_platform_provider(&request).await?
    } else {
        context.client.add_provider(&request).await?
    };
    context.out.show(&provider, || provider.name.to_string())?;
    context
        .out
        .note(&format!("Try it: creel provider test {}", provider.name));
    Ok(())
}

/// One line from standard input; on a terminal it is not shown while it is typed.
fn read_key() -> Result<String> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    let stdin = std::io::stdin();
    let before = stdin.is_terminal().then(|| tcgetattr(&stdin).ok()).flatten();
    let mut key = String::new();
    if let Some(before) = before {
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        eprint!("Key: ");
        tcsetattr(&stdin, OptionalActions::Now, &silent).map_err(std::io::Error::from)?;
        let read = stdin.read_line(&mut key);
        tcsetattr(&stdin, OptionalActions::Now, &before).map_err(std::io::Error::from)?;
        eprintln!();
        read?;
    } else {
        stdin.take(KEY_BYTES).read_to_string(&mut key)?;
    }
    let key = key.trim();
    if key.is_empty() {
        return Err(Failure::wrong_use("standard input holds no key"));
    }
    Ok(key.to_owned())
}

async fn ls(context: &Context) -> Result<()> {
    let providers = context.client.providers().await?.items;
    context.out.show(&providers, || {
        let mut table = Table::new(&["NAME", "KIND", "KEY", "ADDRESS"]);
        for provider in &providers {
            let kind = serde_json::to_value(provider.kind).ok();
            table.row([
                provider.name.to_string(),
                kind.as_ref()
                    .and_then(|kind| kind.as_str())
                    .unwrap_or_default()
                    .to_owned(),
                match &provider.key_secret {
                    Some(secret) => secret.to_string(),
                    None if provider.platform && provider.has_key => "the platform's".to_owned(),
                    None if provider.has_key => "yes".to_owned(),
                    None => "no".to_owned(),
                },
                provider.base_url.clone().unwrap_or_default(),
            ]);
        }
        table.render()
    })
}

async fn test(name: &Name, context: &Context) -> Result<()> {
    let mut progress = Progress::new(context.out.json);
    progress.say(&format!("Calling {name}"));
    let result = context.client.test_provider(name.as_str()).await?;
    progress.finish();
    context.out.show(&result, || {
        let verdict = if result.ok { "works" } else { "does not work" };
        format!(
            "{name} {verdict} ({} ms): {}",
            result.duration_ms,
            style::plain(&result.detail)
        )
    })?;
    if result.ok {
        Ok(())
    } else {
        Err(Failure::Status(1))
    }
}
