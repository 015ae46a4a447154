//! What is done now and then, whoever asks for what: old entries of audit trails go, refusals that added up are told.

use std::{sync::Arc, time::Duration};

use jiff::SignedDuration;
use tokio::time::{Instant, sleep_until};

use crate::{Control, http::failure::Answer, refusals};

const EVERY: Duration = Duration::from_secs(60);
/// Audit trails are looked through so often.
const TRIM_EVERY: Duration = Duration::from_secs(6 * 60 * 60);

/// Runs until the end begins.
pub(crate) async fn run(control: Arc<Control>) {
    let mut trim_at = Instant::now() + EVERY;
    loop {
        tokio::select! {
            () = sleep_until(Instant::now() + EVERY) => {}
            () = control.shutdown.begun() => break,
        }
        refusals::sweep(&control, false).await;
        if Instant::now() < trim_at {
            continue;
        }
        trim_at = Instant::now() + TRIM_EVERY;
        if let Some(days) = control.audit_retention_days
            && let Err(failure) = trim(&control, days).await
        {
            tracing::warn!(
                reason = failure.detail(),
                "old audit entries could not be removed"
            );
        }
    }
    refusals::sweep(&control, true).await;
}

async fn trim(control: &Control, days: u32) -> Answer<()> {
    let age = SignedDuration::from_hours(i64::from(days) * 24);
    let Ok(before) = control.clock.now().checked_sub(age) else {
        return Ok(());
    };
    for org in control.store.platform().orgs().await? {
        let removed = control.store.org(org).trim_audit(before).await?;
        if removed > 0 {
            tracing::info!(%org, removed, "old audit entries were removed");
        }
    }
    Ok(())
}
