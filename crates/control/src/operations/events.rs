//! The org's log, read.

use creel_api::Event;
use creel_domain::OrgId;

use crate::{Control, http::failure::Answer};

pub(crate) async fn after(control: &Control, org: OrgId, after: u64, limit: u32) -> Answer<Vec<Event>> {
    let events = control.store.org(org).events(after, limit).await?;
    let shown = |event: creel_store::LogEvent| Event {
        sequence: event.sequence,
        kind: event.kind,
        subject: event.subject,
        at: event.at,
        data: event.data,
    };
    Ok(events.into_iter().map(shown).collect())
}

/// The newest event's sequence; 0 before the first.
pub(crate) async fn last(control: &Control, org: OrgId) -> Answer<u64> {
    Ok(control.store.org(org).last_event().await?)
}
