//! Waiting until an agent is where it should be, while showing where it is.

use std::time::{Duration, Instant};

use creel_api::{Agent, client::Error as ApiError};
use creel_domain::{AgentState, Intent};

use super::state_sentence;
use crate::{
    context::Context,
    failure::{Failure, Result},
    out::progress::Progress,
};

/// Between two looks: short at first, because a `lite` agent runs within milliseconds.
const FIRST_LOOK: Duration = Duration::from_millis(20);
const LAST_LOOK: Duration = Duration::from_millis(500);
/// An image may have to be built first; that takes minutes.
const RUNNING_TIMEOUT: Duration = Duration::from_secs(30 * 60);
const STOPPED_TIMEOUT: Duration = Duration::from_secs(2 * 60);
/// Attempts after which waiting longer is unlikely to help.
const PATIENCE_ATTEMPTS: u32 = 3;

pub(super) async fn until_running(context: &Context, agent: &str) -> Result<Agent> {
    until(context, agent, RUNNING_TIMEOUT, |agent| match &agent.status {
        AgentState::Running { .. } => Some(Ok(())),
        AgentState::Faulted { reason, attempts, .. } if *attempts >= PATIENCE_ATTEMPTS => Some(Err(format!(
            "{} does not come up: {reason}. See: creel logs {}",
            agent.name, agent.name
        ))),
        AgentState::Stopped { .. } | AgentState::Stopping { .. } | AgentState::Deleting { .. } => {
            Some(Err(format!("{} was stopped by somebody else", agent.name)))
        }
        _ => None,
    })
    .await
}

pub(super) async fn until_stopped(context: &Context, agent: &str) -> Result<Agent> {
    until(context, agent, STOPPED_TIMEOUT, |agent| {
        matches!(agent.status, AgentState::Stopped { .. }).then_some(Ok(()))
    })
    .await
}

pub(super) async fn until_asleep(context: &Context, agent: &str) -> Result<Agent> {
    until(context, agent, STOPPED_TIMEOUT, |agent| match &agent.status {
        AgentState::Asleep { .. } => Some(Ok(())),
        AgentState::Running { .. } if agent.intent == Intent::Run => {
            Some(Err(format!("{} was woken by somebody else", agent.name)))
        }
        _ => None,
    })
    .await
}

/// Until there is no such agent any more.
pub(super) async fn until_gone(context: &Context, agent: &str) -> Result<()> {
    match until(context, agent, STOPPED_TIMEOUT, |_| None).await {
        Err(Failure::Api(error)) if error.code() == Some(creel_api::ErrorCode::NotFound) => Ok(()),
        other => other.map(drop),
    }
}

async fn until(
    context: &Context,
    agent: &str,
    timeout: Duration,
    verdict: impl Fn(&Agent) -> Option<std::result::Result<(), String>>,
) -> Result<Agent> {
    let mut progress = Progress::new(context.out.json);
    let (began, mut pause) = (Instant::now(), FIRST_LOOK);
    loop {
        let seen = match context.client.agent(agent).await {
            // A restart of the server does not end the wait.
            Err(error @ (ApiError::Unreachable { .. } | ApiError::Transport { .. }))
                if began.elapsed() < timeout =>
            {
                progress.say(&error.to_string());
                tokio::time::sleep(LAST_LOOK).await;
                continue;
            }
            answer => answer?,
        };
        let sentence = state_sentence(&seen.status);
        match verdict(&seen) {
            Some(Ok(())) => return Ok(seen),
            Some(Err(reason)) => return Err(Failure::sentence(reason)),
            None if began.elapsed() > timeout => {
                return Err(Failure::sentence(format!(
                    "{} is still {sentence} after {} minutes. See: creel logs {}",
                    seen.name,
                    timeout.as_secs() / 60,
                    seen.name
                )));
            }
            None => {}
        }
        // What is over within a blink needs no words.
        if began.elapsed() > Duration::from_millis(300) {
            progress.say(&format!("{}: {sentence}", seen.name));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(LAST_LOOK);
    }
}
