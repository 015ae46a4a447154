//! Agents: made, changed, deleted; and what the reconciler writes about them.

use std::sync::Arc;

use creel_api::{self as api, CreateAgent, ErrorCode, HoldAgent, PatchAgent};
use creel_domain::{
    Agent, AgentId, AgentSpec, AgentState, Generation, Intent, Limits, ModelName, OrgId, ProviderKind, Rest,
    Runtime,
};
use creel_store::{AgentChange, NewAgent, Org, Unchanged};
use jiff::{SignedDuration, Timestamp};

use super::once::once;
use crate::{
    Control, Who,
    http::{
        auth::Caller,
        failure::{Answer, Failure, sentence},
        idempotency::Key,
    },
};

/// Which revision a change is meant for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Revision {
    Any,
    Exactly(Generation),
}

/// The agent as the API shows it.
pub(crate) fn shown(control: &Control, agent: &Agent) -> api::Agent {
    api::Agent {
        id: agent.id,
        name: agent.name.clone(),
        runtime: agent.spec.runtime,
        model: agent.spec.model.clone(),
        files: agent.spec.files.clone(),
        limits: agent.spec.limits,
        rest: agent.spec.rest,
        intent: agent.intent,
        status: control.state(agent),
        revision: agent.revision,
        created_at: agent.created_at,
        changed_at: agent.changed_at,
        runtime_wake_at: agent.runtime_wake_at,
        held_until: agent.held_until.filter(|until| *until > control.clock.now()),
    }
}

/// A page, newest first, and whether more follows.
pub(crate) async fn list(
    control: &Control,
    org: OrgId,
    before: Option<AgentId>,
    limit: u32,
) -> Answer<(Vec<Agent>, bool)> {
    let mut agents = control.store.org(org).agents(before, limit + 1).await?;
    let more = agents.len() > limit as usize;
    agents.truncate(limit as usize);
    Ok((agents, more))
}

pub(crate) async fn create(
    control: &Arc<Control>,
    caller: &Caller,
    create: CreateAgent,
    key: Option<Key>,
) -> Answer<Agent> {
    let runtime = create.runtime.unwrap_or(Runtime::Openclaw);
    let model = create.model.unwrap_or_else(ModelName::demo);
    let spec = AgentSpec {
        runtime,
        model,
        files: create.files,
        limits: create.limits.apply(Limits::default_for(runtime)),
        rest: create.rest.apply(Rest::default()),
    };
    check(control, caller.org, &spec).await?;
    let name = create.name;
    let org = caller.org(control);
    let agent = control
        .detached(async move {
            let make = async |org: Org| Ok(org.create_agent(NewAgent { name, spec }).await?);
            let again = async |org: Org, made: String| {
                let id = made.parse().map_err(Failure::internal)?;
                Ok(org.agent(id).await?)
            };
            once(org, key, make, again).await
        })
        .await?;
    control.add_owner(&agent);
    control.nudges.nudge((&agent).into());
    // It may have got one.
    control.spares.nudge();
    Ok(agent)
}

/// What a specification must fulfil, whoever wrote it.
async fn check(control: &Control, org: OrgId, spec: &AgentSpec) -> Answer<()> {
    spec.files
        .check()
        .map_err(|error| Failure::invalid(sentence(&error.to_string())))?;
    spec.limits
        .check(spec.runtime)
        .map_err(|error| Failure::invalid(format!("`limits`: {error}.")))?;
    spec.rest
        .check()
        .map_err(|error| Failure::invalid(format!("`rest`: {error}.")))?;
    check_model(control, org, &spec.model).await
}

async fn check_model(control: &Control, org: OrgId, model: &ModelName) -> Answer<()> {
    let name = model.provider();
    if name.as_str() == ProviderKind::Demo.as_str() {
        return Ok(());
    }
    let mut all = control.store.org(org).providers().await?;
    all.extend(control.store.platform().platform_providers().await?);
    if all.iter().any(|provider| provider.name == *name) {
        return Ok(());
    }
    Err(Failure::new(
        ErrorCode::ProviderNotFound,
        format!(
            "There is no provider `{name}` for the model `{model}`. Add it with `creel provider add {name}`."
        ),
    ))
}

pub(crate) async fn patch(
    control: &Arc<Control>,
    caller: &Caller,
    agent: &str,
    revision: Revision,
    patch: PatchAgent,
) -> Answer<Agent> {
    if patch.intent == Some(Intent::Delete) {
        return Err(Failure::invalid(
            "`intent` may be `run`, `sleep` or `stop`; to delete an agent, use `DELETE`.",
        ));
    }
    let agent = control.agent(caller.org, agent).await?;
    let expected = match revision {
        Revision::Exactly(revision) if revision != agent.revision => {
            return Err(mismatch(agent.revision));
        }
        // What is changed is what was read: another change in between is not overwritten by this one.
        Revision::Exactly(_) | Revision::Any => Unchanged::Revision(agent.revision),
    };
    let mut spec = agent.spec.clone();
    if let Some(model) = patch.model {
        spec.model = model;
    }
    if let Some(files) = patch.files {
        spec.files = files;
    }
    if let Some(limits) = patch.limits {
        spec.limits = limits.apply(spec.limits);
    }
    if let Some(rest) = patch.rest {
        spec.rest = rest.apply(spec.rest);
    }
    if patch.intent == Some(Intent::Run) {
        control.activity.touch(agent.id);
    }
    check(control, caller.org, &spec).await?;
    if patch.intent == Some(Intent::Sleep) && agent.intent == Intent::Run {
        // It is told to sleep whatever it has planned; for when, is known then.
        let _ = crate::rest::own_jobs::before_rest(control, &agent).await;
    }
    let change = AgentChange {
        spec: Some(spec),
        intent: patch.intent,
        renew: false,
    };
    change_agent(control, caller.org(control), &agent, Some(expected), change).await
}

fn mismatch(current: Generation) -> Failure {
    Failure::new(
        ErrorCode::RevisionMismatch,
        format!(
            "The agent was changed in the meantime: it is now at revision {}. Read it again, then repeat the change.",
            current.0
        ),
    )
}

pub(crate) async fn delete(control: &Arc<Control>, caller: &Caller, agent: &str) -> Answer<()> {
    let agent = control.agent(caller.org, agent).await?;
    let change = AgentChange {
        intent: Some(Intent::Delete),
        ..AgentChange::default()
    };
    change_agent(control, caller.org(control), &agent, None, change).await?;
    control.turns.cancel_all(agent.id);
    Ok(())
}

pub(crate) async fn restart(control: &Arc<Control>, caller: &Caller, agent: &str) -> Answer<()> {
    let agent = control.agent(caller.org, agent).await?;
    control.check_wanted(&agent)?;
    let change = AgentChange {
        renew: true,
        ..AgentChange::default()
    };
    change_agent(control, caller.org(control), &agent, None, change).await?;
    Ok(())
}

/// Keeps an agent awake for so long; wakes one that sleeps.
pub(crate) async fn hold(
    control: &Arc<Control>,
    caller: &Caller,
    agent: &str,
    hold: HoldAgent,
) -> Answer<Agent> {
    let longest = HoldAgent::LONGEST_SECONDS;
    if !(1..=longest).contains(&hold.seconds) {
        return Err(Failure::invalid(format!("`seconds` must be 1 to {longest}.")));
    }
    let mut agent = control.agent(caller.org, agent).await?;
    control.check_wanted(&agent)?;
    let until = control
        .clock
        .now()
        .checked_add(SignedDuration::from_secs(hold.seconds.into()));
    let until = until.map_err(Failure::internal)?;
    // It does not fall asleep between its wake and its row.
    let _needed = control.activity.begin(agent.id);
    control.awake(&mut agent).await?;
    held(control, caller, &agent, Some(until)).await
}

/// Keeps an agent awake no longer.
pub(crate) async fn release(control: &Arc<Control>, caller: &Caller, agent: &str) -> Answer<Agent> {
    let agent = control.agent(caller.org, agent).await?;
    held(control, caller, &agent, None).await
}

async fn held(
    control: &Arc<Control>,
    caller: &Caller,
    agent: &Agent,
    until: Option<Timestamp>,
) -> Answer<Agent> {
    let held = caller.org(control).hold_agent(agent.id, until).await;
    let held = held.map_err(|error| changed_meanwhile(error, agent))?;
    control.nudges.nudge(agent.into());
    Ok(held)
}

async fn change_agent(
    control: &Arc<Control>,
    org: Org,
    agent: &Agent,
    expected: Option<Unchanged>,
    change: AgentChange,
) -> Answer<Agent> {
    let changed = org.change_agent(agent.id, expected, change).await;
    let changed = changed.map_err(|error| changed_meanwhile(error, agent))?;
    control.nudges.nudge(agent.into());
    Ok(changed)
}

fn changed_meanwhile(error: creel_store::Error, agent: &Agent) -> Failure {
    match error {
        creel_store::Error::RevisionMismatch { current } => mismatch(current),
        creel_store::Error::Deleting => Failure::new(
            ErrorCode::Conflict,
            format!("Agent `{}` is being deleted.", agent.name),
        ),
        other => other.into(),
    }
}

// ---- for the reconciler

pub(crate) async fn all(control: &Control) -> Answer<Vec<Agent>> {
    Ok(control.store.platform().all_agents().await?)
}

/// None: it was deleted.
pub(crate) async fn fresh(control: &Control, who: Who) -> Answer<Option<Agent>> {
    match control.store.org(who.org).agent(who.agent).await {
        Ok(agent) => Ok(Some(agent)),
        Err(creel_store::Error::NotFound(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Raises the incarnation, unless somebody else changed the agent meanwhile.
pub(crate) async fn rebuild(control: &Arc<Control>, agent: &Agent) -> Answer<()> {
    let change = AgentChange {
        renew: true,
        ..AgentChange::default()
    };
    let org = control.store.org(agent.org);
    let seen = Unchanged::Generation(agent.generation);
    change_agent(control, org, agent, Some(seen), change).await?;
    Ok(())
}

pub(crate) async fn forget(control: &Control, agent: &Agent) -> Answer<()> {
    Ok(control.store.org(agent.org).forget_agent(agent.id).await?)
}

/// Appends where an agent stands to the org's log.
pub(crate) async fn tell_state(control: &Control, agent: &Agent, state: &AgentState) -> Answer<()> {
    let data = serde_json::to_value(state).map_err(Failure::internal)?;
    let org = control.store.org(agent.org);
    Ok(org
        .append_event("agent.state", agent.id.to_string(), data)
        .await?)
}
