//! What happened in the org: pages, or a stream that goes on for ever.

use futures_util::{StreamExt, stream::BoxStream};
use reqwest::Method;

use super::{Client, Error, accept, stream};
use crate::{Event, EventList};

impl Client {
    /// A page of events after the one with sequence `after`.
    pub async fn events(&self, after: u64) -> Result<EventList, Error> {
        let query = [("after", after.to_string())];
        self.json(accept(
            self.request(Method::GET, &["v1", "events"], &query),
            "application/json",
        ))
        .await
    }

    /// Events after `after` as they happen; it ends only with an error.
    pub fn follow_events(&self, after: u64) -> BoxStream<'static, Result<Event, Error>> {
        let client = self.clone();
        let connect: stream::Connect = Box::new(move |last_id| {
            let client = client.clone();
            Box::pin(async move {
                let request = accept(client.get(&["v1", "events"]), "text/event-stream");
                client.send(request.header("last-event-id", last_id)).await
            })
        });
        let url = self.url().to_owned();
        stream::resuming(url.clone(), None, after, connect, |_| false)
            .map(move |event| {
                serde_json::from_str(&event?.data).map_err(|source| Error::Unreadable {
                    url: url.clone(),
                    source,
                })
            })
            .boxed()
    }
}
