//! `/v1/audit`: the org's trail, page by page, as lines of JSON for other systems, and verified.

use std::sync::Arc;

use axum::{
    Json as Answered,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use creel_api::{AuditFault, AuditFaultKind, AuditList, AuditRecord, AuditVerdict, Problem, ocsf};
use creel_store::{AuditFilter, StoredEntry};
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    agents::limit,
    auth::Caller,
    cursor,
    extract::Query,
    failure::{Answer, Failure},
};
use crate::Control;

/// Says which list a cursor belongs to.
const LIST: u8 = 7;
/// Of an actor or an action that is looked for.
const FILTER_CHARS: usize = 256;

pub(super) fn routes() -> OpenApiRouter<Arc<Control>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(export))
        .routes(routes!(verify))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Page {
    /// Only entries from then on.
    since: Option<Timestamp>,
    /// Only what this actor did: an id, a name, or a kind such as `operator`.
    actor: Option<String>,
    /// Only this action, or with a dot at its end all of a noun: `token.`.
    action: Option<String>,
    /// Entries in the answer, 1 to 200; 50 when absent.
    limit: Option<u32>,
    /// Where the page before ended.
    cursor: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct After {
    /// Only entries after this one.
    #[serde(default)]
    after: u64,
    /// Entries in the answer, 1 to 200; 50 when absent.
    limit: Option<u32>,
}

fn hex(bytes: &[u8; 32]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn shown(stored: StoredEntry) -> AuditRecord {
    AuditRecord {
        previous: hex(&stored.previous),
        hash: hex(&stored.hash),
        entry: stored.entry,
    }
}

fn bounded(filter: Option<String>) -> Answer<Option<String>> {
    match &filter {
        Some(text) if text.is_empty() || text.chars().count() > FILTER_CHARS => Err(Failure::invalid(
            format!("What is looked for must have 1 to {FILTER_CHARS} characters."),
        )),
        _ => Ok(filter),
    }
}

/// Who did what in the org, newest first.
#[utoipa::path(get, path = "/v1/audit", tag = "audit", params(Page),
    responses((status = 200, body = AuditList), (status = "default", body = Problem)))]
async fn list(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Query(page): Query<Page>,
) -> Answer<Answered<AuditList>> {
    let limit = limit(page.limit)?;
    let before = page.cursor.map(|text| cursor::decode(LIST, &text)).transpose()?;
    let before = before.map(|position| u64::try_from(position).unwrap_or(u64::MAX));
    let filter = AuditFilter {
        since: page.since,
        actor: bounded(page.actor)?,
        action: bounded(page.action)?,
    };
    let org = control.store.org(caller.org);
    let mut found = org.audit(filter, before, limit + 1).await?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next_cursor = found
        .last()
        .filter(|_| more)
        .map(|last| cursor::encode(LIST, last.entry.sequence.into()));
    let items = found.into_iter().map(shown).collect();
    Ok(Answered(AuditList { items, next_cursor }))
}

/// Entries oldest first, each a line of JSON: an event of the Open Cybersecurity Schema Framework. No line: there
/// are no more.
#[utoipa::path(get, path = "/v1/audit/export", tag = "audit", params(After),
    responses((status = 200, content_type = "application/x-ndjson", body = String), (status = "default", body = Problem)))]
async fn export(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Query(page): Query<After>,
) -> Answer<Response> {
    let org = control.store.org(caller.org);
    let mut lines = String::new();
    for stored in org.audit_after(page.after, limit(page.limit)?).await? {
        lines.push_str(&ocsf(caller.org, &shown(stored)).to_string());
        lines.push('\n');
    }
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], lines).into_response())
}

/// Whether the trail is as it was written, to its end.
#[utoipa::path(get, path = "/v1/audit/verify", tag = "audit",
    responses((status = 200, body = AuditVerdict), (status = "default", body = Problem)))]
async fn verify(caller: Caller, State(control): State<Arc<Control>>) -> Answer<Answered<AuditVerdict>> {
    let verdict = control.store.org(caller.org).verify_audit().await?;
    let fault = verdict.fault.map(|fault| {
        let kind = named(fault.kind);
        AuditFault {
            sequence: fault.sequence,
            kind,
            detail: kind.sentence(fault.sequence),
        }
    });
    Ok(Answered(AuditVerdict {
        intact: fault.is_none(),
        good: verdict.good,
        removed: verdict.removed,
        sequence: verdict.sequence,
        hash: hex(&verdict.hash),
        fault,
    }))
}

fn named(kind: creel_store::AuditFaultKind) -> AuditFaultKind {
    use creel_store::AuditFaultKind as Stored;
    match kind {
        Stored::Changed => AuditFaultKind::Changed,
        Stored::Missing => AuditFaultKind::Missing,
        Stored::OutOfOrder => AuditFaultKind::OutOfOrder,
        Stored::Forged => AuditFaultKind::Forged,
        Stored::Cut => AuditFaultKind::Cut,
        Stored::Head => AuditFaultKind::Head,
        Stored::Beginning => AuditFaultKind::Beginning,
    }
}
