//! Clearing away what nobody remembers: found by looking, at each start, before anything else.

use std::{collections::BTreeMap, time::Duration};

use creel_domain::SandboxId;
use creel_sandbox::ZombieSweep;

use crate::{Error, files, records::Record, service::Shared};

/// How often children that nobody waits for are looked for.
const REAP_EVERY: Duration = Duration::from_secs(30);

/// Removes everything of sandboxes without a record, but for volumes: a volume without a record was put
/// there by somebody, and is theirs.
pub(crate) async fn sweep(shared: &Shared, known: &BTreeMap<SandboxId, Record>) -> Result<(), Error> {
    let layout = &shared.options.layout;
    for sandbox in shared.backend().list().await? {
        if !known.contains_key(&sandbox) {
            tracing::warn!(%sandbox, "clearing away a sandbox that nobody remembers");
            shared.backend().release(sandbox, &*shared.options.steps).await?;
        }
    }
    let unknown = |names: Vec<String>| -> Vec<SandboxId> {
        let ids = names.iter().filter_map(|name| name.parse().ok());
        ids.filter(|sandbox| !known.contains_key(sandbox)).collect()
    };
    for sandbox in unknown(files::names(&layout.sandboxes())) {
        let directory = layout.sandbox(sandbox);
        files::remove_tree(&directory).map_err(Error::io("remove", &directory))?;
    }
    for sandbox in unknown(files::names(&layout.volumes())) {
        if shared.records.is_gone(sandbox) {
            shared.backend().erase(sandbox, &*shared.options.steps).await?;
        } else {
            tracing::warn!(%sandbox, "there is a volume of a sandbox that nobody remembers; it is left alone");
        }
    }
    Ok(())
}

/// First processes of sandboxes become our children when the runtime ends. Whoever waits for one reaps
/// it; this takes those that nobody waits for.
pub(crate) async fn reap_for_ever() {
    let mut sweep = ZombieSweep::default();
    loop {
        tokio::time::sleep(REAP_EVERY).await;
        sweep.round();
    }
}
