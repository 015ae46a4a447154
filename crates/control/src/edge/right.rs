//! Which port of which agent a request means, and by what right it comes.

use std::net::IpAddr;

use creel_api::ErrorCode;
use creel_domain::{Agent, DomainName, Intent, OrgId, PortAccess, RateClass, Scope};
use creel_protocol::edge::{Face, Hidden, Knock, Shown};
use creel_store::AccessBy;

use crate::{
    Control,
    http::{
        auth::Caller,
        failure::{Answer, Failure},
    },
    operations::sign_in::{self, Credential},
};

/// An agent's port, as somebody may come to it.
#[derive(Debug, Clone)]
pub(super) struct Way {
    pub(super) agent: Agent,
    pub(super) port: u16,
    pub(super) right: Right,
}

#[derive(Debug, Clone)]
pub(super) enum Right {
    /// It is everybody's.
    Public,
    Member {
        credential: Credential,
        user: String,
    },
    /// What a share link gave.
    Link(Hidden),
}

/// What a port of an agent's is, before anybody comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Door {
    pub(super) port: u16,
    pub(super) access: PortAccess,
}

fn nobody(label: &str) -> Failure {
    let label: String = label.chars().take(63).collect();
    Failure::not_found(format!(
        "There is no agent at `{label}`. Check the address; `creel port ls AGENT` shows those of an agent."
    ))
}

fn nowhere(domain: &str) -> Failure {
    let domain: String = domain.chars().take(DomainName::MAX_BYTES).collect();
    Failure::new(
        ErrorCode::UnknownHost,
        format!("`{domain}` leads nowhere here: its owner sees why with `creel domain ls`."),
    )
}

/// The agent behind a face, and which of its ports is meant; none: its page.
pub(super) async fn agent(control: &Control, face: &Face) -> Answer<(Agent, Option<u16>)> {
    let missing = || match face.is_domain() {
        true => nowhere(&face.label),
        false => nobody(&face.label),
    };
    let host = control.store.platform().host(&face.label).await?;
    let host = host.ok_or_else(missing)?;
    let port = if face.is_domain() { host.port } else { face.port };
    match control.store.org(host.org).agent(host.agent).await {
        Ok(agent) if agent.intent != Intent::Delete => Ok((agent, port)),
        Ok(_) | Err(creel_store::Error::NotFound(_)) => Err(missing()),
        Err(error) => Err(error.into()),
    }
}

/// The port that a face of an agent means: the one that is named, if it is published; else the page.
pub(super) async fn door(control: &Control, agent: &Agent, port: Option<u16>) -> Answer<Door> {
    let ports = control.store.org(agent.org).ports(agent.id).await?;
    let published = match port {
        Some(port) => ports.iter().find(|published| published.port == port),
        None => ports.iter().find(|published| published.page),
    };
    if let Some(published) = published {
        return Ok(Door {
            port: published.port,
            access: published.access,
        });
    }
    let page = agent.spec.runtime.page();
    match page {
        Some(page) if port.is_none_or(|port| port == page) => Ok(Door {
            port: page,
            access: PortAccess::Private,
        }),
        _ => Err(Failure::not_found(match port {
            Some(port) => {
                format!("Port {port} is not published. Its owner can do that with `creel port publish`.")
            }
            None => {
                "This agent has no page of its own. Its owner can publish a port as its page with `creel port publish --page`."
                    .to_owned()
            }
        })),
    }
}

/// The org of the agent behind a face, if there is something to come to.
pub(crate) async fn published(control: &Control, face: &Face) -> Answer<Option<OrgId>> {
    let found = async {
        let (agent, port) = agent(control, face).await?;
        door(control, &agent, port).await?;
        Answer::Ok(agent.org)
    };
    match found.await {
        Ok(org) => Ok(Some(org)),
        Err(failure) if matches!(failure.code(), ErrorCode::NotFound | ErrorCode::UnknownHost) => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Whether somebody who is known may come to an agent's private ports: what is behind them can do all that the agent
/// can.
pub(super) fn can_come(caller: &Caller, agent: &Agent) -> Answer<()> {
    if caller.suspended {
        return Err(Failure::new(
            ErrorCode::OrgSuspended,
            "The org is suspended by whoever runs this Creel: ask them.",
        ));
    }
    if caller.org != agent.org {
        return Err(Failure::new(
            ErrorCode::Forbidden,
            format!(
                "You are signed in to the org `{}`, and this agent belongs to another one.",
                caller.org_name
            ),
        ));
    }
    if !caller.scopes.contains(&Scope::ComputerWrite) {
        return Err(Failure::new(
            ErrorCode::Forbidden,
            format!(
                "A private page needs `{}`, which your role or token does not have: ask an admin of the org, or for a share link.",
                Scope::ComputerWrite
            ),
        ));
    }
    Ok(())
}

fn unknown(detail: &str) -> Failure {
    Failure::new(ErrorCode::Unauthenticated, detail)
}

/// Which way a request may take.
pub(super) async fn way(control: &Control, knock: &Knock) -> Answer<Way> {
    let (agent, port) = agent(control, &knock.face).await?;
    let Door { port, access } = door(control, &agent, port).await?;
    let right = match (&knock.shown, access) {
        (_, PortAccess::Public) => Right::Public,
        (shown, PortAccess::Private) => {
            let right = private(control, &agent, port, knock).await;
            if right
                .as_ref()
                .is_err_and(|failure| failure.code() == ErrorCode::Unauthenticated)
                && *shown != Shown::Nothing
            {
                slow_down(control, knock.address)?;
            }
            right?
        }
    };
    Ok(Way { agent, port, right })
}

/// Who shows what is worth nothing does not do so as often as they like.
pub(super) fn slow_down(control: &Control, address: IpAddr) -> Answer<()> {
    let (now, class) = (control.clock.now(), RateClass::SignIn);
    let allowance = control.limits.address(Some(address.to_canonical()), class, now);
    match allowance.and_then(|allowance| allowance.wait_seconds) {
        None => Ok(()),
        Some(wait) => Err(Failure::new(
            ErrorCode::RateLimited,
            format!("Too many attempts. Try again in {wait} seconds."),
        )),
    }
}

async fn private(control: &Control, agent: &Agent, port: u16, knock: &Knock) -> Answer<Right> {
    match &knock.shown {
        Shown::Nothing => Err(unknown(
            "This page is private. Sign in, or send an API token as `Authorization: Bearer TOKEN`.",
        )),
        Shown::Token(token) => {
            let caller = sign_in::by_token(control, &token.0).await?;
            member(
                agent,
                caller.ok_or_else(|| unknown("The token is not valid: it was mistyped or revoked."))?,
            )
        }
        Shown::Session(secret) => {
            let found = sign_in::by_session(control, &secret.0, false).await?;
            let (caller, _) = found.ok_or_else(|| unknown("The session has ended: sign in again."))?;
            member(agent, caller)
        }
        Shown::Access(secret) => {
            let org = control.store.org(agent.org);
            let host = knock.face.host();
            let found = org.access(agent.id, port, host, sign_in::hash(&secret.0)).await?;
            match found {
                Some(AccessBy::Link(_)) => Ok(Right::Link(secret.clone())),
                Some(AccessBy::Session(id)) => {
                    let caller = sign_in::by_credential(control, &Credential::Session(id)).await?;
                    member(
                        agent,
                        caller.ok_or_else(|| unknown("The session has ended: sign in again."))?,
                    )
                }
                None => Err(unknown("You were let in too long ago: sign in again.")),
            }
        }
    }
}

fn member(agent: &Agent, caller: Caller) -> Answer<Right> {
    can_come(&caller, agent)?;
    Ok(Right::Member {
        user: caller.user.to_string(),
        credential: caller.credential,
    })
}

impl Way {
    /// Whether what was right is so still. An error of the store says neither.
    pub(super) async fn holds(&self, control: &Control, face: &Face) -> Answer<()> {
        let (agent, port) = agent(control, face).await?;
        let door = door(control, &agent, port).await?;
        if door.port != self.port || agent.id != self.agent.id {
            return Err(Failure::not_found("The address leads elsewhere by now."));
        }
        match (&self.right, door.access) {
            (_, PortAccess::Public) => Ok(()),
            (Right::Public, PortAccess::Private) => Err(unknown("This page is private by now.")),
            (Right::Member { credential, .. }, _) => {
                let caller = sign_in::by_credential(control, credential).await?;
                can_come(
                    &caller.ok_or_else(|| unknown("Who came may do so no longer."))?,
                    &agent,
                )
            }
            (Right::Link(secret), _) => {
                let org = control.store.org(agent.org);
                let secret = sign_in::hash(&secret.0);
                let access = org.access(agent.id, self.port, face.host(), secret).await?;
                access.map(drop).ok_or_else(|| unknown("The share link is over."))
            }
        }
    }

    pub(super) fn user(&self) -> Option<String> {
        match &self.right {
            Right::Member { user, .. } => Some(user.clone()),
            Right::Public | Right::Link(_) => None,
        }
    }
}
