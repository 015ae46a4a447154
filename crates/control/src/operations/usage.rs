//! Sums of model calls.

use std::collections::HashMap;

use creel_api::{UsageGroup, UsageReport, UsageRow};
use creel_domain::{AgentId, OrgId};
use creel_store::{UsageBy, UsageSum};
use jiff::Timestamp;

use crate::{Control, http::failure::Answer};

/// Agents read at a time to find their names.
const BATCH: u32 = 200;

/// An agent by id or name; the id of one that is deleted is as good, for its calls were paid for.
pub(crate) async fn agent(control: &Control, org: OrgId, text: &str) -> Answer<AgentId> {
    match text.parse() {
        Ok(id) => Ok(id),
        Err(_) => Ok(control.agent(org, text).await?.id),
    }
}

pub(crate) async fn report(
    control: &Control,
    org: OrgId,
    from: Timestamp,
    to: Timestamp,
    group: UsageGroup,
    agent: Option<AgentId>,
) -> Answer<UsageReport> {
    // What has ended is in the sums, to the last call.
    control.ledger.flush().await;
    let by = match group {
        UsageGroup::Agent => UsageBy::Agent,
        UsageGroup::Model => UsageBy::Model,
        UsageGroup::Day => UsageBy::Day,
    };
    let store = control.store.org(org);
    let sums = store.usage(from, to, agent, by).await?;
    // Not the sum of the rows: of those only so many are listed.
    let total = row(store.usage_total(from, to, agent).await?, &HashMap::new());
    let names = if group == UsageGroup::Agent {
        names(control, org).await?
    } else {
        HashMap::new()
    };
    let items = sums.into_iter().map(|sum| row(sum, &names)).collect();
    Ok(UsageReport {
        from,
        to,
        group,
        items,
        total,
    })
}

fn row(sum: UsageSum, names: &HashMap<String, String>) -> UsageRow {
    UsageRow {
        name: names.get(&sum.key).cloned(),
        key: sum.key,
        calls: sum.calls,
        calls_without_usage: sum.calls_without_usage,
        calls_without_price: sum.calls_without_price,
        input_tokens: sum.input_tokens,
        cached_input_tokens: sum.cached_input_tokens,
        output_tokens: sum.output_tokens,
        cost_micro_usd: sum.cost,
    }
}

async fn names(control: &Control, org: OrgId) -> Answer<HashMap<String, String>> {
    let org = control.store.org(org);
    let mut names = HashMap::new();
    let mut before = None;
    loop {
        let page = org.agents(before, BATCH).await?;
        before = page.last().map(|agent| agent.id);
        names.extend(
            page.iter()
                .map(|agent| (agent.id.to_string(), agent.name.to_string())),
        );
        if page.len() < BATCH as usize {
            return Ok(names);
        }
    }
}
