//! Looks after the keys: wraps anew, seals anew, destroys what nothing needs. What is to be done stands in the store, so
//! a look says nothing to the next one, and two controls that look at once do no harm.

use std::{sync::Arc, time::Duration};

use creel_domain::OrgId;
use creel_store::{Error, Tended};
use tokio::time::sleep;

use crate::Control;

/// Also when nobody nudges: another control may have begun something, or died in the middle.
const EVERY: Duration = Duration::from_secs(60);

/// Runs until the end begins.
pub(crate) async fn run(control: Arc<Control>) {
    loop {
        let look = async {
            if let Err(error) = platform(&control).await {
                warn(None, &error);
            }
            if let Err(error) = orgs(&control).await {
                warn(None, &error);
            }
            tokio::select! {
                () = sleep(EVERY) => {}
                () = control.keys_nudge.notified() => {}
            }
        };
        // Whatever it is at may be broken off anywhere.
        tokio::select! {
            () = look => {}
            () = control.shutdown.begun() => return,
        }
    }
}

async fn platform(control: &Control) -> Result<(), Error> {
    while control.store.platform().tend_master_key().await? == Tended::More {}
    Ok(())
}

async fn orgs(control: &Control) -> Result<(), Error> {
    let mut after = None;
    loop {
        let some = control.store.platform().orgs_to_tend(after).await?;
        let Some(last) = some.last().copied() else {
            return Ok(());
        };
        after = Some(last);
        for org in some {
            // One whose key cannot be used holds nobody up.
            if let Err(error) = one(control, org).await {
                warn(Some(org), &error);
            }
        }
    }
}

async fn one(control: &Control, org: OrgId) -> Result<(), Error> {
    while control.store.org(org).tend_keys().await? == Tended::More {}
    Ok(())
}

fn warn(org: Option<OrgId>, error: &Error) {
    let org = org.map(|org| org.to_string()).unwrap_or_default();
    tracing::warn!(org, %error, "keys could not be looked after; it is tried again");
}
