//! What model calls used and cost.

use std::sync::Arc;

use axum::{Json as Answered, extract::State};
use creel_api::{Problem, UsageGroup, UsageReport};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    auth::Caller,
    extract::Query,
    failure::{Answer, Failure},
};
use crate::{Control, operations::usage};

/// The span when none is asked for.
const DEFAULT_SPAN: SignedDuration = SignedDuration::from_hours(30 * 24);

pub(super) fn routes() -> OpenApiRouter<Arc<Control>> {
    OpenApiRouter::new().routes(routes!(report))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Span {
    /// Calls that began at or after this; 30 days before `to` when absent.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Calls that began before this; now when absent.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
    /// What rows are sums of; `agent` when absent.
    group: Option<UsageGroup>,
    /// Only calls of this agent, by id or name.
    agent: Option<String>,
}

/// Tokens and cost, as the providers counted them.
#[utoipa::path(get, path = "/v1/usage", tag = "usage", params(Span),
    responses((status = 200, body = UsageReport), (status = "default", body = Problem)))]
async fn report(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Query(span): Query<Span>,
) -> Answer<Answered<UsageReport>> {
    // Calls of this very moment belong to it.
    let to = span.to.unwrap_or_else(|| {
        control
            .clock
            .now()
            .saturating_add(SignedDuration::from_secs(1))
            .unwrap_or(Timestamp::MAX)
    });
    let from = span
        .from
        .unwrap_or_else(|| to.saturating_sub(DEFAULT_SPAN).unwrap_or(Timestamp::MIN));
    if from >= to {
        return Err(Failure::invalid("`from` must lie before `to`."));
    }
    let agent = match span.agent {
        Some(agent) => Some(usage::agent(&control, caller.org, &agent).await?),
        None => None,
    };
    let group = span.group.unwrap_or_default();
    Ok(Answered(
        usage::report(&control, caller.org, from, to, group, agent).await?,
    ))
}
