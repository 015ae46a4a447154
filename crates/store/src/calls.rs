//! Model calls: a row when one begins, completed when it ends. Unknown usage and cost stay unknown.

use creel_domain::{AgentId, CallId, MicroUsd, ModelName, OrgId, TurnId};
use jiff::{SignedDuration, Timestamp};

use crate::{
    Error, Org, Platform,
    rows::{Row, Value, values},
};

/// Rows of one report; their sum is [`Org::usage_total`], however many there are.
const LISTED_SUMS: u32 = 1000;
const DAY_MICROS: i64 = 86_400_000_000;

#[derive(Debug, Clone)]
pub struct NewCall {
    pub id: CallId,
    pub org: OrgId,
    pub agent: AgentId,
    pub turn: Option<TurnId>,
    pub provider: String,
    pub model: ModelName,
    pub started_at: Timestamp,
    /// Whose key it is made with; none: with no key.
    pub key_of: Option<&'static str>,
}

/// How a call ended.
#[derive(Debug, Clone)]
pub struct CallResult {
    /// A word such as `completed` or `client_gone`.
    pub outcome: String,
    /// Input, cached input and output tokens as the provider reported them.
    pub tokens: Option<(u64, u64, u64)>,
    pub cost: Option<MicroUsd>,
    pub duration_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageBy {
    Agent,
    Model,
    /// UTC days.
    Day,
}

/// Exact sums. Calls without usage or price are counted, not guessed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsageSum {
    /// An agent's id, a model's name or a day; empty in the total.
    pub key: String,
    pub calls: u64,
    pub calls_without_usage: u64,
    pub calls_without_price: u64,
    pub input_tokens: u64,
    pub cached_input_tokens: u64,
    pub output_tokens: u64,
    pub cost: MicroUsd,
}

impl Platform {
    /// Opens a call of an agent that is there.
    pub async fn begin_call(&self, call: NewCall) -> Result<(), Error> {
        let org = self.store.org(call.org);
        org.write_one(move |tx| {
            Box::pin(async move {
                let sql =
                    "INSERT INTO calls (id, org_id, agent_id, turn_id, provider, model, outcome, started_at, key_of)
                               SELECT $1, org_id, id, $2, $3, $4, 'open', $5, $8 FROM agents
                               WHERE org_id = $6 AND id = $7";
                let values = values![
                    call.id,
                    call.turn,
                    call.provider,
                    &call.model,
                    call.started_at,
                    call.org,
                    call.agent,
                    call.key_of,
                ];
                match tx.run(sql, values).await? {
                    0 => Err(Error::NotFound("agent")),
                    _ => Ok(()),
                }
            })
        })
        .await
    }

    /// Ends an open call; one that has ended stays as it ended.
    pub async fn finish_call(&self, call: CallId, result: CallResult) -> Result<(), Error> {
        self.write_one(move |tx| {
                Box::pin(async move {
                    let (input, cached, output) = result.tokens.unwrap_or_default();
                    let sql = "UPDATE calls SET outcome = $1, has_usage = $2, input_tokens = $3,
                               cached_input_tokens = $4, output_tokens = $5, cost_micro_usd = $6, duration_ms = $7
                               WHERE id = $8 AND outcome = 'open'";
                    let values = values![
                        result.outcome,
                        i64::from(result.tokens.is_some()),
                        input,
                        cached,
                        output,
                        result.cost,
                        result.duration_ms,
                        call,
                    ];
                    tx.run(sql, values).await?;
                    Ok(())
                })
            })
            .await
    }

    /// At start: calls that were under way when the process died. How many there were.
    pub async fn interrupt_open_calls(&self) -> Result<usize, Error> {
        self.write_one(|tx| {
            Box::pin(async move {
                let sql = "UPDATE calls SET outcome = 'interrupted' WHERE outcome = 'open'";
                Ok(tx.run(sql, values![]).await? as usize)
            })
        })
        .await
    }
}

/// Sums are cast because one engine widens them to a type without bounds.
const SUMS: &str = "COUNT(*) AS calls, CAST(COALESCE(SUM(1 - has_usage), 0) AS BIGINT) AS without_usage,
    COUNT(CASE WHEN has_usage = 1 AND cost_micro_usd IS NULL THEN 1 END) AS without_price,
    CAST(COALESCE(SUM(input_tokens), 0) AS BIGINT) AS input,
    CAST(COALESCE(SUM(cached_input_tokens), 0) AS BIGINT) AS cached,
    CAST(COALESCE(SUM(output_tokens), 0) AS BIGINT) AS output,
    CAST(COALESCE(SUM(cost_micro_usd), 0) AS BIGINT) AS cost";

/// Which calls: `$1` the org, `$2..$3` the time, `$4` the agent if one is meant.
fn which(agent: Option<AgentId>) -> String {
    let of_agent = agent.map_or("", |_| " AND agent_id = $4");
    format!("org_id = $1 AND started_at >= $2 AND started_at < $3{of_agent} AND outcome <> 'open'")
}

fn sum(row: &Row, key: String) -> Result<UsageSum, Error> {
    Ok(UsageSum {
        key,
        calls: row.count("calls")?,
        calls_without_usage: row.count("without_usage")?,
        calls_without_price: row.count("without_price")?,
        input_tokens: row.count("input")?,
        cached_input_tokens: row.count("cached")?,
        output_tokens: row.count("output")?,
        cost: row.money("cost")?,
    })
}

fn day(number: i64) -> Result<String, Error> {
    let start = Timestamp::UNIX_EPOCH.checked_add(SignedDuration::from_hours(number.saturating_mul(24)));
    let start = start.map_err(|_| Error::Corrupt("a day past all days".to_owned()))?;
    Ok(start.strftime("%Y-%m-%d").to_string())
}

impl Org {
    /// Sums of calls that began in `from..to`, of one agent or of all. At most 1000 rows: the newest days,
    /// or the first agents or models in their order.
    pub async fn usage(
        &self,
        from: Timestamp,
        to: Timestamp,
        agent: Option<AgentId>,
        by: UsageBy,
    ) -> Result<Vec<UsageSum>, Error> {
        let org = self.id;
        let (key, order) = match by {
            UsageBy::Agent => ("agent_id".to_owned(), "ASC"),
            UsageBy::Model => ("model".to_owned(), "ASC"),
            UsageBy::Day => (format!("started_at / {DAY_MICROS}"), "DESC"),
        };
        self.read(move |tx| {
            Box::pin(async move {
                let which = which(agent);
                let sql = format!(
                    "SELECT {key} AS key, {SUMS} FROM calls WHERE {which}
                         GROUP BY 1 ORDER BY 1 {order} LIMIT {LISTED_SUMS}"
                );
                let rows = tx.rows(&sql, &range(org, from, to, agent)).await?;
                let mut sums = rows
                    .iter()
                    .map(|row| {
                        let key = match by {
                            UsageBy::Agent => row.id::<AgentId>("key")?.to_string(),
                            UsageBy::Model => row.text("key")?.to_owned(),
                            UsageBy::Day => day(row.int("key")?)?,
                        };
                        sum(row, key)
                    })
                    .collect::<Result<Vec<_>, Error>>()?;
                if by == UsageBy::Day {
                    sums.reverse();
                }
                Ok(sums)
            })
        })
        .await
    }

    /// The sum of all of them.
    pub async fn usage_total(
        &self,
        from: Timestamp,
        to: Timestamp,
        agent: Option<AgentId>,
    ) -> Result<UsageSum, Error> {
        let org = self.id;
        self.read(move |tx| {
            Box::pin(async move {
                let sql = format!("SELECT {SUMS} FROM calls WHERE {}", which(agent));
                match tx.row(&sql, &range(org, from, to, agent)).await? {
                    Some(row) => sum(&row, String::new()),
                    None => Ok(UsageSum::default()),
                }
            })
        })
        .await
    }
}

fn range(org: OrgId, from: Timestamp, to: Timestamp, agent: Option<AgentId>) -> Vec<Value> {
    let mut values = vec![Value::from(org), Value::from(from), Value::from(to)];
    values.extend(agent.map(Value::from));
    values
}
