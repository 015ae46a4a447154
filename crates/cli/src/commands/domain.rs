//! `creel domain …`: names of your own that lead to agents.

use clap::Subcommand;
use creel_api::{Domain, DomainStatus, PutDomain};

use crate::{
    context::Context,
    failure::{Failure, Result},
    out::{self, table::Table},
};

#[derive(Debug, Subcommand)]
pub(crate) enum DomainCommand {
    /// Have a name of your own lead to an agent, and show what to set in DNS for it
    #[command(after_help = "\
Examples:
  creel domain add scout chat.example.com               to the agent's page
  creel domain add scout api.example.com --port 3000    to one of its published ports")]
    Add {
        /// Name or id
        agent: String,
        /// Such as chat.example.com
        domain: String,
        /// Which published port it leads to; without it: the agent's page
        #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
        port: Option<u16>,
    },
    /// List domains: how they stand, and what was seen in DNS
    #[command(visible_alias = "list")]
    Ls {
        /// Name or id; without it: those of all agents
        agent: Option<String>,
    },
    /// Look for a domain's record in DNS now
    Verify { domain: String },
    /// Have a domain lead nowhere any more
    Rm {
        domain: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

pub(crate) async fn run(command: DomainCommand, context: &Context) -> Result<()> {
    let client = &context.client;
    match command {
        DomainCommand::Add { agent, domain, port } => {
            let claimed = client.put_domain(&agent, &domain, &PutDomain { port }).await?;
            if claimed.state != DomainStatus::Verified {
                context.out.note(&format!(
                    "Set these records at whoever runs DNS for {domain}; Creel looks for the first one by itself, or when you say `creel domain verify {domain}`."
                ));
            }
            context.out.show(&claimed, || records(&claimed))
        }
        DomainCommand::Ls { agent } => {
            let domains = client.domains(agent.as_deref()).await?.items;
            if domains.is_empty() && !context.out.json {
                context.out.note(
                    "There is no domain: `creel domain add AGENT chat.example.com` has one lead to an agent.",
                );
                return Ok(());
            }
            context.out.show(&domains, || table(&domains))
        }
        DomainCommand::Verify { domain } => {
            let found = find(context, &domain).await?;
            let agent = found.agent.to_string();
            let checked = client.verify_domain(&agent, found.name.as_str()).await?;
            context.out.show(&checked, || {
                format!("{}  {}\n{}", checked.name, checked.state.as_str(), checked.seen)
            })?;
            match checked.state {
                DomainStatus::Verified => Ok(()),
                DomainStatus::Pending | DomainStatus::Failed => {
                    Err(Failure::sentence(format!("{domain} is not verified yet")))
                }
            }
        }
        DomainCommand::Rm { domain, yes } => {
            let found = find(context, &domain).await?;
            if !yes && !out::confirm(&format!("have {} lead nowhere", found.name))? {
                return Err(Failure::sentence("nothing was removed"));
            }
            let agent = found.agent.to_string();
            client.remove_domain(&agent, found.name.as_str()).await?;
            context.out.show(&found.name, || found.name.to_string())
        }
    }
}

/// The org's domain of this name, whichever agent it leads to.
async fn find(context: &Context, name: &str) -> Result<Domain> {
    let name = name.to_ascii_lowercase();
    let mut all = context.client.domains(None).await?.items.into_iter();
    all.find(|domain| domain.name.as_str() == name).ok_or_else(|| {
        Failure::sentence(format!(
            "there is no domain {name} in this org: `creel domain ls` shows those that there are"
        ))
    })
}

fn records(domain: &Domain) -> String {
    let mut table = Table::new(&["TYPE", "NAME", "VALUE"]).whole();
    for record in &domain.records {
        table.row([record.kind.clone(), record.name.clone(), record.value.clone()]);
    }
    table.render()
}

/// What there is to say of a domain besides its state.
fn remark(domain: &Domain) -> String {
    if let Some(certificate) = domain
        .certificate
        .as_ref()
        .filter(|certificate| !certificate.problem.is_empty())
    {
        return format!("{} {}", domain.url, certificate.problem);
    }
    match (domain.state, domain.failing_since) {
        (DomainStatus::Verified, None) => domain.url.clone(),
        (DomainStatus::Verified, Some(since)) => format!(
            "{} (out of service a week after {}) {}",
            domain.url,
            since.strftime("%F %H:%M"),
            domain.seen
        ),
        (DomainStatus::Pending | DomainStatus::Failed, _) => domain.seen.clone(),
    }
}

fn table(domains: &[Domain]) -> String {
    let mut table = Table::new(&["DOMAIN", "AGENT", "PORT", "STATE", "SINCE", "SEEN"]);
    for domain in domains {
        let state = match domain.failing_since {
            Some(_) => "failing",
            None => domain.state.as_str(),
        };
        table.row([
            domain.name.to_string(),
            domain.agent_name.to_string(),
            domain
                .port
                .map_or_else(|| "page".to_owned(), |port| port.to_string()),
            state.to_owned(),
            domain.since.strftime("%F %H:%M").to_string(),
            remark(domain),
        ]);
    }
    table.render()
}
