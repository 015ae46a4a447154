//! `creel token …`: what speaks for you elsewhere. A secret is printed once, when it is made.

use std::collections::BTreeSet;

use clap::Subcommand;
use creel_api::CreateToken;
use creel_domain::{Scope, TokenId};
use jiff::{Span, SpanRelativeTo, Unit};

use crate::{
    context::Context,
    failure::{Failure, Result},
    out::{self, table::Table},
};

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token and print its secret, this once
    #[command(after_help = "\
Examples:
  creel token create laptop
  creel token create ci --scope agents:read --scope chat:write --expires 30d

Scopes: agents, chat, computer, providers, members, tokens and platform, each
with :read and :write, usage:read and audit:read.")]
    Create(CreateArgs),
    /// List your tokens; for an admin, everybody's
    #[command(visible_alias = "list")]
    Ls,
    /// Revoke a token at once
    Rm {
        /// Its id, as `creel token ls` shows it
        token: TokenId,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct CreateArgs {
    /// To tell it from others
    name: String,
    /// Allow only this; may be given again. Without it: all that you may do
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<Scope>,
    /// For how long it is valid: 12h, 30d, 1y. Without it: until it is revoked
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    expires: Option<u64>,
}

/// A span of time in words, as seconds; a day has 24 hours, a year 365 days.
pub(crate) fn seconds(text: &str) -> std::result::Result<u64, String> {
    let wrong = || "write a time such as 12h, 30d or 1y".to_owned();
    let span: Span = text.parse().map_err(|_| wrong())?;
    let days = i64::from(span.get_years()) * 365;
    let span = span
        .try_years(0)
        .and_then(|span| span.try_days(i64::from(span.get_days()) + days));
    let total = span.and_then(|span| span.total((Unit::Second, SpanRelativeTo::days_are_24_hours())));
    match total {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "whole and positive, far below the bound"
        )]
        Ok(total) if total >= 1.0 => Ok(total as u64),
        _ => Err(wrong()),
    }
}

pub(crate) async fn run(command: TokenCommand, context: &Context) -> Result<()> {
    match command {
        TokenCommand::Create(args) => create(args, context).await,
        TokenCommand::Ls => ls(context).await,
        TokenCommand::Rm { token, yes } => {
            if !yes && !out::confirm(&format!("revoke {token}"))? {
                return Err(Failure::sentence("nothing was revoked"));
            }
            context.client.revoke_token(token).await?;
            context.out.show(&token, || token.to_string())
        }
    }
}

async fn create(args: CreateArgs, context: &Context) -> Result<()> {
    let scopes: BTreeSet<Scope> = args.scopes.into_iter().collect();
    let token = context
        .client
        .create_token(&CreateToken {
            name: args.name,
            scopes: (!scopes.is_empty()).then_some(scopes),
            expires_in_seconds: args.expires,
        })
        .await?;
    context.out.show(&token, || token.secret.clone())?;
    context
        .out
        .note("Keep it: it is not shown again. Give it as CREEL_TOKEN.");
    Ok(())
}

/// Scopes with spaces between them; `all` where none limit.
pub(crate) fn scopes_text(scopes: Option<&BTreeSet<Scope>>, all: &str) -> String {
    scopes.map_or_else(
        || all.to_owned(),
        |scopes| {
            scopes
                .iter()
                .map(|scope| scope.as_str())
                .collect::<Vec<_>>()
                .join(" ")
        },
    )
}

async fn ls(context: &Context) -> Result<()> {
    let tokens = context.client.tokens().await?.items;
    context.out.show(&tokens, || {
        let mut table = Table::new(&["TOKEN", "NAME", "SCOPES", "EXPIRES", "LAST USED"]);
        for token in &tokens {
            let day = |at: Option<jiff::Timestamp>, none: &str| {
                at.map_or_else(|| none.to_owned(), |at| at.strftime("%F").to_string())
            };
            let scopes = scopes_text(token.scopes.as_ref(), "all");
            table.row([
                token.id.to_string(),
                token.name.clone(),
                scopes,
                day(token.expires_at, "never"),
                day(token.last_used_at, "never"),
            ]);
        }
        table.render()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, expected) in [
            ("60s", Some(60)),
            ("12h", Some(12 * 3600)),
            ("30d", Some(30 * 86_400)),
            ("1y", Some(365 * 86_400)),
            ("1d 12h", Some(36 * 3600)),
            ("0s", None),
            ("-1h", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(seconds(text).ok(), expected, "{text}");
        }
    }
}
