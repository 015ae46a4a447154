//! What every part of control shares.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use creel_api::{ErrorCode, SignUpMode};
use creel_daemon::{Clock, Shutdown};
use creel_domain::{Agent, AgentId, AgentState, Deadlines, Name, OrgId, SandboxId};
use creel_models::Models;
use creel_protocol::{Bridges, Supervisor};
use creel_store::Store;

use crate::{
    OrgVaults, PublicUrl,
    acme::Acme,
    domains::Domains,
    edge::AgentUrls,
    http::failure::{Answer, Failure},
    issuers::Issuers,
    limits::Limits,
    mail::Mailer,
    passwords::Passwords,
    reconcile::{Looker, Nudges, Told},
    refusals::Refusals,
    rest::{Activity, Wakes},
    sightings::Sightings,
    signing::Signing,
    spares::Spares,
    sso::Sso,
    turns::Turns,
    uplink::Ledger,
};

pub(crate) struct Control {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) supervisor: Arc<dyn Supervisor>,
    pub(crate) bridges: Arc<dyn Bridges>,
    pub(crate) deadlines: Deadlines,
    pub(crate) shutdown: Shutdown,
    pub(crate) sightings: Arc<Sightings>,
    pub(crate) activity: Arc<Activity>,
    /// People at the pages of their agents' runtimes.
    pub(crate) visits: Arc<Activity>,
    pub(crate) wakes: Wakes,
    pub(crate) looker: Looker,
    pub(crate) nudges: Nudges,
    pub(crate) told: Told,
    pub(crate) turns: Arc<Turns>,
    pub(crate) models: Models,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) passwords: Passwords,
    pub(crate) mailer: Mailer,
    pub(crate) public_url: PublicUrl,
    pub(crate) agent_urls: AgentUrls,
    pub(crate) domains: Domains,
    /// None: certificates come from files, or there are none.
    pub(crate) acme: Option<Acme>,
    pub(crate) sign_up: SignUpMode,
    pub(crate) signing: Signing,
    pub(crate) issuers: Issuers,
    pub(crate) sso: Sso,
    pub(crate) limits: Limits,
    pub(crate) refusals: Refusals,
    pub(crate) spares: Spares,
    /// The scheduler has something new to look at.
    pub(crate) schedules_nudge: tokio::sync::Notify,
    /// Something about keys is to be done.
    pub(crate) keys_nudge: tokio::sync::Notify,
    /// How orgs' own Vaults are reached.
    pub(crate) vaults: Arc<OrgVaults>,
    /// Older entries of audit trails are removed; none: they are kept.
    pub(crate) audit_retention_days: Option<u32>,
    /// Whose sandbox is whose, so that a report finds its agent.
    pub(crate) owners: Mutex<HashMap<SandboxId, Who>>,
}

/// An agent, and the org through which its row is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Who {
    pub(crate) org: OrgId,
    pub(crate) agent: AgentId,
}

impl From<&Agent> for Who {
    fn from(agent: &Agent) -> Self {
        Self {
            org: agent.org,
            agent: agent.id,
        }
    }
}

impl Control {
    /// An agent of the org, by its id or its name.
    pub(crate) async fn agent(&self, org: OrgId, text: &str) -> Answer<Agent> {
        let missing = || {
            let shown: String = text.chars().take(60).collect();
            Failure::not_found(format!(
                "There is no agent `{shown}`: `creel agent ls` shows those that there are."
            ))
        };
        let org = self.store.org(org);
        let found = if let Ok(id) = text.parse::<AgentId>() {
            org.agent(id).await
        } else if let Ok(name) = text.parse::<Name>() {
            org.agent_by_name(name).await
        } else {
            return Err(missing());
        };
        found.map_err(|error| match error {
            creel_store::Error::NotFound(_) => missing(),
            other => other.into(),
        })
    }

    pub(crate) fn state(&self, agent: &Agent) -> AgentState {
        self.sightings.state(agent, &self.deadlines, self.clock.now())
    }

    pub(crate) fn not_ready(&self, agent: &Agent) -> Failure {
        let why = match self.state(agent) {
            AgentState::Starting { waiting, .. } => format!("is still starting ({waiting})"),
            AgentState::Faulted { reason, .. } => format!("does not come up: {reason}"),
            state => format!("is {}", state.as_str()),
        };
        Failure::new(
            ErrorCode::AgentNotReady,
            format!("Agent `{}` {why}. Try again in a moment.", agent.name),
        )
    }

    /// Runs work to its end even when whoever asked for it hangs up.
    pub(crate) async fn detached<T: Send + 'static>(
        &self,
        work: impl Future<Output = Answer<T>> + Send + 'static,
    ) -> Answer<T> {
        match tokio::spawn(work).await {
            Ok(answer) => answer,
            Err(error) => Err(Failure::internal(error)),
        }
    }

    pub(crate) fn owner(&self, sandbox: SandboxId) -> Option<Who> {
        self.owners().get(&sandbox).copied()
    }

    pub(crate) fn owned(&self) -> usize {
        self.owners().len()
    }

    pub(crate) fn add_owner(&self, agent: &Agent) {
        self.owners().insert(agent.sandbox, agent.into());
    }

    pub(crate) fn remove_owner(&self, sandbox: SandboxId) {
        self.owners().remove(&sandbox);
    }

    pub(crate) fn set_owners(&self, agents: &[Agent]) {
        let mut owners = self.owners();
        owners.clear();
        owners.extend(agents.iter().map(|agent| (agent.sandbox, agent.into())));
    }

    fn owners(&self) -> MutexGuard<'_, HashMap<SandboxId, Who>> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
