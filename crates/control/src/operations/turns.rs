//! Turns: begun, read, stopped; and what was said in a session.

use std::{sync::Arc, time::Duration};

use creel_api::{self as api, ErrorCode, Message, Role, Session, ToolCall, TurnState};
use creel_domain::{Act, Agent, AgentId, SessionName, ToolRecord, Turn, TurnEvent, TurnId, TurnStatus};
use creel_protocol::limits;
use creel_store::{Org, StoredTurn, TurnWord};
use tokio::time::timeout;

use super::once::once;
use crate::{
    Control,
    http::{
        auth::Caller,
        failure::{Answer, Failure},
        idempotency::Key,
    },
    turns::{Place, TurnLog, sum_up},
};

/// Whoever stops a turn waits so long for its end.
const CANCEL_WITHIN: Duration = Duration::from_secs(15);

/// Accepts a message. From here on it is answered, or its failure is shown. Under a key that was used before it is the
/// turn that was begun then.
pub(crate) async fn begin(
    control: &Arc<Control>,
    agent: &Agent,
    session: SessionName,
    message: String,
    key: Option<Key>,
) -> Answer<TurnId> {
    check_message(&message)?;
    let (this, agent) = (Arc::clone(control), agent.clone());
    let org = control.store.org(agent.org);
    // Whoever hangs up now does not leave a row that nobody works on.
    control
        .detached(async move {
            let make = async |org: Org| {
                this.check_wanted(&agent)?;
                let place = place(&this, &agent)?;
                let turn = org.begin_turn(agent.id, session, message).await?;
                let id = turn.id;
                this.turns.begin(&this, place, agent.org, turn);
                Ok(id)
            };
            // A turn that is on disk is taken up by whatever control there is.
            let again = async |_, made: String| made.parse().map_err(Failure::internal);
            once(org, key, make, again).await
        })
        .await
}

/// What an agent may be told.
pub(super) fn check_message(message: &str) -> Answer<()> {
    if message.is_empty() {
        return Err(Failure::invalid("`message` must not be empty."));
    }
    if message.len() > limits::MESSAGE_BYTES {
        return Err(Failure::new(
            ErrorCode::TooLarge,
            format!(
                "`message` must be at most {} bytes long; put longer texts into a file.",
                limits::MESSAGE_BYTES
            ),
        ));
    }
    Ok(())
}

pub(super) fn place(control: &Control, agent: &Agent) -> Answer<Place> {
    control.turns.reserve(agent.id).map_err(|_| {
        Failure::new(
            ErrorCode::Busy,
            format!(
                "Agent `{}` has {} turns under way, which is as many as it may have. Try again when one has ended.",
                agent.name,
                limits::TURNS
            ),
        )
    })
}

pub(crate) async fn finish(
    control: &Control,
    org: creel_domain::OrgId,
    turn: &Turn,
    status: TurnStatus,
    text: String,
    tools: Vec<ToolCall>,
) -> Answer<()> {
    let tools = tools.into_iter().map(|tool| ToolRecord {
        name: tool.name,
        arguments: tool.arguments,
        output: tool.output,
        ok: tool.ok,
    });
    let org = control.store.org(org);
    // Whether it was this call or an earlier one that ended it: it has ended.
    org.finish_turn(turn.id, status, text, tools.collect()).await?;
    Ok(())
}

pub(crate) async fn get(control: &Control, agent: &Agent, turn: TurnId) -> Answer<api::Turn> {
    let stored = stored(control, agent, turn).await?;
    Ok(shown(control, stored))
}

async fn stored(control: &Control, agent: &Agent, turn: TurnId) -> Answer<StoredTurn> {
    let found = control.store.org(agent.org).turn(agent.id, turn).await;
    found.map_err(|error| match error {
        creel_store::Error::NotFound(_) => {
            Failure::not_found(format!("Agent `{}` has no turn `{turn}`.", agent.name))
        }
        other => other.into(),
    })
}

fn shown(control: &Control, stored: StoredTurn) -> api::Turn {
    let (text, tools) = present(control, &stored);
    let turn = stored.turn;
    let (state, failure, finished_at) = match turn.status {
        TurnStatus::Running => (TurnState::Running, None, None),
        TurnStatus::Done { finished_at, .. } => (TurnState::Done, None, Some(finished_at)),
        TurnStatus::Failed { failure, finished_at } => (TurnState::Failed, Some(failure), Some(finished_at)),
        TurnStatus::Cancelled { finished_at } => (TurnState::Cancelled, None, Some(finished_at)),
    };
    api::Turn {
        id: turn.id,
        agent: turn.agent,
        session: turn.session,
        message: turn.message,
        state,
        text,
        tools,
        failure,
        created_at: turn.created_at,
        finished_at,
    }
}

/// What there is of the answer: of a turn under way, what was heard of it so far.
fn present(control: &Control, stored: &StoredTurn) -> (String, Vec<ToolCall>) {
    if stored.turn.status == TurnStatus::Running
        && let Some(live) = control.turns.get(stored.turn.id)
    {
        return sum_up(&live.log.present());
    }
    let tools = stored.tools.iter().cloned().map(|tool| ToolCall {
        name: tool.name,
        arguments: tool.arguments,
        output: tool.output,
        ok: tool.ok,
    });
    (stored.text.clone(), tools.collect())
}

/// Where a turn's events are read.
pub(crate) enum Log {
    /// Under way, or over for not long: as they were, as they come.
    Live(Arc<TurnLog>),
    /// Over: what the store kept.
    Past(Vec<TurnEvent>),
}

pub(crate) async fn log(control: &Control, agent: &Agent, turn: TurnId) -> Answer<Log> {
    let stored = stored(control, agent, turn).await?;
    if let Some(live) = control.turns.get(turn) {
        return Ok(Log::Live(Arc::clone(&live.log)));
    }
    // It ended between the two looks, if the first one saw it running.
    let stored = match stored.turn.status {
        TurnStatus::Running => self::stored(control, agent, turn).await?,
        _ => stored,
    };
    let mut events = vec![TurnEvent::Started];
    for (index, tool) in stored.tools.into_iter().enumerate() {
        let tool_id = index.to_string();
        events.push(TurnEvent::ToolStarted {
            tool_id: tool_id.clone(),
            name: tool.name,
            arguments: tool.arguments,
        });
        if let Some(output) = tool.output {
            let ok = tool.ok.unwrap_or(true);
            events.push(TurnEvent::ToolFinished { tool_id, ok, output });
        }
    }
    if !stored.text.is_empty() {
        events.push(TurnEvent::Text {
            delta: stored.text.clone(),
        });
    }
    events.push(match stored.turn.status {
        TurnStatus::Done { text, .. } => TurnEvent::Done { text },
        TurnStatus::Failed { failure, .. } => TurnEvent::Failed(failure),
        TurnStatus::Cancelled { .. } => TurnEvent::Cancelled,
        // Nobody works on it: another process is about to.
        TurnStatus::Running => {
            return Err(Failure::new(
                ErrorCode::Busy,
                "The turn is just being taken up again. Try again in a moment.",
            ));
        }
    });
    Ok(Log::Past(events))
}

/// A past turn for a reader who has heard `after` events of it, in whatever pieces they came: the whole
/// to one who has heard none, the whole anew to one who has heard some.
pub(crate) fn retold(events: Vec<TurnEvent>, after: u64) -> Vec<(u64, Arc<TurnEvent>)> {
    (after + 1..).zip(events.into_iter().map(Arc::new)).collect()
}

pub(crate) async fn cancel(control: &Control, caller: &Caller, agent: &Agent, turn: TurnId) -> Answer<()> {
    stored(control, agent, turn).await?;
    let act = Act::new("turn.stop").on("turn", turn).with("agent", &agent.name);
    caller.org(control).record(act).await?;
    if let Some(live) = control.turns.get(turn) {
        live.cancel();
        // Told only when it is on disk: a crash must not undo it.
        let _ = timeout(CANCEL_WITHIN, live.ended()).await;
    }
    Ok(())
}

/// A page of turns that stand so, newest first, and whether there are older ones.
pub(crate) async fn list(
    control: &Control,
    org: creel_domain::OrgId,
    state: TurnState,
    agent: Option<AgentId>,
    before: Option<TurnId>,
    limit: u32,
) -> Answer<(Vec<api::Turn>, bool)> {
    let word = match state {
        TurnState::Running => TurnWord::Running,
        TurnState::Done => TurnWord::Done,
        TurnState::Failed => TurnWord::Failed,
        TurnState::Cancelled => TurnWord::Cancelled,
    };
    let mut turns = control
        .store
        .org(org)
        .turns_in(word, agent, before, limit + 1)
        .await?;
    let more = turns.len() > limit as usize;
    turns.truncate(limit as usize);
    Ok((
        turns.into_iter().map(|stored| shown(control, stored)).collect(),
        more,
    ))
}

/// Says once more what came to nothing: a new turn in the same session.
pub(crate) async fn retry(
    control: &Arc<Control>,
    agent: &Agent,
    turn: TurnId,
    key: Option<Key>,
) -> Answer<TurnId> {
    let stored = stored(control, agent, turn).await?;
    if stored.turn.own_jobs {
        return Err(Failure::new(
            ErrorCode::Conflict,
            "These were jobs that the runtime had planned itself: it plans anew what came to nothing.",
        ));
    }
    match stored.turn.status {
        TurnStatus::Failed { .. } | TurnStatus::Cancelled { .. } => {
            begin(control, agent, stored.turn.session, stored.turn.message, key).await
        }
        TurnStatus::Running => Err(Failure::new(
            ErrorCode::Conflict,
            "The turn is still under way: stop it first, or wait for its end.",
        )),
        TurnStatus::Done { .. } => Err(Failure::new(
            ErrorCode::Conflict,
            "The turn has its answer: to ask again, send the message again.",
        )),
    }
}

/// Takes what came to nothing off the list of those.
pub(crate) async fn drop_failed(
    control: &Control,
    caller: &Caller,
    agent: &Agent,
    turn: TurnId,
) -> Answer<()> {
    let stored = stored(control, agent, turn).await?;
    if caller.org(control).drop_turn(agent.id, turn).await? {
        return Ok(());
    }
    let why = match stored.turn.status {
        TurnStatus::Running => "The turn is still under way: stop it first, or wait for its end.",
        _ => "The turn has its answer: there is nothing to be dropped.",
    };
    Err(Failure::new(ErrorCode::Conflict, why))
}

pub(crate) async fn sessions(control: &Control, agent: &Agent) -> Answer<Vec<Session>> {
    let rows = control.store.org(agent.org).sessions(agent.id).await?;
    let shown = |row: creel_store::SessionRow| Session {
        name: row.session,
        turns: row.turns,
        last_at: row.last_at,
    };
    Ok(rows.into_iter().map(shown).collect())
}

/// Both sides of a page of turns, oldest first, and whether there are older ones.
pub(crate) async fn messages(
    control: &Control,
    agent: &Agent,
    session: SessionName,
    before: Option<TurnId>,
    limit: u32,
) -> Answer<(Vec<Message>, bool)> {
    let org = control.store.org(agent.org);
    let mut turns = org.turns(agent.id, session, before, limit + 1).await?;
    let more = turns.len() > limit as usize;
    turns.truncate(limit as usize);
    let mut messages = Vec::with_capacity(turns.len() * 2);
    for stored in turns.into_iter().rev() {
        let turn = shown(control, stored);
        messages.push(Message {
            turn: turn.id,
            role: Role::User,
            text: turn.message,
            tools: Vec::new(),
            state: None,
            failure: None,
            at: turn.created_at,
        });
        messages.push(Message {
            turn: turn.id,
            role: Role::Agent,
            text: turn.text,
            tools: turn.tools,
            state: Some(turn.state),
            failure: turn.failure,
            at: turn.finished_at.unwrap_or(turn.created_at),
        });
    }
    Ok((messages, more))
}
