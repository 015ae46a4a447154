//! Server-sent events: numbered, with comments while nothing happens.

use std::{convert::Infallible, time::Duration};

use axum::response::{
    IntoResponse, Response,
    sse::{Event, KeepAlive, Sse},
};
use futures_util::{Stream, StreamExt};
use serde::Serialize;

/// A silent connection is told so often that it is alive; proxies cut silent ones.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// One event of a stream: its id, its name, its data.
pub(crate) struct Sent<T> {
    pub(crate) id: Option<u64>,
    pub(crate) name: &'static str,
    pub(crate) data: T,
}

pub(crate) fn respond<T: Serialize + Send + 'static>(
    events: impl Stream<Item = Sent<T>> + Send + 'static,
) -> Response {
    let events = events.map(|sent| {
        let mut event = Event::default().event(sent.name);
        if let Some(id) = sent.id {
            event = event.id(id.to_string());
        }
        // Our own types always serialise; an empty event would be a gap that nobody sees.
        let data = serde_json::to_string(&sent.data).unwrap_or_else(|_| "null".to_owned());
        Ok::<_, Infallible>(event.data(data))
    });
    let mut response = Sse::new(events)
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE).text("still here"))
        .into_response();
    // Proxies such as nginx hold back answers unless told otherwise.
    response
        .headers_mut()
        .insert("x-accel-buffering", axum::http::HeaderValue::from_static("no"));
    response
}
