//! Ports of agents that are reached from outside, and links that open them.

use creel_api::{self as api, CreateShareLink, PublishPort};
use creel_domain::{Agent, AgentHost, PortAccess, ShareLinkId};
use creel_protocol::is_public_port;
use creel_store::{StoredPort, StoredShareLink};
use jiff::SignedDuration;

use super::sign_in;
use crate::{
    Control,
    edge::address,
    http::{
        auth::Caller,
        failure::{Answer, Failure},
    },
};

const LINK_FOR: SignedDuration = SignedDuration::from_hours(24 * 7);
const SHORTEST_S: u32 = 60;
const LONGEST_S: u32 = 90 * 24 * 3600;
const NAME_CHARS: usize = 100;

fn shown(control: &Control, agent: &Agent, label: &str, stored: StoredPort) -> api::Port {
    let host = AgentHost {
        label: label.to_owned(),
        port: Some(stored.port),
    };
    let named = if stored.page { None } else { host.port };
    api::Port {
        port: stored.port,
        access: stored.access,
        page: stored.page,
        built_in: agent.spec.runtime.page() == Some(stored.port),
        url: address(control, label, named),
        path_url: control.agent_urls.by_path(&host),
        created_at: Some(stored.created_at),
    }
}

/// Those that are published, and the runtime's own page.
pub(crate) async fn list(control: &Control, caller: &Caller, agent: &str) -> Answer<Vec<api::Port>> {
    let agent = control.agent(caller.org, agent).await?;
    let org = control.store.org(caller.org);
    let (label, stored) = (org.label(agent.id).await?, org.ports(agent.id).await?);
    let mut ports: Vec<_> = stored
        .iter()
        .map(|stored| shown(control, &agent, &label, *stored))
        .collect();
    if let Some(page) = agent.spec.runtime.page()
        && stored.iter().all(|stored| stored.port != page)
    {
        let built_in = StoredPort {
            port: page,
            access: PortAccess::Private,
            page: stored.iter().all(|stored| !stored.page),
            created_at: agent.created_at,
        };
        let built_in = api::Port {
            created_at: None,
            ..shown(control, &agent, &label, built_in)
        };
        ports.insert(0, built_in);
    }
    Ok(ports)
}

pub(crate) async fn publish(
    control: &Control,
    caller: &Caller,
    agent: &str,
    port: u16,
    how: PublishPort,
) -> Answer<api::Port> {
    let agent = control.agent(caller.org, agent).await?;
    if !is_public_port(port) {
        return Err(Failure::invalid(format!(
            "Port {port} is the bridge's own: publish one on which a program of the agent's listens."
        )));
    }
    if agent.spec.runtime.page() == Some(port) && how.access == PortAccess::Public {
        return Err(Failure::invalid(
            "Whoever comes to the runtime's own page can do all that the agent can: it may be private only.",
        ));
    }
    let org = caller.org(control);
    let stored = org.publish_port(agent.id, port, how.access, how.page).await?;
    Ok(shown(control, &agent, &org.label(agent.id).await?, stored))
}

pub(crate) async fn unpublish(control: &Control, caller: &Caller, agent: &str, port: u16) -> Answer<()> {
    let agent = control.agent(caller.org, agent).await?;
    let removed = caller.org(control).unpublish_port(agent.id, port).await;
    removed.map_err(|error| match error {
        creel_store::Error::NotFound(_) => not_published(port),
        other => other.into(),
    })
}

fn not_published(port: u16) -> Failure {
    Failure::not_found(format!(
        "Port {port} is not published: `creel port ls AGENT` shows those that are."
    ))
}

fn link(stored: StoredShareLink) -> api::ShareLink {
    api::ShareLink {
        id: stored.id,
        port: stored.port,
        name: stored.name,
        expires_at: stored.expires_at,
        created_at: stored.created_at,
        created_by: stored.created_by,
    }
}

pub(crate) async fn links(control: &Control, caller: &Caller, agent: &str) -> Answer<Vec<api::ShareLink>> {
    let agent = control.agent(caller.org, agent).await?;
    let stored = control.store.org(caller.org).share_links(agent.id).await?;
    Ok(stored.into_iter().map(link).collect())
}

pub(crate) async fn share(
    control: &Control,
    caller: &Caller,
    agent: &str,
    new: CreateShareLink,
) -> Answer<api::NewShareLink> {
    let agent = control.agent(caller.org, agent).await?;
    if agent.spec.runtime.page() == Some(new.port) {
        return Err(Failure::invalid(
            "Whoever comes to the runtime's own page can do all that the agent can: invite them to the org instead.",
        ));
    }
    if new.name.chars().count() > NAME_CHARS || new.name.chars().any(char::is_control) {
        return Err(Failure::invalid(format!(
            "`name` has at most {NAME_CHARS} characters, on one line."
        )));
    }
    let lasts = match new.expires_in_seconds {
        None => LINK_FOR,
        Some(seconds) if (SHORTEST_S..=LONGEST_S).contains(&seconds) => {
            SignedDuration::from_secs(seconds.into())
        }
        Some(_) => {
            return Err(Failure::invalid(format!(
                "`expires_in_seconds` is from {SHORTEST_S} to {LONGEST_S}, which is 90 days."
            )));
        }
    };
    let secret = sign_in::secret("")?;
    let now = control.clock.now();
    let org = caller.org(control);
    let port = new.port;
    let stored = org
        .add_share_link(
            agent.id,
            creel_store::NewShareLink {
                port,
                name: new.name,
                hash: sign_in::hash(&secret),
                expires_at: now.saturating_add(lasts).unwrap_or(now),
            },
        )
        .await
        .map_err(|error| match error {
            creel_store::Error::NotFound("published port") => not_published(port),
            other => other.into(),
        })?;
    let base = address(control, &org.label(agent.id).await?, Some(port));
    let base = base.trim_end_matches('/');
    Ok(api::NewShareLink {
        url: api::Secret::new(format!("{base}/.creel/enter?link={secret}")),
        link: link(stored),
    })
}

pub(crate) async fn unshare(control: &Control, caller: &Caller, agent: &str, id: &str) -> Answer<()> {
    let agent = control.agent(caller.org, agent).await?;
    let missing = || {
        let id: String = id.chars().take(60).collect();
        Failure::not_found(format!(
            "There is no share link `{id}`: `creel port links AGENT` shows those that there are."
        ))
    };
    let id: ShareLinkId = id.parse().map_err(|_| missing())?;
    let removed = caller.org(control).remove_share_link(agent.id, id).await;
    removed.map_err(|error| match error {
        creel_store::Error::NotFound(_) => missing(),
        other => other.into(),
    })
}
