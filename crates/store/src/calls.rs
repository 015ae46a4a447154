//! Model calls: a row when one begins, completed when it ends. Unknown usage and cost stay unknown.

use creel_domain::{AgentId, CallId, MicroUsd, ModelName, OrgId, TurnId};
use jiff::Timestamp;
use rusqlite::params;

use crate::{
    Error, Org, Platform,
    rows::{all, count, micros, money},
};

#[derive(Debug, Clone)]
pub struct NewCall {
    pub id: CallId,
    pub org: OrgId,
    pub agent: AgentId,
    pub turn: Option<TurnId>,
    pub provider: String,
    pub model: ModelName,
    pub started_at: Timestamp,
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
    /// An agent's id, a model's name or a day.
    pub key: String,
    pub calls: u64,
    pub calls_without_usage: u64,
    pub calls_without_price: u64,
    pub input_tokens: u64,
    pub cached_input_tokens: u64,
    pub output_tokens: u64,
    pub cost: MicroUsd,
}

fn stored_count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl Platform {
    pub async fn begin_call(&self, call: NewCall) -> Result<(), Error> {
        self.store
            .database
            .write(move |tx| {
                tx.execute(
                    "INSERT INTO calls (id, org_id, agent_id, turn_id, provider, model, outcome, started_at)
                     VALUES ($1, $2, $3, $4, $5, $6, 'open', $7)",
                    params![
                        call.id.uuid().into_bytes(),
                        call.org.uuid().into_bytes(),
                        call.agent.uuid().into_bytes(),
                        call.turn.map(|turn| turn.uuid().into_bytes()),
                        call.provider,
                        call.model.to_string(),
                        micros(call.started_at)
                    ],
                )?;
                Ok(())
            })
            .await
    }

    /// Ends an open call; one that has ended stays as it ended.
    pub async fn finish_call(&self, call: CallId, result: CallResult) -> Result<(), Error> {
        self.store
            .database
            .write(move |tx| {
                let (input, cached, output) = result.tokens.unwrap_or_default();
                tx.execute(
                    "UPDATE calls SET outcome = $1, has_usage = $2, input_tokens = $3, cached_input_tokens = $4,
                     output_tokens = $5, cost_micro_usd = $6, duration_ms = $7 WHERE id = $8 AND outcome = 'open'",
                    params![
                        result.outcome,
                        i64::from(result.tokens.is_some()),
                        stored_count(input),
                        stored_count(cached),
                        stored_count(output),
                        result.cost.map(|cost| cost.0),
                        stored_count(result.duration_ms),
                        call.uuid().into_bytes()
                    ],
                )?;
                Ok(())
            })
            .await
    }

    /// At start: calls that were under way when the process died. How many there were.
    pub async fn interrupt_open_calls(&self) -> Result<usize, Error> {
        self.store
            .database
            .write(|tx| {
                Ok(tx.execute(
                    "UPDATE calls SET outcome = 'interrupted' WHERE outcome = 'open'",
                    [],
                )?)
            })
            .await
    }
}

impl Org {
    /// Sums of calls that began in `from..to`, of one agent or of all. At most 1000 rows.
    pub async fn usage(
        &self,
        from: Timestamp,
        to: Timestamp,
        agent: Option<AgentId>,
        by: UsageBy,
    ) -> Result<Vec<UsageSum>, Error> {
        let org = self.id.uuid().into_bytes();
        let (key, is_agent) = match by {
            UsageBy::Agent => ("hex(agent_id)", true),
            UsageBy::Model => ("model", false),
            UsageBy::Day => ("date(started_at / 1000000, 'unixepoch')", false),
        };
        self.store
            .database
            .read(move |db| {
                let sql = format!(
                    "SELECT {key} AS key, COUNT(*) AS calls, SUM(1 - has_usage) AS without_usage,
                     SUM(CASE WHEN has_usage = 1 AND cost_micro_usd IS NULL THEN 1 ELSE 0 END) AS without_price,
                     SUM(input_tokens) AS input, SUM(cached_input_tokens) AS cached, SUM(output_tokens) AS output,
                     COALESCE(SUM(cost_micro_usd), 0) AS cost FROM calls
                     WHERE org_id = $1 AND started_at >= $2 AND started_at < $3 AND ($4 IS NULL OR agent_id = $4)
                     AND outcome <> 'open' GROUP BY 1 ORDER BY 1 LIMIT 1000"
                );
                let agent = agent.map(|agent| agent.uuid().into_bytes());
                all(db, &sql, params![org, micros(from), micros(to), agent], |row| {
                    let key: String = row.get("key")?;
                    let key = if is_agent {
                        let value = u128::from_str_radix(&key, 16).map_err(|e| Error::Corrupt(e.to_string()))?;
                        AgentId::from_uuid(uuid::Uuid::from_u128(value)).to_string()
                    } else {
                        key
                    };
                    Ok(UsageSum {
                        key,
                        calls: count(row, "calls")?,
                        calls_without_usage: count(row, "without_usage")?,
                        calls_without_price: count(row, "without_price")?,
                        input_tokens: count(row, "input")?,
                        cached_input_tokens: count(row, "cached")?,
                        output_tokens: count(row, "output")?,
                        cost: money(row, "cost")?,
                    })
                })
            })
            .await
    }
}
