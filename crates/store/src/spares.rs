//! Sandboxes made ahead of need. An agent that gets one takes its row away in the transaction that makes the agent, so
//! no sandbox is ever two agents', nor lost to both.

use creel_domain::{Depth, Generation, Limits, Runtime, SandboxId, Spare, SpareState};

use crate::{
    Error, Platform,
    rows::{Row, values},
    tx::Tx,
};

const COLUMNS: &str =
    "sandbox_id, runtime, limits, state, depth, generation, made_by, created_at, changed_at";
/// Somebody else may have taken the one that was looked at.
const TRIES: u32 = 3;

struct SpareRow(Spare);

impl TryFrom<Row> for SpareRow {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        Ok(Self(Spare {
            sandbox: row.id("sandbox_id")?,
            runtime: row.parsed("runtime")?,
            limits: row.json("limits")?,
            state: row.parsed("state")?,
            depth: row.parsed("depth")?,
            generation: Generation(row.count("generation")?),
            made_by: row.text("made_by")?.to_owned(),
            created_at: row.time("created_at")?,
            changed_at: row.time("changed_at")?,
        }))
    }
}

/// Takes a spare that is ready out of the pool: of this runtime and with just these limits, the oldest first.
pub(crate) async fn claim(tx: &mut Tx, runtime: Runtime, limits: Limits) -> Result<Option<Spare>, Error> {
    let limits = serde_json::to_string(&limits)?;
    for _ in 0..TRIES {
        let sql = "SELECT sandbox_id FROM spares WHERE state = 'ready' AND runtime = $1 AND limits = $2
                   ORDER BY created_at, sandbox_id LIMIT 1";
        let Some(row) = tx.row(sql, values![runtime.as_str(), limits.as_str()]).await? else {
            return Ok(None);
        };
        let sandbox: SandboxId = row.id("sandbox_id")?;
        let sql = format!("DELETE FROM spares WHERE sandbox_id = $1 AND state = 'ready' RETURNING {COLUMNS}");
        if let Some(row) = tx.row(&sql, values![sandbox]).await? {
            return Ok(Some(SpareRow::try_from(row)?.0));
        }
    }
    Ok(None)
}

impl Platform {
    /// Oldest first.
    pub async fn spares(&self) -> Result<Vec<Spare>, Error> {
        self.read(|tx| {
            Box::pin(async move {
                let sql = format!("SELECT {COLUMNS} FROM spares ORDER BY created_at, sandbox_id");
                let rows = tx.rows(&sql, values![]).await?;
                rows.into_iter()
                    .map(|row| SpareRow::try_from(row).map(|row| row.0))
                    .collect()
            })
        })
        .await
    }

    /// Remembers a spare that is to be made.
    pub async fn add_spare(&self, runtime: Runtime, limits: Limits, made_by: &str) -> Result<Spare, Error> {
        let now = self.store.now();
        let spare = Spare {
            sandbox: self.store.mint(),
            runtime,
            limits,
            state: SpareState::Preparing,
            depth: Depth::Frozen,
            generation: Generation(1),
            made_by: made_by.to_owned(),
            created_at: now,
            changed_at: now,
        };
        self.write(move |tx| {
            Box::pin(async move {
                let sql =
                    format!("INSERT INTO spares ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)");
                let values = values![
                    spare.sandbox,
                    spare.runtime.as_str(),
                    serde_json::to_string(&spare.limits)?,
                    spare.state.as_str(),
                    spare.depth.as_str(),
                    spare.generation,
                    spare.made_by.as_str(),
                    spare.created_at,
                    spare.changed_at,
                ];
                tx.run(&sql, values).await?;
                Ok(spare)
            })
        })
        .await
    }

    /// Gives a spare that is still as it was seen another state and depth. None: an agent got it, or it changed.
    pub async fn change_spare(
        &self,
        seen: &Spare,
        state: SpareState,
        depth: Depth,
    ) -> Result<Option<Spare>, Error> {
        let after = Spare {
            state,
            depth,
            generation: seen.generation.next(),
            changed_at: self.store.now(),
            ..seen.clone()
        };
        let before = seen.generation;
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "UPDATE spares SET state = $1, depth = $2, generation = $3, changed_at = $4
                           WHERE sandbox_id = $5 AND generation = $6";
                let values = values![
                    after.state.as_str(),
                    after.depth.as_str(),
                    after.generation,
                    after.changed_at,
                    after.sandbox,
                    before,
                ];
                Ok((tx.run(sql, values).await? == 1).then_some(after))
            })
        })
        .await
    }

    /// Removes the row of a spare that was retired and whose sandbox is gone.
    pub async fn forget_spare(&self, sandbox: SandboxId) -> Result<(), Error> {
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "DELETE FROM spares WHERE sandbox_id = $1 AND state = 'retired'";
                tx.run(sql, values![sandbox]).await?;
                Ok(())
            })
        })
        .await
    }
}
