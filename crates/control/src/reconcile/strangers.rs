//! The regular look at everything: which agents there are, and which sandboxes belong to none.

use std::collections::HashSet;

use creel_domain::Target;

use crate::{Control, Who, operations};

/// All agents, to be looked at one by one. None: the store did not answer.
pub(super) async fn resync(control: &Control) -> Option<Vec<Who>> {
    // The look comes first: an agent is in the store before its sandbox is asked for, so what this look
    // lists has its row by the time that the rows are read, unless nobody wants it.
    let reports = control.looker.look(control).await;
    // Spares before agents: one that an agent gets meanwhile is found as one or as the other.
    let spares = control.store.platform().spares().await.ok()?;
    let agents = operations::agents::all(control).await.ok()?;
    control.set_owners(&agents);
    let known = agents.iter().map(|agent| agent.sandbox);
    let known: HashSet<_> = known.chain(spares.iter().map(|spare| spare.sandbox)).collect();
    if let Ok(reports) = reports {
        let strangers = reports.iter().filter(|report| !known.contains(&report.sandbox));
        let strangers = strangers.map(|report| report.sandbox).collect();
        for sandbox in control.sightings.seen_twice(strangers) {
            let generation = reports
                .iter()
                .find(|report| report.sandbox == sandbox)?
                .generation
                .next();
            tracing::warn!(%sandbox, "a sandbox belongs to nobody; removing it");
            if let Err(error) = control
                .supervisor
                .put_target(sandbox, generation, Target::Gone)
                .await
            {
                tracing::warn!(%sandbox, %error, "a sandbox that belongs to nobody could not be removed");
            }
        }
        control.sightings.keep(|sandbox| known.contains(&sandbox));
    }
    Some(agents.iter().map(Who::from).collect())
}
