//! `creel port …`: an agent's page and ports, reached from outside, and links that open them.

use clap::Subcommand;
use creel_api::{CreateShareLink, Port, PublishPort, ShareLink};
use creel_domain::{PortAccess, ShareLinkId};

use crate::{
    commands::agent::seconds,
    context::Context,
    failure::{Failure, Result},
    out::{self, table::Table},
};

#[derive(Debug, Subcommand)]
pub(crate) enum PortCommand {
    /// List an agent's ports that are reached from outside, and their addresses
    #[command(visible_alias = "list")]
    Ls {
        /// Name or id
        agent: String,
    },
    /// Publish a port on which a program of the agent's listens
    #[command(after_help = "\
Examples:
  creel port publish scout 3000                 for members of the org
  creel port publish scout 3000 --public        for everybody
  creel port publish scout 8080 --page          at the agent's own address")]
    Publish {
        /// Name or id
        agent: String,
        #[arg(value_parser = clap::value_parser!(u16).range(1..))]
        port: u16,
        /// For everybody, not only for members of the org and whoever has a link
        #[arg(long)]
        public: bool,
        /// It becomes what the agent's own address leads to
        #[arg(long)]
        page: bool,
    },
    /// Reach a port no longer from outside; its links are gone
    Unpublish {
        /// Name or id
        agent: String,
        port: u16,
    },
    /// Make a link that opens a private port to whoever has it
    Share {
        /// Name or id
        agent: String,
        port: u16,
        /// How long it is good: 30m, 12h, 7d; at most 90d
        #[arg(long, value_name = "TIME", default_value = "7d", value_parser = seconds)]
        r#for: u32,
        /// For yourself: whom it is for
        #[arg(long, default_value = "")]
        name: String,
    },
    /// List an agent's links, without their secrets
    Links {
        /// Name or id
        agent: String,
    },
    /// End a link; who came with it is out within seconds
    Unshare {
        /// Name or id
        agent: String,
        /// As `creel port links` shows it
        link: ShareLinkId,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

pub(crate) async fn run(command: PortCommand, context: &Context) -> Result<()> {
    let client = &context.client;
    match command {
        PortCommand::Ls { agent } => {
            let ports = client.ports(&agent).await?.items;
            if ports.is_empty() && !context.out.json {
                context.out.note(&format!(
                    "No port of {agent} is reached from outside: `creel port publish {agent} PORT` publishes one."
                ));
                return Ok(());
            }
            context.out.show(&ports, || table(&ports))
        }
        PortCommand::Publish {
            agent,
            port,
            public,
            page,
        } => {
            let access = if public {
                PortAccess::Public
            } else {
                PortAccess::Private
            };
            let published = client
                .publish_port(&agent, port, &PublishPort { access, page })
                .await?;
            context.out.show(&published, || published.url.clone())
        }
        PortCommand::Unpublish { agent, port } => {
            client.unpublish_port(&agent, port).await?;
            context.out.show(&port, || port.to_string())
        }
        PortCommand::Share {
            agent,
            port,
            r#for,
            name,
        } => {
            let request = CreateShareLink {
                port,
                name,
                expires_in_seconds: Some(r#for),
            };
            let made = client.create_share_link(&agent, &request).await?;
            context.out.show(&made, || made.url.reveal().to_owned())
        }
        PortCommand::Links { agent } => {
            let links = client.share_links(&agent).await?.items;
            context.out.show(&links, || listed(&links))
        }
        PortCommand::Unshare { agent, link, yes } => {
            if !yes && !out::confirm(&format!("end the link {link}"))? {
                return Err(Failure::sentence("nothing was ended"));
            }
            client.remove_share_link(&agent, link).await?;
            context.out.show(&link, || link.to_string())
        }
    }
}

fn table(ports: &[Port]) -> String {
    let mut table = Table::new(&["PORT", "ACCESS", "PAGE", "URL"]).right(&[0]);
    for port in ports {
        table.row([
            port.port.to_string(),
            port.access.as_str().to_owned(),
            if port.page { "yes" } else { "" }.to_owned(),
            port.url.clone(),
        ]);
    }
    table.render()
}

fn listed(links: &[ShareLink]) -> String {
    let mut table = Table::new(&["LINK", "PORT", "NAME", "EXPIRES"]).right(&[1]);
    for link in links {
        table.row([
            link.id.to_string(),
            link.port.to_string(),
            link.name.clone(),
            link.expires_at.strftime("%F %H:%M").to_string(),
        ]);
    }
    table.render()
}
