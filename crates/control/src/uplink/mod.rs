//! The way out of the sandboxes: one socket each, which is also who its sandbox is.
//!
//! ```text
//! supervisor's reports ─▶ one listener per sandbox ─▶ is the peer's uid in the sandbox's range?
//!                                                  ─▶ CONNECT or absolute form: egress; otherwise: models
//! ```

mod directory;
mod ledger;
mod serve;

use std::{collections::HashMap, sync::Arc, time::Duration};

use creel_daemon::{Shutdown, bind_unix};
use creel_domain::SandboxId;
use creel_egress::Egress;
use creel_protocol::Layout;

use crate::Control;

pub(crate) use directory::{Directory, callable};
pub(crate) use ledger::Ledger;

/// A listener that could not be opened is tried again after so long, at the latest.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// Whoever may speak is decided by the peer's uid, not by the file's mode.
const MODE: u32 = 0o666;

/// A sandbox's listener, closed when dropped.
struct Open {
    /// Who it was opened for.
    uid_base: u32,
    closing: Shutdown,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.closing.begin();
    }
}

/// Keeps one listener for each sandbox that there is, until the shutdown begins.
pub(crate) async fn run(control: Arc<Control>, layout: Layout) {
    let egress = Egress::new(Arc::clone(&control.ledger) as _);
    let mut changes = control.sightings.subscribe();
    let mut open: HashMap<SandboxId, Open> = HashMap::new();
    loop {
        changes.borrow_and_update();
        let all_open = match_listeners(&control, &layout, &egress, &mut open);
        let again = async {
            if all_open {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        };
        tokio::select! {
            () = control.shutdown.begun() => return,
            changed = changes.changed() => if changed.is_err() { return },
            () = again => {}
        }
    }
}

/// Opens what is missing, closes what is too much. Says whether nothing is missing.
fn match_listeners(
    control: &Arc<Control>,
    layout: &Layout,
    egress: &Egress,
    open: &mut HashMap<SandboxId, Open>,
) -> bool {
    let present: HashMap<_, _> = control
        .sightings
        .present()
        .into_iter()
        .filter_map(|report| Some((report.sandbox, report.uid_base?)))
        .collect();
    open.retain(|sandbox, listener| {
        !listener.task.is_finished() && present.get(sandbox) == Some(&listener.uid_base)
    });
    let mut all_open = true;
    for (sandbox, uid_base) in present {
        if open.contains_key(&sandbox) {
            continue;
        }
        let path = layout.outbound(sandbox).join("uplink.sock");
        match bind_unix(&path, MODE, None) {
            Ok(socket) => {
                let closing = Shutdown::new();
                let service = serve::Uplink {
                    control: Arc::clone(control),
                    egress: egress.clone(),
                    sandbox,
                    uid_base,
                };
                let task = tokio::spawn(service.listen(socket, closing.clone()));
                open.insert(
                    sandbox,
                    Open {
                        uid_base,
                        closing,
                        task,
                    },
                );
            }
            Err(error) => {
                // A sandbox that is being made or removed has no directory yet, or none any more.
                tracing::debug!(%sandbox, error = &error as &dyn std::error::Error, "the sandbox's way out is not open");
                all_open = false;
            }
        }
    }
    all_open
}
