//! What happened in the org, in order: pages, or a stream that goes on.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use axum::{
    Json as Answered,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use creel_api::{Event, EventList, Problem};
use creel_domain::OrgId;
use futures_util::{Stream, stream};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    agents::limit,
    auth::Caller,
    extract::{Query, accepts, last_event_id},
    failure::{Answer, Failure},
    sse,
};
use crate::{Control, operations::events};

/// Without a nudge the log is looked at so often: another process may write to it.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Read from the store at a time.
const BATCH: u32 = 200;

pub(super) fn routes() -> OpenApiRouter<Arc<Control>> {
    OpenApiRouter::new().routes(routes!(list))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Page {
    /// Only events after this sequence.
    after: Option<u64>,
    /// Events in the answer, 1 to 200; 50 when absent.
    limit: Option<u32>,
    /// `now`: only what has not happened yet.
    #[param(inline)]
    from: Option<From>,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
enum From {
    Now,
}

/// The org's events, oldest first; with `Accept: text/event-stream` a stream that begins after
/// `Last-Event-ID` and goes on as they happen. The newest 100 000 are kept.
#[utoipa::path(get, path = "/v1/events", tag = "events",
    params(Page, ("Last-Event-ID" = Option<u64>, Header)),
    responses((status = 200, content((EventList = "application/json"), (Event = "text/event-stream"))),
        (status = "default", body = Problem)))]
async fn list(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Query(page): Query<Page>,
    headers: HeaderMap,
) -> Answer<Response> {
    let limit = limit(page.limit)?;
    if page.from.is_some() && page.after.is_some() {
        return Err(Failure::invalid("`after` and `from` exclude each other."));
    }
    let streamed = accepts(&headers, "text/event-stream");
    let resumed = last_event_id(&headers).filter(|_| streamed);
    let after = match (resumed.or(page.after), page.from) {
        (Some(after), _) => after,
        (None, Some(From::Now)) => events::last(&control, caller.org).await?,
        (None, None) => 0,
    };
    if streamed {
        return Ok(sse::respond(follow(control, caller.org, after)));
    }
    let items = events::after(&control, caller.org, after, limit).await?;
    let last_sequence = items.last().map_or(after, |event| event.sequence);
    Ok(Answered(EventList { items, last_sequence }).into_response())
}

fn follow(control: Arc<Control>, org: OrgId, after: u64) -> impl Stream<Item = sse::Sent<Event>> + Send {
    let news = control.store.news();
    let state = (control, news, after, VecDeque::<Event>::new());
    stream::unfold(
        state,
        move |(control, mut news, mut after, mut batch)| async move {
            loop {
                if let Some(event) = batch.pop_front() {
                    after = event.sequence;
                    let sent = sse::Sent {
                        id: Some(event.sequence),
                        name: kind(&event.kind),
                        data: event,
                    };
                    return Some((sent, (control, news, after, batch)));
                }
                news.borrow_and_update();
                // A failure ends the stream; the reader comes back with the last id.
                batch = events::after(&control, org, after, BATCH).await.ok()?.into();
                if batch.is_empty() {
                    tokio::select! {
                        _ = news.changed() => {}
                        () = tokio::time::sleep(LOOK_EVERY) => {}
                        () = control.shutdown.begun() => return None,
                    }
                }
            }
        },
    )
}

/// A name that lives long enough for the stream; unknown kinds are plain messages.
fn kind(kind: &str) -> &'static str {
    [
        "agent.created",
        "agent.changed",
        "agent.state",
        "agent.deleted",
        "turn.started",
        "turn.finished",
        "provider.added",
        "provider.removed",
    ]
    .into_iter()
    .find(|known| *known == kind)
    .unwrap_or("message")
}
