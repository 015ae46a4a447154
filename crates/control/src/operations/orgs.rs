//! What operators of the platform do to an org that need not be theirs. The org is told of all of it.

use std::sync::Arc;

use creel_api as api;
use creel_domain::{Actor, ActorKind, OrgId};
use creel_store::{Org, StoredOrg};

use crate::{
    Control,
    http::{auth::Caller, failure::Answer},
    operations::operators,
};

/// Agents nudged at a time.
const BATCH: u32 = 200;

fn shown(stored: StoredOrg) -> api::Org {
    api::Org {
        id: stored.id,
        name: stored.name,
        created_at: stored.created_at,
        suspended_at: stored.suspended_at,
        members: stored.members,
        agents: stored.agents,
    }
}

/// The one way for an operator into somebody else's org: what they must have shown is asked here, and whatever is
/// done through it is told in the org's trail as an operator's.
async fn entered(control: &Control, caller: &Caller, org: OrgId) -> Answer<Org> {
    operators::prove(control, caller).await?;
    let actor = Actor {
        kind: ActorKind::Operator,
        ..(*caller.actor).clone()
    };
    Ok(control.store.org(org).acting(Arc::new(actor)))
}

/// A page, newest first, and whether more follows.
pub(crate) async fn list(
    control: &Control,
    caller: &Caller,
    before: Option<OrgId>,
    limit: u32,
) -> Answer<(Vec<api::Org>, bool)> {
    operators::prove(control, caller).await?;
    let mut orgs = control.store.platform().list_orgs(before, limit + 1).await?;
    let more = orgs.len() > limit as usize;
    orgs.truncate(limit as usize);
    Ok((orgs.into_iter().map(shown).collect(), more))
}

pub(crate) async fn show(control: &Control, caller: &Caller, org: OrgId) -> Answer<api::Org> {
    Ok(shown(entered(control, caller, org).await?.show().await?))
}

pub(crate) async fn suspend(control: &Control, caller: &Caller, org: OrgId) -> Answer<()> {
    let org = entered(control, caller, org).await?;
    org.suspend().await?;
    nudge_all(control, &org, true).await
}

pub(crate) async fn resume(control: &Control, caller: &Caller, org: OrgId) -> Answer<()> {
    let org = entered(control, caller, org).await?;
    org.resume().await?;
    nudge_all(control, &org, false).await
}

/// Has each agent looked at, and with `cancel` its turns stopped.
async fn nudge_all(control: &Control, org: &Org, cancel: bool) -> Answer<()> {
    let mut before = None;
    loop {
        let page = org.agents(before, BATCH).await?;
        for agent in &page {
            control.nudges.nudge(agent.into());
            if cancel {
                control.turns.cancel_all(agent.id);
            }
        }
        before = page.last().map(|agent| agent.id);
        if page.len() < BATCH as usize {
            return Ok(());
        }
    }
}
