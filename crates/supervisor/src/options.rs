//! What a supervisor is made from.

use std::{path::PathBuf, sync::Arc, time::Duration};

use creel_daemon::Clock;
use creel_protocol::Layout;
use creel_sandbox::{Chosen, Steps};

use crate::ImageSource;

#[derive(Clone)]
pub struct Options {
    pub layout: Layout,
    /// The unprivileged account under which control runs: it owns the directory of each uplink socket.
    pub control_uid: u32,
    pub control_gid: u32,
    /// The bridge's program on the host, static. It is copied to where sandboxes can reach it.
    pub bridge: PathBuf,
    pub backend: Chosen,
    pub images: Arc<dyn ImageSource>,
    pub clock: Arc<dyn Clock>,
    /// From asking a sandbox to end to killing it.
    pub stop_grace: Duration,
    /// Told after each step; for crash tests.
    pub steps: Arc<dyn Steps>,
}

impl Options {
    /// From asking a sandbox to end to killing it, unless told otherwise.
    pub const STOP_GRACE: Duration = Duration::from_secs(10);
}
