//! Domains of an agent's owner that lead to the agent.

use creel_api::{self as api, DomainStatus, PutDomain};
use creel_domain::{Agent, DomainName, DomainState};
use creel_protocol::is_public_port;
use creel_store::StoredDomain;

use super::sign_in;
use crate::{
    Control, domains,
    http::{
        auth::Caller,
        failure::{Answer, Failure},
    },
};

/// Before the random part of what an owner puts into DNS, so that they know later whose it is.
const TOKEN_PREFIX: &str = "creel-verify=";

fn missing(name: &str) -> Failure {
    let name: String = name.chars().take(DomainName::MAX_BYTES).collect();
    Failure::not_found(format!(
        "There is no domain `{name}` of this agent: `creel domain ls` shows those that there are."
    ))
}

async fn shown(control: &Control, label: &str, stored: StoredDomain) -> Answer<api::Domain> {
    let certificate = match stored.course.state.is_verified() {
        true => {
            control
                .store
                .platform()
                .certificate_state(stored.name.as_str())
                .await?
        }
        false => None,
    };
    let state = stored.course.state;
    let proof = api::DnsRecord {
        kind: "TXT".to_owned(),
        name: domains::place(&stored.name),
        value: stored.token,
    };
    let (kind, value) = control.agent_urls.points_to(label);
    let pointer = api::DnsRecord {
        kind: kind.to_owned(),
        name: stored.name.to_string(),
        value,
    };
    Ok(api::Domain {
        url: control.agent_urls.of_domain(&stored.name),
        name: stored.name,
        agent: stored.agent,
        agent_name: stored.agent_name,
        port: stored.port,
        state: match state {
            DomainState::Pending { .. } => DomainStatus::Pending,
            DomainState::Verified { .. } => DomainStatus::Verified,
            DomainState::Failed { .. } => DomainStatus::Failed,
        },
        since: state.since(),
        failing_since: state.failing_since(),
        seen: stored.seen,
        checked_at: stored.checked_at,
        next_check_at: stored.course.next_check_at,
        records: vec![proof, pointer],
        certificate: certificate.map(|state| api::DomainCertificate {
            not_after: state.not_after,
            problem: state.problem,
        }),
        created_at: stored.created_at,
    })
}

async fn one(control: &Control, caller: &Caller, stored: StoredDomain) -> Answer<api::Domain> {
    let label = control.store.org(caller.org).label(stored.agent).await?;
    shown(control, &label, stored).await
}

/// A domain of the agent's.
async fn find(control: &Control, caller: &Caller, agent: &str, name: &str) -> Answer<(Agent, StoredDomain)> {
    let agent = control.agent(caller.org, agent).await?;
    let parsed: DomainName = name.parse().map_err(|_| missing(name))?;
    match control.store.org(caller.org).domain(parsed).await {
        Ok(stored) if stored.agent == agent.id => Ok((agent, stored)),
        Ok(_) | Err(creel_store::Error::NotFound(_)) => Err(missing(name)),
        Err(error) => Err(error.into()),
    }
}

/// Of one agent, or of all of the org's.
pub(crate) async fn list(
    control: &Control,
    caller: &Caller,
    agent: Option<&str>,
) -> Answer<Vec<api::Domain>> {
    let agent = match agent {
        Some(agent) => Some(control.agent(caller.org, agent).await?.id),
        None => None,
    };
    let org = control.store.org(caller.org);
    let mut domains = Vec::new();
    let mut labels = std::collections::HashMap::new();
    for stored in org.domains(agent).await? {
        if let std::collections::hash_map::Entry::Vacant(label) = labels.entry(stored.agent) {
            label.insert(org.label(stored.agent).await?);
        }
        let label = labels.get(&stored.agent).map_or("", String::as_str);
        domains.push(shown(control, label, stored).await?);
    }
    Ok(domains)
}

pub(crate) async fn get(control: &Control, caller: &Caller, agent: &str, name: &str) -> Answer<api::Domain> {
    let (_, stored) = find(control, caller, agent, name).await?;
    one(control, caller, stored).await
}

pub(crate) async fn put(
    control: &Control,
    caller: &Caller,
    agent: &str,
    name: &str,
    how: PutDomain,
) -> Answer<api::Domain> {
    let agent = control.agent(caller.org, agent).await?;
    let name: DomainName = name
        .parse()
        .map_err(|bad: creel_domain::BadDomainName| Failure::invalid(format!("{bad}.")))?;
    if let Some(refusal) = domains::refusal(&name, &control.agent_urls.names()) {
        return Err(Failure::invalid(refusal));
    }
    if let Some(port) = how.port
        && !is_public_port(port)
    {
        return Err(Failure::invalid(format!(
            "Port {port} is the bridge's own or none: name one on which a program of the agent's listens."
        )));
    }
    let token = sign_in::secret(TOKEN_PREFIX)?;
    let stored = caller
        .org(control)
        .put_domain(agent.id, name, how.port, token)
        .await?;
    control.domains.nudge.notify_one();
    one(control, caller, stored).await
}

/// Looks the proof up now.
pub(crate) async fn verify(
    control: &Control,
    caller: &Caller,
    agent: &str,
    name: &str,
) -> Answer<api::Domain> {
    let (_, stored) = find(control, caller, agent, name).await?;
    let checked = domains::check(control, caller.org(control), stored).await?;
    one(control, caller, checked).await
}

pub(crate) async fn remove(control: &Control, caller: &Caller, agent: &str, name: &str) -> Answer<()> {
    let (agent, stored) = find(control, caller, agent, name).await?;
    let removed = caller.org(control).remove_domain(agent.id, stored.name).await;
    removed.map_err(|error| match error {
        creel_store::Error::NotFound(_) => missing(name),
        other => other.into(),
    })
}
