//! `creel member …`, `creel invite`, `creel join`, `creel whoami`: who belongs to the org.

use clap::Subcommand;
use creel_api::{AcceptInvitation, CreateInvitation, client::Client};
use creel_domain::{Email, InvitationId, MemberRole, UserId};

use crate::{
    context::Context,
    failure::{Failure, Result},
    out::{self, table::Table},
    settings::{self, Settings},
};

#[derive(Debug, Subcommand)]
pub(crate) enum MemberCommand {
    /// List members and open invitations
    #[command(visible_alias = "list")]
    Ls,
    /// Give a member another role
    Set {
        user: UserId,
        /// viewer, developer, admin or owner
        #[arg(long)]
        role: MemberRole,
    },
    /// Remove a member: their tokens and sessions here end at once
    Rm {
        user: UserId,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Take an invitation back
    Uninvite { invitation: InvitationId },
    /// Leave the org
    Leave {
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct InviteArgs {
    /// viewer, developer, admin or owner
    #[arg(long, default_value = "developer")]
    role: MemberRole,
    /// Mail the invitation there, instead of printing it for you to pass on
    #[arg(long, value_name = "ADDRESS")]
    email: Option<Email>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  creel join https://creel.example.com 5f0c…  --name Ada

Whoever has a token for another org of the same Creel joins as who they are.")]
pub(crate) struct JoinArgs {
    /// Address of Creel
    url: String,
    /// The code of the invitation
    code: String,
    /// What the others shall call you
    #[arg(long)]
    name: Option<String>,
}

pub(crate) async fn run(command: MemberCommand, context: &Context) -> Result<()> {
    let client = &context.client;
    match command {
        MemberCommand::Ls => ls(context).await,
        MemberCommand::Set { user, role } => {
            let member = client.set_role(user, role).await?;
            context
                .out
                .show(&member, || format!("{} is {} now", member.name, member.role))
        }
        MemberCommand::Rm { user, yes } => {
            if !yes && !out::confirm(&format!("remove {user} from the org"))? {
                return Err(Failure::sentence("nobody was removed"));
            }
            client.remove_member(user).await?;
            context.out.show(&user, || user.to_string())
        }
        MemberCommand::Uninvite { invitation } => {
            client.revoke_invitation(invitation).await?;
            context.out.show(&invitation, || invitation.to_string())
        }
        MemberCommand::Leave { yes } => {
            let org = client.whoami().await?.org_name;
            if !yes && !out::confirm(&format!("leave {org}"))? {
                return Err(Failure::sentence("you are still a member"));
            }
            client.leave().await?;
            context.out.show(&org, || format!("you left {org}"))
        }
    }
}

async fn ls(context: &Context) -> Result<()> {
    let members = context.client.members().await?.items;
    let open = context.client.invitations().await?.items;
    let all = serde_json::json!({"members": members, "invitations": open});
    context.out.show(&all, || {
        let mut table = Table::new(&["NAME", "ROLE", "ID", "SINCE"]);
        for member in &members {
            table.row([
                member.name.clone(),
                member.role.to_string(),
                member.user.to_string(),
                member.created_at.strftime("%F").to_string(),
            ]);
        }
        for invitation in &open {
            table.row([
                "(invited)".to_owned(),
                invitation.role.to_string(),
                invitation.id.to_string(),
                invitation.created_at.strftime("%F").to_string(),
            ]);
        }
        table.render()
    })
}

pub(crate) async fn invite(args: &InviteArgs, context: &Context) -> Result<()> {
    let create = CreateInvitation {
        role: args.role,
        email: args.email.clone(),
    };
    let new = context.client.invite(&create).await?;
    let until = new.invitation.expires_at;
    let Some(code) = &new.code else {
        let to = args.email.as_ref().map(Email::as_str).unwrap_or_default();
        context
            .out
            .show(&new, || format!("an invitation is on its way to {to}"))?;
        context
            .out
            .note(&format!("It is good for one person until {until:.0}."));
        return Ok(());
    };
    let url = context.client.url();
    context
        .out
        .show(&new, || format!("creel join {url} {code} --name NAME"))?;
    context.out.note(&format!(
        "Send them this line: it is good for one person until {until:.0}, and is not shown again."
    ));
    Ok(())
}

pub(crate) async fn join(args: JoinArgs, context: &Context) -> Result<()> {
    let path = settings::path(|name| std::env::var_os(name).map(Into::into))
        .ok_or_else(|| Failure::sentence("there is no place for the settings: set HOME"))?;
    let before = settings::read(&path)?;
    let same_server = |url: &str| url.trim_end_matches('/') == args.url.trim_end_matches('/');
    // Who is known there joins as who they are.
    let token = before
        .token
        .clone()
        .filter(|_| before.url.as_deref().is_some_and(same_server));
    let client = Client::new(&args.url, token)?;
    let joined = client
        .accept_invitation(&AcceptInvitation {
            code: args.code,
            name: args.name,
        })
        .await?;
    if before.token.is_some() {
        std::fs::copy(&path, path.with_extension("toml.old"))?;
    }
    let settings = Settings {
        url: Some(client.url().to_owned()),
        token: Some(joined.secret.clone()),
    };
    settings::write(&path, &settings)?;
    context.out.show(&joined, || {
        format!("you are {} of {} now", joined.role, joined.org_name)
    })?;
    context.out.note(&format!("Your token is in {}.", path.display()));
    Ok(())
}

pub(crate) async fn whoami(context: &Context) -> Result<()> {
    let me = context.client.whoami().await?;
    context.out.show(&me, || {
        let scopes: Vec<_> = me.scopes.iter().map(|scope| scope.as_str()).collect();
        format!(
            "{} ({}), {} of {}\nmay: {}",
            me.user_name,
            me.user,
            me.role,
            me.org_name,
            scopes.join(" ")
        )
    })
}
