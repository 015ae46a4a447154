//! `creel org …`: for operators of the platform.

use clap::Subcommand;
use creel_api::Org;
use creel_domain::OrgId;

use crate::{
    context::Context,
    failure::{Failure, Result},
    out::{self, table::Table},
};

#[derive(Debug, Subcommand)]
pub(crate) enum OrgCommand {
    /// List all orgs of the platform
    #[command(visible_alias = "list")]
    Ls,
    /// Show one; it is told that you looked
    Show {
        /// Its id, as `creel org ls` shows it
        org: OrgId,
    },
    /// Stop its agents and refuse whatever its members ask
    Suspend {
        /// Its id, as `creel org ls` shows it
        org: OrgId,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// End a suspension: what ran before runs again
    Resume {
        /// Its id, as `creel org ls` shows it
        org: OrgId,
    },
}

pub(crate) async fn run(command: OrgCommand, context: &Context) -> Result<()> {
    match command {
        OrgCommand::Ls => ls(context).await,
        OrgCommand::Show { org } => {
            let org = context.client.org(org).await?;
            context.out.show(&org, || table(std::slice::from_ref(&org)))
        }
        OrgCommand::Suspend { org, yes } => {
            if !yes && !out::confirm(&format!("stop all that runs in {org}"))? {
                return Err(Failure::sentence("nothing was suspended"));
            }
            context.client.suspend_org(org).await?;
            context.out.show(&org, || org.to_string())
        }
        OrgCommand::Resume { org } => {
            context.client.resume_org(org).await?;
            context.out.show(&org, || org.to_string())
        }
    }
}

async fn ls(context: &Context) -> Result<()> {
    let (mut orgs, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let page = context.client.orgs(cursor.as_deref()).await?;
        orgs.extend(page.items);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    context.out.show(&orgs, || table(&orgs))
}

fn table(orgs: &[Org]) -> String {
    let mut table = Table::new(&["ORG", "NAME", "MEMBERS", "AGENTS", "SINCE", "SUSPENDED"])
        .right(&[2, 3])
        .gives_way(1);
    for org in orgs {
        let day = |at: jiff::Timestamp| at.strftime("%F").to_string();
        table.row([
            org.id.to_string(),
            org.name.clone(),
            org.members.to_string(),
            org.agents.to_string(),
            day(org.created_at),
            org.suspended_at.map_or_else(|| "no".to_owned(), day),
        ]);
    }
    table.render()
}
