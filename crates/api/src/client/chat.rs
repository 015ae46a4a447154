//! Talking to an agent: a turn as a stream that survives lost connections, or as its end.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use creel_domain::{TurnEvent, TurnId};
use futures_util::{Stream, StreamExt, stream::BoxStream};
use reqwest::{Method, RequestBuilder, Response, header};

use super::{Client, Error, accept, body, stream};
use crate::{ChatRequest, IDEMPOTENCY_KEY, MessageList, SessionList, Turn, TurnList, TurnState};

/// How long a caller waits for the end of a turn in one request.
const TURN_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// An event and its place in its stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Numbered<T> {
    pub number: u64,
    pub event: T,
}

/// The events of one turn. After the last one, or an error, there is nothing more.
pub struct TurnStream {
    /// Which turn this is.
    pub turn: TurnId,
    events: BoxStream<'static, Result<Numbered<TurnEvent>, Error>>,
}

impl Stream for TurnStream {
    type Item = Result<Numbered<TurnEvent>, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.events.poll_next_unpin(context)
    }
}

impl Client {
    /// Says something and gives what comes of it as it comes. One whose answer was lost is said again under the same key:
    /// it is one turn.
    pub async fn chat(&self, agent: &str, request: &ChatRequest) -> Result<TurnStream, Error> {
        let key = uuid::Uuid::now_v7().to_string();
        let say = || {
            let post = self.request(Method::POST, &["v1", "agents", agent, "chat"], &[]);
            let post = post.header(IDEMPOTENCY_KEY, &key);
            self.send(body(accept(post, "text/event-stream"), request))
        };
        let response = match say().await {
            Err(Error::Transport { .. }) => say().await?,
            answer => answer?,
        };
        let turn = turn_of(&response).ok_or_else(|| Error::NotCreel {
            status: response.status().as_u16(),
            body: "the answer names no turn".to_owned(),
        })?;
        Ok(self.turn_stream(agent, turn, 0, Some(response)))
    }

    /// Says something and gives the turn when it has ended.
    pub async fn chat_to_end(&self, agent: &str, request: &ChatRequest) -> Result<Turn, Error> {
        let post = self.request(Method::POST, &["v1", "agents", agent, "chat"], &[]);
        self.json_within(body(json(post), request), TURN_TIMEOUT).await
    }

    /// Says something under a key of the caller's and gives the turn as it begins.
    pub async fn begin_chat(&self, agent: &str, request: &ChatRequest, key: &str) -> Result<Turn, Error> {
        let post = self.request(Method::POST, &["v1", "agents", agent, "chat"], &[]);
        let post = post
            .header(IDEMPOTENCY_KEY, key)
            .header("prefer", "respond-async");
        self.json(body(json(post), request)).await
    }

    /// Turns of the org that stand so, newest first; the page after `cursor`.
    pub async fn turns(
        &self,
        state: TurnState,
        agent: Option<&str>,
        cursor: Option<&str>,
    ) -> Result<TurnList, Error> {
        let state = serde_json::to_value(state).unwrap_or_default();
        let mut query = vec![("state", state.as_str().unwrap_or_default().to_owned())];
        query.extend(agent.map(|agent| ("agent", agent.to_owned())));
        query.extend(cursor.map(|cursor| ("cursor", cursor.to_owned())));
        self.json(self.request(Method::GET, &["v1", "turns"], &query))
            .await
    }

    /// Says once more what failed or was stopped; the new turn as it begins.
    /// Takes what came to nothing off the list.
    pub async fn drop_turn(&self, agent: &str, turn: TurnId) -> Result<(), Error> {
        let turn = turn.to_string();
        let segments = ["v1", "agents", agent, "turns", &turn, "drop"];
        self.done(self.request(Method::POST, &segments, &[])).await
    }

    pub async fn retry_turn(&self, agent: &str, turn: TurnId) -> Result<Turn, Error> {
        let turn = turn.to_string();
        let segments = ["v1", "agents", agent, "turns", &turn, "retry"];
        self.json(self.request(Method::POST, &segments, &[])).await
    }

    /// The turn as it stands.
    pub async fn turn(&self, agent: &str, turn: TurnId) -> Result<Turn, Error> {
        self.json(json(self.get(&[
            "v1",
            "agents",
            agent,
            "turns",
            &turn.to_string(),
        ])))
        .await
    }

    /// The turn's events after number `after`.
    pub fn turn_events(&self, agent: &str, turn: TurnId, after: u64) -> TurnStream {
        self.turn_stream(agent, turn, after, None)
    }

    /// Stops it; one that has ended is no error.
    pub async fn cancel_turn(&self, agent: &str, turn: TurnId) -> Result<(), Error> {
        let turn = turn.to_string();
        self.done(self.request(Method::DELETE, &["v1", "agents", agent, "turns", &turn], &[]))
            .await
    }

    pub async fn sessions(&self, agent: &str) -> Result<SessionList, Error> {
        self.json(self.get(&["v1", "agents", agent, "sessions"])).await
    }

    /// The newest page, or the one before `cursor`.
    pub async fn messages(
        &self,
        agent: &str,
        session: &str,
        cursor: Option<&str>,
    ) -> Result<MessageList, Error> {
        let query: Vec<_> = cursor
            .map(|cursor| ("cursor", cursor.to_owned()))
            .into_iter()
            .collect();
        let segments = ["v1", "agents", agent, "sessions", session, "messages"];
        self.json(self.request(Method::GET, &segments, &query)).await
    }

    fn turn_stream(&self, agent: &str, turn: TurnId, after: u64, first: Option<Response>) -> TurnStream {
        let (client, agent) = (self.clone(), agent.to_owned());
        let connect: stream::Connect = Box::new(move |last_id| {
            let (client, agent) = (client.clone(), agent.clone());
            Box::pin(async move {
                let segments = ["v1", "agents", &agent, "turns", &turn.to_string()];
                let request = accept(client.get(&segments), "text/event-stream");
                client.send(request.header("last-event-id", last_id)).await
            })
        });
        let url = self.url().to_owned();
        let events = stream::resuming(url.clone(), first, after, connect, |data| {
            serde_json::from_str::<TurnEvent>(data).is_ok_and(|event| event.is_last())
        });
        let events = events.map(move |event| {
            let event = event?;
            let number = event.id.unwrap_or_default();
            serde_json::from_str(&event.data)
                .map(|event| Numbered { number, event })
                .map_err(|source| Error::Unreadable {
                    url: url.clone(),
                    source,
                })
        });
        TurnStream {
            turn,
            events: events.boxed(),
        }
    }
}

fn json(request: RequestBuilder) -> RequestBuilder {
    accept(request, "application/json")
}

/// The turn that an answer's `Location` names.
fn turn_of(response: &Response) -> Option<TurnId> {
    let location = response.headers().get(header::LOCATION)?.to_str().ok()?;
    location.rsplit('/').next()?.parse().ok()
}
